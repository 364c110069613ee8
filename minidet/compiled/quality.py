"""Losses for soft targets in Numba. Equations, notation and contracts are those of `minidet.reference.quality`.

`order` picks the value (0), the slope (1) or the curvature (2) by the logit, as in `minidet.compiled.losses`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import native, wide
from minidet.compiled.jit import inlined, parallel_kernel
from minidet.compiled.losses import bounded, formula
from minidet.compiled.stable import power
from minidet.compiled.vectors import sigmoids


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
    loop(len(flat), 5 * len(flat), order, flat, wide(y.ravel()), *map(float, parameters), out)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


@inlined
def _soft_cross_entropy(x, y, rest):
    """L; a part without weight is 0, be it infinite."""
    object_part = y * (max(-x, 0.0) + rest) if y > 0.0 else 0.0
    return object_part + ((1.0 - y) * (max(x, 0.0) + rest) if y < 1.0 else 0.0)


@inlined
def _quality(order, x, y, s, p, rest, beta, modulation, size):
    """|d|**beta L or one of its derivatives by the logit; size is |d| and the modulation |d|**beta."""
    loss, v = _soft_cross_entropy(x, y, rest), s * p
    if order == 0:
        return modulation * loss if modulation != 0.0 else 0.0
    sign = 1.0 if (1.0 - y) * s >= y * p else -1.0
    ratio = v / size if size > 0.0 else 0.0
    if order == 1:
        return sign * modulation * (size + beta * ratio * loss)
    if size == 0.0 and beta == 2.0:
        return 2.0 * v * (v * loss)
    bend = (beta - 1.0) * ratio + sign * (p - s)
    return modulation * ((2.0 * beta + 1.0) * v + beta * (ratio * loss) * bend)


@parallel_kernel
def _quality_loop(first, stop, order, x, y, beta, out):
    """Where beta is 2, nothing in the loop calls the C library, and it turns into vector instructions."""
    x, y, out = x[first:stop], y[first:stop], out[first:stop]
    if beta == 2.0:
        for i in range(len(x)):
            logit = bounded(order, np.float64(x[i]))
            s, p, rest = sigmoids(logit, 0.0)
            size = abs((1.0 - y[i]) * s - y[i] * p)
            out[i] = _quality(order, logit, y[i], s, p, rest, beta, size * size, size)
    else:
        for i in range(len(x)):
            logit = bounded(order, np.float64(x[i]))
            s, p, rest = sigmoids(logit, 0.0)
            size = abs((1.0 - y[i]) * s - y[i] * p)
            out[i] = _quality(order, logit, y[i], s, p, rest, beta, power(size, beta), size)


@parallel_kernel
def _varifocal_loop(first, stop, order, x, y, gamma, alpha, out):
    """q L for an object, alpha times the focal loss for background, and their derivatives by the logit."""
    x, y, out = x[first:stop], y[first:stop], out[first:stop]
    if gamma == 2.0:
        for i in range(len(x)):
            logit = bounded(order, np.float64(x[i]))
            s, p, rest = sigmoids(logit, 0.0)
            out[i] = _varifocal(order, logit, y[i], s, p, rest, gamma, s * s, alpha)
    else:
        for i in range(len(x)):
            logit = bounded(order, np.float64(x[i]))
            s, p, rest = sigmoids(logit, 0.0)
            out[i] = _varifocal(order, logit, y[i], s, p, rest, gamma, power(s, gamma), alpha)


@inlined
def _varifocal(order, x, y, s, p, rest, gamma, modulation, alpha):
    """The same of one logit; the modulation is s**gamma."""
    loss = _soft_cross_entropy(x, y, rest)
    background = formula(order, s, p, loss, gamma, modulation)
    if y > 0.0:
        if order == 0:
            return y * loss
        return y * ((1.0 - y) * s - y * p) if order == 1 else y * (s * p)
    return alpha * background if alpha > 0.0 else 0.0
