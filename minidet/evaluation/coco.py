"""COCO average precision: how good is a detector, in one number?

**Matching.** Within one image and class, the detections choose in order of score, best first. Each takes the
ground-truth box that it overlaps most, among those not yet taken, if their IoU reaches a threshold: a true positive.
A detection left without a box is a false positive, a box left without a detection is missed. So only one of several
detections of an object counts, and the others are errors.

**Precision and recall.** Put the detections of a class from all images in one list, best score first, and go down it.
After every step, *precision* is the part of the detections so far that are right and *recall* the part of the objects
found so far. Recall only grows; precision goes up and down like a saw.

**Average precision.** Take the saw's teeth off: the precision at recall r becomes the highest one at any recall >= r
(the envelope). AP is the mean of the envelope at the 101 recalls 0, 0.01, …, 1, with 0 where r is never reached. It
is the area under the curve, sampled.

**The mean.** A detector that places boxes well also passes at a stricter IoU, so COCO averages AP over the ten
thresholds 0.50, 0.55, …, 0.95, and over the classes. AP50 and AP75 use one threshold alone; APs, APm and APl count
small, medium and large objects alone. AR is the recall at the end of the list, averaged in the same way, where each
image may give at most 1, 10 or 100 detections of a class.

**What does not count.** A *crowd* (``iscrowd``: a region of many objects) or an object outside the area range is
ignored: it need not be found, and what is matched with it is neither right nor wrong. The IoU with a crowd is
intersection / area of the detection, and any number of detections may be matched with it. An unmatched detection whose
own area is outside the range is ignored, too.

Source: Lin et al., *Microsoft COCO: Common Objects in Context* (2014), and its code, ``pycocotools``, whose numbers
are reproduced to the last bit. Where that fails or keeps silent, this is stricter or kinder:

- A detection or annotation of an unknown image or class is an error (``pycocotools`` leaves some of them out).
- A missing ``area`` is width * height and a missing ``iscrowd`` is 0. An annotation's ``id`` is not read (for
  ``pycocotools`` the id 0 means "unmatched", so that finding the object is an error, and equal ids are one object).
- No detections at all is an ordinary case, and its metrics are 0.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidet import checks
from minidet.compiled.jit import helper, kernel

__all__ = ["coco_metrics", "evaluate", "Evaluation"]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # (T,); as pycocotools has them: 0.9 is 0.8999999999999999
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)  # (R,)
AREA_RANGES = np.array([(0, 1e10), (0, 32**2), (32**2, 96**2), (96**2, 1e10)])  # (A, 2) pixels²; all, small, …
MAX_DETECTIONS = np.array([1, 10, 100])  # (M,) an image and class
for _constant in (IOU_THRESHOLDS, RECALL_THRESHOLDS, AREA_RANGES, MAX_DETECTIONS):
    _constant.setflags(write=False)

FALSE_POSITIVE, TRUE_POSITIVE, IGNORED = 0, 1, 2


def coco_metrics(ground_truth: Any, detections: Any) -> dict[str, float]:
    """The twelve numbers of COCO for boxes, equal to ``pycocotools``' ``COCOeval(…, "bbox").stats``.

    Args:
        ground_truth: a COCO data set, as a dict or the path of a JSON file, with the lists ``"images"`` (``id``),
            ``"categories"`` (``id``) and ``"annotations"`` (``image_id``, ``category_id``, ``bbox`` and, optionally,
            ``area`` in pixels² and ``iscrowd``). A ``bbox`` is ``[x, y, width, height]`` in pixels. Not modified.
        detections: a list of ``{"image_id", "category_id", "bbox", "score"}``, or the path of a JSON file; any finite
            scores, in any order. Of an image and class, the best 100 are used. Of equal scores, that of the lower
            image id comes first, then that earlier in the list.

    Returns:
        ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``, ``AR1``, ``AR10``, ``AR100``, ``ARs``, ``ARm`` and
        ``ARl``, each in [0, 1], or -1 (as in ``pycocotools``) where there is no object to be found. The best AP is
        2**-52 short of 1, because ``pycocotools`` adds 2**-52 to the denominator of precision.

    Raises:
        ValueError: a key is missing, an id unknown, a bbox not four finite numbers or its size negative, a score not
            finite; the message names the element.
    """
    return evaluate(ground_truth, detections).metrics


def evaluate(ground_truth: Any, detections: Any) -> Evaluation:
    """COCO's evaluation with its classes and curves; arguments and errors are those of :func:`coco_metrics`.

    >>> result = evaluate("instances_val2017.json", "detections.json")
    >>> result.metrics["AP"], result.per_class[1]["AP50"], result.precision_recall(1, iou=0.75)
    """
    images, categories, gt, det = _read(_load(ground_truth), _load(detections))
    K = len(categories)
    gt_key, key = (rows.category * len(images) + rows.image for rows in (gt, det))  # one number per class and image

    order = np.argsort(gt_key, kind="stable")
    gt, gt_key = gt.take(order), gt_key[order]
    order = np.lexsort((-det.score, key))  # class, then image, then best score first; stable
    det, key = det.take(order), key[order]

    groups, start, size = np.unique(key, return_index=True, return_counts=True)
    bounds = np.stack([
        start, start + np.minimum(size, MAX_DETECTIONS[-1]),
        np.searchsorted(gt_key, groups, "left"), np.searchsorted(gt_key, groups, "right"),
    ], axis=1)  # fmt: skip  # (groups, 4)
    outcome = _match(det.box, det.area, gt.box, gt.area, gt.crowd, bounds, IOU_THRESHOLDS, AREA_RANGES)

    low, high = AREA_RANGES.T[:, :, None]
    counted = ~gt.crowd & (gt.area >= low) & (gt.area <= high)  # (A, G)
    objects = np.stack([np.bincount(gt.category[chosen], minlength=K) for chosen in counted], axis=1)  # (K, A)
    precision, recall = _accumulate(
        outcome,
        np.lexsort((-det.score, det.category)),  # equal scores stay in the order of images
        np.arange(len(key)) - np.repeat(start, size),  # the rank of a detection in its image and class
        np.searchsorted(det.category, np.arange(K + 1)),
        objects, RECALL_THRESHOLDS, MAX_DETECTIONS,
    )  # fmt: skip
    return Evaluation(np.array(list(categories), np.int64), precision, recall, IOU_THRESHOLDS, RECALL_THRESHOLDS)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What :func:`evaluate` measured.

    T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 area ranges (all, small, medium, large) and M = 3 limits
    (1, 10, 100 detections an image and class), the layout of ``pycocotools``.
    """

    category_ids: np.ndarray
    """(K,) int64, ascending."""
    precision: np.ndarray
    """(T, R, K, A, M) float64 in [0, 1], the envelope; -1 where the class has no object."""
    recall: np.ndarray
    """(T, K, A, M) float64 in [0, 1], at the end of the list; -1 where the class has no object."""
    iou_thresholds: np.ndarray
    """(T,) float64."""
    recall_thresholds: np.ndarray
    """(R,) float64."""

    @cached_property
    def metrics(self) -> dict[str, float]:
        """COCO's twelve numbers, see :func:`coco_metrics`."""
        return _summarize(self.precision, self.recall)

    @cached_property
    def per_class(self) -> dict[int, dict[str, float]]:
        """The twelve numbers of every class by its id; -1 where it has no object."""
        return {
            int(category_id): _summarize(self.precision[:, :, k : k + 1], self.recall[:, k : k + 1])
            for k, category_id in enumerate(self.category_ids)
        }

    def precision_recall(self, category_id: int, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
        """The curve of a class: objects of every size, at most 100 detections an image.

        Args:
            category_id: one of ``category_ids``.
            iou: one of ``iou_thresholds``.

        Returns:
            recall and precision, each (R,) float64 in [0, 1]; precision is -1 where the class has no object.

        Raises:
            ValueError: ``category_id`` or ``iou`` is not one of them.
        """
        k = np.flatnonzero(self.category_ids == category_id)
        if not k.size:
            raise ValueError(f"category_id = {category_id!r} is not one of {self.category_ids.tolist()}")
        t = np.flatnonzero(np.isclose(self.iou_thresholds, checks.number("iou", iou)))
        if not t.size:
            raise ValueError(f"iou = {iou!r} is not one of {self.iou_thresholds.round(2).tolist()}")
        return self.recall_thresholds.copy(), self.precision[t[0], :, k[0], 0, -1].copy()


def _summarize(precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    """Means over thresholds and over those classes that have objects."""

    def mean(values: np.ndarray) -> float:
        values = values[values > -1]
        return float(values.mean()) if values.size else -1.0

    ap, ar = precision[..., -1], recall[..., -1]  # at most 100 detections: (T, R, K, A) and (T, K, A)
    return {
        "AP": mean(ap[..., 0]), "AP50": mean(ap[0, ..., 0]), "AP75": mean(ap[5, ..., 0]),
        "APs": mean(ap[..., 1]), "APm": mean(ap[..., 2]), "APl": mean(ap[..., 3]),
        "AR1": mean(recall[..., 0, 0]), "AR10": mean(recall[..., 0, 1]), "AR100": mean(ar[..., 0]),
        "ARs": mean(ar[..., 1]), "ARm": mean(ar[..., 2]), "ARl": mean(ar[..., 3]),
    }  # fmt: skip


@kernel
def _match(boxes, areas, gt_boxes, gt_areas, gt_crowd, bounds, iou_thresholds, area_ranges):
    """The outcome of every detection for every area range and IoU threshold, (A, T, D) uint8.

    Row i of ``bounds`` is a class in an image: its detections (first, last), best score first, and its objects.
    """
    outcome = np.zeros((len(area_ranges), len(iou_thresholds), len(boxes)), np.uint8)
    for i in range(len(bounds)):
        first, last, gt_first, gt_last = bounds[i]
        crowd = gt_crowd[gt_first:gt_last]
        ious = _box_iou(boxes[first:last], gt_boxes[gt_first:gt_last], crowd)
        ignored, taken = np.empty_like(crowd), np.empty_like(crowd)
        for a in range(len(area_ranges)):
            low, high = area_ranges[a]
            for g in range(len(crowd)):
                ignored[g] = crowd[g] or gt_areas[gt_first + g] < low or gt_areas[gt_first + g] > high
            for t in range(len(iou_thresholds)):
                taken[:] = False
                for d in range(len(ious)):
                    match, best = -1, iou_thresholds[t]
                    for last_resort in (False, True):  # an ignored object is matched only where no other one is
                        if match >= 0:
                            break
                        for g in range(len(crowd)):
                            # "not <": of equal IoUs, the later object wins, as in pycocotools
                            if ignored[g] == last_resort and (crowd[g] or not taken[g]) and not ious[d, g] < best:
                                match, best = g, ious[d, g]
                    if match >= 0:
                        taken[match] = True
                        outcome[a, t, first + d] = IGNORED if ignored[match] else TRUE_POSITIVE
                    elif areas[first + d] < low or areas[first + d] > high:
                        outcome[a, t, first + d] = IGNORED
    return outcome


@helper
def _box_iou(boxes, gt_boxes, gt_crowd):
    """IoU of (x, y, width, height) boxes, (D, G); every rounding as in ``bbIou`` of COCO's maskApi.c."""
    ious = np.zeros((len(boxes), len(gt_boxes)))
    for d in range(len(boxes)):
        x, y, w, h = boxes[d]
        for g in range(len(gt_boxes)):
            gt_x, gt_y, gt_w, gt_h = gt_boxes[g]
            width = min(w + x, gt_w + gt_x) - max(x, gt_x)
            height = min(h + y, gt_h + gt_y) - max(y, gt_y)
            if width > 0 and height > 0:
                intersection = width * height
                ious[d, g] = intersection / (w * h if gt_crowd[g] else w * h + gt_w * gt_h - intersection)
    return ious


@kernel
def _accumulate(outcome, by_score, rank, bounds, objects, recall_thresholds, max_detections):
    """Precision (T, R, K, A, M) and recall (T, K, A, M) from outcomes (A, T, D).

    ``by_score`` lists the detections of class k, best first, at ``bounds[k]:bounds[k + 1]``; ``objects`` is (K, A).
    The curve is kept at true positives only: elsewhere recall stands still and precision falls or stays.
    """
    A, T, _ = outcome.shape
    K, R, M = len(bounds) - 1, len(recall_thresholds), len(max_detections)
    precision, recall = np.full((T, R, K, A, M), -1.0), np.full((T, K, A, M), -1.0)
    for k in range(K):
        curve = np.empty(bounds[k + 1] - bounds[k])  # precision after the (j + 1)-th true positive
        for a in range(A):
            count = objects[k, a]
            for t in range(T if count else 0):
                for m in range(M):
                    right = wrong = 0
                    for d in by_score[bounds[k] : bounds[k + 1]]:
                        if rank[d] < max_detections[m]:
                            if outcome[a, t, d] == TRUE_POSITIVE:
                                right += 1
                                curve[right - 1] = right / (right + wrong + 2.0**-52)  # the 2^-52 is pycocotools'
                            elif outcome[a, t, d] == FALSE_POSITIVE:
                                wrong += 1
                    for j in range(right - 1, 0, -1):
                        curve[j - 1] = max(curve[j - 1], curve[j])
                    j = 0
                    for r in range(R):
                        while j < right and (j + 1) / count < recall_thresholds[r]:
                            j += 1
                        precision[t, r, k, a, m] = curve[j] if j < right else 0.0
                    recall[t, k, a, m] = right / count
    return precision, recall


class _Rows(NamedTuple):
    """Annotations or detections as arrays."""

    image: np.ndarray  # (N,) int64, an index into the sorted image ids
    category: np.ndarray  # (N,) int64, an index into the sorted category ids
    box: np.ndarray  # (N, 4) float64 (x, y, width, height)
    area: np.ndarray  # (N,) float64
    crowd: np.ndarray  # (N,) bool
    score: np.ndarray  # (N,) float64

    def take(self, order: np.ndarray) -> _Rows:
        return _Rows(*(column[order] for column in self))


def _load(source: Any) -> Any:
    return json.loads(Path(source).read_bytes()) if isinstance(source, (str, os.PathLike)) else source


def _read(ground_truth: Any, detections: Any) -> tuple[dict[int, int], dict[int, int], _Rows, _Rows]:
    """The index of every image id and category id, in ascending order; the annotations; the detections."""
    if not isinstance(ground_truth, dict):
        raise ValueError(f"ground_truth must be a dict or a path, not {type(ground_truth).__name__}")
    for key in ("images", "categories", "annotations"):
        if not isinstance(ground_truth.get(key), (list, tuple)):
            raise ValueError(f"ground_truth[{key!r}] must be a list, not {type(ground_truth.get(key)).__name__}")
    if not isinstance(detections, (list, tuple)):
        raise ValueError(f"detections must be a list or a path, not {type(detections).__name__}")
    images, categories = (_index(key, ground_truth[key]) for key in ("images", "categories"))
    gt = _rows("annotations", ground_truth["annotations"], images, categories, scored=False)
    return images, categories, gt, _rows("detections", detections, images, categories, scored=True)


def _index(name: str, rows: Any) -> dict[int, int]:
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or "id" not in row:
            raise ValueError(f"{name}[{i}] = {row!r} must be a dict with an 'id'")
    ids = {checks.integer(f"{name}[{i}]['id']", row["id"]) for i, row in enumerate(rows)}
    return {identity: i for i, identity in enumerate(sorted(ids))}


def _rows(name: str, rows: Any, images: dict[int, int], categories: dict[int, int], scored: bool) -> _Rows:
    """Columns from dicts, at full speed; only when something is wrong, one by one in search of the first bad row."""
    n = len(rows)
    try:
        image = np.fromiter((images[row["image_id"]] for row in rows), np.int64, n)
        category = np.fromiter((categories[row["category_id"]] for row in rows), np.int64, n)
        boxes = [row["bbox"] for row in rows]
        valid = {*map(len, boxes)} <= {4}
        box = np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4)
        area, crowd, score = box[:, 2] * box[:, 3], np.zeros(n, np.bool_), np.zeros(n)
        if scored:
            score = np.fromiter((row["score"] for row in rows), np.float64, n)
        else:
            area = np.fromiter((row.get("area", wh) for row, wh in zip(rows, area, strict=True)), np.float64, n)
            crowd = np.fromiter((bool(row.get("iscrowd")) for row in rows), np.bool_, n)
    except (KeyError, TypeError, ValueError):
        _check_rows(name, rows, images, categories, scored)
        raise
    numbers = np.column_stack([box, area, score])  # (N, 6)
    if not (valid and np.isfinite(numbers).all() and (numbers[:, 2:5] >= 0).all()):
        _check_rows(name, rows, images, categories, scored)
    return _Rows(image, category, box, area, crowd, score)


def _check_rows(name: str, rows: Any, images: dict[int, int], categories: dict[int, int], scored: bool) -> None:
    for i, row in enumerate(rows):
        at = f"{name}[{i}]"
        if not isinstance(row, dict):
            raise ValueError(f"{at} = {row!r} must be a dict")
        for key in ("image_id", "category_id", "bbox") + ("score",) * scored:
            if key not in row:
                raise ValueError(f"{at} has no {key!r}")
        for key, known, where in (("image_id", images, "images"), ("category_id", categories, "categories")):
            if not isinstance(row[key], Hashable) or row[key] not in known:
                raise ValueError(f"{at}[{key!r}] = {row[key]!r} is not the id of one of the ground truth's {where}")
        if not isinstance(row["bbox"], Collection) or len(row["bbox"]) != 4:
            raise ValueError(f"{at}['bbox'] = {row['bbox']!r} must be [x, y, width, height]")
        for j, (value, low) in enumerate(zip(row["bbox"], (None, None, 0, 0), strict=True)):
            checks.number(f"{at}['bbox'][{j}]", value, low=low)
        if scored:
            checks.number(f"{at}['score']", row["score"])
        elif "area" in row:
            checks.number(f"{at}['area']", row["area"], low=0)
