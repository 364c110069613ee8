"""The dense focal loss in single precision, as fast as the memory: value and gradient of eight logits at a time.

A loop turns into vector instructions only if nothing in it calls the C library, so `exp` and `log1p` are polynomials:

- exp(x) = 2**n exp(r) with x = n log 2 + r and |r| <= log(2) / 2. Adding 1.5 * 2**23 to x / log 2 rounds it to n, which
  then stands in the low bits of the sum; shifted by 23 places it is the exponent of the result.
- log1p(e) = 2 artanh(z) = 2 z (1 + z**2/3 + z**4/5 + ...) with z = e / (2 + e) <= 1/3.

The one liberty that the compiler gets is to fuse a product and a sum, which only saves a rounding. Sums may be
reordered in `_sum` alone; elsewhere that would undo the rounding trick.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidet.compiled._numba import compiler, kernel, parallel_kernel

BLOCK = 8192
"""Logits that are worked on together; their losses stay in the first cache until they are summed."""

_vector = njit(nogil=True, error_model="numpy", inline="always")
_loop = compiler(fastmath={"contract"})
_reordered = compiler(fastmath={"reassoc", "contract"})

_0, _1, _2 = np.float32(0), np.float32(1), np.float32(2)
_LOWEST = np.float32(-87.33)  # exp of less is no normal number
_LARGEST = np.float32(3.4e38)
_LOG2E, _SHIFT = np.float32(1.4426950408889634), np.float32(1.5 * 2**23)
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606765330187e-06)  # the first has 16 bits
_WIDE_SHIFT = 1.5 * 2**52
_E3, _E4, _E5, _E6, _E7 = (np.float32(1 / n) for n in (6, 24, 120, 720, 5040))
_E2 = np.float32(0.5)
_A3, _A5, _A7, _A9, _A11 = (np.float32(1 / n) for n in (3, 5, 7, 9, 11))


@_vector
def _exp_small(r):
    """exp(r) for |r| <= log(2) / 2."""
    p = _E7 * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    return (p * r) * r + r + _1


@_vector
def _exp(x):
    """exp(x) for x <= 0; 0 where that is no normal number."""
    bounded = x if x > _LOWEST else _LOWEST
    shifted = np.float32(bounded * _LOG2E + _SHIFT)
    n = shifted - _SHIFT
    p = np.float32(_exp_small((bounded - n * _LN2_HIGH) - n * _LN2_LOW))
    scaled = np.int32(p.view(np.int32) + np.int32(shifted.view(np.int32) << np.int32(23))).view(np.float32)
    return scaled if x > _LOWEST else _0


@_vector
def _exp_wide(x):
    """The same for a float64 x, of which not even x = -87 loses a digit; in single precision from r on."""
    bounded = x if x > -87.33 else -87.33
    shifted = np.float64(bounded * 1.4426950408889634 + _WIDE_SHIFT)
    n = shifted - _WIDE_SHIFT
    p = np.float32(_exp_small(np.float32(bounded - n * 0.6931471805599453)))
    scaled = np.int32(p.view(np.int32) + np.int32(np.int32(shifted.view(np.int64)) << np.int32(23))).view(np.float32)
    return scaled if x > -87.33 else _0


@_vector
def _log1p(e):
    """log(1 + e) for e in [0, 1]."""
    z = e / (_2 + e)
    q = z * z
    t = _A11 * q + _A9
    t = t * q + _A7
    t = t * q + _A5
    t = t * q + _A3
    return _2 * z * (t * q + _1)


@_vector
def _terms(u):
    """s = sigmoid(u), p = sigmoid(-u), max(u, 0), and the rest of softplus(u), log(1 + exp(-|u|))."""
    e = _exp(-abs(u))
    inverse = _1 / (_1 + e)
    other = e * inverse
    return inverse if u >= _0 else other, other if u >= _0 else inverse, u if u > _0 else _0, _log1p(e)


@_loop
def _square(x, weight, factor, losses, grad):
    """FL at gamma = 2, and its gradient times factor, of background logits (u = x); returns whether one is NaN."""
    nan = np.int32(0)
    for i in range(len(x)):
        u = np.float32(x[i])
        nan = np.int32(nan | np.int32(u != u))
        s, p, high, rest = _terms(u)
        modulation = s * s
        losses[i] = weight * (modulation * (high + rest))
        loss = (high if high < _LARGEST else _LARGEST) + rest
        grad[i] = factor * (modulation * (_2 * (p * loss) + s))
    return nan


@_loop
def _general(x, gamma, weight, factor, losses, grad):
    """The same at any gamma: s**gamma = exp(gamma log s) with log s = min(u, 0) - log(1 + exp(-|u|))."""
    nan = np.int32(0)
    narrow = np.float32(gamma)
    for i in range(len(x)):
        u = np.float32(x[i])
        nan = np.int32(nan | np.int32(u != u))
        s, p, high, rest = _terms(u)
        modulation = _exp_wide(gamma * (np.float64(u if u < _0 else _0) - np.float64(rest)))
        losses[i] = weight * (modulation * (high + rest))
        loss = (high if high < _LARGEST else _LARGEST) + rest
        grad[i] = factor * (modulation * (narrow * (p * loss) + s))
    return nan


@_reordered
def _sum(values):
    total = 0.0
    for value in values:
        total += np.float64(value)
    return total


@parallel_kernel
def background_loss(x, labels, ignored, gamma, weight, factor, sums, grad):
    """All logits of (N, K) as background: their gradient, and the losses summed block by block of rows.

    Rows that are ignored count 0. The entries of objects are left out of the sums; their gradient is not theirs yet.
    Returns how many logits are NaN. The blocks do not depend on the number of threads, so neither does the result.
    """
    rows = max(1, BLOCK // max(1, x.shape[1]))
    nans = 0
    for block in prange(len(sums)):
        some = slice(block * rows, (block + 1) * rows)
        sums[block], nan = _block_loss(x[some], labels[some], ignored, gamma, weight, factor, grad[some])
        nans += nan
    return nans


@kernel
def _block_loss(x, labels, ignored, gamma, weight, factor, grad):
    """The sum for one block of rows, and whether one of its logits is NaN."""
    losses = np.empty(x.size, np.float32)
    loss_weight, slope_weight = np.float32(weight), np.float32(weight * factor)
    if gamma == 2.0:
        nan = _square(x.reshape(-1), loss_weight, slope_weight, losses, grad.reshape(-1))
    else:
        nan = _general(x.reshape(-1), gamma, loss_weight, slope_weight, losses, grad.reshape(-1))
    classes = x.shape[1]
    for i in range(len(x)):
        if labels[i] == ignored:
            for k in range(classes):
                losses[i * classes + k] = grad[i, k] = _0
        elif labels[i] >= 0:
            losses[i * classes + labels[i]] = _0
    return _sum(losses) if weight != 0.0 else 0.0, nan  # no weight on an infinite loss is none


def block_count(n: int, classes: int) -> int:
    """Blocks of `background_loss` for (n, classes) logits."""
    return -(-n // max(1, BLOCK // max(1, classes)))
