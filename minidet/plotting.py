"""Draws boxes, curves and distributions onto a matplotlib Axes it is given, and saves figures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from minidet.data import Dataset, DatasetError, Sample
from minidet.inspection.report import Report, percent, shortened
from minidet.structures import Detections

GAMMA_COLOURS = {0.0: "#0072B2", 0.5: "#D55E00", 1.0: "#009E73", 2.0: "#CC79A7", 5.0: "#333333"}
"""The same colour means the same gamma in every figure; Okabe and Ito's palette, which colour-blind readers can tell
apart."""

CLASS_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F3C8D", "#8C564B")
"""Colour of class k, taken in turn."""

_GREY = "#999999"  # what is of no class, or of one that has no colour
_OBJECTS, _BACKGROUND = "#333333", "#CCCCCC"
_BARS = 12  # classes with a bar of their own

STYLE: dict[Any, Any] = {
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
    """A figure of (width, height) inches in the house style, and its (rows, columns) Axes."""
    with matplotlib.rc_context(STYLE):
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
        with matplotlib.rc_context(STYLE):
            figure.savefig(buffer, format=extension, dpi=150, metadata=metadata)
        path = folder / f"{name}.{extension}"
        temporary = path.with_suffix(f".{extension}.tmp")
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
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
        style = {"fill": False, "edgecolor": colour, "linewidth": 1.5, **options}
        axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))
        if labels is not None:
            axes.text(
                x1, y1, labels[i], fontsize=7, color="white", va="bottom", ha="left",
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 1}, clip_on=True,
            )  # fmt: skip


def inspection_page(report: Report, dataset: Dataset) -> Figure:
    """One page about a data set: samples, sizes and ratios beside the anchors', coverage, imbalance, initial losses.

    Args:
        report: what `minidet.inspection.numbers.inspect` found.
        dataset: the one it is about; four of its images are shown, those with faults or boxes without an anchor first.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(16, 11), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.12))
        parts: Any = figure.subfigures(3, 1, height_ratios=[12, 10, 10])
        top, middle, bottom = parts
        samples = top.subplots(1, 4)
        sizes, ratios, positives = middle.subplots(1, 3)
        by_class, by_size, losses = bottom.subplots(1, 3, width_ratios=[5, 3, 4])
        figure.suptitle(f"{_plain(report.name, 60)}: {report.summary()}", fontsize=16, fontweight="bold")
        frequent = np.argsort(-np.bincount(report.boxes.label, minlength=len(report.classes)), kind="stable").tolist()
        order = sorted(frequent[: len(CLASS_COLOURS)])
        colours = dict(zip(order, CLASS_COLOURS, strict=False))  # class k has colour k where there are no more classes
        _draw_samples(samples, report, dataset, colours)
        _draw_class_legend(top, report, colours)
        _draw_spread(sizes, report, colours, report.boxes.size, report.sides)
        sizes.set_title("Sizes of boxes (▼ anchors)", pad=12)
        sizes.set(xlabel="square root of the area (pixels)")
        _draw_spread(ratios, report, colours, report.boxes.ratio, report.anchors.aspect_ratios)
        ratios.set_title("Aspect ratios of boxes (▼ anchors)", pad=12)
        ratios.set(xlabel="height / width")
        _draw_positives(positives, report)
        found = report.class_coverage()
        shown = [k for k in frequent[:_BARS] if found[k]["boxes"]]
        _draw_coverage(by_class, [found[k] for k in shown], [colours.get(k, _GREY) for k in shown])
        more = f" (the {len(shown)} most frequent of {len(found)})" if len(shown) < len(found) else ""
        by_class.set(title=f"Boxes that get an anchor, by class{more}")
        rows = [{"name": name, **row} for name, row in report.size_coverage().items()]
        _draw_coverage(by_size, rows, [_GREY] * len(rows))
        by_size.set(title="… by size (limits 32 and 96 pixels)")
        _draw_losses(losses, report)
    return figure


def training_page(metrics: Sequence[Mapping[str, Any]], title: str = "") -> Figure:
    """The curves of a training run against minutes: the two losses and, where it was evaluated, AP and AP50.

    Args:
        metrics: what `minidet.pytorch.training.train` returned; a line has "seconds" of training and either the losses
            "classification" and "box" of a step or the numbers of an evaluation.
        title: what was trained.
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
    figure.suptitle(_plain(title, 100))
    return figure


def detections_page(
    images: Sequence[np.ndarray], found: Sequence[Detections], classes: Sequence[str], score: float = 0.3,
    title: str = "", columns: int = 4,
) -> Figure:  # fmt: skip
    """Images beside each other, each with the boxes detected in it, their scores, and the classes as a legend.

    Args:
        images: (H, W, 3) uint8 arrays.
        found: one an image, boxes in its pixels.
        classes: the names.
        score: in [0, 1]; detections below it are not drawn.
        title: whose detections these are.
        columns: images in a row.
    """
    rows = max(1, -(-len(images) // columns))
    figure, axes = new_figure(3.6 * columns, 3.6 * rows + 1, rows, columns)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, image, (boxes, scores, labels) in zip(axes.flat, images, found, strict=False):
        shown = scores >= score
        draw_image(ax, image)
        colours = [_class_colour(k) for k in labels[shown].tolist()]
        draw_boxes(ax, boxes[shown], [f"{value:.2f}" for value in scores[shown]], colours)
    handles = [Patch(color=_class_colour(k), label=_plain(name, 16)) for k, name in enumerate(classes[:24])]
    figure.legend(handles=handles, loc="outside lower center", ncols=8, frameon=False)
    figure.suptitle(_plain(title, 100))
    return figure


def detections_picture(
    image: np.ndarray, found: Detections, classes: Sequence[str], score: float = 0.3
) -> Figure:  # fmt: skip
    """One image with the boxes detected in it, each with its class and score, about as large as the image.

    Args:
        image: (H, W, 3) uint8; enlarged by a whole number where its longer side is under 600 pixels.
        found: boxes in the image's pixels.
        classes: the names.
        score: in [0, 1]; detections below it are not drawn.
    """
    height, width = image.shape[:2]
    inches = max(1, 600 // max(height, width)) / 150  # save_figure writes 150 dots an inch
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(width, 2) * inches, max(height, 2) * inches))
        axes = figure.add_axes((0, 0, 1, 1))
    draw_image(axes, image)
    boxes, scores, labels = (column[found.scores >= score] for column in found)
    names = [f"{_plain(classes[k])} {value:.2f}" for k, value in zip(labels.tolist(), scores, strict=True)]
    draw_boxes(axes, boxes, names, [_class_colour(k) for k in labels.tolist()])
    return figure


def _class_colour(k: int) -> str:
    return CLASS_COLOURS[k % len(CLASS_COLOURS)]


def _draw_samples(axes: Sequence[Axes], report: Report, dataset: Dataset, colours: dict[int, str]) -> None:
    boxes = report.boxes
    missed = np.bincount(boxes.image[boxes.anchors == 0], minlength=len(report.image_ids))
    faults = {fault.image_id: fault.kind for fault in reversed(report.faults)}
    faulty = [i for i, image_id in enumerate(report.image_ids) if image_id in faults]
    order = dict.fromkeys(faulty[: len(axes) // 2] + np.argsort(-missed, kind="stable").tolist())
    for ax in axes:
        ax.set_axis_off()
    for ax, (i, sample) in zip(axes, _readable(dataset, order), strict=False):
        draw_image(ax, sample.image)
        gets_one = np.ones(len(sample.boxes), bool)
        gets_one[~sample.ignore] = boxes.anchors[boxes.image == i] > 0
        draw_boxes(ax, sample.boxes[~gets_one], colours="black", linewidth=3)
        styles = np.where(sample.ignore, ":", np.where(gets_one, "-", "--"))
        for box, label, style in zip(sample.boxes, sample.classes.tolist(), styles, strict=True):
            draw_boxes(ax, box, colours=colours.get(label, _GREY), linestyle=style)
        notes = [f"{_plain(str(sample.image_id))}: {len(sample.boxes)} {'box' if len(sample.boxes) == 1 else 'boxes'}"]
        notes += [f"{missed[i]} without an anchor"] if missed[i] else []
        notes += [f"fault: {faults[sample.image_id]}"] if sample.image_id in faults else []
        ax.set_title(", ".join(notes), fontsize=9)


def _readable(dataset: Dataset, order: Iterable[int]) -> Iterator[tuple[int, Sample]]:
    """Samples in this order, without those that cannot be decoded."""
    for i in order:
        with contextlib.suppress(DatasetError):
            yield i, dataset[i]


def _draw_class_legend(figure: SubFigure, report: Report, colours: dict[int, str]) -> None:
    handles: list[Any] = [Patch(color=colour, label=_plain(report.classes[k], 16)) for k, colour in colours.items()]
    if len(colours) < len(report.classes):
        handles.append(Patch(color=_GREY, label=f"{len(report.classes) - len(colours)} other classes"))
    handles.append(Line2D([], [], color="black", linestyle="--", label="gets no anchor"))
    if report.not_counted:
        handles.append(Line2D([], [], color="black", linestyle=":", label="not counted (ignore, crowd)"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) if len(handles) <= 8 else 6)


def _draw_spread(
    axes: Axes, report: Report, colours: dict[int, str], values: np.ndarray, marks: Sequence[float]
) -> None:  # fmt: skip
    """A histogram on a logarithmic axis, classes stacked, with the anchors' values marked above."""
    ends = np.concatenate([values, marks])
    bins = np.geomspace(ends.min() / 1.5, ends.max() * 1.5, 49)
    groups = [(values[report.boxes.label == k], colour) for k, colour in colours.items()]
    groups.append((values[~np.isin(report.boxes.label, list(colours))], _GREY))
    below = np.zeros(len(bins) - 1)
    for chosen, colour in groups:
        height = np.histogram(chosen, bins)[0]
        axes.bar(bins[:-1], height, np.diff(bins), below, align="edge", color=colour)
        below = below + height
    axes.plot(marks, np.ones(len(marks)), "v", color="black", transform=axes.get_xaxis_transform(), clip_on=False)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(ylabel="boxes", xlim=(bins[0], bins[-1]), ylim=(0, 1.08 * max(1, below.max())))


def _draw_positives(axes: Axes, report: Report) -> None:
    positive = report.counts[:, 0]
    most = int(positive.max(initial=1))
    axes.hist(positive, bins=list(range(0, most + 2, max(1, most // 40))), color=_GREY)
    ratio = "none" if report.imbalance is None else f"1 to {report.imbalance:,.0f} background anchors"
    axes.set_title(f"Positive anchors: {ratio}", pad=12)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set(xlabel="positive anchors in an image", ylabel="images", ylim=(0, None))


def _draw_coverage(axes: Axes, rows: Sequence[dict[str, Any]], colours: Sequence[str]) -> None:
    """Shares of boxes, by IoU alone and with force_match; rows are those of `Report.coverage` with a name."""
    for y, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        if row["boxes"]:
            shares = [100 * row["share_forced"], 100 * row["share"]]
            axes.barh(y, shares[0], color=colour, alpha=0.35)
            axes.barh(y, shares[1], color=colour)
            axes.text(102, y, f"{percent(row['share'])} → {percent(row['share_forced'])}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [f"{_plain(row['name'])} ({row['boxes']:,})" for row in rows])
    axes.set(xlim=(0, 100), ylim=(max(len(rows), 3) - 0.4, -0.6), xlabel="boxes (%): by IoU → with force_match (pale)")
    axes.grid(visible=False, axis="y")


def _draw_losses(axes: Axes, report: Report) -> None:
    rows = report.initial_losses()
    for y, row in enumerate(rows):
        if row["share"] is not None:
            share = 100 * row["share"]
            axes.barh(y, share, color=_OBJECTS)
            axes.barh(y, 100 - share, left=share, color=_BACKGROUND)
            axes.text(102, y, f"objects {percent(row['share'])}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [f"{row['loss']}\np = {row['p']:g}" for row in rows])
    axes.set(title="Loss when training starts (p: probability of each class)", xlabel="share of the loss (%)")
    axes.set(xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6))
    axes.grid(visible=False, axis="y")
    handles = [Patch(color=_OBJECTS, label="objects"), Patch(color=_BACKGROUND, label="background")]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)


def _plain(text: str, length: int = 24) -> str:
    """A label that matplotlib shows as it is: not too long, no formula, not hidden for a leading underscore."""
    text = shortened(text, length).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
