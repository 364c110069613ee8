"""What a bad argument is told.

Every check raises ValueError with the argument's name, the element at fault, what came, what was wanted and what to do.
Arguments are checked at the door, by public functions; the kernels behind them trust what they get. NumPy only: the
PyTorch path has its own door for tensors in ``minidet.pytorch.tensors``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def number(
    name: str, value: Any, low: float | None = None, high: float | None = None,
    above: float | None = None, below: float | None = None,
) -> float:  # fmt: skip
    """A finite real number, optionally in [low, high] and in (above, below)."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {value!r} is not a number") from None
    wanted = [
        f"{sign} {bound:g}"
        for sign, bound in ((">=", low), ("<=", high), (">", above), ("<", below))
        if bound is not None
    ]
    inside = (
        math.isfinite(result)
        and (low is None or result >= low) and (high is None or result <= high)
        and (above is None or result > above) and (below is None or result < below)
    )  # fmt: skip
    if not inside:
        raise ValueError(f"{name} = {value!r} must be a finite number {' and '.join(wanted)}".rstrip())
    return result


def integer(name: str, value: Any, low: int | None = None, high: int | None = None) -> int:
    """A whole number, optionally in [low, high]."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name} = {value!r} must be a whole number")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f">= {low}" if high is None else f"<= {high}" if low is None else f"in {low} … {high}"
        raise ValueError(f"{name} = {value} must be {bounds}")
    return int(value)


def image_size(value: Any) -> tuple[int, int]:
    """(height, width), whole pixels, each at least 1."""
    try:
        height, width = value
    except (TypeError, ValueError):
        raise ValueError(f"image_size = {value!r} must be (height, width)") from None
    return integer("image_size[0] (height)", height, low=1), integer("image_size[1] (width)", width, low=1)


def iou_thresholds(positive_iou: Any, negative_iou: Any) -> tuple[float, float]:
    """0 <= negative_iou <= positive_iou <= 1, and positive_iou > 0."""
    positive = number("positive_iou", positive_iou, above=0, high=1)
    negative = number("negative_iou", negative_iou, low=0, high=1)
    if negative > positive:
        raise ValueError(
            f"negative_iou = {negative:g} is above positive_iou = {positive:g}: an anchor would be positive and "
            "background at once; swap them"
        )
    return positive, negative


def gamma(value: Any) -> float:
    """The focusing parameter, >= 0."""
    return number("gamma", value, low=0)


def alpha(value: Any) -> float | None:
    """The weight of the objects: None or in [0, 1]."""
    return None if value is None else number("alpha", value, low=0, high=1)


def gamma_alpha(gamma_value: Any, alpha_value: Any) -> tuple[float, float | None]:
    """Both parameters of the focal loss."""
    return gamma(gamma_value), alpha(alpha_value)


def star(gamma_value: Any, beta_value: Any) -> tuple[float, float]:
    """gamma > 0 (the loss divides by it) and a finite beta, of FL*."""
    return number("gamma", gamma_value, above=0), number("beta", beta_value)


def floats(name: str, value: Any) -> np.ndarray:
    """A real array as a floating array: its own type if that is floating, else float64."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}: give real numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def boxes(name: str, value: Any, with_area: bool = False) -> np.ndarray:
    """(N, 4) corners x1 <= x2, y1 <= y2, finite; with_area: x1 < x2 and y1 < y2. An empty list is (0, 4)."""
    array = floats(name, value)
    if array.size == 0 and array.shape in ((0,), (0, 4), (1, 0)):
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} has shape {array.shape}: boxes are (N, 4), one row (x1, y1, x2, y2) a box")
    with np.errstate(over="ignore", invalid="ignore"):
        sides = array[:, 2:].astype(np.float64) - array[:, :2]
        finite = np.isfinite(array).all(axis=1) & np.isfinite(sides[:, 0] * sides[:, 1])
    _refuse(name, array, ~finite, "is not finite, or too large to have an area: remove or repair the box")
    _refuse(name, array, (sides < 0).any(axis=1), "is inverted: x1 <= x2 and y1 <= y2 are wanted; swap the corners")
    if with_area:
        _refuse(name, array, (sides <= 0).any(axis=1), "has no area: drop it, or fix the annotation it comes from")
    return array


def matching_boxes(name: str, value: Any, other_name: str, other: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two (N, 4) arrays of boxes with area and of the same length."""
    array, partner = boxes(name, value, with_area=True), boxes(other_name, other, with_area=True)
    same_length(name, array, other_name, partner)
    return array, partner


def deltas(name: str, value: Any, anchors: np.ndarray) -> np.ndarray:
    """(N, 4) offsets (tx, ty, tw, th), finite, one row an anchor."""
    array = floats(name, value)
    if array.size == 0 and array.ndim == 1:
        array = array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"{name} has shape {array.shape}: offsets are (N, 4), one row (tx, ty, tw, th) an anchor")
    same_length(name, array, "anchors", anchors)
    _refuse(
        name, array, ~np.isfinite(array).all(axis=1), "is not finite: the network has diverged, or its input was not"
    )
    return array


def same_length(name: str, array: np.ndarray, other_name: str, other: np.ndarray) -> None:
    """Both arrays have as many rows."""
    if len(array) != len(other):
        raise ValueError(f"{name} has {len(array)} rows and {other_name} has {len(other)}: give one for each")


def vector(name: str, value: Any, length: int, of: str) -> np.ndarray:
    """(length,) numbers without a NaN."""
    array = np.asarray(value)
    array = floats(name, array.reshape(0) if array.size == 0 else array)
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}: give ({length},), one for each of the {of}")
    return no_nan(name, array)


def integers(name: str, value: Any, length: int, of: str, low: int, high: int | None = None) -> np.ndarray:
    """(length,) whole numbers in [low, high] as int64."""
    array = np.asarray(value)
    array = array.reshape(0) if array.size == 0 else array
    if array.shape != (length,):
        raise ValueError(f"{name} has shape {array.shape}: give ({length},), one for each of the {of}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}: give integers")
    bad = (array < low) if high is None else (array < low) | (array > high)
    bounds = f">= {low}" if high is None else f"in {low} … {high}"
    _refuse(name, array, bad, f"is out of range: it must be {bounds}")
    return array.astype(np.int64)


def mask(name: str, value: Any, length: int, of: str) -> np.ndarray:
    """(length,) booleans."""
    array = np.asarray(value)
    array = array.reshape(0).astype(bool) if array.size == 0 else array
    if array.shape != (length,) or array.dtype != np.bool_:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}: give ({length},) bool, one for each of the {of}"
        )
    return array


def no_nan(name: str, array: np.ndarray) -> np.ndarray:
    """No element is NaN; infinities may pass."""
    if array.size and np.isnan(array.min()):  # min carries a NaN along, so one pass and no temporary array
        _refuse(name, array, np.isnan(array), "is not a number: the network has diverged, or its input was not finite")
    return array


def binary(logits: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits of any shape without NaN, and targets of the same shape that are 0 or 1."""
    x, y = no_nan("logits", floats("logits", logits)), np.asarray(targets)
    if y.size == 0 and x.size == 0:
        y = y.reshape(x.shape)
    if x.shape != y.shape:
        raise ValueError(f"targets has shape {y.shape} and logits {x.shape}: give one target for each logit")
    if y.dtype.kind not in "fiub":
        raise ValueError(f"targets has dtype {y.dtype}: give 0 or 1, as bool, integer or floating")
    _refuse("targets", y, (y != 0) & (y != 1), "is neither 0 (background) nor 1 (object)")
    return x, y


def predictions(values: Any, targets: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two floating arrays of one shape without NaN."""
    x = no_nan("predictions", floats("predictions", values))
    t = no_nan("targets", floats("targets", targets))
    if x.shape != t.shape:
        raise ValueError(f"targets has shape {t.shape} and predictions {x.shape}: give one target for each prediction")
    return x, t


def class_scores(name: str, value: Any) -> np.ndarray:
    """(N, K) without NaN; a row an anchor, a column a class."""
    array = floats(name, value)
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}: give (N, K), a row an anchor and a column a class")
    return no_nan(name, array)


def softmax(logits: Any, labels: Any, alpha: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, K) finite logits with K >= 1, (N,) labels in 0 … K-1, and alpha as (K,) weights >= 0."""
    x = class_scores("logits", logits)
    n, k = x.shape
    integer("logits.shape[1] (classes)", k, low=1)
    _refuse("logits", x, ~np.isfinite(x), "is infinite: the softmax of an infinite logit is not defined")
    label = integers("labels", labels, n, of="rows of logits", low=0, high=k - 1)
    weight = floats("alpha", 1.0 if alpha is None else alpha)
    if weight.ndim > 1 or (weight.ndim == 1 and len(weight) != k):
        raise ValueError(f"alpha has shape {weight.shape}: give one weight, or ({k},), one for each class")
    _refuse("alpha", weight, ~(np.isfinite(weight) & (weight >= 0)), "is no weight: it must be finite and >= 0")
    return x, label, np.broadcast_to(weight, (k,))


def levels(*lists: Any) -> None:
    """logits, deltas and anchors are lists with one entry a level, at least one."""
    counts = [len(one) for one in lists]
    if len(set(counts)) != 1 or not counts[0]:
        raise ValueError(
            f"logits, deltas and anchors have {counts[0]}, {counts[1]} and {counts[2]} levels: give one entry a level "
            "in each, at least one level"
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
    integer("batch_size", batch_size, low=1)
    if positives is None and negatives_per_positive is None:
        return None, 0
    if positives is None or negatives_per_positive is None:
        raise ValueError("give positives and negatives_per_positive together, or neither")
    ratio = integer("negatives_per_positive", negatives_per_positive, low=1)
    if batch_size < 1 + ratio:
        raise ValueError(f"batch_size = {batch_size} has no room for one positive and {ratio} negatives: raise it")
    return mask("positives", positives, len(np.asarray(losses)), of="losses"), ratio


def _refuse(name: str, array: np.ndarray, bad: np.ndarray, why: str) -> None:
    """Raise for the first bad element (or row) and say how many more there are."""
    if not bad.any():
        return
    place = tuple(int(i) for i in np.argwhere(bad)[0])
    element = array[place]
    came = f"({', '.join(f'{v:g}' for v in element)})" if element.ndim else f"{element}"
    at = f"[{', '.join(map(str, place))}]" if place else ""
    more = int(np.count_nonzero(bad)) - 1
    raise ValueError(f"{name}{at} = {came} {why}" + (f" ({more} more like it)" if more else ""))
