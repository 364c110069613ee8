"""Drawing for Shapes: outlines, how much of each pixel they cover, backgrounds, and all of it as an image.

An outline is drawn by scan lines, four per row of pixels; along each the covered part of every pixel is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_SUBROWS = 4  # scan lines


class Item(NamedTuple):
    """An object or, with label -1, a distractor."""

    label: int
    edges: Array
    """(E, 2, 2) the outline in pixels: start and end as (x, y), the inside always on the same hand."""
    box: tuple[float, float, float, float]
    """Bounds of the whole shape."""
    area: float
    """Area of the whole shape, in square pixels."""


def paint(rng: np.random.Generator, items: Sequence[Item], image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw items on a textured background, with noise.

    Args:
        rng: where colours, textures and noise come from.
        items: what to draw, from back to front.
        image_size: (height, width).

    Returns:
        (H, W, 3) RGB.
    """
    image, ground = _background(rng, image_size)
    colours: list[Array] = []
    for item in items:
        below = [colour for other, colour in zip(items, colours, strict=False) if overlap(item.box, other.box) > 0]
        candidates = (rng.random((16, 3)) * 255).astype(np.float32)
        distances = np.abs(candidates[:, None] - np.stack(ground + below)).max(axis=2).min(axis=1)  # (16,)
        enough = distances >= 30 + 80 * rng.random()
        colours.append(candidates[enough.argmax() if enough.any() else distances.argmax()])
        x1, y1, x2, y2 = clip(item.box, image_size)
        left, top, right, bottom = int(x1), int(y1), math.ceil(x2), math.ceil(y2)
        cover = coverage(item.edges - np.array([left, top]), bottom - top, right - left)
        shade = np.arange(right - left, dtype=np.float32) * np.float32(2 / (right - left)) - 1
        shade *= np.float32(50 * rng.random() - 25)
        window = image[:, top:bottom, left:right]
        window += cover * (colours[-1][:, None, None] + shade - window)
    noise = np.frombuffer(rng.bytes(image.size), dtype=np.uint8).reshape(image.shape)
    strength = np.float32(0.15 * rng.random())
    image += noise * strength - 127.5 * strength
    np.rint(np.clip(image, 0, 255, out=image), out=image)
    return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))


def coverage(edges: Array, height: int, width: int) -> Array:
    """How much of each pixel an outline covers.

    Where a scan line meets an edge, everything to the right of that point enters or leaves the shape. Put down at the
    points and summed along the rows, those changes are the coverage.

    Args:
        edges: (E, 2, 2) start and end of each edge as (x, y), pixels.
        height: rows of the result.
        width: columns of the result.

    Returns:
        (height, width) float32 in [0, 1].
    """
    (x1, y1), (x2, y2) = edges[:, 0].T, edges[:, 1].T
    lines = (np.arange(height * _SUBROWS) + 0.5) / _SUBROWS
    edge, line = np.nonzero((y1[:, None] <= lines) != (y2[:, None] <= lines))  # half open: a shared corner counts once
    x = x1[edge] + (lines[line] - y1[edge]) * ((x2 - x1)[edge] / (y2 - y1)[edge])
    x = np.clip(x, 0, width)
    column = x.astype(np.int64)
    change = np.where(y1 > y2, 1.0, -1.0)[edge] / _SUBROWS
    place = line // _SUBROWS * (width + 2) + column
    total = height * (width + 2)
    changes = np.bincount(place, change * (1 - (x - column)), total) + np.bincount(
        place + 1, change * (x - column), total
    )
    return changes.reshape(height, width + 2).cumsum(axis=1)[:, :width].astype(np.float32)


def _background(rng: np.random.Generator, image_size: tuple[int, int]) -> tuple[Array, list[Array]]:
    """(3, H, W) float32, a texture between two colours, and those colours."""
    height, width = image_size
    kind, angle, scale, sharpness = rng.random(4).tolist()
    first = (255 * (0.35 * rng.random(3) + 0.65 * rng.random())).astype(np.float32)  # greyish
    second = np.clip(first + (120 * rng.random(3) - 60).astype(np.float32), 0, 255)
    if kind < 0.3:  # low-frequency noise: a coarse grid, interpolated
        cells = 3 + int(6 * scale)
        grid = rng.random((cells + 1, cells + 1)).astype(np.float32)
        mix = _stretch(_stretch(grid, height).T, width).T
    else:
        period = 2.0 * (height + width) if kind < 0.5 else 10 * math.exp(scale * 2)
        cos, sin = math.cos(2 * math.pi * angle) / period, math.sin(2 * math.pi * angle) / period
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        mix = _wave(np.float32(cos) * x + np.float32(sin) * y)  # gradient, stripes
        if kind >= 0.8:  # checker
            mix = 0.5 + 2 * (mix - 0.5) * (_wave(np.float32(cos) * y - np.float32(sin) * x) - 0.5)
        mix = np.clip((mix - 0.5) * np.float32(1 + 5 * sharpness) + 0.5, 0, 1)
    return first[:, None, None] + mix * (second - first)[:, None, None], [first, second]


def _wave(t: Array) -> Array:
    """The triangle wave of period 1 between 0 and 1."""
    return np.abs(2 * (t - np.floor(t)) - 1)


def _stretch(grid: Array, length: int) -> Array:
    """Rows (n, m) interpolated linearly to (length, m)."""
    place = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32((len(grid) - 1) / length)
    row = place.astype(np.int64)
    part = (place - row)[:, None]
    return grid[row] * (1 - part) + grid[row + 1] * part


def overlap(box1: Sequence[float], box2: Sequence[float]) -> float:
    """The area in which two boxes overlap.

    Args:
        box1: (x1, y1, x2, y2).
        box2: another.

    >>> overlap((0, 0, 4, 4), (3, 2, 9, 9))
    2
    """
    width = min(box1[2], box2[2]) - max(box1[0], box2[0])
    height = min(box1[3], box2[3]) - max(box1[1], box2[1])
    return max(width, 0.0) * max(height, 0.0)


def clip(box: Sequence[float], image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a box that lies inside an image.

    Args:
        box: (x1, y1, x2, y2), pixels.
        image_size: (height, width).
    """
    height, width = image_size
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))


def _corners(radii: Sequence[float]) -> Array:
    """(N, 2) corners at equal angles and these distances from the origin."""
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return np.array([(r * math.cos(angle), r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)])


def _arc(turns: float) -> Array:
    """(24, 2) points of a part of the unit circle."""
    angles = [2 * math.pi * turns * i / 23 for i in range(24)]
    return np.array([(math.cos(angle), math.sin(angle)) for angle in angles])


def _outline(*loops: Array) -> Array:
    """(E, 2, 2) the edges of loops of corners, start and end; a hole is a loop that runs the other way round."""
    return np.concatenate([np.stack([loop, np.roll(loop, -1, axis=0)], axis=1) for loop in loops])


_CIRCLE = _corners([1.0] * 64)
_SQUARE = np.array([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
_TRIANGLE = _corners([1.0] * 3)
_PLUS = np.array([
    (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1), (-1, -3), (1, -3), (1, -1), (3, -1),
])  # fmt: skip
OBJECTS = {
    "disk": _outline(_CIRCLE),
    "square": _outline(_SQUARE),
    "triangle": _outline(_TRIANGLE),
    "star": _outline(_corners([1.0, 0.42] * 5)),
    "cross": _outline(_PLUS),
    "ring": _outline(_CIRCLE, 0.55 * _CIRCLE[::-1]),
}
"""(E, 2, 2) outlines of the classes, of any size, around the origin."""


def _open_ring(a: float, b: float) -> Array:
    arc = _arc(0.5 + 0.25 * a)
    return _outline(np.concatenate([arc, (0.5 + 0.1 * b) * arc[::-1]]))


def _half_disk(a: float, b: float) -> Array:
    return _outline(_arc(0.5))


def _frame(a: float, b: float) -> Array:
    shape = _SQUARE if a < 0.5 else _TRIANGLE
    return _outline(shape, (0.55 + 0.2 * b) * shape[::-1])


def _blob(a: float, b: float) -> Array:
    bulges, depth = (2, 0.45) if a < 0.5 else (3, 0.35)
    depth *= 0.8 + 0.4 * b
    return _outline(_corners([1 + depth * math.cos(2 * math.pi * bulges * i / 64) for i in range(64)]))


def _pentagon(a: float, b: float) -> Array:
    return _outline(_corners([1.0] * 5))


def _line(a: float, b: float) -> Array:
    return _outline(_SQUARE * (1, 0.05 + 0.07 * a))


DISTRACTORS = (_open_ring, _half_disk, _frame, _blob, _pentagon, _line)
"""Functions of two numbers in [0, 1), with which each varies, to such an outline."""
