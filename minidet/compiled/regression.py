"""The loss of box regression in Numba. Equations and contracts are those of `minidet.reference.regression`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import wide
from minidet.compiled.jit import kernel


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The smooth L1 loss of box regression (section 4.1). See `minidet.reference.smooth_l1`."""
    return _regression(0, predictions, targets, beta)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The gradient of the smooth L1 loss with respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    return _regression(1, predictions, targets, beta)


def _regression(order: int, predictions: ArrayLike, targets: ArrayLike, beta: float) -> np.ndarray:
    beta = checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    out = np.empty(x.size)
    _smooth_l1_loop(order, wide(x.ravel()), wide(t.ravel()), beta, out)
    return out.reshape(x.shape).astype(x.dtype)


@kernel
def _smooth_l1_loop(order, x, targets, beta, out):
    for i in range(len(x)):
        d = x[i] - targets[i]
        size = abs(d)
        if order == 0:
            out[i] = 0.5 * size * (size / beta) if size < beta else size - 0.5 * beta
        elif size < beta:
            out[i] = d / beta
        else:
            out[i] = 0.0 if d == 0.0 else math.copysign(1.0, d)
