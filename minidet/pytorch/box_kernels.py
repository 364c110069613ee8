"""Suppression and assignment for a GPU, in Triton: the IoUs are used where they are computed and kept nowhere.

They are computed in float64, operation for operation as in `minidet.pytorch.boxes`; a product and a sum are not fused
into one rounding, so that every comparison turns out as on the other paths.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MAX_BOXES = 2**16
"""Up to so many boxes `suppress` works: their conflicts take half a GiB."""
_ROWS = 4096
"""Boxes at a time, of those that come before the block that is settled."""
_ANCHORS = 256
"""Anchors per program."""


def suppress(boxes: Tensor, classes: Tensor | None, threshold: float) -> Tensor:
    """The greedy choice within each class, in the order given.

    Args:
        boxes: (N, 4) float64 corners on a GPU, 1 to `MAX_BOXES` of them.
        classes: (N,) int64, in ascending order; None: all of one class.
        threshold: boxes that overlap by more are in conflict.

    Returns:
        (N,) bool, the boxes that are kept.
    """
    n, blocks = len(boxes), triton.cdiv(len(boxes), 64)
    words = torch.empty((blocks, n), dtype=torch.int64, device=boxes.device)
    kept = torch.zeros(n, dtype=torch.int8, device=boxes.device)
    limit = torch.full((1,), threshold, dtype=torch.float64, device=boxes.device)
    _conflicts_kernel[(blocks, blocks)](
        boxes.contiguous(), boxes if classes is None else classes, limit, words, n, classes is not None, num_warps=4,
        enable_fp_fusion=False,
    )  # fmt: skip
    _greedy_kernel[(1,)](words, kept, n, blocks, _ROWS, num_warps=16)
    return kept.bool()


def assign(anchors: Tensor, boxes: Tensor, positive_iou: float, negative_iou: float, force_match: bool) -> Tensor:
    """The rule of `minidet.reference.assign_anchors`.

    Args:
        anchors: (N, 4) float64 corners on a GPU, at least one.
        boxes: (M, 4) float64 corners there, at least one.
        positive_iou: from this IoU on an anchor learns a box.
        negative_iou: below this IoU an anchor is background.
        force_match: whether the best anchors of a box learn it at any IoU above 0.

    Returns:
        (N,) int64: a box, BACKGROUND or IGNORED.
    """
    n, m, device = len(anchors), len(boxes), anchors.device
    anchors, boxes, grid = anchors.contiguous(), boxes.contiguous(), (triton.cdiv(n, _ANCHORS),)
    best_of_gt = torch.zeros(m, dtype=torch.float64, device=device)
    bits = best_of_gt.view(torch.int64)  # numbers of one sign are ordered as their bits are
    if force_match:
        _best_of_gt_kernel[grid](anchors, boxes, bits, n, m, _ANCHORS, enable_fp_fusion=False)
    positive = torch.full((1,), positive_iou, dtype=torch.float64, device=device)
    negative = torch.full((1,), negative_iou, dtype=torch.float64, device=device)
    assignment = torch.empty(n, dtype=torch.int64, device=device)
    _assign_kernel[grid](
        anchors, boxes, best_of_gt, positive, negative, assignment, n, m, force_match, _ANCHORS, enable_fp_fusion=False
    )
    return assignment


@triton.jit
def _iou(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2):  # type: ignore[no-untyped-def]
    width = tl.maximum(tl.minimum(ax2, bx2) - tl.maximum(ax1, bx1), 0.0)
    height = tl.maximum(tl.minimum(ay2, by2) - tl.maximum(ay1, by1), 0.0)
    intersection = width * height
    union = ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1)) - intersection
    return intersection / tl.where(union > 0, union, 1.0)  # where there is no union there is no intersection either


@triton.jit
def _or(a, b):  # type: ignore[no-untyped-def]
    return a | b


@triton.jit
def _conflicts_kernel(boxes_at, classes_at, limit_at, words_at, count, classed: tl.constexpr):  # type: ignore[no-untyped-def]
    """words[block, i]: which of a block's 64 boxes, of those after box i, box i would drop; a bit for each."""
    block, tile = tl.program_id(0), tl.program_id(1)
    if tile <= block:
        first, second = tile * 64 + tl.arange(0, 64), block * 64 + tl.arange(0, 64)
        i, j = tl.minimum(first, count - 1), tl.minimum(second, count - 1)
        iou = _iou(
            tl.load(boxes_at + 4 * i)[:, None], tl.load(boxes_at + 4 * i + 1)[:, None],
            tl.load(boxes_at + 4 * i + 2)[:, None], tl.load(boxes_at + 4 * i + 3)[:, None],
            tl.load(boxes_at + 4 * j)[None, :], tl.load(boxes_at + 4 * j + 1)[None, :],
            tl.load(boxes_at + 4 * j + 2)[None, :], tl.load(boxes_at + 4 * j + 3)[None, :],
        )  # fmt: skip
        drops = (iou > tl.load(limit_at)) & (first[:, None] < second[None, :]) & (second < count)[None, :]
        if classed:
            drops = drops & (tl.load(classes_at + i)[:, None] == tl.load(classes_at + j)[None, :])
        bits = tl.where(drops, tl.cast(1, tl.int64) << tl.cast(tl.arange(0, 64), tl.int64)[None, :], 0)
        tl.store(words_at + tl.cast(block, tl.int64) * count + first, tl.sum(bits, axis=1), mask=first < count)


@triton.jit
def _greedy_kernel(words_at, kept_at, count, blocks, rows: tl.constexpr):  # type: ignore[no-untyped-def]
    """Settle the blocks one after another: what earlier ones keep drops boxes here, then the rule is applied within
    the block, "kept unless a kept one before it overlaps it", until nothing changes."""
    lanes = tl.arange(0, 64)
    block = 0
    while block < blocks:  # Triton's interpreter has no loop over a range that an argument bounds
        words = words_at + tl.cast(block, tl.int64) * count
        dropped = tl.zeros((rows,), tl.int64)
        first = 0
        while first < block * 64:
            places = first + tl.arange(0, rows)
            earlier = places < block * 64
            word = tl.load(words + places, mask=earlier, other=0)
            dropped = dropped | tl.where(tl.load(kept_at + places, mask=earlier, other=0) != 0, word, 0)
            first += rows
        alive = ~tl.reduce(dropped, 0, _or)
        places = block * 64 + lanes
        own = tl.load(words + places, mask=places < count, other=0)
        kept, before = alive, ~alive
        while kept != before:
            before = kept
            hit = tl.where(((kept >> tl.cast(lanes, tl.int64)) & 1) != 0, own, 0)
            kept = alive & ~tl.reduce(hit, 0, _or)
        tl.store(kept_at + places, tl.cast((kept >> tl.cast(lanes, tl.int64)) & 1, tl.int8), mask=places < count)
        tl.debug_barrier()  # the next block reads what this one has written
        block += 1


@triton.jit
def _corners(boxes_at, places):  # type: ignore[no-untyped-def]
    at = boxes_at + 4 * tl.cast(places, tl.int64)
    return tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)


@triton.jit
def _best_of_gt_kernel(anchors_at, boxes_at, bits_at, count, number, block: tl.constexpr):  # type: ignore[no-untyped-def]
    places = tl.minimum(tl.program_id(0) * block + tl.arange(0, block), count - 1)
    ax1, ay1, ax2, ay2 = _corners(anchors_at, places)
    m = 0
    while m < number:
        bx1, by1, bx2, by2 = _corners(boxes_at, m)
        best = tl.max(_iou(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2), axis=0)
        tl.atomic_max(bits_at + m, tl.cast(best, tl.int64, bitcast=True))
        m += 1


@triton.jit
def _assign_kernel(  # type: ignore[no-untyped-def]
    anchors_at, boxes_at, best_of_gt_at, positive_at, negative_at, assignment_at, count, number,
    force: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    lanes = tl.program_id(0) * block + tl.arange(0, block)
    ax1, ay1, ax2, ay2 = _corners(anchors_at, tl.minimum(lanes, count - 1))
    best = tl.full((block,), -1, tl.float64)
    matched = tl.zeros((block,), tl.int64)
    forced = tl.zeros((block,), tl.int64)
    m = 0
    while m < number:
        bx1, by1, bx2, by2 = _corners(boxes_at, m)
        iou = _iou(ax1, ay1, ax2, ay2, bx1, by1, bx2, by2)
        matched = tl.where(iou > best, m, matched)  # of equal ones the first
        best = tl.maximum(iou, best)
        if force:
            top = tl.load(best_of_gt_at + m)
            forced = tl.where(iou == tl.where(top > 0, top, 2.0), 1, forced)
        m += 1
    learns = (best >= tl.load(positive_at)) | (forced != 0)
    other = tl.where(best < tl.load(negative_at), -1, -2)  # BACKGROUND, IGNORED
    tl.store(assignment_at + lanes, tl.where(learns, matched, other), mask=lanes < count)
