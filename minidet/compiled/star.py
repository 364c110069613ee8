"""FL* in Numba (appendix A). Equations, notation and contracts are those of `minidet.reference.star`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.jit import helper, kernel
from minidet.compiled.losses import elementwise
from minidet.compiled.stable import affine, decay, sigmoid, weighted


def focal_loss_star(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """FL* (equations 7 and 8). See `minidet.reference.focal_loss_star`."""
    return elementwise(_star_loop, 0, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """The derivative of FL*. See `minidet.reference.focal_loss_star_grad`."""
    return elementwise(_star_loop, 1, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """The second derivative of FL*. See `minidet.reference.focal_loss_star_hess`."""
    return elementwise(_star_loop, 2, logits, targets, alpha, *checks.star(gamma, beta))


@helper
def _star(order, u, gamma, beta):
    """softplus(v) / gamma with v = gamma u - beta, and its derivatives by u."""
    v, lost = affine(gamma, u, -beta)
    if order == 0:
        return max(u - beta / gamma, 0.0) + math.log1p(decay(v, lost)) / gamma
    if order == 1:
        return sigmoid(v, lost)
    return gamma * sigmoid(v, lost) * sigmoid(-v, -lost)


@kernel
def _star_loop(order, x, is_object, background_weight, object_weight, gamma, beta, out):
    for i in range(len(x)):
        slope, weight = (-1.0, object_weight) if is_object[i] else (1.0, background_weight)
        out[i] = weighted(order, weight, slope, _star(order, slope * np.float64(x[i]), gamma, beta))
