"""The focal loss over exclusive classes in Numba. Equations and contracts are those of `minidet.reference.softmax`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.arrays import wide
from minidet.compiled.jit import kernel
from minidet.compiled.losses import focal
from minidet.compiled.stable import two_sum, weighted


def softmax_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss`."""
    return _softmax(logits, labels, gamma, alpha)[0]


def softmax_focal_loss_grad(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The gradient of the focal loss over K exclusive classes. See `minidet.reference.softmax_focal_loss_grad`."""
    return _softmax(logits, labels, gamma, alpha)[1]


def _softmax(
    logits: ArrayLike, labels: ArrayLike, gamma: float, alpha: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    x, label, weight = checks.softmax(logits, labels, alpha)
    loss, grad = np.empty(len(x)), np.empty(x.shape)
    _softmax_loop(wide(x), label, checks.gamma(gamma), wide(weight), loss, grad)
    return loss.astype(x.dtype), grad.astype(x.dtype)


@kernel
def _softmax_loop(x, labels, gamma, class_weight, loss, grad):
    """u = log(sum of exp(x_j), j != y) - x_y, its share of each class, then the binary formula."""
    for i in range(len(x)):
        y = labels[i]
        peak = -1e300
        for j in range(x.shape[1]):
            if j != y:
                peak = max(peak, x[i, j])
        total = 0.0
        for j in range(x.shape[1]):
            grad[i, j] = 0.0
            if j != y:
                difference, lost = two_sum(max(x[i, j], -1e300), -peak)
                grad[i, j] = math.exp(difference) * (1.0 + lost)
                total += grad[i, j]
        u, lost_1 = two_sum(peak, -min(max(x[i, y], -1e300), 1e300))
        u, lost_2 = two_sum(u, math.log(max(total, 1.0)))
        weight = class_weight[y]
        loss[i] = weighted(0, weight, 1.0, focal(0, u, lost_1 + lost_2, gamma))
        slope = weighted(0, weight, 1.0, focal(1, u, lost_1 + lost_2, gamma))
        for j in range(x.shape[1]):
            grad[i, j] = -slope if j == y else slope * (grad[i, j] / max(total, 1.0))
