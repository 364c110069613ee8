"""Online hard example mining in PyTorch. See `minidet.reference.sampling`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet.pytorch import tensors
from minidet.pytorch.nms import nms


def ohem_sample(
    losses: Tensor, boxes: Tensor, batch_size: int, iou_threshold: float = 0.7,
    positives: Tensor | None = None, negatives_per_positive: int | None = None,
) -> Tensor:  # fmt: skip
    """The hardest examples that do not overlap each other (section 5.1). See `minidet.reference.ohem_sample`."""

    def checked() -> tuple[Tensor, Tensor, Tensor | None, int]:
        x, b = tensors.floats("losses", losses), tensors.boxes("boxes", boxes)
        return x, b, *tensors.ohem(x, b, batch_size, positives, negatives_per_positive)

    losses, boxes, positive, ratio = tensors.at_once(checked)
    order = losses.argsort(descending=True, stable=True)
    most = batch_size if positive is None else batch_size // (1 + ratio)  # examples, or positives
    count = 8 * batch_size
    while True:  # what is kept of the hardest depends on nothing that is easier: look at more only as long as needed
        hardest = order[:count]
        with tensors.trusted():
            keep = hardest[nms(boxes[hardest], losses[hardest], iou_threshold)]
        if positive is None:
            if len(keep) >= most or count >= len(order):
                return keep[:most]
        else:
            chosen = positive[keep]
            found, left = torch.stack([chosen.sum(), positive[order[count:]].sum()]).tolist()
            ranks = (~chosen).to(torch.uint8).argsort(stable=True)  # of the positives, then of the negatives
            rank_of_positive, rank_of_negative = ranks[: min(found, most)], ranks[found:]
            complete = found >= most or not left
            wanted = ratio * max(1, len(rank_of_positive))
            if (complete and len(rank_of_negative) >= wanted) or count >= len(order):
                return keep[torch.cat([rank_of_positive, rank_of_negative[:wanted]]).sort().values]
        count *= 2
