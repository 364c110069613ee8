"""Assignment in Numba. Contracts and the rule are those of `minidet.reference.assignment`."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import prange
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import jit
from minidet.compiled.anchors import cell_anchors
from minidet.compiled.boxes import iou_of
from minidet.compiled.jit import helper, kernel, parallel_kernel, wide
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
    """(N,) int64 index of a ground-truth box, -1 or -2, for each anchor. See `minidet.reference.assign_anchors`."""
    anchors, gt_boxes = jit.boxes("anchors", anchors), jit.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    if len(gt_boxes) == 0:
        return np.full(len(anchors), BACKGROUND, np.int64)
    a, g = jit.native(anchors), wide(gt_boxes)
    out = np.empty(len(a), np.int64)
    best_of_gt = (
        _best_of_gt(a, g) if force_match else np.full(len(g), np.inf)
    )  # inf: reached by none, nothing is forced
    _assign(a, g, positive_iou, negative_iou, best_of_gt, out)
    return out


def assign_pyramid(
    image_size: tuple[int, int], gt_boxes: ArrayLike, config: AnchorConfig,
    positive_iou: float = 0.5, negative_iou: float = 0.4, force_match: bool = False,
) -> np.ndarray:  # fmt: skip
    """`assign_anchors` for all anchors of a pyramid. See `minidet.reference.assign_pyramid`.

    Fast because anchors are a grid: only cells near a ground-truth box can reach a threshold with it, and two
    inequalities give the rectangle that they lie in, so the cost is anchors + boxes x few instead of anchors x boxes.
    What is left is mostly memory that is touched for the first time, so there is none but the result.
    """
    gt_boxes = jit.boxes("gt_boxes", gt_boxes)
    positive_iou, negative_iou = checks.iou_thresholds(positive_iou, negative_iou)
    cells, places, first = _layout(checks.image_size(image_size), config)
    rounded = gt_boxes.dtype == np.float32  # the anchors are then float32 too
    pyramid = cells, places, first, float(config.offset), wide(gt_boxes), rounded
    out = np.full(first[-1], BACKGROUND if negative_iou > 0 or len(gt_boxes) == 0 else IGNORED)
    _assign_pyramid(*pyramid, positive_iou, negative_iou, out)
    if force_match:
        _force(*pyramid, out)
    return out


@lru_cache(maxsize=16)
def _layout(image_size: tuple[int, int], config: AnchorConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The anchors of each level's cell, (L, A, 4); each level's rows, columns and strides y and x, (L, 4) int64; and
    the index of each level's first anchor, (L + 1,), the number of all at the end."""
    grids = config.grids(image_size)
    cells = np.stack([cell_anchors(grid.size, grid.scales, config.aspect_ratios) for grid in grids])
    places = np.array([(grid.rows, grid.columns, grid.stride_y, grid.stride_x) for grid in grids], np.int64)
    first = np.cumsum([0, *places[:, 0] * places[:, 1] * cells.shape[1]])
    return np.round(cells) if config.round_cells else cells, places, first


@parallel_kernel
def _assign(anchors, gts, positive_iou, negative_iou, best_of_gt, out):
    """No (N, M) matrix: block after block of anchors meets all boxes, and memory stays O(N + M)."""
    for block in prange((len(anchors) + _BLOCK - 1) // _BLOCK):
        some = slice(block * _BLOCK, (block + 1) * _BLOCK)
        _assign_block(anchors[some], gts, positive_iou, negative_iou, best_of_gt, out[some])


@helper
def _assign_block(anchors, gts, positive_iou, negative_iou, best_of_gt, out):
    """One box at a time over all anchors, without branches, so that the inner loop runs on vectors."""
    n = len(anchors)
    x1, y1, x2, y2, area = _columns(anchors)
    best, matched, forced = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    for j in range(len(gts)):
        a, b, c, d, top = gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3], best_of_gt[j]
        gt_area = (c - a) * (d - b)
        for i in range(n):
            iou = iou_of(x1[i], y1[i], x2[i], y2[i], area[i], a, b, c, d, gt_area)
            better = iou > best[i]  # strictly: of equal ones the first stays
            matched[i] = j if better else matched[i]
            best[i] = iou if better else best[i]
            forced[i] |= (iou == top) & (iou > 0.0)
    for i in range(n):
        if forced[i] or best[i] >= positive_iou:
            out[i] = matched[i]
        else:
            out[i] = BACKGROUND if best[i] < negative_iou else IGNORED


@kernel
def _best_of_gt(anchors, gts):
    """(M,) best IoU that each ground-truth box has with any anchor."""
    best = np.zeros(len(gts))
    iou = np.empty(_BLOCK)
    for start in range(0, len(anchors), _BLOCK):
        x1, y1, x2, y2, area = _columns(anchors[start : start + _BLOCK])
        for j in range(len(gts)):
            a, b, c, d = gts[j, 0], gts[j, 1], gts[j, 2], gts[j, 3]
            gt_area = (c - a) * (d - b)
            for i in range(len(area)):
                iou[i] = iou_of(x1[i], y1[i], x2[i], y2[i], area[i], a, b, c, d, gt_area)
            for i in range(len(area)):
                best[j] = max(best[j], iou[i])
    return best


@helper
def _columns(anchors):
    """x1, y1, x2, y2 and area of some anchors, each contiguous float64."""
    n = len(anchors)
    x1, y1, x2, y2, area = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        x1[i], y1[i], x2[i], y2[i] = anchors[i, 0], anchors[i, 1], anchors[i, 2], anchors[i, 3]
        area[i] = (x2[i] - x1[i]) * (y2[i] - y1[i])
    return x1, y1, x2, y2, area


@kernel
def _assign_pyramid(cells, places, first, offset, gts, rounded, positive_iou, negative_iou, out):
    """Band after band of rows: the IoUs of one band stay in the cache, and the result is the only large array."""
    levels, per_cell, _ = cells.shape
    for level in range(levels):
        place = _four(places, level)
        rows, row_length = place[0], place[1] * per_cell
        near = _candidates(cells[level], place, offset, gts, negative_iou)
        height = max(1, _BAND // row_length)
        best = np.empty(height * row_length)  # IoU with gts[band], where band >= 0
        for top in range(0, rows, height):
            bottom = min(top + height, rows)
            band = out[first[level] + top * row_length : first[level] + bottom * row_length]
            for i in range(len(band)):
                best[i] = 0.0
            for c in range(len(near)):
                j, a, low, high = near[c, 0], near[c, 1], max(near[c, 2], top), min(near[c, 3], bottom)
                cell, gt = _four(cells[level], a), _four(gts, j)
                for row in range(low, high):
                    for column in range(near[c, 4], near[c, 5]):
                        i = (row - top) * row_length + column * per_cell + a
                        iou = _iou_at(cell, place, offset, row, column, rounded, gt)
                        if iou >= negative_iou and iou > best[i]:  # strictly: of equal ones the first stays
                            band[i], best[i] = j, iou
            for i in range(len(band)):
                band[i] = IGNORED if (band[i] >= 0) & (best[i] < positive_iou) else band[i]


@helper
def _four(array, i):
    """A row of four numbers as a tuple, which stays in registers."""
    return array[i, 0], array[i, 1], array[i, 2], array[i, 3]


@helper
def _candidates(cells, place, offset, gts, iou):
    """(C, 6) rectangles of one level in which a box may have at least this IoU with the anchors of one shape.

    A row is (box, shape, first row, row behind the last, first column, column behind the last), the boxes of a shape in
    their order.
    """
    out = np.empty((len(gts) * len(cells), 6), np.int64)
    count = 0
    for a in range(len(cells)):
        cell = _four(cells, a)
        for j in range(len(gts)):
            rows, columns = _reach(cell, place, offset, _four(gts, j), iou)
            if rows[0] < rows[1] and columns[0] < columns[1]:
                out[count, 0], out[count, 1] = j, a
                out[count, 2], out[count, 3], out[count, 4], out[count, 5] = rows[0], rows[1], columns[0], columns[1]
                count += 1
    return out[:count]


@kernel
def _force(cells, places, first, offset, gts, rounded, out):
    """Assign the anchors that reach a box's best IoU, ties included, each to the box that it overlaps most."""
    levels, per_cell, _ = cells.shape
    near = np.empty((levels * per_cell, 6), np.int64)
    for j in range(len(gts)):
        gt = _four(gts, j)
        top, rectangles = _best_iou(cells, places, offset, gt, rounded, near)
        for c in range(rectangles):
            level, a = near[c, 0], near[c, 1]
            cell, place = _four(cells[level], a), _four(places, level)
            for row in range(near[c, 2], near[c, 3]):
                for column in range(near[c, 4], near[c, 5]):
                    i = first[level] + (row * place[1] + column) * per_cell + a
                    # an anchor that has a box already has the one it overlaps most
                    if out[i] < 0 and _iou_at(cell, place, offset, row, column, rounded, gt) == top:
                        out[i] = _most(_anchor_at(cell, place, offset, row, column, rounded), gts)


@helper
def _most(anchor, gts):
    """The box that one anchor overlaps most, the first of equal ones."""
    x1, y1, x2, y2 = anchor
    best, matched = 0.0, 0
    for j in range(len(gts)):
        if gts[j, 0] < x2 and x1 < gts[j, 2] and gts[j, 1] < y2 and y1 < gts[j, 3]:  # few boxes; spares a division
            iou = _iou_with(x1, y1, x2, y2, _four(gts, j))
            if iou > best:
                best, matched = iou, j
    return matched


@helper
def _best_iou(cells, places, offset, gt, rounded, near):
    """The best IoU of a box with any anchor; `near` gets the (level, shape, rows, columns) where it is, so many rows.

    An anchor of a given shape overlaps a box most at the cell nearest the box's centre. The best of these few is the
    best of all up to rounding; whatever could reach it is then compared exactly.
    """
    levels, per_cell, _ = cells.shape
    top, rectangles = 0.0, 0
    for level in range(levels):
        place = _four(places, level)
        row = _nearest((gt[1] + gt[3]) / 2, place[2], offset, place[0])
        column = _nearest((gt[0] + gt[2]) / 2, place[3], offset, place[1])
        for a in range(per_cell):
            top = max(top, _iou_at(_four(cells[level], a), place, offset, row, column, rounded, gt))
    if top == 0.0:
        return top, rectangles
    almost = top * (1.0 - 1e-9)
    for level in range(levels):
        place = _four(places, level)
        for a in range(per_cell):
            cell = _four(cells[level], a)
            rows, columns = _reach(cell, place, offset, gt, almost)
            if rows[0] < rows[1] and columns[0] < columns[1]:
                near[rectangles, 0], near[rectangles, 1] = level, a
                near[rectangles, 2], near[rectangles, 3] = rows[0], rows[1]
                near[rectangles, 4], near[rectangles, 5] = columns[0], columns[1]
                rectangles += 1
                for row in range(rows[0], rows[1]):
                    for column in range(columns[0], columns[1]):
                        top = max(top, _iou_at(cell, place, offset, row, column, rounded, gt))
    return top, rectangles


@helper
def _iou_at(cell, place, offset, row, column, rounded, gt):
    """IoU of the anchor at (row, column) with a box, made and measured as the reference makes and measures it."""
    x1, y1, x2, y2 = _anchor_at(cell, place, offset, row, column, rounded)
    return _iou_with(x1, y1, x2, y2, gt)


@helper
def _anchor_at(cell, place, offset, row, column, rounded):
    y, x = (row + offset) * place[2], (column + offset) * place[3]
    x1, y1, x2, y2 = x + cell[0], y + cell[1], x + cell[2], y + cell[3]
    if rounded:
        x1, y1, x2, y2 = (
            np.float64(np.float32(x1)), np.float64(np.float32(y1)),
            np.float64(np.float32(x2)), np.float64(np.float32(y2)),
        )  # fmt: skip
    return x1, y1, x2, y2


@helper
def _iou_with(x1, y1, x2, y2, gt):
    gt_area = (gt[2] - gt[0]) * (gt[3] - gt[1])
    return iou_of(x1, y1, x2, y2, (x2 - x1) * (y2 - y1), gt[0], gt[1], gt[2], gt[3], gt_area)


@helper
def _reach(cell, place, offset, gt, iou):
    """The half-open ranges of rows and columns outside of which no anchor of this shape has at least this IoU.

    IoU >= t asks for an intersection of at least t / (1 + t) times the sum of the two areas. As one side of the
    intersection is at most the shorter of the two boxes' sides, the other side has a least length, and so the centres
    may be only so far apart. Most shapes are out of the question for a box, which two products tell.
    """
    width, height = cell[2] - cell[0], cell[3] - cell[1]
    gt_width, gt_height = gt[2] - gt[0], gt[3] - gt[1]
    least = iou / (1.0 + iou) * (width * height + gt_width * gt_height)
    shorter_x, shorter_y = min(width, gt_width), min(height, gt_height)
    slack_x, slack_y = _slack(place[1]), _slack(place[0])
    possible = (
        gt_width > 0.0 and gt_height > 0.0
        and least <= shorter_x * (shorter_y + slack_y * place[2])
        and least <= shorter_y * (shorter_x + slack_x * place[3])
    )  # fmt: skip
    if not possible:
        return (0, 0), (0, 0)
    rows = _range(least / shorter_x, cell[1], cell[3], gt[1], gt[3], place[2], offset, place[0], slack_y)
    columns = _range(least / shorter_y, cell[0], cell[2], gt[0], gt[2], place[3], offset, place[1], slack_x)
    return rows, columns


@helper
def _slack(count):
    """In cells, far more than rounding, of coordinates to float32 too, may cost a place among so many cells.

    A cell too many costs an IoU.
    """
    return 1e-3 + 1e-6 * count


@helper
def _range(least, low, high, gt_low, gt_high, stride, offset, count, slack):
    """Cells i in [0, count) whose anchor, from low to high at (i + offset) * stride, overlaps by `least` or more."""
    start = (gt_low + least - high) / stride - offset - slack
    stop = (gt_high - least - low) / stride - offset + slack
    return math.ceil(min(max(start, 0.0), count)), math.floor(min(max(stop, -1.0), count - 1.0)) + 1


@helper
def _nearest(centre, stride, offset, count):
    """The cell whose centre is nearest."""
    return math.floor(min(max(centre / stride - offset + 0.5, 0.0), count - 1.0))
