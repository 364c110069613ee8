"""Losses for soft targets in Numba. Equations, notation and contracts are those of `minidet.reference.quality`.

`order` picks the value (0), the slope (1) or the curvature (2) by the logit, as in `minidet.compiled.losses`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import native, wide
from minidet.compiled.jit import helper, kernel
from minidet.compiled.losses import focal
from minidet.compiled.stable import power, sigmoid, softplus

_LARGEST = float(np.finfo(np.float64).max)


def quality_focal_loss(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The quality focal loss. See `minidet.reference.quality_focal_loss`."""
    return _elementwise(_quality_loop, 0, logits, targets, checks.number("beta", beta, low=0))


def quality_focal_loss_grad(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The derivative of the quality focal loss. See `minidet.reference.quality_focal_loss_grad`."""
    return _elementwise(_quality_loop, 1, logits, targets, checks.number("beta", beta, low=0))


def quality_focal_loss_hess(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The second derivative of the quality focal loss. See `minidet.reference.quality_focal_loss_hess`."""
    return _elementwise(_quality_loop, 2, logits, targets, checks.number("beta", beta, low=0))


def varifocal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The varifocal loss. See `minidet.reference.varifocal_loss`."""
    return _elementwise(_varifocal_loop, 0, logits, targets, *checks.gamma_alpha(gamma, alpha))


def varifocal_loss_grad(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The derivative of the varifocal loss. See `minidet.reference.varifocal_loss_grad`."""
    return _elementwise(_varifocal_loop, 1, logits, targets, *checks.gamma_alpha(gamma, alpha))


def varifocal_loss_hess(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The second derivative of the varifocal loss. See `minidet.reference.varifocal_loss_hess`."""
    return _elementwise(_varifocal_loop, 2, logits, targets, *checks.gamma_alpha(gamma, alpha))


def _elementwise(loop: Any, order: int, logits: ArrayLike, targets: ArrayLike, *parameters: Any) -> np.ndarray:
    """Check, flatten, loop, and give the result the shape and type of the logits."""
    x, y = checks.soft(logits, targets)
    flat = native(x.ravel())
    out = np.empty_like(flat)
    loop(order, flat, wide(y.ravel()), *map(float, parameters), out)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


@helper
def _soft_cross_entropy(x, y):
    """L; a part without weight is 0, be it infinite."""
    object_part = y * softplus(-x, 0.0) if y > 0.0 else 0.0
    return object_part + ((1.0 - y) * softplus(x, 0.0) if y < 1.0 else 0.0)


@helper
def _quality(order, x, y, beta):
    """|d|**beta L and its derivatives by the logit."""
    if order > 0:
        x = min(max(x, -_LARGEST), _LARGEST)  # the limits at +-inf are the values there
    s, p = sigmoid(x, 0.0), sigmoid(-x, 0.0)
    d = (1.0 - y) * s - y * p
    size, v = abs(d), s * p
    if order == 0:
        factor = power(size, beta)
        return factor * _soft_cross_entropy(x, y) if factor != 0.0 else 0.0
    loss, sign = _soft_cross_entropy(x, y), np.sign(d)
    ratio = v / size if size > 0.0 else 0.0
    if order == 1:
        return sign * power(size, beta) * (size + beta * ratio * loss)
    if size == 0.0 and beta == 2.0:
        return 2.0 * v * (v * loss)
    bend = (beta - 1.0) * ratio + sign * (p - s)
    return power(size, beta) * ((2.0 * beta + 1.0) * v + beta * (ratio * loss) * bend)


@helper
def _varifocal(order, x, y, gamma, alpha):
    """q L for an object, alpha times the focal loss for background, and their derivatives by the logit."""
    if y > 0.0:
        if order == 0:
            return y * _soft_cross_entropy(x, y)
        s, p = sigmoid(x, 0.0), sigmoid(-x, 0.0)
        return y * ((1.0 - y) * s - y * p) if order == 1 else y * (s * p)
    return alpha * focal(order, x, 0.0, gamma) if alpha > 0.0 else 0.0


@kernel
def _quality_loop(order, x, y, beta, out):
    for i in range(len(x)):
        out[i] = _quality(order, np.float64(x[i]), y[i], beta)


@kernel
def _varifocal_loop(order, x, y, gamma, alpha, out):
    for i in range(len(x)):
        out[i] = _varifocal(order, np.float64(x[i]), y[i], gamma, alpha)
