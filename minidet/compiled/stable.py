"""What the losses are made of, in Numba: the functions of `minidet.reference.stable` for one number each.

Those that a loop over many logits is made of are in `minidet.compiled.vectors`.
"""

from __future__ import annotations

import math

from minidet.compiled.jit import helper


@helper
def sigmoid(v, lost):
    """1 / (1 + exp(-(v + lost))). See `minidet.reference.stable.sigmoid`."""
    e = decay(v, lost)
    return (1.0 if v >= 0.0 else e) / (1.0 + e)


@helper
def softplus(v, lost):
    """log(1 + exp(v + lost)). See `minidet.reference.stable.softplus`."""
    return max(v, 0.0) + math.log1p(decay(v, lost))


@helper
def decay(v, lost):
    """exp(-|v + lost|), `lost` being the small part of a sum that did not fit into v."""
    return math.exp(-abs(v)) * (1.0 - (lost if v > 0.0 else -lost))


@helper
def power(s, gamma):
    """s**gamma, by hand for the gammas of daily use."""
    if gamma == 0.0:
        return 1.0
    if gamma == 1.0:
        return s
    if gamma == 2.0:
        return s * s
    return s**gamma


@helper
def weighted(order, weight, slope, value):
    """alpha_t F, or its derivative by the logit: (du/dx)**order = slope**order; 0 where the weight is."""
    if weight == 0.0:
        return 0.0
    return weight * (slope * value if order == 1 else value)


@helper
def affine(factor, u, shift):
    """v = factor u + shift rounded, and what rounding lost of it. See `minidet.reference.stable.affine`."""
    bounded = min(max(u, -1e150), 1e150)  # far beyond where exp(-|v|) is 0
    product, lost_product = two_product(factor, bounded)
    v, lost_sum = two_sum(product, shift)
    return v, lost_product + lost_sum


@helper
def two_sum(a, b):
    """a + b rounded, and exactly what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@helper
def two_product(a, b):
    """a * b rounded, and exactly what rounding lost (Dekker)."""
    product = a * b
    shifted_a, shifted_b = a * 134217729.0, b * 134217729.0  # 2**27 + 1 splits 53 bits into halves
    a1, b1 = shifted_a - (shifted_a - a), shifted_b - (shifted_b - b)
    a2, b2 = a - a1, b - b1
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2
