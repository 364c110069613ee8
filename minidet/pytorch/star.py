"""FL* in PyTorch (appendix A), differentiable twice. Equations and contracts: `minidet.reference.star`."""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch.losses import elementwise
from minidet.pytorch.stable import affine, decay, sigmoid


def focal_loss_star(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """FL* (equations 7 and 8). See `minidet.reference.focal_loss_star`."""
    return elementwise(0, _star, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_grad(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """The derivative of FL*. See `minidet.reference.focal_loss_star_grad`."""
    return elementwise(1, _star, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_hess(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> Tensor:
    """The second derivative of FL*. See `minidet.reference.focal_loss_star_hess`."""
    return elementwise(2, _star, logits, targets, alpha, *checks.star(gamma, beta))


def _star(order: int, u: Tensor, gamma: float, beta: float) -> Tensor:
    """softplus(v) / gamma with v = gamma u - beta, and its derivatives by u."""
    v, lost = affine(gamma, u, -beta)
    if order == 0:
        return (u - beta / gamma).clamp(min=0) + torch.log1p(decay(v, lost)) / gamma
    if order == 1:
        return sigmoid(v, lost)
    return gamma * sigmoid(v, lost) * sigmoid(-v, -lost)
