"""Anchors: the boxes a dense detector classifies and regresses from (section 4, "Anchors")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from minidet import checks
from minidet.config import AnchorConfig


def cell_anchors(size: float, scales: Sequence[float], aspect_ratios: Sequence[float]) -> np.ndarray:
    """The anchors of one cell, centred on the origin (section 4, "Anchors").

    For aspect ratio r = height / width and scale s the anchor has area (size * s)**2:
    width = size * s / sqrt(r), height = size * s * sqrt(r).

    Args:
        size: base side in pixels, > 0.
        scales: factors of the side, > 0.
        aspect_ratios: height / width, > 0.

    Returns:
        (A, 4) float64 corners in pixels, A = len(aspect_ratios) * len(scales); the ratio is the outer loop, the scale
        the inner one.

    Raises:
        ValueError: a size, scale or ratio is not a positive number.

    >>> cell_anchors(32, scales=[1], aspect_ratios=[1, 4])
    array([[-16., -16.,  16.,  16.],
           [ -8., -32.,   8.,  32.]])
    """
    checks.number("size", size, above=0)
    for name, values in (("scales", scales), ("aspect_ratios", aspect_ratios)):
        for i, value in enumerate(values):
            checks.number(f"{name}[{i}]", value, above=0)
    root = np.sqrt(np.asarray(aspect_ratios, np.float64))[:, None]  # (R, 1)
    side = size * np.asarray(scales, np.float64)[None, :]  # (1, S)
    half = np.stack([side / root, side * root], axis=-1).reshape(-1, 2) / 2  # (R * S, 2): width, height
    return np.concatenate([-half, half], axis=1)


def pyramid_anchors(
    image_size: tuple[int, int], config: AnchorConfig, dtype: DTypeLike = np.float64
) -> list[np.ndarray]:
    """The anchors of every level of the pyramid over one image (section 4, "Anchors").

    Args:
        image_size: (height, width) of the network's input, pixels.
        config: levels, sizes, scales, ratios and conventions.
        dtype: floating type of the result; the anchors are computed in float64 and rounded once.

    Returns:
        A list with one (N_level, 4) array of corners per level, in pixels. Order within a level: y, then x, then the
        anchor of the cell. Anchors may reach outside the image.

    Raises:
        ValueError: image_size is not two positive whole numbers.

    >>> [len(level) for level in pyramid_anchors((64, 64), AnchorConfig())]  # 8 * 8 cells of 9 anchors, then 4 * 4, …
    [576, 144, 36, 9, 9]
    """
    levels = []
    for grid in config.grids(checks.image_size(image_size)):
        cell = cell_anchors(grid.size, grid.scales, config.aspect_ratios)  # (A, 4)
        if config.round_cells:
            cell = np.round(cell)
        y = (np.arange(grid.rows) + config.offset) * grid.stride_y
        x = (np.arange(grid.columns) + config.offset) * grid.stride_x
        centres = np.stack(np.meshgrid(x, y), axis=-1)  # (rows, columns, 2)
        anchors = np.tile(centres, 2)[:, :, None, :] + cell  # (rows, columns, A, 4)
        levels.append(anchors.reshape(-1, 4).astype(dtype))
    return levels
