"""The dense focal loss for a GPU, in Triton: value and gradient from one read of the logits and one write.

The formulas are those of `minidet.pytorch.losses`, with u = -x_t. Exponential and logarithm are computed here: those of
a GPU are fast but lose digits for large arguments. What bounds the time is the memory all the same.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024
"""Logits per program."""


def value_and_gradient(
    x: Tensor, labels: Tensor, gamma: float, alpha: float | None, normaliser: Tensor, with_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """The dense focal loss and its gradient, both divided by the normaliser.

    Args:
        x: (N, K) logits, contiguous, float32 or of half width, at least one.
        labels: (N,) int64: a class, BACKGROUND or IGNORED.
        gamma: focusing parameter, >= 0.
        alpha: weight of the objects; None: no weights.
        normaliser: a scalar, at least 1.
        with_gradient: whether the gradient is wanted.

    Returns:
        The loss, a float32 scalar, and the gradient in the type and shape of x, or None.
    """
    background_weight, object_weight = (1.0, 1.0) if alpha is None else (1 - alpha, alpha)
    programs = triton.cdiv(x.numel(), _BLOCK)
    partial = torch.empty(programs, device=x.device, dtype=torch.float32)
    grad = torch.empty_like(x) if with_gradient else None
    coarse = _twelve_bits(gamma)
    _dense_kernel[(programs,)](
        x, labels, (1.0 / normaliser).float(), partial, x if grad is None else grad, x.numel(),
        gamma, coarse, gamma - coarse, background_weight, object_weight, x.shape[1], with_gradient, _BLOCK,
    )  # fmt: skip
    return (partial.double().sum() / normaliser).float(), grad


def scale_(x: Tensor, factor: Tensor) -> None:
    """Multiply a contiguous tensor in place by a scalar on its device; nothing is read or written where that is 1."""
    _scale_kernel[(triton.cdiv(x.numel(), _BLOCK),)](x, factor.float(), x.numel(), _BLOCK)


def _twelve_bits(number: float) -> float:
    """The number's first twelve binary digits: their product with twelve others is exact in float32."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(math.floor(mantissa * 4096) / 4096, exponent)


@triton.jit
def _exp(high, rest):  # type: ignore[no-untyped-def]
    """exp(high + rest) for a sum <= 0: high exact, rest small. |error| < 3 units in the last place."""
    n = tl.floor((high + rest) * 1.4426950408889634 + 0.5)
    r = ((high - n * 0.693359375) + n * 2.1219444005469057e-4) + rest  # the first constant has 9 digits: exact products
    y = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))))))
    power = tl.maximum(n, -250.0).to(tl.int32)
    half = power // 2  # in two steps, for a result below the normal numbers
    first = tl.cast((half + 127) << 23, tl.float32, bitcast=True)
    second = tl.cast((power - half + 127) << 23, tl.float32, bitcast=True)
    return y * first * second


@triton.jit
def _log1p(e):  # type: ignore[no-untyped-def]
    """log(1 + e) for e in [0, 1], as 2 atanh(e / (2 + e)): every term is positive."""
    s = e / (2 + e)
    z = s * s
    series = 1 / 7 + z * (1 / 9 + z * (1 / 11 + z * (1 / 13 + z * (1 / 15))))
    return 2 * s * (1 + z * (1 / 3 + z * (1 / 5 + z * series)))


@triton.jit
def _dense_kernel(  # type: ignore[no-untyped-def]
    x_at, labels_at, inverse_at, partial_at, grad_at, count,
    gamma, gamma_high, gamma_low, background_weight, object_weight,
    classes: tl.constexpr, with_gradient: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    places = program.to(tl.int64) * block + tl.arange(0, block)
    inside = places < count
    x = tl.load(x_at + places, mask=inside, other=0.0).to(tl.float32)
    label = tl.load(labels_at + places // classes, mask=inside, other=-2)
    is_object = label == places % classes
    u = tl.where(is_object, -x, x)
    size = tl.minimum(tl.abs(u), 10000.0)  # beyond, exp(-|u|) is 0
    e = _exp(-size, 0.0)
    rest = _log1p(e)  # of L = max(u, 0) + log(1 + exp(-|u|))
    low = tl.where(u >= 0, 0.0, -size)  # log sigmoid(u) = min(u, 0) - log(1 + exp(-|u|))
    low_high = tl.cast(tl.cast(low, tl.int32, bitcast=True) & -4096, tl.float32, bitcast=True)
    small = gamma_high * (low - low_high) + gamma_low * low - gamma * rest
    factor = _exp(gamma_high * low_high, small)  # sigmoid(u)**gamma
    weight = tl.where(is_object, object_weight, background_weight)
    weight = tl.where(label == -2, 0.0, weight)
    log_loss = tl.where((weight == 0) | (places >= count), 0.0, tl.maximum(u, 0.0) + rest)  # no weight on infinity
    tl.store(partial_at + program, tl.sum(weight * (factor * log_loss), axis=0))
    if with_gradient:
        total = 1 + e
        s = tl.where(u >= 0, 1.0, e) / total
        p = tl.where(u >= 0, e, 1.0) / total
        p_loss = p * (tl.minimum(tl.maximum(u, 0.0), 3.4028234e38) + rest)  # at u = inf the limit, 0
        slope = weight * (factor * (gamma * p_loss + s)) * tl.load(inverse_at)
        tl.store(grad_at + places, tl.where(is_object, -slope, slope).to(grad_at.dtype.element_ty), mask=inside)


@triton.jit
def _scale_kernel(x_at, factor_at, count, block: tl.constexpr):  # type: ignore[no-untyped-def]
    factor = tl.load(factor_at)
    if factor != 1.0:
        places = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        inside = places < count
        x = tl.load(x_at + places, mask=inside, other=0.0).to(tl.float32)
        tl.store(x_at + places, (x * factor).to(x_at.dtype.element_ty), mask=inside)
