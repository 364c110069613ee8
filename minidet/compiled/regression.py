"""The loss of box regression in Numba. Equations and contracts are those of `minidet.reference.regression`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import native
from minidet.compiled.jit import parallel_kernel

_QUICK = 32
"""Differences that take about as long as a step of an ordinary loop, once a second thread's waking is counted."""


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The smooth L1 loss of box regression (section 4.1). See `minidet.reference.smooth_l1`."""
    return _regression(0, predictions, targets, beta)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The gradient of the smooth L1 loss with respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    return _regression(1, predictions, targets, beta)


def _regression(order: int, predictions: ArrayLike, targets: ArrayLike, beta: float) -> np.ndarray:
    """The derivative of this order; the loop finds a NaN on its way, and only then does a check look for it."""
    beta = checks.number("beta", beta, low=0)
    x, t = checks.floats("predictions", predictions), checks.floats("targets", targets)
    if x.shape != t.shape:
        checks.predictions(x, t)
    flat = native(x.ravel())
    out, lost = np.empty_like(flat), np.zeros(1, np.bool_)
    _smooth_l1_loop(len(flat), len(flat) // _QUICK, order, flat, native(t.ravel()), beta, out, lost)
    if lost[0]:
        checks.predictions(x, t)  # or it is the difference of two infinities
    return out.reshape(x.shape).astype(x.dtype, copy=False)


@parallel_kernel
def _smooth_l1_loop(first, stop, order, x, targets, beta, out, lost):
    x, targets, out, half = x[first:stop], targets[first:stop], out[first:stop], 0.5 * beta
    bad = 0
    if order == 0:
        for i in range(len(x)):
            d = np.float64(x[i]) - np.float64(targets[i])
            bad |= d != d
            size = abs(d)
            out[i] = 0.5 * size * (size / beta) if size < beta else size - half
    elif beta == 0.0:
        for i in range(len(x)):
            d = np.float64(x[i]) - np.float64(targets[i])
            bad |= d != d
            out[i] = 1.0 if d > 0.0 else -1.0 if d < 0.0 else d + 0.0
    else:
        for i in range(len(x)):
            d = np.float64(x[i]) - np.float64(targets[i])
            bad |= d != d
            slope = d / beta  # below 1 where |d| < beta
            slope = 1.0 if slope > 1.0 else slope
            out[i] = -1.0 if slope < -1.0 else slope
    if bad:
        lost[0] = True
