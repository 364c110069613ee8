"""The losses of the paper in Numba. Equations, notation and contracts are those of `minidet.reference.losses`.

A formula is a scalar function of u = -x_t; `order` picks the value (0), the slope dF/du (1) or the curvature (2). Loops
run over flat arrays without temporaries. Arithmetic is float64 whatever the array's type, so a float32 result is the
float64 one rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import dense32
from minidet.compiled.arrays import native
from minidet.compiled.jit import helper, inlined, kernel, parallel_kernel
from minidet.compiled.stable import power, sigmoid, softplus, weighted
from minidet.compiled.vectors import minus_x_t, sigmoids, weighed
from minidet.structures import IGNORED

_LARGEST = float(np.finfo(np.float64).max)


def cross_entropy(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The cross entropy (equations 1 to 3), the focal loss at gamma = 0. See `minidet.reference.cross_entropy`."""
    return elementwise(_focal_loop, 0, logits, targets, alpha, 0.0)


def cross_entropy_grad(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The derivative of the cross entropy. See `minidet.reference.cross_entropy_grad`."""
    return elementwise(_focal_loop, 1, logits, targets, alpha, 0.0)


def cross_entropy_hess(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The second derivative of the cross entropy. See `minidet.reference.cross_entropy_hess`."""
    return elementwise(_focal_loop, 2, logits, targets, alpha, 0.0)


def focal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25) -> np.ndarray:
    """The focal loss (equations 4 and 5). See `minidet.reference.focal_loss`."""
    return elementwise(_focal_loop, 0, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """The derivative of the focal loss. See `minidet.reference.focal_loss_grad`."""
    return elementwise(_focal_loop, 1, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """The second derivative of the focal loss. See `minidet.reference.focal_loss_hess`."""
    return elementwise(_focal_loop, 2, logits, targets, alpha, checks.gamma(gamma))


def hinge_loss(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """The hinge loss on probabilities (section 5.1). See `minidet.reference.hinge_loss`."""
    return elementwise(_hinge_loop, 0, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def hinge_loss_grad(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """The derivative of the hinge loss. See `minidet.reference.hinge_loss_grad`."""
    return elementwise(_hinge_loop, 1, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def dense_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> tuple[np.floating, np.ndarray]:
    """The focal loss of an image and its gradient (section 4.1). See `minidet.reference.dense_focal_loss`.

    It is fast in float32, where all logits go through `dense32` as background, on vectors, and the few that belong to
    objects are then computed again one by one. Float64 takes the formulas as they are. Rows are summed in a fixed
    order, so the result does not depend on the number of threads.
    """
    gamma, alpha = checks.gamma_alpha(gamma, alpha)
    x = checks.floats("logits", logits)
    if x.ndim != 2:
        checks.class_scores("logits", x)
    label = checks.integers("labels", labels, len(x), of="anchors (rows of logits)", low=IGNORED, high=x.shape[1] - 1)
    normaliser = max(1, int((label >= 0).sum()))
    arranged = native(x)
    grad = np.empty_like(arranged)
    weights, factor = _weights(alpha), 1 / normaliser
    if arranged.dtype == np.float32:
        sums = np.empty(dense32.block_count(*x.shape))
        general = None if gamma == 2 else gamma
        dense32.background_loss(
            len(sums), x.size, arranged, label, IGNORED, general, weights[0] * factor, sums, grad
        )  # fmt: skip
        background = weights[0] * sums.sum() if weights[0] else 0.0  # no weight on an infinite loss is none
        total = background + _object_loop(arranged, label, gamma, weights[1], factor, grad)
    else:
        sums = np.empty(len(x))
        _dense_loop(len(x), x.size * 16, arranged, label, gamma, *weights, factor, sums, grad)
        total = sums.sum()
    if np.isnan(sums).any():
        checks.class_scores("logits", x)
    return x.dtype.type(total / normaliser), grad.astype(x.dtype, copy=False)


def elementwise(
    loop: Any, order: int, logits: ArrayLike, targets: ArrayLike, alpha: float | None, *parameters: float
) -> np.ndarray:
    """Check, flatten, loop, and give the result the shape and type of the logits."""
    checks.alpha(alpha)
    x, y = checks.binary(logits, targets)
    flat = native(x.ravel())
    out = np.empty_like(flat)
    loop(len(flat), 5 * len(flat), order, flat, y.ravel() == 1, *_weights(alpha), *parameters, out)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


def _weights(alpha: float | None) -> tuple[float, float]:
    """alpha_t of background and of objects."""
    return (1.0, 1.0) if alpha is None else (1.0 - alpha, float(alpha))


@helper
def focal(order, u, lost, gamma):
    """s**gamma L or one of its derivatives by u, for one number; `lost` is what rounding lost of u."""
    u = bounded(order, u)
    s = sigmoid(u, lost)
    return formula(order, s, sigmoid(-u, -lost), softplus(u, lost), gamma, power(s, gamma))


@helper
def bounded(order, u):
    """A derivative at infinity is the one at the largest number, where it has its limit."""
    return u if order == 0 else min(max(u, -_LARGEST), _LARGEST)


@inlined
def formula(order, s, p, loss, gamma, modulation):
    """s**gamma L or one of its derivatives by u; the modulation is s**gamma."""
    p_loss = p * loss
    if order == 0:
        return modulation * loss
    if order == 1:
        return modulation * (gamma * p_loss + s)
    return modulation * (gamma * p_loss * (gamma * p - s) + (2.0 * gamma + 1.0) * p * s)


@parallel_kernel
def _focal_loop(first, stop, order, x, is_object, background_weight, object_weight, gamma, out):
    """Where gamma is 0, 1 or 2, nothing in the loop calls the C library, and it turns into vector instructions."""
    x, is_object, out = x[first:stop], is_object[first:stop], out[first:stop]
    if gamma == 0.0 or gamma == 1.0 or gamma == 2.0:
        for i in range(len(x)):
            u = bounded(order, minus_x_t(x[i], is_object[i]))
            s, p, rest = sigmoids(u, 0.0)
            modulation = s if gamma == 1.0 else (s * s if gamma == 2.0 else 1.0)
            value = formula(order, s, p, max(u, 0.0) + rest, gamma, modulation)
            out[i] = weighed(order, value, is_object[i], background_weight, object_weight)
    else:
        for i in range(len(x)):
            u = bounded(order, minus_x_t(x[i], is_object[i]))
            s, p, rest = sigmoids(u, 0.0)
            value = formula(order, s, p, max(u, 0.0) + rest, gamma, s**gamma)
            out[i] = weighed(order, value, is_object[i], background_weight, object_weight)


@parallel_kernel
def _hinge_loop(first, stop, order, x, is_object, background_weight, object_weight, margin, out):
    x, is_object, out = x[first:stop], is_object[first:stop], out[first:stop]
    for i in range(len(x)):
        s, p, _ = sigmoids(minus_x_t(x[i], is_object[i]), 0.0)
        value = max(0.0, margin - p) if order == 0 else (s * p if p < margin else 0.0)
        out[i] = weighed(order, value, is_object[i], background_weight, object_weight)


@kernel
def _object_loop(x, labels, gamma, weight, factor, grad):
    """Sum of the objects' losses, one entry of each assigned anchor's row; writes their gradients."""
    total = 0.0
    for i in range(len(x)):
        k = labels[i]
        if k >= 0:
            u = -np.float64(x[i, k])
            total += weighted(0, weight, -1.0, focal(0, u, 0.0, gamma))
            grad[i, k] = factor * weighted(1, weight, -1.0, focal(1, u, 0.0, gamma))
    return total


@parallel_kernel
def _dense_loop(first, stop, x, labels, gamma, background_weight, object_weight, factor, sums, grad):
    """Losses summed row by row, and the gradient, of float64 logits. A NaN makes the sum of its row NaN."""
    for i in range(first, stop):
        total = 0.0
        for k in range(x.shape[1]):
            if labels[i] == IGNORED:
                total += 0.0 if x[i, k] == x[i, k] else x[i, k]
                grad[i, k] = 0.0
                continue
            slope, weight = (-1.0, object_weight) if labels[i] == k else (1.0, background_weight)
            u = slope * x[i, k]
            total += weighted(0, weight, slope, focal(0, u, 0.0, gamma))
            grad[i, k] = factor * weighted(1, weight, slope, focal(1, u, 0.0, gamma))
        sums[i] = total
