"""a5: sampling and dense loss, fast."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet import reference
from minidet.course.check import Case, Check, Exercise, Mistake, case
from minidet.course.exercises.a3 import STABLE
from minidet.course.exercises.inputs import NONE, boxes, defaults, distinct, usual

Array = np.ndarray


# ---- ohem_sample


def _ohem(
    losses: Array, b: Array, batch: int, threshold: float = 0.7, positives: Array | None = None,
    ratio: int | None = None,
    *, suppress: str = "before", by_positives: bool = True, at_least: bool = True, sort: bool = True,
    room: str = "share",
    hardest: bool = True,
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    rank = losses if hardest else -losses
    if suppress == "after":
        top = np.argsort(-rank, kind="stable")[:batch]
        keep = top[reference.nms(b[top], rank[top], threshold)]
    elif suppress == "never":
        keep = np.argsort(-rank, kind="stable")
    else:
        keep = reference.nms(b, rank, threshold)
    if positives is None or ratio is None:
        return keep[:batch]
    most = {"share": batch // (1 + ratio), "all": len(b), "batch": batch // ratio}[room]
    chosen = np.flatnonzero(positives[keep])[:most]
    count = len(chosen) if not at_least else max(1, len(chosen))
    others = np.flatnonzero(~positives[keep])[: ratio * count if by_positives else batch - len(chosen)]
    both = np.concatenate([chosen, others])
    return keep[np.sort(both) if sort else both]


def _ohem_apart(
    x: Array, b: Array, batch: int, t: float = 0.7, positives: Array | None = None, ratio: int | None = None
) -> Array:
    if positives is None or ratio is None:
        return _ohem(x, b, batch, t)
    parts = []
    for kind in (positives, ~positives):
        members = np.flatnonzero(kind)
        parts.append(members[reference.nms(b[members], x[members], t)])
    chosen = parts[0][: batch // (1 + ratio)]
    both = np.concatenate([chosen, parts[1][: ratio * max(1, len(chosen))]])
    return both[np.lexsort((both, -x[both]))]


def _ohem_ranks(x: Array, b: Array, *rest: Any) -> Array:
    keep = reference.nms(b, x, rest[1] if len(rest) > 1 else 0.7)
    return np.flatnonzero(np.isin(keep, _ohem(x, b, *rest)))


LINE = np.array([[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(8)])
LOSSES = np.array([3.0, 8, 1, 7, 2, 6, 4, 5])
POSITIVE = np.arange(8) % 5 == 3
PILE = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10]])


def _hard(rng: np.random.Generator, n: int, batch: int, *rest: Any) -> Case:
    b = boxes(rng, n, 40)
    b[n // 2 :] = b[: n - n // 2] + rng.integers(0, 3, (n - n // 2, 1))
    return case(distinct(rng, n), b, batch, *rest)


def _mined(rng: np.random.Generator, n: int, batch: int, share: float, ratio: int = 3) -> Case:
    return _hard(rng, n, batch, 0.7, rng.random(n) < share, ratio)


OHEM = Exercise(
    reference.ohem_sample,
    30,
    (
        Check(
            "the highest losses",
            "boxes that do not touch: the batch_size highest losses, highest first",
            lambda rng: [
                case(np.ones(1), LINE[:1], 2),
                case(LOSSES[:2], LINE[:2], 1),
                case(LOSSES, LINE, 3),
                case(LOSSES, LINE, 99),
            ],
            essential=True,
        ),
        Check(
            "suppression first",
            "suppress over all boxes with the losses as scores, then take the batch_size highest that are left",
            lambda rng: [
                case(np.array([2.0, 3, 1]), PILE, 2),
                case(np.array([2.0, 3, 1]), PILE, 3, 0.95),
                _hard(rng, 12, 5),
                _hard(rng, 30, 9, 0.5),
            ],
            essential=True,
        ),
        Check(
            "positives and negatives",
            "at most batch_size // (1 + r) positives, then r times as many negatives as positives were chosen, "
            "highest loss first",
            lambda rng: [
                case(LOSSES[:4], LINE[:4], 4, 0.7, POSITIVE[:4], 3),
                case(LOSSES, LINE, 4, 0.7, np.arange(8) == 2, 3),
                case(LOSSES, LINE, 64, 0.7, np.arange(8) == 2, 3),
                case(LOSSES, LINE, 4, 0.7, np.arange(8) % 2 == 1, 3),
                case(LOSSES, LINE, 7, 0.7, np.arange(8) % 3 == 0, 2),
                _mined(rng, 20, 8, 0.3),
                _mined(rng, 30, 24, 0.2),
            ],
        ),
        Check(
            "no positives left",
            "where no positive is left, r negatives are chosen",
            lambda rng: [
                case(LOSSES, LINE, 64, 0.7, np.zeros(8, bool), 3),
                case(LOSSES, LINE, 64, 0.7, np.zeros(8, bool), 2),
            ],
        ),
        Check(
            "equal losses",
            "of equal losses the lower index goes first",
            lambda rng: [case(np.ones(8), LINE, 3), case(np.arange(8) % 2 * 1.0, LINE, 6)],
        ),
        *usual(
            lambda rng: _mined(rng, 10, 8, 0.3),
            lambda: [case(np.zeros(0), NONE, 8), case(np.zeros(0), NONE, 8, 0.7, np.zeros(0, bool), 3)],
            "no examples give an array of length 0 and type int64",
            "indices are int64",
        ),
        defaults(
            lambda rng: [
                case(np.array([0.9, 0.8]), np.array([[0.0, 0, 10, 10], [0, 0, 10, h]]), 2)
                for h in (4.5, 5.5, 6.5, 7.5, 8.5)
            ]
        ),
    ),
    (
        Mistake(
            "suppress first, then take the batch_size highest losses: yours suppresses among those that were taken",
            lambda *a: _ohem(*a, suppress="after"),
        ),
        Mistake(
            "suppress first, then take the batch_size highest losses: yours suppresses among those that were taken",
            lambda x, b, n, t=0.7, p=None, r=None: _ohem(x, b, n, t, p, r, suppress="after" if p is None else "before"),
        ),
        Mistake(
            "nothing is suppressed: non-maximum suppression with the losses as scores comes first",
            lambda *a: _ohem(*a, suppress="never"),
        ),
        Mistake("hard examples have high losses: you choose the easiest", lambda *a: _ohem(*a, hardest=False)),
        Mistake(
            "the indices are expected highest loss first, positives and negatives together",
            lambda *a: _ohem(*a, sort=False),
        ),
        Mistake(
            "r negatives for each chosen positive: you fill the batch with negatives",
            lambda *a: _ohem(*a, by_positives=False),
        ),
        Mistake(
            "where no positive is left, r negatives are chosen: you choose none", lambda *a: _ohem(*a, at_least=False)
        ),
        Mistake("at most batch_size // (1 + r) positives: you take all", lambda *a: _ohem(*a, room="all")),
        Mistake(
            "at most batch_size // (1 + r) positives: a positive comes with r negatives, so it takes 1 + r places",
            lambda *a: _ohem(*a, room="batch"),
        ),
        Mistake("positives and negatives are suppressed together: you suppress each kind by itself", _ohem_apart),
        Mistake(
            "positives and negatives_per_positive make no difference: the negatives are r times the positives",
            lambda x, b, n, t=0.7, *rest: _ohem(x, b, n, t),
        ),
        Mistake("indices of the examples are expected: yours are those of what the suppression left", _ohem_ranks),
        Mistake(
            "the indices are expected highest loss first: yours are in the order of the input",
            lambda *a: np.sort(_ohem(*a)),
        ),
    ),
    sample=lambda rng: _hard(rng, 14, 6),
    note="`checks.ohem` returns the mask of positives and the number of negatives per positive, or None and 0 where "
    "neither is given.",
    order="highest loss first, of equal losses the lower index first; positives and negatives together",
    rows=((0, 1, 4),),
    example="my.ohem_sample(np.array([3.0, 8, 1]), np.array([[0.0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]), "
    "batch_size=2)",
)


# ---- dense_focal_loss


def _dense(
    x: Array, labels: Array, gamma: float = 2.0, alpha: float | None = 0.25, *, drop: bool = True,
    over: str = "positives",
    grad_over: bool = True, last: bool = False, at_least: bool = True, softmax: bool = False,
) -> Any:  # fmt: skip
    k = x.shape[1]
    targets = (labels % k if last else labels)[:, None] == np.arange(k)
    used = labels != -2 if drop else np.full(len(labels), True)
    positives = int((labels >= 0).sum())
    count = {
        "positives": positives,
        "anchors": int(used.sum()),
        "elements": int(used.sum()) * k,
        "nothing": 1,
        "labelled": int((labels != -1).sum()),
    }[over]
    count = max(1, count) if at_least else np.float64(count)
    loss = reference.focal_loss(x, targets, gamma, alpha) * used[:, None]
    grad = reference.focal_loss_grad(x, targets, gamma, alpha) * used[:, None]
    return loss.sum() / count, grad / (count if grad_over else 1)


def _dense_each(x: Array, labels: Array, *rest: Any) -> Any:
    targets = labels[:, None] == np.arange(x.shape[1])
    count = max(1, int((labels >= 0).sum()))
    return reference.focal_loss(x, targets, *rest) * (labels != -2)[:, None] / count, _dense(x, labels, *rest)[1]


def _dense_rows(x: Array, labels: Array, *rest: Any) -> Any:
    loss, grad = _dense_each(x, labels, *rest)
    return loss.sum(axis=1), grad


def _dense_classes(x: Array, labels: Array, *rest: Any) -> Any:
    loss, grad = _dense(x, labels, *rest)
    factor = max(1, int((labels >= 0).sum())) / max(1, len(np.unique(labels[labels >= 0])))
    return loss * factor, grad * factor


def _dense_without_background(x: Array, labels: Array, *rest: Any) -> Any:
    return _dense(x, np.where(labels == -1, -2, labels), *rest)


def _dense_short(x: Array, labels: Array, *rest: Any) -> Any:
    loss, grad = _dense(x, labels, *rest)
    return loss, grad[labels != -2]


def _table(rng: np.random.Generator, n: int, k: int, *rest: Any) -> Case:
    return case(rng.normal(0, 2, (n, k)).round(2), rng.integers(-2, k, n), *rest)


X = np.array([[1.0, -1], [0.5, 2], [-2, 0]])
DENSE = Exercise(
    reference.dense_focal_loss,
    40,
    (
        Check(
            "one object",
            "the sum of the focal losses over anchors and classes, and its gradient (N, K), in a tuple (loss, "
            "gradient)",
            lambda rng: [case(X[:1, :1], np.array([0])), case(X[:1], np.array([1])), case(X[:2], np.array([1, -1]))],
            essential=True,
        ),
        Check(
            "several objects",
            "both results are divided by the number of anchors that are assigned to an object (label >= 0)",
            lambda rng: [
                case(X[:2], np.array([0, 1])),
                case(X, np.array([1, -1, 0])),
                case(X, np.array([1, 1, 1]), 1.0, None),
            ],
            essential=True,
        ),
        Check(
            "background (label -1)",
            "-1 is background: all its targets are 0; as an index, -1 would be the last class",
            lambda rng: [case(X[:1], np.array([-1])), case(X, np.array([-1, -1, -1]))],
        ),
        Check(
            "ignored anchors (label -2)",
            "-2 is ignored: no loss, a gradient of 0, and it does not count as an object",
            lambda rng: [
                case(X[:1], np.array([-2])),
                case(X[:2], np.array([0, -2])),
                case(X, np.array([1, -2, 0])),
                _table(rng, 20, 3),
                _table(rng, 30, 5, 1.0, None),
            ],
        ),
        Check(
            "confident examples",
            STABLE,
            lambda rng: [
                case(np.array([[x]]), np.array([y])) for x in (30.0, 90.0, 800.0, -30.0, -90.0, -800.0) for y in (0, -1)
            ],
            extreme=True,
        ),
        *usual(
            lambda rng: _table(rng, 6, 3),
            lambda: [case(np.zeros((0, 3)), np.zeros(0, int)), case(np.zeros((3, 0)), np.full(3, -1))],
            "no anchors give a loss of 0 and a gradient of shape (0, K)",
            "loss and gradient are in the floating type of the logits",
        ),
        defaults(lambda rng: [_table(rng, 6, 3), _table(rng, 6, 3, 1.0)]),
    ),
    (
        Mistake(
            "ignored anchors (label -2) are left out: yours count as background", lambda *a: _dense(*a, drop=False)
        ),
        Mistake(
            "divide by the number of anchors assigned to an object: you divide by all anchors",
            lambda *a: _dense(*a, over="anchors"),
        ),
        Mistake(
            "divide by the number of anchors assigned to an object: that is a mean over all logits",
            lambda *a: _dense(*a, over="elements"),
        ),
        Mistake(
            "divide by the number of anchors assigned to an object: you do not divide",
            lambda *a: _dense(*a, over="nothing"),
        ),
        Mistake(
            "ignored anchors do not count as objects: divide by the number of labels >= 0",
            lambda *a: _dense(*a, over="labelled"),
        ),
        Mistake("the gradient is divided by the number of objects as well", lambda *a: _dense(*a, grad_over=False)),
        Mistake("-1 as an index is the last class: background has no class at all", lambda *a: _dense(*a, last=True)),
        Mistake("without any object divide by 1: max(1, number of objects)", lambda *a: _dense(*a, at_least=False)),
        Mistake(
            "background anchors (label -1) have a loss too, nearly all of it: you leave them out",
            _dense_without_background,
        ),
        Mistake(
            "label -1 is background and has no class: you take it for an object, of the last class",
            lambda x, y, *rest: _dense(x, np.where(y == -1, x.shape[1] - 1, y), *rest),
        ),
        Mistake("a tuple (loss, gradient) is expected, in this order", lambda *a: _dense(*a)[::-1]),
        Mistake("the loss is a sum over anchors and classes, one number: yours is one for each anchor", _dense_rows),
        Mistake("the loss is a sum over anchors and classes, one number: yours is one for each logit", _dense_each),
        Mistake(
            "the number of objects is that of the anchors assigned to one: you divide by the number of classes present",
            _dense_classes,
        ),
        Mistake("ignored anchors keep their row in the gradient, as 0: you leave the row out", _dense_short),
        Mistake(
            "the gradient's alpha is not handed on: focal_loss_grad has its own default",
            lambda x, y, g=2.0, a=0.25: (_dense(x, y, g, a)[0], _dense(x, y, g)[1]),
        ),
        Mistake(
            "the gradient's gamma is not handed on: focal_loss_grad has its own default",
            lambda x, y, g=2.0, a=0.25: (_dense(x, y, g, a)[0], _dense(x, y, 2.0, a)[1]),
        ),
        Mistake(
            "the loss's alpha or gamma is not handed on: focal_loss has its own defaults",
            lambda x, y, g=2.0, a=0.25: (_dense(x, y)[0], _dense(x, y, g, a)[1]),
        ),
        Mistake("alpha is not handed on: focal_loss has its own default", lambda x, y, g=2.0, a=0.25: _dense(x, y, g)),
        Mistake(
            "alpha and gamma are not handed on: focal_loss has its own defaults",
            lambda x, y, g=2.0, a=0.25: _dense(x, y),
        ),
        Mistake(
            "gamma is not handed on: focal_loss has its own default", lambda x, y, g=2.0, a=0.25: _dense(x, y, 2.0, a)
        ),
    ),
    sample=lambda rng: _table(rng, 8, 3, 2.0, 0.25),
    rows=((0, 1),),
    example="my.dense_focal_loss(np.array([[1.0, -1], [0.5, 2]]), np.array([1, -1]))",
    rtol=1e-7,
    atol=1e-300,
)

EXERCISES = (OHEM, DENSE)


def speed_case(seed: int = 0) -> Case:
    """An image's worth of anchors for the speed of `dense_focal_loss`: most are background, as in training."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([-2, -1, 0, 1, 2, 3], 4000, p=[0.02, 0.96, 0.005, 0.005, 0.005, 0.005])
    return case(rng.normal(-3, 1.5, (4000, 20)), labels)
