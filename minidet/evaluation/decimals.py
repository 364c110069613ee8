"""Numbers from the bytes of JSON, each the one that Python reads, to the last bit.

A decimal number is m / 10**k with whole m and k. Up to 2**53 and 10**22 both are exact in a float, and then a division
rounds as it should (Clinger, *How to read floating point numbers accurately*, 1990). Numbers that were floats before
have up to 17 digits, which is more: then the remainder of the division says what the quotient lacks, to 2**-52 of
itself. Only where that does not decide the last bit, or k is out of this range, Python reads the number.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import helper

_MINUS, _PLUS, _POINT, _ZERO, _NINE, _E = b"-+.09e"
_TENS = np.array([float(10**k) for k in range(23)])  # exact
_FULL = (2**62 - 9) // 10  # ten times it and a digit are below 2**62
_SPLIT = 2.0**27 + 1


@helper
def whole_number(data, i):
    """A whole number at byte i: the byte after it, or -1; its value; and whether there is one that fits in 62 bits."""
    negative = data[i] == _MINUS
    i, m = _digits(data, i + negative)
    return i, (-m if negative else m), i >= 0 and m <= _FULL


@helper
def _is_digit(byte):
    return _ZERO <= byte <= _NINE


@helper
def _digit(byte):
    return np.int64(byte) - _ZERO


@helper
def _digits(data, i):
    """A whole number at byte i: the byte after it, or -1; and its value. Above _FULL, it ends within the number."""
    start = i
    i, m = _more_digits(data, i, 0)
    if i == start or (data[start] == _ZERO and i > start + 1):
        return -1, m
    return i, m


@helper
def _more_digits(data, i, m):
    """The digits from byte i on behind those of m, as many as fit: the byte after them, and the number."""
    while _is_digit(data[i]) and m <= _FULL:
        m = 10 * m + _digit(data[i])
        i += 1
    return i, m


@helper
def number(data, i):
    """A number of JSON at byte i: the byte after it, or -1; its value, and whether that is sure to the last bit."""
    if i < 0:
        return -1, 0.0, False
    negative = data[i] == _MINUS
    i, m = _digits(data, i + negative)
    if i < 0:
        return -1, 0.0, False
    exact, k = not _is_digit(data[i]), 0
    while _is_digit(data[i]):
        i += 1
    whole = data[i] != _POINT and data[i] | 32 != _E  # JSON's -0 is a whole number, which has no sign
    if data[i] == _POINT:
        start = i + 1
        i, m = _more_digits(data, start, m)
        k = i - start
        exact = exact and not _is_digit(data[i])
        while _is_digit(data[i]):
            i += 1
        if i == start:
            return -1, 0.0, False
    if data[i] | 32 == _E:
        i += 1
        minus = data[i] == _MINUS
        if minus or data[i] == _PLUS:
            i += 1
        if not _is_digit(data[i]):
            return -1, 0.0, False
        exponent = 0
        while _is_digit(data[i]):
            exponent = 10 * exponent + _digit(data[i]) if exponent < 1000 else 10_000
            i += 1
        k += exponent if minus else -exponent
        exact = exact and exponent < 10_000
    value, negative = 0.0, negative and (m > 0 or not whole)
    if m and exact and 0 <= k <= 22:
        value, exact = _quotient(m, _TENS[k])
    elif m:
        exact = False
    return i, (-value if negative else value), exact


@helper
def _quotient(m, d):
    """m / d for a whole m below 2**62 and a d up to 10**22 that is exact; and whether it is rounded for certain."""
    high = np.float64(m)
    if m <= 2**53:
        return high / d, True
    low = np.float64(m - np.int64(high))
    q = high / d
    product = q * d  # Dekker: product + rest is exact
    q_high, d_high = q * _SPLIT, d * _SPLIT
    q_high, d_high = q_high - (q_high - q), d_high - (d_high - d)
    q_low, d_low = q - q_high, d - d_high
    rest = ((q_high * d_high - product) + q_high * d_low + q_low * d_high) + q_low * d_low
    missing = ((high - product) - rest + low) / d
    value = q + missing
    return value, value == q + missing * (1 - 2.0**-50) and value == q + missing * (1 + 2.0**-50)
