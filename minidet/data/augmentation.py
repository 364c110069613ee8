"""Random changes of an image beyond flips and scale: its colours, and the part of it that is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from minidet.data.records import Sample

SMALLEST = 0.5
"""Sides of the smallest part that `crop` takes, as a fraction of the image's."""
VISIBLE = 0.5
"""An object of which less of the area than this is left is neither learnt as an object nor as background."""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luma of red, green and blue (ITU-R BT.601)


def photometric(image: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """An image in other light: brightness, contrast, saturation and hue changed at random.

    Args:
        image: (H, W, 3) uint8, RGB.
        strength: from 0, no change, to 1: each factor then is between 1/2 and 2, and hues turn by up to 60 degrees.
        rng: five numbers are drawn from it.

    Returns:
        (H, W, 3) uint8.
    """
    draws = 2 * rng.random(5) - 1
    brightness, contrast, saturation = (2.0 ** (strength * draws[:3])).astype(np.float32)
    pixels = image.astype(np.float32) * brightness
    pixels = pixels.mean() + contrast * (pixels - pixels.mean())
    grey = (pixels @ _GREY)[..., None]
    pixels = grey + saturation * (pixels - grey)
    pixels = pixels @ _turned(strength * np.pi / 3 * draws[3])
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def crop(sample: Sample, rng: np.random.Generator) -> Sample:
    """A part of an image, of the same shape, with at least one whole object where there is one.

    Objects are clipped to the part. One that is hardly left (see VISIBLE) is ignored, one that is not left is dropped.

    Args:
        sample: an image and its objects.
        rng: four numbers are drawn from it.

    Returns:
        The sample of the part.
    """
    size, across, down, which = rng.random(4).tolist()
    height, width = sample.image.shape[:2]
    scale = SMALLEST + (1 - SMALLEST) * size
    whole = np.array([0.0, 0.0, 0.0, 0.0])
    learnt = np.flatnonzero(~sample.ignore)
    if len(learnt):
        whole = sample.boxes[learnt[int(which * len(learnt))]]
        scale = max(scale, (whole[2] - whole[0]) / width, (whole[3] - whole[1]) / height)
    part_h, part_w = min(height, int(np.ceil(scale * height))), min(width, int(np.ceil(scale * width)))
    left = _place(across, part_w, width, whole[0::2] if len(learnt) else None)
    top = _place(down, part_h, height, whole[1::2] if len(learnt) else None)
    boxes = sample.boxes - np.array([left, top, left, top])
    clipped = np.clip(boxes, 0, np.array([part_w, part_h, part_w, part_h]))
    area, before = (np.prod(one[:, 2:] - one[:, :2], axis=1) for one in (clipped, boxes))
    kept = area > 0
    hardly = area < VISIBLE * before
    return replace(
        sample,
        image=sample.image[top : top + part_h, left : left + part_w],
        boxes=clipped[kept],
        classes=sample.classes[kept],
        ignore=(sample.ignore | hardly)[kept],
        crowd=sample.crowd[kept],
    )


def _place(draw: float, part: int, side: int, inside: np.ndarray | None) -> int:
    """Where a part of a side begins, at random but so that it holds an interval where it is long enough."""
    low, high = 0, side - part
    if inside is not None:
        first = max(low, int(np.ceil(inside[1])) - part)
        last = min(high, int(np.floor(inside[0])))
        if first <= last:
            low, high = first, last
    return low + int(draw * (high - low + 1))


def _turned(angle: float) -> NDArray[np.float32]:
    """(3, 3) the rotation of colours around the axis of greys."""
    cos, sin = np.cos(angle), np.sin(angle) / np.sqrt(3)
    third = (1 - cos) / 3
    rows = [[cos + third, third - sin, third + sin], [third + sin, cos + third, third - sin]]
    return np.array([*rows, [third - sin, third + sin, cos + third]], np.float32)
