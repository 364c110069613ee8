"""What a bad argument of a layer is told: feature maps, filters, and the vectors of a normalisation.

NaN and infinity pass: a training loop sees them in its loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet.checks import arrays
from minidet.checks.numbers import image_size, integer


def feature_map(name: str, value: Any, like: tuple[int, ...] | None = None) -> np.ndarray:
    """(B, C, H, W) floating, of exactly the shape `like` where that is given."""
    array = arrays.floats(name, value)
    if like is not None and array.shape != like:
        raise ValueError(f"{name} has shape {array.shape}: give {like}, the shape of the output")
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise ValueError(f"{name} has shape {array.shape}: give (B, C, H, W) with C, H and W of at least 1")
    return array


def filters(value: Any, channels: int, groups: Any) -> np.ndarray:
    """(O, C / groups, k, k) for a map of C channels; O and C are multiples of groups."""
    weight = arrays.floats("weight", value)
    integer("groups", groups, low=1)
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or 0 in weight.shape:
        raise ValueError(f"weight has shape {weight.shape}: give (O, C / groups, k, k), square filters")
    if weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise ValueError(
            f"weight has shape {weight.shape} for {channels} channels in {groups} groups: give (O, C / groups, k, k) "
            "with O and C multiples of groups"
        )
    return weight


def window(size: Any, stride: Any, padding: Any, height: int, width: int) -> tuple[int, int]:
    """(H', W'): how often a window of `size` fits into a padded map of (height, width); at least once each way."""
    integer("size", size, low=1)
    integer("stride", stride, low=1)
    integer("padding", padding, low=0)
    if min(height, width) + 2 * padding < size:
        raise ValueError(
            f"a window of {size} x {size} does not fit into {height} x {width} pixels with padding = {padding}: "
            "raise padding, or give a larger map"
        )
    return (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1


def vector(name: str, value: Any, channels: int) -> np.ndarray:
    """(C,) floating: one number for each channel (or filter)."""
    array = arrays.floats(name, value)
    if array.shape != (channels,):
        raise ValueError(f"{name} has shape {array.shape}: give ({channels},), one number for each channel")
    return array


def channel_groups(groups: Any, channels: int) -> int:
    """A number of groups that divides the channels."""
    if channels % integer("groups", groups, low=1):
        raise ValueError(f"groups = {groups} must divide the {channels} channels")
    return int(groups)


def batch_values(shape: tuple[int, ...]) -> None:
    """A batch normalisation needs more than one value per channel: the variance of one is 0 and of none undefined."""
    if shape[0] * shape[2] * shape[3] < 2:
        raise ValueError(
            f"x has shape {shape}, {shape[0] * shape[2] * shape[3]} values per channel: batch normalisation needs at "
            'least 2; give larger images or a larger batch, or use norm = "frozen" or "group"'
        )


def gradient(name: str, value: Any, output: np.ndarray) -> np.ndarray:
    """The gradient of an output, of its shape and type."""
    array = arrays.floats(name, value)
    if array.shape != output.shape:
        raise ValueError(f"{name} has shape {array.shape}: give {output.shape}, the shape of the output")
    return array.astype(output.dtype, copy=False)


def gradients(name: str, values: Any, outputs: list[np.ndarray]) -> list[np.ndarray]:
    """The gradients of outputs in a list over the levels, of their shapes and types."""
    if len(values) != len(outputs):
        raise ValueError(f"{name} has {len(values)} levels: give one entry for each of the {len(outputs)}")
    return [gradient(f"{name}[{i}]", *pair) for i, pair in enumerate(zip(values, outputs, strict=True))]


def numbers(name: str, value: Any) -> np.ndarray:
    """An array of real numbers, of any type."""
    array = arrays.as_array(name, value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}: give an array of real numbers")
    return array


def images(value: Any, finite: bool = False) -> np.ndarray:
    """(B, 3, H, W) floating."""
    array, wanted = arrays.as_array("images", value), "(B, 3, H, W) with H and W of at least 1"
    if array.ndim != 4 or array.shape[1] != 3 or 0 in array.shape[2:]:
        raise ValueError(f"images has shape {array.shape}: give {wanted}; one image is image[None]")
    if array.dtype.kind != "f":
        raise ValueError(f"images has dtype {array.dtype}: give a floating type; of bytes, (images / 255 - mean) / std")
    for i, image in enumerate(array if finite else ()):
        if not np.isfinite(image).all():
            raise ValueError(f"images[{i}] holds NaN or infinity: check how it was read and normalised")
    return array


def image_sizes(value: Any, batch: np.ndarray) -> list[tuple[int, int]]:
    """(height, width) of each image of a padded batch, none larger than the batch; None: all as large."""
    height, width = batch.shape[2:]
    sizes = [(height, width)] * len(batch) if value is None else [image_size(size) for size in value]
    if len(sizes) != len(batch):
        raise ValueError(f"image_sizes has {len(sizes)} entries for {len(batch)} images: give one for each image")
    for i, size in enumerate(sizes):
        if size[0] > height or size[1] > width:
            raise ValueError(f"image_sizes[{i}] = {size} is larger than the padded image, {(height, width)}")
    return sizes
