"""Losses for soft targets in PyTorch, differentiable twice. Equations and contracts: `minidet.reference.quality`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors, widths
from minidet.pytorch.autograd import Derivatives
from minidet.pytorch.losses import focal
from minidet.pytorch.stable import decay, sigmoid


def quality_focal_loss(logits: Tensor, targets: Tensor, beta: float = 2.0) -> Tensor:
    """The quality focal loss. See `minidet.reference.quality_focal_loss`."""
    return _apply_quality(0, logits, targets, beta)


def quality_focal_loss_grad(logits: Tensor, targets: Tensor, beta: float = 2.0) -> Tensor:
    """The derivative of the quality focal loss. See `minidet.reference.quality_focal_loss_grad`."""
    return _apply_quality(1, logits, targets, beta)


def quality_focal_loss_hess(logits: Tensor, targets: Tensor, beta: float = 2.0) -> Tensor:
    """The second derivative of the quality focal loss. See `minidet.reference.quality_focal_loss_hess`."""
    return _apply_quality(2, logits, targets, beta)


def varifocal_loss(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.75) -> Tensor:
    """The varifocal loss. See `minidet.reference.varifocal_loss`."""
    return _apply_varifocal(0, logits, targets, gamma, alpha)


def varifocal_loss_grad(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.75) -> Tensor:
    """The derivative of the varifocal loss. See `minidet.reference.varifocal_loss_grad`."""
    return _apply_varifocal(1, logits, targets, gamma, alpha)


def varifocal_loss_hess(logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float = 0.75) -> Tensor:
    """The second derivative of the varifocal loss. See `minidet.reference.varifocal_loss_hess`."""
    return _apply_varifocal(2, logits, targets, gamma, alpha)


def _apply_quality(order: int, logits: Tensor, targets: Tensor, beta: float) -> Tensor:
    x, y = tensors.soft(logits, targets)
    wide = widths.for_differences(x)  # s - y
    return Derivatives.apply(order, _quality, wide, y, checks.number("beta", beta, low=0)).to(x.dtype)


def _apply_varifocal(order: int, logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    x, y = tensors.soft(logits, targets)
    wide = widths.for_differences(x)  # s - y
    return Derivatives.apply(order, _varifocal, wide, y, *checks.gamma_alpha(gamma, alpha)).to(x.dtype)


def _parts(order: int, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """s, its complement p, d = s - y and the cross entropy L; derivatives take their limits at +-inf."""
    largest = torch.finfo(x.dtype).max
    x = x.clamp(-largest, largest) if order else x
    s, p, zero = sigmoid(x), sigmoid(-x), x.new_zeros(())
    rest = torch.log1p(decay(x))
    object_part = torch.where(y > 0, y * ((-x).clamp(min=0) + rest), zero)  # without weight an infinite loss is none
    loss = object_part + torch.where(y < 1, (1 - y) * (x.clamp(min=0) + rest), zero)
    return s, p, (1 - y) * s - y * p, loss


def _quality(order: int, x: Tensor, y: Tensor, beta: float) -> Tensor:
    """|d|**beta L and its derivatives by the logit."""
    y = y.to(x.dtype)
    s, p, d, loss = _parts(order, x, y)
    size, v, zero = d.abs(), s * p, x.new_zeros(())
    if order == 0:
        factor = size**beta
        return torch.where(factor == 0, zero, factor * loss)
    ratio = torch.where(size > 0, v / size, zero)
    if order == 1:
        return d.sign() * size**beta * (size + beta * ratio * loss)
    bend = (beta - 1) * ratio + d.sign() * (p - s)
    value = size**beta * ((2 * beta + 1) * v + beta * (ratio * loss) * bend)
    return torch.where(size > 0, value, 2 * v * (v * loss)) if beta == 2 else value


def _varifocal(order: int, x: Tensor, y: Tensor, gamma: float, alpha: float) -> Tensor:
    """q L for an object, alpha times the focal loss for background, and their derivatives by the logit."""
    y = y.to(x.dtype)
    s, p, d, loss = _parts(order, x, y)
    is_object = y > 0
    own = torch.where(is_object, y, x.new_ones(())) * (loss, d, s * p)[order]
    background = alpha * focal(order, x, gamma) if alpha else torch.zeros_like(x)
    return torch.where(is_object, own, background)
