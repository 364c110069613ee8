"""How much an AP depends on the images that happened to be measured on: the bootstrap over images.

Draw as many images as there are, with replacement, and measure again; the spread over many such draws is the error of
an AP that comes from the images. Detectors that were measured on the same images with the same seed get the same
draws, so that the spread of the *difference* of their APs is the error of the comparison, usually far smaller.

Source: Efron, *Bootstrap Methods: Another Look at the Jackknife* (1979).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet import checks
from minidet.evaluation.matching import accumulate
from minidet.evaluation.outcomes import IOU_THRESHOLDS, RECALL_THRESHOLDS, matched

_ALL, _MOST = slice(0, 1), np.array([100])
"""The area range and the detections per image and class of which AP speaks."""


def resampled_ap(ground_truth: Any, detections: Any, replicates: int = 200, seed: int = 0) -> np.ndarray:
    """AP on data sets that are drawn from this one: its images with replacement.

    Of equal scores, the copies of one detection come before those of the next.

    Args:
        ground_truth: as in `coco_metrics`.
        detections: as in `coco_metrics`.
        replicates: how many data sets to draw, at least 1.
        seed: of the draws, which depend on nothing else but the number of images.

    Returns:
        (replicates,) float64, AP in [0, 1] of each; -1 where no object was drawn.

    Raises:
        ValueError: as in `coco_metrics`, or there is no image or a number is out of range.

    >>> truth = {"images": [{"id": 7}, {"id": 8}], "categories": [{"id": 1}]}
    >>> truth["annotations"] = [{"image_id": i, "category_id": 1, "bbox": [0, 0, 9, 9]} for i in (7, 8)]
    >>> found = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> resampled_ap(truth, found, 5).round(2).tolist()  # image 7 was drawn once, twice or not at all
    [0.0, 0.5, 1.0, 1.0, 0.5]
    """
    checks.integer("replicates", replicates, low=1)
    found = matched(ground_truth, detections)
    if not found.images:
        raise ValueError("ground_truth has no images, of which none can be drawn: give at least one")
    random = np.random.default_rng(seed)
    aps = np.empty(replicates)
    for i in range(replicates):
        times = np.bincount(random.integers(found.images, size=found.images), minlength=found.images)
        often = times[found.image[found.by_score]]
        before = np.concatenate([[0], np.cumsum(often)])
        precision, _, _ = accumulate(
            found.right[_ALL], found.ignored[_ALL], np.repeat(found.by_score, often), np.repeat(found.score, often),
            found.rank, before[found.bounds], np.ascontiguousarray(found.objects(times)[:, _ALL]),
            len(IOU_THRESHOLDS), RECALL_THRESHOLDS, _MOST,
        )  # fmt: skip
        of_classes = precision[precision > -1]
        aps[i] = of_classes.mean() if of_classes.size else -1.0
    return aps
