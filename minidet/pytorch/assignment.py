"""Assignment in PyTorch. Contracts and the rule are those of `minidet.reference.assignment`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.config import AnchorConfig
from minidet.pytorch import tensors, widths
from minidet.pytorch.anchors import pyramid_anchors
from minidet.pytorch.boxes import iou_matrix
from minidet.pytorch.devices import has_kernels
from minidet.structures import BACKGROUND, IGNORED


def assign_anchors(
    anchors: Tensor, gt_boxes: Tensor,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> Tensor:  # fmt: skip
    """Match every anchor with the ground-truth box that it overlaps most. See `minidet.reference.assign_anchors`."""
    anchors, gt_boxes = tensors.at_once(
        lambda: (tensors.boxes("anchors", anchors), tensors.boxes("gt_boxes", gt_boxes))
    )
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    if len(anchors) == 0 or len(gt_boxes) == 0:
        return torch.full((len(anchors),), BACKGROUND, dtype=torch.int64, device=anchors.device)
    a, g = widths.wide(anchors), widths.wide(gt_boxes)
    if has_kernels(a):
        from minidet.pytorch import box_kernels

        return box_kernels.assign(a, g, positive_iou, negative_iou, force_match)
    # The IoUs at a time: few enough for one CPU core and its cache, or many enough for a GPU; memory is bounded.
    chunks = a.split(max(1, (2**15 if a.device.type == "cpu" else 2**24) // len(g)))
    best_of_gt = (
        torch.stack([iou_matrix(g, chunk).amax(1) for chunk in chunks]).amax(0) if force_match else None
    )  # (M,)
    parts = [_assign(iou_matrix(g, chunk), positive_iou, negative_iou, best_of_gt) for chunk in chunks]
    return torch.cat(parts).to(anchors.device)


def assign_pyramid(
    image_size: tuple[int, int], gt_boxes: Tensor, config: AnchorConfig,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> Tensor:  # fmt: skip
    """Match all anchors of a pyramid, level after level. See `minidet.reference.assign_pyramid`."""
    gt_boxes = tensors.boxes("gt_boxes", gt_boxes)
    anchors = torch.cat(pyramid_anchors(image_size, config, gt_boxes.dtype, gt_boxes.device))
    return assign_anchors(anchors, gt_boxes, positive_iou, negative_iou, force_match)


def _assign(iou: Tensor, positive_iou: float, negative_iou: float, best_of_gt: Tensor | None) -> Tensor:
    """Decide for the anchors of one (M, N) matrix."""
    best, matched = iou.max(dim=0)  # (N,) each; of equal ones the first, as PyTorch documents
    assignment = torch.where(best < negative_iou, BACKGROUND, IGNORED)
    positive = best >= positive_iou
    if best_of_gt is not None:
        positive |= ((iou == best_of_gt[:, None]) & (best_of_gt[:, None] > 0)).any(0)
    return torch.where(positive, matched, assignment)
