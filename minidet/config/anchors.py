"""The anchors of a feature pyramid: sizes, shapes and where they lie (section 4, "Anchors")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from minidet import checks
from minidet.config.settings import Settings


class Grid(NamedTuple):
    """One level of a pyramid over one image."""

    size: float
    """Base side of the anchors, pixels."""
    scales: tuple[float, ...]
    """Factors of the base side."""
    rows: int
    """Cells from top to bottom."""
    columns: int
    """Cells from left to right."""
    stride_y: int
    """Pixels between rows."""
    stride_x: int
    """Pixels between columns."""


@dataclass(frozen=True)
class AnchorConfig(Settings):
    """The anchors of a feature pyramid (section 4, "Anchors").

    Level l has a grid of `ceil(image / 2**l)` cells, `2**l` pixels apart. Every cell holds one anchor for each aspect
    ratio (outer loop) and scale (inner loop), of area `(size * scale)**2`. The defaults are the paper's: A = 9 anchors
    per cell, for objects of 32 to 813 pixels.
    """

    levels: tuple[int, ...] = (3, 4, 5, 6, 7)
    """Pyramid levels; the stride of level l is 2**l pixels."""
    sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    """Base side of the anchors in pixels, one per level."""
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    """Factors of the base side, the same on every level."""
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height / width of the anchors."""
    offset: float = 0.5
    """Cell i is centred at `(i + offset) * stride`."""
    integer_sizes: bool = False
    """Truncate `size * scale` to whole pixels (torchvision)."""
    round_cells: bool = False
    """Round the anchors of a cell to whole pixels around its centre, half to even (torchvision)."""
    integer_strides: bool = False
    """Space the cells `image // cells` pixels apart instead of 2**level (torchvision); differs only where the image
    is not a multiple of the stride."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("levels", "sizes", "scales", "aspect_ratios"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty: give at least one")
        if len(self.levels) != len(self.sizes):
            raise ValueError(
                f"sizes has {len(self.sizes)} entries for {len(self.levels)} levels: give one size per level"
            )
        for i, level in enumerate(self.levels):
            checks.integer(f"levels[{i}]", level, low=0, high=30)
        for name in ("sizes", "scales", "aspect_ratios"):
            for i, value in enumerate(getattr(self, name)):
                checks.number(f"{name}[{i}]", value, above=0)
        checks.number("offset", self.offset)

    @classmethod
    def torchvision(cls, **changes: Any) -> AnchorConfig:
        """The anchors of torchvision's RetinaNet, for its trained weights: offset 0, whole sizes, rounded cells.

        Args:
            changes: other values of the fields, by name.
        """
        settings: dict[str, Any] = {
            "offset": 0.0, "integer_sizes": True, "round_cells": True, "integer_strides": True, **changes,
        }  # fmt: skip
        return cls(**settings)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbouring cells, one number per level."""
        return tuple(2**level for level in self.levels)

    @property
    def anchors_per_cell(self) -> int:
        """The number of anchors in each cell, A in the paper."""
        return len(self.scales) * len(self.aspect_ratios)

    def grids(self, image_size: tuple[int, int]) -> list[Grid]:
        """Where the anchors of each level lie over an image.

        Args:
            image_size: (height, width), pixels.
        """
        height, width = image_size
        grids = []
        for size, stride in zip(self.sizes, self.strides, strict=True):
            rows, columns = -(-height // stride), -(-width // stride)
            scales = tuple(int(size * s) / size for s in self.scales) if self.integer_sizes else self.scales
            steps = (height // rows, width // columns) if self.integer_strides else (stride, stride)
            grids.append(Grid(size, scales, rows, columns, *steps))
        return grids
