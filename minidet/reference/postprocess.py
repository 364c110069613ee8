"""From the network's outputs to detections (section 4.1, "Inference")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.config import PostprocessConfig
from minidet.reference.boxes import clip_boxes, decode_boxes
from minidet.reference.nms import batched_nms
from minidet.reference.stable import sigmoid
from minidet.structures import Detections


def postprocess(
    logits: Sequence[ArrayLike], deltas: Sequence[ArrayLike], anchors: Sequence[ArrayLike],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections[np.ndarray]:  # fmt: skip
    """Turn the outputs for one image into detections: threshold, best per level, decode, clip, suppress per class.

    Candidates are ranked by their logits, which have the order of the scores but do not saturate; of equal ones the
    first in the order level, anchor, class goes first. Section 4.1, "Inference".

    Args:
        logits: one (N_level, K) array per level; the scores are their sigmoids.
        deltas: one (N_level, 4) array of offsets (tx, ty, tw, th) per level.
        anchors: one (N_level, 4) array of corners per level, pixels.
        image_size: (height, width), pixels; boxes are clipped to it.
        config: thresholds and limits.

    Returns:
        Detections(boxes (D, 4), scores (D,), classes (D,) int64), best score first, D <= config.max_detections.

    Raises:
        ValueError: the lists differ in length or the arrays of a level in shape, a logit is NaN, an offset is not
            finite, or an anchor is inverted.

    >>> found = postprocess([[[3.0]]], [[[0, 0, 0, 0]]], [[[2, 2, 8, 8]]], (16, 16), PostprocessConfig())
    >>> found.boxes, found.scores.round(3), found.classes
    (array([[2., 2., 8., 8.]]), array([0.953]), array([0]))
    """
    checks.levels(logits, deltas, anchors)
    candidates = [
        _best_of_level(i, *level, config) for i, level in enumerate(zip(logits, deltas, anchors, strict=True))
    ]
    x, boxes, classes = (np.concatenate(parts) for parts in zip(*candidates, strict=True))
    boxes = clip_boxes(boxes, image_size)
    keep = batched_nms(boxes, x, classes, config.iou_threshold)[: config.max_detections]
    return Detections(boxes[keep], sigmoid(x[keep].astype(np.float64)).astype(x.dtype), classes[keep])


def _best_of_level(
    level: int, logits: ArrayLike, deltas: ArrayLike, anchors: ArrayLike, config: PostprocessConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (C,), boxes (C, 4) and classes (C,) of the best scores above the threshold."""
    x, deltas, anchors = checks.level(level, logits, deltas, anchors)
    candidates = np.flatnonzero(x > np.float64(config.logit_threshold))  # index = anchor * K + class
    best = candidates[np.argsort(-x.ravel()[candidates], kind="stable")][: config.max_per_level]
    anchor, klass = np.divmod(best, x.shape[1])
    return x[anchor, klass], decode_boxes(deltas[anchor], anchors[anchor]), klass
