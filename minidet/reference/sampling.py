"""Online hard example mining, the sampling that the paper compares focal loss with (section 5.1, Table 1d)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.reference.nms import nms


def ohem_sample(
    losses: ArrayLike, boxes: ArrayLike, batch_size: int, iou_threshold: float = 0.7,
    positives: ArrayLike | None = None, negatives_per_positive: int | None = None,
) -> np.ndarray:  # fmt: skip
    """The hardest examples that do not overlap each other (section 5.1, "Online Hard Example Mining").

    Non-maximum suppression over all boxes with the losses as scores, then the `batch_size` highest losses of what is
    left (the paper's OHEM). With `positives` and `negatives_per_positive` = r (the paper's OHEM 1:3 has r = 3): the
    highest-loss positives that are left, at most batch_size // (1 + r), and r times as many of the highest-loss
    negatives, or r where no positive is left.

    Args:
        losses: (N,) loss of each example.
        boxes: (N, 4) corners, pixels.
        batch_size: how many examples to choose, >= 1; with negatives_per_positive = r at least 1 + r.
        iou_threshold: threshold of the suppression, in [0, 1].
        positives: (N,) bool, which examples are assigned to a ground-truth box; None: make no difference.
        negatives_per_positive: r, a whole number >= 1; given together with positives.

    Returns:
        (S,) int64 indices of the chosen examples, highest loss first, S <= batch_size.

    Raises:
        ValueError: a loss is NaN, the lengths differ, a number is out of range, or only one of positives and
            negatives_per_positive is given.

    >>> ohem_sample([0.1, 2.0, 3.0], [[0, 0, 9, 9], [20, 0, 29, 9], [20, 0, 29, 9]], batch_size=2)
    array([2, 0])
    """
    positive, ratio = checks.ohem(losses, boxes, batch_size, positives, negatives_per_positive)
    keep = nms(boxes, losses, iou_threshold)
    if positive is None:
        return keep[:batch_size]
    rank_of_positive = np.flatnonzero(positive[keep])[: batch_size // (1 + ratio)]
    rank_of_negative = np.flatnonzero(~positive[keep])[: ratio * max(1, len(rank_of_positive))]
    return keep[np.sort(np.concatenate([rank_of_positive, rank_of_negative]))]
