"""a3: losses and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minidet import reference
from minidet.course.check import Case, Check, Exercise, Mistake, case
from minidet.course.exercises.inputs import defaults, usual

Array = np.ndarray
ONE, ZERO = np.ones(1), np.zeros(1)
ALPHA = "alpha is the weight of the objects (target 1), 1 - alpha that of the background; None: both 1"
STABLE = (
    "right for ordinary logits only: 1 - p of a p near 1 has lost its digits, exp overflows and log(0) is "
    "infinite; write "
    "with u = -x_t: -log p_t = max(u, 0) + log1p(exp(-|u|)), 1 - p_t = sigmoid(u)"
)
LENGTH_0 = "logits of length 0 give losses of length 0"
POINTWISE = "one loss for each logit is wanted, in the shape of the logits: no sum, no mean"


def _random(rng: np.random.Generator, shape: Any, spread: float = 2.0) -> tuple[Array, Array]:
    return rng.normal(0, spread, shape).round(2), rng.integers(0, 2, shape)


def _usual(*rest: Any) -> tuple[Check, ...]:
    return usual(
        lambda rng: case(*_random(rng, 4), *rest),
        lambda: [case(np.zeros(0), np.zeros(0), *rest), case(np.zeros((0, 3)), np.zeros((0, 3), int), *rest)],
        LENGTH_0,
    )


def _plain(rest: Iterable[Any], formula: str) -> tuple[Check, Check]:
    """Objects, then background, then both."""
    rest = tuple(rest)

    def objects(rng: np.random.Generator) -> list[Case]:
        x = rng.normal(0, 2, 5).round(2)
        return [
            case(ZERO, ONE, *rest),
            case(ONE * 2, ONE, *rest),
            case(-ONE, ONE, *rest),
            case(x, np.ones(5, int), *rest),
        ]

    def background(rng: np.random.Generator) -> list[Case]:
        return [
            case(ZERO, ZERO, *rest),
            case(ONE * 2, ZERO, *rest),
            case(*_random(rng, 6), *rest),
            case(*_random(rng, (2, 3)), *rest),
        ]

    return (
        Check("objects (target 1)", formula, objects, essential=True),
        Check(
            "background (target 0)",
            f"x_t is x for an object and -x for background. {formula}",
            background,
            essential=True,
        ),
    )


def _alphas(*before: Any) -> Check:
    return Check(
        "alpha",
        ALPHA,
        lambda rng: [
            case(ONE, ONE, *before, 0.25),
            case(ONE, ZERO, *before, 0.25),
            case(*_random(rng, 6), *before, 0.8),
            case(*_random(rng, 3), *before, 0.0),
        ],
    )


def _large(rest: tuple[Any, ...], hint: str = STABLE, reach: tuple[float, ...] = (800, 40, 90)) -> Check:
    return Check(
        "confident examples",
        hint,
        lambda rng: [case(np.array([z]), np.array([y]), *rest) for x in reach for z in (-x, x) for y in (1.0, 0.0)],
    )


def _spread(*rests: tuple[Any, ...]) -> Callable[[np.random.Generator], list[Case]]:
    return lambda rng: [case(*_random(rng, 5), *rest) for rest in rests]


# The formulas that mistakes change. p_t, alpha_t and du/dx (-1 for an object, +1 for background).


def _p_t(x: Array, y: Array) -> Array:
    return 1 / (1 + np.exp(-np.where(y == 1, x, -x)))


def _alpha_t(y: Array, alpha: float | None, swapped: bool = False, both: bool = False) -> Any:
    if alpha is None:
        return 1.0
    return alpha if both else np.where((y == 1) != swapped, alpha, 1 - alpha)


def _slope(y: Array) -> Array:
    return np.where(y == 1, -1.0, 1.0)


def _focal(
    x: Array, y: Array, gamma: float = 2.0, alpha: float | None = 0.25, *, base: float = np.e, sign: float = 1,
    easy: bool = False,
    modulate: bool = True, factor: Any = None, same: bool = False, logit: bool = False, **weights: bool,
) -> Array:  # fmt: skip
    p = 1 / (1 + np.exp(-x)) if same else _p_t(x, y)
    p = x if logit else p
    part = (p if easy else 1 - p) ** gamma if modulate else 1.0
    part = gamma * (1 - p) if factor == "times" else part
    return -sign * _alpha_t(y, alpha, **weights) * part * np.log(p) / np.log(base)


def _focal_grad(
    x: Array, y: Array, gamma: float = 2.0, alpha: float | None = 0.25, *, product: bool = True, power: bool = True,
    wrt_p: bool = False, slope: bool = True, sign: float = 1, log_sign: float = 1, modulate: bool = True,
    p_in_log: bool = True,
    **weights: bool,
) -> Array:  # fmt: skip
    p = _p_t(x, y)
    log_term = log_sign * gamma * (p if p_in_log else 1) * np.log(p) if product else 0
    inner = log_term + (p - 1 if power else 0)
    value = _alpha_t(y, alpha, **weights) * ((1 - p) ** gamma if modulate else 1) * inner
    value = value / (p * (1 - p)) if wrt_p else value
    return sign * value * (-_slope(y) if slope else 1)


CE_FORMULA = "CE = -alpha_t log p_t with p_t = sigmoid(x_t)"
FL_FORMULA = "FL = -alpha_t (1 - p_t)**gamma log p_t"
_SIGN = "the sign: log p_t is negative, the loss is not; there is a minus before it"
_SIDE = "alpha stands on the wrong side: it is the weight of the objects, 1 - alpha that of the background"
_BOTH = "alpha weighs the objects and 1 - alpha the background: you give both the same weight"
_NO_ALPHA = "alpha is ignored"
_SAME = "you treat background like objects: p_t is sigmoid(x) for an object, 1 - sigmoid(x) for background"
_BASE = "take the natural logarithm"
_LOGIT = "logits are not probabilities: p = sigmoid(x) comes first"

CROSS_ENTROPY = Exercise(
    reference.cross_entropy,
    10,
    (*_plain((), CE_FORMULA), _alphas(), _large(()), *_usual()),
    (
        Mistake(_SIGN, lambda x, y, alpha=None: _focal(x, y, 0, alpha, sign=-1)),
        Mistake(_SIDE, lambda x, y, alpha=None: _focal(x, y, 0, alpha, swapped=True)),
        Mistake(_BOTH, lambda x, y, alpha=None: _focal(x, y, 0, alpha, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, alpha=None: _focal(x, y, 0, None)),
        Mistake(_SAME, lambda x, y, alpha=None: _focal(x, y, 0, alpha, same=True)),
        Mistake(_BASE, lambda x, y, alpha=None: _focal(x, y, 0, alpha, base=2)),
        Mistake(_BASE, lambda x, y, alpha=None: _focal(x, y, 0, alpha, base=10)),
        Mistake(POINTWISE, lambda x, y, alpha=None: _focal(x, y, 0, alpha).mean()),
        Mistake(POINTWISE, lambda x, y, alpha=None: _focal(x, y, 0, alpha).sum()),
        Mistake(_LOGIT, lambda x, y, alpha=None: _focal(x, y, 0, alpha, logit=True)),
    ),
    example="my.cross_entropy(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)

_GRAD_SIGN = "the sign is the other way round: raising the logit of an object lowers its loss"
_GRAD_SLOPE = "background lacks its sign: x_t = -x there, so the gradient with respect to x changes sign"
_GRAD_P = "that is the derivative with respect to p_t: the chain rule's factor p_t (1 - p_t) is missing"
CE_GRAD = Exercise(
    reference.cross_entropy_grad,
    10,
    (
        *_plain((), "d CE / d x = y (p_t - 1), y = 1 for an object and -1 for background"),
        _alphas(),
        _large(()),
        *_usual(),
    ),
    (
        Mistake(_GRAD_SIGN, lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha, sign=-1)),
        Mistake(_GRAD_SLOPE, lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha, slope=False)),
        Mistake(_GRAD_P, lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha, wrt_p=True)),
        Mistake(_SIDE, lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha, swapped=True)),
        Mistake(_BOTH, lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, alpha=None: _focal_grad(x, y, 0, None)),
        Mistake(
            "one gradient for each logit is wanted: no mean, no division by their number",
            lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha) / np.size(x),
        ),
    ),
    example="my.cross_entropy_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)


def _gammas(hint: str) -> Check:
    return Check("other gammas", hint, _spread((1.0, None), (0.5, None), (5.0, None)))


def _gamma_0(what: str) -> Check:
    return Check("gamma = 0", f"gamma = 0 is the cross entropy{what}", _spread((0.0, None), (0.0, 0.25)))


_FOCAL_DEFAULTS = defaults(_spread((), (3.0,)))
FOCAL = Exercise(
    reference.focal_loss,
    15,
    (
        *_plain((2.0, None), FL_FORMULA),
        _gammas(f"gamma is a power, of any size >= 0: {FL_FORMULA}"),
        _gamma_0(""),
        _alphas(2.0),
        _large((2.0, None)),
        *_usual(2.0, None),
        _FOCAL_DEFAULTS,
    ),
    (
        Mistake(_SIGN, lambda *a: _focal(*a, sign=-1)),
        Mistake(_SIDE, lambda *a: _focal(*a, swapped=True)),
        Mistake(_BOTH, lambda *a: _focal(*a, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, gamma=2.0, alpha=None: _focal(x, y, gamma, None)),
        Mistake(
            "the factor is (1 - p_t)**gamma: yours, p_t**gamma, keeps the easy examples",
            lambda *a: _focal(*a, easy=True),
        ),
        Mistake(
            "the factor (1 - p_t)**gamma is missing: that is the cross entropy", lambda *a: _focal(*a, modulate=False)
        ),
        Mistake("gamma is a power, not a factor: (1 - p_t)**gamma", lambda *a: _focal(*a, factor="times")),
        Mistake("gamma is fixed at 2: use the argument", lambda x, y, gamma=2.0, alpha=None: _focal(x, y, 2.0, alpha)),
        Mistake(_SAME, lambda *a: _focal(*a, same=True)),
        Mistake(_BASE, lambda *a: _focal(*a, base=2)),
        Mistake(POINTWISE, lambda *a: _focal(*a).mean()),
        Mistake(POINTWISE, lambda *a: _focal(*a).sum()),
    ),
    example="my.focal_loss(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]), gamma=2, alpha=None)",
    rtol=1e-7,
    atol=0,
)

FG_FORMULA = "d FL / d x = y (1 - p_t)**gamma (gamma p_t log p_t + p_t - 1)"
FOCAL_GRAD = Exercise(
    reference.focal_loss_grad,
    25,
    (
        *_plain((2.0, None), FG_FORMULA),
        _gammas(FG_FORMULA),
        _gamma_0("'s gradient"),
        _alphas(2.0),
        _large((2.0, None)),
        *_usual(2.0, None),
        _FOCAL_DEFAULTS,
    ),
    (
        Mistake(_GRAD_SIGN, lambda *a: _focal_grad(*a, sign=-1)),
        Mistake(
            "the gradient lacks the term gamma p_t log p_t: (1 - p_t)**gamma depends on x as well",
            lambda *a: _focal_grad(*a, product=False),
        ),
        Mistake(
            "the gradient lacks the term p_t - 1, the derivative of the logarithm",
            lambda *a: _focal_grad(*a, power=False),
        ),
        Mistake("the term gamma p_t log p_t lacks its factor p_t", lambda *a: _focal_grad(*a, p_in_log=False)),
        Mistake(
            "the term gamma p_t log p_t has the wrong sign: log p_t and p_t - 1 are both negative",
            lambda *a: _focal_grad(*a, log_sign=-1),
        ),
        Mistake("the factor (1 - p_t)**gamma is missing", lambda *a: _focal_grad(*a, modulate=False)),
        Mistake(_GRAD_SLOPE, lambda *a: _focal_grad(*a, slope=False)),
        Mistake(_GRAD_P, lambda *a: _focal_grad(*a, wrt_p=True)),
        Mistake(_SIDE, lambda *a: _focal_grad(*a, swapped=True)),
        Mistake(_BOTH, lambda *a: _focal_grad(*a, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, gamma=2.0, alpha=None: _focal_grad(x, y, gamma, None)),
        Mistake(
            "gamma is fixed at 2: use the argument", lambda x, y, gamma=2.0, alpha=None: _focal_grad(x, y, 2.0, alpha)
        ),
    ),
    example="my.focal_loss_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)


# ---- focal_loss_star


def _star(
    x: Array, y: Array, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None, *, divide: bool = True,
    sign: float = 1,
    shift: float = 1, inside: bool = False, same: bool = False, **weights: bool,
) -> Array:  # fmt: skip
    x_t = x if same else np.where(y == 1, x, -x)
    z = gamma * (x_t + beta) if inside else gamma * x_t + shift * beta
    return sign * _alpha_t(y, alpha, **weights) * np.log1p(np.exp(-z)) / (gamma if divide else 1)


def _star_grad(
    x: Array, y: Array, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None, *, factor: str = "",
    sign: float = 1,
    shift: float = 1, slope: bool = True, **weights: bool,
) -> Array:  # fmt: skip
    p = 1 / (1 + np.exp(-(gamma * np.where(y == 1, x, -x) + shift * beta)))
    scale = {"": 1.0, "times": gamma, "over": 1 / gamma}[factor]
    return sign * scale * _alpha_t(y, alpha, **weights) * (1 - p) * (_slope(y) if slope else -1)


_STAR_SHIFT = "beta is added: p*_t = sigmoid(gamma x_t + beta)"
_STAR_REST: tuple[Any, ...] = (2.0, 1.0, None)


def _stars(hint: str) -> Check:
    return Check("other gammas and betas", hint, _spread((1.0, 0.0), (4.0, -1.0), (0.5, 2.0)))


STAR_FORMULA = "FL* = -log(p*_t) / gamma with p*_t = sigmoid(gamma x_t + beta)"
STAR = Exercise(
    reference.focal_loss_star,
    10,
    (
        *_plain(_STAR_REST, STAR_FORMULA),
        _stars(STAR_FORMULA),
        _alphas(2.0, 1.0),
        _large(_STAR_REST),
        *_usual(*_STAR_REST),
        defaults(_spread((), (3.0,))),
    ),
    (
        Mistake(_SIGN, lambda *a: _star(*a, sign=-1)),
        Mistake("the division by gamma is missing: FL* = -log(p*_t) / gamma", lambda *a: _star(*a, divide=False)),
        Mistake(_STAR_SHIFT, lambda *a: _star(*a, shift=-1)),
        Mistake(
            "gamma multiplies x_t only: gamma x_t + beta, not gamma (x_t + beta)", lambda *a: _star(*a, inside=True)
        ),
        Mistake(_SAME, lambda *a: _star(*a, same=True)),
        Mistake(_SIDE, lambda *a: _star(*a, swapped=True)),
        Mistake(_BOTH, lambda *a: _star(*a, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, gamma=2.0, beta=1.0, alpha=None: _star(x, y, gamma, beta)),
    ),
    example="my.focal_loss_star(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)

STAR_GRAD = Exercise(
    reference.focal_loss_star_grad,
    10,
    (
        *_plain(_STAR_REST, "d FL* / d x = y (p*_t - 1)"),
        _stars("d FL* / d x = y (p*_t - 1): the gamma of the chain rule cancels the division by gamma"),
        _alphas(2.0, 1.0),
        _large(_STAR_REST),
        *_usual(*_STAR_REST),
        defaults(_spread((), (3.0,))),
    ),
    (
        Mistake(_GRAD_SIGN, lambda *a: _star_grad(*a, sign=-1)),
        Mistake(
            "a factor gamma too many: the division by gamma cancels the chain rule's gamma",
            lambda *a: _star_grad(*a, factor="times"),
        ),
        Mistake(
            "a division by gamma too many: the chain rule's gamma cancels it", lambda *a: _star_grad(*a, factor="over")
        ),
        Mistake(_STAR_SHIFT, lambda *a: _star_grad(*a, shift=-1)),
        Mistake(_GRAD_SLOPE, lambda *a: _star_grad(*a, slope=False)),
        Mistake(_SIDE, lambda *a: _star_grad(*a, swapped=True)),
        Mistake(_BOTH, lambda *a: _star_grad(*a, both=True)),
        Mistake(_NO_ALPHA, lambda x, y, gamma=2.0, beta=1.0, alpha=None: _star_grad(x, y, gamma, beta)),
    ),
    example="my.focal_loss_star_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)


# ---- smooth_l1


def _smooth(
    x: Array, t: Array, beta: float = 1.0, *, inner: str = "right", outer: str = "right", scale: Any = 1
) -> Array:
    d = np.abs(x - t)
    near = {"right": d**2 / (2 * beta), "half": d**2 / beta, "no beta": d**2 / 2}[inner]
    far = {"right": d - beta / 2, "one": d - 0.5, "bare": d}[outer]
    return np.where(d < beta, near, far) * (beta if scale == "huber" else scale)


def _pairs(rng: np.random.Generator, spread: float, *rest: Any) -> Case:
    return case(rng.normal(0, spread, 5).round(2), rng.normal(0, spread, 5).round(2), *rest)


def _both_sides(hint: str) -> tuple[Check, ...]:
    return (
        Check(
            "small differences",
            f"below beta it is a parabola: {hint}",
            lambda rng: [case(ZERO, ZERO), case(ONE / 2, ZERO), case(ZERO, ONE / 4), _pairs(rng, 0.1)],
            essential=True,
        ),
        Check(
            "large differences",
            f"beyond beta it is a line: {hint}",
            lambda rng: [case(ONE * 3, ZERO), case(ZERO, ONE * 2), case(ONE, ZERO), _pairs(rng, 9)],
            essential=True,
        ),
        Check(
            "other betas",
            f"beta is where the parabola meets the line: {hint}",
            lambda rng: [
                case(ONE / 20, ZERO, 0.1),
                case(ONE, ZERO, 0.1),
                case(ONE * 3, ZERO, 2.0),
                _pairs(rng, 1, 1 / 9),
                _pairs(rng, 3, 2.0),
            ],
        ),
        Check(
            "beta = 0",
            "beta = 0 is the L1 loss: nothing may be divided by it",
            lambda rng: [case(ONE, ZERO, 0.0), case(ZERO, ZERO, 0.0), _pairs(rng, 1, 0.0)],
        ),
    )


SMOOTH_FORMULA = "d**2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond"
SMOOTH = Exercise(
    reference.smooth_l1,
    10,
    (*_both_sides(SMOOTH_FORMULA), *_usual(1.0)),
    (
        Mistake("half the square is wanted: d**2 / (2 beta)", lambda *a: _smooth(*a, inner="half")),
        Mistake("the parabola lacks its division by beta: d**2 / (2 beta)", lambda *a: _smooth(*a, inner="no beta")),
        Mistake("the line is |d| - beta / 2, for every beta", lambda *a: _smooth(*a, outer="one")),
        Mistake("the line does not meet the parabola: |d| - beta / 2", lambda *a: _smooth(*a, outer="bare")),
        Mistake("that is Huber's loss, beta times too large: divide by beta", lambda *a: _smooth(*a, scale="huber")),
        Mistake("beta is ignored", lambda x, t, beta=1.0: _smooth(x, t)),
    ),
    example="my.smooth_l1(np.array([0.5, 3.0]), np.zeros(2))",
    rtol=1e-7,
    atol=0,
)


def _smooth_grad(
    x: Array, t: Array, beta: float = 1.0, *, sign: float = 1, near: Any = None, far: str = "sign"
) -> Array:
    d = x - t
    line = {"sign": np.sign(d), "one": np.ones_like(d), "d": d}[far]
    return sign * np.where(np.abs(d) < beta, d / (beta if near is None else near), line)


SMOOTH_GRAD = Exercise(
    reference.smooth_l1_grad,
    10,
    (*_both_sides("the gradient is d / beta for |d| < beta, the sign of d beyond"), *_usual(1.0)),
    (
        Mistake(
            "that is the gradient with respect to the targets: d = predictions - targets",
            lambda *a: _smooth_grad(*a, sign=-1),
        ),
        Mistake(
            "the parabola's derivative is d / beta: the division by beta is missing",
            lambda *a: _smooth_grad(*a, near=1),
        ),
        Mistake(
            "the 2 of the square cancels the 2 of the denominator: d / beta",
            lambda x, t, beta=1.0: _smooth_grad(x, t, beta, near=2 * beta),
        ),
        Mistake(
            "the line falls to the left of 0: its derivative is the sign of d", lambda *a: _smooth_grad(*a, far="one")
        ),
        Mistake("beyond beta the derivative is +1 or -1, whatever the size of d", lambda *a: _smooth_grad(*a, far="d")),
        Mistake("beta is ignored", lambda x, t, beta=1.0: _smooth_grad(x, t)),
    ),
    example="my.smooth_l1_grad(np.array([0.5, -3.0]), np.zeros(2))",
    rtol=1e-7,
    atol=0,
)

EXERCISES = (CROSS_ENTROPY, CE_GRAD, FOCAL, FOCAL_GRAD, STAR, STAR_GRAD, SMOOTH, SMOOTH_GRAD)
