"""From the network's outputs to detections, in Numba. Contracts are those of `minidet.reference.postprocess`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled._numba import descending, kernel, native
from minidet.compiled.boxes import clip_boxes, decode_boxes
from minidet.compiled.nms import batched_nms
from minidet.config import Detections, PostprocessConfig


def postprocess(
    logits: Sequence[ArrayLike], deltas: Sequence[ArrayLike], anchors: Sequence[ArrayLike],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections:  # fmt: skip
    """Detections(boxes, scores, classes) of one image. See `minidet.reference.postprocess`."""
    checks.levels(logits, deltas, anchors)
    candidates = [
        _best_of_level(i, *level, config) for i, level in enumerate(zip(logits, deltas, anchors, strict=True))
    ]
    x, boxes, classes = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    boxes = clip_boxes(boxes, image_size)
    keep = batched_nms(boxes, x, classes, config.iou_threshold)[: config.max_detections]
    return Detections(boxes[keep], _sigmoid(native(x[keep])).astype(x.dtype, copy=False), classes[keep])


def _best_of_level(
    level: int, logits: ArrayLike, deltas: ArrayLike, anchors: ArrayLike, config: PostprocessConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (C,), boxes (C, 4) and classes (C,) of the best scores above the threshold."""
    x, deltas, anchors = checks.level(level, logits, deltas, anchors)
    flat = x.ravel()
    candidates = _above(native(flat), checks.logit(config.score_threshold))  # index = anchor * K + class
    values = flat[candidates]
    if len(values) > config.max_per_level:  # select before sorting: linear instead of n log n
        cut = np.partition(values, -config.max_per_level)[-config.max_per_level]
        candidates = candidates[values >= cut]
    best = candidates[descending(flat[candidates])][: config.max_per_level]
    anchor, klass = np.divmod(best, max(1, x.shape[1]))
    return flat[best], decode_boxes(deltas[anchor], anchors[anchor]), klass


@kernel
def _above(values, threshold):
    """Indices of the values above the threshold, in order."""
    count = 0
    for value in values:
        count += value > threshold
    out = np.empty(count, np.int64)
    count = 0
    for i in range(len(values)):
        if values[i] > threshold:
            out[count] = i
            count += 1
    return out


@kernel
def _sigmoid(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        e = math.exp(-abs(np.float64(x[i])))
        out[i] = (1.0 if x[i] >= 0 else e) / (1.0 + e)
    return out
