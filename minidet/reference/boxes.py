"""Boxes: area, intersection over union, and the offsets a detector regresses.

A box is (x1, y1, x2, y2) in pixels with x1 <= x2 and y1 <= y2, in continuous coordinates: its width is x2 - x1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.structures import MAX_LOG_SCALE


def box_area(boxes: ArrayLike) -> np.ndarray:
    """The area of each box.

    Args:
        boxes: (N, 4) corners (x1, y1, x2, y2), pixels.

    Returns:
        (N,) areas in square pixels, >= 0, in the type of `boxes`.

    Raises:
        ValueError: a box is inverted or not finite, or the shape is not (N, 4).

    >>> box_area([[0, 0, 4, 5], [2, 2, 2, 9]])
    array([20.,  0.])
    """
    boxes = checks.boxes("boxes", boxes)
    return _area(boxes.astype(np.float64)).astype(boxes.dtype)


def box_iou(boxes1: ArrayLike, boxes2: ArrayLike) -> np.ndarray:
    """The intersection over union (IoU) of every box of one set with every box of another.

    Args:
        boxes1: (N, 4) corners, pixels.
        boxes2: (M, 4) corners, pixels.

    Returns:
        (N, M) IoUs in [0, 1]. A box of no area has IoU 0 with every box, itself included.

    Raises:
        ValueError: a box is inverted or not finite, or a shape is not (N, 4).

    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [5, 5, 6, 6]])
    array([[0.33333333, 0.        ]])
    """
    boxes1, boxes2 = checks.boxes("boxes1", boxes1), checks.boxes("boxes2", boxes2)
    a, b = boxes1.astype(np.float64), boxes2.astype(np.float64)
    left, top = (np.maximum.outer(a[:, k], b[:, k]) for k in (0, 1))  # (N, M) each
    right, bottom = (np.minimum.outer(a[:, k], b[:, k]) for k in (2, 3))  # (N, M) each
    intersection = np.maximum(right - left, 0) * np.maximum(bottom - top, 0)  # (N, M)
    union = _area(a)[:, None] + _area(b)[None, :] - intersection  # (N, M)
    iou = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return iou.astype(np.result_type(boxes1, boxes2))


def encode_boxes(boxes: ArrayLike, anchors: ArrayLike) -> np.ndarray:
    """The offsets that carry each anchor to its box, in the parameterisation of R-CNN (section 4).

    With centres (x, y), widths w and heights h, a the anchor's:
    tx = (x - xa) / wa, ty = (y - ya) / ha, tw = log(w / wa), th = log(h / ha).

    Args:
        boxes: (N, 4) corners, pixels, with area.
        anchors: (N, 4) corners, pixels, with area, one for each box.

    Returns:
        (N, 4) offsets (tx, ty, tw, th), without unit.

    Raises:
        ValueError: a box or an anchor is inverted, not finite or of no area (its logarithm is infinite), or the lengths
            differ.

    >>> encode_boxes([[5, 0, 15, 10]], anchors=[[0, 0, 10, 10]])
    array([[0.5, 0. , 0. , 0. ]])
    """
    boxes, anchors = checks.matching_boxes("boxes", boxes, "anchors", anchors)
    centre, size = _centre_size(boxes)
    anchor_centre, anchor_size = _centre_size(anchors)
    deltas = np.concatenate([(centre - anchor_centre) / anchor_size, np.log(size / anchor_size)], axis=1)
    return deltas.astype(np.result_type(boxes, anchors))


def decode_boxes(deltas: ArrayLike, anchors: ArrayLike) -> np.ndarray:
    """The boxes that the offsets make of the anchors: the inverse of `encode_boxes`.

    tw and th are clamped from above at log(1000 / 16), so that an untrained network cannot overflow.

    Args:
        deltas: (N, 4) offsets (tx, ty, tw, th).
        anchors: (N, 4) corners, pixels.

    Returns:
        (N, 4) corners, pixels; they may reach outside the image, see `clip_boxes`.

    Raises:
        ValueError: an offset is not finite, an anchor is inverted or not finite, or the lengths differ.

    >>> decode_boxes([[0.5, 0.0, 0.0, 0.0]], anchors=[[0, 0, 10, 10]])
    array([[ 5.,  0., 15., 10.]])
    """
    anchors = checks.boxes("anchors", anchors)
    deltas = checks.deltas("deltas", deltas, anchors)
    t = deltas.astype(np.float64)
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = t[:, :2] * anchor_size + anchor_centre  # (N, 2)
    size = np.exp(np.minimum(t[:, 2:], MAX_LOG_SCALE)) * anchor_size  # (N, 2)
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.result_type(deltas, anchors))


def clip_boxes(boxes: ArrayLike, image_size: tuple[int, int]) -> np.ndarray:
    """The part of each box that lies in the image.

    Args:
        boxes: (N, 4) corners, pixels.
        image_size: (height, width), pixels.

    Returns:
        (N, 4) corners with 0 <= x <= width and 0 <= y <= height; a box outside the image becomes one of no area.

    Raises:
        ValueError: a box is inverted or not finite, or image_size is not two positive whole numbers.

    >>> clip_boxes([[-5, 20, 30, 90]], image_size=(60, 80))
    array([[ 0., 20., 30., 60.]])
    """
    boxes = checks.boxes("boxes", boxes)
    height, width = checks.image_size(image_size)
    return np.clip(boxes, 0, np.array([width, height, width, height], boxes.dtype))


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _centre_size(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = boxes.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    return corners[:, :2] + size / 2, size
