"""From the network's outputs to detections, in Numba. Contracts are those of `minidet.reference.postprocess`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import arrays
from minidet.compiled.arrays import descending, native, wide
from minidet.compiled.boxes import clip_boxes, decode_boxes
from minidet.compiled.nms import batched_nms
from minidet.config import PostprocessConfig
from minidet.structures import Detections

_BLOCK = 256
"""How many logits form a block, of which only the highest is looked at first."""


def postprocess(
    logits: Sequence[ArrayLike], deltas: Sequence[ArrayLike], anchors: Sequence[ArrayLike],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections[np.ndarray]:  # fmt: skip
    """Turn the outputs for one image into detections. See `minidet.reference.postprocess`."""
    checks.levels(logits, deltas, anchors)
    candidates = [
        _best_of_level(i, *level, config) for i, level in enumerate(zip(logits, deltas, anchors, strict=True))
    ]
    x, boxes, classes = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    boxes = clip_boxes(boxes, image_size)
    keep = batched_nms(boxes, x, classes, config.iou_threshold)[: config.max_detections]
    return Detections(boxes[keep], _sigmoid(wide(x[keep])).astype(x.dtype, copy=False), classes[keep])


def _best_of_level(
    level: int, logits: ArrayLike, deltas: ArrayLike, anchors: ArrayLike, config: PostprocessConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (C,), boxes (C, 4) and classes (C,) of the best scores above the threshold.

    It is fast because it looks at each logit once, many at a time, to find the highest of each block of 256. As many of
    these as boxes are wanted give a bound: what is below the lowest of them is not among the best. Few blocks reach it.
    """
    x = checks.floats(f"logits[{level}]", logits)
    corners = arrays.boxes(f"anchors[{level}]", anchors)
    offsets = checks.floats(f"deltas[{level}]", deltas)
    shaped = x.ndim == 2 and offsets.ndim == 2 and offsets.shape[1] == 4 and len(x) == len(offsets) == len(corners)
    if not shaped or not arrays.all_finite(native(offsets.ravel())):
        x, offsets, corners = checks.level(level, logits, deltas, anchors)
    flat = native(x.ravel())  # index = anchor * K + class
    highest = np.maximum.reduceat(flat, np.arange(0, len(flat), _BLOCK))  # of each block; NaN where it has one
    if np.isnan(highest).any():
        checks.class_scores(f"logits[{level}]", x)
    threshold = np.float64(config.logit_threshold)
    bound = np.float64(-np.inf)
    if len(highest) > config.max_per_level:
        bound = np.partition(highest, -config.max_per_level)[-config.max_per_level]
    near = np.flatnonzero((highest >= bound) & (highest > threshold))
    candidates = (near[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    candidates = candidates[candidates < len(flat)]  # the last block may be shorter
    values = flat[candidates]
    candidates = candidates[(values >= bound) & (values > threshold)]
    best = candidates[descending(flat[candidates])][: config.max_per_level]
    anchor, klass = np.divmod(best, x.shape[1])
    return x.ravel()[best], decode_boxes(offsets[anchor], corners[anchor]), klass


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) of the few scores that are left, which are not worth a kernel."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)
