// Runs the layers, the network and the training of the glass detector's page with what is in a JSON file and prints what
// they return, as JSON:   node network.js FOLDER cases.json       FOLDER: of the pages, with glass_data.js
// A case is {name, arguments}; {shape, data} is a map.
"use strict";
const fs = require("fs"), path = require("path"), vm = require("vm");
const [folder, file] = process.argv.slice(2).map(name => path.resolve(name));
const [minidet, layers, network, objective] =
  ["minidet", "layers", "network", "objective"].map(name => require(path.join(folder, `${name}.js`)));
const cases = JSON.parse(fs.readFileSync(file, "utf8"));

let loaded = null;
function glass() {
  loaded ??= vm.runInNewContext(`${fs.readFileSync(path.join(folder, "glass_data.js"), "utf8")};glass`);
  return { glass: loaded, net: network.load(loaded) };
}

const functions = {
  ...layers, ...objective,
  smooth_l1: (predictions, targets, beta) => predictions.map((p, i) => objective.smooth_l1(p, targets[i], beta)),
  smooth_l1_grad: (predictions, targets, beta) => predictions.map((p, i) => objective.smooth_l1_grad(p, targets[i], beta)),
  conv2d_grad_weight: (grad, x, weight, stride, padding) =>
    layers.conv2d_grad_weight(grad, layers.windows(x, weight.shape[2], stride, padding)),
  postprocess: (...given) => objective.postprocess(...given).kept.map(one => [...one.box, one.logit, one.klass]),
  halves: bits => network.halves(Uint16Array.from(bits)),
  weights: () => Object.fromEntries(Object.entries(glass().net.state).map(([name, { data }]) => [name, data])),
  detection_loss(logits, deltas, anchors, boxes, classes, config, loss) {
    const found = objective.detection_loss(logits, deltas, objective.targets(anchors, boxes, config), classes, loss);
    return [found.classification, found.box, found.assigned, found.grad_logits.flat(), found.grad_deltas.flat()];
  },
  forward(pixels, size) {
    const { net } = glass(), { logits, deltas } = network.forward(net, network.normalised(pixels, size, net.config));
    return [...logits, ...deltas];
  },
  backward(pixels, size, grad_logits, grad_deltas) {
    const { net } = glass(), found = network.forward(net, network.normalised(pixels, size, net.config));
    found.pixels(grad_logits, grad_deltas); // can be done again
    return [found.pixels(grad_logits, grad_deltas).data];
  },
  training(pixels, size, boxes, classes, steps, learning_rate, momentum) {
    const { glass: { loss }, net } = glass(), velocity = {}, losses = [];
    const { seen } = network.forward(net, network.normalised(pixels, size, net.config));
    const targets = objective.targets(minidet.pyramid_anchors(size, net.config.anchors), boxes, net.config);
    for (let i = 0; i < steps; i++) {
      const { logits, deltas } = network.outputs(net, seen);
      const found = objective.detection_loss(logits, deltas, targets, classes, loss);
      losses.push([found.classification, found.box]);
      objective.sgd(net.state, objective.last_gradients(net, seen, found.grad_logits, found.grad_deltas), learning_rate,
        momentum, velocity);
    }
    return [losses, ...objective.LAST.flatMap(name => ["weight", "bias"].map(of => net.state[`${name}.output.${of}`].data))];
  },
};

/** Numbers in a row, whatever holds them. */
function flat(value) {
  if (typeof value === "number") return [value];
  if (value.shape) return flat(value.data);
  return Array.isArray(value) ? value.flatMap(flat) : Array.from(value);
}

/** What a function returned as a list of rows of numbers: several where it returned several. */
function several(name, value) {
  if (name === "weights") return Object.values(value).map(flat);
  return ["detection_loss", "forward", "backward", "training"].includes(name) ? value.map(flat) : [flat(value)];
}

process.stdout.write(JSON.stringify(cases.map(({ name, arguments: given }) => several(name, functions[name](...given)))));
