"""Losses of boxes that measure how far two boxes are from covering each other, in PyTorch, differentiable once.

Equations, notation and contracts are those of `minidet.reference.overlap`. All is computed in float64, as IoU is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from minidet.pytorch import tensors, widths


def giou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """The generalised IoU loss. See `minidet.reference.giou_loss`."""
    return _loss(_giou, boxes, targets)


def giou_loss_grad(boxes: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the generalised IoU loss. See `minidet.reference.giou_loss_grad`."""
    return _slope(_giou, boxes, targets)


def diou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """The distance IoU loss. See `minidet.reference.diou_loss`."""
    return _loss(_diou, boxes, targets)


def diou_loss_grad(boxes: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the distance IoU loss. See `minidet.reference.diou_loss_grad`."""
    return _slope(_diou, boxes, targets)


def ciou_loss(boxes: Tensor, targets: Tensor) -> Tensor:
    """The complete IoU loss. See `minidet.reference.ciou_loss`."""
    return _loss(_ciou, boxes, targets)


def ciou_loss_grad(boxes: Tensor, targets: Tensor) -> Tensor:
    """The gradient that the complete IoU loss is trained with. See `minidet.reference.ciou_loss_grad`."""
    return _slope(_ciou, boxes, targets)


def _loss(formula: Callable[[Pairs], tuple[Tensor, Tensor]], boxes: Tensor, targets: Tensor) -> Tensor:
    return _Loss.apply(*_checked(boxes, targets), formula)


def _slope(formula: Callable[[Pairs], tuple[Tensor, Tensor]], boxes: Tensor, targets: Tensor) -> Tensor:
    first, second = _checked(boxes, targets)
    return formula(Pairs(first.detach(), second.detach()))[1].to(first.dtype)


def _checked(boxes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return tensors.at_once(lambda: tensors.matching_boxes("boxes", boxes, "targets", targets, with_area=False))


class _Loss(torch.autograd.Function):
    """A loss of boxes whose backward is the gradient worked out by hand."""

    @staticmethod
    def forward(ctx: Any, boxes: Tensor, targets: Tensor, formula: Callable[[Pairs], tuple[Tensor, Tensor]]) -> Any:
        loss, slope = formula(Pairs(boxes, targets))
        half = widths.working(boxes) is not boxes
        ctx.save_for_backward(slope if half else slope.to(boxes.dtype))  # of half width it is rounded once, at the end
        return loss.to(boxes.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (slope,) = ctx.saved_tensors
        return (upstream[:, None].to(slope.dtype) * slope).to(upstream.dtype), None, None


class Axis(NamedTuple):
    """Two boxes along one axis, as lengths and their slopes by the two ends of the first."""

    side: Tensor
    other: Tensor
    offset: Tensor
    shared: Tensor
    around: Tensor
    shared_slope: tuple[Tensor, Tensor]
    around_slope: tuple[Tensor, Tensor]


class Pairs:
    """Boxes and their targets, as what the losses are written in. See `minidet.reference.overlap.Pairs`."""

    def __init__(self, boxes: Tensor, targets: Tensor) -> None:
        a, b = widths.wide(boxes).to(boxes.device), widths.wide(targets).to(boxes.device)
        x, y = (_axis(a[:, k], a[:, k + 2], b[:, k], b[:, k + 2]) for k in (0, 1))
        shared, shared_slope = x.shared * y.shared, _product_slope(x.shared, x.shared_slope, y.shared, y.shared_slope)
        ends = (-torch.ones_like(x.side), torch.ones_like(x.side))
        self.union = x.side * y.side + x.other * y.other - shared
        self.union_slope = _product_slope(x.side, ends, y.side, ends) - shared_slope
        self.iou = _ratio(shared, self.union)
        self.iou_slope = _ratio_slope(shared, shared_slope, self.union, self.union_slope)
        self.x, self.y = x, y


def _giou(p: Pairs) -> tuple[Tensor, Tensor]:
    hull = p.x.around * p.y.around
    hull_slope = _product_slope(p.x.around, p.x.around_slope, p.y.around, p.y.around_slope)
    loss = 1 - p.iou + _ratio(hull - p.union, hull)
    return loss, -p.iou_slope - _ratio_slope(p.union, p.union_slope, hull, hull_slope)


def _diou(p: Pairs) -> tuple[Tensor, Tensor]:
    x, y = p.x, p.y
    distance, diagonal = x.offset**2 + y.offset**2, x.around**2 + y.around**2
    by_corner = [2 * axis.around * axis.around_slope[end] for end in (0, 1) for axis in (x, y)]
    offsets = torch.stack([x.offset, y.offset] * 2, dim=1)
    slope = _ratio_slope(distance, offsets, diagonal, torch.stack(by_corner, dim=1))
    return 1 - p.iou + _ratio(distance, diagonal), -p.iou_slope + slope


def _ciou(p: Pairs) -> tuple[Tensor, Tensor]:
    x, y = p.x, p.y
    loss, slope = _diou(p)
    turn = torch.atan2(x.other, y.other) - torch.atan2(x.side, y.side)
    aspect = 4 / math.pi**2 * turn**2
    trade = _ratio(aspect, 1 - p.iou + aspect)
    squares = x.side**2 + y.side**2
    by_width, by_height = _ratio(y.side, squares), -_ratio(x.side, squares)
    by_sides = torch.stack([-by_width, -by_height, by_width, by_height], dim=1)
    return loss + trade * aspect, slope + trade[:, None] * (-8 / math.pi**2 * turn[:, None] * by_sides)


def _axis(low: Tensor, high: Tensor, other_low: Tensor, other_high: Tensor) -> Axis:
    """Two boxes along one axis, from the ends of both."""
    half = low.new_full((), 0.5)
    shared = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0)
    around = torch.maximum(high, other_high) - torch.minimum(low, other_low)
    touch = (shared > 0).to(low.dtype)
    return Axis(
        high - low, other_high - other_low, (low + high) / 2 - (other_low + other_high) / 2, shared, around,
        (-touch * torch.heaviside(low - other_low, half), touch * torch.heaviside(other_high - high, half)),
        (-torch.heaviside(other_low - low, half), torch.heaviside(high - other_high, half)),
    )  # fmt: skip


def _product_slope(x: Tensor, x_slope: tuple[Tensor, Tensor], y: Tensor, y_slope: tuple[Tensor, Tensor]) -> Tensor:
    """(N, 4) derivatives of x y by (x1, y1, x2, y2), where x depends on x1 and x2 alone, and y on y1 and y2."""
    return torch.stack([x_slope[0] * y, x * y_slope[0], x_slope[1] * y, x * y_slope[1]], dim=1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is."""
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(b))


def _ratio_slope(a: Tensor, a_slope: Tensor, b: Tensor, b_slope: Tensor) -> Tensor:
    """(N, 4) derivatives of a / b: (a' - (a / b) b') / b."""
    return _ratio(a_slope - _ratio(a, b)[:, None] * b_slope, b[:, None].expand_as(a_slope))
