"""Anchors in Numba. Contracts are those of `minidet.reference.anchors`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from minidet import checks
from minidet.compiled.jit import kernel
from minidet.config import AnchorConfig


def cell_anchors(size: float, scales: Sequence[float], aspect_ratios: Sequence[float]) -> np.ndarray:
    """The anchors of one cell, centred on the origin. See `minidet.reference.cell_anchors`."""
    checks.number("size", size, above=0)
    for name, values in (("scales", scales), ("aspect_ratios", aspect_ratios)):
        for i, value in enumerate(values):
            checks.number(f"{name}[{i}]", value, above=0)
    halves = []  # width, height
    for root in np.sqrt(np.asarray(aspect_ratios, np.float64)):
        for side in size * np.asarray(scales, np.float64):
            halves.append((side / root / 2, side * root / 2))
    half = np.array(halves).reshape(-1, 2)
    return np.concatenate([-half, half], axis=1)


def pyramid_anchors(
    image_size: tuple[int, int], config: AnchorConfig, dtype: DTypeLike = np.float64
) -> list[np.ndarray]:
    """The anchors of every level of the pyramid over one image. See `minidet.reference.pyramid_anchors`."""
    levels = []
    for grid in config.grids(checks.image_size(image_size)):
        cell = cell_anchors(grid.size, grid.scales, config.aspect_ratios)  # (A, 4)
        if config.round_cells:
            cell = np.round(cell)
        out = np.empty((grid.rows, grid.columns, len(cell), 4))
        _tile(cell, float(grid.stride_y), float(grid.stride_x), float(config.offset), out)
        levels.append(out.reshape(-1, 4).astype(dtype, copy=False))
    return levels


@kernel
def _tile(cell, stride_y, stride_x, offset, out):
    rows, columns, per_cell, _ = out.shape
    for i in range(rows):
        y = (i + offset) * stride_y
        for j in range(columns):
            x = (j + offset) * stride_x
            for a in range(per_cell):
                out[i, j, a, 0] = x + cell[a, 0]
                out[i, j, a, 1] = y + cell[a, 1]
                out[i, j, a, 2] = x + cell[a, 2]
                out[i, j, a, 3] = y + cell[a, 3]
