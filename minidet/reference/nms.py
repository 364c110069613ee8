"""Non-maximum suppression: of boxes that overlap, keep the best (section 4.1, "Inference")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.reference.boxes import box_iou


def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float = 0.5) -> np.ndarray:
    """Keep the best box, drop all boxes that overlap it by more than the threshold, and repeat with what is left.

    Args:
        boxes: (N, 4) corners, pixels.
        scores: (N,) numbers, the higher the better; of equal scores the lower index goes first.
        iou_threshold: in [0, 1]; a box is dropped when its IoU with a kept one is above it, and stays when equal.

    Returns:
        (D,) int64 indices of the kept boxes, best score first.

    Raises:
        ValueError: a box is inverted or not finite, a score is NaN, the lengths differ, or the threshold is out of
            range.

    >>> nms([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]], [0.8, 0.9, 0.5])
    array([1, 2])
    """
    boxes = checks.boxes("boxes", boxes).astype(np.float64)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        best, rest = order[0], order[1:]
        keep.append(best)
        iou = box_iou(boxes[best][None], boxes[rest])[0]  # (len(rest),)
        order = rest[iou <= iou_threshold]
    return np.array(keep, np.int64)


def batched_nms(boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike, iou_threshold: float = 0.5) -> np.ndarray:
    """Suppress within each class by itself: no box is dropped because of one of another class.

    Args:
        boxes: (N, 4) corners, pixels.
        scores: (N,) numbers, the higher the better; of equal scores the lower index goes first.
        classes: (N,) integers >= 0.
        iou_threshold: in [0, 1]; a box is dropped when its IoU with a kept one is above it, and stays when equal.

    Returns:
        (D,) int64 indices of the kept boxes of all classes, best score first.

    Raises:
        ValueError: as `nms`, or the classes are no integers, negative or of another length.

    >>> batched_nms([[0, 0, 10, 10], [1, 0, 11, 10]], [0.8, 0.9], classes=[0, 1])
    array([1, 0])
    """
    boxes = checks.boxes("boxes", boxes)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    classes = checks.integers("classes", classes, len(boxes), of="boxes", low=0)
    checks.number("iou_threshold", iou_threshold, low=0, high=1)
    kept = np.zeros(len(boxes), bool)
    for one in np.unique(classes):
        members = np.flatnonzero(classes == one)
        kept[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    keep = np.flatnonzero(kept)
    return keep[np.argsort(-scores[keep], kind="stable")]
