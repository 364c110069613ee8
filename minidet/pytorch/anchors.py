"""Anchors in PyTorch. Contracts are those of `minidet.reference.anchors`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minidet import checks
from minidet.config import AnchorConfig


def cell_anchors(size: float, scales: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """The anchors of one cell, centred on the origin. See `minidet.reference.cell_anchors`."""
    checks.number("size", size, above=0)
    for name, values in (("scales", scales), ("aspect_ratios", aspect_ratios)):
        for i, value in enumerate(values):
            checks.number(f"{name}[{i}]", value, above=0)
    root = torch.tensor([math.sqrt(r) for r in aspect_ratios], dtype=torch.float64)[:, None]  # (R, 1); Tensor.sqrt is
    # not correctly rounded on every CPU, and the last bit decides ties
    side = size * torch.tensor(scales, dtype=torch.float64)[None, :]  # (1, S)
    half = torch.stack([side / root, side * root], dim=-1).reshape(-1, 2) / 2  # (R * S, 2): width, height
    return torch.cat([-half, half], dim=1)


def pyramid_anchors(
    image_size: tuple[int, int], config: AnchorConfig,
    dtype: torch.dtype = torch.float32, device: torch.device | str | None = None,
) -> list[Tensor]:  # fmt: skip
    """The anchors of every level of the pyramid over one image. See `minidet.reference.pyramid_anchors`.

    They are computed in float64 on the CPU and rounded once, so that they are the other paths' to the last bit.

    Args:
        image_size, config: as there.
        dtype: floating type of the result; here float32 unless another is asked for.
        device: where the result is; None: PyTorch's default, the CPU.
    """
    levels = []
    for grid in config.grids(checks.image_size(image_size)):
        cell = cell_anchors(grid.size, grid.scales, config.aspect_ratios)  # (A, 4)
        if config.round_cells:
            cell = cell.round()
        y = (torch.arange(grid.rows, dtype=torch.float64) + config.offset) * grid.stride_y
        x = (torch.arange(grid.columns, dtype=torch.float64) + config.offset) * grid.stride_x
        centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (rows, columns, 2)
        anchors = centres.repeat(1, 1, 2)[:, :, None, :] + cell  # (rows, columns, A, 4)
        levels.append(anchors.reshape(-1, 4).to(dtype=dtype).to(device))
    return levels
