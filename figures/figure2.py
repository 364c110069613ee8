"""Figure 2 and Table 1e: time per image against accuracy, for two depths and five scales.

    python -m figures.figure2 --out FOLDER
    python -m figures.figure2 --measure        # times this device first, and keeps the times

Published: AP on COCO test-dev against milliseconds on an Nvidia M40, of RetinaNet and of the other detectors in the
paper's figure, of which it calls RetinaNet the upper envelope. Ours: milliseconds on this device, detection included,
of networks of the full size with random weights (so there is no AP of ours to go with them). Ours is on the left, where
a phone shows it first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from figures import script
from minidet.experiments import published as paper
from minidet.experiments.speed import DEPTHS, SCALES, SPEED, in_words, load, measure
from minidet.files import write_json
from minidet.plotting import new_figure

COLOURS = {18: "#009E73", 50: "#0072B2", 101: "#D55E00"}
MARKS = {18: "s", 50: "o", 101: "D"}


def draw() -> Figure:
    """The figure; the published half alone where nothing was measured."""
    measured = load()
    figure, axes = new_figure(11, 4.6, 1, 2)
    _draw_measured(axes[0, 0], measured)
    _draw_published(axes[0, 1])
    return figure


def _draw_measured(ax: Axes, measured: dict[str, Any] | None) -> None:
    for depth in (50, 101):
        points = [(scale, row.milliseconds) for (d, scale), row in paper.TABLE_1E.items() if d == depth]
        ax.plot(*zip(*points, strict=True), MARKS[depth] + "--", color=COLOURS[depth], alpha=0.6, mfc="white")
        _label(ax, f"paper, {depth} layers", points[-1], depth)
    for depth in DEPTHS if measured else ():
        rows = [row for row in measured["rows"] if row["depth"] == depth]  # type: ignore[index]
        points = [(row["scale"], row["milliseconds"]) for row in rows]
        ax.plot(*zip(*points, strict=True), MARKS[depth] + "-", color=COLOURS[depth])
        _label(ax, f"ours, {depth} layers", points[-1], depth)
    if measured is None:
        ax.text(0.97, 0.04, "ours: not measured yet", transform=ax.transAxes, ha="right", color="#555555")
    title = "Time against scale; the paper's: Nvidia M40" + (f"\nours: {in_words(measured)}" if measured else "")
    ax.set(yscale="log", xlabel="shorter side (pixels)", ylabel="milliseconds per image", xticks=SCALES)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.1, high * 1.1)
    ax.set_title(title, fontsize=10)


def _label(ax: Axes, text: str, at: tuple[float, float], depth: int) -> None:
    """Names a line at its end."""
    ax.annotate(text, at, (9, 0), textcoords="offset points", va="center", fontsize=8, color=COLOURS[depth])


def _draw_published(ax: Axes) -> None:
    for depth in (50, 101):
        points = [(row.milliseconds, row.ap, scale) for (d, scale), row in paper.TABLE_1E.items() if d == depth]
        x, y, _ = np.array(points).T
        ax.plot(x, y, MARKS[depth] + "-", color=COLOURS[depth], label=f"RetinaNet-{depth}")
        for ms, ap, scale in points:
            right = (depth == 50 and scale != 500) or (depth, scale) == (101, 400)  # of its mark, clear of the lines
            place: dict[str, Any] = {"xytext": (5, -11), "ha": "left"} if right else {"xytext": (-6, 5), "ha": "right"}
            ax.annotate(str(scale), (ms, ap), textcoords="offset points", fontsize=8, **place)
    ax.plot(*zip(*((rival.milliseconds, rival.ap) for rival in paper.FIGURE_2.values()), strict=True), "^",
            color="#777777", label="others")  # fmt: skip
    for name, rival in paper.FIGURE_2.items():
        place = {"xytext": (-14, 7) if name == "SSD321" else (6, -4)}
        at = rival.milliseconds, rival.ap
        ax.annotate(name, at, textcoords="offset points", fontsize=8, color="#555555", annotation_clip=True, **place)
    ax.set(
        xlim=(50, 210), ylim=(26, 38.7), xlabel="milliseconds per image (Nvidia M40)", ylabel="AP, COCO test-dev (%)",
    )  # fmt: skip
    fast = paper.FIGURE_2["YOLOv2"]  # so fast that it is left of the panel, as in the paper
    ax.annotate(
        f"YOLOv2: {fast.ap} AP, {fast.milliseconds:g} ms", (0, 0), (30, 11), xycoords="axes fraction", fontsize=8,
        textcoords="offset points", color="#555555", arrowprops={"arrowstyle": "->", "color": "#777777"},
    )  # fmt: skip
    ax.annotate(
        "source: the paper's Table 1e and the inset of its Figure 2", (0.5, 0), (0, -41), xycoords="axes fraction",
        textcoords="offset points", ha="center", fontsize=8, color="#555555",
    )  # fmt: skip
    ax.set_title("Published: accuracy against time", fontsize=10)
    ax.legend(loc="lower right", title="numbers: shorter side in pixels")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw, or with --measure time this device first."""
    return script.run(
        "figure2", __doc__, draw, arguments, lambda: print(write_json(SPEED, measure(), lists_on_one_line=True))
    )


if __name__ == "__main__":
    main()
