"""Average precision by hand: which detections are right, the curve of precision over recall, and the area under it.

For one class and one IoU threshold; `minidet.evaluation` does COCO's twelve numbers of a whole data set.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.reference.boxes import box_iou


def match_detections(
    boxes: ArrayLike, scores: ArrayLike, gt_boxes: ArrayLike, iou_threshold: float = 0.5
) -> np.ndarray:
    """Which detections of one image and class are right, by COCO's rule.

    The detections choose in order of score, best first. Each takes the ground-truth box that it overlaps most, among
    those that are not taken yet, if their IoU is at least the threshold. So of several detections of an object one is
    right and the others are wrong.

    Args:
        boxes: (N, 4) corners of the detections, pixels.
        scores: (N,) numbers; of equal scores the lower index goes first.
        gt_boxes: (M, 4) corners, pixels. Of equal IoUs the box of the highest index is taken, as in pycocotools.
        iou_threshold: in (0, 1].

    Returns:
        (N,) bool, in the order of `boxes`.

    Raises:
        ValueError: a box is inverted or not finite, a score is NaN, the lengths differ, or the threshold is out of
            range.

    >>> match_detections([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], [0.6, 0.9, 0.8], [[0, 0, 10, 10]])
    array([False,  True, False])
    """
    boxes, gt_boxes = checks.boxes("boxes", boxes), checks.boxes("gt_boxes", gt_boxes)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    checks.number("iou_threshold", iou_threshold, above=0, high=1)
    iou = box_iou(boxes.astype(np.float64), gt_boxes.astype(np.float64))  # (N, M)
    correct = np.zeros(len(boxes), bool)
    free = np.ones(len(gt_boxes), bool)
    for i in np.argsort(-scores, kind="stable"):
        candidates = np.flatnonzero(free & (iou[i] >= iou_threshold))
        if len(candidates):
            overlap = iou[i, candidates]
            best = candidates[overlap == overlap.max()][-1]
            correct[i], free[best] = True, False
    return correct


def precision_recall(correct: ArrayLike, scores: ArrayLike, num_gt: int) -> tuple[np.ndarray, np.ndarray]:
    """Precision and recall after each detection of a class, best score first, all images together.

    With t right ones among the first n: precision = t / n, recall = t / num_gt.

    Args:
        correct: (N,) bool, see `match_detections`.
        scores: (N,) numbers; of equal scores the lower index goes first.
        num_gt: ground-truth boxes of the class in all images, >= the number of right detections.

    Returns:
        precision (N,) and recall (N,), float64 in [0, 1]. Recall is 0 where num_gt is 0; such a class has no average
        precision, leave it out of a mean over classes.

    Raises:
        ValueError: correct is not (N,) bool, a score is NaN, the lengths differ, or num_gt is too small.

    >>> precision_recall([True, False, True], [0.9, 0.7, 0.5], num_gt=4)
    (array([1.        , 0.5       , 0.66666667]), array([0.25, 0.25, 0.5 ]))
    """
    correct = checks.mask("correct", correct, len(np.asarray(scores)), of="scores")
    scores = checks.vector("scores", scores, len(correct), of="detections")
    checks.integer("num_gt (a right detection has a box each)", num_gt, low=int(correct.sum()))
    right = np.cumsum(correct[np.argsort(-scores, kind="stable")])  # (N,)
    return right / np.arange(1, len(right) + 1), right / max(1, num_gt)


def average_precision(precision: ArrayLike, recall: ArrayLike, points: int | None = 101) -> float:
    """The area under the envelope of a curve of precision over recall.

    The envelope at recall r is the highest precision at any recall >= r, and 0 beyond the last one. Its mean at
    `points` recalls from 0 to 1 is COCO's measure with 101 (and Pascal VOC's of 2007 with 11); None is the whole
    area, Pascal VOC's since 2010.

    Args:
        precision: (N,) in [0, 1].
        recall: (N,) in [0, 1], not falling.
        points: how many recalls, >= 2; None: the whole area.

    Returns:
        In [0, 1]; 0 without any detection.

    Raises:
        ValueError: a value is out of range, recall falls, or the lengths differ.

    >>> average_precision([1.0, 0.5], [0.5, 1.0], points=None)
    0.75
    """
    precision, recall = _rates("precision", precision), _rates("recall", recall)
    checks.same_length("precision", precision, "recall", recall)
    if (np.diff(recall) < 0).any():
        raise ValueError("recall falls: give the detections best score first, as precision_recall returns them")
    envelope = np.maximum.accumulate(precision[::-1])[::-1]  # (N,)
    if points is None:
        return float((np.diff(recall, prepend=0) * envelope).sum())
    at = np.linspace(0, 1, checks.integer("points", points, low=2))
    reached = np.searchsorted(recall, at)  # the first detection with recall >= r; N: never
    return float(np.append(envelope, 0)[reached].mean())


def _rates(name: str, values: ArrayLike) -> np.ndarray:
    """(N,) numbers in [0, 1] as float64."""
    array = checks.vector(name, values, np.size(values), of="detections").astype(np.float64)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise ValueError(f"{name} reaches from {array.min():g} to {array.max():g}: give numbers in 0 … 1")
    return array
