"""Assignment in Numba. Contracts and the rule are those of `minidet.reference.assignment`."""

from __future__ import annotations

import numpy as np
from numba import prange
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled._numba import parallel_kernel, wide
from minidet.compiled.anchors import pyramid_anchors
from minidet.compiled.boxes import iou_of
from minidet.config import AnchorConfig

BACKGROUND = -1
IGNORED = -2


def assign_anchors(
    anchors: ArrayLike, gt_boxes: ArrayLike,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """(N,) int64 index of a ground-truth box, -1 or -2, for each anchor. See `minidet.reference.assign_anchors`."""
    anchors, gt_boxes = checks.boxes("anchors", anchors), checks.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    a, g = wide(anchors), wide(gt_boxes)
    best_of_gt = _best_of_gt(a, g) if force_match else np.zeros(0)
    return _assign(a, g, positive_iou, negative_iou, best_of_gt)


def assign_pyramid(
    image_size: tuple[int, int], gt_boxes: ArrayLike, config: AnchorConfig,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """`assign_anchors` for all anchors of a pyramid. See `minidet.reference.assign_pyramid`."""
    gt_boxes = checks.boxes("gt_boxes", gt_boxes)
    anchors = np.concatenate(pyramid_anchors(image_size, config, gt_boxes.dtype))
    return assign_anchors(anchors, gt_boxes, positive_iou, negative_iou, force_match)


@parallel_kernel
def _assign(anchors, gts, positive_iou, negative_iou, best_of_gt):
    """One pass over the anchors, no (N, M) matrix: memory stays O(N + M). best_of_gt is (M,), or empty not to force."""
    out = np.empty(len(anchors), np.int64)
    area_of_gt = (gts[:, 2] - gts[:, 0]) * (gts[:, 3] - gts[:, 1])
    for i in prange(len(anchors)):
        x1, y1, x2, y2 = anchors[i, 0], anchors[i, 1], anchors[i, 2], anchors[i, 3]
        area = (x2 - x1) * (y2 - y1)
        best, matched, forced = 0.0, 0, False
        for j in range(len(gts)):
            iou = iou_of(x1, y1, x2, y2, area, gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3], area_of_gt[j])
            if iou > best:  # strictly: of equal ones the first stays
                best, matched = iou, j
            if len(best_of_gt) and iou > 0.0 and iou == best_of_gt[j]:
                forced = True
        if forced or best >= positive_iou:
            out[i] = matched
        else:
            out[i] = BACKGROUND if best < negative_iou or len(gts) == 0 else IGNORED
    return out


@parallel_kernel
def _best_of_gt(anchors, gts):
    """(M,) best IoU that each ground-truth box has with any anchor."""
    out = np.zeros(len(gts))
    for j in prange(len(gts)):
        x1, y1, x2, y2 = gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3]
        area = (x2 - x1) * (y2 - y1)
        best = 0.0
        for i in range(len(anchors)):
            a, b, c, d = anchors[i, 0], anchors[i, 1], anchors[i, 2], anchors[i, 3]
            best = max(best, iou_of(a, b, c, d, (c - a) * (d - b), x1, y1, x2, y2, area))
        out[j] = best
    return out
