"""Anchors as a grid: one of them by its place, and the places where an anchor may reach an IoU with a box.

A *cell* is here the (x1, y1, x2, y2) of an anchor's shape around the origin; a *place* is a level's (rows, columns,
stride y, stride x).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from minidet.compiled.anchors import cell_anchors
from minidet.compiled.boxes import iou_of
from minidet.compiled.jit import helper
from minidet.config import AnchorConfig


@lru_cache(maxsize=16)
def layout(image_size: tuple[int, int], config: AnchorConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pyramid as three arrays, the same for all images of one size.

    Args:
        image_size: (height, width) of the network's input, pixels.
        config: the anchors.

    Returns:
        cells: (L, A, 4) float64, the anchors of each level's cell.
        places: (L, 4) int64, each level's rows, columns, stride y and stride x.
        first: (L + 1,) int64, the index of each level's first anchor, and at the end the number of all.
    """
    grids = config.grids(image_size)
    cells = np.stack([cell_anchors(grid.size, grid.scales, config.aspect_ratios) for grid in grids])
    places = np.array([(grid.rows, grid.columns, grid.stride_y, grid.stride_x) for grid in grids], np.int64)
    first = np.cumsum([0, *places[:, 0] * places[:, 1] * cells.shape[1]])
    return np.round(cells) if config.round_cells else cells, places, first


@helper
def four(array, i):
    """A row of four numbers as a tuple, which stays in registers."""
    return array[i, 0], array[i, 1], array[i, 2], array[i, 3]


@helper
def candidates(cells, place, offset, gts, iou, out):
    """How many rectangles of one level a box may have at least this IoU in with the anchors of one shape.

    They are written into the rows of `out`: (box, shape, first row, row behind the last, first column, column behind
    the last), the boxes of a shape in their order.
    """
    count = 0
    for a in range(len(cells)):
        cell = four(cells, a)
        for j in range(len(gts)):
            rows, columns = reach(cell, place, offset, four(gts, j), iou)
            if rows[0] < rows[1] and columns[0] < columns[1]:
                out[count, 0], out[count, 1] = j, a
                out[count, 2], out[count, 3], out[count, 4], out[count, 5] = rows[0], rows[1], columns[0], columns[1]
                count += 1
    return count


@helper
def iou_at(cell, place, offset, row, column, rounded, gt):
    """The IoU of the anchor at (row, column) with a box, rounded exactly as in the reference."""
    x1, y1, x2, y2 = anchor_at(cell, place, offset, row, column, rounded)
    return iou_with(x1, y1, x2, y2, gt)


@helper
def anchor_at(cell, place, offset, row, column, rounded):
    y, x = (row + offset) * place[2], (column + offset) * place[3]
    x1, y1 = _single(x + cell[0], rounded), _single(y + cell[1], rounded)
    return x1, y1, _single(x + cell[2], rounded), _single(y + cell[3], rounded)


@helper
def _single(x, rounded):
    return np.float64(np.float32(x)) if rounded else x


@helper
def iou_with(x1, y1, x2, y2, gt):
    gt_area = (gt[2] - gt[0]) * (gt[3] - gt[1])
    return iou_of(x1, y1, x2, y2, (x2 - x1) * (y2 - y1), gt[0], gt[1], gt[2], gt[3], gt_area)


@helper
def reach(cell, place, offset, gt, iou):
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
    """Cells, or a part of one, added on each side, so that rounding (to float32 too) never loses an anchor.

    It is far more than rounding may cost in a row of `count` cells; a cell too many only costs one more IoU.
    """
    return 1e-3 + 1e-6 * count


@helper
def _range(least, low, high, gt_low, gt_high, stride, offset, count, slack):
    """Cells i in [0, count) whose anchor, from low to high at (i + offset) * stride, overlaps by `least` or more."""
    start = (gt_low + least - high) / stride - offset - slack
    stop = (gt_high - least - low) / stride - offset + slack
    return math.ceil(min(max(start, 0.0), count)), math.floor(min(max(stop, -1.0), count - 1.0)) + 1


@helper
def nearest(centre, stride, offset, count):
    """The cell whose centre is nearest."""
    return math.floor(min(max(centre / stride - offset + 0.5, 0.0), count - 1.0))
