"""Boxes that are turned, as CVAT draws them: the plain box around them."""

from __future__ import annotations

import math

DIGITS = 9
"""Corners are rounded to a billionth of a pixel, so that a box is the same number whichever way it was written."""


def turned_bounds(box: tuple[float, float, float, float], degrees: float) -> tuple[float, float, float, float]:
    """The smallest box without rotation around one that is turned about its centre.

    Args:
        box: (x1, y1, x2, y2), continuous, before it is turned.
        degrees: by how much, in either direction.

    Returns:
        (x1, y1, x2, y2), rounded to DIGITS; the box as it is where turning leaves it the same.

    >>> turned_bounds((5, 25, 55, 31), 90)
    (27.0, 3.0, 33.0, 53.0)
    """
    if not degrees % 180:
        return box
    x1, y1, x2, y2 = box
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    width, height = (x2 - x1) * cos + (y2 - y1) * sin, (x2 - x1) * sin + (y2 - y1) * cos
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return round(left, DIGITS), round(top, DIGITS), round(right, DIGITS), round(bottom, DIGITS)


def degrees_of(value: object) -> float:
    """The angle that a file gives for a box.

    Args:
        value: a number, also as text; None or empty for a box that is not turned.

    Raises:
        ValueError: it is no finite number.
    """
    if value is None or value == "":
        return 0.0
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no number of degrees")
    try:
        degrees = float(value)
    except (ValueError, OverflowError):
        degrees = math.nan
    if not math.isfinite(degrees):
        raise ValueError(f"{value!r} is no number of degrees")
    return degrees
