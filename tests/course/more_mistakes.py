"""More wrong solutions, of other kinds: lost digits, shapes, missing returns, errors, forgotten arguments, steps in
another order, ties, conventions of other libraries. Each costs its own function, and the first hint points at it.
"""

from __future__ import annotations

from tests.course.mistakes import SIGMOID, Wrong

IOU = """
def _iou(a, b):
    wh = np.clip(np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2]), 0, None)
    inter = wh[..., 0] * wh[..., 1]
    area = lambda c: (c[:, 2] - c[:, 0]) * (c[:, 3] - c[:, 1])
    union = area(a)[:, None] + area(b)[None] - inter
    return np.where(union > 0, inter / np.where(union > 0, union, 1), 0)

"""
POST = """
def _sig(x):
    return 1 / (1 + np.exp(-x.astype(float)))

def _level(x, t, a, config):
    flat = np.nonzero(_sig(x).ravel() > config.score_threshold)[0]
    flat = flat[np.argsort(-x.ravel()[flat], kind="stable")][: config.max_per_level]
    i, c = flat // max(1, x.shape[1]), flat % max(1, x.shape[1])
    return x[i, c], decode_boxes(t[i], a[i]), c

def _all(logits, deltas, anchors, config):
    parts = [_level(*one, config) for one in zip(logits, deltas, anchors)]
    return [np.concatenate(p) for p in zip(*parts)]

def _out(b, x, c):
    from minidet.structures import Detections
    return Detections(b, _sig(x).astype(x.dtype), c)

"""

MISTAKES = [
    # ---- a1
    Wrong("a1", "box_area", "one area for all", "too few axes", """
def box_area(boxes):
    return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum()
"""),
    Wrong("a1", "box_area", "a column", "shape is not", """
def box_area(boxes):
    return (boxes[:, 2:3] - boxes[:, 0:1]) * (boxes[:, 3:4] - boxes[:, 1:2])
"""),
    Wrong("a1", "box_area", "nothing returned", "nothing is returned", """
def box_area(boxes):
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
"""),
    Wrong("a1", "box_area", "half, as of triangles", "0.5 times", """
def box_area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 2
"""),
    Wrong("a1", "box_iou", "an epsilon in the denominator", "epsilon", """
def box_iou(boxes1, boxes2):
    lt = np.maximum(boxes1[:, None, :2], boxes2[:, :2]); rb = np.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    wh = np.clip(rb - lt, 0, None); inter = wh[..., 0] * wh[..., 1]
    return inter / (box_area(boxes1)[:, None] + box_area(boxes2) - inter + 1e-6)
"""),
    Wrong("a1", "box_iou", "float32 on the way", "float32", IOU + """
def box_iou(boxes1, boxes2):
    return _iou(boxes1.astype(np.float32), boxes2.astype(np.float32)).astype(boxes1.dtype)
"""),
    Wrong("a1", "box_iou", "pairs instead of a table", "raises ValueError|shape|axes", """
def box_iou(boxes1, boxes2):
    wh = np.clip(np.minimum(boxes1[:, 2:], boxes2[:, 2:]) - np.maximum(boxes1[:, :2], boxes2[:, :2]), 0, None)
    inter = wh.prod(axis=1)
    return inter / (box_area(boxes1) + box_area(boxes2) - inter)
"""),
    Wrong("a1", "box_iou", "absolute sides", "share nothing|each side", """
def box_iou(boxes1, boxes2):
    lt = np.maximum(boxes1[:, None, :2], boxes2[:, :2]); rb = np.minimum(boxes1[:, None, 2:], boxes2[:, 2:])
    wh = np.abs(rb - lt); inter = wh[..., 0] * wh[..., 1]
    union = box_area(boxes1)[:, None] + box_area(boxes2) - inter
    return np.where(union > 0, inter / np.where(union > 0, union, 1), 0).astype(union.dtype)
"""),
    Wrong("a1", "box_iou", "a list of lists", "array of shape|array.*expected|type", IOU + """
def box_iou(boxes1, boxes2):
    return _iou(boxes1, boxes2).tolist()
"""),
    Wrong("a1", "encode_boxes", "four rows", "rows and columns are exchanged|shape", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / wha
    return np.stack([shift[:, 0], shift[:, 1], np.log(wh[:, 0] / wha[:, 0]), np.log(wh[:, 1] / wha[:, 1])])
"""),
    Wrong("a1", "encode_boxes", "SSD's variances", "variances", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / wha
    return np.hstack([shift / 0.1, np.log(wh / wha) / 0.2])
"""),
    Wrong("a1", "encode_boxes", "log10", "natural logarithm|times the right one", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / wha
    return np.hstack([shift, np.log10(wh / wha)])
"""),
    Wrong("a1", "encode_boxes", "an epsilon in the logarithm", "epsilon", """
def encode_boxes(boxes, anchors):
    wh, wha = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    shift = ((boxes[:, :2] + boxes[:, 2:]) - (anchors[:, :2] + anchors[:, 2:])) / 2 / wha
    return np.hstack([shift, np.log(wh / wha + 1e-7)])
"""),
    Wrong("a1", "decode_boxes", "centre and size", "corners are expected", """
def decode_boxes(deltas, anchors):
    wh = anchors[:, 2:] - anchors[:, :2]
    c = anchors[:, :2] + wh / 2 + deltas[:, :2] * wh
    return np.hstack([c, np.exp(np.minimum(deltas[:, 2:], float(np.log(1000 / 16)))) * wh])
"""),
    Wrong("a1", "decode_boxes", "NumPy's logarithm makes float64", "type.*np.log", """
def decode_boxes(deltas, anchors):
    limit = np.log(1000 / 16)
    wh = anchors[:, 2:] - anchors[:, :2]
    c = anchors[:, :2] + wh / 2 + deltas[:, :2] * wh
    half = np.exp(np.minimum(deltas[:, 2:], np.array(limit))) * wh / 2
    return np.hstack([c - half, c + half]).astype(np.float64)
"""),
    Wrong("a1", "decode_boxes", "limit in pixels", "pixels", """
def decode_boxes(deltas, anchors):
    wh = anchors[:, 2:] - anchors[:, :2]
    c = anchors[:, :2] + wh / 2 + deltas[:, :2] * wh
    half = np.minimum(np.exp(deltas[:, 2:]) * wh, 1000) / 2
    return np.hstack([c - half, c + half])
"""),
    Wrong("a1", "clip_boxes", "only the near border", "lower border", """
def clip_boxes(boxes, image_size):
    return np.maximum(boxes, 0)
"""),
    Wrong("a1", "clip_boxes", "drops what is outside", "drop", """
def clip_boxes(boxes, image_size):
    h, w = image_size
    out = np.clip(boxes, 0, np.array([w, h, w, h], boxes.dtype))
    return out[(out[:, 2] > out[:, 0]) & (out[:, 3] > out[:, 1])]
"""),
    Wrong("a1", "clip_boxes", "a typo", "name is used here that does not exist", """
def clip_boxes(boxes, image_size):
    h, w = image_size
    return np.clip(boxes, 0, np.array([w, h, w, hight], boxes.dtype))
"""),
    Wrong("a1", "cell_anchors", "zip for product", "pair", """
def cell_anchors(size, scales, aspect_ratios):
    out = []
    for s, r in zip(scales, aspect_ratios):
        w, h = size * s / np.sqrt(r), size * s * np.sqrt(r)
        out.append([-w / 2, -h / 2, w / 2, h / 2])
    return np.array(out, float).reshape(-1, 4)
"""),
    Wrong("a1", "cell_anchors", "whole pixels", "rounded", """
def cell_anchors(size, scales, aspect_ratios):
    out = []
    for r in aspect_ratios:
        for s in scales:
            w, h = size * s / np.sqrt(r), size * s * np.sqrt(r)
            out.append([-w / 2, -h / 2, w / 2, h / 2])
    return np.round(np.array(out, float))
"""),
    Wrong("a1", "cell_anchors", "area changes with the ratio", "area must not change", """
def cell_anchors(size, scales, aspect_ratios):
    out = []
    for r in aspect_ratios:
        for s in scales:
            w, h = size * s, size * s * r
            out.append([-w / 2, -h / 2, w / 2, h / 2])
    return np.array(out, float)
"""),
    Wrong("a1", "pyramid_anchors", "one array for all levels", "list of", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g in config.grids(image_size):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        cell = np.round(cell) if config.round_cells else cell
        out = [cell + [(i + config.offset) * g.stride_x, (j + config.offset) * g.stride_y] * 2
               for j in range(g.rows) for i in range(g.columns)]
        levels.append(np.concatenate(out).astype(dtype))
    return np.concatenate(levels)
"""),
    Wrong("a1", "pyramid_anchors", "offset fixed", "offset", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g in config.grids(image_size):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        cell = np.round(cell) if config.round_cells else cell
        out = [cell + [(i + 0.5) * g.stride_x, (j + 0.5) * g.stride_y] * 2
               for j in range(g.rows) for i in range(g.columns)]
        levels.append(np.concatenate(out).astype(dtype))
    return levels
"""),
    Wrong("a1", "pyramid_anchors", "round_cells forgotten", "round_cells", """
def pyramid_anchors(image_size, config, dtype=np.float64):
    levels = []
    for g in config.grids(image_size):
        cell = cell_anchors(g.size, g.scales, config.aspect_ratios)
        out = [cell + [(i + config.offset) * g.stride_x, (j + config.offset) * g.stride_y] * 2
               for j in range(g.rows) for i in range(g.columns)]
        levels.append(np.concatenate(out).astype(dtype))
    return levels
"""),
    # ---- a2
    Wrong("a2", "assign_anchors", "thresholds fixed", "positive_iou|threshold", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0 or len(anchors) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.where(best >= 0.5, which, np.where(best < negative_iou, -1, -2))
    if force_match:
        forced = ((iou == iou.max(0)) & (iou.max(0) > 0)).any(1)
        out[forced] = which[forced]
    return out
"""),
    Wrong("a2", "assign_anchors", "no anchor is ignored", "ignored, -2", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0 or len(anchors) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.where(best >= positive_iou, which, -1)
    if force_match:
        forced = ((iou == iou.max(0)) & (iou.max(0) > 0)).any(1)
        out[forced] = which[forced]
    return out
"""),
    Wrong("a2", "assign_anchors", "counted from 1", "counted from 0", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0 or len(anchors) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1) + 1
    out = np.where(best >= positive_iou, which, np.where(best < negative_iou, -1, -2))
    if force_match:
        forced = ((iou == iou.max(0)) & (iou.max(0) > 0)).any(1)
        out[forced] = which[forced]
    return out
"""),
    Wrong("a2", "assign_anchors", "force finds the first only", "ties", """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    if len(gt_boxes) == 0 or len(anchors) == 0:
        return np.full(len(anchors), -1, np.int64)
    iou = box_iou(anchors, gt_boxes)
    best, which = iou.max(1), iou.argmax(1)
    out = np.where(best >= positive_iou, which, np.where(best < negative_iou, -1, -2))
    if force_match:
        top = iou.argmax(0)[iou.max(0) > 0]
        out[top] = which[top]
    return out
"""),
    Wrong("a2", "nms", "threshold fixed", "iou_threshold makes no difference", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        keep.append(order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= 0.5]
    return np.array(keep, np.int64)
"""),
    Wrong("a2", "nms", "ranks for indices", "sorted boxes", """
def nms(boxes, scores, iou_threshold=0.5):
    b = boxes[np.argsort(-scores, kind="stable")]
    keep, left = [], np.arange(len(b))
    while len(left):
        keep.append(left[0])
        left = left[1:][box_iou(b[left[:1]], b[left[1:]])[0] <= iou_threshold]
    return np.array(keep, np.int64)
"""),
    Wrong("a2", "nms", "input order", "best score first", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        keep.append(order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return np.sort(np.array(keep, np.int64))
"""),
    Wrong("a2", "nms", "a list", "array", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        keep.append(int(order[0]))
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return keep
"""),
    Wrong("a2", "nms", "the boxes themselves", "shape|axes|indices", """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        keep.append(order[0])
        order = order[1:][box_iou(boxes[order[:1]], boxes[order[1:]])[0] <= iou_threshold]
    return boxes[keep]
"""),
    Wrong("a2", "nms", "over the smaller box", "smaller box", """
def nms(boxes, scores, iou_threshold=0.5):
    order, keep = list(np.argsort(-scores, kind="stable")), []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while order:
        i = order.pop(0)
        keep.append(i)
        left = []
        for j in order:
            w = max(0, min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0]))
            h = max(0, min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1]))
            small = min(area[i], area[j])
            if small == 0 or w * h / small <= iou_threshold:
                left.append(j)
        order = left
    return np.array(keep, np.int64)
"""),
    Wrong("a2", "nms", "calls itself without end", "calls itself", """
def nms(boxes, scores, iou_threshold=0.5):
    best = int(np.argmax(scores)) if len(scores) else 0
    return np.append(best, nms(boxes, scores, iou_threshold))
"""),
    Wrong("a2", "batched_nms", "threshold not handed on", "iou_threshold makes no difference", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    keep = [np.zeros(0, np.int64)]
    for c in np.unique(classes):
        where = np.nonzero(classes == c)[0]
        keep.append(where[nms(boxes[where], scores[where])])
    keep = np.sort(np.concatenate(keep))
    return keep[np.argsort(-scores[keep], kind="stable")]
"""),
    Wrong("a2", "batched_nms", "one per class", "best of each class", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    best = []
    for c in np.unique(classes):
        where = np.nonzero(classes == c)[0]
        best.append(where[np.argmax(scores[where])])
    best = np.sort(np.array(best, np.int64))
    return best[np.argsort(-scores[best], kind="stable")]
"""),
    Wrong("a2", "batched_nms", "equal scores class by class", "equal scores", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    keep = [np.zeros(0, np.int64)]
    for c in np.unique(classes):
        where = np.nonzero(classes == c)[0]
        keep.append(where[nms(boxes[where], scores[where], iou_threshold)])
    keep = np.concatenate(keep)
    return keep[np.argsort(-scores[keep], kind="stable")]
"""),
    Wrong("a2", "batched_nms", "no empty case", "[Ee]mpty|no boxes", """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    keep = []
    for c in np.unique(classes):
        where = np.nonzero(classes == c)[0]
        keep.append(where[nms(boxes[where], scores[where], iou_threshold)])
    keep = np.sort(np.concatenate(keep))
    return keep[np.argsort(-scores[keep], kind="stable")]
"""),
    # ---- a3
    Wrong("a3", "cross_entropy", "an epsilon in the logarithm", "epsilon", """
def cross_entropy(logits, targets, alpha=None):
    p = 1 / (1 + np.exp(-logits)); pt = np.where(targets == 1, p, 1 - p)
    return -np.log(pt + 1e-8) * (1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha))
"""),
    Wrong("a3", "cross_entropy", "background has no loss", "background has no loss", """
def cross_entropy(logits, targets, alpha=None):
    loss = -targets * -np.logaddexp(0, -logits)
    return (loss if alpha is None else alpha * loss).astype(logits.dtype)
"""),
    Wrong("a3", "cross_entropy", "the wrong way round", "wrong way round", """
def cross_entropy(logits, targets, alpha=None):
    u = np.where(targets == 1, logits, -logits)
    loss = np.logaddexp(0, u)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha).astype(logits.dtype)
"""),
    Wrong("a3", "cross_entropy", "clipped probabilities", "epsilon", """
def cross_entropy(logits, targets, alpha=None):
    with np.errstate(all="ignore"):
        p = np.clip(1 / (1 + np.exp(-logits)), 1e-12, 1 - 1e-12)
    pt = np.where(targets == 1, p, 1 - p)
    return -np.log(pt) * (1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha))
"""),
    Wrong("a3", "cross_entropy", "sum over the last axis", "no sum|axes", """
def cross_entropy(logits, targets, alpha=None):
    u = np.where(targets == 1, -logits, logits)
    loss = np.logaddexp(0, u) * (1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha))
    return loss.sum(axis=-1)
"""),
    Wrong("a3", "cross_entropy", "flattened", "shape is not", """
def cross_entropy(logits, targets, alpha=None):
    u = np.where(targets == 1, -logits, logits)
    loss = np.logaddexp(0, u) * (1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha))
    return loss.astype(logits.dtype).ravel()
"""),
    Wrong("a3", "cross_entropy_grad", "sigmoid less nothing", "sigmoid\\(x\\) - target", SIGMOID + """
def cross_entropy_grad(logits, targets, alpha=None):
    grad = _mine(logits)
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "cross_entropy_grad", "a difference quotient", "derive|difference quotient", """
def cross_entropy_grad(logits, targets, alpha=None):
    x, h = np.asarray(logits, float), 1e-5
    up, down = cross_entropy(x + h, targets, alpha), cross_entropy(x - h, targets, alpha)
    return ((up - down) / (2 * h)).astype(logits.dtype)
"""),
    Wrong("a3", "focal_loss", "p where p_t is meant", "p where p_t is meant", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = _mine(-logits) ** gamma * np.logaddexp(0, u)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss", "2 times", "times the right one", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = 2 * _mine(u) ** gamma * np.logaddexp(0, u)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss", "gamma in the exponent of e", "gamma is a power|\\(1 - p_t\\)\\*\\*gamma", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    u = np.where(targets == 1, -logits, logits)
    loss = np.exp(-gamma * _mine(-u)) * np.logaddexp(0, u)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss", "defaults changed", "default", SIGMOID + """
def focal_loss(logits, targets, gamma=2.0, alpha=None):
    u = np.where(targets == 1, -logits, logits)
    loss = _mine(u) ** gamma * np.logaddexp(0, u)
    return loss if alpha is None else (loss * np.where(targets == 1, alpha, 1 - alpha)).astype(logits.dtype)
"""),
    Wrong("a3", "focal_loss_grad", "the factor gamma is missing", "lacks its factor gamma", SIGMOID + """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    y = np.where(targets == 1, 1, -1)
    u = -y * logits
    s, p = _mine(u), _mine(-u)
    grad = -y * s**gamma * (p * np.logaddexp(0, u) + s)
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_grad", "power lowered", "power falls", SIGMOID + """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    y = np.where(targets == 1, 1, -1)
    u = -y * logits
    s, p = _mine(u), _mine(-u)
    with np.errstate(all="ignore"):
        grad = -y * (s ** (gamma + 1) + gamma * s ** (gamma - 1) * p * np.logaddexp(0, u))
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_grad", "a difference quotient", "derive|difference quotient", """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    x, h = np.asarray(logits, float), 1e-6
    up, down = focal_loss(x + h, targets, gamma, alpha), focal_loss(x - h, targets, gamma, alpha)
    return ((up - down) / (2 * h)).astype(logits.dtype)
"""),
    Wrong("a3", "focal_loss_star", "beta times gamma", "gamma multiplies x_t only", """
def focal_loss_star(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    z = gamma * (np.where(targets == 1, logits, -logits) + beta)
    loss = np.logaddexp(0, -z) / gamma
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_star", "beta changes its side", "beta belongs to x_t", """
def focal_loss_star(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    z = np.where(targets == 1, 1, -1) * (gamma * logits + beta)
    loss = (np.logaddexp(0, -z) / gamma).astype(logits.dtype)
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_star", "beta forgotten", "beta makes no difference|beta", """
def focal_loss_star(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    z = gamma * np.where(targets == 1, logits, -logits) + 1.0
    loss = np.logaddexp(0, -z) / gamma
    return loss if alpha is None else loss * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "focal_loss_star_grad", "divided once more", "division by gamma too many", SIGMOID + """
def focal_loss_star_grad(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    y = np.where(targets == 1, 1, -1)
    grad = -y * _mine(-(gamma * y * logits + beta)) / gamma
    return grad if alpha is None else grad * np.where(targets == 1, alpha, 1 - alpha)
"""),
    Wrong("a3", "smooth_l1", "squares everywhere", "squared error", """
def smooth_l1(predictions, targets, beta=1.0):
    d = predictions - targets
    return d * d / (2 * beta) if beta else np.abs(d)
"""),
    Wrong("a3", "smooth_l1", "signed difference below beta", "sign of d", """
def smooth_l1(predictions, targets, beta=1.0):
    d = predictions - targets
    if beta == 0:
        return np.abs(d)
    return np.where(d < beta, d * d / (2 * beta), np.abs(d) - beta / 2)
"""),
    Wrong("a3", "smooth_l1", "mean over the last axis", "no sum, no mean|axes", """
def smooth_l1(predictions, targets, beta=1.0):
    d = np.abs(predictions - targets)
    return (np.where(d < beta, d * d / (2 * beta), d - beta / 2) if beta else d).mean()
"""),
    Wrong("a3", "smooth_l1_grad", "beta beyond", "not beta", """
def smooth_l1_grad(predictions, targets, beta=1.0):
    d = predictions - targets
    return np.clip(d, -beta, beta) if beta else np.sign(d)
"""),
    # ---- a4
    Wrong("a4", "match_detections", "lowest of equal IoUs", "highest index", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes); right = np.zeros(len(boxes), bool); taken = np.zeros(len(gt_boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        free = np.where(taken, -1, iou[i])
        if len(free) and free.max() >= iou_threshold:
            taken[free.argmax()] = right[i] = True
    return right
"""),
    Wrong("a4", "match_detections", "equal scores, last first", "equal scores", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes); right = np.zeros(len(boxes), bool); taken = np.zeros(len(gt_boxes), bool)
    for i in np.argsort(scores, kind="stable")[::-1]:
        free = np.where(taken, -1, iou[i])[::-1]
        if len(free) and free.max() >= iou_threshold:
            taken[len(free) - 1 - free.argmax()] = right[i] = True
    return right
"""),
    Wrong("a4", "match_detections", "takes below the threshold", "does not reach the threshold", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes); right = np.zeros(len(boxes), bool); free = np.ones(len(gt_boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        if not free.any():
            break
        overlap = np.where(free, iou[i], -1)
        j = np.nonzero(overlap == overlap.max())[0][-1]
        free[j] = False
        right[i] = overlap[j] >= iou_threshold
    return right
"""),
    Wrong("a4", "match_detections", "threshold fixed", "iou_threshold makes no difference", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes); right = np.zeros(len(boxes), bool); free = np.ones(len(gt_boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        good = np.flatnonzero(free & (iou[i] >= 0.5))
        if len(good):
            j = good[iou[i, good] == iou[i, good].max()][-1]
            free[j], right[i] = False, True
    return right
"""),
    Wrong("a4", "match_detections", "indices for booleans", "type|class|array of bool|another order|expected", """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes); right = np.zeros(len(boxes), np.int64); free = np.ones(len(gt_boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        good = np.flatnonzero(free & (iou[i] >= iou_threshold))
        if len(good):
            j = good[iou[i, good] == iou[i, good].max()][-1]
            free[j], right[i] = False, 1
    return right
"""),
    Wrong("a4", "precision_recall", "an epsilon in both", "epsilon", """
def precision_recall(correct, scores, num_gt):
    tp = np.cumsum(np.asarray(correct)[np.argsort(-np.asarray(scores), kind="stable")])
    return tp / (np.arange(1, len(tp) + 1) + 1e-6), tp / (num_gt + 1e-6)
"""),
    Wrong("a4", "precision_recall", "recall first", "precision comes first", """
def precision_recall(correct, scores, num_gt):
    tp = np.cumsum(np.asarray(correct)[np.argsort(-np.asarray(scores), kind="stable")])
    return tp / max(1, num_gt), tp / np.arange(1, len(tp) + 1)
"""),
    Wrong("a4", "precision_recall", "one array of two rows", "tuple|single array", """
def precision_recall(correct, scores, num_gt):
    tp = np.cumsum(np.asarray(correct)[np.argsort(-np.asarray(scores), kind="stable")])
    return np.stack([tp / np.arange(1, len(tp) + 1), tp / max(1, num_gt)])
"""),
    Wrong("a4", "precision_recall", "0 / 0 without objects", "0 / 0|num_gt is 0", """
def precision_recall(correct, scores, num_gt):
    tp = np.cumsum(np.asarray(correct)[np.argsort(-np.asarray(scores), kind="stable")])
    return tp / np.arange(1, len(tp) + 1), tp / np.float64(num_gt)
"""),
    Wrong("a4", "average_precision", "a sentinel of precision 1", "no point of precision 1", """
def average_precision(precision, recall, points=101):
    p, r = np.append(1.0, precision), np.append(0.0, recall)
    env = np.maximum.accumulate(p[::-1])[::-1]
    if points is None:
        return float((np.diff(r, prepend=0) * env).sum())
    if len(precision) == 0:
        return 0.0
    return float(np.append(env, 0)[np.searchsorted(r, np.linspace(0, 1, points))].mean())
"""),
    Wrong("a4", "average_precision", "points fixed", "points makes no difference", """
def average_precision(precision, recall, points=101):
    env = np.maximum.accumulate(precision[::-1])[::-1]
    if points is None:
        return float((np.diff(recall, prepend=0) * env).sum())
    return float(np.append(env, 0)[np.searchsorted(recall, np.linspace(0, 1, 101))].mean())
"""),
    Wrong("a4", "average_precision", "linear interpolation", "interpolate", """
def average_precision(precision, recall, points=101):
    if len(precision) == 0:
        return 0.0
    if points is None:
        env = np.maximum.accumulate(precision[::-1])[::-1]
        return float((np.diff(recall, prepend=0) * env).sum())
    return float(np.interp(np.linspace(0, 1, points), recall, precision, right=0).mean())
"""),
    Wrong("a4", "average_precision", "one branch missing", "not written", """
def average_precision(precision, recall, points=101):
    if points is None:
        raise NotImplementedError
    env = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.append(env, 0)[np.searchsorted(recall, np.linspace(0, 1, points))].mean())
"""),
    Wrong("a4", "postprocess", "cut before NMS", "max_detections comes last", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    x, b, c = _all(logits, deltas, anchors, config)
    b = clip_boxes(b, image_size)
    best = np.argsort(-x, kind="stable")[: config.max_detections]
    x, b, c = x[best], b[best], c[best]
    keep = batched_nms(b, x, c, config.iou_threshold)
    return _out(b[keep], x[keep], c[keep])
"""),
    Wrong("a4", "postprocess", "clip after NMS", "clip before", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    x, b, c = _all(logits, deltas, anchors, config)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return _out(clip_boxes(b[keep], image_size), x[keep], c[keep])
"""),
    Wrong("a4", "postprocess", "NMS threshold fixed", "iou_threshold", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    x, b, c = _all(logits, deltas, anchors, config)
    b = clip_boxes(b, image_size)
    keep = batched_nms(b, x, c, 0.5)[: config.max_detections]
    return _out(b[keep], x[keep], c[keep])
"""),
    Wrong("a4", "postprocess", "score threshold on logits", "compare it with the sigmoids", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    found = []
    for x, t, a in zip(logits, deltas, anchors):
        i, c = np.nonzero(x > config.score_threshold)
        best = np.argsort(-x[i, c], kind="stable")[: config.max_per_level]
        i, c = i[best], c[best]
        found.append((x[i, c], decode_boxes(t[i], a[i]), c))
    x, b, c = [np.concatenate(p) for p in zip(*found)]
    b = clip_boxes(b, image_size)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return _out(b[keep], x[keep], c[keep])
"""),
    Wrong("a4", "postprocess", "a tuple of three in another order", "expected|order|shape", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    x, b, c = _all(logits, deltas, anchors, config)
    b = clip_boxes(b, image_size)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return _sig(x[keep]).astype(x.dtype), b[keep], c[keep]
"""),
    Wrong("a4", "postprocess", "equal logits, last first", "equal logits", POST + """
def postprocess(logits, deltas, anchors, image_size, config):
    found = []
    for x, t, a in zip(logits, deltas, anchors):
        i, c = np.nonzero(_sig(x) > config.score_threshold)
        best = np.argsort(x[i, c], kind="stable")[::-1][: config.max_per_level]
        i, c = i[best], c[best]
        found.append((x[i, c], decode_boxes(t[i], a[i]), c))
    x, b, c = [np.concatenate(p) for p in zip(*found)]
    b = clip_boxes(b, image_size)
    keep = batched_nms(b, x, c, config.iou_threshold)[: config.max_detections]
    return _out(b[keep], x[keep], c[keep])
"""),
    # ---- a5
    Wrong("a5", "ohem_sample", "threshold forgotten", "iou_threshold", """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    keep = nms(boxes, losses, 0.5)
    if positives is None:
        return keep[:batch_size]
    r = negatives_per_positive
    pos = np.flatnonzero(positives[keep])[: batch_size // (1 + r)]
    neg = np.flatnonzero(~positives[keep])[: r * max(1, len(pos))]
    return keep[np.sort(np.concatenate([pos, neg]))]
"""),
    Wrong("a5", "ohem_sample", "positives first", "highest loss first", """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    keep = nms(boxes, losses, iou_threshold)
    if positives is None:
        return keep[:batch_size]
    r = negatives_per_positive
    pos = keep[positives[keep]][: batch_size // (1 + r)]
    neg = keep[~positives[keep]][: r * max(1, len(pos))]
    return np.concatenate([pos, neg])
"""),
    Wrong("a5", "ohem_sample", "suppressed kind by kind", "each kind by itself", """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    if positives is None:
        return nms(boxes, losses, iou_threshold)[:batch_size]
    r = negatives_per_positive
    p, n = np.flatnonzero(positives), np.flatnonzero(~positives)
    p = p[nms(boxes[p], losses[p], iou_threshold)][: batch_size // (1 + r)]
    n = n[nms(boxes[n], losses[n], iou_threshold)][: r * max(1, len(p))]
    both = np.sort(np.concatenate([p, n]))
    return both[np.argsort(-losses[both], kind="stable")]
"""),
    Wrong("a5", "dense_focal_loss", "gamma and alpha not handed on", "not handed on", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = (labels != -2)[:, None]
    y = labels[:, None] == np.arange(logits.shape[1])
    n = max(1, int((labels >= 0).sum()))
    loss = (focal_loss(logits, y) * used).sum() / n
    return logits.dtype.type(loss), (focal_loss_grad(logits, y) * used / n).astype(logits.dtype)
"""),
    Wrong("a5", "dense_focal_loss", "ignored rows left out", "leave the row out", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = labels != -2
    y = (labels[:, None] == np.arange(logits.shape[1]))[used]
    n = max(1, int((labels >= 0).sum()))
    loss = focal_loss(logits[used], y, gamma, alpha).sum() / n
    return logits.dtype.type(loss), (focal_loss_grad(logits[used], y, gamma, alpha) / n).astype(logits.dtype)
"""),
    Wrong("a5", "dense_focal_loss", "a loss for each anchor", "one for each anchor", """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = (labels != -2)[:, None]
    y = labels[:, None] == np.arange(logits.shape[1])
    n = max(1, int((labels >= 0).sum()))
    loss = (focal_loss(logits, y, gamma, alpha) * used).sum(axis=1) / n
    return loss.astype(logits.dtype), (focal_loss_grad(logits, y, gamma, alpha) * used / n).astype(logits.dtype)
"""),
]  # fmt: skip
