"""FL* in Numba (appendix A). Equations, notation and contracts are those of `minidet.reference.star`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.jit import inlined, parallel_kernel
from minidet.compiled.losses import elementwise
from minidet.compiled.stable import affine
from minidet.compiled.vectors import minus_x_t, sigmoids, weighed


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


@inlined
def _star(order, u, gamma, beta):
    """softplus(v) / gamma with v = gamma u - beta, and its derivatives by u."""
    v, lost = affine(gamma, u, -beta)
    s, p, rest = sigmoids(v, lost)
    if order == 0:
        return max(u - beta / gamma, 0.0) + rest / gamma
    return s if order == 1 else gamma * s * p


@parallel_kernel
def _star_loop(first, stop, order, x, is_object, background_weight, object_weight, gamma, beta, out):
    x, is_object, out = x[first:stop], is_object[first:stop], out[first:stop]
    for i in range(len(x)):
        value = _star(order, minus_x_t(x[i], is_object[i]), gamma, beta)
        out[i] = weighed(order, value, is_object[i], background_weight, object_weight)
