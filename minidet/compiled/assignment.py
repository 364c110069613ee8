"""Assignment in Numba. Contracts and the rule are those of `minidet.reference.assignment`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import arrays
from minidet.compiled.arrays import wide
from minidet.compiled.boxes import iou_of
from minidet.compiled.forced import force
from minidet.compiled.grid import candidates, four, iou_at, layout
from minidet.compiled.jit import helper, kernel, parallel_kernel
from minidet.config import AnchorConfig
from minidet.structures import BACKGROUND, IGNORED

_BLOCK = 512
"""Anchors that a core looks at together: their coordinates fit its first cache."""
_BAND = 8192
"""Anchors of a grid that are decided together: their IoUs fit the second cache."""


def assign_anchors(
    anchors: ArrayLike, gt_boxes: ArrayLike,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """Match every anchor with the ground-truth box that it overlaps most. See `minidet.reference.assign_anchors`."""
    anchors, gt_boxes = arrays.boxes("anchors", anchors), arrays.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    if len(gt_boxes) == 0:
        return np.full(len(anchors), BACKGROUND, np.int64)
    a, g = arrays.native(anchors), wide(gt_boxes)
    out = np.empty(len(a), np.int64)
    best_of_gt = (
        _best_of_gt(a, g) if force_match else np.full(len(g), np.inf)
    )  # inf: reached by none, nothing is forced
    _assign(-(-len(a) // _BLOCK), len(a) * len(g), a, g, positive_iou, negative_iou, best_of_gt, out)
    return out


def assign_pyramid(
    image_size: tuple[int, int], gt_boxes: ArrayLike, config: AnchorConfig,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """Match all anchors of a pyramid, level after level. See `minidet.reference.assign_pyramid`.

    It is fast because the anchors are a grid: only cells near a ground-truth box can reach a threshold with it, and two
    inequalities give the rectangle that they lie in, so the cost is anchors + boxes x few instead of anchors x boxes.
    Most of the remaining time goes into memory that is touched for the first time; hence no array but the result.
    """
    gt_boxes = arrays.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    cells, places, first = layout(checks.image_size(image_size), config)
    rounded = gt_boxes.dtype == np.float32  # the anchors are then float32 too
    pyramid = cells, places, first, float(config.offset), wide(gt_boxes), rounded
    out = np.full(first[-1], BACKGROUND if negative_iou > 0 or len(gt_boxes) == 0 else IGNORED)
    levels, per_cell, _ = cells.shape
    near = np.empty((per_cell * max(levels, len(gt_boxes)), 6), np.int64)
    band = np.empty(max(_BAND, places[:, 1].max() * per_cell))
    _assign_pyramid(*pyramid, positive_iou, negative_iou, near, band, out)
    if force_match:
        force(*pyramid, near, out)
    return out


@parallel_kernel
def _assign(first, stop, anchors, gts, positive_iou, negative_iou, best_of_gt, out):
    """No (N, M) matrix: block after block of anchors meets all boxes, and memory stays O(N + M)."""
    for block in range(first, stop):
        start = block * _BLOCK
        n = min(_BLOCK, len(anchors) - start)
        _assign_block(anchors, start, n, gts, positive_iou, negative_iou, best_of_gt, out)


@helper
def _assign_block(anchors, start, n, gts, positive_iou, negative_iou, best_of_gt, out):
    """One box at a time over n anchors, without branches, so that the inner loop runs on vectors.

    Neighbours in an array of anchors are mostly neighbours in the image: a box that is apart from all n is left out.
    """
    x1, y1, x2, y2, area, around = _columns(anchors, start, n)
    best, matched, forced = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for j in range(len(gts)):
        a, b, c, d, top = gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3], best_of_gt[j]
        if _apart(around, a, b, c, d):
            continue
        gt_area = (c - a) * (d - b)
        for i in range(n):
            iou = iou_of(x1[i], y1[i], x2[i], y2[i], area[i], a, b, c, d, gt_area)
            better = iou > best[i]  # strictly: of equal ones the first stays
            matched[i] = j if better else matched[i]
            best[i] = iou if better else best[i]
            forced[i] |= (iou == top) & (iou > 0.0)
    for i in range(n):
        if forced[i] or best[i] >= positive_iou:
            out[start + i] = matched[i]
        else:
            out[start + i] = BACKGROUND if best[i] < negative_iou else IGNORED


@kernel
def _best_of_gt(anchors, gts):
    """The best IoU (M,) that each ground-truth box has with any anchor."""
    best = np.zeros(len(gts))
    iou = np.empty(_BLOCK)
    for start in range(0, len(anchors), _BLOCK):
        n = min(_BLOCK, len(anchors) - start)
        x1, y1, x2, y2, area, around = _columns(anchors, start, n)
        for j in range(len(gts)):
            a, b, c, d = gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3]
            if _apart(around, a, b, c, d):
                continue
            gt_area = (c - a) * (d - b)
            for i in range(n):
                iou[i] = iou_of(x1[i], y1[i], x2[i], y2[i], area[i], a, b, c, d, gt_area)
            for i in range(n):
                best[j] = max(best[j], iou[i])
    return best


@helper
def _apart(around, x1, y1, x2, y2):
    """Whether a box has an IoU of 0 with whatever lies within another one."""
    return x1 >= around[2] or x2 <= around[0] or y1 >= around[3] or y2 <= around[1]


@helper
def _columns(anchors, start, n):
    """x1, y1, x2, y2 and area of n anchors, each contiguous float64, and the box around all of them."""
    x1, y1, x2, y2, area = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for i in range(n):
        j = start + i
        x1[i], y1[i], x2[i], y2[i] = anchors[j, 0], anchors[j, 1], anchors[j, 2], anchors[j, 3]
        area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i])
        left, top = min(left, x1[i]), min(top, y1[i])
        right, bottom = max(right, x2[i]), max(bottom, y2[i])
    return x1, y1, x2, y2, area, (left, top, right, bottom)


@kernel
def _assign_pyramid(cells, places, first, offset, gts, rounded, positive_iou, negative_iou, near, best, out):
    """Band after band of rows: the IoUs of one band stay in the cache, and the result is the only large array.

    There is room for the rectangles of a level in `near`, and in `best` for the IoU that each anchor of a band has with
    its object, if it has one.
    """
    levels, per_cell, _ = cells.shape
    for level in range(levels):
        place = four(places, level)
        rows, row_length = place[0], place[1] * per_cell
        rectangles = candidates(cells[level], place, offset, gts, negative_iou, near)
        height = max(1, _BAND // row_length)
        for top in range(0, rows, height):
            bottom = min(top + height, rows)
            start, n = first[level] + top * row_length, (bottom - top) * row_length
            for i in range(n):
                best[i] = 0.0
            for c in range(rectangles):
                j, a, low, high = near[c, 0], near[c, 1], max(near[c, 2], top), min(near[c, 3], bottom)
                cell, gt = four(cells[level], a), four(gts, j)
                for row in range(low, high):
                    for column in range(near[c, 4], near[c, 5]):
                        i = (row - top) * row_length + column * per_cell + a
                        iou = iou_at(cell, place, offset, row, column, rounded, gt)
                        if iou >= negative_iou and iou > best[i]:  # strictly: of equal ones the first stays
                            out[start + i], best[i] = j, iou
            for i in range(start, start + n):
                out[i] = IGNORED if (out[i] >= 0) & (best[i - start] < positive_iou) else out[i]
