"""Losses of boxes that measure how far two boxes are from covering each other, each beside its gradient.

Smooth L1 treats the four offsets one by one; these losses see the box. With the intersection I, the union U and the
smallest box around both, of area C and diagonal c:

    GIoU: 1 - I/U + (C - U)/C      DIoU: 1 - I/U + rho**2 / c**2      CIoU: DIoU + alpha v

rho is the distance of the two centres and v = 4/pi**2 (atan(w'/h') - atan(w/h))**2 compares the aspect ratios. All are
0 for equal boxes and, unlike 1 - IoU, have a slope where the boxes do not touch.

A min or a max has two slopes where its arguments are equal; the mean of both is taken, so that the gradient of two
equal boxes is 0. A quotient whose denominator is 0 (boxes without area) counts as 0, with the slope 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks


def giou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The generalised IoU loss, 1 - I/U + (C - U)/C (Rezatofighi et al., 2019).

    Args:
        boxes: (N, 4) corners, pixels.
        targets: (N, 4) the ground-truth box of each, pixels.

    Returns:
        (N,) losses in [0, 2], in the floating type of boxes.

    Raises:
        ValueError: a box is malformed, or the lengths differ.

    >>> giou_loss([[0, 0, 2, 2]], [[4, 0, 6, 2]]).round(4)  # apart by a side
    array([1.3333])
    """
    p = pairs(boxes, targets)
    return (1 - p.iou + ratio(p.hull - p.union, p.hull)).astype(p.dtype)


def giou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient of `giou_loss` with respect to the boxes: -(I/U)' - (U/C)', each by the rule of quotients.

    Args:
        boxes, targets: as in `giou_loss`.

    Returns:
        (N, 4) derivatives by (x1, y1, x2, y2), per pixel, in the floating type of boxes.

    Raises:
        ValueError: as `giou_loss`.
    """
    p = pairs(boxes, targets)
    slope = ratio_slope(p.union, p.union_slope, p.hull, p.hull_slope)
    return (-p.iou_slope - slope).astype(p.dtype)


def diou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The distance IoU loss, 1 - I/U + rho**2 / c**2 (Zheng et al., 2020).

    Args:
        boxes, targets: as in `giou_loss`.

    Returns:
        (N,) losses in [0, 2], in the floating type of boxes.

    Raises:
        ValueError: as `giou_loss`.

    >>> diou_loss([[0, 0, 2, 2]], [[4, 0, 6, 2]])
    array([1.4])
    """
    p = pairs(boxes, targets)
    return (1 - p.iou + ratio(p.distance, p.diagonal)).astype(p.dtype)


def diou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient of `diou_loss` with respect to the boxes, -(I/U)' + (rho**2 / c**2)'.

    Args:
        boxes, targets: as in `giou_loss`.

    Returns:
        (N, 4) derivatives by (x1, y1, x2, y2), per pixel, in the floating type of boxes.

    Raises:
        ValueError: as `giou_loss`.
    """
    p = pairs(boxes, targets)
    return (-p.iou_slope + p.distance_slope).astype(p.dtype)


def ciou_loss(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The complete IoU loss, DIoU + alpha v with alpha = v / (1 - I/U + v) (Zheng et al., 2020).

    Args:
        boxes, targets: as in `giou_loss`.

    Returns:
        (N,) losses >= 0, in the floating type of boxes.

    Raises:
        ValueError: as `giou_loss`.

    >>> ciou_loss([[0, 0, 2, 2]], [[0, 0, 2, 2]])
    array([0.])
    """
    p = pairs(boxes, targets)
    return (1 - p.iou + ratio(p.distance, p.diagonal) + p.trade * p.aspect).astype(p.dtype)


def ciou_loss_grad(boxes: ArrayLike, targets: ArrayLike) -> np.ndarray:
    """The gradient that `ciou_loss` is trained with: alpha is a weight and not differentiated (Zheng et al., 2020).

    With t = atan(w/h): v' = -8/pi**2 (t' - t) dt, where dt/dw = h / (w**2 + h**2) and dt/dh = -w / (w**2 + h**2).

    Args:
        boxes, targets: as in `giou_loss`.

    Returns:
        (N, 4) derivatives by (x1, y1, x2, y2), per pixel, in the floating type of boxes.

    Raises:
        ValueError: as `giou_loss`.
    """
    p = pairs(boxes, targets)
    return (-p.iou_slope + p.distance_slope + p.trade[:, None] * p.aspect_slope).astype(p.dtype)


class Axis(NamedTuple):
    """Two boxes along one axis, as lengths and their slopes by the two ends of the first."""

    side: np.ndarray
    other: np.ndarray  # the side of the second box
    offset: np.ndarray  # from the centre of the second box to that of the first
    shared: np.ndarray  # what both cover
    around: np.ndarray  # what the smallest box around both covers
    shared_slope: tuple[np.ndarray, np.ndarray]  # by the low and by the high end
    around_slope: tuple[np.ndarray, np.ndarray]


class Pairs:
    """Boxes and their targets, as what the losses are written in, float64."""

    def __init__(self, x: Axis, y: Axis, dtype: np.dtype) -> None:
        self.dtype = dtype
        shared, shared_slope = x.shared * y.shared, product_slope(x.shared, x.shared_slope, y.shared, y.shared_slope)
        ends = (-np.ones_like(x.side), np.ones_like(x.side))
        self.union = x.side * y.side + x.other * y.other - shared
        self.union_slope = product_slope(x.side, ends, y.side, ends) - shared_slope
        self.iou = ratio(shared, self.union)
        self.iou_slope = ratio_slope(shared, shared_slope, self.union, self.union_slope)
        self.hull = x.around * y.around
        self.hull_slope = product_slope(x.around, x.around_slope, y.around, y.around_slope)
        self.distance, self.diagonal = x.offset**2 + y.offset**2, x.around**2 + y.around**2
        by_corner = [2 * axis.around * axis.around_slope[end] for end in (0, 1) for axis in (x, y)]
        offsets = np.stack([x.offset, y.offset] * 2, axis=1)  # a centre moves half as far as a corner: 2 offset / 2
        self.distance_slope = ratio_slope(self.distance, offsets, self.diagonal, np.stack(by_corner, axis=1))
        turn = np.arctan2(x.other, y.other) - np.arctan2(x.side, y.side)
        self.aspect = 4 / np.pi**2 * turn**2
        self.trade = ratio(self.aspect, 1 - self.iou + self.aspect)
        squares = x.side**2 + y.side**2
        by_width, by_height = ratio(y.side, squares), -ratio(x.side, squares)
        by_sides = np.stack([-by_width, -by_height, by_width, by_height], axis=1)
        self.aspect_slope = -8 / np.pi**2 * turn[:, None] * by_sides


def pairs(boxes: ArrayLike, targets: ArrayLike) -> Pairs:
    """The arguments of a loss of boxes, checked, as what its formula is written in."""
    first, second = checks.matching_boxes("boxes", boxes, "targets", targets, with_area=False)
    a, b = first.astype(np.float64), second.astype(np.float64)
    x, y = (axis(a[:, k], a[:, k + 2], b[:, k], b[:, k + 2]) for k in (0, 1))
    return Pairs(x, y, first.dtype)


def axis(low: np.ndarray, high: np.ndarray, other_low: np.ndarray, other_high: np.ndarray) -> Axis:
    """Two boxes along one axis, from the ends of both."""
    shared = np.maximum(0, np.minimum(high, other_high) - np.maximum(low, other_low))
    around = np.maximum(high, other_high) - np.minimum(low, other_low)
    touch = np.where(shared > 0, 1.0, 0.0)
    return Axis(
        high - low, other_high - other_low, (low + high) / 2 - (other_low + other_high) / 2, shared, around,
        (-touch * np.heaviside(low - other_low, 0.5), touch * np.heaviside(other_high - high, 0.5)),
        (-np.heaviside(other_low - low, 0.5), np.heaviside(high - other_high, 0.5)),
    )  # fmt: skip


def product_slope(
    x: np.ndarray, x_slope: tuple[np.ndarray, np.ndarray], y: np.ndarray, y_slope: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(N, 4) derivatives of x y by (x1, y1, x2, y2), where x depends on x1 and x2 alone, and y on y1 and y2."""
    return np.stack([x_slope[0] * y, x * y_slope[0], x_slope[1] * y, x * y_slope[1]], axis=1)


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The quotient a / b, and 0 where b is."""
    return np.divide(a, b, where=b > 0, out=np.zeros_like(b))


def ratio_slope(a: np.ndarray, a_slope: np.ndarray, b: np.ndarray, b_slope: np.ndarray) -> np.ndarray:
    """(N, 4) derivatives of a / b: (a' - (a / b) b') / b."""
    return ratio(a_slope - ratio(a, b)[:, None] * b_slope, np.broadcast_to(b[:, None], a_slope.shape))
