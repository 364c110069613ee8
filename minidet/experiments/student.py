"""Student's t distribution, for intervals from few seeds."""

from __future__ import annotations

import math
from functools import cache

_TINY = 1e-300
"""What stands for 0 in a denominator."""


def tail(t: float, degrees: float) -> float:
    """The probability that a variable with Student's distribution exceeds ``t``.

    Args:
        t: any number, infinity included.
        degrees: degrees of freedom, above 0; need not be whole (Welch).

    Returns:
        The probability, from 0 to 1.

    Raises:
        ValueError: ``degrees`` is not above 0.

    >>> round(tail(2.0, 2), 10)
    0.0917517095
    """
    if not degrees > 0:
        raise ValueError(f"degrees = {degrees} must be above 0")
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    square = t * t
    upper = incomplete_beta(degrees / 2, 0.5, degrees / (degrees + square), square / (degrees + square)) / 2
    return upper if t >= 0 else 1 - upper


@cache
def quantile(probability: float, degrees: float) -> float:
    """The value that a variable with Student's distribution exceeds with a given probability.

    Args:
        probability: above 0 and below 1; 0.025 gives the factor of a 95 % interval.
        degrees: degrees of freedom, above 0.

    Returns:
        The value, to about 10 digits.

    Raises:
        ValueError: an argument is out of its range.

    >>> round(quantile(0.025, 2), 3)
    4.303
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability = {probability} must be above 0 and below 1")
    if probability > 0.5:
        return -quantile(1 - probability, degrees)
    low, high = 0.0, 1.0
    while tail(high, degrees) > probability:
        low, high = high, 2 * high
    while (middle := (low + high) / 2) not in (low, high):  # until there is no number between them
        low, high = (middle, high) if tail(middle, degrees) > probability else (low, middle)
    return high


def incomplete_beta(a: float, b: float, x: float, complement: float) -> float:
    """The regularised incomplete beta function, by its continued fraction.

    Args:
        a: above 0.
        b: above 0.
        x: from 0 to 1.
        complement: 1 - x, given apart because x may be too near to 1 to tell.

    Returns:
        The probability that a variable with the distribution Beta(a, b) is at most ``x``.
    """
    if x == 0 or complement == 0:
        return x
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below
        return 1 - incomplete_beta(b, a, complement, x)
    logarithm = (
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(complement)
    )  # fmt: skip
    c, d = 1.0, 1 / _away_from_0(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 1000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away_from_0(1 + numerator * d)
            c = _away_from_0(1 + numerator / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(logarithm) * fraction / a


def _away_from_0(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
