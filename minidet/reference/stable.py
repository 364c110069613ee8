"""The functions that losses are made of, with all their digits, and the arithmetic that loses none.

A difference of two numbers that are nearly equal has lost most of its digits; so has a sum that a large number rounds.
The functions below never subtract such numbers, and where a sum must be rounded they take what rounding lost of it as a
second argument: `sigmoid(v, lost)` is the sigmoid of the exact sum v + lost, with |lost| far below 1.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike


def sigmoid(v: np.ndarray, lost: ArrayLike = 0.0) -> np.ndarray:
    """The logistic function, 1 / (1 + exp(-(v + lost))).

    Its complement 1 - sigmoid(v) is sigmoid(-v); subtracted from 1, a sigmoid near 1 would keep no digits.

    Args:
        v: any shape, float64; may be +-inf.
        lost: what rounding lost of v, the shape of v or a number.

    Returns:
        Values in [0, 1] of the shape of v, float64.

    >>> sigmoid(np.array([0.0, 800.0, -800.0]))
    array([0.5, 1. , 0. ])
    """
    e = decay(v, lost)
    return np.where(v >= 0, 1, e) / (1 + e)


def softplus(v: np.ndarray, lost: ArrayLike = 0.0) -> np.ndarray:
    """The logarithm log(1 + exp(v + lost)), which is -log(sigmoid(-v)).

    Written max(v, 0) + log1p(exp(-|v|)): nothing overflows, and no term cancels the other.

    Args:
        v: any shape, float64; may be +-inf.
        lost: what rounding lost of v, the shape of v or a number.

    Returns:
        Values >= 0 of the shape of v, float64.

    >>> softplus(np.array([-800.0, 0.0, 8.0]))
    array([0.        , 0.69314718, 8.00033541])
    """
    return np.maximum(v, 0) + np.log1p(decay(v, lost))


def decay(v: np.ndarray, lost: ArrayLike) -> np.ndarray:
    """The exponential exp(-|v + lost|), which sigmoid and softplus share.

    Args:
        v: any shape, float64; may be +-inf.
        lost: what rounding lost of v, the shape of v or a number.

    Returns:
        Values in [0, 1] of the shape of v, float64.
    """
    return np.exp(-np.abs(v)) * (1 - np.sign(v) * lost)  # exp(-(|v| + d)) = exp(-|v|) (1 - d) for so small a d


def logit(probability: float) -> float:
    """The inverse of the sigmoid, log(p / (1 - p)).

    Args:
        probability: in [0, 1].

    Returns:
        The logit; -inf for 0 and inf for 1.

    >>> logit(0.5)
    0.0
    """
    if 0 < probability < 1:
        return math.log(probability) - math.log1p(-probability)
    return math.inf if probability else -math.inf


def finite(u: np.ndarray) -> np.ndarray:
    """The array with +-inf replaced by the largest finite numbers, for derivatives.

    Their limits at +-inf are their values there, where p L is 0 and not 0 times inf.

    Args:
        u: any shape, float64.

    Returns:
        Values of the shape of u, float64.
    """
    return np.clip(u, -np.finfo(np.float64).max, np.finfo(np.float64).max)


def weighted(weight: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The product weight * value, which is 0 where the weight is 0, an infinite value included.

    Args:
        weight: a shape that broadcasts to that of value, float64, >= 0.
        value: any shape, float64.

    Returns:
        Values of the shape of value, float64.
    """
    return np.multiply(weight, value, where=weight != 0, out=np.zeros_like(value))


def affine(factor: float, u: np.ndarray, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """The sum v = factor * u + shift, and what rounding lost of it.

    Args:
        factor: a finite number.
        u: any shape, float64; bounded at +-1e150, which is far beyond where exp(-|v|) is 0.
        shift: a finite number.

    Returns:
        v and lost, both of the shape of u, float64.
    """
    u = np.clip(u, -1e150, 1e150)
    product, lost_product = two_product(np.full_like(u, factor), u)
    v, lost_sum = two_sum(product, np.full_like(product, shift))
    return v, lost_product + lost_sum


def two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum a + b rounded, and exactly what rounding lost (Knuth).

    Args:
        a, b: arrays of one shape, float64.

    Returns:
        The sum and the loss, of that shape, float64.

    >>> two_sum(np.array([1.0]), np.array([1e-20]))
    (array([1.]), array([1.e-20]))
    """
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The product a * b rounded, and exactly what rounding lost (Dekker, by halves of 26 bits).

    Args:
        a, b: arrays of one shape, float64, so small that 2**27 times them does not overflow.

    Returns:
        The product and the loss, of that shape, float64.
    """
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted = a * (2.0**27 + 1)
    high = shifted - (shifted - a)
    return high, a - high
