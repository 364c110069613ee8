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

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minidet import checks
from minidet.evaluation.matching import accumulate
from minidet.evaluation.outcomes import (
    IOU_THRESHOLDS,
    MAX_DETECTIONS,
    RECALL_THRESHOLDS,
    Matched,
    matched,
    matched_in_parts,
)

__all__ = ["coco_metrics", "evaluate", "evaluate_parts", "Evaluation"]


def coco_metrics(ground_truth: Any, detections: Any) -> dict[str, float]:
    """The twelve numbers of COCO for boxes, equal to ``pycocotools``' ``COCOeval(…, "bbox").stats``.

    Args:
        ground_truth: a COCO data set, as a dict or the path of a JSON file, with the lists ``"images"`` (``id``),
            ``"categories"`` (``id``) and ``"annotations"`` (``image_id``, ``category_id``, ``bbox`` and, optionally,
            ``area`` in pixels² and ``iscrowd``). The id of an image is a whole number or text, that of a category a
            whole number. A ``bbox`` is ``[x, y, width, height]`` in pixels. Not modified.
        detections: a list of ``{"image_id", "category_id", "bbox", "score"}``, or the path of a JSON file; any finite
            scores, in any order. Of an image and class, the best 100 are used. Of equal scores, that of the lower
            image id comes first (numbers before text), then that earlier in the list.

    Returns:
        ``AP``, ``AP50``, ``AP75``, ``APs``, ``APm``, ``APl``, ``AR1``, ``AR10``, ``AR100``, ``ARs``, ``ARm`` and
        ``ARl``, each in [0, 1], or -1 (as in ``pycocotools``) where there is no object to be found. The best AP is
        2**-52 short of 1, because ``pycocotools`` adds 2**-52 to the denominator of precision.

    Raises:
        ValueError: a key is missing, an id unknown or given twice, a bbox not four finite numbers or its size negative,
            a score not finite, a file no JSON; the message names the element.
    """
    return evaluate(ground_truth, detections).metrics


def evaluate(ground_truth: Any, detections: Any) -> Evaluation:
    """COCO's evaluation with its classes and curves.

    Args:
        ground_truth: as in `coco_metrics`.
        detections: as in `coco_metrics`.

    Returns:
        The metrics, those of every class, and the curves.

    Raises:
        ValueError: as in `coco_metrics`.

    >>> truth = {"images": [{"id": 7}], "categories": [{"id": 1}]}
    >>> truth["annotations"] = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 50, 100]}]
    >>> result = evaluate(truth, [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 50, 80], "score": 0.9}])
    >>> round(result.metrics["AP"], 6)  # an IoU of 0.8 passes 7 of the 10 thresholds
    0.7
    """
    return _evaluation(matched(ground_truth, detections))


def evaluate_parts(ground_truth: Any, parts: Iterable[Any]) -> Evaluation:
    """`evaluate` for detections that come in parts, of which one at a time is in memory.

    A detection that has been matched leaves 36 bytes behind; its box is forgotten. This suits a generator that runs a
    detector over one batch of images after another, and the files of several processes.

    Args:
        ground_truth: as in `coco_metrics`.
        parts: each one as ``detections`` in `coco_metrics`. All detections of an image are in one part.

    Returns:
        The same as `evaluate` of all parts in one list, to the last bit.

    Raises:
        ValueError: as in `coco_metrics`, or an image comes in two parts; the message names the part.

    >>> truth = {"images": [{"id": 7}, {"id": 8}], "categories": [{"id": 1}]}
    >>> truth["annotations"] = [{"image_id": i, "category_id": 1, "bbox": [0, 0, 50, 100]} for i in (7, 8)]
    >>> parts = ([{"image_id": i, "category_id": 1, "bbox": [0, 0, 50, 80], "score": 0.9}] for i in (7, 8))
    >>> round(evaluate_parts(truth, parts).metrics["AP"], 6)
    0.7
    """
    return _evaluation(matched_in_parts(ground_truth, parts))


def _evaluation(found: Matched) -> Evaluation:
    precision, recall, scores = accumulate(
        found.right, found.ignored, found.by_score, found.score, found.rank, found.bounds, found.objects(),
        len(IOU_THRESHOLDS), RECALL_THRESHOLDS, MAX_DETECTIONS,
    )  # fmt: skip
    return Evaluation(found.category_ids, precision, recall, scores, IOU_THRESHOLDS, RECALL_THRESHOLDS)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` measured.

    T = 10 IoU thresholds, R = 101 recalls, K classes, A = 4 area ranges (all, small, medium, large) and M = 3 limits
    (1, 10, 100 detections per image and class), the layout of ``pycocotools``.
    """

    category_ids: np.ndarray
    """(K,) int64, ascending."""
    precision: np.ndarray
    """(T, R, K, A, M) float64 in [0, 1], the envelope; -1 where the class has no object."""
    recall: np.ndarray
    """(T, K, A, M) float64 in [0, 1], at the end of the list; -1 where the class has no object."""
    scores: np.ndarray
    """(T, R, K, A, M) float64, the score at which a recall is reached; 0 where it never is, -1 without objects."""
    iou_thresholds: np.ndarray
    """(T,) float64."""
    recall_thresholds: np.ndarray
    """(R,) float64."""

    @cached_property
    def metrics(self) -> dict[str, float]:
        """COCO's twelve numbers, see `coco_metrics`."""
        return _summarize(self.precision, self.recall)

    @cached_property
    def per_class(self) -> dict[int, dict[str, float]]:
        """The twelve numbers of every class by its id; -1 where it has no object."""
        return {
            int(category_id): _summarize(self.precision[:, :, k : k + 1], self.recall[:, k : k + 1])
            for k, category_id in enumerate(self.category_ids)
        }

    def precision_recall(self, category_id: int, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
        """The curve of a class: objects of every size, at most 100 detections per image.

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
