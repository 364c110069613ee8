"""The arrays that kernels take: of a type and layout that they are compiled for, checked in one pass, sorted."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.jit import kernel


def native(array: np.ndarray) -> np.ndarray:
    """The array as contiguous float32 or float64; any other floating type becomes float64."""
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
    return np.ascontiguousarray(array, dtype)


def wide(array: np.ndarray) -> np.ndarray:
    """The array as contiguous float64."""
    return np.ascontiguousarray(array, np.float64)


def boxes(name: str, value: ArrayLike) -> np.ndarray:
    """Check boxes as `checks.boxes` does, in one pass; only if one is wrong does that function look for it."""
    array = checks.as_array(name, value)
    return array if _plain(array) and _all_boxes(array, False) else checks.boxes(name, array)


def matching_boxes(
    name: str, value: ArrayLike, other_name: str, other: ArrayLike, with_area: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Check two arrays of boxes as `checks.matching_boxes` does, each in one pass."""
    array, partner = checks.as_array(name, value), checks.as_array(other_name, other)
    if all(_plain(one) and _all_boxes(one, with_area) for one in (array, partner)) and len(array) == len(partner):
        return array, partner
    return checks.matching_boxes(name, value, other_name, other, with_area)


def _plain(array: np.ndarray) -> bool:
    """Whether this is an array of the kind that `_all_boxes` takes."""
    kind = array.dtype in (np.float32, np.float64)
    return array.ndim == 2 and array.shape[1] == 4 and kind and array.flags.c_contiguous


def descending(scores: np.ndarray) -> np.ndarray:
    """The indices (N,) of scores from the highest to the lowest, of equal ones the lower index first; no NaN.

    NumPy sorts 16-bit integers in linear time. The bits of a float, read as an integer, order like the float once the
    negative ones are flipped, so a stable sort by each 16 bits in turn, lowest first, sorts the floats.
    """
    keys = native(0 - scores)  # not -scores: 0.0 and -0.0 are equal scores
    digits = keys.view(np.uint16).reshape(len(keys), keys.itemsize // 2)
    if sys.byteorder == "big":
        digits = digits[:, ::-1]
    flip = np.where(keys < 0, np.uint16(0xFFFF), np.uint16(0))
    order = np.arange(len(keys))
    for place in range(digits.shape[1]):
        digit = digits[:, place] ^ flip
        if place == digits.shape[1] - 1:
            digit ^= np.where(keys < 0, np.uint16(0), np.uint16(0x8000))  # positive numbers above negative ones
        order = order[np.argsort(digit[order], kind="stable")]
    return order


@kernel
def _all_boxes(array, with_area):
    """Whether every row has x1 <= x2 and y1 <= y2, no NaN and no number that is too large to have an area.

    With area: whether it has x1 < x2 and y1 < y2.
    """
    bad = 0
    for i in range(len(array)):
        x1, y1, x2, y2 = array[i, 0], array[i, 1], array[i, 2], array[i, 3]
        ordered = x1 <= x2 and y1 <= y2  # false for a NaN
        ordered = ordered and (not with_area or (x1 < x2 and y1 < y2))
        bad += not (ordered and x1 > -1e30 and y1 > -1e30 and x2 < 1e30 and y2 < 1e30)
    return bad == 0


@kernel
def all_finite(values):
    """Whether no element of a flat array is NaN or infinite."""
    bad = 0
    for i in range(len(values)):  # not over the values themselves: only this turns into vector instructions
        bad += not abs(values[i]) <= 1.7976931348623157e308  # the largest float64; false for a NaN
    return bad == 0
