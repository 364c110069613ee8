"""Which default boxes learn from what (section 2.2 of SSD): matching, and the negatives that take part."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors
from minidet.pytorch.assignment import assign_anchors
from minidet.pytorch.boxes import box_area, box_iou


def match_boxes(default_boxes: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Which ground-truth box each default box learns: its index, or -1 for the background (section 2.2 of SSD).

    First a default box is matched with the ground-truth box it overlaps most, if by `iou_threshold` or more. Then
    every ground-truth box gets one default box for itself, even one that does not reach the threshold or, when nothing
    better is left, does not touch it: of all pairs the one with the largest IoU is matched, both leave, and so on
    (of equal ones the first default box, then the first ground-truth box). So where two have the same best default box,
    the one that overlaps it more has it, and the other the best of the rest.

    Args:
        default_boxes: (N, 4) corners, pixels.
        gt_boxes: (M, 4) corners, pixels; one of no area is not matched. When M > N, M - N of them may go without.
        iou_threshold: in (0, 1].

    Returns:
        (N,) int64.

    Raises:
        ValueError: a box is inverted or not finite, or the threshold out of range.
    """
    checks.number("iou_threshold", iou_threshold, above=0, high=1)
    assignment = assign_anchors(default_boxes, gt_boxes, iou_threshold, iou_threshold)  # (N,)
    gt_boxes = tensors.boxes("gt_boxes", gt_boxes)
    left = box_iou(default_boxes, gt_boxes)  # (N, M); -1: gone
    real = box_area(gt_boxes) > 0  # (M,)
    left[:, ~real] = -1
    for _ in range(min(len(left), int(real.sum()))):
        box, gt = divmod(int(left.argmax()), left.shape[1])
        assignment[box] = gt
        left[box, :] = left[:, gt] = -1
    return assignment


def hard_negatives(losses: Tensor, positive: Tensor, ratio: int = 3) -> Tensor:
    """The negatives with the highest losses, a few for each positive of the image (section 2.2 of SSD).

    Args:
        losses: (N,), one per default box.
        positive: (N,) bool, the matched default boxes.
        ratio: negatives per positive, 1 or more.

    Returns:
        (N,) bool: all negatives where there are not enough, none where there is no positive; of equal losses the first.

    Raises:
        ValueError: a loss is NaN, the lengths differ, or the ratio is below 1.
    """
    checks.integer("ratio", ratio, low=1)
    losses = tensors.vector("losses", losses, len(positive), of="default boxes")
    order = losses.argsort(descending=True, stable=True)
    order = order[~positive[order]]  # negatives alone
    chosen = torch.zeros_like(positive)
    chosen[order[: ratio * int(positive.sum())]] = True
    return chosen
