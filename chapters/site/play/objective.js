/* What becomes of the network's outputs, in JavaScript: detections (postprocess.py), the loss and its gradient
 * (objective.py, regression.py), and a step of the last layers against it (training.py's sgd). Lists over levels, one
 * image, as in minidet/reference; tests/site/test_network.py compares them.
 *
 * A classic script, as minidet.js; it defines the global `objective`.
 */
"use strict";

const objective = ((minidet, layers, network) => {
  const LAST = ["class_subnet", "box_subnet"];

  /** The candidates of an image with what suppression does to them, step by step, and the steps that make detections. */
  function postprocess(logits, deltas, anchors, image_size, config) {
    const least = minidet.logit(config.score_threshold);
    const candidates = logits.flatMap((level, l) => {
      const above = level.flatMap((row, anchor) => row.flatMap((logit, klass) =>
        logit > least ? [{ level: l, anchor, klass, logit }] : []));
      const best = minidet.by_score(above.map(one => one.logit)).slice(0, config.max_per_level).map(i => above[i]);
      const boxes = minidet.decode_boxes(best.map(one => deltas[l][one.anchor]), best.map(one => anchors[l][one.anchor]));
      return best.map((one, i) => ({ ...one, box: minidet.clip_boxes([boxes[i]], image_size)[0] }));
    });
    const each = name => candidates.map(one => one[name]);
    const steps = minidet.nms_steps(each("box"), each("logit"), each("klass"), config.iou_threshold);
    const kept = steps.slice(0, config.max_detections).map(step => candidates[step.kept]);
    return { candidates, steps, kept };
  }

  function smooth_l1(prediction, target, beta = 1) {
    const size = Math.abs(prediction - target), near = Math.min(size, beta);
    return size < beta ? 0.5 * near * (near / (beta || 1)) : size - 0.5 * beta;
  }

  function smooth_l1_grad(prediction, target, beta = 1) {
    const d = prediction - target;
    return Math.abs(d) < beta ? d / (beta || 1) : Math.sign(d);
  }

  /** What every anchor is to learn: the index of its object, -1 or -2; the offsets to that object, or null. */
  function targets(anchors, boxes, { assignment: rule }) {
    const all = anchors.flat();
    const assignment = minidet.assign_anchors(all, boxes, rule.positive_iou, rule.negative_iou, rule.force_match);
    const offsets = assignment.map((label, i) => (label < 0 ? null : minidet.encode_boxes([boxes[label]], [all[i]])[0]));
    return { assignment, offsets };
  }

  /** The two losses of an image with the focal loss, and their gradients, in lists over the levels. */
  function detection_loss(logits, deltas, { assignment, offsets }, classes, settings) {
    const { gamma, alpha, box_weight, smooth_l1_beta: beta } = settings, grad_logits = [], grad_deltas = [];
    const assigned = assignment.filter(label => label >= 0).length, normaliser = Math.max(1, assigned);
    let classification = 0, box = 0, at = 0;
    logits.forEach((level, l) => {
      grad_logits.push([]);
      grad_deltas.push([]);
      level.forEach((row, i) => {
        const label = assignment[at], wanted = offsets[at++];
        grad_logits[l].push(row.map((x, k) => {
          if (label === minidet.IGNORED) return 0;
          const target = label >= 0 && classes[label] === k ? 1 : 0;
          classification += minidet.focal_loss(x, target, gamma, alpha) / normaliser;
          return minidet.focal_loss_grad(x, target, gamma, alpha) / normaliser;
        }));
        grad_deltas[l].push(deltas[l][i].map((t, k) => {
          if (!wanted) return 0;
          box += smooth_l1(t, wanted[k], beta) / normaliser;
          return box_weight * smooth_l1_grad(t, wanted[k], beta) / normaliser;
        }));
      });
    });
    return { classification, box, assigned, grad_logits, grad_deltas };
  }

  /** The gradients of the last convs' weights and biases, by name, from those of the outputs. */
  function last_gradients(net, seen, grad_logits, grad_deltas) {
    const found = {};
    LAST.forEach((name, which) => {
      const { shape, data } = net.state[`${name}.output.weight`], weight = new Float64Array(data.length);
      const bias = new Float64Array(shape[0]);
      (which ? grad_deltas : grad_logits).forEach((level, l) => {
        const windows = seen[l][name], grad = network.unrows(level, [shape[0], windows.rows, windows.columns]);
        layers.conv2d_grad_weight(grad, windows).forEach((g, i) => { weight[i] += g; });
        grad.data.forEach((g, i) => { bias[Math.floor(i / (windows.rows * windows.columns))] += g; });
      });
      found[`${name}.output.weight`] = weight;
      found[`${name}.output.bias`] = bias;
    });
    return found;
  }

  /** v = momentum v + g, then w = w - learning_rate v, in place; velocity begins as {}. */
  function sgd(state, grads, learning_rate, momentum, velocity) {
    for (const [name, grad] of Object.entries(grads)) {
      const v = velocity[name] ??= new Float64Array(grad.length), w = state[name].data;
      for (let i = 0; i < w.length; i++) {
        v[i] = momentum * v[i] + grad[i];
        w[i] -= learning_rate * v[i];
      }
    }
  }

  return { LAST, postprocess, smooth_l1, smooth_l1_grad, targets, detection_loss, last_gradients, sgd };
})(...(typeof module === "undefined" ? [minidet, layers, network]
  : [require("./minidet.js"), require("./layers.js"), require("./network.js")]));

if (typeof module !== "undefined") module.exports = objective;
