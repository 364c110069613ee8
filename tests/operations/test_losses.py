"""The losses: against torchvision's numbers, between the paths, and against 50 digits."""

from __future__ import annotations

import functools
import importlib
import math
import operator
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minidet import compiled, pytorch, reference
from tests.ops import GOLDEN

GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 5.0)
STARS = ((0.5, 0.0), (1.0, 1.0), (1.3, -3.3), (2.0, 1.0), (4.0, 0.0), (5.0, 2.7))  # gamma, beta
ALLOWED = {np.float64: 4e-15, np.float32: 1e-6}  # relative error
BINARY = ("cross_entropy", "focal_loss", "focal_loss_star", "hinge_loss")
TWICE = ("cross_entropy", "focal_loss", "focal_loss_star")
DERIVATIVES = [f"{name}_{what}" for name in BINARY for what in ("grad", "hess") if name in TWICE or what == "grad"]
LOGITS = st.floats(-100, 100, allow_nan=False)


def logits_to_test() -> np.ndarray:
    """Over all of [-100, 100], dense around 0, and at the turning points of single precision."""
    rng = np.random.default_rng(5)
    edges = [0.0, -0.0, 1e-300, 1e-20, 1e-8, 15.9, 16.6, 17.3, 36.7, 44.0, 87.3, 88.7, 100.0]
    values = np.concatenate([rng.uniform(-100, 100, 30), rng.uniform(-8, 8, 30), edges, np.negative(edges)])
    return values.astype(np.float32).astype(np.float64)  # numbers of both types, so one table serves both


LOGIT_TABLE = logits_to_test()


@functools.cache
def exact_focal(order: int, target: int, gamma: float) -> list[mpmath.mpf]:
    """The focal loss, alpha None, and its derivatives by the logit, in 50 digits, from the paper's own expressions."""
    with mpmath.workdps(120):  # 1 - p_t loses up to 44 of them at |x| = 100
        result = []
        for x in LOGIT_TABLE:
            y = 1 if target else -1
            p_t = 1 / (1 + mpmath.exp(-y * mpmath.mpf(x)))
            g, log_p = mpmath.mpf(gamma), mpmath.log(p_t)
            if order == 0:
                result.append(-((1 - p_t) ** g) * log_p)  # equation 4
            elif order == 1:
                result.append(y * (1 - p_t) ** g * (g * p_t * log_p + p_t - 1))  # appendix B
            else:  # the derivative of appendix B's line by x_t, by the product rule
                inner = g * p_t * log_p + p_t - 1
                inner_slope = p_t * (1 - p_t) * (g * log_p + g + 1)
                result.append(-g * p_t * (1 - p_t) ** g * inner + (1 - p_t) ** g * inner_slope)
        return result


@functools.cache
def exact_star(order: int, target: int, gamma: float, beta: float) -> list[mpmath.mpf]:
    """FL* and its derivatives, alpha None, from equations 7 and 8 and appendix B."""
    with mpmath.workdps(300):
        result = []
        for x in LOGIT_TABLE:
            y, g = 1 if target else -1, mpmath.mpf(gamma)
            p = 1 / (1 + mpmath.exp(-(g * y * mpmath.mpf(x) + mpmath.mpf(beta))))
            result.append([-mpmath.log(p) / g, y * (p - 1), g * p * (1 - p)][order])
        return result


def worst_relative_error(values: np.ndarray, exact: list[mpmath.mpf]) -> float:
    """Over all places where the exact result is a normal number of the type."""
    smallest, largest = float(np.finfo(values.dtype).tiny), float(np.finfo(values.dtype).max)
    errors = [
        abs(mpmath.mpf(float(value)) / wanted - 1)
        for value, wanted in zip(values, exact, strict=True)
        if smallest <= abs(wanted) <= largest
    ]
    assert len(errors) > 20
    return float(max(errors))


# ---------------------------------------------------------------------------------------------- against other numbers


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [-1, 0.25, 0.75])
def test_torchvisions_focal_loss(ops, gamma, alpha):
    golden = np.load(GOLDEN / "focal.npz")
    arguments = golden["logits"], golden["targets"], gamma, None if alpha < 0 else alpha
    np.testing.assert_allclose(ops.focal_loss(*arguments), golden[f"loss_{gamma}_{alpha}"], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ops.focal_loss_grad(*arguments), golden[f"grad_{gamma}_{alpha}"], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("order", "name"), [(0, "focal_loss"), (1, "focal_loss_grad")])
def test_focal_loss_to_the_last_digits(ops, dtype, gamma, order, name):
    for target in (0, 1):
        values = getattr(ops, name)(LOGIT_TABLE.astype(dtype), np.full(len(LOGIT_TABLE), target), gamma, None)
        assert worst_relative_error(values, exact_focal(order, target, gamma)) <= ALLOWED[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.75])
@pytest.mark.parametrize(
    ("order", "name"), list(enumerate(["cross_entropy", "cross_entropy_grad", "cross_entropy_hess"]))
)
def test_cross_entropy_to_the_last_digits(ops, dtype, alpha, order, name):
    """Equations 1 and 3."""
    for target in (0, 1):
        alpha_t = 1.0 if alpha is None else alpha if target else 1 - alpha
        values = getattr(ops, name)(LOGIT_TABLE.astype(dtype), np.full(len(LOGIT_TABLE), target), alpha)
        exact = [alpha_t * value for value in exact_focal(order, target, 0.0)]
        assert worst_relative_error(values, exact) <= ALLOWED[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("gamma", "beta"), STARS)
@pytest.mark.parametrize(
    ("order", "name"), list(enumerate(["focal_loss_star", "focal_loss_star_grad", "focal_loss_star_hess"]))
)
def test_star_to_the_last_digits(ops, dtype, gamma, beta, order, name):
    for target in (0, 1):
        values = getattr(ops, name)(LOGIT_TABLE.astype(dtype), np.full(len(LOGIT_TABLE), target), gamma, beta)
        assert worst_relative_error(values, exact_star(order, target, gamma, beta)) <= ALLOWED[dtype]


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_curvature_to_the_last_digits(ops, gamma):
    """The curvature changes its sign, so its error is measured against the size of its terms."""
    for target in (0, 1):
        x, y = LOGIT_TABLE, np.full(len(LOGIT_TABLE), target)
        exact = np.array([float(v) for v in exact_focal(2, target, gamma)])
        u = -x if target else x
        s, p, loss = 1 / (1 + np.exp(-u)), 1 / (1 + np.exp(u)), np.logaddexp(0, u)
        terms = s**gamma * p * (gamma * loss * (gamma * p + s) + (2 * gamma + 1) * s)
        assert (abs(ops.focal_loss_hess(x, y, gamma, None) - exact) <= 4e-15 * terms + 1e-307).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_to_the_last_digits(ops, dtype):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(0, 25, (40, 6)).astype(dtype), rng.integers(0, 6, 40)
    for gamma in GAMMAS:
        loss, grad = ops.softmax_focal_loss(x, labels, gamma), ops.softmax_focal_loss_grad(x, labels, gamma)
        with mpmath.workdps(150):
            for i, y in enumerate(labels):
                e = [mpmath.exp(mpmath.mpf(float(v))) for v in x[i]]
                p = [v / mpmath.fsum(e) for v in e]
                exact = -((1 - p[y]) ** gamma) * mpmath.log(p[y])
                slope = (1 - p[y]) ** (gamma - 1) * (gamma * p[y] * mpmath.log(p[y]) - (1 - p[y]))  # dFL/dp_y p_y
                wanted = [slope * ((1 - p[y]) if j == y else -p[j]) for j in range(6)]
                tiny = float(np.finfo(dtype).tiny)
                for value, right in zip([loss[i], *grad[i]], [exact, *wanted], strict=True):
                    if abs(right) >= tiny:
                        assert abs(mpmath.mpf(float(value)) / right - 1) <= ALLOWED[dtype]


@pytest.mark.parametrize("gap", [700.4, -700.4])
def test_softmax_of_logits_whose_difference_is_rounded(ops, gap):
    """What rounding loses of a difference of 700 would cost exp of it some 200 units in the last place."""
    x = np.array([[0.3 * gap, -0.7 * gap, -0.1 - 0.7 * gap]])
    with mpmath.workdps(400):
        e = [mpmath.exp(mpmath.mpf(float(v)) - mpmath.mpf(float(x.max()))) for v in x[0]]
        for label in range(3):
            rest = [v for j, v in enumerate(e) if j != label]
            exact = mpmath.log1p(mpmath.fsum(rest) / e[label])
            assert abs(mpmath.mpf(float(ops.softmax_focal_loss(x, [label], 0)[0])) / exact - 1) <= ALLOWED[np.float64]


@pytest.mark.parametrize("path", ["reference", "compiled", "pytorch"])
@pytest.mark.parametrize(("name", "operation"), [("two_sum", operator.add), ("two_product", operator.mul)])
def test_nothing_is_lost(path, name, operation):
    """A rounded sum or product and what rounding lost of it are together the exact one."""
    function = getattr(importlib.import_module(f"minidet.{path}.stable"), name)
    rng = np.random.default_rng(8)
    a, b = (rng.normal(0, 1, 500) * 2.0 ** rng.integers(-40, 40, 500) for _ in range(2))
    if path == "compiled":  # it takes one number each, and only kernels call it
        both = [getattr(function, "py_func", function)(*numbers) for numbers in zip(a, b, strict=True)]
    else:
        take = torch.tensor if path == "pytorch" else np.asarray
        both = list(zip(*function(take(a), take(b)), strict=True))
    for x, y, (rounded, lost) in zip(a, b, both, strict=True):
        assert rounded == operation(x, y)
        assert Fraction(float(rounded)) + Fraction(float(lost)) == operation(Fraction(x), Fraction(y))


def test_the_logit_of_reference():
    assert reference.stable.logit(0) == -math.inf
    assert reference.stable.logit(1) == math.inf
    assert reference.stable.logit(0.9) == pytest.approx(math.log(9), rel=1e-15)
    assert reference.stable.logit(0.1) == pytest.approx(-math.log(9), rel=1e-15)


# ---------------------------------------------------------------------------------------------------- between the paths


@pytest.mark.parametrize("name", [*BINARY, *DERIVATIVES])
@pytest.mark.parametrize("alpha", [None, 0.3])
def test_paths_agree(ops, name, alpha):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-40, 40, (30, 7)), rng.integers(0, 2, (30, 7))
    settings = {} if name.startswith("hinge") else {"alpha": alpha}
    expected = getattr(reference, name)(x, y, **settings)
    np.testing.assert_allclose(getattr(ops, name)(x, y, **settings), expected, rtol=1e-12, atol=1e-300)


def test_softmax_paths_agree(ops):
    rng = np.random.default_rng(3)
    x, labels, alpha = rng.normal(0, 9, (50, 5)), rng.integers(0, 5, 50), rng.uniform(0, 2, 5)
    for weights in (None, 0.5, alpha):
        np.testing.assert_allclose(
            ops.softmax_focal_loss(x, labels, 1.7, weights),
            reference.softmax_focal_loss(x, labels, 1.7, weights), rtol=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(
            ops.softmax_focal_loss_grad(x, labels, 1.7, weights),
            reference.softmax_focal_loss_grad(x, labels, 1.7, weights), rtol=1e-12, atol=1e-300,
        )  # fmt: skip


@pytest.mark.parametrize("beta", [0.0, 0.11, 1.0, 3.0])
def test_smooth_l1(ops, beta):
    rng = np.random.default_rng(4)
    x, t = rng.normal(0, 2, (20, 4)), rng.normal(0, 2, (20, 4))
    x[0] = t[0]
    d = x - t
    loss = np.where(abs(d) < beta, d**2 / (2 * beta or 1), abs(d) - beta / 2)
    np.testing.assert_allclose(ops.smooth_l1(x, t, beta), loss, rtol=1e-12)
    np.testing.assert_allclose(
        ops.smooth_l1_grad(x, t, beta), np.where(abs(d) < beta, d / (beta or 1), np.sign(d)), rtol=1e-12
    )


@pytest.mark.parametrize("beta", [0.0, 0.11])
@pytest.mark.parametrize("name", ["smooth_l1", "smooth_l1_grad"])
def test_smooth_l1_of_infinite_differences(ops, name, beta):
    found = getattr(ops, name)(np.array([np.inf, -np.inf, 3e300, 0.0]), np.array([0.0, 0.0, -1e300, np.inf]), beta)
    ends = [np.inf, np.inf, 4e300, np.inf] if name == "smooth_l1" else [1.0, -1.0, 1.0, -1.0]
    np.testing.assert_allclose(found, ends, rtol=1e-15)


@pytest.mark.errors
@pytest.mark.parametrize("place", [0, 400_000, 3_999_999])
@pytest.mark.parametrize("name", ["smooth_l1", "smooth_l1_grad"])
def test_compiled_smooth_l1_finds_a_nan_anywhere(name, place):
    """Whichever thread comes across it, in predictions or targets, with a beta and without; alone, too."""
    for beta in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"predictions\[0\] = nan"):
            getattr(compiled, name)(np.array([np.nan]), np.zeros(1), beta)
    zeros, lost = np.zeros(4_000_000, np.float32), np.zeros(4_000_000, np.float32)
    lost[place] = np.nan
    for beta in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"predictions\[{place}\] = nan"):
            getattr(compiled, name)(lost, zeros, beta)
        with pytest.raises(ValueError, match=rf"targets\[{place}\] = nan"):
            getattr(compiled, name)(zeros, lost, beta)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_focal_loss_is_the_sum(ops, dtype):
    rng = np.random.default_rng(6)
    x, labels = rng.normal(-3, 3, (300, 7)).astype(dtype), rng.integers(-2, 7, 300)
    loss, grad = ops.dense_focal_loss(x, labels)
    used, assigned = labels != -2, (labels >= 0).sum()
    targets = labels[:, None] == np.arange(7)
    wide = x.astype(np.float64)
    expected = reference.focal_loss(wide, targets)[used].sum() / assigned
    slope = np.where(used[:, None], reference.focal_loss_grad(wide, targets), 0) / assigned
    few = {np.float64: 1e-12, np.float32: 2e-6}[dtype]
    assert loss.dtype == grad.dtype == dtype
    np.testing.assert_allclose(loss, expected, rtol=few)
    np.testing.assert_allclose(grad, slope, rtol=few, atol=1e-37)
    assert (grad[~used] == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [*GAMMAS, 1.3, 3.7])
def test_dense_focal_loss_to_the_last_digits(ops, dtype, gamma):
    """One logit per anchor, so that the gradient is the elementwise one; and the loss of each alone."""
    x = np.concatenate([LOGIT_TABLE, np.linspace(-100, 100, 4001)]).astype(dtype)
    smallest = float(np.finfo(dtype).tiny)
    for label in (-1, 0):
        exact = reference.focal_loss_grad(x.astype(np.float64), np.full(len(x), label + 1), gamma, None)
        _, grad = ops.dense_focal_loss(x[:, None], np.full(len(x), label), gamma, None)
        scaled = grad[:, 0].astype(np.float64) * (len(x) if label == 0 else 1)  # it is divided by the assigned anchors
        normal = abs(grad[:, 0]) > smallest
        assert normal.sum() > 100
        np.testing.assert_allclose(scaled[normal], exact[normal], rtol=ALLOWED[dtype], atol=0)
        for one in x[::500]:
            wanted = reference.focal_loss(np.array([one], np.float64), np.array([label + 1]), gamma, None)[0]
            loss, _ = ops.dense_focal_loss(np.array([[one]]), np.array([label]), gamma, None)
            assert loss == pytest.approx(wanted, rel=ALLOWED[dtype], abs=smallest)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.0, 1.0])
def test_dense_focal_loss_at_infinity(ops, dtype, alpha):
    """Sure and right costs nothing; sure and wrong costs infinitely much, unless it has no weight."""
    x, labels = np.array([[np.inf, -np.inf]], dtype), np.array([0])
    loss, grad = ops.dense_focal_loss(x, labels, 2.0, alpha)
    assert loss == 0
    np.testing.assert_array_equal(grad, [[0, 0]])
    loss, grad = ops.dense_focal_loss(-x, labels, 2.0, alpha)
    background, objects = (1, 1) if alpha is None else (1 - alpha, alpha)
    assert loss == np.inf
    np.testing.assert_array_equal(grad, [[-objects, background]])


@pytest.mark.errors
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (2, 1)])
def test_a_nan_is_found_wherever_it_is(ops, place):
    for dtype in (np.float32, np.float64):
        x = np.zeros((3, 4), dtype)
        x[place] = np.nan
        with pytest.raises(ValueError, match=rf"logits\[{place[0]}, {place[1]}\] = nan"):
            ops.dense_focal_loss(x, np.array([-1, -2, 1]))


def test_dense_focal_loss_without_objects(ops):
    """Nothing to divide by: the sum itself. Nothing at all: 0."""
    x = np.full((3, 2), -1.0)
    loss, _ = ops.dense_focal_loss(x, np.array([-1, -1, -2]))
    np.testing.assert_allclose(loss, 4 * reference.focal_loss(x[0, :1], [0])[0], rtol=1e-14)
    for logits, labels in ((np.zeros((0, 3)), np.zeros(0, np.int64)), (x, np.full(3, -2))):
        loss, grad = ops.dense_focal_loss(logits, labels)
        assert loss == 0
        np.testing.assert_array_equal(grad, np.zeros(logits.shape))


def test_ignored_anchors_may_hold_anything(ops):
    loss, grad = ops.dense_focal_loss(np.array([[np.inf, -np.inf], [0.0, 0.0]]), np.array([-2, 1]))
    assert np.isfinite(loss)
    np.testing.assert_array_equal(grad[0], 0)


# -------------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("name", [*DERIVATIVES, "smooth_l1_grad"])
def test_central_differences(ops, name):
    """A derivative is the slope of the function above it."""
    h = 1e-6
    above = name.replace("_grad", "") if name.endswith("_grad") else name.replace("_hess", "_grad")
    x = np.array([-6.0, -2.2, -0.7, -0.1, 0.4, 1.6, 5.0])
    for y in (np.zeros(7), np.ones(7)):
        slope = (getattr(ops, above)(x + h, y) - getattr(ops, above)(x - h, y)) / (2 * h)
        np.testing.assert_allclose(getattr(ops, name)(x, y), slope, rtol=1e-6, atol=1e-9)


def test_central_differences_of_sums(ops):
    rng, h = np.random.default_rng(8), 1e-6
    x, labels = rng.normal(0, 2, (6, 4)), np.array([0, 3, 1, -1, -2, 2])
    _, grad = ops.dense_focal_loss(x, labels, 1.5, 0.4)
    softmax = ops.softmax_focal_loss_grad(x, labels % 4, 1.5)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        difference = (
            ops.dense_focal_loss(x + step, labels, 1.5, 0.4)[0] - ops.dense_focal_loss(x - step, labels, 1.5, 0.4)[0]
        )
        assert grad[place] == pytest.approx(difference / (2 * h), rel=1e-5, abs=1e-8)
        difference = ops.softmax_focal_loss(x + step, labels % 4, 1.5) - ops.softmax_focal_loss(
            x - step, labels % 4, 1.5
        )
        assert softmax[place] == pytest.approx(difference.sum() / (2 * h), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_autograd_agrees(gamma):
    """First and second derivatives of the differentiable path, by torch's own checks."""
    torch.manual_seed(0)
    x = (3 * torch.randn(8, dtype=torch.float64)).requires_grad_()
    y = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1])
    rows = (3 * torch.randn(4, 5, dtype=torch.float64)).requires_grad_()
    labels, dense = torch.tensor([0, 4, 2, 2]), torch.tensor([-2, 4, -1, 2])
    weights = torch.rand(5, dtype=torch.float64)
    t = torch.randn(8, dtype=torch.float64)
    cases = [
        (lambda x: pytorch.cross_entropy(x, y, 0.3), x),
        (lambda x: pytorch.focal_loss(x, y, gamma), x),
        (lambda x: pytorch.focal_loss_star(x, y, gamma + 0.5, 0.7), x),
        (lambda x: pytorch.hinge_loss(x, y), x),
        (lambda x: pytorch.smooth_l1(x, t, gamma), x),
        (lambda x: pytorch.softmax_focal_loss(x, labels, gamma, weights), rows),
        (lambda x: pytorch.dense_focal_loss(x, dense, gamma), rows),
        (lambda x: pytorch.focal_loss_grad(x, y, gamma), x),
        (lambda x: pytorch.softmax_focal_loss_grad(x, labels, gamma), rows),
    ]
    for function, at in cases:
        assert torch.autograd.gradcheck(function, at)
    for function, at in cases[:7]:
        assert torch.autograd.gradgradcheck(function, at)


def test_a_third_derivative_is_refused():
    x = torch.zeros(2, requires_grad=True)
    hess = pytorch.focal_loss_hess(x, torch.ones(2))
    with pytest.raises(NotImplementedError, match="third derivative"):
        hess.sum().backward()


@pytest.mark.parametrize("name", ["cross_entropy", "focal_loss", "focal_loss_star", "hinge_loss"])
def test_half_width_types_are_computed_in_float32(name):
    x, y = torch.linspace(-9, 9, 37), torch.arange(37) % 2
    for dtype in (torch.bfloat16, torch.float16):
        half = x.to(dtype)
        wide = getattr(pytorch, name)(half.float(), y)
        result = getattr(pytorch, name)(half, y)
        assert result.dtype == dtype
        assert torch.equal(result, wide.to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_the_dense_loss_of_half_width_logits(dtype):
    torch.manual_seed(0)
    half, labels = torch.randn(50, 7).to(dtype).requires_grad_(), torch.arange(50) % 9 - 2
    wide = half.detach().float().requires_grad_()
    loss, expected = pytorch.dense_focal_loss(half, labels), pytorch.dense_focal_loss(wide, labels)
    loss.backward()
    expected.backward()
    assert loss.dtype == half.grad.dtype == dtype
    assert torch.equal(loss, expected.to(dtype))
    torch.testing.assert_close(half.grad.float(), wide.grad, rtol=2 * torch.finfo(dtype).eps, atol=1e-7)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch's own tracing does
def test_it_can_be_compiled():
    x, labels = torch.randn(64, 5), torch.arange(64) % 7 - 2
    plain, traced = x.clone().requires_grad_(), x.clone().requires_grad_()
    loss = pytorch.dense_focal_loss(plain, labels)
    loss.backward()
    compiled = torch.compile(pytorch.dense_focal_loss, backend="aot_eager")(traced, labels)
    compiled.backward()
    torch.testing.assert_close(compiled, loss)
    torch.testing.assert_close(traced.grad, plain.grad)


# -------------------------------------------------------------------------------------------------- limits, properties


@pytest.mark.parametrize("name", [*BINARY, *DERIVATIVES])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finite_for_every_finite_logit(ops, name, dtype):
    largest = np.finfo(dtype).max
    x = np.array([1e4, -1e4, 1e30, -1e30, largest, -largest, np.finfo(dtype).tiny, 0, -0.0], dtype)
    for gamma in (0.5, 1.0, 2.0, 5.0):
        settings = {} if name.startswith(("hinge", "cross")) else {"gamma": gamma}
        for y in (np.zeros(len(x)), np.ones(len(x))):
            assert np.isfinite(getattr(ops, name)(x, y, **settings)).all()


@pytest.mark.parametrize("name", [*BINARY, *DERIVATIVES])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.0, 1.0])
def test_limits_at_infinity(ops, name, alpha):
    """x_t = +inf: all is 0. x_t = -inf: the value is inf (the hinge's: its margin), the slope +-1, the curvature 0."""
    x, y = np.array([np.inf, -np.inf, np.inf, -np.inf]), np.array([1, 1, 0, 0])  # x_t = +, -, -, +
    settings = {} if name.startswith("hinge") else {"alpha": alpha}
    weight = 1 if alpha is None or not settings else np.where(y == 1, alpha, 1 - alpha)
    if name.endswith("hess") or name == "hinge_loss_grad":
        expected = np.zeros(4)
    elif name.endswith("grad"):
        expected = weight * np.array([0.0, -1, 1, 0])
    else:
        top = 0.5 if name.startswith("hinge") else np.inf
        expected = np.where(weight * np.ones(4) == 0, 0, [0, top, top, 0])
    np.testing.assert_array_equal(getattr(ops, name)(x, y, **settings), expected)


@given(LOGITS, LOGITS, st.floats(0, 5), st.floats(0.1, 5), st.floats(-3, 3))
def test_losses_fall_as_x_t_grows(ops, a, b, gamma, steepness, beta):
    x_t = np.sort([a, b])
    for y in (np.zeros(2), np.ones(2)):
        x = np.where(y == 1, x_t, -x_t)
        for values in (
            ops.cross_entropy(x, y), ops.focal_loss(x, y, gamma, None), ops.focal_loss_star(x, y, steepness, beta),
            ops.hinge_loss(x, y),
        ):  # fmt: skip
            assert (values >= 0).all()
            assert values[0] >= values[1] * (1 - 1e-14)
        assert (ops.focal_loss(x, y, gamma, None) <= ops.cross_entropy(x, y)).all()  # the factor is at most 1


@given(LOGITS)
def test_special_cases(ops, x):
    """gamma = 0 is the cross entropy (section 3.2), FL* at gamma 1, beta 0 too; the softmax of (x, 0) is a sigmoid."""
    x, y = np.array([x]), np.array([1])
    np.testing.assert_allclose(ops.focal_loss(x, y, 0.0, None), ops.cross_entropy(x, y), rtol=1e-15)
    np.testing.assert_allclose(ops.focal_loss_star(x, y, 1.0, 0.0), ops.cross_entropy(x, y), rtol=1e-15)
    two = np.array([[x[0], 0.0]])
    np.testing.assert_allclose(
        ops.softmax_focal_loss(two, np.array([0])), ops.focal_loss(x, y, alpha=None), rtol=1e-14, atol=1e-300
    )


def test_the_papers_examples(ops):
    """Section 3.2: at gamma = 2, 100 times less at p_t = .9, 1000 times at .968, at most 4 times up to .5."""
    p_t = np.array([0.9, 0.968, 0.5])
    x, y = np.log(p_t / (1 - p_t)), np.ones(3)
    ratio = -np.log(p_t) / ops.focal_loss(x, y, 2.0, None)
    np.testing.assert_allclose(ratio, [100, 976.5625, 4], rtol=1e-12)


def test_shapes_and_types(ops):
    for shape in ((), (0,), (3,), (2, 0), (2, 3, 4)):
        for dtype in (np.float32, np.float64):
            x, y = np.zeros(shape, dtype), np.zeros(shape, np.int64)
            for name in (*BINARY, *DERIVATIVES, "smooth_l1", "smooth_l1_grad"):
                result = getattr(ops, name)(x, y.astype(dtype) if "l1" in name else y)
                assert np.shape(result) == shape
                assert result.dtype == dtype


def test_targets_of_any_type(ops):
    x = np.array([-1.0, 2.0])
    for dtype in (bool, np.int32, np.float32):
        np.testing.assert_array_equal(ops.focal_loss(x, np.array([0, 1], dtype)), ops.focal_loss(x, np.array([0, 1])))


def test_one_class_is_certain(ops):
    x, labels = np.array([[3.0], [-3.0]]), np.zeros(2, np.int64)
    np.testing.assert_array_equal(ops.softmax_focal_loss(x, labels), [0, 0])
    np.testing.assert_array_equal(ops.softmax_focal_loss_grad(x, labels), [[0], [0]])
    assert ops.softmax_focal_loss(np.zeros((0, 3)), np.zeros(0, np.int64)).shape == (0,)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.errors
@pytest.mark.parametrize(
    ("x", "y", "settings", "message"),
    [
        ([0.0, np.nan], [0, 1], {}, r"logits\[1\] = nan"),
        ([[0.0, 1.0]], [[0, 2]], {}, r"targets\[0, 1\] = 2 is neither 0"),
        ([0.0], [0.5], {}, r"targets\[0\] = 0.5 is neither"),
        ([0.0, 1.0], [1], {}, r"targets has shape \(1,\) and logits \(2,\)"),
        ([0.0], [1], {"gamma": -1}, "gamma = -1"),
        ([0.0], [1], {"gamma": math.nan}, "gamma = nan"),
        ([0.0], [1], {"alpha": 1.5}, r"alpha = 1.5 .*<= 1"),
    ],
)
@pytest.mark.parametrize("name", ["focal_loss", "focal_loss_grad", "focal_loss_hess", "focal_loss_star"])
def test_bad_input(ops, name, x, y, settings, message):
    with pytest.raises(ValueError, match=message):
        getattr(ops, name)(np.array(x), np.array(y), **settings)


def test_the_hinge_by_hand(ops):
    """max(0, margin - p_t), where p_t is 1/2, 3/4 and 1/4."""
    logits, targets = np.log([1.0, 3.0, 3.0]), np.array([1, 1, 0])
    np.testing.assert_allclose(ops.hinge_loss(logits, targets, 0.875), [0.375, 0.125, 0.625], rtol=1e-14)
    np.testing.assert_allclose(ops.hinge_loss(logits, targets, 0.5), [0, 0, 0.25], rtol=1e-14)


def test_at_its_margin_the_hinge_is_flat(ops):
    """p_t = margin exactly: the loss is 0, and the derivative is that of what lies above the margin."""
    for target in (0, 1):
        assert ops.hinge_loss(np.zeros(1), np.array([target]), 0.5) == 0
        assert ops.hinge_loss_grad(np.zeros(1), np.array([target]), 0.5) == 0


@pytest.mark.errors
def test_bad_parameters(ops):
    x, y = np.zeros(1), np.ones(1)
    with pytest.raises(ValueError, match=r"gamma = 0 .*> 0"):
        ops.focal_loss_star(x, y, 0)
    with pytest.raises(ValueError, match="beta = inf"):
        ops.focal_loss_star(x, y, 1, math.inf)
    for margin in (-0.5, 2):
        for hinge in (ops.hinge_loss, ops.hinge_loss_grad):
            with pytest.raises(ValueError, match=f"margin = {margin}"):
                hinge(x, y, margin)
    with pytest.raises(ValueError, match="beta = -1"):
        ops.smooth_l1(x, y, -1)
    with pytest.raises(ValueError, match=r"beta = -0.5"):
        ops.smooth_l1_grad(x, y, -0.5)
    with pytest.raises(ValueError, match=r"predictions\[0\] = nan"):
        ops.smooth_l1(x * np.nan, y)
    with pytest.raises(ValueError, match=r"targets has shape \(2,\)"):
        ops.smooth_l1_grad(x, np.zeros(2))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3, -3], r"labels\[2\] = -3 is out of range: it must be in -2 … 3"),
        ([0, 4, 0], r"labels\[1\] = 4 is out of range"),
        ([0, 1], r"labels has shape \(2,\): give \(3,\)"),
        ([0.0, 1.0, 2.0], "labels has dtype float64: give integers"),
    ],
)
def test_bad_labels(ops, labels, message):
    with pytest.raises(ValueError, match=message):
        ops.dense_focal_loss(np.zeros((3, 4)), np.array(labels))


@pytest.mark.errors
def test_bad_softmax(ops):
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"labels\[1\] = -1 is out of range: it must be in 0 … 2"):
        ops.softmax_focal_loss(x, np.array([0, -1]))
    with pytest.raises(ValueError, match=r"logits\[1, 2\] = inf"):
        ops.softmax_focal_loss(np.array([[0.0, 0, 0], [0, 0, np.inf]]), np.array([0, 1]))
    with pytest.raises(ValueError, match=r"alpha has shape \(2,\)"):
        ops.softmax_focal_loss_grad(x, np.array([0, 1]), 2.0, np.ones(2))
    with pytest.raises(ValueError, match=r"alpha\[1\] = -1"):
        ops.softmax_focal_loss(x, np.array([0, 1]), 2.0, np.array([1.0, -1, 1]))
    with pytest.raises(ValueError, match=r"logits has shape \(3,\)"):
        ops.dense_focal_loss(np.zeros(3), np.zeros(3, np.int64))
