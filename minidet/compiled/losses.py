"""The losses of the paper in Numba. Equations, notation and contracts are those of `minidet.reference.losses`.

A formula is a scalar function of u = -x_t; `order` picks the value (0), the slope dF/du (1) or the curvature (2). Loops
run over flat arrays without temporaries. Arithmetic is float64 whatever the array's type, so a float32 result is the
float64 one rounded once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import dense32
from minidet.compiled.jit import helper, kernel, native, parallel_kernel, wide
from minidet.structures import IGNORED

_LARGEST = float(np.finfo(np.float64).max)


def cross_entropy(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """Equations 1 to 3, the focal loss at gamma = 0. See `minidet.reference.cross_entropy`."""
    return _elementwise(_focal_loop, 0, logits, targets, alpha, 0.0)


def cross_entropy_grad(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """d CE / d logits. See `minidet.reference.cross_entropy_grad`."""
    return _elementwise(_focal_loop, 1, logits, targets, alpha, 0.0)


def cross_entropy_hess(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """d2 CE / d logits2. See `minidet.reference.cross_entropy_hess`."""
    return _elementwise(_focal_loop, 2, logits, targets, alpha, 0.0)


def focal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25) -> np.ndarray:
    """Equations 4 and 5. See `minidet.reference.focal_loss`."""
    return _elementwise(_focal_loop, 0, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """d FL / d logits. See `minidet.reference.focal_loss_grad`."""
    return _elementwise(_focal_loop, 1, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """d2 FL / d logits2. See `minidet.reference.focal_loss_hess`."""
    return _elementwise(_focal_loop, 2, logits, targets, alpha, checks.gamma(gamma))


def focal_loss_star(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """Equations 7 and 8. See `minidet.reference.focal_loss_star`."""
    return _elementwise(_star_loop, 0, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """d FL* / d logits. See `minidet.reference.focal_loss_star_grad`."""
    return _elementwise(_star_loop, 1, logits, targets, alpha, *checks.star(gamma, beta))


def focal_loss_star_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """d2 FL* / d logits2. See `minidet.reference.focal_loss_star_hess`."""
    return _elementwise(_star_loop, 2, logits, targets, alpha, *checks.star(gamma, beta))


def hinge_loss(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """max(0, margin - p_t), section 5.1. See `minidet.reference.hinge_loss`."""
    return _elementwise(_hinge_loop, 0, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def hinge_loss_grad(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """d hinge / d logits. See `minidet.reference.hinge_loss_grad`."""
    return _elementwise(_hinge_loop, 1, logits, targets, None, checks.number("margin", margin, low=0, high=1))


def softmax_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """(N,) focal losses over K exclusive classes. See `minidet.reference.softmax_focal_loss`."""
    return _softmax(logits, labels, gamma, alpha)[0]


def softmax_focal_loss_grad(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """(N, K) gradient. See `minidet.reference.softmax_focal_loss_grad`."""
    return _softmax(logits, labels, gamma, alpha)[1]


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """Quadratic for |d| < beta, linear beyond. See `minidet.reference.smooth_l1`."""
    return _regression(0, predictions, targets, beta)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """With respect to the predictions. See `minidet.reference.smooth_l1_grad`."""
    return _regression(1, predictions, targets, beta)


def dense_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> tuple[np.floating, np.ndarray]:
    """The loss of an image, a scalar, and its gradient (N, K). See `minidet.reference.dense_focal_loss`.

    Fast in float32, where nearly all logits are background and go through `dense32` on vectors; the few of the objects
    are done over one by one. Float64 takes the formulas as they are. Rows are summed in a fixed order, so the result
    does not depend on the number of threads.
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
        dense32.background_loss(arranged, label, IGNORED, general, weights[0] * factor, sums, grad)
        background = weights[0] * sums.sum() if weights[0] else 0.0  # no weight on an infinite loss is none
        total = background + _object_loop(arranged, label, gamma, weights[1], factor, grad)
        nans = np.isnan(sums).any()
    else:
        sums = np.empty(len(x))
        nans = _dense_loop(arranged, label, gamma, *weights, factor, sums, grad)
        total = sums.sum()
    if nans:
        checks.class_scores("logits", x)
    return x.dtype.type(total / normaliser), grad.astype(x.dtype, copy=False)


def _elementwise(
    loop: Any, order: int, logits: ArrayLike, targets: ArrayLike, alpha: float | None, *parameters: float
) -> np.ndarray:
    """Check, flatten, loop, and give the result the shape and type of the logits."""
    checks.alpha(alpha)
    x, y = checks.binary(logits, targets)
    flat = native(x.ravel())
    out = np.empty_like(flat)
    loop(order, flat, y.ravel() == 1, *_weights(alpha), *parameters, out)
    return out.reshape(x.shape).astype(x.dtype, copy=False)


def _softmax(
    logits: ArrayLike, labels: ArrayLike, gamma: float, alpha: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray]:
    x, label, weight = checks.softmax(logits, labels, alpha)
    loss, grad = np.empty(len(x)), np.empty(x.shape)
    _softmax_loop(wide(x), label, checks.gamma(gamma), wide(weight), loss, grad)
    return loss.astype(x.dtype), grad.astype(x.dtype)


def _regression(order: int, predictions: ArrayLike, targets: ArrayLike, beta: float) -> np.ndarray:
    beta = checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    out = np.empty(x.size)
    _smooth_l1_loop(order, wide(x.ravel()), wide(t.ravel()), beta, out)
    return out.reshape(x.shape).astype(x.dtype)


def _weights(alpha: float | None) -> tuple[float, float]:
    """alpha_t of background and of objects."""
    return (1.0, 1.0) if alpha is None else (1.0 - alpha, float(alpha))


@helper
def _decay(v, lost):
    """exp(-|v + lost|), `lost` being the small part of a sum that did not fit into v."""
    return math.exp(-abs(v)) * (1.0 - (lost if v > 0.0 else -lost))


@helper
def _softplus(v, lost):
    return max(v, 0.0) + math.log1p(_decay(v, lost))


@helper
def _sigmoid(v, lost):
    e = _decay(v, lost)
    return (1.0 if v >= 0.0 else e) / (1.0 + e)


@helper
def _power(s, gamma):
    """s**gamma, by hand for the gammas of daily use."""
    if gamma == 0.0:
        return 1.0
    if gamma == 1.0:
        return s
    if gamma == 2.0:
        return s * s
    return s**gamma


@helper
def _focal(order, u, lost, gamma):
    """s**gamma L and its derivatives by u."""
    if order == 0:
        return _power(_sigmoid(u, lost), gamma) * _softplus(u, lost)
    u = min(max(u, -_LARGEST), _LARGEST)  # the limits at +-inf are the values there
    s, p = _sigmoid(u, lost), _sigmoid(-u, -lost)
    p_loss = p * _softplus(u, lost)
    if order == 1:
        return _power(s, gamma) * (gamma * p_loss + s)
    return _power(s, gamma) * (gamma * p_loss * (gamma * p - s) + (2.0 * gamma + 1.0) * p * s)


@helper
def _star(order, u, gamma, beta):
    """softplus(v) / gamma with v = gamma u - beta, and its derivatives by u."""
    bounded = min(max(u, -1e150), 1e150)  # far beyond where exp(-|v|) is 0
    product, lost_product = _two_product(gamma, bounded)
    v, lost_sum = _two_sum(product, -beta)
    lost = lost_product + lost_sum
    if order == 0:
        return max(u - beta / gamma, 0.0) + math.log1p(_decay(v, lost)) / gamma
    if order == 1:
        return _sigmoid(v, lost)
    return gamma * _sigmoid(v, lost) * _sigmoid(-v, -lost)


@helper
def _hinge(order, u, margin):
    p = _sigmoid(-u, 0.0)
    if order == 0:
        return max(0.0, margin - p)
    return _sigmoid(u, 0.0) * p if p < margin else 0.0


@helper
def _two_sum(a, b):
    """a + b rounded, and exactly what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@helper
def _two_product(a, b):
    """a * b rounded, and exactly what rounding lost (Dekker)."""
    product = a * b
    shifted_a, shifted_b = a * 134217729.0, b * 134217729.0  # 2**27 + 1 splits 53 bits into halves
    a1, b1 = shifted_a - (shifted_a - a), shifted_b - (shifted_b - b)
    a2, b2 = a - a1, b - b1
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


@helper
def _chained(order, weight, slope, value):
    """alpha_t F, or its derivative by the logit: (du/dx)**order = slope**order; 0 where the weight is."""
    if weight == 0.0:
        return 0.0
    return weight * (slope * value if order == 1 else value)


@kernel
def _focal_loop(order, x, is_object, background_weight, object_weight, gamma, out):
    for i in range(len(x)):
        slope, weight = (-1.0, object_weight) if is_object[i] else (1.0, background_weight)
        out[i] = _chained(order, weight, slope, _focal(order, slope * np.float64(x[i]), 0.0, gamma))


@kernel
def _star_loop(order, x, is_object, background_weight, object_weight, gamma, beta, out):
    for i in range(len(x)):
        slope, weight = (-1.0, object_weight) if is_object[i] else (1.0, background_weight)
        out[i] = _chained(order, weight, slope, _star(order, slope * np.float64(x[i]), gamma, beta))


@kernel
def _hinge_loop(order, x, is_object, background_weight, object_weight, margin, out):
    for i in range(len(x)):
        slope, weight = (-1.0, object_weight) if is_object[i] else (1.0, background_weight)
        out[i] = _chained(order, weight, slope, _hinge(order, slope * np.float64(x[i]), margin))


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
                difference, lost = _two_sum(max(x[i, j], -1e300), -peak)
                grad[i, j] = math.exp(difference) * (1.0 + lost)
                total += grad[i, j]
        u, lost_1 = _two_sum(peak, -min(max(x[i, y], -1e300), 1e300))
        u, lost_2 = _two_sum(u, math.log(max(total, 1.0)))
        weight = class_weight[y]
        loss[i] = _chained(0, weight, 1.0, _focal(0, u, lost_1 + lost_2, gamma))
        slope = _chained(0, weight, 1.0, _focal(1, u, lost_1 + lost_2, gamma))
        for j in range(x.shape[1]):
            grad[i, j] = -slope if j == y else slope * (grad[i, j] / max(total, 1.0))


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


@kernel
def _object_loop(x, labels, gamma, weight, factor, grad):
    """Sum of the objects' losses, one entry of each assigned anchor's row; writes their gradients."""
    total = 0.0
    for i in range(len(x)):
        k = labels[i]
        if k >= 0:
            u = -np.float64(x[i, k])
            total += _chained(0, weight, -1.0, _focal(0, u, 0.0, gamma))
            grad[i, k] = factor * _chained(1, weight, -1.0, _focal(1, u, 0.0, gamma))
    return total


@parallel_kernel
def _dense_loop(x, labels, gamma, background_weight, object_weight, factor, sums, grad):
    """Losses summed row by row, and the gradient, of float64 logits; returns how many are NaN."""
    nans = 0
    for i in prange(len(x)):
        total = 0.0
        for k in range(x.shape[1]):
            nans += x[i, k] != x[i, k]
            if labels[i] == IGNORED:
                grad[i, k] = 0.0
                continue
            slope, weight = (-1.0, object_weight) if labels[i] == k else (1.0, background_weight)
            u = slope * x[i, k]
            total += _chained(0, weight, slope, _focal(0, u, 0.0, gamma))
            grad[i, k] = factor * _chained(1, weight, slope, _focal(1, u, 0.0, gamma))
        sums[i] = total
    return nans
