"""Online hard example mining in PyTorch. See `minidet.reference.sampling`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet.pytorch import _tensors as tensors
from minidet.pytorch.nms import nms


def ohem_sample(
    losses: Tensor, boxes: Tensor, batch_size: int, iou_threshold: float = 0.7,
    positives: Tensor | None = None, negatives_per_positive: int | None = None,
) -> Tensor:  # fmt: skip
    """(S,) int64 indices of the hardest examples, highest loss first. See `minidet.reference.ohem_sample`."""
    losses, boxes = tensors.floats("losses", losses), tensors.boxes("boxes", boxes)
    positive, ratio = tensors.ohem(losses, boxes, batch_size, positives, negatives_per_positive)
    keep = nms(boxes, losses, iou_threshold)
    if positive is None:
        return keep[:batch_size]
    rank_of_positive = positive[keep].nonzero()[: batch_size // (1 + ratio), 0]
    rank_of_negative = (~positive[keep]).nonzero()[: ratio * max(1, len(rank_of_positive)), 0]
    return keep[torch.cat([rank_of_positive, rank_of_negative]).sort().values]
