// The page of the glass detector: a picture, what the network finds in it, a cell to look into, training of the last layers.
"use strict";

const { config } = glass, SIZE = [picture.SIDE, picture.SIDE], MOMENTUM = 0.9, SHIPPED = {};
const ANCHORS = minidet.pyramid_anchors(SIZE, config.anchors), GRIDS = minidet.grids(SIZE, config.anchors);
const net = network.load(glass), LAST = objective.LAST.flatMap(name => [`${name}.output.weight`, `${name}.output.bias`]);
for (const name of LAST) SHIPPED[name] = net.state[name].data.slice();

const now = { size: SIZE, anchors: ANCHORS, per_cell: config.anchors.scales.length * config.anchors.aspect_ratios.length };
const chosen = { row: 2, column: 4 };
let velocity = {}, curve = [], left = 0, looking = 0;

const stage = play.find("stage"), photograph = play.svg("image", { width: 128, height: 128 });
const [shapes, boxes, outline] = [0, 1, 2].map(() => play.svg("g", { "pointer-events": "none" }));
const sketch = play.svg("rect", { fill: "none", stroke: "var(--ink)", "stroke-dasharray": "2 2", "pointer-events": "none" });
stage.append(photograph, shapes, boxes, outline);

play.find("tool").append(play.html("option", { value: "" }, "chooses a cell"),
  ...glass.classes.map(name => play.html("option", { value: name }, `draws a ${name}`)),
  ...glass.classes.map(name => play.html("option", { value: `=${name}` }, `says: here is a ${name}`)));
const { values, read } = play.controls(["tool", "score", "level", "anchor"], () => { if (now.found) draw(); }, {
  score: v => v.toFixed(2),
  level: i => `P${config.anchors.levels[i]}: a cell every ${GRIDS[i].stride} pixels, anchors of ${config.anchors.sizes[i]}`,
  anchor: a => `${a} of ${now.per_cell}`,
});

const marker = play.movable(play.svg("rect", { fill: "#888", "fill-opacity": 0.45, stroke: "#fff", "stroke-width": 0.6 }),
  "The chosen cell", (dx, dy, start) => choose(start.row + dy, start.column + dx), { start: () => ({ ...chosen }) });
stage.append(marker, sketch);

function choose(row, column) {
  chosen.row = row;
  chosen.column = column;
  draw();
}

// ---- drawing

let corner = null;
const dragged = event => {
  const [x, y] = play.point(stage, event).map(v => Math.min(Math.max(v, 0), picture.SIDE));
  return [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.max(x, corner[0]), Math.max(y, corner[1])];
};
stage.addEventListener("pointerdown", event => {
  const [x, y] = play.point(stage, event), { stride } = GRIDS[values.level];
  if (!values.tool) { choose(Math.floor(y / stride), Math.floor(x / stride)); return; }
  corner = [x, y];
  stage.setPointerCapture(event.pointerId);
  event.preventDefault();
}, { capture: true });
stage.addEventListener("pointermove", event => { if (corner) play.place(sketch, dragged(event)); });
stage.addEventListener("pointerup", event => {
  if (!corner) return;
  const box = dragged(event);
  corner = null;
  play.place(sketch, [0, 0, 0, 0]);
  if (Math.min(box[2] - box[0], box[3] - box[1]) >= 4) add(box); // smaller, it was a slip
});

function add(box) {
  const said = values.tool.startsWith("=");
  picture.add(values.tool.replace("=", ""), box, said ? null : play.find("colour").value);
  see();
}

play.find("place").addEventListener("click", () => {
  const { stride, size } = GRIDS[values.level], [x, y] = [chosen.column, chosen.row].map(i => (i + 0.5) * stride);
  add(minidet.clip_boxes([[x - size / 2, y - size / 2, x + size / 2, y + size / 2]], SIZE)[0]);
});
play.find("undo").addEventListener("click", () => { picture.undo(); see(); });
play.find("file").addEventListener("change", async ({ target }) => {
  try { await picture.load(target.files[0]); } catch { play.find("told").textContent = "This file is no image that the browser can read."; return; }
  see();
});
const pictures = [...glass.pictures.map((one, i) => [`Picture ${i + 1}`, () => picture.show(one)]), ["Empty", picture.empty]];
play.find("pictures").append(...pictures.map(([name, show]) => play.html("button", { type: "button", click: () => { show(); see(); } }, name)));

// ---- seeing

/** Run the network on the picture. */
function see() {
  const began = performance.now();
  stop();
  now.pass = network.forward(net, network.normalised(picture.pixels(), SIZE, config));
  now.milliseconds = performance.now() - began;
  now.targets = objective.targets(ANCHORS, picture.objects().map(object => object.box), config);
  [velocity, curve] = [{}, []];
  play.set(photograph, { href: picture.address() });
  judge();
  draw();
}

/** Everything that depends on the last layers. */
function judge() {
  const classes = picture.objects().map(object => glass.classes.indexOf(object.name));
  Object.assign(now, network.outputs(net, now.pass.seen));
  Object.assign(now, objective.detection_loss(now.logits, now.deltas, now.targets, classes, glass.loss));
  now.normaliser = Math.max(1, now.assigned);
  now.found = objective.postprocess(now.logits, now.deltas, ANCHORS, SIZE, config.postprocess);
}

function draw() {
  const { rows, columns, stride } = GRIDS[values.level], objects = picture.objects();
  chosen.row = Math.min(Math.max(chosen.row, 0), rows - 1);
  chosen.column = Math.min(Math.max(chosen.column, 0), columns - 1);
  stage.style.touchAction = values.tool ? "none" : "";
  play.find("place").disabled = !values.tool;
  play.find("undo").disabled = !picture.changes();

  const frame = (box, colour, width, more = {}) => play.place(play.svg("rect", { fill: "none", stroke: colour, "stroke-width": width, ...more }), box);
  shapes.replaceChildren(...objects.flatMap(({ box }) => [frame(box, "#000", 0.9), frame(box, "#fff", 0.9, { "stroke-dasharray": "3 2" })]));
  const shown = now.found.kept.filter(one => minidet.sigmoid(one.logit) >= values.score), right = matched(shown, objects);
  boxes.replaceChildren(...shown.toReversed().flatMap((one, n) => {
    const colour = right[shown.length - 1 - n] ? "var(--green)" : "var(--orange)", [x, y] = one.box;
    return [frame(one.box, "#fff", 2), frame(one.box, colour, 1.1), play.svg("text", {
      x: Math.min(x + 1, 91), y: Math.max(y - 1.5, 5), style: "font-size: 4.6px; font-weight: 650; fill: #000; stroke: #fff; stroke-width: 1.2px; paint-order: stroke",
    }, `${glass.classes[one.klass]} ${minidet.sigmoid(one.logit).toFixed(2)}`)];
  }));
  play.place(marker, [chosen.column, chosen.row, chosen.column + 1, chosen.row + 1].map(v => v * stride));
  play.set(marker, { "aria-valuetext": `row ${chosen.row + 1}, column ${chosen.column + 1}` });
  const found = right.filter(Boolean).length;
  play.find("told").textContent = `${found} of ${objects.length} objects found, ${shown.length - found} other `
    + `${shown.length - found === 1 ? "box" : "boxes"}; suppression kept ${now.found.kept.length} of ${now.found.candidates.length} `
    + `candidates. The network took ${now.milliseconds.toFixed(0)} ms.`;
  tell_training();
  tell_cell();
}

/** Which detections are right: IoU of 0.5 with an object of their class that no better one has found. */
function matched(shown, objects) {
  const right = shown.map(() => false);
  glass.classes.forEach((name, k) => {
    const ours = shown.flatMap((one, i) => (one.klass === k ? [i] : []));
    const correct = minidet.match_detections(ours.map(i => shown[i].box), ours.map(i => shown[i].logit),
      objects.filter(object => object.name === name).map(object => object.box), 0.5);
    ours.forEach((i, j) => { right[i] = correct[j]; });
  });
  return right;
}

function tell_cell() {
  const { columns } = GRIDS[values.level], level = values.level, anchor = values.anchor - 1;
  const index = chosen.row * columns + chosen.column, i = index * now.per_cell + anchor;
  const klass = cell.tell(now, { level, index, anchor });
  play.find("where").textContent = `Row ${chosen.row + 1}, column ${chosen.column + 1} of P${config.anchors.levels[level]}.`;
  const box = ANCHORS[level][i];
  outline.replaceChildren(play.place(play.svg("rect", { fill: "none", stroke: "var(--pink)", "stroke-width": 0.9 }), box));
  clearTimeout(looking);
  if (left) return; // the way back takes as long as a step
  looking = setTimeout(() => {
    const { weights, box: seen } = cell.field(now, level, i, klass);
    play.find("field").replaceChildren(play.svg("image", { width: 128, height: 128, href: picture.lit(weights) }),
      play.place(play.svg("rect", { fill: "none", stroke: "#fff", "stroke-width": 0.7, "stroke-dasharray": "2 2" }), seen),
      play.place(play.svg("rect", { fill: "none", stroke: "var(--pink)", "stroke-width": 0.9 }), box));
    play.find("sees").textContent = `The receptive field of the anchor's score for ${glass.classes[klass]}: bright where a pixel changes it, `
      + `by the gradient. 90 % of that lie within ${seen[2] - seen[0]} pixels across and ${seen[3] - seen[1]} down (dashed); the anchor is pink.`;
  }, 120);
}

// ---- training

const chart = play.plot(play.find("curve"), { x: [0, 100], y: [0, 2], xticks: [0, 25, 50, 75, 100], yticks: [0, 1, 2], xlabel: "step",
  ylabel: "loss", height: 180, label: "Both losses by step: classes blue, boxes orange" });

function tell_training() {
  play.find("losses").textContent = `Step ${curve.length}: classification ${now.classification.toFixed(4)}, boxes ${now.box.toFixed(4)}, `
    + `over ${now.assigned} assigned anchors.`;
  play.find("hundred").textContent = left ? "Stop" : "A hundred steps";
  play.find("shipped").disabled = LAST.every(name => net.state[name].data.every((w, i) => w === SHIPPED[name][i]));
  const last = curve.slice(-101), at = k => last.map((losses, i) => [i, losses[k]]);
  chart.clear();
  if (last.length > 1) [at(0), at(1)].forEach((line, k) => chart.line(line, k ? "var(--orange)" : "var(--blue)"));
}

function step() {
  curve.push([now.classification, now.box]);
  const grads = objective.last_gradients(net, now.pass.seen, now.grad_logits, now.grad_deltas);
  objective.sgd(net.state, grads, +play.find("rate").value, MOMENTUM, velocity);
  judge();
}

function stop() { left = 0; }

function run() {
  if (!left) return;
  step();
  left--;
  draw();
  requestAnimationFrame(run);
}

/** Other last layers, from which training begins anew. */
function replace(value) {
  stop();
  for (const name of LAST) net.state[name].data.forEach((_, i, data) => { data[i] = value(name, i); });
  [velocity, curve] = [{}, []];
  judge();
  draw();
}

play.find("one").addEventListener("click", () => { stop(); step(); draw(); });
play.find("hundred").addEventListener("click", () => {
  if (left) { stop(); draw(); return; }
  left = 100;
  requestAnimationFrame(run);
});
play.find("shipped").addEventListener("click", () => replace((name, i) => SHIPPED[name][i]));
play.find("forget").addEventListener("click", () => { // section 4.1: Gaussian weights, and scores that begin at the prior
  let state = 1;
  const uniform = () => (state = state * 16807 % 2147483647) / 2147483647;
  const gaussian = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  replace(name => (name.endsWith("weight") ? 0.01 * gaussian() : name.startsWith("class") ? minidet.logit(config.prior) : 0));
});

read();
picture.show(glass.pictures[0]);
play.set(photograph, { href: picture.address() });
requestAnimationFrame(() => setTimeout(see)); // the picture is seen before the network is
