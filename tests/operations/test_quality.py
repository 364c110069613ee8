"""The losses for soft targets: against the focal loss, against 50 digits, against differences."""

from __future__ import annotations

import functools

import mpmath
import numpy as np
import pytest
import torch

from minidet import pytorch

LOGITS = np.array([-90.0, -30.25, -8.5, -3.0, -1.0, -0.125, 0.0, 0.5, 2.0, 6.0, 17.5, 40.0, 95.0])
QUALITIES = (0.0, 0.015625, 0.25, 0.5, 0.875, 1.0)  # exact in float32
BETAS = (0.0, 0.5, 1.0, 2.0, 3.5)
ALLOWED = {np.float64: 8e-15, np.float32: 2e-6}  # of the size of the terms
QUALITY = ("quality_focal_loss", "quality_focal_loss_grad", "quality_focal_loss_hess")
VARIFOCAL = ("varifocal_loss", "varifocal_loss_grad", "varifocal_loss_hess")


@functools.cache
def exact_quality(order: int, y: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """QFL or a derivative by the logit, and the sum of its terms' sizes, from the definition, in 80 digits."""
    values, sizes = [], []
    with mpmath.workdps(80):
        for x in LOGITS:
            s = 1 / (1 + mpmath.exp(-mpmath.mpf(x)))
            q, b = mpmath.mpf(y), mpmath.mpf(beta)
            loss = (-q * mpmath.log(s) if y else 0) - ((1 - q) * mpmath.log(1 - s) if y < 1 else 0)
            d, v = s - q, s * (1 - s)
            size, largest = abs(d), (1 - q) * s + q * (1 - s)  # what d is the difference of
            if order == 0:
                terms = [size**b * loss]
                scale = largest**b * loss
            elif size == 0:
                terms, scale = [v if (order == 2 and beta == 0) else 2 * v * v * loss * (order == 2 and beta == 2)], v
            elif order == 1:
                terms = [mpmath.sign(d) * size ** (b + 1), mpmath.sign(d) * b * size ** (b - 1) * v * loss]
                scale = sum(map(abs, terms)) * largest / size
            else:
                terms = [
                    v * (2 * b + 1) * size**b, v * b * size ** (b - 2) * loss * (b - 1) * v,
                    v * b * size ** (b - 2) * loss * d * (1 - 2 * s),
                ]  # fmt: skip
                scale = sum(map(abs, terms)) * (1 + largest / size)
            values.append(float(sum(terms)))
            sizes.append(float(scale))
    return np.array(values), np.array(sizes)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_quality_to_the_last_digits(ops, dtype, beta, order):
    for y in QUALITIES:
        got = getattr(ops, QUALITY[order])(LOGITS.astype(dtype), np.full(len(LOGITS), y, dtype), beta)
        exact, size = exact_quality(order, y, beta)
        assert got.dtype == dtype
        tiny = float(np.finfo(dtype).tiny)
        assert (abs(got - exact) <= ALLOWED[dtype] * size * (1 + beta) + tiny).all(), (y, got - exact)


@pytest.mark.parametrize("beta", BETAS)
def test_hard_targets_give_the_focal_loss(ops, beta):
    for y in (0, 1):
        targets = np.full(len(LOGITS), float(y))
        for name, focal in zip(QUALITY, ("focal_loss", "focal_loss_grad", "focal_loss_hess"), strict=True):
            wanted = getattr(ops, focal)(LOGITS, targets, beta, None)
            np.testing.assert_allclose(getattr(ops, name)(LOGITS, targets, beta), wanted, rtol=4e-14, atol=1e-300)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_varifocal_is_a_weighted_cross_entropy_and_a_focal_loss(ops, gamma):
    none, cross = np.zeros(len(LOGITS)), ("quality_focal_loss", "quality_focal_loss_grad", "quality_focal_loss_hess")
    for i, name in enumerate(VARIFOCAL):
        call = getattr(ops, name)
        focal = getattr(ops, ("focal_loss", "focal_loss_grad", "focal_loss_hess")[i])
        background = 0.75 * focal(LOGITS, none, gamma, None)
        np.testing.assert_allclose(call(LOGITS, none, gamma, 0.75), background, rtol=1e-14, atol=1e-300)
        assert not call(LOGITS, none, gamma, 0.0).any()
        for y in QUALITIES[1:]:
            targets = np.full(len(LOGITS), y)
            wanted = y * getattr(ops, cross[i])(LOGITS, targets, 0.0)
            np.testing.assert_allclose(call(LOGITS, targets, gamma, 0.75), wanted, rtol=1e-14, atol=1e-300)


@pytest.mark.parametrize("names", [QUALITY, VARIFOCAL], ids=["quality", "varifocal"])
def test_derivatives_are_the_slopes_of_differences(ops, names):
    rng, h = np.random.default_rng(2), 1e-5
    x, y = rng.uniform(-6, 6, 200), rng.choice([0.0, 0.2, 0.7, 1.0], 200)
    value, slope, curvature = (getattr(ops, name) for name in names)
    for parameter in (0.0, 1.0, 2.0, 3.0):
        away = abs(1 / (1 + np.exp(-x)) - y) > 1e-3  # from the kink
        first = (value(x + h, y, parameter) - value(x - h, y, parameter)) / (2 * h)
        second = (slope(x + h, y, parameter) - slope(x - h, y, parameter)) / (2 * h)
        np.testing.assert_allclose(slope(x, y, parameter)[away], first[away], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(curvature(x, y, parameter)[away], second[away], rtol=1e-5, atol=1e-9)


def test_quality_values_by_hand(ops):
    half = np.array([0.0])
    assert ops.quality_focal_loss(half, np.array([0.5])) == 0
    assert ops.quality_focal_loss_grad(half, np.array([0.5]), 1.0) == 0
    np.testing.assert_allclose(ops.quality_focal_loss_hess(half, np.array([0.5]), 2.0), np.log(2) / 8, rtol=1e-15)
    np.testing.assert_allclose(ops.varifocal_loss(half, np.array([0.5])), np.log(2) / 2, rtol=1e-15)


def test_infinite_logits_have_their_limits(ops):
    x = np.array([np.inf, np.inf, np.inf, -np.inf, -np.inf, -np.inf])
    y = np.array([1.0, 0.5, 0.0, 0.0, 0.5, 1.0])
    np.testing.assert_array_equal(ops.quality_focal_loss(x, y), [0, np.inf, np.inf, 0, np.inf, np.inf])
    np.testing.assert_array_equal(ops.quality_focal_loss_grad(x, y), [0, 0.125, 1, 0, -0.125, -1])
    np.testing.assert_array_equal(ops.quality_focal_loss_hess(x, y), [0] * 6)
    np.testing.assert_array_equal(ops.varifocal_loss(x, y), [0, np.inf, np.inf, 0, np.inf, np.inf])
    np.testing.assert_array_equal(ops.varifocal_loss_grad(x, y), [0, 0.25, 0.75, 0, -0.25, -1])
    np.testing.assert_array_equal(ops.varifocal_loss_hess(x, y), [0] * 6)


@pytest.mark.parametrize("name", [*QUALITY, *VARIFOCAL])
def test_shapes_and_no_logits(ops, name):
    call = getattr(ops, name)
    assert call(np.zeros((2, 3), np.float32), np.full((2, 3), 0.5, np.float32)).shape == (2, 3)
    assert call(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.errors
@pytest.mark.parametrize("name", [*QUALITY, *VARIFOCAL])
def test_bad_arguments_are_told(ops, name):
    call = getattr(ops, name)
    with pytest.raises(ValueError, match=r"targets\[1\].*quality"):
        call(np.zeros(2), np.array([0.5, 1.5]))
    with pytest.raises(ValueError, match=r"targets\[0\].*quality"):
        call(np.zeros(1), np.array([np.nan]))
    with pytest.raises(ValueError, match="one target for each logit"):
        call(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"logits\[0\]"):
        call(np.array([np.nan]), np.array([0.5]))
    with pytest.raises(ValueError, match="beta" if "quality" in name else "gamma"):
        call(np.zeros(1), np.zeros(1), -1.0)


@pytest.mark.parametrize("loss", [pytorch.quality_focal_loss, pytorch.varifocal_loss], ids=lambda loss: loss.__name__)
def test_backward_is_the_derivative_twice(loss):
    x = torch.linspace(-4, 4, 12, dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.0, 0.3, 0.8, 1.0] * 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: loss(x, y), (x,))
    assert torch.autograd.gradgradcheck(lambda x: loss(x, y), (x,))
