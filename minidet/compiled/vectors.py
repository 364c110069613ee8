"""exp and log for many float64 numbers at a time, and what the losses are made of.

A loop turns into vector instructions only if nothing in it calls the C library. So exp and log are polynomials here,
with errors below a unit in the last place:

- exp(x) = 2**n exp(r) with x = n log 2 + r and |r| <= log(2) / 2. Adding 1.5 * 2**52 to x / log 2 rounds it to n, which
  then stands in the low bits of the sum; shifted by 52 places it is the exponent of the result.
- log(2**k (1 + f)) = k log 2 + 2 atanh(f / (2 + f)) with -1/4 <= f <= 1/2. Its first terms, f - f**2 / 2, are added
  last, so that what comes before is small and its rounding as well.

The one liberty that the compiler gets is to fuse a product and a sum, which only saves a rounding.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import compiler, helper, inlined
from minidet.compiled.stable import weighted

_fused = compiler(inner=True, fastmath={"contract"})

_LEAST = -750.0  # exp of that is 0
_LOG2E, _SHIFT, _BIAS = 1.4426950408889634, 1.5 * 2**52, 1023 << 52
_LEAST_NORMAL, _HALF = 2.0**-1022, np.int64(1 << 51)
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # n times the first is exact
_E3, _E4, _E5, _E6, _E7 = (
    0.1666666666666667, 0.04166666666666667, 0.008333333333326136, 0.0013888888888883748, 0.00019841269874820627,
)  # fmt: skip
_E8, _E9, _E10, _E11, _E12 = (
    2.4801587325547743e-05, 2.7557255400206422e-06, 2.75572736431103e-07, 2.5105217004720745e-08, 2.0914686968086876e-09
)  # fmt: skip
_L1, _L2, _L3, _L4 = 0.6666666666666666, 0.4000000000000794, 0.28571428567275936, 0.2222222304835159
_L5, _L6, _L7, _L8 = 0.18181737626302938, 0.15388867805613718, 0.13209708242059462, 0.13609030262858499


@_fused
def exp_of(x):
    """exp(x) for x <= 709, rounded once where it is no normal number."""
    x = max(x, _LEAST)
    n = np.float64(x * _LOG2E + _SHIFT) - _SHIFT
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _E12 * r + _E11
    p = p * r + _E10
    p = p * r + _E9
    p = p * r + _E8
    p = p * r + _E7
    p = p * r + _E6
    p = p * r + _E5
    p = p * r + _E4
    p = p * r + _E3
    p = p * r + 0.5
    p = 1.0 + (r + r * r * p)
    normal = max(n, -1021.0)
    return p * _two_to(normal) * _two_to(n - normal)


@helper
def _two_to(n):
    """2**n for a whole number n from -1022 to 1023."""
    bits = np.float64(n + _SHIFT).view(np.int64) << np.int64(52)
    return np.int64(bits + np.int64(_BIAS)).view(np.float64)


@inlined
def log1p_of(t):
    """log(1 + t) for 0 <= t <= 1."""
    large = t >= 0.5
    return _log(0.5 * (t - 1.0) if large else t, 1.0 if large else 0.0)


@inlined
def log_of(x):
    """log(x) for x > 0."""
    small = x < _LEAST_NORMAL
    bits = np.float64(x * 2.0**54 if small else x).view(np.int64)
    exponent = np.int64(bits + _HALF) >> np.int64(52)  # of x / 0.75, so that 0.75 <= mantissa < 1.5
    mantissa = np.int64(bits - ((exponent - np.int64(1023)) << np.int64(52))).view(np.float64)
    return _log(mantissa - 1.0, np.float64(exponent) - (1077.0 if small else 1023.0))


@_fused
def _log(f, k):
    """k log 2 + log(1 + f) for -1/4 <= f <= 1/2; f is exact."""
    s = f / (2.0 + f)
    w = s * s
    p = _L8 * w + _L7
    p = p * w + _L6
    p = p * w + _L5
    p = p * w + _L4
    p = p * w + _L3
    p = p * w + _L2
    p = p * w + _L1
    half = 0.5 * f * f
    return k * _LN2_HIGH - ((half - (s * (half + w * p) + k * _LN2_LOW)) - f)


@helper
def minus_x_t(x, is_object):
    """u = -x_t in float64: the logit of background, minus that of an object."""
    wide = np.float64(x)
    return -wide if is_object else wide


@inlined
def sigmoids(v, lost):
    """sigmoid(u), sigmoid(-u), and log1p(exp(-|u|)), what softplus(u) = log(1 + exp(u)) is more than max(u, 0).

    The sum u = v + lost is not rounded, see `minidet.reference.stable`.
    """
    e = exp_of(-abs(v)) * (1.0 - (lost if v > 0.0 else -lost))
    s, p = 1.0 if v >= 0.0 else e, e if v >= 0.0 else 1.0
    return s / (1.0 + e), p / (1.0 + e), log1p_of(e)


@helper
def weighed(order, value, is_object, background_weight, object_weight):
    """`weighted` with the weight and the sign of an object or of background."""
    weight, slope = object_weight if is_object else background_weight, -1.0 if is_object else 1.0
    return weighted(order, weight, slope, value)
