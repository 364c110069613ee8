"""The dense focal loss in single precision, as fast as the memory: value and gradient of many logits at a time.

A loop turns into vector instructions only if nothing in it calls the C library, so `exp` and `log1p` are polynomials,
each of the least relative error among those of its degree on its interval (Remez):

- exp(x) = 2**n exp(r) with x = n log 2 + r and |r| <= log(2) / 2. Adding 1.5 * 2**23 to x / log 2 rounds it to n, which
  then stands in the low bits of the sum; shifted by 23 places it is the exponent of the result.
- With t = exp(-u) and s = sigmoid(u) = 1 / (1 + t), the one division, log1p(exp(-|u|)) is -log1p(-o) of o = s or 1 - s,
  whichever is less, a series with one sign that converges fast on [0, 1/2].

Each loop is cut in two, exponentials first: a processor looks only so many instructions ahead, and finds more to do at
once among short chains than in a long one. The blocks are small enough to stay in its cache between the two.

The one liberty that the compiler gets is to fuse a product and a sum, which only saves a rounding. Sums may be
reordered in `_sum` alone; elsewhere that would undo the rounding trick.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import compiler, helper, inlined, parallel_kernel

BLOCK = 2048
"""How many logits are worked on together: they, their losses and their gradients fit the first cache."""

_loop = compiler(inner=True, fastmath={"contract"})
_reordered = compiler(inner=True, fastmath={"reassoc", "contract"})

_0, _1 = np.float32(0), np.float32(1)
_FAR = np.float32(87.33654)  # exp of minus that is the least normal number, all but 5e-6 of it
_ENOUGH = np.float32(1000)  # L exp(-u) is 0 from far below L = u = 1000 on
_LOG2E, _SHIFT = np.float32(1.4426950408889634), np.float32(1.5 * 2**23)
_LN2_HIGH, _LN2_LOW = np.float32(0.693145751953125), np.float32(1.428606765330187e-06)  # the first has 16 bits
_WIDE_SHIFT = 1.5 * 2**52
_E2, _E3, _E4, _E5, _E6 = np.array([0.49999994, 0.16666521, 0.04166839, 0.008368717, 0.0013814599], np.float32)
_L1, _L2, _L3, _L4, _L5, _L6, _L7, _L8 = np.array(
    [0.49999523, 0.3336321, 0.24368258, 0.26369116, -0.18095326, 1.2087163, -1.6395925, 1.4145491], np.float32
)


@inlined
def _exp_small(r):
    """exp(r) for |r| <= log(2) / 2."""
    p = _E6 * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + _E2
    p = p * r + _1
    return p * r + _1


@inlined
def _exp_minus(u):
    """exp(-u) for |u| <= 87.33654, beyond that of the nearest such u."""
    bounded = u if u > -_FAR else -_FAR
    bounded = bounded if bounded < _FAR else _FAR
    shifted = np.float32(_SHIFT - bounded * _LOG2E)
    n = shifted - _SHIFT
    p = np.float32(_exp_small((-bounded - n * _LN2_HIGH) - n * _LN2_LOW))
    return np.int32(p.view(np.int32) + np.int32(shifted.view(np.int32) << np.int32(23))).view(np.float32)


@inlined
def _exp_wide(x):
    """exp(x) for a float64 x <= 0, 0 where that is no normal number; in single precision from r on.

    Wide because even x = -87 must not lose a digit.
    """
    bounded = x if x > -87.33654 else -87.33654
    shifted = np.float64(bounded * 1.4426950408889634 + _WIDE_SHIFT)
    n = shifted - _WIDE_SHIFT
    p = np.float32(_exp_small(np.float32(bounded - n * 0.6931471805599453)))
    scaled = np.int32(p.view(np.int32) + np.int32(np.int32(shifted.view(np.int64)) << np.int32(23))).view(np.float32)
    return scaled if x >= -87.33654 else _0


@inlined
def _rest(s):
    """log1p(exp(-|u|)), what softplus(u) is more than max(u, 0), from s = sigmoid(u)."""
    q = _1 - s
    o = s if s < q else q
    p = _L8 * o + _L7
    p = p * o + _L6
    p = p * o + _L5
    p = p * o + _L4
    p = p * o + _L3
    p = p * o + _L2
    p = p * o + _L1
    p = p * o + _1
    return p * o


@_loop
def _square(x, factor, losses, grad):
    """FL = s**2 L at gamma = 2, and its gradient s (2 t FL + s**2) times factor, of background logits (u = x)."""
    for i in range(len(x)):
        losses[i] = _exp_minus(np.float32(x[i]))
    for i in range(len(x)):
        u, t = np.float32(x[i]), losses[i]
        s = _1 / (_1 + t)
        loss = (s * s) * ((_0 if u < _0 else u) + _rest(s))  # a NaN stays one
        bounded = loss if loss < _ENOUGH else _ENOUGH
        losses[i] = loss
        grad[i] = (factor * s) * ((t + t) * bounded + s * s)


@_loop
def _general(x, gamma, factor, losses, grad):
    """The same at any gamma: s**gamma = exp(gamma log s) with log s = min(u, 0) - log1p(exp(-|u|))."""
    narrow = np.float32(gamma)
    for i in range(len(x)):
        losses[i] = _exp_minus(np.float32(x[i]))
    for i in range(len(x)):
        u, t = np.float32(x[i]), losses[i]
        s = _1 / (_1 + t) if u >= -_FAR else _0
        p = t * s if u <= _FAR else _0
        rest = _rest(s)
        modulation = _exp_wide(gamma * (np.float64(u if u < _0 else _0) - np.float64(rest)))
        loss = (_0 if u < _0 else u) + rest
        bounded = loss if loss < _ENOUGH else _ENOUGH
        losses[i] = modulation * loss
        grad[i] = factor * (modulation * (narrow * (p * bounded) + s))


@_reordered
def _sum(values):
    total = 0.0
    for i in range(len(values)):  # over the values themselves it would not turn into vector instructions
        total += np.float64(values[i])
    return total


@parallel_kernel
def background_loss(first, stop, x, labels, ignored, gamma, factor, sums, grad):
    """All logits of (N, K) as background: their gradient times `factor`, and their losses summed per block of rows.

    A `gamma` of None stands for 2, for which there is a shorter loop; so only the loop that is used is compiled.
    Ignored rows count 0. The entries of objects are left out of the sums, and their gradient is still to be written.
    A NaN among the logits, wherever it is, makes the sum of its block NaN; nothing else does. The blocks do not depend
    on the number of threads, so neither does the result.
    """
    rows = max(1, BLOCK // max(1, x.shape[1]))
    for block in range(first, stop):
        some = slice(block * rows, (block + 1) * rows)
        sums[block] = _block_loss(x[some], labels[some], ignored, gamma, factor, grad[some])


@helper
def _block_loss(x, labels, ignored, gamma, factor, grad):
    """The sum for one block of rows."""
    losses = np.empty(x.size, np.float32)
    if gamma is None:
        _square(x.reshape(-1), np.float32(factor), losses, grad.reshape(-1))
    else:
        _general(x.reshape(-1), gamma, np.float32(factor), losses, grad.reshape(-1))
    classes = x.shape[1]
    for i in range(len(x)):
        if labels[i] == ignored:
            for k in range(classes):
                losses[i * classes + k] = _left_out(losses[i * classes + k])
                grad[i, k] = _0
        elif labels[i] >= 0:
            losses[i * classes + labels[i]] = _left_out(losses[i * classes + labels[i]])
    return _sum(losses)


@helper
def _left_out(loss):
    """0 for any loss but NaN."""
    return _0 if loss == loss else loss


def block_count(n: int, classes: int) -> int:
    """The number of blocks into which `background_loss` cuts (n, classes) logits."""
    return -(-n // max(1, BLOCK // max(1, classes)))
