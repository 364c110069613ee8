"""Assignment: which anchor answers for which ground-truth box (section 4, "Anchors")."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.config import AnchorConfig
from minidet.reference.anchors import pyramid_anchors
from minidet.reference.boxes import box_iou
from minidet.structures import BACKGROUND, IGNORED


def assign_anchors(
    anchors: ArrayLike, gt_boxes: ArrayLike,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """Match every anchor with the ground-truth box that it overlaps most (section 4, "Anchors").

    With IoU at least `positive_iou` the anchor is assigned to that box, below `negative_iou` it is background, and in
    between it is ignored in training. Of equal IoUs the box of the lowest index wins.

    Args:
        anchors: (N, 4) corners, pixels.
        gt_boxes: (M, 4) corners, pixels. A box of no area is never matched by anything.
        positive_iou: threshold in (0, 1]; the paper's 0.5.
        negative_iou: threshold in [0, positive_iou]; the paper's 0.4.
        force_match: also assign every anchor that reaches the best IoU of a ground-truth box, ties included, when that
            IoU is above 0; the anchor goes to the box that it overlaps most itself. The first clause of RPN's rule as
            torchvision and Detectron2 apply it; not in the paper.

    Returns:
        (N,) int64: index of a ground-truth box, -1 background, -2 ignored.

    Raises:
        ValueError: a box is inverted or not finite, a threshold is out of range, or negative_iou is above positive_iou.

    >>> assign_anchors([[0, 0, 10, 10], [0, 0, 10, 22], [30, 30, 40, 40]], gt_boxes=[[0, 0, 10, 10]])
    array([ 0, -2, -1])
    """
    anchors, gt_boxes = checks.boxes("anchors", anchors), checks.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    if len(gt_boxes) == 0:
        return np.full(len(anchors), BACKGROUND, np.int64)
    iou = box_iou(anchors.astype(np.float64), gt_boxes)  # (N, M)
    matched = iou.argmax(axis=1)  # (N,)
    best = iou.max(axis=1)  # (N,)
    assignment = np.where(best >= positive_iou, matched, np.where(best < negative_iou, BACKGROUND, IGNORED))
    if force_match and len(anchors):
        best_of_gt = iou.max(axis=0)  # (M,)
        forced = ((iou == best_of_gt) & (best_of_gt > 0)).any(axis=1)  # (N,)
        assignment = np.where(forced, matched, assignment)
    return assignment


def assign_pyramid(
    image_size: tuple[int, int], gt_boxes: ArrayLike, config: AnchorConfig,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """Match all anchors of a pyramid, level after level, as `assign_anchors` does.

    Args:
        image_size: (height, width) of the network's input, pixels.
        gt_boxes: (M, 4) corners, pixels; the anchors are made in its floating type.
        config: the anchors.
        positive_iou, negative_iou, force_match: as in `assign_anchors`.

    Returns:
        (N,) int64 as from `assign_anchors`, N the anchors of all levels, in the order of `pyramid_anchors`.

    Raises:
        ValueError: as `assign_anchors` and `pyramid_anchors`.
    """
    gt_boxes = checks.boxes("gt_boxes", gt_boxes)
    anchors = np.concatenate(pyramid_anchors(image_size, config, gt_boxes.dtype))
    return assign_anchors(anchors, gt_boxes, positive_iou, negative_iou, force_match)
