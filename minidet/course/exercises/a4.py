"""a4: post-processing and average precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minidet import reference
from minidet.config import PostprocessConfig
from minidet.course.check import Case, Check, Exercise, Mistake, case
from minidet.course.exercises.inputs import NONE, boxes, defaults, distinct, narrow, usual
from minidet.reference.average_precision import average_precision, match_detections, precision_recall
from minidet.structures import Detections

Array = np.ndarray
SQUARE = np.array([[0.0, 0, 10, 10]])


# ---- match_detections


def _match(
    b: Array, scores: Array, gt: Array, threshold: float = 0.5, *, order: str = "best", reuse: bool = False,
    strict: bool = False,
    free_only: bool = True, first_fit: bool = False, unsorted: bool = False, by_gt: bool = False,
    lowest: bool = False, below: bool = False, last_fit: bool = False,
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    iou = reference.box_iou(b, gt)
    ranks = {
        "best": np.argsort(-scores, kind="stable"),
        "worst": np.argsort(scores, kind="stable"),
        "given": np.arange(len(b)),
        "reversed": np.argsort(scores, kind="stable")[::-1],
        "overlap": np.argsort(-iou.max(axis=1, initial=0), kind="stable"),
    }[order]
    right, taken = np.zeros(len(b), bool), np.zeros(len(gt), bool)
    if by_gt:
        for g in range(len(gt)):
            if len(b) and iou[:, g].max() >= threshold:
                right[iou[:, g].argmax()] = True
        return right
    for i in ranks:
        allowed = np.full(len(gt), True) if reuse or not free_only else ~taken
        good = np.flatnonzero(allowed & (iou[i] > threshold if strict else iou[i] >= threshold))
        if below and len(gt) and not taken.all():
            g = np.flatnonzero(~taken & (iou[i] == iou[i, ~taken].max()))[-1]
            taken[g], right[i] = True, iou[i, g] >= threshold
        elif len(good):
            overlap = iou[i, good]
            g = (
                good[0]
                if first_fit
                else good[-1]
                if last_fit
                else good[overlap.argmax()]
                if lowest
                else good[overlap == overlap.max()][-1]
            )
            right[i] = reuse or not taken[g]
            taken[g] = True
    return right[ranks] if unsorted else right


def _found(rng: np.random.Generator, n: int, m: int) -> Case:
    gt = boxes(rng, m, 25)
    return case(gt[rng.integers(0, m, n)] + rng.integers(-4, 5, (n, 1)), distinct(rng, n), gt, 0.4)


TWINS = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9]])
BESIDE = np.array([[0.0, 0, 10, 10], [3, 0, 13, 10]])
MATCH = Exercise(
    match_detections,
    30,
    (
        Check(
            "one detection",
            "a detection is right when its IoU with a ground-truth box reaches the threshold",
            lambda rng: [
                case(SQUARE, np.array([0.9]), SQUARE),
                case(SQUARE, np.array([0.9]), SQUARE + 20),
                case(SQUARE, np.array([0.9]), np.array([[0.0, 0, 10, 8]]), 0.7),
            ],
            essential=True,
        ),
        Check(
            "several detections of an object",
            "the one with the best score is right, the others are wrong: an object can be taken once",
            lambda rng: [
                case(TWINS, np.array([0.9, 0.8]), SQUARE),
                case(TWINS, np.array([0.8, 0.9]), SQUARE),
                case(np.array([[50.0, 50, 60, 60], [0, 0, 10, 10], [0, 0, 10, 9]]), np.array([0.1, 0.8, 0.9]), SQUARE),
                case(np.array([[0.0, 0, 10, 8], [0, 0, 10, 10], [0, 0, 10, 9]]), np.array([0.1, 0.2, 0.3]), SQUARE),
            ],
            essential=True,
        ),
        Check(
            "several objects",
            "each detection takes the object that it overlaps most, among those that are not taken yet",
            lambda rng: [
                case(BESIDE, np.array([0.9, 0.8]), BESIDE),
                case(BESIDE[[0, 0]], np.array([0.9, 0.8]), BESIDE, 0.5),
                case(BESIDE[[1, 0]], np.array([0.9, 0.8]), BESIDE, 0.5),
                case(np.array([[0.0, 0, 10, 10], [7, 0, 17, 10]]), np.array([0.9, 0.8]), BESIDE, 0.4),
                case(np.array([[3.0, 0, 13, 10], [-4, 0, 6, 10]]), np.array([0.9, 0.8]), BESIDE, 0.4),
                case(np.array([[2.0, 0, 12, 10], [0, 0, 10, 10]]), np.array([0.9, 0.8]), BESIDE, 0.6),
                _found(rng, 6, 3),
                _found(rng, 12, 5),
            ],
        ),
        Check(
            "IoU equal to the threshold",
            "an IoU equal to the threshold is enough: >=",
            lambda rng: [case(SQUARE, np.array([0.9]), np.array([[0.0, 0, 10, 5]]))],
        ),
        Check(
            "IoU below the threshold",
            "a detection that reaches the threshold with no object is wrong and takes none: it is left for the next",
            lambda rng: [
                case(np.array([[0.0, 0, 10, 4], [0, 0, 10, 9]]), np.array([0.9, 0.8]), SQUARE, 0.5),
                case(np.array([[2.0, 0, 12, 10], [0, 0, 10, 10]]), np.array([0.9, 0.8]), SQUARE, 0.75),
            ],
        ),
        Check(
            "equal scores",
            "of equal scores the detection of the lower index chooses first: sort stably by -scores",
            lambda rng: [
                case(TWINS, np.array([0.5, 0.5]), SQUARE),
                case(np.tile(SQUARE, (20, 1)), np.ones(20), SQUARE),
            ],
        ),
        Check(
            "equal IoUs",
            "of objects with equal IoU the one of the highest index is taken, as in pycocotools",
            lambda rng: [
                case(
                    np.array([[2.0, 0, 12, 10], [4, 0, 14, 10]]),
                    np.array([0.9, 0.8]),
                    np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]]),
                    0.6,
                ),
                case(
                    np.array([[2.0, 0, 12, 10], [0, 0, 10, 10]]),
                    np.array([0.9, 0.8]),
                    np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]]),
                    0.6,
                ),
            ],
        ),
        *usual(
            lambda rng: _found(rng, 5, 3),
            lambda: [
                case(NONE, np.zeros(0), NONE),
                case(SQUARE, np.array([0.9]), NONE),
                case(NONE, np.zeros(0), SQUARE),
            ],
            "without ground-truth boxes every detection is wrong",
            "an array of bool is expected",
        ),
        defaults(
            lambda rng: [case(SQUARE, np.array([0.9]), np.array([[0.0, 0, 10, h]])) for h in (3.5, 4.5, 5.5, 6.5)]
        ),
    ),
    (
        Mistake(
            "the detections choose best score first: yours choose in the order of the input",
            lambda *a: _match(*a, order="given"),
        ),
        Mistake(
            "the detections choose best score first: yours begin with the worst", lambda *a: _match(*a, order="worst")
        ),
        Mistake(
            "an object can be taken once: remember which ground-truth boxes are taken",
            lambda *a: _match(*a, reuse=True),
        ),
        Mistake("an IoU equal to the threshold is enough: >=, not >", lambda *a: _match(*a, strict=True)),
        Mistake(
            "where the best object is taken, the next best free one is tried (COCO's rule)",
            lambda *a: _match(*a, free_only=False),
        ),
        Mistake(
            "of the free objects take the one of highest IoU, not the first that fits",
            lambda *a: _match(*a, first_fit=True),
        ),
        Mistake(
            "of the free objects take the one of highest IoU, not the last that fits",
            lambda *a: _match(*a, last_fit=True),
        ),
        Mistake(
            "the result is expected in the order of the boxes: yours is in the order of the scores",
            lambda *a: _match(*a, unsorted=True),
        ),
        Mistake(
            "the detections choose their objects: with you each object chooses its best detection, whatever the score",
            lambda *a: _match(*a, by_gt=True),
        ),
        Mistake(
            "of equal scores the detection of the lower index chooses first: a reversed argsort turns them round",
            lambda *a: _match(*a, order="reversed"),
        ),
        Mistake(
            "of objects with equal IoU the one of the highest index is taken: yours takes the lowest",
            lambda *a: _match(*a, lowest=True),
        ),
        Mistake(
            "a detection that does not reach the threshold takes no object: with you it does",
            lambda *a: _match(*a, below=True),
        ),
        Mistake(
            "the detections choose in order of score: yours choose in order of overlap",
            lambda *a: _match(*a, order="overlap"),
        ),
    ),
    sample=lambda rng: _found(rng, 12, 5),
    rows=((0, 1), (2,)),
    example="my.match_detections(np.array([[0.0, 0, 10, 10], [0, 0, 10, 9]]), np.array([0.6, 0.9]), "
    "np.array([[0.0, 0, 10, 10]]))",
)


# ---- precision_recall


def _curve(
    correct: Array, scores: Array, num_gt: int, *, order: str = "best", of: str = "gt", over: str = "seen"
) -> tuple[Array, Array]:
    correct = np.asarray(correct)
    ranks = {"best": np.argsort(-scores, kind="stable"), "worst": np.argsort(scores, kind="stable"),
    "given": np.arange(len(scores)),
             "reversed": np.argsort(scores, kind="stable")[::-1]}[order]  # fmt: skip
    right = np.cumsum(correct[ranks])
    recall = right / {"gt": max(1, num_gt), "right": max(1, correct.sum()), "all": max(1, len(correct))}[of]
    seen = np.arange(1, len(right) + 1)
    return right / {"seen": seen, "all": len(seen) or 1, "wrong": np.maximum(seen - right, 1), "late": seen + 1}[
        over
    ], recall


def _outcomes(rng: np.random.Generator, n: int) -> Case:
    correct = rng.random(n) < 0.6
    return case(correct, distinct(rng, n), int(correct.sum()) + 2)


def _curve_envelope(correct: Array, scores: Array, num_gt: int) -> tuple[Array, Array]:
    precision, recall = _curve(correct, scores, num_gt)
    return np.maximum.accumulate(precision[::-1])[::-1], recall


TRUE = np.array([True])
CURVE = Exercise(
    precision_recall,
    20,
    (
        Check(
            "best score first",
            "after n detections with t right ones: precision t / n, recall t / num_gt",
            lambda rng: [
                case(TRUE, np.array([0.9]), 1),
                case(TRUE, np.array([0.9]), 4),
                case(~TRUE, np.array([0.9]), 2),
                case(np.array([True, False, True]), np.array([0.9, 0.7, 0.5]), 4),
            ],
            essential=True,
        ),
        Check(
            "scores in any order",
            "sort the detections by score first, best first",
            lambda rng: [case(np.array([False, True]), np.array([0.2, 0.8]), 2), _outcomes(rng, 5), _outcomes(rng, 12)],
            essential=True,
        ),
        Check(
            "equal scores",
            "of equal scores the lower index goes first: sort stably by -scores",
            lambda rng: [
                case(np.array([True, False]), np.array([0.5, 0.5]), 1),
                case(np.arange(24) % 3 == 0, np.repeat([0.5, 0.7], 12), 20),
            ],
        ),
        Check(
            "no objects", "where num_gt is 0, recall is 0 and not 0 / 0", lambda rng: [case(~TRUE, np.array([0.9]), 0)]
        ),
        Check(
            "empty input",
            "no detections give two arrays of length 0",
            lambda rng: [case(np.zeros(0, bool), np.zeros(0), 3)],
            apart=True,
        ),
        Check(
            "type of the result",
            "two arrays of float64 are expected, in a tuple",
            lambda rng: [_outcomes(rng, 4)],
            "type",
        ),
        Check(
            "arguments left alone",
            "your function changes the arrays that it was given: work on a copy",
            lambda rng: [_outcomes(rng, 4)],
            "input",
        ),
    ),
    (
        Mistake(
            "you take the detections as they come: sort them by score, best first", lambda *a: _curve(*a, order="given")
        ),
        Mistake("the best score goes first: you begin with the worst", lambda *a: _curve(*a, order="worst")),
        Mistake(
            "of equal scores the lower index goes first: a reversed argsort turns them round",
            lambda *a: _curve(*a, order="reversed"),
        ),
        Mistake(
            "recall divides by the number of objects, num_gt: you divide by those found",
            lambda *a: _curve(*a, of="right"),
        ),
        Mistake(
            "recall divides by the number of objects, num_gt: you divide by the detections",
            lambda *a: _curve(*a, of="all"),
        ),
        Mistake(
            "precision divides by the detections so far: you divide by all of them", lambda *a: _curve(*a, over="all")
        ),
        Mistake("precision is right / (right + wrong): yours is right / wrong", lambda *a: _curve(*a, over="wrong")),
        Mistake(
            "precision after the first detection divides by 1: yours is off by one", lambda *a: _curve(*a, over="late")
        ),
        Mistake("precision comes first, then recall", lambda *a: _curve(*a)[::-1]),
        Mistake("precision counts what is right: yours counts what is wrong", lambda c, s, n: _curve(~c, s, n)),
        Mistake(
            "the counts run on: right ones so far, not whether this one is right",
            lambda c, s, n: ((r := c[np.argsort(-s, kind="stable")]) / np.arange(1, len(c) + 1), r / max(1, n)),
        ),
        Mistake("the envelope comes later, in average_precision: raw precision is expected here", _curve_envelope),
        Mistake(
            "the results are expected best score first: yours are in the order of the input",
            lambda c, s, n: tuple(part[np.argsort(np.argsort(-s, kind="stable"))] for part in _curve(c, s, n)),
        ),
        Mistake(
            "one pair for each detection is expected: no point is added at recall 0 or 1",
            lambda c, s, n: tuple(
                np.append(first, part) for first, part in zip((1.0, 0.0), _curve(c, s, n), strict=True)
            ),
        ),
    ),
    sample=lambda rng: _outcomes(rng, 12),
    rows=((0, 1),),
    example="my.precision_recall(np.array([True, False, True]), np.array([0.9, 0.7, 0.5]), num_gt=4)",
)


# ---- average_precision


def _ap(
    precision: Array, recall: Array, points: int | None = 101, *, envelope: str = "from the right", side: Any = "left",
    grid: Callable[[int], Array] = lambda points: np.linspace(0, 1, points), first: float | None = 0,
) -> float:  # fmt: skip
    p = {
        "from the right": np.maximum.accumulate(precision[::-1])[::-1],
        "none": precision,
        "from the left": np.maximum.accumulate(precision),
    }[envelope]
    if points is None:
        return float((np.diff(recall, prepend=first if first is not None else recall[:1]) * p).sum())
    return float(np.append(p, 0)[np.searchsorted(recall, grid(points), side=side)].mean())


def _ap_mean(precision: Array, recall: Array, points: int | None = 101) -> float:
    return float(np.mean(precision))


def _curves(*rest: Any) -> Any:
    """Curves for numbers of objects that are prime, so that no recall but 0 and 1 falls on a point, rounded or not."""

    def cases(rng: np.random.Generator) -> list[Case]:
        curves = [([1.0], [1.0]), ([1.0, 0.5], [0.5, 0.5]), ([1.0, 0.5, 2 / 3], [0.5, 0.5, 1.0])]
        curves += [
            ([1.0, 0.5], [0.5, 1.0]),
            ([0.0, 0.5, 2 / 3], [0.0, 0.23, 0.46]),
            ([0.0, 0.0, 1 / 3, 0.5], [0.0, 0.0, 0.37, 0.74]),
        ]
        found = [case(np.array(precision), np.array(recall), *rest) for precision, recall in curves]
        for n, num_gt in ((4, 7), (9, 13), (40, 47)):
            correct, scores, _ = _outcomes(rng, n).args
            found.append(case(*precision_recall(correct, scores, num_gt), *rest))
        return found

    return cases


def _one_curve(rng: np.random.Generator) -> Case:
    correct, scores, num_gt = _outcomes(rng, 12).args
    return case(*precision_recall(correct, scores, num_gt), 101)


def _ap_last(p: Array, r: Array, points: int | None = 101) -> float:
    if points is None:
        return _ap(p, r, None)
    envelope = np.maximum.accumulate(p[::-1])[::-1]
    return float(envelope[np.minimum(np.searchsorted(r, np.linspace(0, 1, points)), len(r) - 1)].mean())


def _ap_trapezia(p: Array, r: Array, points: int | None = 101) -> float:
    envelope = np.maximum.accumulate(p[::-1])[::-1]
    if points is not None:
        return _ap(p, r, points)
    return float((np.diff(r, prepend=0) * (envelope + np.append(envelope[:1], envelope[:-1])) / 2).sum())


def _ap_sentinel(p: Array, r: Array, points: int | None = 101) -> float:
    return _ap(np.append(1.0, p), np.append(0.0, r), points)


def _ap_reached(p: Array, r: Array, points: int | None = 101) -> float:
    if points is None:
        return _ap(p, r, None)
    return _ap(p, r, points) * points / int((np.linspace(0, 1, points) <= r.max()).sum())


_ENVELOPE = "the envelope is missing: the precision at recall r is the highest at any recall >= r"
_POINTS = "101 points run from 0 to 1, both included, 0.01 apart: yours do not"
AP = Exercise(
    average_precision,
    20,
    (
        Check(
            "101 points",
            "the mean, at the recalls 0, 0.01, …, 1, of the highest precision at any recall >= r; 0 where r is "
            "never reached",
            _curves(101),
            essential=True,
        ),
        Check("11 points", "points says how many recalls, from 0 to 1 with both ends", _curves(11)),
        Check("whole area", "points=None: the sum of (recall step) * (envelope), the first step from 0", _curves(None)),
        Check(
            "nothing right",
            "without a right detection the measure is 0",
            lambda rng: [case(np.zeros(2), np.zeros(2), p) for p in (101, 11, None)],
        ),
        Check(
            "empty input",
            "without any detection the measure is 0",
            lambda rng: [case(np.zeros(0), np.zeros(0), p) for p in (101, None)],
            apart=True,
        ),
        Check("type of the result", "a float is expected", lambda rng: [case(np.ones(1), np.ones(1))], "type"),
        Check(
            "arguments left alone",
            "your function changes the arrays that it was given: work on a copy",
            lambda rng: [case(np.array([1.0, 0.5, 2 / 3]), np.array([0.5, 0.5, 1.0]))],
            "input",
        ),
    ),
    (
        Mistake(_ENVELOPE, lambda *a: _ap(*a, envelope="none")),
        Mistake(
            "the envelope looks to the right, at higher recalls: yours looks back",
            lambda *a: _ap(*a, envelope="from the left"),
        ),
        Mistake("a recall that is reached exactly counts: >=, not >", lambda *a: _ap(*a, side="right")),
        Mistake(_POINTS, lambda *a: _ap(*a, grid=lambda n: np.linspace(0, 1, n)[:-1])),
        Mistake(_POINTS, lambda *a: _ap(*a, grid=lambda n: np.linspace(0, 1, n)[1:])),
        Mistake(_POINTS, lambda *a: _ap(*a, grid=lambda n: np.linspace(0, 1, n + 1))),
        Mistake(
            _POINTS,
            lambda p, r, n=101: _ap(p, r, n, grid=lambda k: np.linspace(0, 1, k)[1:]) * ((n - 1) / n if n else 1),
        ),
        Mistake(
            _POINTS,
            lambda p, r, n=101: _ap(p, r, n, grid=lambda k: np.linspace(0, 1, k)[:-1]) * ((n - 1) / n if n else 1),
        ),
        Mistake("the first step of recall begins at 0", lambda *a: _ap(*a, first=None)),
        Mistake("the area is weighted with the steps of recall: a mean over detections is something else", _ap_mean),
        Mistake("where a recall is never reached the envelope is 0: yours goes on with the last precision", _ap_last),
        Mistake("the area under the curve needs no trapezia: the envelope is a step function", _ap_trapezia),
        Mistake("no point of precision 1 at recall 0 is added: the first step has the envelope's height", _ap_sentinel),
        Mistake(
            "at each point the highest precision at any recall >= r is expected: you interpolate between detections",
            lambda p, r, points=101: float(np.interp(np.linspace(0, 1, points), r, p, right=0).mean()),
        ),
        Mistake(
            "the mean over the points is expected: yours is their sum", lambda p, r, n=101: _ap(p, r, n) * (n or 1)
        ),
        Mistake("points that are never reached count too, with 0: you take the mean over the others", _ap_reached),
    ),
    sample=_one_curve,
    example="my.average_precision(np.array([1.0, 0.5]), np.array([0.5, 1.0]), points=None)",
)


# ---- postprocess


def _post(
    logits: Sequence[Array], deltas: Sequence[Array], anchors: Sequence[Array], image_size: Any,
    config: PostprocessConfig,
    *, equal: bool = False, across: bool = False, one_class: bool = False, clip: bool = True, order: bool = True,
    softmax: bool = False,
    limit: str = "level", cut: bool = True, decode: bool = True, raw: bool = False, by: str = "logit",
    suppress: bool = True, late_clip: bool = False, early_cut: bool = False, ties: str = "first",
    early_nms: bool = False, no_threshold: bool = False, drop: bool = False, on_logits: bool = False,
) -> Detections:  # fmt: skip
    """The steps with the choices that a mistake changes."""
    found: list[tuple[Array, Array, Array]] = []
    for x, t, a in zip(logits, deltas, anchors, strict=True):
        if softmax:
            e = np.exp(x - x.max(axis=1, keepdims=True, initial=-np.inf))
            p = e / e.sum(axis=1, keepdims=True)
            rank = p
        else:
            p = 1 / (1 + np.exp(-x))
            rank = x if by == "logit" else p
        keep = p >= config.score_threshold if equal else p > config.score_threshold
        keep = np.full(x.shape, True) if no_threshold else x > config.score_threshold if on_logits else keep
        if one_class:
            keep &= np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
        anchor, klass = np.nonzero(keep)
        if ties == "classes first":
            klass, anchor = np.nonzero(keep.T)
        if early_nms:
            some = reference.decode_boxes(t[anchor], a[anchor])
            left = reference.batched_nms(some, rank[anchor, klass], klass, config.iou_threshold)
            anchor, klass = anchor[left], klass[left]
        best = np.argsort(-rank[anchor, klass], kind="stable")
        if ties == "last":
            best = np.argsort(rank[anchor, klass], kind="stable")[::-1]
        if ties == "worst":
            best = np.argsort(rank[anchor, klass], kind="stable")
        best = best[: config.max_per_level if limit == "level" else None]
        anchor, klass = anchor[best], klass[best]
        b = reference.decode_boxes(t[anchor], a[anchor]) if decode else a[anchor]
        found.append((rank[anchor, klass], b, klass))
    rank, b, klass = (np.concatenate(parts) for parts in zip(*found, strict=True))
    if limit == "all":
        best = np.argsort(-rank, kind="stable")[: config.max_per_level]
        rank, b, klass = rank[best], b[best], klass[best]
    b = reference.clip_boxes(b, image_size) if clip and not late_clip else b
    if early_cut:
        best = np.argsort(-rank, kind="stable")[: config.max_detections]
        rank, b, klass = rank[best], b[best], klass[best]
    keep = (
        reference.nms(b, rank, config.iou_threshold)
        if across
        else reference.batched_nms(b, rank, klass, config.iou_threshold)
    )
    keep = keep if suppress else np.argsort(-rank, kind="stable")
    keep = keep[: config.max_detections] if cut else keep
    keep = keep if order else np.sort(keep)
    b = reference.clip_boxes(b, image_size) if late_clip else b
    keep = keep[(b[keep, 2:] > b[keep, :2]).all(axis=1)] if drop else keep
    scores = rank if raw or softmax or by != "logit" else 1 / (1 + np.exp(-rank))
    return Detections(b[keep], scores[keep], klass[keep])


ANCHORS = np.array([[0.0, 0, 10, 10], [20, 20, 40, 40], [21, 20, 41, 40], [45, 45, 60, 60]])
STILL = np.zeros((4, 4))
PAPER = PostprocessConfig()
SIZE = (50, 55)
LONELY = np.array([[2.0], [-1], [-9], [-9]])


def _outputs(rng: np.random.Generator, levels: int, config: PostprocessConfig, classes: int = 3, n: int = 8) -> Case:
    """Logits, no two of them the same, offsets and anchors of a few levels."""
    x = np.split((rng.permutation(levels * n * classes) / (levels * n * classes) * 8 - 6).reshape(-1, classes), levels)
    return case(x, [rng.normal(0, 0.2, (n, 4)).round(2) for _ in x], [boxes(rng, n, 30) for _ in x], SIZE, config)


def _logit(p: Any) -> Array:
    return np.log(p) - np.log1p(-np.asarray(p, float))


POSTPROCESS = Exercise(
    reference.postprocess,
    30,
    (
        Check(
            "one class, one level",
            "scores are sigmoids of the logits; keep those above the threshold, decode, clip, suppress, best first",
            lambda rng: [
                case([LONELY], [STILL], [ANCHORS], SIZE, PAPER),
                case([np.array([[-1.0], [2], [3], [-4]])], [STILL], [ANCHORS], SIZE, PAPER),
                case([LONELY], [STILL + [0.1, -0.2, 0.3, 0]], [ANCHORS], SIZE, PAPER),
            ],
            essential=True,
        ),
        Check(
            "several classes",
            "each anchor and class is a candidate of its own; suppression works class by class",
            lambda rng: [
                case([np.array([[1.0, -9], [-9, -9], [-9, -9], [-9, -9]])], [STILL], [ANCHORS], SIZE, PAPER),
                case([np.array([[-9.0, -9], [2, -9], [-9, 1], [-9, -9]])], [STILL], [ANCHORS], SIZE, PAPER),
                case([np.array([[2.0, 1], [-9, -9], [-9, -9], [-9, -9]])], [STILL], [ANCHORS], SIZE, PAPER),
                _outputs(rng, 1, PAPER),
            ],
            essential=True,
        ),
        Check(
            "several levels",
            "at most max_per_level candidates of each level, then all levels together",
            lambda rng: [
                case(
                    [LONELY, LONELY + 1],
                    [STILL, STILL],
                    [ANCHORS, ANCHORS + 60],
                    (150, 150),
                    PostprocessConfig(max_per_level=1),
                ),
                _outputs(rng, 3, PostprocessConfig(max_per_level=4)),
                _outputs(rng, 3, PostprocessConfig(0.1, 6, 0.3)),
            ],
        ),
        Check(
            "score equal to the threshold",
            "only scores above the threshold are candidates: >",
            lambda rng: [
                case(
                    [np.array([[0.0], [1], [-1], [-2]])],
                    [STILL],
                    [ANCHORS],
                    SIZE,
                    PostprocessConfig(score_threshold=0.5),
                )
            ],
        ),
        Check(
            "at most max_detections",
            "after the suppression, the best max_detections of the image are left",
            lambda rng: [
                case([LONELY], [STILL], [ANCHORS], SIZE, PostprocessConfig(max_detections=1)),
                _outputs(rng, 2, PostprocessConfig(max_detections=5)),
            ],
        ),
        Check(
            "boxes across the border",
            "clip the boxes to the image, image_size is (height, width)",
            lambda rng: [case([np.array([[-9.0], [-9], [-9], [1]])], [STILL], [ANCHORS], SIZE, PAPER)],
        ),
        Check(
            "order of the steps",
            "decode, clip, then suppress (clipped boxes overlap more), and only then cut to max_detections",
            lambda rng: [
                case(
                    [np.array([[3.0], [2], [1]])],
                    [np.zeros((3, 4))],
                    [np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])],
                    SIZE,
                    PostprocessConfig(max_detections=2),
                ),
                case(
                    [np.array([[3.0], [2]])],
                    [np.zeros((2, 4))],
                    [np.array([[40.0, 10, 56, 20], [40, 10, 80, 20]])],
                    SIZE,
                    PAPER,
                ),
                case(
                    [np.array([[3.0], [2], [1]])],
                    [np.zeros((3, 4))],
                    [np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]])],
                    SIZE,
                    PostprocessConfig(max_per_level=2),
                ),
                case([np.array([[3.0]])], [np.zeros((1, 4))], [np.array([[60.0, 10, 70, 20]])], SIZE, PAPER),
            ],
        ),
        Check(
            "equal logits",
            "of equal logits the first in the order level, anchor, class goes first: sort stably by -logits",
            lambda rng: [
                case([np.ones((2, 2))], [np.zeros((2, 4))], [ANCHORS[:2]], SIZE, PAPER),
                case([np.ones((4, 3))], [STILL], [ANCHORS], SIZE, PostprocessConfig(max_per_level=4)),
                case([np.ones((2, 2))] * 2, [np.zeros((2, 4))] * 2, [ANCHORS[:2], ANCHORS[2:]], (90, 90), PAPER),
            ],
        ),
        Check(
            "other settings",
            "score_threshold, max_per_level, iou_threshold and max_detections come from the configuration",
            lambda rng: [
                _outputs(rng, 1, PostprocessConfig(0.3, 1000, 0.5, 100)),
                _outputs(rng, 1, PostprocessConfig(0.05, 1000, 0.2, 100)),
                _outputs(rng, 1, PostprocessConfig(0.0, 1000, 0.8, 100)),
                _outputs(rng, 2, PostprocessConfig(0.01, 3, 0.6, 7)),
            ],
        ),
        Check(
            "saturated scores",
            "rank by the logits: sigmoids of large logits are all 1 in floating point",
            lambda rng: [case([np.array([[40.0], [-9], [1], [60]])], [STILL], [ANCHORS], SIZE, PAPER)],
        ),
        Check(
            "nothing found",
            "nothing above the threshold, or no anchors, give Detections of length 0",
            lambda rng: [
                case([np.full((4, 2), -9.0)], [STILL], [ANCHORS], SIZE, PAPER),
                case([np.zeros((0, 2))], [NONE], [NONE], SIZE, PAPER),
            ],
            apart=True,
        ),
        Check(
            "type of the result",
            "Detections(boxes, scores, classes) is expected: boxes in the type of the offsets, scores in that of the "
            "logits, classes int64; decide in float64",
            lambda rng: [one := _outputs(rng, 1, PAPER), narrow(one)],
            "type",
        ),
        Check(
            "arguments left alone",
            "your function changes the arrays that it was given: work on a copy",
            lambda rng: [_outputs(rng, 2, PAPER)],
            "input",
        ),
    ),
    (
        Mistake("only scores above the threshold are candidates: >, not >=", lambda *a: _post(*a, equal=True)),
        Mistake("your NMS compares across classes: suppress class by class", lambda *a: _post(*a, across=True)),
        Mistake(
            "an anchor may be a candidate for several classes: you keep only its best one",
            lambda *a: _post(*a, one_class=True),
        ),
        Mistake("the boxes are not clipped to the image", lambda *a: _post(*a, clip=False)),
        Mistake(
            "image_size is (height, width): you clip x at the height",
            lambda x, t, a, size, config: _post(x, t, a, size[::-1], config),
        ),
        Mistake("the detections are expected best score first", lambda *a: _post(*a, order=False)),
        Mistake(
            "scores are sigmoids, one for each class by itself: yours are a softmax", lambda *a: _post(*a, softmax=True)
        ),
        Mistake("the scores are still logits: give their sigmoids", lambda *a: _post(*a, raw=True)),
        Mistake(
            "max_per_level is for each level: you apply it to all levels together", lambda *a: _post(*a, limit="all")
        ),
        Mistake(
            "max_per_level is not applied: at most so many of the best candidates of each level",
            lambda *a: _post(*a, limit="none"),
        ),
        Mistake("max_detections is not applied", lambda *a: _post(*a, cut=False)),
        Mistake("the offsets are not applied: decode them with the anchors", lambda *a: _post(*a, decode=False)),
        Mistake("overlapping boxes of a class are still there: suppress them", lambda *a: _post(*a, suppress=False)),
        Mistake(
            "rank by the logits: sigmoids of large logits are all 1 in floating point", lambda *a: _post(*a, by="score")
        ),
        Mistake(
            "max_detections comes last: you cut before the suppression, so too few are left",
            lambda *a: _post(*a, early_cut=True),
        ),
        Mistake(
            "clip before the suppression, not after it: clipped boxes overlap more",
            lambda *a: _post(*a, late_clip=True),
        ),
        Mistake(
            "max_per_level comes before the suppression: you suppress within each level first",
            lambda *a: _post(*a, early_nms=True),
        ),
        Mistake(
            "of equal logits the first goes first: a reversed argsort turns them round",
            lambda *a: _post(*a, ties="last"),
        ),
        Mistake(
            "of equal logits the order is level, anchor, class: yours is level, class, anchor",
            lambda *a: _post(*a, ties="classes first"),
        ),
        Mistake(
            "the suppression's threshold is config.iou_threshold, not the score's",
            lambda x, t, a, size, config: _post(x, t, a, size, replace(config, iou_threshold=config.score_threshold)),
        ),
        Mistake(
            "of each level the best max_per_level are expected: you take the worst", lambda *a: _post(*a, ties="worst")
        ),
        Mistake(
            "the levels belong together in the end: you give one of them",
            lambda x, t, a, size, config: _post(x[:1], t[:1], a[:1], size, config),
        ),
        Mistake("score_threshold is not applied", lambda *a: _post(*a, no_threshold=True)),
        Mistake(
            "score_threshold is a probability: compare it with the sigmoids, not with the logits",
            lambda *a: _post(*a, on_logits=True),
        ),
        Mistake(
            "a box outside the image becomes one of no area and stays: you drop it", lambda *a: _post(*a, drop=True)
        ),
    ),
    sample=lambda rng: _outputs(rng, 2, PostprocessConfig(0.05, 10, 0.4, 12)),
    note="Scores are in the floating type of the logits, boxes in that of the offsets; decide in float64.",
    order="best score first; of equal logits in the order level, anchor, class",
    example="my.postprocess([np.array([[2.0], [-1.0]])], [np.zeros((2, 4))], [np.array([[0.0, 0, 10, 10], [20, "
    "20, 40, 40]])], (50, 50), PostprocessConfig())",
)

EXERCISES = (MATCH, CURVE, AP, POSTPROCESS)
