"""What becomes of every detection: the part of COCO's evaluation that looks at single images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidet.evaluation.matching import match
from minidet.evaluation.reading import Rows, read

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # (T,); as pycocotools has them: 0.9 is 0.8999999999999999
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)  # (R,)
AREA_RANGES = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])  # (A, 2) pixels²; all, small, …
MAX_DETECTIONS = np.array([1, 10, 100])  # (M,) per image and class
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
    images, categories, gt, det = read(ground_truth, detections)
    gt = gt.take(_by_class_and_image(np.arange(len(gt.image)), gt))
    best_first = _by(det.image)
    best_first = best_first[np.argsort(-det.score[best_first], kind="stable")]  # equal scores: by image, then as listed
    by_class = best_first[_by(det.category[best_first])]
    order = _by_class_and_image(best_first, det)  # within class and image the best score comes first
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    score, by_class = det.score[by_class], place[by_class]

    gt_key, key = (rows.category * len(images) + rows.image for rows in (gt, det))  # one number per class and image
    key = key[order]
    start = np.flatnonzero(np.diff(key, prepend=-1))
    groups, size = key[start], np.diff(start, append=len(key))
    bounds = np.stack([
        start, start + np.minimum(size, MAX_DETECTIONS[-1]),
        np.searchsorted(gt_key, groups, "left"), np.searchsorted(gt_key, groups, "right"),
    ], axis=1)  # fmt: skip  # (groups, 4)
    box, area, image = det.box[order], det.area[order], det.image[order]
    classes = np.bincount(det.category, minlength=len(categories))
    del det, best_first, order, place, key  # which for half a million detections are 50 MB
    right, ignored = match(box, area, gt.box, gt.area, gt.crowd, bounds, IOU_THRESHOLDS, AREA_RANGES)
    low, high = AREA_RANGES.T[:, :, None]
    return Matched(
        np.array(list(categories), np.int64),
        right, ignored, by_class, score,
        np.arange(len(area), dtype=np.int32) - np.repeat(start.astype(np.int32), size),
        np.append(0, np.cumsum(classes)),
        image, gt.image, gt.category, ~gt.crowd & (gt.area >= low) & (gt.area <= high), len(images),
    )  # fmt: skip


def _by(indices: np.ndarray) -> np.ndarray:
    """A stable ascending order; numbers that fit in 16 bits are sorted by their digits, in proportional time."""
    small = len(indices) == 0 or indices.max() < 1 << 16
    return np.argsort(indices.astype(np.uint16) if small else indices, kind="stable")


def _by_class_and_image(order: np.ndarray, rows: Rows) -> np.ndarray:
    """The same rows by class, then image, and otherwise in the order that they had."""
    order = order[_by(rows.image[order])]
    return order[_by(rows.category[order])]
