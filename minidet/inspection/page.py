"""One page about a data set, drawn: what `inspect` found, beside some of its images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from minidet.data import Dataset, DatasetError, Sample
from minidet.inspection.report import Report
from minidet.labels import plain, use_fonts_for
from minidet.plotting import CLASS_COLOURS, STYLE, draw_boxes, draw_image
from minidet.wording import counted, percent

_GREY = "#999999"  # what is of no class, or of one that has no colour
_OBJECTS, _BACKGROUND = "#333333", "#CCCCCC"
_BARS = 12  # classes with a bar of their own


def inspection_page(report: Report, dataset: Dataset) -> Figure:
    """One page about a data set: samples, sizes and ratios beside the anchors', coverage, imbalance, initial losses.

    Args:
        report: what `minidet.inspection.inspect` found.
        dataset: the one it is about; four of its images are shown, those with faults or boxes without an anchor first.

    Returns:
        The figure, 16 by 11 inches, to be saved with `minidet.plotting.save_figure`.
    """
    use_fonts_for([report.name, *report.classes, *map(str, report.image_ids)])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(16, 11), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.12))
        parts: Any = figure.subfigures(3, 1, height_ratios=[12, 10, 10])
        top, middle, bottom = parts
        samples = top.subplots(1, 4)
        sizes, ratios, positives = middle.subplots(1, 3)
        by_class, by_size, losses = bottom.subplots(1, 3, width_ratios=[5, 3, 4])
        figure.suptitle(f"{plain(report.name, 60)}: {report.summary()}", fontsize=16, fontweight="bold")
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
        notes = [f"{plain(str(sample.image_id))}: {counted(len(sample.boxes), 'box', 'boxes')}"]
        notes += [f"{missed[i]} without an anchor"] if missed[i] else []
        notes += [f"fault: {faults[sample.image_id]}"] if sample.image_id in faults else []
        ax.set_title(", ".join(notes), fontsize=9)


def _readable(dataset: Dataset, order: Iterable[int]) -> Iterator[tuple[int, Sample]]:
    """Samples in this order, without those that cannot be decoded."""
    for i in order:
        with contextlib.suppress(DatasetError):
            yield i, dataset[i]


def _draw_class_legend(figure: SubFigure, report: Report, colours: dict[int, str]) -> None:
    handles: list[Any] = [Patch(color=colour, label=plain(report.classes[k], 16)) for k, colour in colours.items()]
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
    axes.set_yticks(range(len(rows)), [f"{plain(row['name'])} ({row['boxes']:,})" for row in rows])
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
