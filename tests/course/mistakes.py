"""Wrong solutions of the kinds that students write, one mistake each, and where the hint must point.

They are written from scratch, not from the known mistakes in `minidet.course.exercises`: some match one of those,
others
must be found by what they fail.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wrong:
    assignment: str
    function: str
    name: str
    hint: str
    """A regular expression that the hint matches."""
    source: str


SIGMOID = """
def _mine(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))))

"""

MISTAKES = [
    # ---- a1
    Wrong("a1", "box_area", "pixels counted inclusively", "without \\+ 1", """
def box_area(boxes):
    x1, y1, x2, y2 = np.asarray(boxes).T
    return (x2 - x1 + 1) * (y2 - y1 + 1)
"""),
    Wrong("a1", "box_area", "integers for floats", "type", """
def box_area(boxes):
    b = np.asarray(boxes, dtype=np.float64)
    return (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
"""),
    Wrong("a1", "box_iou", "touching boxes overlap", "touching", """
def box_iou(boxes1, boxes2):
    result = np.zeros((len(boxes1), len(boxes2)), np.result_type(boxes1, boxes2))
    for i, p in enumerate(boxes1):
        for j, q in enumerate(boxes2):
            w = min(p[2], q[2]) - max(p[0], q[0]) + 1
            h = min(p[3], q[3]) - max(p[1], q[1]) + 1
            if w > 0 and h > 0:
                both = (p[2] - p[0] + 1) * (p[3] - p[1] + 1) + (q[2] - q[0] + 1) * (q[3] - q[1] + 1)
                result[i, j] = w * h / (both - w * h)
    return result
"""),
    Wrong("a1", "box_iou", "no clamp", "do not touch.*negative sides", """
def box_iou(boxes1, boxes2):
    out = []
    for p in boxes1:
        row = []
        for q in boxes2:
            inter = (min(p[2], q[2]) - max(p[0], q[0])) * (min(p[3], q[3]) - max(p[1], q[1]))
            union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - inter
            row.append(inter / union if union else 0)
        out.append(row)
    return np.array(out, np.result_type(boxes1, boxes2)).reshape(len(boxes1), len(boxes2))
"""),
    Wrong("a1", "box_iou", "0 / 0", "0 / 0", """
def box_iou(boxes1, boxes2):
    size = np.clip(np.minimum(boxes1[:, None, 2:], boxes2[:, 2:]) - np.maximum(boxes1[:, None, :2], boxes2[:, :2]),
    0, None)
    inter = size.prod(axis=2)
    return inter / (box_area(boxes1)[:, None] + box_area(boxes2) - inter)
"""),
    Wrong("a1", "box_iou", "intersection left in the union", "counts the intersection twice", """
def box_iou(boxes1, boxes2):
    size = np.maximum(np.minimum(boxes1[:, None, 2:], boxes2[:, 2:]) - np.maximum(boxes1[:, None, :2], boxes2[:,
    :2]), 0)
    inter = size[..., 0] * size[..., 1]
    union = box_area(boxes1)[:, None] + box_area(boxes2)
    return np.where(union > 0, inter / np.where(union > 0, union, 1), 0).astype(union.dtype)
"""),
    Wrong("a1", "encode_boxes", "shift measured in the box", "size of the anchor, not by that of the box", """
def encode_boxes(boxes, anchors):
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    wa, ha = anchors[:, 2] - anchors[:, 0], anchors[:, 3] - anchors[:, 1]
    tx = (boxes[:, 0] + w / 2 - anchors[:, 0] - wa / 2) / w
    ty = (boxes[:, 1] + h / 2 - anchors[:, 1] - ha / 2) / h
    return np.stack([tx, ty, np.log(w / wa), np.log(h / ha)], axis=1)
"""),
    Wrong("a1", "encode_boxes", "corners instead of centres", "corner to corner", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    return np.hstack([(boxes[:, :2] - anchors[:, :2]) / wha, np.log(wh) - np.log(wha)])
"""),
    Wrong("a1", "encode_boxes", "no logarithm", "lack the logarithm", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    return np.hstack([shift / wha, wh / wha])
"""),
    Wrong("a1", "decode_boxes", "no clamp", "nothing clamps", """
def decode_boxes(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + size / 2 + deltas[:, :2] * size
    half = np.exp(deltas[:, 2:]) * size / 2
    return np.hstack([centre - half, centre + half])
"""),
    Wrong("a1", "decode_boxes", "clamped on both sides", "from below", """
def decode_boxes(deltas, anchors):
    limit = np.log(1000 / 16).astype(deltas.dtype)
    size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + size / 2 + deltas[:, :2] * size
    half = np.exp(np.clip(deltas[:, 2:], -limit, limit)) * size / 2
    return np.hstack([centre - half, centre + half])
"""),
    Wrong("a1", "decode_boxes", "clamps its argument in place", "changes the arrays", """
def decode_boxes(deltas, anchors):
    deltas = np.asarray(deltas)
    np.minimum(deltas[:, 2:], np.log(1000 / 16), out=deltas[:, 2:])
    size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + size / 2 + deltas[:, :2] * size
    half = np.exp(deltas[:, 2:]) * size / 2
    return np.hstack([centre - half, centre + half])
"""),
    Wrong("a1", "clip_boxes", "height and width swapped", "\\(height, width\\)", """
def clip_boxes(boxes, image_size):
    w, h = image_size
    out = boxes.copy()
    out[:, 0::2] = out[:, 0::2].clip(0, w)
    out[:, 1::2] = out[:, 1::2].clip(0, h)
    return out
"""),
    Wrong("a1", "clip_boxes", "last pixel", "width - 1", """
def clip_boxes(boxes, image_size):
    h, w = image_size
    out = boxes.copy()
    out[:, [0, 2]] = np.clip(out[:, [0, 2]], 0, w - 1)
    out[:, [1, 3]] = np.clip(out[:, [1, 3]], 0, h - 1)
    return out
"""),
    Wrong("a1", "clip_boxes", "each corner at one border only", "outside the image", """
def clip_boxes(boxes, image_size):
    h, w = image_size
    out = boxes.copy()
    out[:, 0] = np.maximum(out[:, 0], 0)
    out[:, 1] = np.maximum(out[:, 1], 0)
    out[:, 2] = np.minimum(out[:, 2], w)
    out[:, 3] = np.minimum(out[:, 3], h)
    return out
"""),
    Wrong("a1", "clip_boxes", "in place", "changes the arrays", """
def clip_boxes(boxes, image_size):
    h, w = image_size
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, w)
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, h)
    return boxes
"""),
    Wrong("a1", "cell_anchors", "loops the wrong way round", "ratio is the outer loop", """
def cell_anchors(size, scales, aspect_ratios):
    out = []
    for s in scales:
        for r in aspect_ratios:
            w, h = size * s / np.sqrt(r), size * s * np.sqrt(r)
            out.append([-w / 2, -h / 2, w / 2, h / 2])
    return np.array(out)
"""),
    Wrong("a1", "cell_anchors", "width over height", "height / width", """
def cell_anchors(size, scales, aspect_ratios):
    out = []
    for r in aspect_ratios:
        for s in scales:
            w, h = size * s * r**0.5, size * s / r**0.5
            out.append([-w / 2, -h / 2, w / 2, h / 2])
    return np.array(out)
"""),
    Wrong("a1", "pyramid_anchors", "x before y", "y, then x", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g in config.grids(image_size):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        if config.round_cells:
            cell = np.round(cell)
        out = []
        for i in range(g.columns):
            for j in range(g.rows):
                x, y = (i + config.offset) * g.stride_x, (j + config.offset) * g.stride_y
                out.append(cell + [x, y, x, y])
        levels.append(np.concatenate(out).astype(dtype))
    return levels
"""),
    Wrong("a1", "pyramid_anchors", "floor", "ceil", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g, stride in zip(config.grids(image_size), config.strides):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        cell = np.round(cell) if config.round_cells else cell
        ys = (np.arange(image_size[0] // stride) + config.offset) * g.stride_y
        xs = (np.arange(image_size[1] // stride) + config.offset) * g.stride_x
        out = [cell + [x, y, x, y] for y in ys for x in xs]
        levels.append(np.concatenate(out).astype(dtype))
    return levels
"""),
    Wrong("a1", "pyramid_anchors", "corner of the cell", "\\(index \\+ offset\\)", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g in config.grids(image_size):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        cell = np.round(cell) if config.round_cells else cell
        out = [cell + [i * g.stride_x, j * g.stride_y] * 2 for j in range(g.rows) for i in range(g.columns)]
        levels.append(np.concatenate(out).astype(dtype))
    return levels
"""),
    # ---- a2
    Wrong("a2", "assign_anchors", "> for >=", "yours is >", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.full(len(anchors), -2, np.int64)
    out[best < negative_iou] = -1
    out[best > positive_iou] = which[best > positive_iou]
    if force_match:
        top = iou.max(0, initial=0)
        for i in range(len(anchors)):
            if any(iou[i, j] == top[j] > 0 for j in range(len(gt_boxes))):
                out[i] = which[i]
    return out
"""),
    Wrong("a2", "assign_anchors", "background and ignored swapped", "other way round", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    out = []
    for a in anchors:
        iou = box_iou(a[None], gt_boxes)[0]
        if len(iou) == 0:
            out.append(-1)
        elif iou.max() >= positive_iou:
            out.append(int(iou.argmax()))
        else:
            out.append(-2 if iou.max() < negative_iou else -1)
    return np.array(out, np.int64)
"""),
    Wrong("a2", "assign_anchors", "no empty case", "without ground-truth boxes", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.where(best >= positive_iou, which, np.where(best < negative_iou, -1, -2))
    if force_match and len(anchors):
        top = iou.max(0)
        forced = ((iou == top) & (top > 0)).any(1)
        out[forced] = which[forced]
    return out
"""),
    Wrong("a2", "assign_anchors", "force goes to the box that forced", "overlaps most itself", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0 or len(anchors) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.where(best >= positive_iou, which, np.where(best < negative_iou, -1, -2))
    if force_match:
        for j in range(len(gt_boxes)):
            top = iou[:, j].max()
            if top > 0:
                out[iou[:, j] == top] = j
    return out
"""),
    Wrong("a2", "assign_anchors", "last of equals", "lowest index", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    out = np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    top = iou.max(0, initial=0)
    for i in range(len(anchors)):
        best, which = -1, -1
        for j in range(len(gt_boxes)):
            if iou[i, j] >= best:
                best, which = iou[i, j], j
        if which >= 0:
            out[i] = which if best >= positive_iou else -1 if best < negative_iou else -2
            if force_match and ((iou[i] == top) & (top > 0)).any():
                out[i] = which
    return out
"""),
    Wrong("a2", "nms", "drops at equality", "stays", """
def nms(boxes, scores, iou_threshold=0.5):
    order = list(np.argsort(-scores, kind="stable"))
    keep = []
    while order:
        i = order.pop(0)
        keep.append(i)
        order = [j for j in order if box_iou(boxes[[i]], boxes[[j]])[0, 0] < iou_threshold]
    return np.array(keep, np.int64)
"""),
    Wrong("a2", "nms", "reversed argsort", "lower index", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(scores, kind="stable")[::-1]
    keep = []
    while order.size:
        keep.append(order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return np.array(keep, dtype=np.int64)
"""),
    Wrong("a2", "nms", "worst first", "worst", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(scores, kind="stable")
    keep = []
    while order.size:
        keep.append(order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return np.array(keep, dtype=np.int64)
"""),
    Wrong("a2", "nms", "dropped boxes drop", "dropped", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    iou = box_iou(boxes[order], boxes[order])
    beaten = np.triu(iou > iou_threshold, k=1).any(axis=0)
    return order[~beaten]
"""),
    Wrong("a2", "nms", "floats for indices", "type.*int64", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    keep = np.array([])
    while len(order):
        keep = np.append(keep, order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return keep
"""),
    Wrong("a2", "batched_nms", "classes ignored", "across classes", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    return nms(boxes, scores, iou_threshold)
"""),
    Wrong("a2", "batched_nms", "class after class", "class after class", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    keep = []
    for c in sorted(set(classes.tolist())):
        where = np.nonzero(classes == c)[0]
        keep += where[nms(boxes[where], scores[where], iou_threshold)].tolist()
    return np.array(keep, np.int64)
"""),
    Wrong("a2", "batched_nms", "shifted too little", "negative", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    shift = classes * (np.max(boxes) + 0.001)
    return nms(boxes + shift[:, np.newaxis], scores, iou_threshold)
"""),
    # ---- a3
    Wrong("a3", "cross_entropy", "alpha on the wrong side", "wrong side", """
def cross_entropy(logits, targets, alpha=None):
    u = np.where(np.asarray(targets) == 1, -logits, logits)
    loss = np.maximum(u, 0) + np.log1p(np.exp(-np.abs(u)))
    return loss if alpha is None else (loss * np.where(np.asarray(targets) == 1, 1 - alpha, alpha)).astype(logits.dtype)
"""),
    Wrong("a3", "cross_entropy", "unstable log", "ordinary logits", """
def cross_entropy(logits, targets, alpha=None):
    p = 1 / (1 + np.exp(-logits))
    p_t = np.where(targets == 1, p, 1 - p)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1 - alpha).astype(logits.dtype)
    return -weight * np.log(p_t)
"""),
    Wrong("a3", "cross_entropy", "mean", "no mean", """
def cross_entropy(logits, targets, alpha=None):
    u = np.where(targets == 1, -logits, logits)
    loss = np.logaddexp(0, u) * (1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha))
    return loss.mean()
"""),
    Wrong("a3", "cross_entropy_grad", "the sign", "sign", SIGMOID + """
def cross_entropy_grad(logits, targets, alpha=None):
    grad = targets - _mine(logits)
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "cross_entropy_grad", "derivative with respect to p", "chain rule", """
def cross_entropy_grad(logits, targets, alpha=None):
    p = 1 / (1 + np.exp(-logits))
    grad = np.where(targets == 1, -1 / p, 1 / (1 - p))
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss", "easy examples kept", "p_t\\*\\*gamma, keeps", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = _mine(-u) ** gamma * np.logaddexp(0, u)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss", "one weight for both", "same weight", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = _mine(u) ** gamma * np.logaddexp(0, u)
    return loss if alpha is None else alpha * loss
"""),
    Wrong("a3", "focal_loss", "gamma fixed", "gamma is fixed", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = _mine(u) ** 2 * np.logaddexp(0, u)
    return loss if alpha is None else (loss * np.where(targets == 1, alpha, 1 - alpha)).astype(logits.dtype)
"""),
    Wrong("a3", "focal_loss_grad", "a term is missing", "lacks the term gamma p_t log p_t", SIGMOID + """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    y = np.where(targets == 1, 1, -1)
    p_t = _mine(y * logits)
    grad = y * _mine(-y * logits) ** gamma * (p_t - 1)
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_grad", "background keeps its sign", "background lacks its sign", SIGMOID + """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    s, p = _mine(u), _mine(-u)
    grad = -(s**gamma) * (gamma * p * np.logaddexp(0, u) + s)
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_grad", "alpha forgotten", "alpha", SIGMOID + """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    s, p = _mine(u), _mine(-u)
    return np.where(targets == 1, -1, 1) * s**gamma * (gamma * p * np.logaddexp(0, u) + s)
"""),
    Wrong("a3", "focal_loss_star", "no division by gamma", "division by gamma is missing", """
def focal_loss_star(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    z = gamma * np.where(targets == 1, logits, -logits) + beta
    loss = np.logaddexp(0, -z)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_star_grad", "gamma too many", "gamma too many", SIGMOID + """
def focal_loss_star_grad(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    y = np.where(targets == 1, 1, -1)
    grad = -y * gamma * _mine(-(gamma * y * logits + beta))
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "smooth_l1", "beta only in the parabola", "\\|d\\| - beta / 2", """
def smooth_l1(predictions, targets, beta=1.0):
    d = np.abs(predictions - targets)
    return np.where(d < beta, d * d / (2 * max(beta, 1e-300)), d - 0.5).astype(predictions.dtype) if beta else d
"""),
    Wrong("a3", "smooth_l1", "divides by beta = 0", "beta = 0", """
def smooth_l1(predictions, targets, beta=1.0):
    d = predictions - targets
    weight = (np.abs(d) < beta).astype(d.dtype)
    return weight * d * d / (2 * beta) + (1 - weight) * (np.abs(d) - beta / 2)
"""),
    Wrong("a3", "smooth_l1_grad", "with respect to the targets", "respect to the targets", """
def smooth_l1_grad(predictions, targets, beta=1.0):
    d = targets - predictions
    return np.clip(d / beta, -1, 1) if beta else np.sign(d)
"""),
    # ---- a4
    Wrong("a4", "match_detections", "an object found twice", "taken once", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    if len(gt_boxes) == 0:
        return np.zeros(len(boxes), bool)
    return (box_iou(boxes, gt_boxes) >= iou_threshold).any(axis=1)
"""),
    Wrong("a4", "match_detections", "order of the input", "in the order of the input", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes)
    out = np.zeros(len(boxes), bool)
    for i in range(len(boxes)):
        if len(gt_boxes) and iou[i].max() >= iou_threshold:
            out[i] = True
            iou[:, iou[i].argmax()] = -1
    return out
"""),
    Wrong("a4", "match_detections", "VOC's rule", "next best free one", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    out, used = np.zeros(len(boxes), bool), set()
    iou = box_iou(boxes, gt_boxes)
    for i in np.argsort(-scores, kind="stable"):
        if len(gt_boxes):
            j = int(iou[i].argmax())
            if iou[i, j] >= iou_threshold and j not in used:
                used.add(j)
                out[i] = True
    return out
"""),
    Wrong("a4", "precision_recall", "not sorted", "as they come", """
def precision_recall(correct, scores, num_gt):
    tp = np.cumsum(correct)
    return tp / (np.arange(len(tp)) + 1), tp / max(num_gt, 1)
"""),
    Wrong("a4", "precision_recall", "recall of those found", "those found", """
def precision_recall(correct, scores, num_gt):
    hits = np.cumsum(np.asarray(correct)[np.argsort(-np.asarray(scores), kind="stable")])
    total = hits[-1] if len(hits) and hits[-1] else 1
    return hits / np.arange(1, len(hits) + 1), hits / total
"""),
    Wrong("a4", "average_precision", "no envelope", "envelope is missing", """
def average_precision(precision, recall, points=101):
    if points is None:
        total, last = 0.0, 0.0
        for p, r in zip(precision, recall):
            total += (r - last) * p
            last = r
        return float(total)
    total = 0.0
    for r in np.linspace(0, 1, points):
        reached = np.nonzero(recall >= r)[0]
        total += precision[reached[0]] if len(reached) else 0
    return float(total / points)
"""),
    Wrong("a4", "average_precision", "one point too few", "0\\.01 apart", """
def average_precision(precision, recall, points=101):
    env = [max(precision[i:]) for i in range(len(precision))]
    if points is None:
        return float(sum((r - q) * p for p, r, q in zip(env, recall, [0, *recall])))
    grid = [k / (points - 1) for k in range(points - 1)]
    return float(np.mean([max([p for p, r in zip(env, recall) if r >= g], default=0) for g in grid]))
"""),
    Wrong("a4", "postprocess", "suppression across classes", "across classes", """
def postprocess(logits, deltas, anchors, image_size, config):
    from minidet.structures import Detections
    all_x, all_b, all_c = [], [], []
    for x, t, a in zip(logits, deltas, anchors):
        i, c = np.nonzero(1 / (1 + np.exp(-x.astype(float))) > config.score_threshold)
        best = np.argsort(-x[i, c], kind="stable")[: config.max_per_level]
        i, c = i[best], c[best]
        all_x.append(x[i, c]); all_b.append(decode_boxes(t[i], a[i])); all_c.append(c)
    x, b, c = np.concatenate(all_x), clip_boxes(np.concatenate(all_b), image_size), np.concatenate(all_c)
    keep = nms(b, x, config.iou_threshold)[: config.max_detections]
    return Detections(b[keep], (1 / (1 + np.exp(-x[keep]))).astype(x.dtype), c[keep])
"""),
    Wrong("a4", "postprocess", "no clipping", "clip", """
def postprocess(logits, deltas, anchors, image_size, config):
    from minidet.structures import Detections
    all_x, all_b, all_c = [], [], []
    for x, t, a in zip(logits, deltas, anchors):
        i, c = np.nonzero(1 / (1 + np.exp(-x.astype(float))) > config.score_threshold)
        best = np.argsort(-x[i, c], kind="stable")[: config.max_per_level]
        i, c = i[best], c[best]
        all_x.append(x[i, c]); all_b.append(decode_boxes(t[i], a[i])); all_c.append(c)
    x, b, c = np.concatenate(all_x), np.concatenate(all_b), np.concatenate(all_c)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return Detections(b[keep], (1 / (1 + np.exp(-x[keep]))).astype(x.dtype), c[keep])
"""),
    Wrong("a4", "postprocess", "best class only", "several classes", """
def postprocess(logits, deltas, anchors, image_size, config):
    from minidet.structures import Detections
    all_x, all_b, all_c = [], [], []
    for x, t, a in zip(logits, deltas, anchors):
        c = x.argmax(1) if len(x) else np.zeros(0, np.int64)
        top = x[np.arange(len(x)), c]
        i = np.nonzero(1 / (1 + np.exp(-top.astype(float))) > config.score_threshold)[0]
        i = i[np.argsort(-top[i], kind="stable")][: config.max_per_level]
        all_x.append(top[i]); all_b.append(decode_boxes(t[i], a[i])); all_c.append(c[i])
    x, b, c = np.concatenate(all_x), clip_boxes(np.concatenate(all_b), image_size), np.concatenate(all_c)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return Detections(b[keep], (1 / (1 + np.exp(-x[keep]))).astype(x.dtype), c[keep])
"""),
    # ---- a5
    Wrong("a5", "ohem_sample", "suppression among the chosen", "suppress first", """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    if positives is None:
        top = np.argsort(-losses, kind="stable")[:batch_size]
        return top[nms(boxes[top], losses[top], iou_threshold)]
    keep = nms(boxes, losses, iou_threshold)
    r = negatives_per_positive
    pos = [i for i in keep if positives[i]][: batch_size // (1 + r)]
    neg = [i for i in keep if not positives[i]][: r * max(1, len(pos))]
    return np.array([i for i in keep if i in set(pos + neg)], np.int64)
"""),
    Wrong("a5", "ohem_sample", "nothing without positives", "no positive is left", """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    keep = nms(boxes, losses, iou_threshold)
    if positives is None:
        return keep[:batch_size]
    r = negatives_per_positive
    pos = [i for i in keep if positives[i]][: batch_size // (1 + r)]
    neg = [i for i in keep if not positives[i]][: r * len(pos)]
    return np.array([i for i in keep if i in set(pos + neg)], np.int64)
"""),
    Wrong("a5", "dense_focal_loss", "divided by all anchors", "by all anchors", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = labels != -2
    y = (labels[:, None] == np.arange(logits.shape[1])).astype(float)
    n = max(1, used.sum())
    grad = focal_loss_grad(logits, y, gamma, alpha) * used[:, None] / n
    return focal_loss(logits[used], y[used], gamma, alpha).sum() / n, grad
"""),
    Wrong("a5", "dense_focal_loss", "-1 as an index", "last class", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    grad = np.zeros_like(logits)
    if logits.size == 0:
        return logits.dtype.type(0), grad
    used = labels != -2
    y = np.zeros(logits.shape)
    y[np.arange(len(labels)), labels] = 1
    n = max(1, (labels >= 0).sum())
    grad[used] = focal_loss_grad(logits[used], y[used], gamma, alpha) / n
    return (focal_loss(logits[used], y[used], gamma, alpha).sum() / n).astype(logits.dtype), grad
"""),
    Wrong("a5", "dense_focal_loss", "gradient not divided", "gradient is divided", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = (labels != -2)[:, None]
    y = labels[:, None] == np.arange(logits.shape[1])
    n = max(1, int((labels >= 0).sum()))
    loss = (focal_loss(logits, y, gamma, alpha) * used).sum() / n
    return logits.dtype.type(loss), focal_loss_grad(logits, y, gamma, alpha) * used
"""),
]  # fmt: skip
