"""Non-maximum suppression in PyTorch, on any device. Contracts are those of `minidet.reference.nms`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import _tensors as tensors
from minidet.pytorch.boxes import iou_matrix

_BLOCK = 512
"""Boxes decided at a time: the memory is _BLOCK times N."""


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """(D,) int64 indices of the kept boxes, best score first. See `minidet.reference.nms`."""
    boxes = tensors.boxes("boxes", boxes)
    return batched_nms(boxes, scores, torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device), iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """(D,) int64 indices of the boxes kept class by class, best score first. See `minidet.reference.batched_nms`."""
    boxes = tensors.boxes("boxes", boxes)
    scores = tensors.vector("scores", scores, len(boxes), of="boxes")
    classes = tensors.integers("classes", classes, len(boxes), of="boxes", low=0)
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = scores.argsort(descending=True, stable=True)
    kept = _suppress(tensors.wide(boxes[order]), classes[order], threshold)
    return order[kept.to(order.device)]


def _suppress(boxes: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """(N,) bool of the greedy choice, in the order given, block after block.

    Within a block the greedy rule, "kept unless a kept one before it overlaps it", is applied to all boxes at once and
    repeated until nothing changes: the first box is right from the start, and every round settles at least one more.
    """
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    classes = classes.to(boxes.device)

    def drops(first: Tensor, second: Tensor) -> Tensor:  # indices (P,), (Q,) -> (P, Q)
        overlaps = iou_matrix(boxes[first], boxes[second]) > threshold
        return overlaps & (classes[first][:, None] == classes[second])

    everything = torch.arange(len(boxes), device=boxes.device)
    for block in everything.split(_BLOCK):
        block = block[kept[block]]  # what earlier blocks have dropped drops nothing
        conflicts = drops(block, block).triu(diagonal=1)
        alive = torch.ones(len(block), dtype=torch.bool, device=boxes.device)
        while True:
            settled = ~(conflicts & alive[:, None]).any(0)
            if torch.equal(settled, alive):
                break
            alive = settled
        kept[block] = alive
        later = everything[int(block[-1]) + 1 :] if len(block) else everything[:0]
        later = later[kept[later]]
        if len(later):
            kept[later] = ~drops(block[alive], later).any(0)
    return kept
