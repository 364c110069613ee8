"""What a bad argument of a layer is told: feature maps, filters, and the vectors of a normalisation.

As in ``minidet.checks``, every check raises ValueError with the argument's name, what came and what was wanted. NumPy
only. NaN and infinity pass: a training loop sees them in its loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidet import checks


def feature_map(name: str, value: Any, like: tuple[int, ...] | None = None) -> np.ndarray:
    """(B, C, H, W) floating, of exactly the shape `like` where that is given."""
    array = checks.floats(name, value)
    if like is not None and array.shape != like:
        raise ValueError(f"{name} has shape {array.shape}: give {like}, the shape of the layer's output")
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise ValueError(f"{name} has shape {array.shape}: give (B, C, H, W) with C, H and W of at least 1")
    return array


def filters(value: Any, channels: int, groups: Any) -> np.ndarray:
    """(O, C / groups, k, k) for a map of C channels; O and C are multiples of groups."""
    weight = checks.floats("weight", value)
    checks.integer("groups", groups, low=1)
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
    checks.integer("size", size, low=1)
    checks.integer("stride", stride, low=1)
    checks.integer("padding", padding, low=0)
    if min(height, width) + 2 * padding < size:
        raise ValueError(
            f"a window of {size} x {size} does not fit into {height} x {width} pixels with padding = {padding}: "
            "raise padding, or give a larger map"
        )
    return (height + 2 * padding - size) // stride + 1, (width + 2 * padding - size) // stride + 1


def vector(name: str, value: Any, channels: int) -> np.ndarray:
    """(C,) floating: one number for each channel (or filter)."""
    array = checks.floats(name, value)
    if array.shape != (channels,):
        raise ValueError(f"{name} has shape {array.shape}: give ({channels},), one number for each channel")
    return array


def channel_groups(groups: Any, channels: int) -> int:
    """A number of groups that divides the channels."""
    if channels % checks.integer("groups", groups, low=1):
        raise ValueError(f"groups = {groups} must divide the {channels} channels")
    return int(groups)


def batch_values(shape: tuple[int, ...]) -> None:
    """A batch normalisation needs more than one value per channel: the variance of one is 0 and of none undefined."""
    if shape[0] * shape[2] * shape[3] < 2:
        raise ValueError(
            f"x has shape {shape}, {shape[0] * shape[2] * shape[3]} values per channel: batch normalisation needs at "
            'least 2; give larger images or a larger batch, or use norm = "frozen" or "group"'
        )
