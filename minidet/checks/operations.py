"""The arguments of one operation together: of a loss, of post-processing, of sampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet.checks.arrays import (
    as_array,
    boxes,
    class_scores,
    deltas,
    floats,
    integers,
    mask,
    no_nan,
    refuse,
    same_length,
    vector,
)
from minidet.checks.numbers import integer


def binary(logits: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits of any shape without NaN, and targets of the same shape that are 0 or 1."""
    x, y = no_nan("logits", floats("logits", logits)), as_array("targets", targets)
    if y.size == 0 and x.size == 0:
        y = y.reshape(x.shape)
    if x.shape != y.shape:
        raise ValueError(f"targets has shape {y.shape} and logits {x.shape}: give one target for each logit")
    if y.dtype.kind not in "fiub":
        raise ValueError(f"targets has dtype {y.dtype}: give 0 or 1, as bool, integer or floating")
    if np.count_nonzero(y == 0) + np.count_nonzero(y == 1) != y.size:
        refuse("targets", y, (y != 0) & (y != 1), "is neither 0 (background) nor 1 (object)")
    return x, y


def soft(logits: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits of any shape without NaN, and targets of the same shape in [0, 1]."""
    x, y = no_nan("logits", floats("logits", logits)), floats("targets", targets)
    if y.size == 0 and x.size == 0:
        y = y.reshape(x.shape)
    if x.shape != y.shape:
        raise ValueError(f"targets has shape {y.shape} and logits {x.shape}: give one target for each logit")
    if y.size and not (y.min() >= 0 and y.max() <= 1):
        refuse("targets", y, ~((y >= 0) & (y <= 1)), "is no quality: give a number from 0 (background) to 1")
    return x, y


def predictions(values: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two floating arrays of one shape without NaN."""
    x = no_nan("predictions", floats("predictions", values))
    t = no_nan("targets", floats("targets", targets))
    if x.shape != t.shape:
        raise ValueError(f"targets has shape {t.shape} and predictions {x.shape}: give one target for each prediction")
    return x, t


def softmax(logits: Any, labels: Any, alpha: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K) finite logits with K >= 1, (N,) labels in 0 … K-1, and alpha as (K,) weights >= 0."""
    x = class_scores("logits", logits)
    n, k = x.shape
    integer("logits.shape[1] (classes)", k, low=1)
    if x.size and np.isinf([x.min(), x.max()]).any():
        refuse("logits", x, np.isinf(x), "is infinite: the softmax of an infinite logit is not defined")
    label = integers("labels", labels, n, of="rows of logits", low=0, high=k - 1)
    weight = floats("alpha", 1.0 if alpha is None else alpha)
    if weight.ndim > 1 or (weight.ndim == 1 and len(weight) != k):
        raise ValueError(f"alpha has shape {weight.shape}: give one weight, or ({k},), one for each class")
    refuse("alpha", weight, ~(np.isfinite(weight) & (weight >= 0)), "is no weight: it must be finite and >= 0")
    return x, label, np.broadcast_to(weight, (k,))


def levels(*lists: Any) -> None:
    """logits, deltas and anchors are lists with one entry per level, at least one."""
    counts = [len(one) for one in lists]
    if len(set(counts)) != 1 or not counts[0]:
        raise ValueError(
            f"logits, deltas and anchors have {counts[0]}, {counts[1]} and {counts[2]} levels: give one entry per "
            "level in each, at least one level"
        )


def level(i: int, logits_: Any, deltas_: Any, anchors_: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The outputs of pyramid level i: (N, K) logits, (N, 4) deltas and (N, 4) anchors."""
    x, corners = class_scores(f"logits[{i}]", logits_), boxes(f"anchors[{i}]", anchors_)
    same_length(f"logits[{i}]", x, f"anchors[{i}]", corners)
    return x, deltas(f"deltas[{i}]", deltas_, corners), corners


def ohem(
    losses: Any, boxes_: Any, batch_size: Any, positives: Any, negatives_per_positive: Any
) -> tuple[np.ndarray | None, int]:
    """What `ohem_sample` adds to the arguments of `nms`: the mask of positives (or None), and their ratio (or 0)."""
    vector("losses", losses, len(boxes("boxes", boxes_)), of="boxes")
    ratio = mining(batch_size, positives is not None, negatives_per_positive)
    return mask("positives", positives, len(np.asarray(losses)), of="losses") if ratio else None, ratio


def mining(batch_size: Any, has_positives: bool, negatives_per_positive: Any) -> int:
    """The numbers that `ohem_sample` takes; the ratio of negatives, or 0 where positives are not told apart."""
    integer("batch_size", batch_size, low=1)
    if not has_positives and negatives_per_positive is None:
        return 0
    if not has_positives or negatives_per_positive is None:
        raise ValueError("give positives and negatives_per_positive together, or neither")
    ratio = integer("negatives_per_positive", negatives_per_positive, low=1)
    if batch_size < 1 + ratio:
        raise ValueError(f"batch_size = {batch_size} has no room for one positive and {ratio} negatives: raise it")
    return ratio
