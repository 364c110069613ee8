"""Non-maximum suppression in PyTorch, on any device. Contracts are those of `minidet.reference.nms`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors, widths
from minidet.pytorch.boxes import iou_matrix
from minidet.pytorch.devices import has_kernels


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Keep the best box, drop all that overlap it by more than the threshold, repeat. See `minidet.reference.nms`."""
    boxes, scores = tensors.at_once(lambda: _boxes_scores(boxes, scores))
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = scores.argsort(descending=True, stable=True)
    kept, count = _suppress(widths.wide(boxes[order]), None, threshold)
    return order[_chosen(kept.to(order.device), count)]


def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Suppress within each class by itself. See `minidet.reference.batched_nms`."""

    def checked() -> tuple[Tensor, Tensor, Tensor]:
        b, s = _boxes_scores(boxes, scores)
        return b, s, tensors.integers("classes", classes, len(b), of="boxes", low=0)

    boxes, scores, classes = tensors.at_once(checked)
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = scores.argsort(descending=True, stable=True)
    grouped = order[classes[order].argsort(stable=True)]  # classes together, best first within each
    survives, count = _suppress(widths.wide(boxes[grouped]), classes[grouped], threshold)
    kept = torch.empty(len(boxes), dtype=torch.bool, device=boxes.device)
    kept[grouped] = survives.to(boxes.device)
    return order[_chosen(kept[order], count)]


def settle(conflicts: Tensor, alive: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Apply the greedy rule, "kept unless a kept one before it overlaps it", to all boxes of a block, some times over.

    The first box is right from the start and every round settles at least one more; most blocks take a few rounds.

    Args:
        conflicts: (..., N, N) bool, [i, j] whether box i would drop box j; true only for i < j.
        alive: (..., N) bool, the boxes that take part.
        rounds: how often.

    Returns:
        (..., N) bool, the boxes that are kept; and, a scalar, whether another round would change none of it.
    """
    kept, before = alive, alive
    for _ in range(rounds + 1):
        before, kept = kept, alive & ~(conflicts & kept[..., None]).any(-2)
    return kept, (kept == before).all()


def _boxes_scores(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    b = tensors.boxes("boxes", boxes)
    return b, tensors.vector("scores", scores, len(b), of="boxes")


def _chosen(kept: Tensor, count: int | None) -> Tensor:
    """The indices at which a mask is true; on a GPU its host need not wait where the count is known."""
    return kept.nonzero()[:, 0] if count is None else (~kept).to(torch.uint8).argsort(stable=True)[:count]


def _suppress(boxes: Tensor, classes: Tensor | None, threshold: float) -> tuple[Tensor, int | None]:
    """(N,) bool of the greedy choice within each class, in the order given, and how many it keeps where that is known.

    A block of boxes is settled at a time, and what it keeps drops boxes after it.
    """
    if len(boxes) > 0 and has_kernels(boxes):
        from minidet.pytorch import box_kernels

        if len(boxes) <= box_kernels.MAX_BOXES:
            return box_kernels.suppress(boxes, classes, threshold), None
    if classes is None:
        ends = [len(boxes)] * len(boxes)
    else:
        classes = classes.to(boxes.device)
        ends = torch.searchsorted(classes, classes, right=True).tolist()
    if boxes.device.type == "cpu":
        return _suppress_on_cpu(boxes, classes, ends, threshold), None
    rounds = 8
    while True:
        kept, settled = _suppress_on_gpu(boxes, classes, ends, threshold, rounds)
        count, good = torch.stack([kept.sum(), settled.long()]).tolist()  # the only wait
        if good:
            return kept, count
        rounds *= 4


def _drops(boxes: Tensor, classes: Tensor | None, first: Tensor | slice, second: Tensor | slice, t: float) -> Tensor:
    """(P, Q) whether box i of the first ones would drop box j of the second ones: they overlap and share a class."""
    overlaps = iou_matrix(boxes[first], boxes[second]) > t
    return overlaps if classes is None else overlaps & (classes[first][:, None] == classes[second])


def _suppress_on_cpu(boxes: Tensor, classes: Tensor | None, ends: list[int], threshold: float) -> Tensor:
    """What earlier boxes have dropped is left out of all that follows, and a block ends as soon as it is settled."""
    kept = torch.ones(len(boxes), dtype=torch.bool)
    everything, block_size, tile_size = torch.arange(len(boxes)), 128, 256  # few enough for a core's cache
    for start in range(0, len(boxes), block_size):
        stop = min(start + block_size, len(boxes))
        block = everything[start:stop][kept[start:stop]]
        conflicts = _drops(boxes, classes, block, block, threshold).triu(diagonal=1)
        alive, settled = torch.ones(len(block), dtype=torch.bool), False
        while not settled:
            before = alive
            alive = ~(conflicts & before[:, None]).any(0)
            settled = torch.equal(alive, before)
        kept[block] = alive
        later = everything[stop : ends[stop - 1]]  # the rest of the last class in the block
        for tile in later.split(tile_size):
            kept[tile] &= ~_drops(boxes, classes, block[alive], tile, threshold).any(0)
    return kept


def _suppress_on_gpu(
    boxes: Tensor, classes: Tensor | None, ends: list[int], threshold: float, rounds: int
) -> tuple[Tensor, Tensor]:
    """The same in steps whose sizes depend on no value, so that the host never waits; and whether all is settled."""
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    all_settled = torch.ones((), dtype=torch.bool, device=boxes.device)
    block_size, tile_size = 512, 8192  # many enough for a GPU, and memory is bounded
    for start in range(0, len(boxes), block_size):
        block = slice(start, min(start + block_size, len(boxes)))
        conflicts = _drops(boxes, classes, block, block, threshold).triu(diagonal=1)
        alive, settled = settle(conflicts, kept[block], min(rounds, block_size))
        kept[block] = alive
        all_settled = all_settled & settled
        for at in range(block.stop, ends[block.stop - 1], tile_size):
            tile = slice(at, min(at + tile_size, ends[block.stop - 1]))
            kept[tile] &= ~(_drops(boxes, classes, block, tile, threshold) & alive[:, None]).any(0)
    return kept, all_settled
