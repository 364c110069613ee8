"""Forced matches of a pyramid: the anchors that reach a ground-truth box's best IoU, found where the grid says."""

from __future__ import annotations

from minidet.compiled.grid import anchor_at, four, iou_at, iou_with, nearest, reach
from minidet.compiled.jit import helper, kernel


@kernel
def force(cells, places, first, offset, gts, rounded, near, out):
    """Assign the anchors that reach a box's best IoU, ties included, each to the box that it overlaps most.

    There is room for the rectangles of a box in `near`.
    """
    per_cell = cells.shape[1]
    for j in range(len(gts)):
        gt = four(gts, j)
        top, rectangles = _best_iou(cells, places, offset, gt, rounded, near)
        for c in range(rectangles):
            level, a = near[c, 0], near[c, 1]
            cell, place = four(cells[level], a), four(places, level)
            for row in range(near[c, 2], near[c, 3]):
                for column in range(near[c, 4], near[c, 5]):
                    i = first[level] + (row * place[1] + column) * per_cell + a
                    # an anchor that has a box already has the one it overlaps most
                    if out[i] < 0 and iou_at(cell, place, offset, row, column, rounded, gt) == top:
                        out[i] = _most(anchor_at(cell, place, offset, row, column, rounded), gts)


@helper
def _most(anchor, gts):
    """The box that one anchor overlaps most, the first of equal ones."""
    x1, y1, x2, y2 = anchor
    best, matched = 0.0, 0
    for j in range(len(gts)):
        if gts[j, 0] < x2 and x1 < gts[j, 2] and gts[j, 1] < y2 and y1 < gts[j, 3]:  # few boxes; spares a division
            iou = iou_with(x1, y1, x2, y2, four(gts, j))
            if iou > best:
                best, matched = iou, j
    return matched


@helper
def _best_iou(cells, places, offset, gt, rounded, near):
    """The best IoU of a box with any anchor, and how many rectangles may hold anchors that reach it.

    The rectangles are written into the rows of `near`: level, shape, first and last row, first and last column, each
    last one exclusive.

    An anchor of a given shape overlaps a box most at the cell nearest the box's centre. The best of these few is the
    best of all up to rounding; whatever could reach it is then compared exactly.
    """
    levels, per_cell, _ = cells.shape
    top, rectangles = 0.0, 0
    for level in range(levels):
        place = four(places, level)
        row = nearest((gt[1] + gt[3]) / 2, place[2], offset, place[0])
        column = nearest((gt[0] + gt[2]) / 2, place[3], offset, place[1])
        for a in range(per_cell):
            top = max(top, iou_at(four(cells[level], a), place, offset, row, column, rounded, gt))
    if top == 0.0:
        return top, rectangles
    almost = top * (1.0 - 1e-9)
    for level in range(levels):
        place = four(places, level)
        for a in range(per_cell):
            cell = four(cells[level], a)
            rows, columns = reach(cell, place, offset, gt, almost)
            if rows[0] < rows[1] and columns[0] < columns[1]:
                near[rectangles, 0], near[rectangles, 1] = level, a
                near[rectangles, 2], near[rectangles, 3] = rows[0], rows[1]
                near[rectangles, 4], near[rectangles, 5] = columns[0], columns[1]
                rectangles += 1
                for row in range(rows[0], rows[1]):
                    for column in range(columns[0], columns[1]):
                        top = max(top, iou_at(cell, place, offset, row, column, rounded, gt))
    return top, rectangles
