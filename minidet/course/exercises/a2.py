"""a2: assignment and non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet import reference
from minidet.course.check import Check, Exercise, Mistake, case
from minidet.course.exercises.inputs import NONE, boxes, defaults, distinct, usual

INDICES = "indices are int64"
SQUARE = np.array([[0.0, 0, 10, 10]])


# ---- assign_anchors


def _assign(
    anchors: np.ndarray, gt: np.ndarray, positive: float = 0.5, negative: float = 0.4, force: bool = False,
    *, strict: bool = False, loose: bool = False, last: bool = False, labels: tuple[int, int] = (-1, -2),
    forcing: str = "ties", own: bool = True,
) -> np.ndarray:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    iou = reference.box_iou(anchors, gt)
    best = iou.max(axis=1)
    matched = len(gt) - 1 - iou[:, ::-1].argmax(axis=1) if last else iou.argmax(axis=1)
    is_positive = best > positive if strict else best >= positive
    is_negative = best <= negative if loose else best < negative
    result = np.where(is_positive, matched, np.where(is_negative, *labels))
    if force and forcing != "never":
        top = iou.max(axis=0)
        wanted = (iou == top) & ((top > 0) | (forcing == "any"))
        if forcing == "first":
            wanted = (np.arange(len(anchors))[:, None] == iou.argmax(axis=0)) & (top > 0)
        if forcing == "not background":
            wanted &= best[:, None] >= negative
        for g in range(len(gt)):
            result[wanted[:, g]] = matched[wanted[:, g]] if own else g
    return result


def _assign_best_anchor(anchors: np.ndarray, gt: np.ndarray, *_: Any) -> np.ndarray:
    """Each ground-truth box takes the one anchor that fits best."""
    iou = reference.box_iou(anchors, gt)
    result = np.full(len(anchors), -1)
    result[iou.argmax(axis=0)] = np.arange(len(gt))
    return result


THREE = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 3]])
HALF, TWO_FIFTHS = np.array([[0.0, 0, 10, 5]]), np.array([[0.0, 0, 10, 4]])
FAR = np.array([[0.0, 0, 10, 3], [1, 0, 11, 3], [50, 50, 60, 60]])


def _anchors(rng: np.random.Generator) -> Any:
    gt = boxes(rng, 3)
    near = (
        gt[rng.integers(0, 3, 12)]
        + rng.uniform(-7, 3, (12, 4)) * [1, 1, 0, 0]
        + rng.uniform(0, 6, (12, 4)) * [0, 0, 1, 1]
    )
    return near.round(1), gt


RULE = "IoU >= positive_iou: the index of the box; IoU < negative_iou: -1; in between: -2"
TIES = "of equal IoUs the box of the lowest index wins"
FORCE = "force_match also assigns every anchor that reaches a box's best IoU, ties included, where that IoU is above 0"
ASSIGN = Exercise(
    reference.assign_anchors,
    40,
    (
        Check(
            "clear cases",
            RULE,
            lambda rng: [
                case(SQUARE, SQUARE),
                case(SQUARE, SQUARE + 30),
                case(THREE, SQUARE),
                case(THREE, np.array([[70.0, 0, 80, 10], [0, 0, 10, 10]])),
                case(*_anchors(rng)),
                case(*_anchors(rng), 0.7, 0.3),
            ],
            essential=True,
        ),
        Check(
            "IoU equal to a threshold",
            f"a threshold belongs to the upper side. {RULE}",
            lambda rng: [case(SQUARE, HALF), case(SQUARE, TWO_FIFTHS), case(SQUARE, HALF, 0.7, 0.5)],
        ),
        Check(
            "equal IoUs",
            TIES,
            lambda rng: [
                case(SQUARE, np.tile(SQUARE, (2, 1))),
                case(np.tile(SQUARE, (2, 1)), np.array([[0.0, 0, 10, 6], [0, 4, 10, 10], [0, 0, 6, 10]])),
            ],
        ),
        Check(
            "forced matches",
            f"{FORCE}; the anchor goes to the box that it overlaps most itself",
            lambda rng: [
                case(THREE[2:], SQUARE, 0.5, 0.4, True),
                case(np.array([[0.0, 0, 4, 10], [6, 0, 10, 10]]), SQUARE, 0.5, 0.4, True),
                case(FAR, np.array([[0.0, 0, 10, 10], [80, 80, 90, 90]]), 0.5, 0.4, True),
                case(SQUARE, np.array([[0.0, 0, 10, 3], [0, 0, 10, 9]]), 0.5, 0.4, True),
                case(SQUARE, np.array([[0.0, 0, 10, 9], [0, 0, 10, 3]]), 0.5, 0.4, True),
                case(np.array([[0.0, 0, 10, 10], [0, 0, 10, 2], [40, 0, 50, 10]]), SQUARE, 0.5, 0.4, True),
                case(*_anchors(rng), 0.9, 0.2, True),
            ],
        ),
        Check(
            "boxes of no area",
            "a box of no area overlaps nothing: nothing is assigned to it, not even by force",
            lambda rng: [
                case(SQUARE, np.array([[5.0, 5, 5, 5]])),
                case(THREE, np.array([[5.0, 5, 5, 9]]), 0.5, 0.4, True),
            ],
        ),
        *usual(
            lambda rng: case(*_anchors(rng)),
            lambda: [case(NONE, NONE), case(SQUARE, NONE), case(NONE, SQUARE), case(NONE, SQUARE, 0.5, 0.4, True)],
            "without ground-truth boxes every anchor is background (-1); the maximum over no boxes is an error",
            INDICES,
        ),
        defaults(lambda rng: [case(SQUARE, np.array([[0.0, 0, 10, h]])) for h in (3.5, 4.5, 5.5, 6.5)]),
    ),
    (
        Mistake("positive means IoU >= positive_iou: yours is >", lambda *a: _assign(*a, strict=True)),
        Mistake("background means IoU < negative_iou: yours is <=", lambda *a: _assign(*a, loose=True)),
        Mistake(
            "-1 is background and -2 ignored: you have them the other way round",
            lambda *a: _assign(*a, labels=(-2, -1)),
        ),
        Mistake("background is -1: 0 is the first ground-truth box", lambda *a: _assign(*a, labels=(0, -2))),
        Mistake("between the thresholds an anchor is ignored, -2", lambda *a: _assign(*a, labels=(-1, -1))),
        Mistake(
            "each anchor looks for its box: you look for the best anchor of each box (the other axis)",
            _assign_best_anchor,
        ),
        Mistake(f"{TIES}: with you the last one does", lambda *a: _assign(*a, last=True)),
        Mistake("force_match does nothing yet", lambda *a: _assign(*a, forcing="never")),
        Mistake(
            "forced matches include ties: every anchor that reaches a box's best IoU, argmax finds only the first",
            lambda *a: _assign(*a, forcing="first"),
        ),
        Mistake(
            "a box that no anchor touches has a best IoU of 0: it forces nothing", lambda *a: _assign(*a, forcing="any")
        ),
        Mistake(
            "a forced anchor goes to the box that it overlaps most itself, not to the box that forced it",
            lambda *a: _assign(*a, own=False),
        ),
        Mistake(
            "force_match reaches anchors below negative_iou as well, as long as their IoU is above 0",
            lambda *a: _assign(*a, forcing="not background"),
        ),
        Mistake(
            "an anchor between the thresholds is ignored: only force_match makes it positive",
            lambda a, g, p=0.5, n=0.4, f=False: _assign(a, g, n, n, f),
        ),
        Mistake(
            "the index of the box is expected, counted from 0: you count from 1",
            lambda *a: np.where((r := _assign(*a)) >= 0, r + 1, r),
        ),
        Mistake(
            "positive anchors carry the index of their box: with you all carry 1",
            lambda *a: np.where((r := _assign(*a)) >= 0, 1, r),
        ),
    ),
    sample=lambda rng: case(*_anchors(rng)),
    rows=((0,), (1,)),
    example="my.assign_anchors(np.array([[0.0, 0, 10, 10], [0, 0, 10, 4.5], [0, 0, 10, 3]]), np.array([[0.0, 0, "
    "10, 9]]))",
)


# ---- nms


def _nms(
    b: np.ndarray, scores: np.ndarray, threshold: float = 0.5, *, equal: bool = False, dropped_drop: bool = False,
    order: str = "best", more: float = 0, repeat: bool = True, over: str = "union", ranks_only: bool = False,
) -> np.ndarray:  # fmt: skip
    """Suppression with the choices that a mistake changes."""
    low, high = np.maximum(b[:, None, :2], b[None, :, :2]), np.minimum(b[:, None, 2:], b[None, :, 2:])
    inside = np.prod(np.maximum(high - low + more, 0), axis=2)
    area = np.prod(b[:, 2:] - b[:, :2] + more, axis=1)
    whole = {
        "union": area[:, None] + area - inside,
        "smaller": np.minimum(area[:, None], area),
        "sum": area[:, None] + area,
    }
    iou = inside / whole[over]
    conflict = iou >= threshold if equal else iou > threshold
    ranks = {
        "best": np.argsort(-scores, kind="stable"), "reversed": np.argsort(scores, kind="stable")[::-1],
        "worst": np.argsort(scores, kind="stable"), "given": np.arange(len(scores)),
    }  # fmt: skip
    keep: list[int] = []
    gone = np.zeros(len(b), bool)
    for i in ranks[order]:
        if not gone[i]:
            keep.append(int(np.flatnonzero(ranks[order] == i)[0]) if ranks_only else int(i))
        if not gone[i] or dropped_drop:
            gone |= conflict[i] & (np.arange(len(b)) != i)
        if not repeat:
            break
    return np.array(keep, np.int64)


def _nms_in_order(b: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return np.sort(_nms(b, scores, threshold))


def _nms_mask(b: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return np.isin(np.arange(len(b)), _nms(b, scores, threshold))


def _nms_never(b: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return np.argsort(-scores, kind="stable")


def _nms_dropped(b: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    return np.setdiff1d(np.arange(len(b)), _nms(b, scores, threshold))


PAIR = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10]])
TRIO = np.concatenate([PAIR, [[20.0, 0, 30, 10]]])
LEVELS = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30]])
CHAIN = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])


def _crowd(rng: np.random.Generator, n: int, threshold: float = 0.5) -> Any:
    return case(boxes(rng, n, 30), distinct(rng, n), threshold)


NMS = Exercise(
    reference.nms,
    30,
    (
        Check(
            "few boxes",
            "keep the best box, drop all that overlap it by more than the threshold, repeat with what is left",
            lambda rng: [
                case(SQUARE, np.array([0.9])),
                case(PAIR, np.array([0.8, 0.9])),
                case(TRIO, np.array([0.8, 0.9, 0.5])),
                case(TRIO, np.array([0.3, 0.2, 0.9]), 0.9),
            ],
            essential=True,
        ),
        Check(
            "many boxes",
            "every box that overlaps a kept one by more than the threshold goes; the result holds indices of the "
            "input, best score first",
            lambda rng: [_crowd(rng, 5), _crowd(rng, 12, 0.3), _crowd(rng, 30, 0.6)],
            essential=True,
        ),
        Check(
            "chains",
            "a box that was dropped drops nothing: only kept boxes do",
            lambda rng: [case(CHAIN, np.array([0.9, 0.8, 0.7]), 0.4), case(CHAIN, np.array([0.7, 0.8, 0.9]), 0.4)],
        ),
        Check(
            "IoU equal to the threshold",
            "a box goes when its IoU is above the threshold, and stays when it is equal",
            lambda rng: [case(LEVELS, np.array([0.9, 0.8, 0.7])), case(PAIR * 0 + SQUARE, np.array([0.9, 0.8]), 1.0)],
        ),
        Check(
            "equal scores",
            "of equal scores the lower index goes first: sort stably by -scores",
            lambda rng: [
                case(PAIR, np.array([0.5, 0.5])),
                case(TRIO, np.array([0.5, 0.5, 0.5])),
                case(np.tile(SQUARE, (20, 1)), np.ones(20)),
            ],
        ),
        Check(
            "boxes of no area",
            "their IoU with every box is 0: they are kept",
            lambda rng: [
                case(PAIR * 0, np.array([0.5, 0.4])),
                case(np.array([[0.0, 0, 10, 10], [2, 2, 2, 8]]), np.array([0.5, 0.4]), 0.0),
            ],
        ),
        *usual(
            lambda rng: _crowd(rng, 6),
            lambda: [case(NONE, np.zeros(0))],
            "no boxes give an array of length 0 and type int64",
            INDICES,
        ),
        defaults(
            lambda rng: [
                case(np.array([[0.0, 0, 10, 10], [0, 0, 10, h]]), np.array([0.9, 0.8])) for h in (3.5, 4.5, 5.5, 6.5)
            ]
        ),
    ),
    (
        Mistake(
            "a box whose IoU equals the threshold stays: drop with >, not with >=", lambda *a: _nms(*a, equal=True)
        ),
        Mistake("a dropped box drops nothing: yours still suppresses others", lambda *a: _nms(*a, dropped_drop=True)),
        Mistake("the best score goes first: you begin with the worst", lambda *a: _nms(*a, order="worst")),
        Mistake("you take the boxes as they come: the best score goes first", lambda *a: _nms(*a, order="given")),
        Mistake(
            "of equal scores the lower index goes first: a reversed argsort turns them round",
            lambda *a: _nms(*a, order="reversed"),
        ),
        Mistake("the kept indices are expected best score first: yours are in the order of the input", _nms_in_order),
        Mistake("indices of the kept boxes are expected, not a mask", _nms_mask),
        Mistake("your IoU adds a pixel to the sides: a width is x2 - x1", lambda *a: _nms(*a, more=1)),
        Mistake("you stop after the first box: repeat with what is left", lambda *a: _nms(*a, repeat=False)),
        Mistake(
            "the indices are those of the sorted boxes: map them back to the input",
            lambda *a: _nms(*a, ranks_only=True),
        ),
        Mistake(
            "overlap is measured by IoU: you divide the intersection by the smaller box",
            lambda *a: _nms(*a, over="smaller"),
        ),
        Mistake(
            "the union is a + b - intersection: yours counts the intersection twice", lambda *a: _nms(*a, over="sum")
        ),
        Mistake(
            "the indices of the input are expected: yours count the boxes that are kept",
            lambda *a: np.arange(len(_nms(*a))),
        ),
        Mistake("nothing is suppressed: all that overlap a kept box by more than the threshold go", _nms_never),
        Mistake("the kept boxes are expected, not those that are dropped", _nms_dropped),
    ),
    sample=lambda rng: _crowd(rng, 12),
    order="best score first; of equal scores the lower index first",
    rows=((0, 1),),
    example="my.nms(np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]]), np.array([0.8, 0.9, 0.5]))",
)


# ---- batched_nms


def _by_class(
    b: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float = 0.5, *, local: bool = False
) -> np.ndarray:
    """The classes one after the other."""
    parts = [np.zeros(0, np.int64)]
    for k in np.unique(classes):
        members = np.flatnonzero(classes == k)
        keep = reference.nms(b[members], scores[members], threshold)
        parts.append(keep if local else members[keep])
    return np.concatenate(parts)


def _shifted(b: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Classes moved apart by the largest coordinate."""
    return reference.nms(b + classes[:, None] * b.max(), scores, threshold)


def _best_of_class(b: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    best = [np.flatnonzero(classes == k)[scores[classes == k].argmax()] for k in np.unique(classes)]
    return np.array(sorted(sorted(best), key=lambda i: -scores[i]), np.int64)


def _by_class_stable(b: np.ndarray, scores: np.ndarray, classes: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    keep = _by_class(b, scores, classes, threshold)
    return keep[np.argsort(-scores[keep], kind="stable")]


def _crowd_of_classes(rng: np.random.Generator, n: int) -> Any:
    return case(boxes(rng, n, 30), distinct(rng, n), rng.integers(0, 3, n), 0.4)


BATCHED = Exercise(
    reference.batched_nms,
    30,
    (
        Check(
            "one class",
            "with one class it is nms: best score first, and what overlaps a kept box too much goes",
            lambda rng: [case(TRIO, np.array([0.8, 0.9, 0.5]), np.zeros(3, int))],
            essential=True,
        ),
        Check(
            "several classes",
            "a box is never suppressed by one of another class, and the result holds indices of the whole input, "
            "best score first",
            lambda rng: [
                case(PAIR, np.array([0.8, 0.9]), np.array([0, 1])),
                case(TRIO, np.array([0.8, 0.9, 0.5]), np.array([1, 1, 0])),
                case(TRIO, np.array([0.5, 0.4, 0.9]), np.array([0, 1, 1])),
                _crowd_of_classes(rng, 8),
                _crowd_of_classes(rng, 30),
            ],
            essential=True,
        ),
        Check(
            "negative coordinates",
            "boxes may lie left of or above the image: moving classes apart by the largest coordinate is not "
            "enough for them",
            lambda rng: [
                case(
                    np.array([[-9.0, -9, 1, 1], [-19, -19, -9, -9], [-8, -8, 2, 2]]),
                    np.array([0.9, 0.8, 0.7]),
                    np.array([1, 0, 0]),
                    0.3,
                ),
                case(
                    np.array([[-20.0, -20, -10, -10], [-30, -30, -20, -20], [-21, -21, -11, -11]]),
                    np.array([0.9, 0.8, 0.7]),
                    np.array([0, 1, 1]),
                    0.5,
                ),
            ],
        ),
        Check(
            "equal scores",
            "of equal scores the lower index goes first, whatever its class",
            lambda rng: [
                case(PAIR, np.array([0.5, 0.5]), np.array([1, 0])),
                case(np.tile(SQUARE, (20, 1)), np.ones(20), np.tile([1, 0, 3, 2], 5)),
            ],
        ),
        *usual(
            lambda rng: _crowd_of_classes(rng, 8),
            lambda: [case(NONE, np.zeros(0), np.zeros(0, int))],
            "no boxes give an array of length 0 and type int64",
            INDICES,
        ),
        defaults(
            lambda rng: [
                case(np.array([[0.0, 0, 10, 10], [0, 0, 10, h]]), np.array([0.9, 0.8]), np.array([2, 2]))
                for h in (3.5, 4.5, 5.5, 6.5)
            ]
        ),
    ),
    (
        Mistake(
            "your NMS compares across classes: a box is never suppressed by one of another class",
            lambda b, s, c, t=0.5: reference.nms(b, s, t),
        ),
        Mistake(
            "the indices count within each class: map them back to the whole input",
            lambda *a: _by_class(*a, local=True),
        ),
        Mistake(
            "the kept indices are expected best score first over all classes: yours are class after class", _by_class
        ),
        Mistake(
            "classes moved apart by the largest coordinate still meet where coordinates are negative: "
            "use the extent, max - min, and a margin",
            _shifted,
        ),
        Mistake(
            "within a class the best score goes first: yours begins with the worst",
            lambda b, s, c, t=0.5: (k := reference.batched_nms(b, -s, c, t))[np.lexsort((k, -s[k]))],
        ),
        Mistake(
            "the best of each class is not all: several boxes of a class stay where they do not overlap",
            _best_of_class,
        ),
        Mistake(
            "of equal scores the lower index goes first over all classes: yours go class by class", _by_class_stable
        ),
        Mistake(
            "the kept indices are expected best score first: yours are in the order of the input",
            lambda *a: np.sort(reference.batched_nms(*a)),
        ),
    ),
    sample=lambda rng: _crowd_of_classes(rng, 12),
    order="best score first over all classes; of equal scores the lower index first",
    rows=((0, 1, 2),),
    example="my.batched_nms(np.array([[0.0, 0, 10, 10], [1, 0, 11, 10]]), np.array([0.8, 0.9]), np.array([0, 1]))",
)

EXERCISES = (ASSIGN, NMS, BATCHED)
