/* The operations of minidet/reference in JavaScript, for the pages to play with: the same names, arguments and order of
 * arithmetic, so that a browser shows the digits of the tested reference. tests/site/test_parity.py compares them.
 *
 * Boxes are arrays [x1, y1, x2, y2] in pixels, a set of boxes is an array of them. Nothing is checked here: a page gives
 * what the functions take. The equations are explained where they are derived, in the file named above each part.
 *
 * A classic script, because browsers refuse modules to pages that are opened from the file system. It defines the global
 * `minidet`; Node gets the same object from require("./minidet.js").
 */
"use strict";

const minidet = (() => {
  const BACKGROUND = -1, IGNORED = -2;
  const MAX_LOG_SCALE = Math.log(1000 / 16);

  // ---- boxes.py

  const box_area = boxes => boxes.map(area);

  const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

  /** The box that two boxes share; of no area where they share nothing. */
  function intersection(a, b) {
    const x1 = Math.max(a[0], b[0]), y1 = Math.max(a[1], b[1]);
    return [x1, y1, Math.max(x1, Math.min(a[2], b[2])), Math.max(y1, Math.min(a[3], b[3]))];
  }

  /** IoU of two boxes; 0 where neither has an area. */
  function iou(a, b) {
    const shared = area(intersection(a, b));
    const union = area(a) + area(b) - shared;
    return union > 0 ? shared / union : 0;
  }

  const box_iou = (boxes1, boxes2) => boxes1.map(a => boxes2.map(b => iou(a, b))); // (N, M)

  function centre_size([x1, y1, x2, y2]) {
    const w = x2 - x1, h = y2 - y1;
    return [x1 + w / 2, y1 + h / 2, w, h];
  }

  function encode_boxes(boxes, anchors) {
    return boxes.map((box, i) => {
      const [x, y, w, h] = centre_size(box), [xa, ya, wa, ha] = centre_size(anchors[i]);
      return [(x - xa) / wa, (y - ya) / ha, Math.log(w / wa), Math.log(h / ha)];
    });
  }

  function decode_boxes(deltas, anchors) {
    return deltas.map(([tx, ty, tw, th], i) => {
      const [xa, ya, wa, ha] = centre_size(anchors[i]);
      const x = tx * wa + xa, y = ty * ha + ya;
      const w = Math.exp(Math.min(tw, MAX_LOG_SCALE)) * wa, h = Math.exp(Math.min(th, MAX_LOG_SCALE)) * ha;
      return [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
    });
  }

  function clip_boxes(boxes, [height, width]) {
    const clip = (value, high) => Math.min(Math.max(value, 0), high);
    return boxes.map(([x1, y1, x2, y2]) => [clip(x1, width), clip(y1, height), clip(x2, width), clip(y2, height)]);
  }

  // ---- anchors.py; config: {levels, sizes, scales, aspect_ratios, offset}, as minidet.config.AnchorConfig

  const PAPER_ANCHORS = {
    levels: [3, 4, 5, 6, 7], sizes: [32, 64, 128, 256, 512], scales: [1, 2 ** (1 / 3), 2 ** (2 / 3)],
    aspect_ratios: [0.5, 1, 2], offset: 0.5,
  };

  function cell_anchors(size, scales, aspect_ratios) {
    return aspect_ratios.flatMap(ratio => scales.map(scale => {
      const root = Math.sqrt(ratio), side = size * scale;
      const w = side / root / 2, h = side * root / 2;
      return [-w, -h, w, h];
    }));
  }

  /** How many rows and columns of cells each level has, and how far apart they are. */
  function grids([height, width], config) {
    return config.levels.map((level, i) => {
      const stride = 2 ** level;
      return { size: config.sizes[i], stride, rows: Math.ceil(height / stride), columns: Math.ceil(width / stride) };
    });
  }

  function pyramid_anchors(image_size, config) {
    return grids(image_size, config).map(({ size, stride, rows, columns }) => {
      const cell = cell_anchors(size, config.scales, config.aspect_ratios), anchors = [];
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++) {
          const x = (column + config.offset) * stride, y = (row + config.offset) * stride;
          for (const [x1, y1, x2, y2] of cell) anchors.push([x + x1, y + y1, x + x2, y + y2]);
        }
      return anchors;
    });
  }

  // ---- assignment.py

  function assign_anchors(anchors, gt_boxes, positive_iou = 0.5, negative_iou = 0.4, force_match = false) {
    const best_of_gt = gt_boxes.map(() => 0);
    const overlaps = box_iou(anchors, gt_boxes);
    for (const row of overlaps) row.forEach((value, j) => { best_of_gt[j] = Math.max(best_of_gt[j], value); });
    return overlaps.map(row => {
      const best = Math.max(...row); // -Infinity without any box
      const forced = force_match && row.some((value, j) => value > 0 && value === best_of_gt[j]);
      if (best >= positive_iou || forced) return row.indexOf(best);
      return best < negative_iou ? BACKGROUND : IGNORED;
    });
  }

  // ---- stable.py and losses.py; a loss takes one logit and one target, 0 or 1

  const sigmoid = v => { const e = Math.exp(-Math.abs(v)); return (v >= 0 ? 1 : e) / (1 + e); };
  const softplus = v => Math.max(v, 0) + Math.log1p(Math.exp(-Math.abs(v)));
  const finite = v => Math.min(Math.max(v, -Number.MAX_VALUE), Number.MAX_VALUE);

  function logit(p) {
    if (p > 0 && p < 1) return Math.log(p) - Math.log1p(-p);
    return p ? Infinity : -Infinity;
  }

  /** alpha_t * value, 0 where the weight is 0, an infinite value included. */
  function weighted(alpha, target, value) {
    const alpha_t = alpha === null ? 1 : target ? alpha : 1 - alpha;
    return alpha_t ? alpha_t * value : 0;
  }

  /** u = -x_t and what the derivatives are made of: s = 1 - p_t, p = p_t, L = -log p_t, and the sign du/dx. */
  function parts(logit, target) {
    const sign = target ? -1 : 1, u = finite(sign * logit);
    return { s: sigmoid(u), p: sigmoid(-u), L: softplus(u), sign };
  }

  function cross_entropy(logit, target, alpha = null) {
    return weighted(alpha, target, softplus(target ? -logit : logit));
  }

  function cross_entropy_grad(logit, target, alpha = null) {
    const { s, sign } = parts(logit, target);
    return weighted(alpha, target, s * sign);
  }

  function cross_entropy_hess(logit, target, alpha = null) {
    const { s, p } = parts(logit, target);
    return weighted(alpha, target, s * p);
  }

  function focal_loss(logit, target, gamma = 2, alpha = 0.25) {
    const u = target ? -logit : logit;
    return weighted(alpha, target, sigmoid(u) ** gamma * softplus(u));
  }

  function focal_loss_grad(logit, target, gamma = 2, alpha = 0.25) {
    const { s, p, L, sign } = parts(logit, target);
    return weighted(alpha, target, s ** gamma * (gamma * (p * L) + s) * sign);
  }

  function focal_loss_hess(logit, target, gamma = 2, alpha = 0.25) {
    const { s, p, L } = parts(logit, target);
    return weighted(alpha, target, s ** gamma * (gamma * (p * L) * (gamma * p - s) + (2 * gamma + 1) * p * s));
  }

  // ---- nms.py

  /** The indices by falling score; of equal scores the lower index first. */
  const by_score = scores => scores.map((_, i) => i).sort((i, j) => scores[j] - scores[i] || i - j);

  /** What suppression does, step by step: [{kept, dropped: [{index, iou}]}]. With classes, only its own class is dropped. */
  function nms_steps(boxes, scores, classes = null, iou_threshold = 0.5) {
    const steps = [];
    let order = by_score(scores);
    while (order.length) {
      const [kept, ...rest] = order, dropped = [];
      order = rest.filter(index => {
        const overlap = iou(boxes[kept], boxes[index]);
        const stays = overlap <= iou_threshold || (classes !== null && classes[kept] !== classes[index]);
        if (!stays) dropped.push({ index, iou: overlap });
        return stays;
      });
      steps.push({ kept, dropped });
    }
    return steps;
  }

  const nms = (boxes, scores, iou_threshold = 0.5) =>
    nms_steps(boxes, scores, null, iou_threshold).map(step => step.kept);

  const batched_nms = (boxes, scores, classes, iou_threshold = 0.5) =>
    nms_steps(boxes, scores, classes, iou_threshold).map(step => step.kept);

  // ---- average_precision.py

  function match_detections(boxes, scores, gt_boxes, iou_threshold = 0.5) {
    const correct = boxes.map(() => false), free = gt_boxes.map(() => true);
    for (const i of by_score(scores)) {
      let best = -1, most = iou_threshold;
      gt_boxes.forEach((gt, j) => {
        const overlap = iou(boxes[i], gt);
        if (free[j] && overlap >= most) [best, most] = [j, overlap]; // >=: of equal ones the highest index
      });
      if (best >= 0) { correct[i] = true; free[best] = false; }
    }
    return correct;
  }

  function precision_recall(correct, scores, num_gt) {
    let right = 0;
    const precision = [], recall = [];
    by_score(scores).forEach((i, n) => {
      right += correct[i];
      precision.push(right / (n + 1));
      recall.push(right / Math.max(1, num_gt));
    });
    return { precision, recall };
  }

  /** The highest precision at this recall or a higher one. */
  function envelope_of(precision) {
    let highest = 0;
    return precision.map((_, i) => (highest = Math.max(highest, precision[precision.length - 1 - i]))).reverse();
  }

  function average_precision(precision, recall, points = 101) {
    const envelope = envelope_of(precision);
    if (points === null)
      return envelope.reduce((sum, height, i) => sum + (recall[i] - (i ? recall[i - 1] : 0)) * height, 0);
    let sum = 0;
    for (let k = 0; k < points; k++) {
      const at = k === points - 1 ? 1 : k * (1 / (points - 1)); // as numpy.linspace rounds
      const reached = recall.findIndex(r => r >= at);
      sum += reached < 0 ? 0 : envelope[reached];
    }
    return sum / points;
  }

  return {
    BACKGROUND, IGNORED, PAPER_ANCHORS,
    box_area, intersection, iou, box_iou, encode_boxes, decode_boxes, clip_boxes,
    cell_anchors, grids, pyramid_anchors, assign_anchors,
    sigmoid, softplus, logit, cross_entropy, cross_entropy_grad, cross_entropy_hess,
    focal_loss, focal_loss_grad, focal_loss_hess,
    by_score, nms_steps, nms, batched_nms, match_detections, precision_recall, envelope_of, average_precision,
  };
})();

if (typeof module !== "undefined") module.exports = minidet;
