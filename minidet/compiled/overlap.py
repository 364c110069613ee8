"""Losses of boxes that measure how far two boxes are from covering each other, in Numba.

Equations, notation and contracts are those of `minidet.reference.overlap`. Arithmetic is float64 whatever the type.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet.compiled import arrays
from minidet.compiled.arrays import native
from minidet.compiled.jit import helper, parallel_kernel

GIOU, DIOU, CIOU = range(3)


def giou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The generalised IoU loss. See `minidet.reference.giou_loss`."""
    return _losses(GIOU, boxes, targets)


def giou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient of the generalised IoU loss. See `minidet.reference.giou_loss_grad`."""
    return _slopes(GIOU, boxes, targets)


def diou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The distance IoU loss. See `minidet.reference.diou_loss`."""
    return _losses(DIOU, boxes, targets)


def diou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient of the distance IoU loss. See `minidet.reference.diou_loss_grad`."""
    return _slopes(DIOU, boxes, targets)


def ciou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The complete IoU loss. See `minidet.reference.ciou_loss`."""
    return _losses(CIOU, boxes, targets)


def ciou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient that the complete IoU loss is trained with. See `minidet.reference.ciou_loss_grad`."""
    return _slopes(CIOU, boxes, targets)


def _losses(kind: int, boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    first, second = arrays.matching_boxes("boxes", boxes, "targets", targets, with_area=False)
    mine, theirs = native(first), native(second)
    out = np.empty(len(first), mine.dtype)
    _loss_loop(len(out), 20 * len(out), kind, mine, theirs, out)
    return out.astype(first.dtype, copy=False)


def _slopes(kind: int, boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    first, second = arrays.matching_boxes("boxes", boxes, "targets", targets, with_area=False)
    mine, theirs = native(first), native(second)
    out = np.empty(mine.shape, mine.dtype)
    _slope_loop(len(out), 50 * len(out), kind, mine, theirs, out)
    return out.astype(first.dtype, copy=False)


@helper
def _wide_row(array, i):
    return np.float64(array[i, 0]), np.float64(array[i, 1]), np.float64(array[i, 2]), np.float64(array[i, 3])


@helper
def _ratio(a, b):
    """a / b, and 0 where b is."""
    return a / b if b > 0.0 else 0.0


@helper
def _half_step(a):
    """1 for a > 0, 0 for a < 0, their mean between."""
    return 0.5 if a == 0.0 else (1.0 if a > 0.0 else 0.0)


@helper
def _shared(low, high, other_low, other_high):
    """What both boxes cover of an axis, and its slopes by the ends of the first."""
    length = min(high, other_high) - max(low, other_low)
    if length <= 0.0:
        return 0.0, 0.0, 0.0
    return length, -_half_step(low - other_low), _half_step(other_high - high)


@helper
def _around(low, high, other_low, other_high):
    """What the smallest box around both covers of an axis, and its slopes by the ends of the first."""
    length = max(high, other_high) - min(low, other_low)
    return length, -_half_step(other_low - low), _half_step(high - other_high)


@helper
def _aspect(w, h, other_w, other_h, iou):
    """v, its weight alpha, and the angle from the box's ratio to the other's."""
    turn = math.atan2(other_w, other_h) - math.atan2(w, h)
    v = 4.0 / math.pi**2 * (turn * turn)
    return v, _ratio(v, 1.0 - iou + v), turn


@parallel_kernel
def _loss_loop(first, stop, kind, boxes, targets, out):
    for i in range(first, stop):
        x1, y1, x2, y2 = _wide_row(boxes, i)
        a1, b1, a2, b2 = _wide_row(targets, i)
        intersection = _shared(x1, x2, a1, a2)[0] * _shared(y1, y2, b1, b2)[0]
        union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - intersection
        iou = _ratio(intersection, union)
        width, height = _around(x1, x2, a1, a2)[0], _around(y1, y2, b1, b2)[0]
        if kind == GIOU:
            out[i] = 1.0 - iou + _ratio(width * height - union, width * height)
            continue
        dx, dy = (x1 + x2) / 2.0 - (a1 + a2) / 2.0, (y1 + y2) / 2.0 - (b1 + b2) / 2.0
        loss = 1.0 - iou + _ratio(dx * dx + dy * dy, width * width + height * height)
        if kind == CIOU:
            v, trade, _ = _aspect(x2 - x1, y2 - y1, a2 - a1, b2 - b1, iou)
            loss += trade * v
        out[i] = loss


@parallel_kernel
def _slope_loop(first, stop, kind, boxes, targets, out):
    for i in range(first, stop):
        x1, y1, x2, y2 = _wide_row(boxes, i)
        a1, b1, a2, b2 = _wide_row(targets, i)
        w, h = x2 - x1, y2 - y1
        shared_x, shared_x1, shared_x2 = _shared(x1, x2, a1, a2)
        shared_y, shared_y1, shared_y2 = _shared(y1, y2, b1, b2)
        around_x, around_x1, around_x2 = _around(x1, x2, a1, a2)
        around_y, around_y1, around_y2 = _around(y1, y2, b1, b2)
        intersection = shared_x * shared_y
        union = w * h + (a2 - a1) * (b2 - b1) - intersection
        iou = _ratio(intersection, union)
        union_x1, union_y1 = -h - shared_x1 * shared_y, -w - shared_x * shared_y1
        union_x2, union_y2 = h - shared_x2 * shared_y, w - shared_x * shared_y2
        iou_x1 = _ratio(shared_x1 * shared_y - iou * union_x1, union)
        iou_y1 = _ratio(shared_x * shared_y1 - iou * union_y1, union)
        iou_x2 = _ratio(shared_x2 * shared_y - iou * union_x2, union)
        iou_y2 = _ratio(shared_x * shared_y2 - iou * union_y2, union)
        if kind == GIOU:
            hull = around_x * around_y
            filled = _ratio(union, hull)
            out[i, 0] = -iou_x1 - _ratio(union_x1 - filled * (around_x1 * around_y), hull)
            out[i, 1] = -iou_y1 - _ratio(union_y1 - filled * (around_x * around_y1), hull)
            out[i, 2] = -iou_x2 - _ratio(union_x2 - filled * (around_x2 * around_y), hull)
            out[i, 3] = -iou_y2 - _ratio(union_y2 - filled * (around_x * around_y2), hull)
            continue
        dx, dy = (x1 + x2) / 2.0 - (a1 + a2) / 2.0, (y1 + y2) / 2.0 - (b1 + b2) / 2.0
        diagonal = around_x * around_x + around_y * around_y
        apart = _ratio(dx * dx + dy * dy, diagonal)
        by_width, by_height = 0.0, 0.0
        if kind == CIOU:
            _, trade, turn = _aspect(w, h, a2 - a1, b2 - b1, iou)
            weight, squares = trade * (-8.0 / math.pi**2 * turn), w * w + h * h
            by_width, by_height = weight * _ratio(h, squares), weight * -_ratio(w, squares)
        out[i, 0] = -iou_x1 + (_ratio(dx - apart * (2.0 * (around_x * around_x1)), diagonal) - by_width)
        out[i, 1] = -iou_y1 + (_ratio(dy - apart * (2.0 * (around_y * around_y1)), diagonal) - by_height)
        out[i, 2] = -iou_x2 + (_ratio(dx - apart * (2.0 * (around_x * around_x2)), diagonal) + by_width)
        out[i, 3] = -iou_y2 + (_ratio(dy - apart * (2.0 * (around_y * around_y2)), diagonal) + by_height)
