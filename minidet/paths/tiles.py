"""Large images in tiles: small objects are found at a size at which the detector has learnt them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet import checks
from minidet.compiled import batched_nms
from minidet.config import ResizeConfig
from minidet.paths.networks import detect_images
from minidet.structures import Detections

OVERLAP = 0.25
"""The part of a tile that its neighbour sees too: objects up to that size are whole in one of them."""
_BORDER = 2.0  # pixels from a tile's border within which a box is taken for one of an object that is cut there


def detect_tiled(
    model: Any, images: Iterable[NDArray[np.uint8]], tile: int, resize: ResizeConfig | None = None
) -> list[Detections[np.ndarray]]:
    """What a model finds in images of any size, each looked at as a whole and tile by tile.

    A box that ends at a border between tiles belongs to an object that is cut there. It is dropped: the neighbouring
    tile or, if the object is larger than the overlap, the whole image has the object itself. What is left is merged by
    non-maximum suppression across tiles.

    Args:
        model: a trained network of any path. One tile is in it at a time.
        images: (H, W, 3) uint8 arrays, RGB.
        tile: side of a tile, pixels of the image. Tiles are brought to the network's size like images, so half the
            training's size shows everything twice as large.
        resize: how images and tiles are brought to the network's size; None is the paper's.

    Returns:
        The detections in each image, as `detect_images` gives them.

    Raises:
        ValueError: the tile has no pixels, or an image is an array of another kind.
    """
    side = checks.integer("tile", tile, low=8)
    found = []
    for image in images:
        (whole,) = detect_images(model, [image], resize)
        parts = [whole]
        if max(image.shape[:2]) > side:
            for top, left in _places(image.shape[:2], side):
                part = image[top : top + side, left : left + side]
                (seen,) = detect_images(model, [np.ascontiguousarray(part)], resize)
                parts.append(_uncut(seen, (top, left), part.shape[:2], image.shape[:2]))
        found.append(_merged(parts, model))
    return found


def detect_with(
    model: Any, images: Iterable[NDArray[np.uint8]], resize: ResizeConfig | None = None, tile: int | None = None
) -> list[Detections[np.ndarray]]:
    """What a model finds in images: `detect_tiled` where there is a tile, otherwise `detect_images`."""
    return detect_images(model, images, resize) if tile is None else detect_tiled(model, images, tile, resize)


def _places(image_size: tuple[int, int], side: int) -> Iterator[tuple[int, int]]:
    """(top, left) of every tile: evenly spread, the first at the top left, the last at the bottom right."""

    def along(length: int) -> list[int]:
        if length <= side:
            return [0]
        count = 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))
        return np.linspace(0, length - side, count).round().astype(int).tolist()

    for top in along(image_size[0]):
        for left in along(image_size[1]):
            yield top, left


def _uncut(
    seen: Detections[np.ndarray], at: tuple[int, int], size: tuple[int, int], image_size: tuple[int, int]
) -> Detections[np.ndarray]:
    """A tile's detections in pixels of the image, without those that end at a border inside the image."""
    (top, left), (height, width) = at, size
    x1, y1, x2, y2 = seen.boxes.T
    cut = (x1 < _BORDER) & (left > 0) | (x2 > width - _BORDER) & (left + width < image_size[1])
    cut |= (y1 < _BORDER) & (top > 0) | (y2 > height - _BORDER) & (top + height < image_size[0])
    moved = seen.boxes + np.array([left, top, left, top])
    return Detections(moved[~cut], seen.scores[~cut], seen.classes[~cut])


def _merged(parts: list[Detections[np.ndarray]], model: Any) -> Detections[np.ndarray]:
    """The detections of all parts, each object once, best score first."""
    boxes, scores, classes = (np.concatenate(column) for column in zip(*parts, strict=True))
    config = model.config.postprocess
    kept = batched_nms(boxes, scores, classes, config.iou_threshold)
    kept = kept[: config.max_detections * len(parts)]  # a larger image may hold more
    return Detections(boxes[kept], scores[kept], classes[kept])
