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
    "right for ordinary logits, not for very large ones: 1 - p of a p near 1 has lost its digits, exp overflows and "
    "log(0) is infinite; write with u = -x_t: -log p_t = max(u, 0) + log1p(exp(-|u|)), 1 - p_t = sigmoid(u)"
)
HUGE = (
    "a difference quotient has no digits left where the loss is 100 million: derive the gradient on paper and compute "
    "its formula, with 1 - p_t = sigmoid(-x_t)"
)
LENGTH_0 = "logits of length 0 give losses of length 0"
POINTWISE = "one loss for each logit is expected, in the shape of the logits: no sum, no mean"


def _random(rng: np.random.Generator, shape: Any, spread: float = 2.0) -> tuple[Array, Array]:
    return rng.normal(0, spread, shape).round(2), rng.integers(0, 2, shape)


def _usual(*rest: Any) -> tuple[Check, ...]:
    return usual(
        lambda rng: case(*_random(rng, 4), *rest),
        lambda: [case(np.zeros(0), np.zeros(0), *rest), case(np.zeros((0, 3)), np.zeros((0, 3), int), *rest)],
        LENGTH_0,
    )


def _plain(
    rest: Iterable[Any], formula: str, background_too: str = "x_t is x for an object and -x for background"
) -> tuple[Check, Check]:
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
            f"{background_too}. {formula}",
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


def _large(rest: tuple[Any, ...], hint: str = STABLE, reach: tuple[float, ...] = (800.0, 40.0, 90.0)) -> Check:
    return Check(
        "confident examples",
        hint,
        lambda rng: [case(np.array([z]), np.array([y]), *rest) for x in reach for z in (-x, x) for y in (1.0, 0.0)],
        extreme=True,
    )


def _huge(rest: tuple[Any, ...]) -> Check:
    """Where differences of losses, of whatever order and step, cannot give a gradient."""
    return Check(
        "gradients of huge losses",
        HUGE,
        lambda rng: [
            case(np.array([-3e8, 1e8]), np.array([1.0, 0.0]), *rest),
            case(np.array([3e5, -2e6]), np.array([0.0, 1.0]), *rest),
        ],
        extreme=True,
    )


def _sample(*rest: Any) -> Callable[[np.random.Generator], Case]:
    return lambda rng: case(*_random(rng, 4), *rest)


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
    modulate: bool = True, factor: Any = None, same: bool = False, logit: bool = False, other: bool = False,
    **weights: bool,
) -> Array:  # fmt: skip
    p = 1 / (1 + np.exp(-x)) if same else _p_t(x, 1 - y if other else y)
    p = x if logit else p
    part = (p if easy else 1 - p) ** gamma if modulate else 1.0
    part = gamma * (1 - p) if factor == "times" else part
    part = (1 - p**gamma) if factor == "outside" else part
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


LOSS_DOC = """{what}

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
{parameters}        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1.

    Returns:
        Losses >= 0 in the shape and floating type of the logits.
    """
CE_FORMULA = "CE = -alpha_t log p_t with p_t = sigmoid(x_t)"
FL_FORMULA = "FL = -alpha_t (1 - p_t)**gamma log p_t"
_SIGN = "the sign: log p_t is negative, the loss is not; there is a minus before it"
_SIDE = "alpha stands on the wrong side: it is the weight of the objects, 1 - alpha that of the background"
_BOTH = "alpha weighs the objects and 1 - alpha the background: you give both the same weight"
_NO_ALPHA = "alpha is ignored"
_SAME = "you treat background like objects: p_t is sigmoid(x) for an object, 1 - sigmoid(x) for background"
_BASE = "take the natural logarithm"
_LOGIT = "logits are not probabilities: p = sigmoid(x) comes first"
_OTHER = "objects and background are the wrong way round: target 1 is an object, and its p_t is sigmoid(x)"
_ONLY = "background has no loss with you: its p_t is 1 - sigmoid(x), and its loss -log p_t like that of an object"
_CLIPPED = (
    "p is kept away from 0 and 1 by an epsilon, so nothing confident is right: compute log p_t from the logit, "
    "-log p_t = max(u, 0) + log1p(exp(-|u|)) with u = -x_t"
)


def _clipped(epsilon: float, power: bool) -> Any:
    """The loss of a probability that an epsilon keeps away from 0 and 1."""

    def loss(x: Array, y: Array, gamma: float = 0.0, alpha: float | None = None) -> Array:
        p = np.clip(_p_t(x, y), epsilon, 1 - epsilon)
        return -_alpha_t(y, alpha) * ((1 - p) ** gamma if power else 1) * np.log(p)

    return loss


def _objects_only(value: Array, y: Array) -> Array:
    return np.where(y == 1, value, 0.0)


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
        Mistake(_OTHER, lambda x, y, alpha=None: _focal(x, y, 0, alpha, other=True)),
        Mistake(_ONLY, lambda x, y, alpha=None: _objects_only(_focal(x, y, 0, alpha), y)),
        *(
            Mistake(_CLIPPED, lambda x, y, alpha=None, e=e: _clipped(e, False)(x, y, 0, alpha))
            for e in (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)
        ),
    ),
    sample=_sample(),
    rows=((0, 1),),
    doc=LOSS_DOC.format(what="The cross entropy, CE = -alpha_t log p_t (equations 1 to 3).", parameters=""),
    example="my.cross_entropy(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)

_GRAD_SIGN = "the sign is the other way round: raising the logit of an object lowers its loss"
_GRAD_SLOPE = "background lacks its sign: x_t = -x there, so the gradient with respect to x changes sign"
_GRAD_P = "that is the derivative with respect to p_t: the chain rule's factor p_t (1 - p_t) is missing"
_GRAD_OTHER = "objects and background are the wrong way round: target 1 is an object"
_GRAD_ONLY = "background has no gradient with you: its loss falls with the logit, so its gradient is positive"
GRAD_SIDES = "raising the logit of background raises its loss: x_t = -x there, and the chain rule adds a sign"
GRAD_STABLE = (
    "right for ordinary logits, not for very large ones: 1 - p of a p near 1 has lost its digits, and exp overflows; "
    "1 - p_t = sigmoid(-x_t), with the sigmoid from exp(-|x|) alone"
)
CE_GRAD_RULE = "differentiate log sigmoid(x_t): at x = 0 the gradient is -0.5 for an object and 0.5 for background"
GRAD_DOC = """The gradient of {loss} with respect to the logits: derive it on paper first.

    Each loss depends on its own logit alone, so there is one derivative for each logit. Write it so that it is right
    for confident examples too (logits of 100, of 1e8): compute 1 - p_t as a sigmoid, not as a difference.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
{parameters}        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1.

    Returns:
        The derivatives, in the shape and floating type of the logits.
    """
CE_GRAD = Exercise(
    reference.cross_entropy_grad,
    10,
    (
        *_plain((), CE_GRAD_RULE, GRAD_SIDES),
        _alphas(),
        _large((), GRAD_STABLE),
        _huge(()),
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
            "one gradient for each logit is expected: no mean, no division by their number",
            lambda x, y, alpha=None: _focal_grad(x, y, 0, alpha) / np.size(x),
        ),
        Mistake(_GRAD_OTHER, lambda x, y, alpha=None: _focal_grad(x, 1 - y, 0, None) * _alpha_t(y, alpha)),
        Mistake(_GRAD_ONLY, lambda x, y, alpha=None: _objects_only(_focal_grad(x, y, 0, alpha), y)),
        Mistake(
            "that is the second derivative, p_t (1 - p_t)",
            lambda x, y, alpha=None: _alpha_t(y, alpha) * _p_t(x, y) * (1 - _p_t(x, y)),
        ),
        Mistake(
            "that is the probability: the gradient is sigmoid(x) - target",
            lambda x, y, alpha=None: _alpha_t(y, alpha) * _p_t(x, np.ones_like(y)),
        ),
    ),
    sample=_sample(),
    doc=GRAD_DOC.format(loss="`cross_entropy`", parameters=""),
    rows=((0, 1),),
    example="my.cross_entropy_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-9,
    atol=0,
)


def _gammas(hint: str) -> Check:
    return Check("other gammas", hint, _spread((1.0, None), (0.5, None), (5.0, None), (3.0, None)))


def _gamma_0(what: str) -> Check:
    return Check("gamma = 0", f"gamma = 0 is the cross entropy{what}", _spread((0.0, None)))


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
        Mistake(
            "the power belongs to 1 - p_t, not to p_t alone: (1 - p_t)**gamma", lambda *a: _focal(*a, factor="outside")
        ),
        Mistake(_OTHER, lambda x, y, gamma=2.0, alpha=None: _focal(x, 1 - y, gamma, None) * _alpha_t(y, alpha)),
        Mistake(_ONLY, lambda x, y, *a: _objects_only(_focal(x, y, *a), y)),
        Mistake(
            "the factor takes p where p_t is meant: for background p_t is 1 - p",
            lambda x, y, gamma=2.0, alpha=None: (
                _alpha_t(y, alpha) * (1 - _p_t(x, np.ones_like(y))) ** gamma * -np.log(_p_t(x, y))
            ),
        ),
        Mistake(
            "the logarithm takes p where p_t is meant: for background p_t is 1 - p",
            lambda x, y, gamma=2.0, alpha=None: (
                _alpha_t(y, alpha) * (1 - _p_t(x, y)) ** gamma * -np.log(_p_t(x, np.ones_like(y)))
            ),
        ),
        Mistake(
            "alpha is inside the power, or squared: it is a factor beside it, once",
            lambda x, y, gamma=2.0, alpha=None: (_alpha_t(y, alpha) * (1 - _p_t(x, y))) ** gamma * -np.log(_p_t(x, y)),
        ),
        *(
            Mistake(_CLIPPED, lambda x, y, gamma=2.0, alpha=None, e=e: _clipped(e, True)(x, y, gamma, alpha))
            for e in (1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15)
        ),
        Mistake("gamma is a power, not a factor: (1 - p_t)**gamma", lambda *a: _focal(*a, factor="times")),
        Mistake("gamma is fixed at 2: use the argument", lambda x, y, gamma=2.0, alpha=None: _focal(x, y, 2.0, alpha)),
        Mistake(_SAME, lambda *a: _focal(*a, same=True)),
        Mistake(_BASE, lambda *a: _focal(*a, base=2)),
        Mistake(POINTWISE, lambda *a: _focal(*a).mean()),
        Mistake(POINTWISE, lambda *a: _focal(*a).sum()),
    ),
    doc=LOSS_DOC.format(
        what="The focal loss, FL = -alpha_t (1 - p_t)**gamma log p_t (equations 4 and 5).",
        parameters="        gamma: focusing parameter, >= 0; 0 is the cross entropy.\n",
    ),
    example="my.focal_loss(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]), gamma=2, alpha=None)",
    sample=_sample(2.0, 0.25),
    rows=((0, 1),),
    rtol=1e-7,
    atol=0,
)

FG_FORMULA = (
    "FL is a product, (1 - p_t)**gamma times -log p_t, so its derivative has two terms, and d p_t / d x_t = "
    "p_t (1 - p_t)"
)
FOCAL_GRAD = Exercise(
    reference.focal_loss_grad,
    25,
    (
        *_plain((2.0, None), FG_FORMULA, GRAD_SIDES),
        _gammas(FG_FORMULA),
        _gamma_0("'s gradient"),
        _alphas(2.0),
        _large((2.0, None), GRAD_STABLE),
        _huge((2.0, None)),
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
        Mistake(
            "the term p_t - 1 has the wrong sign: log p_t and p_t - 1 are both negative",
            lambda *a: _focal_grad(*a, log_sign=-1, sign=-1),
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
        Mistake(
            "the term gamma p_t log p_t lacks its factor gamma",
            lambda x, y, gamma=2.0, alpha=None: (
                _slope(y) * _alpha_t(y, alpha) * (1 - (p := _p_t(x, y))) ** gamma * (1 - p - p * np.log(p))
            ),
        ),
        Mistake(
            "the power falls by one when it is differentiated, and d p_t / d x_t = p_t (1 - p_t) raises it again: the "
            "factor is (1 - p_t)**gamma in both terms",
            lambda x, y, gamma=2.0, alpha=None: (
                _slope(y)
                * _alpha_t(y, alpha)
                * ((1 - (p := _p_t(x, y))) ** (gamma + 1) - gamma * (1 - p) ** (gamma - 1) * p * np.log(p))
            ),
        ),
        Mistake(
            "that is (1 - p_t)**gamma times the cross entropy's gradient times p_t: derive the product term by term",
            lambda x, y, gamma=2.0, alpha=None: (
                _slope(y) * _alpha_t(y, alpha) * (1 - (p := _p_t(x, y))) ** (gamma + 1) * p
            ),
        ),
        Mistake(
            _GRAD_OTHER, lambda x, y, gamma=2.0, alpha=None: _focal_grad(x, 1 - y, gamma, None) * _alpha_t(y, alpha)
        ),
        Mistake(_GRAD_ONLY, lambda x, y, *a: _objects_only(_focal_grad(x, y, *a), y)),
        Mistake(
            "one gradient for each logit is expected: no mean, no division by their number",
            lambda x, *a: _focal_grad(x, *a) / np.size(x),
        ),
    ),
    example="my.focal_loss_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    sample=_sample(2.0, 0.25),
    doc=GRAD_DOC.format(
        loss="`focal_loss`",
        parameters="        gamma: focusing parameter, >= 0; 0 gives the gradient of the cross entropy.\n",
    ),
    rows=((0, 1),),
    rtol=1e-9,
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
        Mistake(
            _OTHER, lambda x, y, gamma=2.0, beta=1.0, alpha=None: _star(x, 1 - y, gamma, beta) * _alpha_t(y, alpha)
        ),
        Mistake(_ONLY, lambda x, y, *a: _objects_only(_star(x, y, *a), y)),
        Mistake(
            "beta belongs to x_t, not to x: for background it is gamma (-x) + beta",
            lambda x, y, gamma=2.0, beta=1.0, alpha=None: (
                _alpha_t(y, alpha) * np.logaddexp(0, -np.where(y == 1, 1, -1) * (gamma * x + beta)) / gamma
            ),
        ),
        Mistake(
            "the division is by gamma alone, not by gamma x_t + beta or by gamma + beta",
            lambda x, y, gamma=2.0, beta=1.0, alpha=None: (
                _star(x, y, gamma, beta, alpha, divide=False) / (gamma + beta)
            ),
        ),
        Mistake(POINTWISE, lambda *a: _star(*a).mean()),
        Mistake(POINTWISE, lambda *a: _star(*a).sum()),
    ),
    sample=_sample(2.0, 1.0, None),
    rows=((0, 1),),
    doc=LOSS_DOC.format(
        what="The loss FL* = -alpha_t log(p*_t) / gamma with p*_t = sigmoid(gamma x_t + beta) (equations 7 and 8).",
        parameters="        gamma: steepness, > 0.\n        beta: shift.\n",
    ),
    example="my.focal_loss_star(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-7,
    atol=0,
)

STAR_GRAD_RULE = "FL* = -log sigmoid(z) / gamma with z = gamma x_t + beta: mind the chain rule's d z / d x_t = gamma"
STAR_GRAD = Exercise(
    reference.focal_loss_star_grad,
    10,
    (
        *_plain(_STAR_REST, STAR_GRAD_RULE, GRAD_SIDES),
        _stars(STAR_GRAD_RULE),
        _alphas(2.0, 1.0),
        _large(_STAR_REST, GRAD_STABLE),
        _huge(_STAR_REST),
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
        Mistake(
            _GRAD_OTHER,
            lambda x, y, gamma=2.0, beta=1.0, alpha=None: _star_grad(x, 1 - y, gamma, beta) * _alpha_t(y, alpha),
        ),
        Mistake(_GRAD_ONLY, lambda x, y, *a: _objects_only(_star_grad(x, y, *a), y)),
        Mistake(
            "gamma multiplies x_t only: gamma x_t + beta, not gamma (x_t + beta)",
            lambda x, y, gamma=2.0, beta=1.0, alpha=None: _star_grad(x, y, gamma, gamma * beta, alpha),
        ),
        Mistake(
            "that is p*_t times its derivative: differentiate the logarithm, 1 - p*_t is left of it",
            lambda x, y, gamma=2.0, beta=1.0, alpha=None: (
                _star_grad(x, y, gamma, beta, alpha) * (1 - np.abs(_star_grad(x, y, gamma, beta)))
            ),
        ),
    ),
    sample=_sample(2.0, 1.0, None),
    doc=GRAD_DOC.format(loss="`focal_loss_star`", parameters="        gamma: steepness, > 0.\n        beta: shift.\n"),
    rows=((0, 1),),
    example="my.focal_loss_star_grad(np.array([2.0, -1.5, 1.0]), np.array([1, 1, 0]))",
    rtol=1e-9,
    atol=0,
)


# ---- smooth_l1


def _smooth(
    x: Array, t: Array, beta: float = 1.0, *, inner: str = "right", outer: str = "right", scale: Any = 1
) -> Array:
    d = np.abs(x - t)
    near = {"right": d**2 / (2 * beta), "half": d**2 / beta, "no beta": d**2 / 2}[inner]
    far = {"right": d - beta / 2, "one": d - 0.5, "bare": d, "beta": d - beta}[outer]
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
            apart=True,
        ),
    )


def _usual_pairs() -> tuple[Check, ...]:
    return usual(
        lambda rng: _pairs(rng, 2.0, 1.0),
        lambda: [case(np.zeros(0), np.zeros(0), 1.0), case(np.zeros((0, 4)), np.zeros((0, 4)), 1.0)],
        "no predictions give an array of their shape",
    )


SMOOTH_FORMULA = "d**2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond"
SMOOTH = Exercise(
    reference.smooth_l1,
    10,
    (*_both_sides(SMOOTH_FORMULA), *_usual_pairs()),
    (
        Mistake("half the square is expected: d**2 / (2 beta)", lambda *a: _smooth(*a, inner="half")),
        Mistake("the parabola lacks its division by beta: d**2 / (2 beta)", lambda *a: _smooth(*a, inner="no beta")),
        Mistake("the line is |d| - beta / 2, for every beta", lambda *a: _smooth(*a, outer="one")),
        Mistake("the line does not meet the parabola: |d| - beta / 2", lambda *a: _smooth(*a, outer="bare")),
        Mistake("the line does not meet the parabola: |d| - beta / 2", lambda *a: _smooth(*a, outer="beta")),
        Mistake("that is Huber's loss, beta times too large: divide by beta", lambda *a: _smooth(*a, scale="huber")),
        Mistake("beta is ignored", lambda x, t, beta=1.0: _smooth(x, t)),
        Mistake(
            "the pieces are exchanged: the parabola is for |d| < beta, the line beyond",
            lambda x, t, beta=1.0: np.where((d := np.abs(x - t)) >= beta, d**2 / (2 * beta), d - beta / 2),
        ),
        Mistake(
            "the sign of d decides nothing: |d| < beta, not d < beta",
            lambda x, t, beta=1.0: np.where((d := x - t) < beta, d**2 / (2 * beta), np.abs(d) - beta / 2),
        ),
        Mistake(
            "that is the squared error: beyond beta it is a line", lambda x, t, beta=1.0: (x - t) ** 2 / (2 * beta)
        ),
        Mistake("that is the squared error: beyond beta it is a line", lambda x, t, beta=1.0: (x - t) ** 2 / 2),
        Mistake("that is the L1 loss: below beta it is a parabola", lambda x, t, beta=1.0: np.abs(x - t)),
        Mistake("one loss for each prediction is expected: no sum, no mean", lambda *a: _smooth(*a).mean()),
        Mistake("one loss for each prediction is expected: no sum, no mean", lambda *a: _smooth(*a).sum()),
        Mistake("one loss for each prediction is expected: no sum, no mean", lambda *a: _smooth(*a).sum(axis=-1)),
        Mistake(
            "the parabola's beta belongs into the denominator once: d**2 / (2 beta), not (d / beta)**2 / 2",
            lambda x, t, beta=1.0: np.where((d := np.abs(x - t)) < beta, (d / beta) ** 2 / 2, d - beta / 2),
        ),
    ),
    sample=lambda rng: _pairs(rng, 1.0, 0.5),
    rows=((0, 1),),
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


SMOOTH_DOC = """The gradient of `smooth_l1` with respect to the predictions: derive it on paper first.

    Args:
        predictions: any shape, floating.
        targets: the shape of predictions, floating.
        beta: where the parabola meets the line, >= 0; 0 gives the sign of the difference, and 0 where there is none.

    Returns:
        The derivatives, in the shape and floating type of the predictions.
    """
SMOOTH_GRAD = Exercise(
    reference.smooth_l1_grad,
    10,
    (
        *_both_sides("differentiate both pieces with respect to the predictions: at |d| = beta they meet"),
        *_usual_pairs(),
    ),
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
            "the 2 of the square cancels the 2 of the denominator: d / beta",
            lambda x, t, beta=1.0: _smooth_grad(x, t, beta, near=beta / 2),
        ),
        Mistake(
            "the line falls to the left of 0: its derivative is the sign of d", lambda *a: _smooth_grad(*a, far="one")
        ),
        Mistake("beyond beta the derivative is +1 or -1, whatever the size of d", lambda *a: _smooth_grad(*a, far="d")),
        Mistake("beta is ignored", lambda x, t, beta=1.0: _smooth_grad(x, t)),
        Mistake("that is the loss, or its size: the gradient has a sign", lambda *a: np.abs(_smooth_grad(*a))),
        Mistake(
            "the pieces are exchanged: d / beta is for |d| < beta",
            lambda x, t, beta=1.0: np.where(np.abs(d := x - t) >= beta, d / beta, np.sign(d)),
        ),
        Mistake(
            "the sign of d decides nothing: |d| < beta, not d < beta",
            lambda x, t, beta=1.0: np.where((d := x - t) < beta, d / beta, np.sign(d)),
        ),
        Mistake(
            "beyond beta the derivative is +1 or -1, not beta; below it is d / beta, not d",
            lambda x, t, beta=1.0: np.clip(x - t, -beta, beta) if beta else np.sign(x - t),
        ),
    ),
    sample=lambda rng: _pairs(rng, 1.0, 0.5),
    doc=SMOOTH_DOC,
    rows=((0, 1),),
    example="my.smooth_l1_grad(np.array([0.5, -3.0]), np.zeros(2))",
    rtol=1e-9,
    atol=0,
)

EXERCISES = (CROSS_ENTROPY, CE_GRAD, FOCAL, FOCAL_GRAD, STAR, STAR_GRAD, SMOOTH, SMOOTH_GRAD)
