/* The network that comes with the package, in JavaScript, forwards and back to its picture: what architecture.py, tape.py
 * and network.py of minidet/reference do for a ResNet of basic blocks with frozen norms. tests/site/test_network.py
 * compares the outputs and the gradient with theirs.
 *
 * A classic script, as minidet.js; it defines the global `network`.
 */
"use strict";

const network = (layers => {
  const STAGES = { 18: [2, 2, 2, 2], 34: [3, 4, 6, 3] }, NORM_GROUP = 8;

  /** Numbers from the bits of float16: sign, 5 bits of exponent, 10 of fraction. Of the weights none is infinite. */
  function halves(bits) {
    const found = new Float64Array(bits.length), powers = Float64Array.from({ length: 32 }, (_, e) => 2 ** (Math.max(e, 1) - 25));
    for (let i = 0; i < bits.length; i++) {
      const exponent = (bits[i] >> 10) & 31, fraction = (bits[i] & 1023) + (exponent ? 1024 : 0);
      found[i] = (bits[i] >> 15 ? -fraction : fraction) * powers[exponent];
    }
    return found;
  }

  /** The bytes of a base64 text. */
  function bytes(text) {
    const letters = atob(text), found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
    return found;
  }

  /** The network from what build.py wrote: settings, and name -> {shape, data} from the bytes of all arrays in a row. */
  function load({ config, arrays, weights }) {
    const { buffer } = bytes(weights), state = {};
    let at = 0;
    for (const [name, type, ...shape] of arrays) {
      const length = shape.reduce((a, b) => a * b, 1), wide = type === "float32";
      const read = wide ? new Float32Array(buffer, at, length) : new Uint16Array(buffer, at, length);
      state[name] = layers.map(shape, wide ? new Float64Array(read) : halves(read));
      at += read.byteLength;
    }
    return { config, state };
  }

  /** The pixels of a canvas, 4 bytes each of which the last is left out, as the map that the network takes. */
  function normalised(pixels, [height, width], { mean, std }) {
    const area = height * width, found = layers.map([3, height, width]);
    for (let c = 0, at = 0; c < 3; c++)
      for (let i = 0; i < area; i++, at++) found.data[at] = (pixels[4 * i + c] / 255 - mean[c]) / std[c];
    return found;
  }

  /** The layers by name, each of which notes how its gradient goes back. */
  function record({ state, config }) {
    const entries = [];
    const collect = (x, grad) => { x.grad = x.grad ? layers.add(x.grad, grad) : grad; };
    const note = (y, gradient) => { entries.push([y, gradient]); return y; };
    const array = name => state[name]?.data ?? null;
    return {
      conv(x, name, stride = 1, seen = null) {
        const weight = state[`${name}.weight`], padding = weight.shape[2] >> 1;
        const y = layers.products(weight.data, weight.shape[0], array(`${name}.bias`),
          seen ?? layers.windows(x, weight.shape[2], stride, padding));
        return note(y, g => collect(x, layers.conv2d_grad_x(g, x, weight, stride, padding)));
      },
      norm(x, name) {
        const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(of => array(`${name}.${of}`));
        return note(layers.frozen_batch_norm(x, weight, bias, mean, variance, config.norm_eps),
          g => collect(x, layers.frozen_batch_norm_grad(g, weight, variance, config.norm_eps)));
      },
      group_norm(x, name) {
        const weight = array(`${name}.weight`), groups = x.shape[0] / NORM_GROUP;
        return note(layers.group_norm(x, groups, weight, array(`${name}.bias`)),
          g => collect(x, layers.group_norm_grad(g, x, groups, weight)));
      },
      relu(x) {
        const y = layers.relu(x);
        return note(y, g => collect(x, layers.relu_grad(g, y)));
      },
      max_pool: x => note(layers.max_pool2d(x), g => collect(x, layers.max_pool2d_grad(g, x))),
      upsample: (x, like) => note(layers.upsample_nearest(x, like.shape.slice(1)),
        g => collect(x, layers.upsample_nearest_grad(g, x))),
      add: (x, y) => note(layers.add(x, y), g => { collect(x, g); collect(y, g); }),
      /** From the outputs that have a gradient back to x, whose gradient is returned; can be done again. */
      back(x) {
        for (const [y, gradient] of entries.toReversed()) {
          const grad = y.grad;
          y.grad = null;
          if (grad) gradient(grad);
        }
        const found = x.grad;
        x.grad = null;
        return found;
      },
    };
  }

  function backbone(t, image, depth) {
    let x = t.relu(t.norm(t.conv(image, "backbone.conv1", 2), "backbone.bn1"));
    const maps = [x];
    x = t.max_pool(x);
    STAGES[depth].forEach((repeats, stage) => {
      for (let i = 0; i < repeats; i++) x = basic_block(t, x, `backbone.layer${stage + 1}.${i}`, stage > 0 && i === 0 ? 2 : 1);
      maps.push(x);
    });
    return maps;
  }

  function basic_block(t, x, name, stride) {
    const y = t.relu(t.norm(t.conv(x, `${name}.conv1`, stride), `${name}.bn1`));
    const z = t.norm(t.conv(y, `${name}.conv2`), `${name}.bn2`);
    const same = stride === 1; // in the first stage the stem has the block's channels already
    return t.relu(t.add(z, same ? x : t.norm(t.conv(x, `${name}.downsample.0`, stride), `${name}.downsample.1`)));
  }

  function pyramid(t, maps, { anchors: { levels }, p6_from }) {
    const merged = maps.slice(levels[0] - 1).map((c, i) => t.conv(c, `fpn.lateral.${i}`));
    for (let i = merged.length - 2; i >= 0; i--) merged[i] = t.add(merged[i], t.upsample(merged[i + 1], merged[i]));
    const fine = levels.filter(level => level <= 5).length;
    const found = merged.slice(0, fine).map((m, i) => t.conv(m, `fpn.output.${i}`));
    let x = p6_from === "C5" ? maps.at(-1) : found.at(-1);
    for (const level of levels.slice(fine)) {
      x = t.conv(level === 6 ? x : t.relu(x), `fpn.extra.p${level}`, 2);
      found.push(x);
    }
    return found;
  }

  /** What the last conv of a subnet sees on a level. */
  function subnet(t, name, x, { head_convs, head_norm }) {
    for (let i = 0; i < head_convs; i++) {
      x = t.conv(x, `${name}.convs.${i}.0`);
      x = t.relu(head_norm === "group" ? t.group_norm(x, `${name}.convs.${i}.1`) : x);
    }
    return x;
  }

  /** One row per anchor, by y, x, anchor of the cell. */
  function rows({ shape: [channels, height, width], data }, numbers) {
    const found = [], area = height * width;
    for (let place = 0; place < area; place++)
      for (let first = 0; first < channels; first += numbers) {
        const row = [];
        for (let k = first; k < first + numbers; k++) row.push(data[k * area + place]);
        found.push(row);
      }
    return found;
  }

  /** The way back of `rows`: a map of a given shape. */
  function unrows(grad, [channels, height, width]) {
    const area = height * width, numbers = channels * area / grad.length, per_cell = channels / numbers;
    const found = layers.map([channels, height, width]);
    grad.forEach((row, i) => row.forEach((value, k) => {
      found.data[((i % per_cell) * numbers + k) * area + Math.floor(i / per_cell)] = value;
    }));
    return found;
  }

  /** The outputs from what the last convs see: lists over the levels of (N_level, K) logits and (N_level, 4) deltas. */
  function outputs({ state, config }, seen) {
    const last = (name, numbers) => seen.map(level => rows(layers.products(
      state[`${name}.output.weight`].data, state[`${name}.output.weight`].shape[0], state[`${name}.output.bias`].data,
      level[name]), numbers));
    return { logits: last("class_subnet", config.num_classes), deltas: last("box_subnet", 4) };
  }

  /** The outputs for a picture, what the last convs saw, and the way back from one logit to the picture. */
  function forward(net, image) {
    const t = record(net), { config } = net, names = ["class_subnet", "box_subnet"];
    const ends = pyramid(t, backbone(t, image, config.depth), config).map(level => {
      const found = { seen: {}, maps: {} };
      for (const name of names) {
        const x = subnet(t, name, level, config), windows = layers.windows(x, 3, 1, 1);
        found.seen[name] = windows;
        found.maps[name] = t.conv(x, `${name}.output`, 1, windows);
      }
      return found;
    });
    const seen = ends.map(end => end.seen), maps = ends.map(end => end.maps);
    return {
      seen,
      logits: maps.map(level => rows(level.class_subnet, config.num_classes)),
      deltas: maps.map(level => rows(level.box_subnet, 4)),
      /** The gradient of one logit, or with a whole list over the levels that of their weighted sum, by the pixels. */
      pixels(grad_logits, grad_deltas = null) {
        maps.forEach(({ class_subnet, box_subnet }, i) => {
          if (grad_logits[i]) class_subnet.grad = unrows(grad_logits[i], class_subnet.shape);
          if (grad_deltas?.[i]) box_subnet.grad = unrows(grad_deltas[i], box_subnet.shape);
        });
        return t.back(image);
      },
    };
  }

  return { halves, bytes, load, normalised, rows, unrows, outputs, forward };
})(typeof module === "undefined" ? layers : require("./layers.js"));

if (typeof module !== "undefined") module.exports = network;
