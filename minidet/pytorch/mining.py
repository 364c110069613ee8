"""Which anchors of a batch OHEM learns from (section 5.1), with what the paper leaves open about it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minidet.config.loss import OHEM_RATIOS, LossConfig
from minidet.pytorch.boxes import decode_boxes
from minidet.pytorch.sampling import ohem_sample
from minidet.pytorch.targets import Targets
from minidet.structures import IGNORED


@torch.no_grad()
def hard_examples(
    losses: Tensor, box_losses: Tensor, deltas: Tensor, anchors: Tensor, targets: Targets, loss: LossConfig
) -> list[Tensor]:
    """The anchors of each image that OHEM learns from, hardest first.

    Ignored anchors come last: they are chosen where there are too few others.

    Args:
        losses: (B, N) of the classes.
        box_losses: (P,) of the boxes that `targets` have.
        deltas: (B, N, 4) that the network predicts.
        anchors: (N, 4) corners, pixels.
        targets: what the anchors are to learn.
        loss: the settings of OHEM.
    """
    if loss.ohem_hardness == "sum":
        more = loss.box_weight * box_losses.to(losses)
        losses = losses.flatten().index_add(0, targets.positive, more).view_as(losses)
    chosen, ratio = [], OHEM_RATIOS[loss.kind]
    for hardness, label, offsets in zip(losses, targets.labels, deltas, strict=True):
        ignored, boxes = label == IGNORED, anchors
        if loss.ohem_suppresses == "predictions":
            boxes = decode_boxes(offsets.masked_fill(ignored[:, None], 0.0), anchors)
        hardness = hardness.masked_fill(ignored, -torch.inf)
        limits = loss.ohem_batch_size, loss.ohem_iou_threshold
        chosen.append(ohem_sample(hardness, boxes, *limits, None if ratio is None else label >= 0, ratio))
    return chosen


def among(chosen: Sequence[Tensor], targets: Targets) -> Tensor:
    """(P,) bool: which of the anchors that have a class are chosen."""
    found = torch.zeros_like(targets.labels, dtype=torch.bool)  # (B, N)
    for row, those in zip(found, chosen, strict=True):
        row.index_fill_(0, those, True)
    return found.flatten()[targets.positive]
