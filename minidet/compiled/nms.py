"""Non-maximum suppression in Numba. Contracts are those of `minidet.reference.nms`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import arrays
from minidet.compiled.arrays import descending, wide
from minidet.compiled.boxes import iou_of
from minidet.compiled.jit import helper, kernel


def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float = 0.5) -> np.ndarray:
    """Keep the best box, drop all that overlap it by more than the threshold, repeat. See `minidet.reference.nms`."""
    boxes = arrays.boxes("boxes", boxes)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    order = descending(scores)
    return order[_suppress(wide(boxes.take(order, axis=0)), np.array([0, len(boxes)]), threshold)]


def batched_nms(boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike, iou_threshold: float = 0.5) -> np.ndarray:
    """Suppress within each class by itself. See `minidet.reference.batched_nms`."""
    boxes = arrays.boxes("boxes", boxes)
    scores = checks.vector("scores", scores, len(boxes), of="boxes")
    classes = checks.integers("classes", classes, len(boxes), of="boxes", low=0)
    threshold = checks.number("iou_threshold", iou_threshold, low=0, high=1)
    if classes.max(initial=0) < 2**16:
        classes = classes.astype(np.uint16)  # which NumPy sorts in linear time
    order = descending(scores)
    grouped = order[np.argsort(classes[order], kind="stable")]  # classes together, best first within each
    starts = np.flatnonzero(np.diff(classes[grouped], prepend=-1, append=-1))
    kept = np.empty(len(boxes), np.bool_)
    kept[grouped] = _suppress(wide(boxes.take(grouped, axis=0)), starts, threshold)
    return order[kept[order]]


@kernel
def _suppress(boxes, starts, threshold):
    """(N,) bool of the greedy choice within each group boxes[starts[g] : starts[g + 1]], best box first.

    It is fast because a box is compared with few others: kept boxes are filed under the cell of a grid in which their
    centre lies, and only those near enough to matter are looked up. Where an intersection is o wide, the IoU is at
    most o / (w1 + w2 - o), so IoU > t asks for centres less than (w1 + w2) / 2 (1 - t) / (1 + t) apart, and no side is
    longer than 1 / t times the other; the same holds for the heights. Boxes of no area overlap nothing; they are kept
    and filed nowhere.
    """
    kept = np.empty(len(boxes), np.bool_)
    next_in_cell = np.empty(len(boxes), np.int64)
    for g in range(len(starts) - 1):
        start, stop = starts[g], starts[g + 1]
        low_x, low_y, scale, columns, rows, widest, highest, margin = _grid(boxes, start, stop)
        first_in_cell = np.empty(rows * columns, np.int64)
        for home in range(rows * columns):
            first_in_cell[home] = -1
        for i in range(start, stop):
            x1, y1, x2, y2 = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
            w, h = x2 - x1, y2 - y1
            area = w * h
            centre_x, centre_y = (x1 + w / 2 - low_x) * scale, (y1 + h / 2 - low_y) * scale
            reach_x = (_reach(w, widest, threshold) + 1e-15 * (abs(x1) + abs(x2))) * scale + margin
            reach_y = (_reach(h, highest, threshold) + 1e-15 * (abs(y1) + abs(y2))) * scale + margin
            first_row, last_row = _cell(centre_y - reach_y, rows), _cell(centre_y + reach_y, rows)
            first_column, last_column = _cell(centre_x - reach_x, columns), _cell(centre_x + reach_x, columns)
            alive = True
            row = first_row
            while alive and row <= last_row and area > 0:
                column = first_column
                while alive and column <= last_column:
                    j = first_in_cell[row * columns + column]
                    while alive and j >= 0:
                        a, b, c, d = boxes[j, 0], boxes[j, 1], boxes[j, 2], boxes[j, 3]
                        if a < x2 and x1 < c and b < y2 and y1 < d:
                            alive = iou_of(a, b, c, d, (c - a) * (d - b), x1, y1, x2, y2, area) <= threshold
                        j = next_in_cell[j]
                    column += 1
                row += 1
            kept[i] = alive
            if alive and area > 0:
                home = _cell(centre_y, rows) * columns + _cell(centre_x, columns)
                next_in_cell[i] = first_in_cell[home]
                first_in_cell[home] = i
    return kept


@helper
def _grid(boxes, start, stop):
    """A grid over the centres of some boxes, with about as many cells as boxes.

    Returns its origin, cells per pixel, columns and rows; the longest sides; and what rounding may cost a distance in
    it, in cells.

    Cells are no smaller than the average side, so that a look-up touches few of them. Where they would be much larger,
    the grid lies where most boxes are, and the others are filed at its edge.
    """
    low_x = low_y = np.inf
    high_x = high_y = -np.inf
    widest = highest = total = 0.0
    for i in range(start, stop):
        w, h = boxes[i, 2] - boxes[i, 0], boxes[i, 3] - boxes[i, 1]
        x, y = boxes[i, 0] + w / 2, boxes[i, 1] + h / 2
        low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
        widest, highest, total = max(widest, w), max(highest, h), total + w + h
    count = stop - start
    if max(high_x - low_x, high_y - low_y) * count > 4 * total * math.sqrt(count):
        for axis in range(2):  # not two calls with 0 and with 1, which would be compiled apart
            if axis == 0:
                low_x, high_x = _core(boxes, start, stop, axis, low_x, high_x)
            else:
                low_y, high_y = _core(boxes, start, stop, axis, low_y, high_y)
    side = max(high_x - low_x, high_y - low_y)
    cell = max(total / (2 * count), side / math.sqrt(count), side / 1024, 1e-300)
    margin = 1e-6 + 1e-15 * max(abs(low_x), abs(high_x), abs(low_y), abs(high_y)) / cell  # far more than rounding
    scale = 1.0 / cell
    columns, rows = int((high_x - low_x) * scale) + 1, int((high_y - low_y) * scale) + 1
    return low_x, low_y, scale, columns, rows, widest, highest, margin


@helper
def _core(boxes, start, stop, axis, low, high):
    """The part of an axis, from low to high, in which nine of ten centres lie, without what is far from all others.

    Far is more than four times the mean distance from the mean, which nothing is among centres spread evenly.
    """
    count = inside = stop - start
    for _ in range(8):
        total = away = 0.0
        for i in range(start, stop):
            centre = _centre(boxes, i, axis)
            total += centre if low <= centre <= high else 0.0
        mean = total / inside
        for i in range(start, stop):
            centre = _centre(boxes, i, axis)
            away += abs(centre - mean) if low <= centre <= high else 0.0
        away *= 4 / inside
        nearest, farthest, inside = high, low, 0
        for i in range(start, stop):
            centre = _centre(boxes, i, axis)
            if low <= centre <= high and abs(centre - mean) <= away:
                nearest, farthest, inside = min(nearest, centre), max(farthest, centre), inside + 1
        if inside < 0.9 * count or (nearest == low and farthest == high):
            break
        low, high = nearest, farthest
    return low, high


@helper
def _centre(boxes, i, axis):
    return boxes[i, axis] + (boxes[i, axis + 2] - boxes[i, axis]) / 2


@helper
def _cell(place, count):
    """The row or column of a place, counted from 0; what lies outside belongs to the first or the last."""
    return int(min(max(place, 0.0), count - 1.0))


@helper
def _reach(side, longest, threshold):
    """How far apart, along one axis, the centres of a box of this side and of one with IoU > threshold may be."""
    other = longest if threshold == 0.0 else min(longest, side / threshold)
    return (side + other) / 2 * (1.0 - threshold) / (1.0 + threshold)
