"""From the network's outputs to detections, in Numba. Contracts are those of `minidet.reference.postprocess`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import arrays
from minidet.compiled.arrays import descending, native, wide
from minidet.compiled.boxes import clip_boxes, decode_boxes
from minidet.compiled.jit import helper, kernel, parallel_kernel
from minidet.compiled.nms import batched_nms
from minidet.compiled.stable import sigmoid
from minidet.config import PostprocessConfig
from minidet.structures import Detections

_BLOCK = 256
"""How many logits form a block, of which only the highest is looked at first."""
_MAGNITUDE = np.int32(0x7FFFFFFF)
_INFINITY = 0x7F800000
"""The key of inf; that of -inf is ~_INFINITY."""


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
    return Detections(boxes[keep], _scores(wide(x[keep])).astype(x.dtype, copy=False), classes[keep])


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
    flat = x.ravel()
    with np.errstate(over="ignore"):
        bits = np.ascontiguousarray(flat, np.float32).view(np.int32)  # rounded values order like the exact ones, or tie
    highest, lowest = np.empty((2, -(-len(bits) // _BLOCK)), np.int32)
    _extremes(len(highest), len(bits) // 8, bits, highest, lowest)
    if highest.max(initial=0) > _INFINITY or lowest.min(initial=0) < ~_INFINITY:
        checks.class_scores(f"logits[{level}]", x)
    bound = ~_INFINITY
    if len(highest) > config.max_per_level:
        bound = np.partition(highest, -config.max_per_level)[-config.max_per_level] - 1  # 0.0 and -0.0 are neighbours
    candidates = _reaching(bits, highest, bound)  # index = anchor * K + class
    candidates = candidates[flat[candidates] > np.float64(config.logit_threshold)]
    best = candidates[descending(flat[candidates])][: config.max_per_level]
    anchor, klass = np.divmod(best, max(1, x.shape[1]))
    return flat[best], decode_boxes(offsets[anchor], corners[anchor]), klass


@helper
def _key(bits):
    """The bits of a float32 as an integer that has the order of the number; NaN lies beyond the infinities."""
    return np.int32(bits ^ np.int32(np.int32(bits >> np.int32(31)) & _MAGNITUDE))


@parallel_kernel
def _extremes(first, stop, bits, highest, lowest):
    """The highest and the lowest key of each block."""
    for block in range(first, stop):
        highest[block], lowest[block] = _extremes_of_block(bits[block * _BLOCK : (block + 1) * _BLOCK])


@helper
def _extremes_of_block(bits):
    high, low = np.int32(-_MAGNITUDE), _MAGNITUDE
    for i in range(len(bits)):
        key = _key(bits[i])
        high = key if key > high else high
        low = key if key < low else low
    return high, low


@kernel
def _reaching(bits, highest, bound):
    """Indices, in order, of the keys that are at least `bound`."""
    near = 0
    for block in range(len(highest)):
        near += highest[block] >= bound
    out = np.empty(near * _BLOCK, np.int64)
    count = 0
    for block in range(len(highest)):
        if highest[block] >= bound:
            for i in range(block * _BLOCK, min((block + 1) * _BLOCK, len(bits))):
                if _key(bits[i]) >= bound:
                    out[count] = i
                    count += 1
    return out[:count]


@kernel
def _scores(x):
    """(D,) sigmoids of the logits."""
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = sigmoid(x[i], 0.0)
    return out
