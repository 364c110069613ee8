"""Non-maximum suppression in PyTorch, on any device. Contracts are those of `minidet.reference.nms`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors
from minidet.pytorch.boxes import iou_matrix


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Keep the best box, drop all that overlap it by more than the threshold, repeat. See `minidet.reference.nms`."""
    boxes = tensors.boxes("boxes", boxes)
    return batched_nms(boxes, scores, torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device), iou_threshold)


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Suppress within each class by itself. See `minidet.reference.batched_nms`."""
    boxes = tensors.boxes("boxes", boxes)
    scores = tensors.vector("scores", scores, len(boxes), of="boxes")
    classes = tensors.integers("classes", classes, len(boxes), of="boxes", low=0)
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = scores.argsort(descending=True, stable=True)
    grouped = order[classes[order].argsort(stable=True)]  # classes together, best first within each
    kept = torch.empty(len(boxes), dtype=torch.bool, device=boxes.device)
    kept[grouped] = _suppress(tensors.wide(boxes[grouped]), classes[grouped], threshold).to(boxes.device)
    return order[kept[order]]


def _suppress(boxes: Tensor, classes: Tensor, threshold: float) -> Tensor:
    """(N,) bool of the greedy choice within each class, in the order given, block after block.

    Within a block the greedy rule, "kept unless a kept one before it overlaps it", is applied to all boxes at once and
    repeated until nothing changes: the first box is right from the start, and every round settles at least one more.
    """
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    classes = classes.to(boxes.device)
    end_of_class = torch.searchsorted(classes, classes, right=True).tolist()

    def drops(first: Tensor, second: Tensor) -> Tensor:  # indices (P,), (Q,) -> (P, Q)
        overlaps = iou_matrix(boxes[first], boxes[second]) > threshold
        return overlaps & (classes[first][:, None] == classes[second])

    # What is compared at a time: few enough for one CPU core and its cache, or many enough for a GPU.
    block_size, tile_size = (128, 256) if boxes.device.type == "cpu" else (512, 8192)
    everything = torch.arange(len(boxes), device=boxes.device)
    for start in range(0, len(boxes), block_size):
        stop = min(start + block_size, len(boxes))
        block = everything[start:stop][kept[start:stop]]  # what earlier blocks have dropped drops nothing
        conflicts = drops(block, block).triu(diagonal=1)
        alive = torch.ones(len(block), dtype=torch.bool, device=boxes.device)
        while True:
            settled = ~(conflicts & alive[:, None]).any(0)
            if torch.equal(settled, alive):
                break
            alive = settled
        kept[block] = alive
        later = everything[stop : end_of_class[stop - 1]]  # the rest of the last class in the block
        for tile in later.split(tile_size):
            kept[tile] &= ~drops(block[alive], tile).any(0)
    return kept
