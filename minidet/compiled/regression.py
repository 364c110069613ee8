"""The loss of box regression in Numba. Equations and contracts are those of `minidet.reference.regression`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import native
from minidet.compiled.jit import parallel_kernel


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The smooth L1 loss of box regression (section 4.1). See `minidet.reference.smooth_l1`."""
    return _regression(0, predictions, targets, beta)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The gradient of the smooth L1 loss with respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    return _regression(1, predictions, targets, beta)


def _regression(order: int, predictions: ArrayLike, targets: ArrayLike, beta: float) -> np.ndarray:
    beta = checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    flat = native(x.ravel())
    out = np.empty_like(flat)
    _smooth_l1_loop(len(flat), len(flat), order, flat, native(t.ravel()), beta, out)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


@parallel_kernel
def _smooth_l1_loop(first, stop, order, x, targets, beta, out):
    x, targets, out = x[first:stop], targets[first:stop], out[first:stop]
    if order == 0:
        for i in range(len(x)):
            size = abs(np.float64(x[i]) - np.float64(targets[i]))
            out[i] = 0.5 * size * (size / beta) if size < beta else size - 0.5 * beta
    else:
        for i in range(len(x)):
            d = np.float64(x[i]) - np.float64(targets[i])
            sign = 0.0 if d == 0.0 else math.copysign(1.0, d)
            out[i] = d / beta if abs(d) < beta else sign
