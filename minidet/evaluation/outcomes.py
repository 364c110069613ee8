"""What becomes of every detection: the part of COCO's evaluation that looks at single images."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from minidet.compiled.jit import threads
from minidet.evaluation.matching import match
from minidet.evaluation.reading import Found, Objects, read_detections, read_ground_truth

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # (T,); as pycocotools has them: 0.9 is 0.8999999999999999
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)  # (R,)
AREA_RANGES = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])  # (A, 2) pixels²; all, small, …
MAX_DETECTIONS = np.array([1, 10, 100])  # (M,) per image and class
_MANY = 1 << 16  # rows that are worth another thread
for _constant in (IOU_THRESHOLDS, RECALL_THRESHOLDS, AREA_RANGES, MAX_DETECTIONS):
    _constant.setflags(write=False)


class Matched(NamedTuple):
    """What became of D detections, and which of G objects count; T, A and K as in `Evaluation`, I images."""

    category_ids: np.ndarray
    """(K,) int64, ascending."""
    right: np.ndarray
    """(A, D) uint16, bit t: a true positive at threshold t, see `match`."""
    ignored: np.ndarray
    """(A, D) uint16, bit t: ignored at threshold t."""
    by_score: np.ndarray
    """(D,) indices of the detections by class, then score, the best first."""
    score: np.ndarray
    """(D,) their scores, in that order."""
    rank: np.ndarray
    """(D,) place of a detection among those of its class in its image, from 0."""
    bounds: np.ndarray
    """(K + 1,) class k has the detections ``by_score[bounds[k]:bounds[k + 1]]``."""
    image: np.ndarray
    """(D,) number of each detection's image, from 0 to I - 1."""
    object_image: np.ndarray
    """(G,) number of each object's image."""
    object_class: np.ndarray
    """(G,) number of each object's class, from 0 to K - 1."""
    counted: np.ndarray
    """(A, G) bool, which objects have to be found."""
    images: int
    """I."""

    def objects(self, times: np.ndarray | None = None) -> np.ndarray:
        """How many objects count.

        Args:
            times: (I,) how often each image is there; None: once.

        Returns:
            (K, A) int64.
        """
        weight = np.ones(len(self.object_image), np.int64) if times is None else times[self.object_image]
        count = [np.bincount(self.object_class, weight * one, len(self.category_ids)) for one in self.counted]
        return np.stack(count, axis=1).astype(np.int64)


def matched(ground_truth: Any, detections: Any) -> Matched:
    """COCO's matching in every image: the part of `evaluate` that looks at single images.

    Args:
        ground_truth: as in `coco_metrics`.
        detections: as in `coco_metrics`.

    Returns:
        What became of each detection.

    Raises:
        ValueError: as in `coco_metrics`.
    """
    truth = Truth.read(ground_truth)
    return joined(truth, [truth.judge(read_detections(detections, truth.images, truth.categories))])


def matched_in_parts(ground_truth: Any, parts: Iterable[Any]) -> Matched:
    """`matched` for detections that come in parts.

    Args:
        ground_truth: as in `evaluate_parts`.
        parts: as in `evaluate_parts`.

    Returns:
        What became of each detection.

    Raises:
        ValueError: as in `evaluate_parts`.
    """
    truth = Truth.read(ground_truth)
    seen = np.full(len(truth.images), -1)
    judged: list[Judged] = []
    if isinstance(parts, (str, os.PathLike)):
        raise ValueError(f"parts = {parts!r} is one file: give a list of files, or call evaluate")
    for part in parts:  # without enumerate, which would hold on to a part until there is a next one
        number = len(judged)
        try:
            found = read_detections(part, truth.images, truth.categories)
        except ValueError as error:
            raise ValueError(f"parts[{number}]: {error}") from None
        del part
        own = np.unique(found.image)
        if (seen[own] >= 0).any():
            image = own[seen[own] >= 0][0]
            raise ValueError(
                f"parts[{number}]: image_id = {truth.images[image]!r} is in parts[{seen[image]}] too: put all "
                "detections of an image into one part"
            )
        seen[own] = number
        judged.append(truth.judge(found))
        del found
    return joined(truth, judged or [truth.judge(read_detections([], truth.images, truth.categories))])


class Judged(NamedTuple):
    """What became of the detections of some images; by class, then image, then score, the best first."""

    right: np.ndarray
    """(A, D) as in `Matched`."""
    ignored: np.ndarray
    """(A, D) as in `Matched`."""
    rank: np.ndarray
    """(D,) int32, as in `Matched`."""
    score: np.ndarray
    """(D,) float64."""
    image: np.ndarray
    """(D,) int32 number of each detection's image."""
    category: np.ndarray
    """(D,) int32 number of each detection's class."""


class Truth(NamedTuple):
    """What is to be found."""

    images: list[int | str]
    """The ids of the images, ascending."""
    categories: list[int]
    """The ids of the classes, ascending."""
    objects: Objects
    """By class, then image."""

    @classmethod
    def read(cls, source: Any) -> Truth:
        """Read a COCO data set.

        Args:
            source: ``ground_truth`` as in `coco_metrics`.

        Raises:
            ValueError: as in `coco_metrics`.
        """
        images, categories, objects = read_ground_truth(source)
        order = _by_class_and_image(np.arange(len(objects.image)), objects)
        return cls(images, categories, objects.take(order))

    def judge(self, det: Found) -> Judged:
        """Match the detections of some images.

        Args:
            det: all detections of these images.
        """
        order = _by(det.category).astype(np.int32)

        def by_image(own: np.ndarray) -> np.ndarray:
            best_first = own[np.argsort(-det.score[own], kind="stable")]
            return best_first[_by(det.image[best_first])]

        _each_class(by_image, order, det.category, len(self.categories))
        images = np.int64(len(self.images))
        gt_key, key = (rows.category * images + rows.image for rows in (self.objects, det))
        key = key[order]  # one number per class and image
        start = np.flatnonzero(np.diff(key, prepend=-1))
        groups, size = key[start], np.diff(start, append=len(key))
        del key
        bounds = np.empty((len(start), 4), np.int32)
        bounds[:, 0], bounds[:, 1] = start, start + np.minimum(size, MAX_DETECTIONS[-1])
        bounds[:, 2], bounds[:, 3] = (np.searchsorted(gt_key, groups, side) for side in ("left", "right"))
        rank = np.arange(len(order), dtype=np.int32) - np.repeat(start.astype(np.int32), size)
        del start, groups, size
        gt = self.objects
        right, ignored = match(det.box, order, gt.box, gt.area, gt.crowd, bounds, IOU_THRESHOLDS, AREA_RANGES)
        return Judged(right, ignored, rank, *(column[order] for column in (det.score, det.image, det.category)))


def joined(truth: Truth, parts: Sequence[Judged]) -> Matched:
    """All detections together.

    Args:
        truth: what was to be found.
        parts: what became of detections; those of an image in one part.
    """
    part = parts[0]
    by_class = np.arange(len(part.score))
    if len(parts) > 1:
        part = Judged(*(np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True)))
        by_class = _by_class_and_image(np.arange(len(part.score)), part)

    def by_score(own: np.ndarray) -> np.ndarray:
        return own[np.argsort(-part.score[own], kind="stable")]  # of equal scores, the lower image comes first

    _each_class(by_score, by_class, part.category, len(truth.categories))
    gt = truth.objects
    low, high = AREA_RANGES.T[:, :, None]
    return Matched(
        np.array(truth.categories, np.int64),
        part.right, part.ignored, by_class, part.score[by_class], part.rank,
        np.append(0, np.cumsum(np.bincount(part.category, minlength=len(truth.categories)))),
        part.image, gt.image, gt.category, ~gt.crowd & (gt.area >= low) & (gt.area <= high), len(truth.images),
    )  # fmt: skip


def _by(indices: np.ndarray) -> np.ndarray:
    """A stable ascending order; numbers that fit in 16 bits are sorted by their digits, in proportional time."""
    small = len(indices) == 0 or indices.max() < 1 << 16
    return np.argsort(indices.astype(np.uint16) if small else indices, kind="stable")


def _each_class(sort: Callable[[np.ndarray], np.ndarray], order: np.ndarray, category: np.ndarray, count: int) -> None:
    """Sort the part of each class, which fits in a cache, in an order that goes by class; many rows on all cores."""

    def share(classes: list[np.ndarray]) -> None:
        for own in classes:
            own[:] = sort(own)

    classes = np.split(order, np.cumsum(np.bincount(category, minlength=count))[:-1]) if count else []
    cores = threads() if len(order) > _MANY else 1
    if cores == 1:
        share(classes)
        return
    with ThreadPoolExecutor(cores) as pool:
        parts = 4 * cores
        deque(pool.map(share, (classes[i::parts] for i in range(parts))), 0)  # raises what a thread has raised


def _by_class_and_image(order: np.ndarray, rows: Objects | Judged) -> np.ndarray:
    """The same rows by class, then image, and otherwise in the order that they had."""
    order = order[_by(rows.image[order])]
    return order[_by(rows.category[order])]
