"""Right solutions as a student writes them, and small changes that make them wrong: where the first hint must point."""

from __future__ import annotations

from tests.course.mistakes import Wrong

RIGHT = {
    "box_area": """
def box_area(boxes):
    width = boxes[:, 2] - boxes[:, 0]
    height = boxes[:, 3] - boxes[:, 1]
    return width * height
""",
    "box_iou": """
def box_iou(boxes1, boxes2):
    a, b = boxes1[:, None].astype(float), boxes2[None].astype(float)
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    both = width.clip(0) * height.clip(0)
    area1 = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area2 = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    either = area1 + area2 - both
    result = np.zeros(both.shape, np.result_type(boxes1, boxes2))
    result[either > 0] = both[either > 0] / either[either > 0]
    return result
""",
    "encode_boxes": """
def encode_boxes(boxes, anchors):
    size, own = anchors[:, 2:] - anchors[:, :2], boxes[:, 2:] - boxes[:, :2]
    centre, ours = (anchors[:, :2] + anchors[:, 2:]) / 2, (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.concatenate([(ours - centre) / size, np.log(own / size)], axis=1)
""",
    "decode_boxes": """
def decode_boxes(deltas, anchors):
    size = anchors[:, 2:] - anchors[:, :2]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    limit = float(np.log(1000 / 16))
    centre = centre + deltas[:, :2] * size
    size = size * np.exp(np.minimum(deltas[:, 2:], limit))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)
""",
    "clip_boxes": """
def clip_boxes(boxes, image_size):
    height, width = image_size
    result = boxes.copy()
    result[:, [0, 2]] = result[:, [0, 2]].clip(0, width)
    result[:, [1, 3]] = result[:, [1, 3]].clip(0, height)
    return result
""",
    "cell_anchors": """
def cell_anchors(size, scales, aspect_ratios):
    rows = []
    for ratio in aspect_ratios:
        for scale in scales:
            side = size * scale
            width, height = side / ratio**0.5, side * ratio**0.5
            rows.append([-width / 2, -height / 2, width / 2, height / 2])
    return np.array(rows, float)
""",
    "assign_anchors": """
def assign_anchors(anchors, gt_boxes, positive_iou=0.5, negative_iou=0.4, force_match=False):
    result = np.full(len(anchors), -1)
    if len(anchors) == 0 or len(gt_boxes) == 0:
        return result
    iou = box_iou(anchors, gt_boxes)
    best, box = iou.max(axis=1), iou.argmax(axis=1)
    result[best >= negative_iou] = -2
    positive = best >= positive_iou
    if force_match:
        top = iou.max(axis=0)
        positive |= ((iou == top) & (top > 0)).any(axis=1)
    result[positive] = box[positive]
    return result
""",
    "nms": """
def nms(boxes, scores, iou_threshold=0.5):
    order = np.argsort(-scores, kind="stable")
    alive = np.ones(len(boxes), bool)
    keep = []
    for i in order:
        if alive[i]:
            keep.append(i)
            alive &= box_iou(boxes[[i]], boxes)[0] <= iou_threshold
    return np.array(keep, np.int64)
""",
    "batched_nms": """
def batched_nms(boxes, scores, classes, iou_threshold=0.5):
    kept = np.zeros(len(boxes), bool)
    for k in set(classes.tolist()):
        members = np.flatnonzero(classes == k)
        kept[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = np.argsort(-scores, kind="stable")
    return order[kept[order]]
""",
    "cross_entropy": """
def cross_entropy(logits, targets, alpha=None):
    x_t = np.where(targets == 1, logits, -logits)
    loss = np.maximum(-x_t, 0) + np.log1p(np.exp(-np.abs(x_t)))
    if alpha is not None:
        loss = loss * np.where(targets == 1, alpha, 1 - alpha)
    return loss.astype(logits.dtype)
""",
    "focal_loss": """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    x_t = np.where(targets == 1, logits, -logits).astype(float)
    log_p = np.minimum(x_t, 0) - np.log1p(np.exp(-np.abs(x_t)))
    log_q = np.minimum(-x_t, 0) - np.log1p(np.exp(-np.abs(x_t)))
    loss = -np.exp(gamma * log_q) * log_p
    if alpha is not None:
        loss = loss * np.where(targets == 1, alpha, 1 - alpha)
    return loss.astype(logits.dtype)
""",
    "focal_loss_grad": """
def focal_loss_grad(logits, targets, gamma=2.0, alpha=0.25):
    y = np.where(targets == 1, 1.0, -1.0)
    x_t = y * logits
    e = np.exp(-np.abs(x_t))
    p, q = np.where(x_t >= 0, 1, e) / (1 + e), np.where(x_t >= 0, e, 1) / (1 + e)
    log_p = np.minimum(x_t, 0) - np.log1p(e)
    grad = y * q**gamma * (gamma * p * log_p - q)
    if alpha is not None:
        grad = grad * np.where(targets == 1, alpha, 1 - alpha)
    return grad.astype(logits.dtype)
""",
    "focal_loss_star": """
def focal_loss_star(logits, targets, gamma=2.0, beta=1.0, alpha=None):
    x_t = np.where(targets == 1, logits, -logits)
    loss = np.logaddexp(0, -(gamma * x_t + beta)) / gamma
    if alpha is not None:
        loss = loss * np.where(targets == 1, alpha, 1 - alpha)
    return loss.astype(logits.dtype)
""",
    "smooth_l1": """
def smooth_l1(predictions, targets, beta=1.0):
    d = np.abs(predictions - targets)
    if beta == 0:
        return d
    return np.where(d < beta, d**2 / (2 * beta), d - beta / 2)
""",
    "smooth_l1_grad": """
def smooth_l1_grad(predictions, targets, beta=1.0):
    d = predictions - targets
    if beta == 0:
        return np.sign(d)
    return np.where(np.abs(d) < beta, d / beta, np.sign(d))
""",
    "match_detections": """
def match_detections(boxes, scores, gt_boxes, iou_threshold=0.5):
    iou = box_iou(boxes, gt_boxes)
    result = np.zeros(len(boxes), bool)
    taken = set()
    for i in np.argsort(-scores, kind="stable"):
        best, choice = iou_threshold, None
        for j in range(len(gt_boxes)):
            if j not in taken and iou[i, j] >= best:
                best, choice = iou[i, j], j
        if choice is not None:
            result[i] = True
            taken.add(choice)
    return result
""",
    "precision_recall": """
def precision_recall(correct, scores, num_gt):
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(correct[order])
    seen = np.arange(1, len(hits) + 1)
    return hits / seen, hits / max(num_gt, 1)
""",
    "average_precision": """
def average_precision(precision, recall, points=101):
    envelope = [max(precision[i:]) for i in range(len(precision))]
    if points is None:
        steps = np.diff(np.concatenate([[0], recall]))
        return float(sum(steps * envelope))
    total = 0.0
    for r in np.linspace(0, 1, points):
        reached = [p for p, at in zip(envelope, recall) if at >= r]
        total += reached[0] if reached else 0.0
    return float(total / points)
""",
    "postprocess": """
def postprocess(logits, deltas, anchors, image_size, config):
    from minidet.structures import Detections
    candidates = []
    for x, t, a in zip(logits, deltas, anchors):
        p = 1 / (1 + np.exp(-x.astype(float)))
        anchor, label = np.nonzero(p > config.score_threshold)
        best = np.argsort(-x[anchor, label], kind="stable")[: config.max_per_level]
        anchor, label = anchor[best], label[best]
        candidates.append((decode_boxes(t[anchor], a[anchor]), x[anchor, label], label))
    boxes, x, labels = (np.concatenate(part) for part in zip(*candidates))
    boxes = clip_boxes(boxes, image_size)
    keep = batched_nms(boxes, x, labels, config.iou_threshold)
    keep = keep[: config.max_detections]
    p = 1 / (1 + np.exp(-x[keep].astype(float)))
    return Detections(boxes[keep], p.astype(x.dtype), labels[keep])
""",
    "ohem_sample": """
def ohem_sample(losses, boxes, batch_size, iou_threshold=0.7, positives=None, negatives_per_positive=None):
    keep = nms(boxes, losses, iou_threshold)
    if positives is None:
        return keep[:batch_size]
    r = negatives_per_positive
    is_positive = positives[keep]
    some = np.flatnonzero(is_positive)[: batch_size // (1 + r)]
    others = np.flatnonzero(~is_positive)[: r * max(len(some), 1)]
    return keep[np.sort(np.concatenate([some, others]))]
""",
    "dense_focal_loss": """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    used = labels != -2
    targets = np.zeros(logits.shape, int)
    rows = np.flatnonzero(labels >= 0)
    targets[rows, labels[rows]] = 1
    count = max(1, len(rows))
    grad = np.zeros_like(logits)
    grad[used] = focal_loss_grad(logits[used].astype(float), targets[used], gamma, alpha) / count
    loss = focal_loss(logits[used].astype(float), targets[used], gamma, alpha).sum() / count
    return logits.dtype.type(loss), grad
""",
}  # fmt: skip
ASSIGNMENTS = {
    "a1": ("box_area", "box_iou", "encode_boxes", "decode_boxes", "clip_boxes", "cell_anchors"),
    "a2": ("assign_anchors", "nms", "batched_nms"),
    "a3": ("cross_entropy", "focal_loss", "focal_loss_grad", "focal_loss_star", "smooth_l1", "smooth_l1_grad"),
    "a4": ("match_detections", "precision_recall", "average_precision", "postprocess"),
    "a5": ("ohem_sample", "dense_focal_loss"),
}
CHANGES = (
    ("box_area", "[:, 2] - boxes[:, 0]", "[:, 2] + boxes[:, 0]", "width times height|x2 - x1"),
    ("box_area", "[:, 3] - boxes[:, 1]", "[:, 3] - boxes[:, 0]", "width times height|x2 - x1"),
    ("box_area", "return width * height", "return abs(width) * abs(height) + 1", "too large everywhere"),
    ("box_area", "return width * height", "return (width * height).astype(int)", "digits|type|width times height"),
    ("box_iou", "np.minimum(a[..., 2]", "np.maximum(a[..., 2]", "intersection|area in both"),
    ("box_iou", "height.clip(0)", "height", "one side in common"),
    ("box_iou", "either = area1 + area2 - both", "either = area1", "one box only"),
    ("box_iou", "boxes1[:, None].astype(float), boxes2[None]", "boxes2[:, None].astype(float), boxes1[None]",
     "transposed|rows and columns"),
    ("box_iou", "area1 + area2 - both", "np.maximum(area1, area2)", "intersection / \\(a \\+ b|area in either"),
    ("encode_boxes", "(ours - centre) / size", "(centre - ours) / size", "other way"),
    ("encode_boxes", "np.log(own / size)", "np.log(size / own)", "upside down"),
    ("encode_boxes", "np.log(own / size)", "own / size - 1", "log"),
    ("encode_boxes", "(ours - centre) / size", "(ours - centre) / own", "size of the anchor"),
    ("encode_boxes", "(anchors[:, :2] + anchors[:, 2:]) / 2", "anchors[:, :2]", "centre to centre"),
    ("decode_boxes", "centre - size / 2", "centre - size", "half a size"),
    ("decode_boxes", "deltas[:, :2] * size", "deltas[:, :2]", "multiplies the shift|anchor's size"),
    ("decode_boxes", "np.minimum(deltas[:, 2:], limit)", "deltas[:, 2:].clip(max=1000 / 16)", "logarithm is meant"),
    ("decode_boxes", "np.minimum(deltas[:, 2:], limit)", "deltas[:, 2:].clip(-1, limit)", "from above only|below"),
    ("decode_boxes", "np.log(1000 / 16)", "4.135", "rounded constant|log\\(1000 / 16\\)"),
    ("clip_boxes", "clip(0, width)", "clip(0, height)", "height, width"),
    ("clip_boxes", "clip(0, height)", "clip(0, height - 1)", "width - 1|continuous|0 <= y <= height"),
    ("clip_boxes", "result = boxes.copy()", "result = boxes", "changes the arrays"),
    ("clip_boxes", "clip(0, width)", "clip(1, width)", "0 <= x <= width"),
    ("cell_anchors", "side / ratio**0.5, side * ratio**0.5", "side * ratio**0.5, side / ratio**0.5", "height / width"),
    ("cell_anchors", "side = size * scale", "side = size * scale**0.5", "multiplies the side"),
    ("cell_anchors", "[-width / 2, -height / 2, width / 2, height / 2]", "[0, 0, width, height]",
     "centred on the origin"),
    ("cell_anchors", "np.array(rows, float)", "np.array(rows, np.float32)", "float32"),
    ("assign_anchors", "best >= negative_iou", "best > negative_iou", "negative_iou.*<|upper side"),
    ("assign_anchors", "(top > 0)", "(top >= 0)", "forces nothing|above 0"),
    ("assign_anchors", "np.full(len(anchors), -1)", "np.full(len(anchors), 0)", "background is -1"),
    ("assign_anchors", "result[best >= negative_iou] = -2", "pass", "ignored, -2"),
    ("assign_anchors", "iou.argmax(axis=1)", "iou.argmin(axis=1)", "overlaps most|index of the box|positive_iou"),
    ("assign_anchors", "len(anchors) == 0 or len(gt_boxes) == 0", "len(anchors) == 0", "without ground-truth boxes"),
    ("nms", "<= iou_threshold", "< iou_threshold", "stays|equal"),
    ("nms", "np.argsort(-scores, kind=\"stable\")", "np.argsort(scores)[::-1]", "equal scores|lower index"),
    ("nms", "np.argsort(-scores, kind=\"stable\")", "np.arange(len(scores))", "as they come"),
    ("nms", "if alive[i]:", "if True:", "suppress|kept box|drop"),
    ("nms", "<= iou_threshold", "> iou_threshold", "drop all that overlap|overlap"),
    ("nms", "np.array(keep, np.int64)", "np.array(keep, np.float64)", "int64"),
    ("nms", "np.array(keep, np.int64)", "alive", "bool|mask|indices"),
    ("batched_nms", "np.flatnonzero(classes == k)", "np.flatnonzero(classes >= k)", "another class"),
    ("batched_nms", "order[kept[order]]", "np.flatnonzero(kept)", "best score first"),
    ("batched_nms", "members[nms(boxes[members], scores[members], iou_threshold)]",
     "nms(boxes[members], scores[members], iou_threshold)", "within each class|whole input"),
    ("cross_entropy", "logits, -logits)", "-logits, logits)", "wrong way round"),
    ("cross_entropy", "alpha, 1 - alpha)", "1 - alpha, alpha)", "wrong side"),
    ("cross_entropy", "alpha, 1 - alpha)", "alpha, 1)", "1 - alpha"),
    ("cross_entropy", "np.maximum(-x_t, 0)", "np.maximum(x_t, 0)", "wrong way round"),
    ("cross_entropy", "np.log1p(np.exp(-np.abs(x_t)))", "np.log(1 + np.exp(-np.abs(x_t)))", "1 - p|digits|large"),
    ("focal_loss", "gamma * log_q", "gamma * log_p", "p_t\\*\\*gamma"),
    ("focal_loss", "loss = -np.exp", "loss = np.exp", "sign"),
    ("focal_loss", "gamma * log_q", "2 * log_q", "gamma"),
    ("focal_loss", "alpha is not None", "alpha", "alpha"),
    ("focal_loss_grad", "- q)", "+ q)", "sign"),
    ("focal_loss_grad", "gamma * p * log_p", "gamma * log_p", "factor p_t"),
    ("focal_loss_grad", "q**gamma", "q**(gamma - 1)", "\\(1 - p_t\\)\\*\\*gamma|two terms|product"),
    ("focal_loss_grad", "grad = y *", "grad =", "sign|background"),
    ("focal_loss_grad", "alpha, 1 - alpha", "alpha, alpha", "same weight"),
    ("focal_loss_star", "gamma * x_t + beta", "gamma * x_t - beta", "beta is added"),
    ("focal_loss_star", ") / gamma", ")", "division by gamma"),
    ("focal_loss_star", "gamma * x_t + beta", "x_t + beta", "gamma"),
    ("smooth_l1", "d**2 / (2 * beta)", "d**2 / 2 * beta", "beta"),
    ("smooth_l1", "d - beta / 2", "d - beta", "\\|d\\| - beta / 2"),
    ("smooth_l1", "np.abs(predictions - targets)", "predictions - targets", "abs|\\|d\\||sign"),
    ("smooth_l1", "d < beta", "d < 1", "beta"),
    ("smooth_l1_grad", "d / beta", "2 * d / beta", "d / beta|meet|2 of the square"),
    ("smooth_l1_grad", "predictions - targets", "targets - predictions", "respect to the targets"),
    ("smooth_l1_grad", "d / beta", "d", "division by beta"),
    ("match_detections", "j not in taken and", "", "taken once"),
    ("match_detections", "iou[i, j] >= best", "iou[i, j] > best", "enough|>="),
    ("match_detections", "np.argsort(-scores, kind=\"stable\")", "range(len(boxes))", "order of the input"),
    ("match_detections", "best, choice = iou[i, j], j", "choice = j", "highest IoU"),
    ("match_detections", "result[i] = True", "result[choice] = True", "IndexError|order of the boxes|each detection"),
    ("precision_recall", "np.arange(1, len(hits) + 1)", "np.arange(len(hits))", "0 / 0|off by one|t / n"),
    ("precision_recall", "correct[order]", "correct", "as they come|sort"),
    ("precision_recall", "hits / max(num_gt, 1)", "hits / len(correct)", "num_gt"),
    ("precision_recall", "hits / seen", "hits / len(hits)", "so far"),
    ("average_precision", "precision[i:]", "precision[: i + 1]", "looks back|to the right"),
    ("average_precision", "at >= r", "at > r", "reached exactly"),
    ("average_precision", "total / points", "total", "sum"),
    ("average_precision", "[0], recall", "[1], recall", "begins at 0|recall step"),
    ("average_precision", "reached[0]", "reached[-1]", "envelope|highest precision"),
    ("postprocess", "p > config.score_threshold", "p >= config.score_threshold", "above the threshold"),
    ("postprocess", "[: config.max_per_level]", "", "max_per_level"),
    ("postprocess", "keep = keep[: config.max_detections]", "pass", "max_detections"),
    ("postprocess", "boxes = clip_boxes(boxes, image_size)", "pass", "clip"),
    ("postprocess", "p.astype(x.dtype)", "x[keep]", "sigmoids"),
    ("postprocess", "p.astype(x.dtype), labels[keep])", "p.astype(x.dtype), labels)", "different lengths"),
    ("postprocess", "decode_boxes(t[anchor], a[anchor])", "a[anchor]", "decode"),
    ("postprocess", "batched_nms(boxes, x, labels, config.iou_threshold)", "np.argsort(-x, kind='stable')", "suppress"),
    ("ohem_sample", "batch_size // (1 + r)", "batch_size // r", "1 \\+ r"),
    ("ohem_sample", "max(len(some), 1)", "len(some)", "no positive is left"),
    ("ohem_sample", "np.sort(np.concatenate([some, others]))", "np.concatenate([some, others])", "highest loss first"),
    ("ohem_sample", "keep[:batch_size]", "keep", "batch_size"),
    ("ohem_sample", "nms(boxes, losses, iou_threshold)", "nms(boxes, -losses, iou_threshold)", "easiest|high losses"),
    ("dense_focal_loss", "max(1, len(rows))", "max(1, used.sum())", "by all anchors"),
    ("dense_focal_loss", "max(1, len(rows))", "len(labels)", "by all anchors|number of anchors assigned"),
    ("dense_focal_loss", "labels >= 0", "labels >= -1", "last class|background"),
    ("dense_focal_loss", "used = labels != -2", "used = labels >= 0", "background"),
    ("dense_focal_loss", "return logits.dtype.type(loss), grad", "return loss, grad", "float"),
    ("dense_focal_loss", "logits.dtype.type(loss), grad", "grad, logits.dtype.type(loss)", "in this order"),
    ("box_area", "return width * height", "return np.sqrt(width * height)", "width times height|area"),
    ("box_area", "return width * height",
     "return np.maximum(width, height) ** 2", "width times height|side with itself"),
    ("box_iou", "a[..., 3] - a[..., 1]", "a[..., 3] - a[..., 0]", "intersection|area|column"),
    ("box_iou", "both = width.clip(0) * height.clip(0)",
     "both = width.clip(0) + height.clip(0)", "intersection|area in both|touch"),
    ("box_iou", "result[either > 0] = both[either > 0] / either[either > 0]", "result = both / either", "0 / 0"),
    ("box_iou", "height.clip(0)", "height.clip(1)", "touch|line|share"),
    ("encode_boxes", "(boxes[:, :2] + boxes[:, 2:]) / 2", "(boxes[:, 2:] - boxes[:, :2]) / 2", "centre"),
    ("encode_boxes", "np.concatenate([(ours - centre) / size, np.log(own / size)], axis=1)",
     "np.concatenate([np.log(own / size), (ours - centre) / size], axis=1)", "order|columns|tx"),
    ("decode_boxes", "centre + deltas[:, :2] * size", "centre - deltas[:, :2] * size", "x = tx|offsets|centre|undo"),
    ("decode_boxes", "np.exp(np.minimum(deltas[:, 2:], limit))",
     "np.minimum(np.exp(deltas[:, 2:]), limit)", "limit|clamp|before exp|log\\(1000"),
    ("decode_boxes", "centre + size / 2], axis=1)", "size], axis=1)", "corner|half a size"),
    ("clip_boxes", "result[:, [1, 3]] = result[:, [1, 3]].clip(0, height)", "pass", "only x"),
    ("clip_boxes", "clip(0, width)", "clip(-1, width)", "0 <= x"),
    ("cell_anchors", "side * ratio**0.5\n", "side\n", "area must not change|ratio"),
    ("cell_anchors", "side = size * scale", "side = size + scale", "size \\* scale|side"),
    ("assign_anchors", "best >= positive_iou", "best >= negative_iou", "ignored|positive_iou"),
    ("assign_anchors", "(iou == top)", "(iou >= positive_iou)", "force"),
    ("assign_anchors", "result = np.full(len(anchors), -1)", "result = np.full(len(anchors), -1, np.int32)", "int64"),
    ("assign_anchors", "result[positive] = box[positive]", "result[positive] = 0", "index of the box"),
    ("nms", "box_iou(boxes[[i]], boxes)[0] <= iou_threshold",
     "(box_iou(boxes[[i]], boxes)[0] <= iou_threshold) | (np.arange(len(boxes)) > i)", "drop|suppress|overlap"),
    ("nms", "keep.append(i)", "keep.append(len(keep))", "indices"),
    ("batched_nms", "nms(boxes[members], scores[members], iou_threshold)",
     "nms(boxes[members], -scores[members], iou_threshold)", "best"),
    ("batched_nms", "set(classes.tolist())", "range(2)", "class"),
    ("cross_entropy", "alpha, 1 - alpha)", "1 - alpha, 1 - alpha)", "alpha|same weight"),
    ("cross_entropy", "np.log1p(np.exp(-np.abs(x_t)))", "np.log1p(np.exp(np.abs(x_t)))", "CE|log"),
    ("cross_entropy", "return loss.astype(logits.dtype)", "return loss.astype(logits.dtype)[..., None]", "shape"),
    ("focal_loss", "gamma * log_q", "log_q / gamma", "gamma|power"),
    ("focal_loss", "gamma * log_q", "(gamma - 1) * log_q", "gamma|power"),
    ("focal_loss", "np.exp(gamma * log_q) * log_p", "(np.exp(gamma * log_q) + log_p)", "\\(1 - p_t\\)\\*\\*gamma|FL"),
    ("focal_loss", "alpha, 1 - alpha)", "1, alpha)", "alpha"),
    ("focal_loss_grad", "(gamma * p * log_p - q)", "(gamma * p * log_p)", "p_t - 1"),
    ("focal_loss_grad", "gamma * p * log_p", "gamma * q * log_p", "p_t|two terms|product"),
    ("focal_loss_grad", "y * q**gamma", "y * p**gamma", "gamma|1 - p_t|two terms"),
    ("focal_loss_star", "/ gamma", "/ gamma**2", "0.5 times the right one"),
    ("focal_loss_star", "-(gamma * x_t + beta)", "(gamma * x_t + beta)", "sign|FL\\*|wrong way round|p\\*_t"),
    ("smooth_l1", "d < beta", "d <= beta / 2", "beta"),
    ("smooth_l1", "(2 * beta)", "(4 * beta)", "half the square|2 beta|0.5 times"),
    ("smooth_l1_grad", "np.sign(d))", "1.0)", "sign of d|falls"),
    ("smooth_l1_grad", "np.abs(d) < beta", "np.abs(d) < 1", "beta"),
    ("match_detections", "result[i] = True\n            taken.add(choice)", "result[i] = True", "taken once"),
    ("match_detections", "return result", "return ~result", "other way round"),
    ("match_detections", "range(len(gt_boxes))", "range(min(1, len(gt_boxes)))", "object"),
    ("precision_recall", "hits / max(num_gt, 1)", "hits / max(hits[-1] if len(hits) else 1, 1)", "num_gt"),
    ("precision_recall", "hits / seen, hits", "seen / np.maximum(hits, 1), hits", "t / n|precision"),
    ("average_precision", "np.linspace(0, 1, points)", "np.linspace(0, 1, points)[1:]", "points"),
    ("average_precision", "sum(steps * envelope)", "sum(steps * precision)", "envelope"),
    ("postprocess", "np.argsort(-x[anchor, label], kind=\"stable\")",
     "np.argsort(x[anchor, label], kind=\"stable\")", "best"),
    ("postprocess", "config.iou_threshold", "config.score_threshold", "threshold"),
    ("postprocess", "p > config.score_threshold", "p > 0.5", "score_threshold"),
    ("postprocess", "np.concatenate(part)", "part[0]", "level|unpack|raises"),
    ("ohem_sample", "keep[:batch_size]", "keep[-batch_size:]", "highest|batch_size"),
    ("ohem_sample", "r * max(len(some), 1)", "r * batch_size", "r times|negatives"),
    ("dense_focal_loss", ".sum() / count", ".mean()", "mean|divide|sum"),
    ("dense_focal_loss", "alpha).sum() / count", "alpha).sum()", "divide"),
    ("dense_focal_loss", "gamma, alpha) / count", "gamma) / count", "alpha"),
)  # fmt: skip
"""(function, what stands there, what a mistake makes of it, where the hint must point)."""


def changed(function: str, old: str, new: str) -> str:
    assert old in RIGHT[function], (function, old)
    return RIGHT[function].replace(old, new)


HOME = {function: name for name, functions in ASSIGNMENTS.items() for function in functions}
MISTAKES = [
    Wrong(HOME[function], function, f"{old} -> {new}", hint, changed(function, old, new))
    for function, old, new, hint in CHANGES
]
