"""Beyond AP: which score to draw from, which classes are taken for which, and what the worst mistakes are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minidet.compiled import box_iou
from minidet.data import Dataset
from minidet.evaluation.detector import model_classes
from minidet.structures import Categories, Detections

IOU = 0.5
"""From this IoU on a detection is at the place of an object, as in AP50."""
_NEAR = 0.1  # from this IoU on a detection is about an object, though badly placed


class Threshold(NamedTuple):
    """Where a class is found best: the score with the highest F1."""

    score: float
    """In [0, 1]; detections from it on are kept."""
    f1: float
    """Harmonic mean of precision and recall."""
    precision: float
    """Part of the kept detections that are right."""
    recall: float
    """Part of the objects that are found."""


class Mistake(NamedTuple):
    """One detection that is wrong, or one object that is not found."""

    image: int
    """Index in the data set."""
    box: np.ndarray
    """(4,) pixels of the stored image."""
    says: str
    """What is wrong, in a few words."""
    weight: float
    """The detection's score; of an object 1 minus the highest score at its place."""


def best_thresholds(found: Sequence[Detections], dataset: Dataset, categories: Categories) -> list[Threshold]:
    """For each class the score from which on its detections have the best F1 at an IoU of 0.5.

    Args:
        found: one Detections per image of the data set, best score first, boxes in pixels of the stored images.
        dataset: the ground truth.
        categories: (K,) classes of the detections.

    Returns:
        (K,) thresholds; of a class without objects or without right detections 0.5 with an F1 of 0. Among equals the
        highest score.
    """
    label = model_classes(dataset, categories)
    scores: list[list[float]] = [[] for _ in categories.names]
    right: list[list[bool]] = [[] for _ in categories.names]
    objects = np.zeros(len(categories.names), np.int64)
    for i, (boxes, values, classes) in enumerate(found):
        record = dataset.record(i)
        true = np.array([label[k] for k in record.classes.tolist()], np.int64)
        for k in range(len(categories.names)):
            own, truth = classes == k, true == k
            objects[k] += np.count_nonzero(truth & ~record.ignore)
            matched = _matched(boxes[own], record.boxes[truth], record.ignore[truth])
            counted = matched != -2
            scores[k] += values[own][counted].tolist()
            right[k] += (matched[counted] >= 0).tolist()
    return [_best(*columns) for columns in zip(scores, right, objects.tolist(), strict=True)]


def confusion_matrix(
    found: Sequence[Detections], dataset: Dataset, categories: Categories, thresholds: Sequence[float]
) -> np.ndarray:
    """How often an object of each class is detected as each class, at an IoU of 0.5.

    Detections are first matched with objects of their own class, the best scores first, then with the objects that are
    left. Objects to ignore, and detections at their places, are not counted.

    Args:
        found: one Detections per image, best score first.
        dataset: the ground truth.
        categories: (K,) classes of the detections.
        thresholds: (K,) scores from which on detections count.

    Returns:
        (K + 1, K + 1) int64. Row: the class of the object, the last one for none (false positives). Column: the class
        of the detection, the last one for none (misses).
    """
    count = len(categories.names)
    matrix = np.zeros((count + 1, count + 1), np.int64)
    for image in _images(found, dataset, categories, thresholds):
        for k, j in zip(image.kept.classes.tolist(), image.matched.tolist(), strict=True):
            if j != -2:
                matrix[image.true[j] if j >= 0 else count, k] += 1
        for j in image.missed:
            matrix[image.true[j], count] += 1
    return matrix


def worst_mistakes(
    found: Sequence[Detections], dataset: Dataset, categories: Categories, thresholds: Sequence[float], most: int = 12
) -> list[Mistake]:
    """The mistakes of which the detector is surest: wrong detections of high scores, objects that get none.

    Args:
        found: one Detections per image, best score first.
        dataset: the ground truth.
        categories: (K,) classes of the detections.
        thresholds: (K,) scores from which on detections count.
        most: how many at most; half of the places are for objects that are missed, as far as there are any.

    Returns:
        The mistakes, detections first, each kind with the worst first.
    """
    wrong, missed = list[Mistake](), list[Mistake]()
    names = categories.names
    for i, image in enumerate(_images(found, dataset, categories, thresholds)):
        every, _, classes = found[i]
        overlap = box_iou(image.kept.boxes, image.boxes)  # (D, M)
        for d, (k, j) in enumerate(zip(image.kept.classes.tolist(), image.matched.tolist(), strict=True)):
            if j == -2 or (j >= 0 and image.true[j] == k):
                continue
            near = overlap[d] * (image.true == k)
            what = (
                f"is {names[image.true[j]]}" if j >= 0
                else "found twice" if near.max(initial=0) >= IOU
                else "badly placed" if near.max(initial=0) >= _NEAR
                else "nothing there"
            )  # fmt: skip
            score = float(image.kept.scores[d])
            wrong.append(Mistake(i, image.kept.boxes[d], f"{names[k]} {score:.2f}: {what}", score))
        for j in image.missed:
            at = (box_iou(every, image.boxes[j : j + 1])[:, 0] >= IOU) & (classes == image.true[j])
            score = float(found[i].scores[at].max(initial=0))
            says = f"{names[image.true[j]]} missed (score {score:.2f})"
            missed.append(Mistake(i, image.boxes[j], says, 1 - score))
    for kind in (wrong, missed):
        kind.sort(key=lambda mistake: -mistake.weight)
    of_missed = min(len(missed), max(most // 2, most - len(wrong)))
    return wrong[: most - of_missed] + missed[:of_missed]


class _Image(NamedTuple):
    kept: Detections
    """The detections that count."""
    boxes: np.ndarray
    """(M, 4) of the objects."""
    true: np.ndarray
    """(M,) the model's class of each object."""
    matched: np.ndarray
    """(D,) the object that each detection is at, -1 for none, -2 for one to be ignored."""
    missed: list[int]
    """Objects that no detection is at."""


def _images(
    found: Sequence[Detections], dataset: Dataset, categories: Categories, thresholds: Sequence[float]
) -> list[_Image]:
    label, least = model_classes(dataset, categories), np.array(thresholds)
    images = []
    for i, detections in enumerate(found):
        record = dataset.record(i)
        high = detections.scores >= least[detections.classes]
        kept = Detections(*(column[high] for column in detections))
        true = np.array([label[k] for k in record.classes.tolist()], np.int64)
        matched = np.full(len(kept.scores), -1)
        same = kept.classes[:, None] == true  # (D, M)
        overlap = box_iou(kept.boxes, record.boxes)
        for allowed in (same & ~record.ignore, np.broadcast_to(~record.ignore, same.shape)):
            for d in np.flatnonzero(matched == -1):
                free = allowed[d] & ~np.isin(np.arange(len(true)), matched)
                j = int((overlap[d] * free).argmax()) if len(true) else -1
                if j >= 0 and free[j] and overlap[d, j] >= IOU:
                    matched[d] = j
        ignored = (overlap * record.ignore).max(1, initial=0) >= IOU
        matched[(matched == -1) & ignored] = -2
        missed = [j for j in np.flatnonzero(~record.ignore).tolist() if j not in matched]
        images.append(_Image(kept, record.boxes, true, matched, missed))
    return images


def _matched(boxes: np.ndarray, truth: np.ndarray, ignore: np.ndarray) -> np.ndarray:
    """(D,) for detections of one class, best first, the object that each is at: -1 none, -2 one to be ignored."""
    overlap = box_iou(boxes, truth)
    matched = np.full(len(boxes), -1)
    free = ~ignore
    for d in range(len(boxes)):
        if len(truth):
            j = int((overlap[d] * free).argmax())
            if free[j] and overlap[d, j] >= IOU:
                matched[d], free[j] = j, False
            elif (overlap[d] * ignore).max() >= IOU:
                matched[d] = -2
    return matched


def _best(scores: list[float], right: list[bool], objects: int) -> Threshold:
    """The threshold with the best F1 of a class's detections in all images."""
    order = np.argsort(-np.array(scores), kind="stable")
    hits = np.cumsum(np.array(right, bool)[order])
    if not objects or not hits.size or not hits[-1]:
        return Threshold(0.5, 0.0, 0.0, 0.0)
    values = np.array(scores)[order]
    kept = np.arange(1, len(hits) + 1)
    f1 = 2 * hits / (kept + objects)  # 2 TP / (2 TP + FP + FN)
    f1[:-1][values[:-1] == values[1:]] = 0  # equal scores are kept or dropped together
    i = int(f1.argmax())
    return Threshold(float(values[i]), float(f1[i]), float(hits[i] / kept[i]), float(hits[i] / objects))
