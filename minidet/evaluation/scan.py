"""Detections from the bytes of COCO's result files: a scanner for the form that nearly all of them have.

It reads objects of the four keys ``image_id``, ``category_id``, ``bbox`` and ``score``, in any order and with any white
space, whose ids are whole numbers. It makes no Python object, and its threads scan pieces of a file at the same time.
"""

from __future__ import annotations

import json

import numpy as np

from minidet.compiled.jit import helper, parallel_kernel
from minidet.evaluation.decimals import number, whole_number

LATER = 64
"""How many detections of a piece may have a number that is left to Python."""

_KEYS = [np.frombuffer(key, np.uint8) for key in (b"image_id", b"category_id", b"bbox", b"score")]
_IMAGE, _CATEGORY, _BBOX, _SCORE = _KEYS
_BRACE, _END, _BRACKET, _CLOSED, _QUOTE, _COMMA, _COLON = b'{}[]",:'


def scan(
    data: bytes, bounds: np.ndarray, images: np.ndarray, categories: np.ndarray,
    image: np.ndarray, category: np.ndarray, box: np.ndarray, score: np.ndarray, first: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Detections from pieces of a list.

    Args:
        data: text, with a byte 0 at its end.
        bounds: (P, 2) int64, the bytes ``data[start:stop]`` of each piece: elements with commas between them.
        images: (I,) int64 ids, ascending.
        categories: (K,) int64 ids, ascending.
        image: (N,) int32, filled with indices into ``images``.
        category: (N,) int32, filled with indices into ``categories``.
        box: (N, 4) float64, filled with x, y, width and height.
        score: (N,) float64, filled.
        first: (P,) int64, the first of the rows that each piece may fill; there is room for all that it can have.

    Returns:
        (P,) int64 how many detections a piece has, or -1 where it has another form.
    """
    rows, waiting = np.empty((2, len(bounds)), np.int64)
    later = np.empty((len(bounds), LATER, 3), np.int64)
    _scan(
        len(bounds), len(data), np.frombuffer(data, np.uint8), bounds, images, categories, image, category, box, score,
        first, rows, waiting, later,
    )  # fmt: skip
    for piece in np.flatnonzero(waiting):
        for row, start, stop in later[piece, : waiting[piece]]:
            try:
                found = json.loads(data[start:stop])
                box[row], score[row] = found["bbox"], found["score"]
            except (ValueError, OverflowError):  # a whole number with too many digits
                rows[piece] = -1
                break
    return rows


@parallel_kernel
def _scan(
    first_piece, last_piece, data, bounds, images, categories, image, category, box, score, first, rows, waiting, later
):
    """`scan` into the arrays from ``image`` on; ``later`` has the row and the bytes of what is left to Python."""
    for piece in range(first_piece, last_piece):
        i, stop = _after_space(data, bounds[piece, 0]), bounds[piece, 1]
        row, left = first[piece], 0
        while True:
            start = i
            i, image[row], category[row], x, y, width, height, score[row], sure = _detection(
                data, i, images, categories
            )
            box[row, 0], box[row, 1], box[row, 2], box[row, 3] = x, y, width, height
            if i >= 0 and not sure:
                if left == LATER:
                    i = -1
                    break
                later[piece, left, 0], later[piece, left, 1], later[piece, left, 2] = row, start, i
                left += 1
            row += 1
            i = _after_space(data, i)
            if i < 0 or i >= stop or data[i] != _COMMA:
                break
            i = _after_space(data, i + 1)
        rows[piece], waiting[piece] = (row - first[piece], left) if i == stop else (-1, 0)


@helper
def _detection(data, i, images, categories):
    """The object at byte i: the byte after it, or -1; image, category, x, y, width, height, score; is it sure?"""
    seen, sure, image, category, x, y, width, height, score = 0, True, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0
    if data[i] != _BRACE:
        i = -1
    while i >= 0:
        key, i = _key(data, _after_space(data, i + 1))
        if i < 0 or seen & key:
            i = -1
            break
        seen |= key
        fine = True
        if key == 1:
            i, image = _id(data, i, images)
        elif key == 2:
            i, category = _id(data, i, categories)
        elif key == 4:
            i, x, y, width, height, fine = _bbox(data, i)
        else:
            i, score, fine = number(data, i)
        sure = sure and fine
        i = _after_space(data, i)
        if i < 0 or data[i] != _COMMA:
            i = i + 1 if i >= 0 and data[i] == _END and seen == 15 else -1
            break
    return i, image, category, x, y, width, height, score, sure


@helper
def _bbox(data, i):
    """The list of four numbers at byte i: the byte after it, or -1; the numbers, and whether they are sure."""
    if data[i] != _BRACKET:
        return -1, 0.0, 0.0, 0.0, 0.0, False
    i, x, first = number(data, _after_space(data, i + 1))
    i, y, second = number(data, _after(data, i, _COMMA))
    i, width, third = number(data, _after(data, i, _COMMA))
    i, height, fourth = number(data, _after(data, i, _COMMA))
    i = _after_space(data, i)
    if i < 0 or data[i] != _CLOSED:
        i = -2
    return i + 1, x, y, width, height, first and second and third and fourth


@helper
def _after_space(data, i):
    """The first byte from i on that is no white space of JSON; -1 after -1."""
    while i >= 0 and (data[i] == 32 or data[i] == 10 or data[i] == 13 or data[i] == 9):
        i += 1
    return i


@helper
def _after(data, i, byte):
    """Where the next value begins, if this byte and perhaps white space are between; -1 if not, or after -1."""
    i = _after_space(data, i)
    return _after_space(data, i + 1) if i >= 0 and data[i] == byte else -1


@helper
def _key(data, i):
    """Which key stands at byte i, 1, 2, 4 or 8, or 0; and the byte where its value begins, or -1."""
    if data[i] != _QUOTE:
        return 0, -1
    i += 1
    if data[i] == _IMAGE[0]:
        key, text = 1, _IMAGE
    elif data[i] == _CATEGORY[0]:
        key, text = 2, _CATEGORY
    elif data[i] == _BBOX[0]:
        key, text = 4, _BBOX
    else:
        key, text = 8, _SCORE
    for k in range(len(text)):
        if data[i + k] != text[k]:
            return 0, -1
    i += len(text)
    return key, (_after(data, i + 1, _COLON) if data[i] == _QUOTE else -1)


@helper
def _id(data, i, ids):
    """The byte after a whole number, or -1 where there is none of ``ids``; and its index."""
    i, value, fits = whole_number(data, i)
    if not fits:
        return -1, 0
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if ids[middle] < value:
            low = middle + 1
        else:
            high = middle
    if low == len(ids) or ids[low] != value:
        return -1, 0
    return i, low
