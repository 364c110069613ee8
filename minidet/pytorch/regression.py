"""The loss of box regression in PyTorch, differentiable twice. Contracts: `minidet.reference.regression`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors
from minidet.pytorch.autograd import Derivatives


def smooth_l1(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """The smooth L1 loss of box regression (section 4.1). See `minidet.reference.smooth_l1`."""
    x, t = tensors.predictions(predictions, targets)
    return Derivatives.apply(0, _smooth_l1, x, t, checks.number("beta", beta, low=0))


def smooth_l1_grad(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """The gradient of the smooth L1 loss with respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    x, t = tensors.predictions(predictions, targets)
    return Derivatives.apply(1, _smooth_l1, x, t, checks.number("beta", beta, low=0))


def _smooth_l1(order: int, x: Tensor, targets: Tensor, beta: float) -> Tensor:
    d = x - targets
    near, size = d.abs() < beta, d.abs()
    if order == 0:
        small = size.clamp(max=beta)  # keeps the square from overflowing
        return torch.where(near, 0.5 * small * (small / (beta or 1)), size - 0.5 * beta)
    if order == 1:
        return torch.where(near, d / (beta or 1), d.sign())
    return near.to(x.dtype) / (beta or 1)
