"""Non-maximum suppression in Numba. Contracts are those of `minidet.reference.nms`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled._numba import kernel, wide
from minidet.compiled.boxes import iou_of


def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float = 0.5) -> np.ndarray:
    """(D,) int64 indices of the kept boxes, best score first. See `minidet.reference.nms`."""
    boxes = checks.boxes("boxes", boxes)
    return batched_nms(boxes, scores, np.zeros(len(boxes), np.int64), iou_threshold)


def batched_nms(
    boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike, iou_threshold: float = 0.5
) -> np.ndarray:
    """(D,) int64 indices of the boxes kept class by class, best score first. See `minidet.reference.batched_nms`."""
    boxes = checks.boxes("boxes", boxes)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    classes = checks.integers("classes", classes, len(boxes), of="boxes", low=0)
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = np.argsort(-scores, kind="stable")
    by_class = order[np.argsort(classes[order], kind="stable")]  # classes together, best first within each
    kept = np.empty(len(boxes), np.bool_)
    kept[by_class] = _suppress(wide(boxes[by_class]), classes[by_class], threshold)
    return order[kept[order]]


@kernel
def _suppress(boxes, classes, threshold):
    """Greedy, in the order given: a kept box drops those after it, of its class, that overlap it by more."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = np.ones(len(boxes), np.bool_)
    for i in range(len(boxes)):
        if not kept[i]:
            continue
        x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        for j in range(i + 1, len(boxes)):
            if classes[j] != classes[i]:
                break
            if kept[j]:
                iou = iou_of(x1, y1, x2, y2, area[i], boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3], area[j])
                kept[j] = iou <= threshold
    return kept
