"""What the losses are made of, in PyTorch: the functions of `minidet.reference.stable` on tensors.

Float32 needs more care than float64: a parameter is rounded to it, and so is a sum before it becomes an exponent.
"""

from __future__ import annotations

import torch
from torch import Tensor


def sigmoid(v: Tensor, lost: Tensor | float = 0.0) -> Tensor:
    """1 / (1 + exp(-(v + lost))). See `minidet.reference.stable.sigmoid`."""
    e = decay(v, lost)
    return torch.where(v >= 0, torch.ones_like(e), e) / (1 + e)


def decay(v: Tensor, lost: Tensor | float = 0.0) -> Tensor:
    """exp(-|v + lost|), `lost` being the small part of a sum that did not fit into v."""
    e = torch.exp(-v.abs())
    return e if isinstance(lost, float) else e * (1 - v.sign() * lost)


def power(s: Tensor, e: Tensor, u: Tensor, gamma: float) -> Tensor:
    """sigmoid(u)**gamma, with what float32 would lose of it by rounding gamma and, for a large gamma, the sigmoid."""
    held = _round(gamma, s.dtype)
    result = s**held
    if held != gamma:  # s**d = 1 + d log s, and log s = min(u, 0) - log(1 + e)
        result = result * (1 + (gamma - held) * (u.clamp(-1e4, 0) - torch.log1p(e)))
    if gamma > 2 and s.dtype == torch.float32:
        total, lost_sum = two_sum(torch.ones_like(e), e)
        product, lost_product = two_product(s, total)
        numerator = torch.where(u >= 0, 1.0, e).clamp(min=torch.finfo(e.dtype).tiny)
        residue = (numerator - product) - lost_product - s * lost_sum  # of numerator / (1 + e), which s rounds
        result = result * (1 + gamma * residue / numerator)
    return result


def affine(gamma: float, u: Tensor, shift: float) -> tuple[Tensor, Tensor]:
    """gamma u + shift as its rounded value and what rounding lost, that of gamma and shift included."""
    u = u.clamp(-1e15, 1e15)  # far beyond where exp(-|v|) is 0
    g, c = _round(gamma, u.dtype), _round(shift, u.dtype)
    product, lost_product = two_product(torch.full_like(u, g), u)
    v, lost_sum = two_sum(product, torch.full_like(u, c))
    return v, lost_product + lost_sum + ((gamma - g) * u + (shift - c))


def two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b rounded, and exactly what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a * b rounded, and exactly what rounding lost (Dekker)."""
    product = a * b
    a1, a2 = _halves(a)
    b1, b2 = _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: Tensor) -> tuple[Tensor, Tensor]:
    shifted = a * (2.0 ** (12 if a.dtype == torch.float32 else 27) + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _round(number: float, dtype: torch.dtype) -> float:
    return float(torch.tensor(number, dtype=dtype))
