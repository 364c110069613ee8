"""The geometry of pixels: images and boxes brought to another size and back, and images put together to a batch.

What training, inspection and detection share, in NumPy and Pillow. A box follows its pixels: its coordinates are
continuous, so an image's width and height are mapped to the new ones by their exact ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.structures import Detections


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image brought to another size: bilinear interpolation, averaged where the pixels become fewer.

    Args:
        image: (H, W, 3) uint8.
        size: (height, width) wanted, pixels.

    Returns:
        (height, width, 3) uint8; the image itself where it has this size already.
    """
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def scale_boxes(
    boxes: NDArray[np.float64], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """The boxes of an image after it is resized; with the two sizes exchanged, the inverse.

    >>> scale_boxes(np.array([[10.0, 20.0, 30.0, 40.0]]), from_size=(100, 200), to_size=(50, 400))
    array([[20., 10., 60., 20.]])

    Args:
        boxes: (N, 4) corners, pixels of the image of `from_size`.
        from_size: (height, width), pixels.
        to_size: (height, width), pixels.

    Returns:
        (N, 4) corners in pixels of the image of `to_size`. Width and height each have their own exact ratio, and a box
        that reached the image's border reaches it again, without a rounding error beyond it.
    """
    return boxes * (to_size[::-1] * 2) / (from_size[::-1] * 2)


def batch_images(
    images: Sequence[NDArray[np.uint8]], config: RetinaNetConfig, sizes: Iterable[tuple[int, int]] = ()
) -> NDArray[np.float32]:
    """Images as the network takes them: RGB in [0, 1] minus the configuration's mean, divided by its std.

    Args:
        images: (h, w, 3) uint8 each, at least one; they may differ in size.
        config: has the mean, the std and the strides.
        sizes: (height, width) of other images that the batch must have room for, as those of another process have.

    Returns:
        (B, 3, H, W) float32. Each image is at the top left, zeros are to the right of it and below. H and W are the
        largest height and width of all, rounded up to a multiple of the coarsest stride.
    """
    every = [*(image.shape[:2] for image in images), *sizes]
    stride = config.anchors.strides[-1]
    height, width = (-(-max(sides) // stride) * stride for sides in zip(*every, strict=True))
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (config.mean, config.std))
    batch = np.zeros((len(images), 3, height, width), np.float32)
    for i, image in enumerate(images):
        pixels = image.transpose(2, 0, 1).astype(np.float32)  # (3, h, w)
        batch[i, :, : image.shape[0], : image.shape[1]] = (pixels / np.float32(255) - mean) / std
    return batch


def detect_images(
    detect: Callable[[NDArray[np.float32], list[tuple[int, int]]], Sequence[Detections[np.ndarray]]],
    images: Iterable[NDArray[np.uint8]], config: RetinaNetConfig, resize: ResizeConfig | None = None,
) -> list[Detections[np.ndarray]]:  # fmt: skip
    """What a network finds in images of any size, in their own pixels (section 4.1, "Inference").

    Args:
        detect: the network's: from a batch of images and the size of each to the detections in each.
        images: (H, W, 3) uint8 arrays, RGB. One at a time is in the network.
        config: the network's.
        resize: how each image is brought to the network's size; None is the paper's.

    Returns:
        The detections in each image, best score first: boxes (D, 4) float64, scores (D,), classes (D,) int64.

    Raises:
        ValueError: an image is an array of another kind, or empty.
    """
    found = []
    for image in images:
        size = (resize or ResizeConfig()).resized(_checked(image).shape[:2])
        boxes, scores, classes = detect(batch_images([resize_image(image, size)], config), [size])[0]
        found.append(Detections(scale_boxes(boxes.astype(np.float64), size, image.shape[:2]), scores, classes))
    return found


def _checked(image: Any) -> NDArray[np.uint8]:
    kind = (getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__))
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image has shape {kind[0]} and dtype {kind[1]}: give (H, W, 3) uint8 arrays, RGB")
    if image.size == 0:
        raise ValueError(f"an image has shape {image.shape}: it has no pixels")
    return image
