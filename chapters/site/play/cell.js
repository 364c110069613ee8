/* What the glass detector's page tells of a cell: its anchors, their outputs and targets, losses and gradients, what
 * suppression did, and the pixels on which a score depends. A classic script; it defines the global `cell`.
 */
"use strict";

const cell = (() => {
  const row = (texts, attributes = {}) => play.html("tr", attributes, ...texts.map(text => play.html("td", {}, text)));
  const short = box => box.map(v => v.toFixed(0)).join(", ");
  const digits = v => (v === 0 ? "0" : Math.abs(v) < 0.001 ? v.toExponential(1) : v.toFixed(3));

  /** What suppression did with every candidate, by level, anchor and class. */
  function fates({ candidates, steps }) {
    const found = new Map(), key = ({ level, anchor, klass }) => [level, anchor, klass].join();
    steps.forEach(({ kept, dropped }, n) => {
      found.set(key(candidates[kept]), `kept as detection ${n + 1}`);
      for (const { index, iou } of dropped) found.set(key(candidates[index]), `dropped by detection ${n + 1}, IoU ${iou.toFixed(2)}`);
    });
    return (level, anchor, klass) => found.get([level, anchor, klass].join()) ?? "score too low";
  }

  /** Fill both tables. `now` holds what the page knows; `at` is {level, index of the cell, anchor of the cell}. */
  function tell(now, { level, index, anchor }) {
    const per_cell = now.per_cell, first = index * per_cell, { gamma, alpha } = glass.loss;
    const objects = picture.objects(), before = now.anchors.slice(0, level).reduce((sum, one) => sum + one.length, 0);
    const meaning = label => (label >= 0 ? objects[label].name : label === minidet.IGNORED ? "ignored" : "background");
    const loss = (i, k) => {
      const label = now.targets.assignment[before + i], target = label >= 0 && objects[label].name === glass.classes[k] ? 1 : 0;
      const out = label === minidet.IGNORED, logit = now.logits[level][i][k];
      return { target: out ? "none" : String(target), loss: out ? 0 : minidet.focal_loss(logit, target, gamma, alpha) / now.normaliser,
        grad: now.grad_logits[level][i][k] };
    };
    const best = i => now.logits[level][i].indexOf(Math.max(...now.logits[level][i]));
    const decoded = i => minidet.clip_boxes(minidet.decode_boxes([now.deltas[level][i]], [now.anchors[level][i]]), now.size)[0];
    const { scales, aspect_ratios } = glass.config.anchors;

    play.find("anchors").replaceChildren(...Array.from({ length: per_cell }, (_, a) => {
      const i = first + a, [x1, y1, x2, y2] = now.anchors[level][i], k = best(i);
      const overlaps = objects.map(object => minidet.iou(now.anchors[level][i], object.box));
      const sum = glass.classes.reduce((total, _name, klass) => total + loss(i, klass).loss, 0);
      return row([`${a + 1}: ratio ${aspect_ratios[Math.floor(a / scales.length)]}, scale ${scales[a % scales.length].toFixed(2)}`, `${(x2 - x1).toFixed(0)} × ${(y2 - y1).toFixed(0)}`,
        Math.max(0, ...overlaps).toFixed(2), meaning(now.targets.assignment[before + i]),
        `${glass.classes[k]} ${minidet.sigmoid(now.logits[level][i][k]).toFixed(3)}`, digits(sum), short(decoded(i))],
      a === anchor ? { "aria-current": "true", class: "chosen" } : {});
    }));

    const i = first + anchor, label = now.targets.assignment[before + i], fate = fates(now.found), wanted = now.targets.offsets[before + i];
    play.find("classes").replaceChildren(...glass.classes.map((name, k) => {
      const { target, loss: value, grad } = loss(i, k), logit = now.logits[level][i][k];
      return row([name, logit.toFixed(3), minidet.sigmoid(logit).toFixed(3), target, digits(value), digits(grad), fate(level, i, k)]);
    }));
    const offsets = now.deltas[level][i].map(v => v.toFixed(2)).join(", ");
    play.find("fate").textContent = `Anchor ${anchor + 1} is at ${short(now.anchors[level][i])}; its offsets (${offsets}) make of it the box `
      + `${short(decoded(i))}. ` + (wanted ? `It is to find the ${meaning(label)}, with the offsets (${wanted.map(v => v.toFixed(2)).join(", ")}).`
      : label === minidet.IGNORED ? "It is ignored: no loss." : "It is background: its offsets have no loss.");
    return best(i);
  }

  /** The shares of the gradient of a logit by pixel, and the box that holds 90 % of them across and down. */
  function field(now, level, i, klass) {
    const grads = now.logits.map((rows, l) => (l === level ? rows.map((logits, j) => logits.map((_, k) => (j === i && k === klass ? 1 : 0))) : null));
    const { data } = now.pass.pixels(grads), area = picture.SIDE ** 2, size = new Float64Array(area);
    for (let p = 0; p < area; p++) size[p] = Math.abs(data[p]) + Math.abs(data[p + area]) + Math.abs(data[p + 2 * area]);
    const across = new Float64Array(picture.SIDE), down = new Float64Array(picture.SIDE);
    size.forEach((value, p) => { across[p % picture.SIDE] += value; down[Math.floor(p / picture.SIDE)] += value; });
    const [x1, x2] = middle(across), [y1, y2] = middle(down), bright = size.toSorted()[Math.floor(0.99 * area)] || 1;
    return { weights: size.map(value => Math.min(1, Math.sqrt(value / bright))), box: [x1, y1, x2, y2] };
  }

  /** From where to where the sums reach 5 % and 95 %. */
  function middle(values) {
    const total = values.reduce((a, b) => a + b, 0);
    let sum = 0, low = 0, high = values.length;
    values.forEach((value, i) => {
      if (sum < 0.05 * total) low = i;
      if (sum < 0.95 * total) high = i + 1;
      sum += value;
    });
    return [low, high];
  }

  return { tell, field };
})();
