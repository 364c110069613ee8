"""The dense focal loss for a GPU, in Triton: value and gradient from one read of the logits and one write.

The formulas are those of `minidet.pytorch.losses`, with u = -x_t. Exponential and logarithm are computed here: those of
a GPU are fast but lose digits for large arguments. About seventy instructions per logit are left; on an H200 they take
a third longer than a copy of the logits (`figures/results/device`).
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 256
"""Logits per program, of a single warp: of the sizes measured, the fastest."""


def value_and_gradient(
    x: Tensor, labels: Tensor, gamma: float, alpha: float | None, objects: Tensor, with_gradient: bool
) -> tuple[Tensor, Tensor | None]:
    """The dense focal loss and its gradient, both divided by the number of objects, or by 1.

    Args:
        x: (N, K) logits, contiguous, float32 or of half width, at least one.
        labels: (N,) int64: a class, BACKGROUND or IGNORED.
        gamma: focusing parameter, >= 0.
        alpha: weight of the objects; None: no weights.
        objects: how many labels are a class; a scalar on the device.
        with_gradient: whether the gradient is wanted.

    Returns:
        The loss, a float32 scalar, NaN where a logit is NaN or a label out of range; and the gradient in the type and
        shape of x, or None.
    """
    background_weight, object_weight = (1.0, 1.0) if alpha is None else (1 - alpha, alpha)
    programs = triton.cdiv(x.numel(), _BLOCK)
    partial = torch.empty(programs, device=x.device, dtype=torch.float32)
    grad = torch.empty_like(x) if with_gradient else None
    coarse, group = _twelve_bits(gamma), math.gcd(x.shape[1], 4)  # so many logits in a row have one label
    _dense_kernel[(programs,)](
        x, labels, objects, partial, x if grad is None else grad, x.numel(),
        gamma, coarse, gamma - coarse, background_weight, object_weight,
        int(gamma) if gamma in (0, 1, 2) else -1, 0 in (background_weight, object_weight),
        x.shape[1], with_gradient, group, _BLOCK // group, num_warps=1,
    )  # fmt: skip
    return partial.sum(dtype=torch.float64).float(), grad


def scale_(x: Tensor, factor: Tensor) -> None:
    """Multiply a contiguous tensor in place by a scalar on its device; nothing is read or written where that is 1."""
    _scale_kernel[(min(1024, triton.cdiv(x.numel(), 1024)),)](x, factor.float(), x.numel(), 1024)


def _twelve_bits(number: float) -> float:
    """The number's first twelve binary digits: their product with twelve others is exact in float32."""
    mantissa, exponent = math.frexp(number)
    return math.ldexp(math.floor(mantissa * 4096) / 4096, exponent)


@triton.jit
def _exp_minus(high, rest):  # type: ignore[no-untyped-def]
    """exp(-(high + rest)) for a sum >= 0: high exact, rest small or None; 0 where that is below the normal numbers.

    2**-n times the polynomial for exp(-r), |r| <= log(2) / 2, of the smallest relative error: under 2 units in the last
    place.
    """
    x = high if rest is None else high + rest
    shifted = x * 1.4426950408889634 + 12582912.0  # 1.5 * 2**23: the last binary digits are those of n, a whole number
    n = shifted - 12582912.0
    r = (high - n * 0.693359375) + n * 2.1219444005469057e-4  # the first constant has 9 digits: exact products
    if rest is not None:
        r += rest
    cubic = 0.16666415333747864 - r * (0.041668396443128586 - r * (0.008375254459679127 - r * 0.001382872462272644))
    y = 1 - r * (1 - r * (0.49999991059303284 - r * cubic))
    bits = tl.cast(y, tl.int32, bitcast=True) - (tl.cast(shifted, tl.int32, bitcast=True) << 23)  # n off the exponent
    return tl.where(x < 87.336, tl.cast(bits, tl.float32, bitcast=True), 0.0)


@triton.jit
def _log1p(e):  # type: ignore[no-untyped-def]
    """log(1 + e) for e in [0, 1], by the polynomial whose largest relative error is smallest: 1.5e-7."""
    high = 0.10532950609922409 + e * (-0.05626952648162842 + e * (0.019487686455249786 - e * 0.0031639994122087955))
    middle = 0.33329665660858154 + e * (
        -0.24951167404651642 + e * (0.19661018252372742 + e * (-0.15263274312019348 + e * high))
    )
    return e * (1 + e * (-0.49999889731407166 + e * middle))


@triton.jit
def _dense_kernel(  # type: ignore[no-untyped-def]
    x_at, labels_at, objects_at, partial_at, grad_at, count,
    gamma, gamma_high, gamma_low, background_weight, object_weight,
    power: tl.constexpr, no_weight: tl.constexpr, classes: tl.constexpr, with_gradient: tl.constexpr,
    group: tl.constexpr, groups: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0).to(tl.int64)
    first = program * (groups * group)  # of this program's logits; whole rows before it, and columns of its row
    row = first // classes
    column = (first - row * classes).to(tl.int32) + tl.arange(0, groups)[:, None] * group
    below = column // classes
    places = first + tl.arange(0, groups)[:, None] * group + tl.arange(0, group)[None, :]
    inside = places < count
    x = tl.load(x_at + places, mask=inside, other=0.0).to(tl.float32)
    label = tl.load(labels_at + row + below, mask=first + tl.arange(0, groups)[:, None] * group < count, other=-2)
    inverse = 1.0 / tl.maximum(tl.load(objects_at).to(tl.float32), 1.0)
    ignored = label == -2
    row_weight = tl.where((label >= -2) & (label < classes), background_weight * inverse, float("nan"))  # a fault
    is_object = (label.to(tl.int32) - (column - below * classes)) == tl.arange(0, group)[None, :]
    weight = tl.where(is_object, object_weight * inverse, tl.where(ignored, 0.0, row_weight))
    if no_weight:
        ignored = ignored | (weight == 0)
    u = tl.where(is_object, -x, x)
    size = tl.minimum(tl.abs(x), 10000.0, propagate_nan=tl.PropagateNan.ALL)  # beyond, exp(-|u|) is 0
    e = _exp_minus(size, None)
    total = 1 + e
    part = tl.rsqrt(total)
    part *= part
    part *= 2 - total * part  # 1 / (1 + e), by a step of Newton's
    rest = _log1p(e)  # of L = max(u, 0) + log(1 + exp(-|u|))
    other = e * part
    s = tl.where(u >= 0, part, other)  # sigmoid(u)
    if power == 0:
        factor = 1.0
    elif power == 1:
        factor = s
    elif power == 2:
        factor = s * s
    else:  # sigmoid(u)**gamma, by -log sigmoid(u) = max(-u, 0) + log(1 + exp(-|u|))
        low = tl.where(u >= 0, 0.0, size)
        low_high = tl.cast(tl.cast(low, tl.int32, bitcast=True) & -4096, tl.float32, bitcast=True)
        small = gamma_high * (low - low_high) + gamma_low * low + gamma * rest
        factor = _exp_minus(gamma_high * low_high, small)
    above = tl.maximum(u, 0.0, propagate_nan=tl.PropagateNan.ALL)
    finite = tl.minimum(above, 3.4028234e38, propagate_nan=tl.PropagateNan.ALL)
    value = weight * (factor * (tl.where(ignored, finite, above) + rest))  # no weight on infinity is none
    tl.store(partial_at + program, tl.sum(tl.sum(value, axis=1), axis=0))
    if with_gradient:
        p = tl.where(u >= 0, other, part)
        slope = weight * (factor * (gamma * (p * (finite + rest)) + s))  # p L at u = inf is its limit, 0
        tl.store(grad_at + places, tl.where(is_object, -slope, slope).to(grad_at.dtype.element_ty), mask=inside)


@triton.jit
def _scale_kernel(x_at, factor_at, count, block: tl.constexpr):  # type: ignore[no-untyped-def]
    factor = tl.load(factor_at)
    if factor != 1.0:
        first = tl.program_id(0).to(tl.int64) * block
        while first < count:
            places = first + tl.arange(0, block)
            inside = places < count
            x = tl.load(x_at + places, mask=inside, other=0.0).to(tl.float32)
            tl.store(x_at + places, (x * factor).to(x_at.dtype.element_ty), mask=inside)
            first += tl.num_programs(0) * block
