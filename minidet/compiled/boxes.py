"""Boxes: area, intersection over union, and the offsets a detector regresses, in Numba.

Contracts and equations are those of `minidet.reference.boxes`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import arrays
from minidet.compiled.arrays import native, wide
from minidet.compiled.jit import helper, kernel, parallel_kernel
from minidet.compiled.vectors import exp_of, log_of
from minidet.structures import MAX_LOG_SCALE

_BLOCK = 512
"""Boxes that are coded together: a number of each fits the first cache."""


def box_area(boxes: ArrayLike) -> np.ndarray:
    """The area of each box. See `minidet.reference.box_area`."""
    boxes = arrays.boxes("boxes", boxes)
    return _areas(wide(boxes)).astype(boxes.dtype)


def box_iou(boxes1: ArrayLike, boxes2: ArrayLike) -> np.ndarray:
    """The intersection over union of every box of one set with every box of another.

    See `minidet.reference.box_iou`.
    """
    boxes1, boxes2 = arrays.boxes("boxes1", boxes1), arrays.boxes("boxes2", boxes2)
    dtype = np.result_type(boxes1, boxes2)
    out = np.empty((len(boxes1), len(boxes2)), dtype if dtype == np.float32 else np.float64)
    _box_iou(len(boxes1), out.size, wide(boxes1), wide(boxes2.T), out)
    return out.astype(dtype, copy=False)


def encode_boxes(boxes: ArrayLike, anchors: ArrayLike) -> np.ndarray:
    """The offsets that carry each anchor to its box. See `minidet.reference.encode_boxes`."""
    boxes, anchors = arrays.matching_boxes("boxes", boxes, "anchors", anchors)
    dtype = np.result_type(boxes, anchors)
    out = np.empty(boxes.shape, native(np.empty(0, dtype)).dtype)
    _encode(-(-len(out) // _BLOCK), 25 * len(out), native(boxes), native(anchors), out)
    return out.astype(dtype, copy=False)


def decode_boxes(deltas: ArrayLike, anchors: ArrayLike) -> np.ndarray:
    """The boxes that the offsets make of the anchors. See `minidet.reference.decode_boxes`."""
    anchors = arrays.boxes("anchors", anchors)
    deltas = checks.deltas("deltas", deltas, anchors)
    dtype = np.result_type(deltas, anchors)
    out = np.empty(anchors.shape, native(np.empty(0, dtype)).dtype)
    _decode(-(-len(out) // _BLOCK), 25 * len(out), native(deltas), native(anchors), out)
    return out.astype(dtype, copy=False)


def clip_boxes(boxes: ArrayLike, image_size: tuple[int, int]) -> np.ndarray:
    """The part of each box that lies in the image. See `minidet.reference.clip_boxes`."""
    boxes = arrays.boxes("boxes", boxes)
    height, width = checks.image_size(image_size)
    clipped = np.empty_like(boxes)
    for axis, side in enumerate((width, height)):  # both ends of a box along an axis: for NumPy one long row
        np.clip(boxes[:, axis::2], 0, side, out=clipped[:, axis::2])
    return clipped


@helper
def iou_of(ax1, ay1, ax2, ay2, area_a, bx1, by1, bx2, by2, area_b):
    """IoU of two boxes, operation for operation as in the reference, so that both round alike."""
    w = min(ax2, bx2) - max(ax1, bx1)
    h = min(ay2, by2) - max(ay1, by1)
    intersection = max(w, 0.0) * max(h, 0.0)
    union = area_a + area_b - intersection
    return intersection / union if union > 0.0 else 0.0


@kernel
def _areas(boxes):
    out = np.empty(len(boxes))
    for i in range(len(boxes)):
        out[i] = (boxes[i, 2] - boxes[i, 0]) * (boxes[i, 3] - boxes[i, 1])
    return out


@parallel_kernel
def _box_iou(first, stop, boxes1, columns2, out):
    """columns2 is (4, M): neighbours in memory are neighbours in the inner loop, so it vectorises."""
    x1, y1, x2, y2 = columns2[0], columns2[1], columns2[2], columns2[3]
    area2 = (x2 - x1) * (y2 - y1)
    for i in range(first, stop):
        a, b, c, d = boxes1[i, 0], boxes1[i, 1], boxes1[i, 2], boxes1[i, 3]
        area1 = (c - a) * (d - b)
        for j in range(len(area2)):
            out[i, j] = iou_of(a, b, c, d, area1, x1[j], y1[j], x2[j], y2[j], area2[j])


@parallel_kernel
def _encode(first, stop, boxes, anchors, out):
    """Block after block, because the logarithms of neighbours in memory are taken many at a time."""
    ratio = np.empty(_BLOCK)
    for start in range(first * _BLOCK, min(stop * _BLOCK, len(boxes)), _BLOCK):
        n = min(_BLOCK, len(boxes) - start)
        for k in range(2):  # x, then y
            for i in range(n):
                low, high = np.float64(anchors[start + i, k]), np.float64(anchors[start + i, k + 2])
                side = high - low
                box_low, box_high = np.float64(boxes[start + i, k]), np.float64(boxes[start + i, k + 2])
                box_side = box_high - box_low
                out[start + i, k] = ((box_low + box_side / 2) - (low + side / 2)) / side
                ratio[i] = box_side / side
            for i in range(n):
                ratio[i] = log_of(ratio[i])
            for i in range(n):
                out[start + i, k + 2] = ratio[i]


@parallel_kernel
def _decode(first, stop, deltas, anchors, out):
    """Block after block, because the exponentials of neighbours in memory are taken many at a time."""
    scale = np.empty(_BLOCK)
    for start in range(first * _BLOCK, min(stop * _BLOCK, len(anchors)), _BLOCK):
        n = min(_BLOCK, len(anchors) - start)
        for k in range(2):  # x, then y
            for i in range(n):
                scale[i] = min(np.float64(deltas[start + i, k + 2]), MAX_LOG_SCALE)
            for i in range(n):
                scale[i] = exp_of(scale[i])
            for i in range(n):
                low, high = np.float64(anchors[start + i, k]), np.float64(anchors[start + i, k + 2])
                side = high - low
                centre = np.float64(deltas[start + i, k]) * side + (low + side / 2)
                half = scale[i] * side / 2
                out[start + i, k] = centre - half
                out[start + i, k + 2] = centre + half
