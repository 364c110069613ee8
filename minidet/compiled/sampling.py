"""Online hard example mining over the compiled suppression. See `minidet.reference.sampling`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.jit import kernel
from minidet.compiled.nms import nms


def ohem_sample(
    losses: ArrayLike, boxes: ArrayLike, batch_size: int, iou_threshold: float = 0.7,
    positives: ArrayLike | None = None, negatives_per_positive: int | None = None,
) -> np.ndarray:  # fmt: skip
    """The hardest examples that do not overlap each other (section 5.1). See `minidet.reference.ohem_sample`."""
    positive, ratio = checks.ohem(losses, boxes, batch_size, positives, negatives_per_positive)
    keep = nms(boxes, losses, iou_threshold)
    if positive is None:
        return keep[:batch_size]
    return _choose(keep, positive, batch_size // (1 + ratio), ratio)


@kernel
def _choose(ranked, positive, most_positives, ratio):
    """Of indices ranked by loss: at most so many positives, and `ratio` negatives for each, in the same order."""
    positives = min(most_positives, np.count_nonzero(positive[ranked]))
    negatives = ratio * max(1, positives)
    chosen = np.empty(len(ranked), np.int64)
    count = 0
    for i in ranked:
        if positive[i] and positives > 0:
            positives -= 1
        elif not positive[i] and negatives > 0:
            negatives -= 1
        else:
            continue
        chosen[count] = i
        count += 1
    return chosen[:count]
