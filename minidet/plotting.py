"""Draws boxes, curves and distributions onto a matplotlib Axes it is given, and saves figures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from minidet import files
from minidet.labels import FAMILIES, plain, use_fonts_for
from minidet.structures import Detections

GAMMA_COLOURS = {0.0: "#0072B2", 0.5: "#D55E00", 1.0: "#009E73", 2.0: "#CC79A7", 5.0: "#333333"}
"""The same colour means the same gamma in every figure; Okabe and Ito's palette, which colour-blind readers can tell
apart."""

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C564B")
"""Colour of class k, taken in turn."""

STYLE: dict[Any, Any] = {
    "font.family": FAMILIES,
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
"""The house style: `with matplotlib.rc_context(STYLE): ...` around what draws."""


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: Any
) -> tuple[Figure, np.ndarray]:  # fmt: skip
    """A figure in the house style, and its Axes.

    Args:
        width: inches.
        height: inches.
        rows: of Axes.
        columns: of Axes.
        options: what `matplotlib.figure.Figure.subplots` takes.

    Returns:
        The figure, and (rows, columns) Axes.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def save_figure(figure: Figure, folder: Path | str, name: str, formats: Sequence[str] = ("svg", "png")) -> list[Path]:
    """Write a figure, each file in one step, so that a file is never half a picture.

    Args:
        figure: what to write.
        folder: made where it is missing.
        name: of the files, without ``.svg`` and ``.png``.
        formats: endings that matplotlib knows, one file for each.

    Returns:
        The paths. The files hold no date, so the same figure gives the same bytes.

    Raises:
        OSError: a file could not be written (a full disk).
    """
    paths = []
    for extension in formats:
        buffer = io.BytesIO()
        metadata = {"Date": None} if extension == "svg" else {"Software": None}
        with matplotlib.rc_context(STYLE):
            figure.savefig(buffer, format=extension, dpi=150, metadata=metadata)
        paths.append(files.write_bytes(Path(folder) / f"{name}.{extension}", buffer.getvalue()))
    return paths


def draw_curve(axes: Axes, x: np.ndarray, y: np.ndarray, label: str, colour: str, **options: Any) -> None:
    """One labelled line.

    Args:
        axes: what to draw on.
        x: (N,) values.
        y: (N,) values.
        label: for the legend.
        colour: any that matplotlib knows.
        options: what `matplotlib.axes.Axes.plot` takes.
    """
    axes.plot(x, y, label=label, color=colour, **{"linewidth": 1.8, **options})


def draw_image(axes: Axes, image: np.ndarray) -> None:
    """An image in pixel coordinates, without ticks.

    Args:
        axes: what to draw on.
        image: (H, W, 3) uint8.
    """
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
    """Outlines of boxes, each with a label at its upper left corner if there are any.

    Args:
        axes: what to draw on.
        boxes: (N, 4) corners, pixels.
        labels: (N,) texts; None: no labels.
        colours: one for all, or (N,).
        options: what `matplotlib.patches.Rectangle` takes.
    """
    for i, (x1, y1, x2, y2) in enumerate(np.asarray(boxes, np.float64).reshape(-1, 4)):
        colour = colours if isinstance(colours, str) else colours[i]
        style = {"fill": False, "edgecolor": colour, "linewidth": 1.5, **options}
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))
        if labels is not None:
            axes.text(
                x1, y1, labels[i], fontsize=7, color="white", va="bottom", ha="left", family=FAMILIES,
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1}, clip_on=True,
            )  # fmt: skip


def training_page(metrics: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """The curves of a training run against minutes: the two losses and, where it was evaluated, AP and AP50.

    Args:
        metrics: what `minidet.pytorch.training.train` returned; a line has "seconds" of training and either the losses
            "classification" and "box" of a step or the numbers of an evaluation.
        title: what was trained.

    Returns:
        The figure.
    """
    figure, axes = new_figure(12, 4.5, columns=2)
    losses, precision = axes[0]
    curves = (
        (losses, "classification", "#0072B2", ""), (losses, "box", "#E69F00", ""),
        (precision, "AP50", "#009E73", "o"), (precision, "AP", "#CC79A7", "o"),
    )  # fmt: skip
    for ax, name, colour, marker in curves:
        points = np.array([(line["seconds"] / 60, line[name]) for line in metrics if name in line]).reshape(-1, 2)
        draw_curve(ax, points[:, 0], points[:, 1], name, colour, marker=marker)
    losses.set(yscale="log", ylabel="loss per assigned anchor (nats; box: smooth L1)", title="Training loss of a step")
    losses.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    losses.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    precision.set(ylim=(0, 1), ylabel="average precision", title="COCO's AP on images not trained on")
    for ax in (losses, precision):
        ax.set(xlabel="training time (minutes)", xlim=(0, None))
        ax.legend(frameon=False)
    use_fonts_for([title])
    figure.suptitle(plain(title, 100), family=FAMILIES)
    return figure


def detections_page(
    images: Sequence[np.ndarray], found: Sequence[Detections], classes: Sequence[str], score: float = 0.3,
    title: str = "", columns: int = 4,
) -> Figure:  # fmt: skip
    """Images beside each other, each with the boxes detected in it, their scores, and the classes as a legend.

    Args:
        images: (H, W, 3) uint8 arrays.
        found: one entry per image, boxes in its pixels.
        classes: (K,) names.
        score: in [0, 1]; detections below it are not drawn.
        title: whose detections these are.
        columns: images in a row.

    Returns:
        The figure.
    """
    use_fonts_for([title, *classes])
    rows = max(1, -(-len(images) // columns))
    figure, axes = new_figure(3.6 * columns, 3.6 * rows + 1, rows, columns)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, (boxes, scores, labels) in zip(axes.flat, images, found, strict=False):
        shown = scores >= score
        draw_image(ax, image)
        colours = [class_colour(k) for k in labels[shown].tolist()]
        draw_boxes(ax, boxes[shown], [f"{value:.2f}" for value in scores[shown]], colours)
    handles = [Patch(color=class_colour(k), label=plain(name, 16)) for k, name in enumerate(classes[:24])]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False, prop={"family": FAMILIES})
    figure.suptitle(plain(title, 100), family=FAMILIES)
    return figure


def detections_picture(
    image: np.ndarray, found: Detections, classes: Sequence[str], score: float = 0.3
) -> Figure:  # fmt: skip
    """One image with the boxes detected in it, each with its class and score, about as large as the image.

    Args:
        image: (H, W, 3) uint8; enlarged by a whole number where its longer side is under 600 pixels.
        found: boxes in the image's pixels.
        classes: (K,) names.
        score: in [0, 1]; detections below it are not drawn.

    Returns:
        The figure.
    """
    use_fonts_for(classes)
    height, width = image.shape[:2]
    inches = max(1, 600 // max(height, width)) / 150  # save_figure writes 150 dots per inch
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(width, 2) * inches, max(height, 2) * inches))
        axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, image)
    boxes, scores, labels = (column[found.scores >= score] for column in found)
    names = [f"{plain(classes[k])} {value:.2f}" for k, value in zip(labels.tolist(), scores, strict=True)]
    draw_boxes(axes, boxes, names, [class_colour(k) for k in labels.tolist()])
    return figure


def class_colour(k: int) -> str:
    """The colour of class k, the same in every picture; taken in turn where there are more classes than colours.

    Args:
        k: index of the class, from 0.
    """
    return CLASS_COLOURS[k % len(CLASS_COLOURS)]
