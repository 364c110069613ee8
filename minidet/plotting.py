"""Draws boxes, curves and distributions onto a matplotlib Axes it is given, and saves figures."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

GAMMA_COLOURS = {0.0: "#0072B2", 0.5: "#D55E00", 1.0: "#009E73", 2.0: "#CC79A7", 5.0: "#333333"}
"""The same colour means the same gamma in every figure; Okabe and Ito's palette, which colour-blind readers can tell
apart."""

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C564B")
"""Colour of class k, taken in turn."""

_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "minidet",  # the same figure gives the same file
    "svg.fonttype": "none",
}


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of (width, height) inches in the house style, and its (rows, columns) Axes."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def save_figure(figure: Figure, folder: Path | str, name: str, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write FOLDER/NAME.svg and .png, each in one step, so that a file is never half a picture.

    Returns the paths. The files hold no date, so the same figure gives the same bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for extension in formats:
        buffer = io.BytesIO()
        metadata = {"Date": None} if extension == "svg" else {"Software": None}
        with matplotlib.rc_context(_STYLE):
            figure.savefig(buffer, format=extension, dpi=150, metadata=metadata)
        path = folder / f"{name}.{extension}"
        temporary = path.with_suffix(f".{extension}.tmp")
        temporary.write_bytes(buffer.getvalue())
        os.replace(temporary, path)
        paths.append(path)
    return paths


def draw_curve(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, colour: str, **options: Any) -> None:
    """One labelled line."""
    axes.plot(x, y, label=label, color=colour, **{"linewidth": 1.8, **options})


def draw_image(axes: Axes, image: np.ndarray) -> None:
    """A (H, W, 3) uint8 image in pixel coordinates, without ticks."""
    height, width = image.shape[:2]
    axes.imshow(image, extent=(0, width, height, 0), interpolation="nearest")
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_boxes(
    axes: Axes, boxes: np.ndarray, labels: Sequence[str] | None = None, colours: Sequence[str] | str = CLASS_COLOURS[0],
    **options: Any,
) -> None:  # fmt: skip
    """Outlines of (N, 4) corners, pixels, with a label at each upper left corner if `labels` are given."""
    for i, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64).reshape(-1, 4)):
        colour = colours if isinstance(colours, str) else colours[i]
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, **{"linewidth": 1.5, **options}))
        if labels is not None:
            axes.text(
                x1, y1, labels[i], fontsize=7, color="white", va="bottom", ha="left",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1}, clip_on=True,
            )  # fmt: skip
