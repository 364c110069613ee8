"""Arrays: boxes, offsets, scores, whole numbers and masks, of the shape and type that is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_array(name: str, value: Any) -> np.ndarray:
    """A list, an array or a tensor as an array; what NumPy does not take (a tensor that needs a gradient) by name."""
    try:
        return np.asarray(value)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{name} cannot be made an array: {error}") from error


def floats(name: str, value: Any) -> np.ndarray:
    """A real array as a floating array: its own type if that is floating, else float64."""
    array = as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}: give real numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def boxes(name: str, value: Any, with_area: bool = False) -> np.ndarray:
    """(N, 4) corners x1 <= x2, y1 <= y2, finite; with_area: x1 < x2 and y1 < y2. An empty list is (0, 4)."""
    array = floats(name, value)
    if array.size == 0 and array.shape in ((0,), (0, 4), (1, 0)):
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} has shape {array.shape}: boxes are (N, 4), one row (x1, y1, x2, y2) per box")
    with np.errstate(over="ignore", invalid="ignore"):
        sides = array[:, 2:].astype(np.float64) - array[:, :2]
        finite = np.isfinite(array).all(axis=1) & np.isfinite(sides[:, 0] * sides[:, 1])
    refuse(name, array, ~finite, "is not finite, or too large to have an area: remove or repair the box")
    refuse(name, array, (sides < 0).any(axis=1), "is inverted: x1 <= x2 and y1 <= y2 must hold; swap the corners")
    if with_area:
        refuse(name, array, (sides <= 0).any(axis=1), "has no area: drop it, or fix the annotation it comes from")
    return array


def matching_boxes(
    name: str, value: Any, other_name: str, other: Any, with_area: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Two (N, 4) arrays of boxes, with area unless told otherwise, and of the same length."""
    array, partner = boxes(name, value, with_area), boxes(other_name, other, with_area)
    same_length(name, array, other_name, partner)
    return array, partner


def deltas(name: str, value: Any, anchors: np.ndarray) -> np.ndarray:
    """(N, 4) offsets (tx, ty, tw, th), finite, one row per anchor."""
    array = floats(name, value)
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} has shape {array.shape}: offsets are (N, 4), one row (tx, ty, tw, th) per anchor")
    same_length(name, array, "anchors", anchors)
    if array.size and not np.isfinite([array.min(), array.max()]).all():
        bad = ~np.isfinite(array).all(axis=1)
        refuse(name, array, bad, "is not finite: the network has diverged, or its input was not")
    return array


def same_length(name: str, array: np.ndarray, other_name: str, other: np.ndarray) -> None:
    """Both arrays have as many rows."""
    if len(array) != len(other):
        raise ValueError(f"{name} has {len(array)} rows and {other_name} has {len(other)}: give one for each")


def vector(name: str, value: Any, length: int, of: str) -> np.ndarray:
    """(length,) numbers without a NaN."""
    array = as_array(name, value)
    array = floats(name, array.reshape(0) if array.size == 0 else array)
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}: give ({length},), one for each of the {of}")
    return no_nan(name, array)


def integers(name: str, value: Any, length: int, of: str, low: int, high: int | None = None) -> np.ndarray:
    """(length,) whole numbers in [low, high] as int64."""
    array = as_array(name, value)
    array = array.reshape(0) if array.size == 0 else array
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}: give ({length},), one for each of the {of}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}: give integers")
    bad = (array < low) if high is None else (array < low) | (array > high)
    bounds = f">= {low}" if high is None else f"in {low} … {high}"
    refuse(name, array, bad, f"is out of range: it must be {bounds}")
    return array.astype(np.int64)


def mask(name: str, value: Any, length: int, of: str) -> np.ndarray:
    """(length,) booleans."""
    array = as_array(name, value)
    array = array.reshape(0).astype(bool) if array.size == 0 else array
    if array.shape != (length,) or array.dtype != np.bool_:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}: give ({length},) bool, one for each of the {of}"
        )
    return array


def no_nan(name: str, array: np.ndarray) -> np.ndarray:
    """No element is NaN; infinities may pass."""
    if array.size and np.isnan(array.min()):  # min carries a NaN along, so one pass and no temporary array
        refuse(name, array, np.isnan(array), "is not a number: the network has diverged, or its input was not finite")
    return array


def class_scores(name: str, value: Any) -> np.ndarray:
    """(N, K) without NaN; a row per anchor, a column per class."""
    array = floats(name, value)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}: give (N, K), a row per anchor and a column per class")
    return no_nan(name, array)


def refuse(name: str, array: np.ndarray, bad: np.ndarray, why: str) -> None:
    """Raise for the first bad element (or row) and say how many more there are."""
    if not bad.any():
        return
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    element = array[place]
    came = f"({', '.join(f'{v:g}' for v in element)})" if element.ndim else f"{element}"
    at = f"[{', '.join(map(str, place))}]" if place else ""
    more = int(np.count_nonzero(bad)) - 1
    raise ValueError(f"{name}{at} = {came} {why}" + (f" ({more} more like it)" if more else ""))
