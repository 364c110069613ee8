"""Numbers: parameters in their range."""

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
        if isinstance(value, (str, bytes, bool, np.bool_)):  # Python would read these as numbers too
            raise TypeError
        result = float(value)
    except (TypeError, ValueError, OverflowError):
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
