"""The focal loss over exclusive classes in Numba. Equations and contracts are those of `minidet.reference.softmax`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import native, wide
from minidet.compiled.jit import compiler, helper, parallel_kernel, sums
from minidet.compiled.losses import focal
from minidet.compiled.stable import two_sum, weighted
from minidet.compiled.vectors import exp_of

_finite = compiler(inner=True, fastmath={"nnan", "nsz"})
"""The decorator of a function that meets no NaN, so that several numbers are compared at a time."""


def softmax_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss`."""
    return _softmax(0, logits, labels, gamma, alpha)


def softmax_focal_loss_grad(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The gradient of the focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss_grad`."""
    return _softmax(1, logits, labels, gamma, alpha)


def _softmax(order: int, logits: ArrayLike, labels: ArrayLike, gamma: float, alpha: ArrayLike | None) -> np.ndarray:
    """The losses (N,), or with the order 1 the gradient (N, K)."""
    x, label, weight = checks.softmax(logits, labels, alpha)
    arranged = native(x)
    out = np.empty_like(arranged) if order else np.empty((len(x), 1), arranged.dtype)
    _softmax_loop(len(x), 5 * x.size, order, arranged, label, checks.gamma(gamma), wide(weight), out)
    return (out if order else out[:, 0]).astype(x.dtype, copy=False)


@parallel_kernel
def _softmax_loop(first, stop, order, x, labels, gamma, class_weight, out):
    """u = log(sum of exp(x_j), j != y) - x_y, its share of each class, then the binary formula."""
    shares = np.empty(x.shape[1])
    for i in range(first, stop):
        y = labels[i]
        peak = _highest(x[i, :y], _highest(x[i, y + 1 :], -1e300))
        _exponentials(x[i], peak, shares)
        shares[y] = 0.0
        total = _total(shares)
        u, lost_1 = two_sum(peak, -min(max(np.float64(x[i, y]), -1e300), 1e300))
        u, lost_2 = two_sum(u, math.log(max(total, 1.0)))
        value = weighted(0, class_weight[y], 1.0, focal(order, u, lost_1 + lost_2, gamma))
        if order == 0:
            out[i, 0] = value
        else:
            _share(value, shares, max(total, 1.0), out[i])
            out[i, y] = -value


@_finite
def _highest(values, least):
    for j in range(len(values)):
        least = max(least, np.float64(values[j]))
    return least


@helper
def _exponentials(row, peak, out):
    """exp(x_j - peak); anything for the label's own logit, which alone may be above the peak."""
    for j in range(len(row)):
        difference, lost = two_sum(max(np.float64(row[j]), -1e300), -peak)
        out[j] = exp_of(min(difference, 0.0)) * (1.0 + lost)


@sums
def _total(values):
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    return total


@helper
def _share(value, shares, total, out):
    for j in range(len(shares)):
        out[j] = value * (shares[j] / total)
