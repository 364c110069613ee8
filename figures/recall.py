"""What AP alone does not show, after 6,000 steps: precision against recall, and recall against detections allowed.

    python -m figures.recall --out FOLDER
    python -m figures.recall --out FOLDER --results DIR     # of other runs than the committed ones

Detections of every score count. Left: precision at an IoU of 0.5 and, dashed, of 0.75, the mean over the classes, from
runs that recorded it. Right: the recall where each image may give 1, 10 or 100 detections of a class, a line per seed;
dotted, the same with the scores from 0.05 alone.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from figures.questions import CURVES
from minidet.experiments import rows
from minidet.experiments.results import Results, load_results
from minidet.plotting import new_figure

ALLOWED = (1, 10, 100)
"""Detections per image and class."""


def draw(results: Results | None = None) -> Figure:
    """The figure; a panel without runs says how to get them."""
    results = results or load_results()
    figure, axes = new_figure(11, 4.2, 1, 2)
    _draw_precision(axes[0, 0], results)
    _draw_recall(axes[0, 1], results)
    return figure


def _draw_precision(ax: Axes, results: Results) -> None:
    ax.set(xlabel="recall", ylabel="precision, every score", xlim=(0, 1), ylim=(0, 1))
    recorded = set()
    for name, (label, colour) in CURVES.items():
        for run in results.of(rows.plateau(name)).values():
            if curves := run.get("precision_at_recall"):
                for threshold, style in (("0.5", "-"), ("0.75", "--")):
                    at = np.linspace(0, 1, len(curves[threshold]))
                    told = label if threshold == "0.5" and label not in recorded else None
                    ax.plot(at, curves[threshold], style, color=colour, label=told)
                recorded.add(label)
    if recorded:
        ax.set_title("Precision against recall, IoU 0.5; dashed 0.75")
        ax.legend(loc="lower left")
    else:
        script.not_run_yet(ax, "--again plateau")


def _draw_recall(ax: Axes, results: Results) -> None:
    ax.set(xlabel="detections allowed per image and class", ylabel="AR (%)", xscale="log")
    shown = set()
    for name, (label, colour) in CURVES.items():
        for run in results.of(rows.plateau(name)).values():
            for where, style in (("metrics_at_0", "-"), ("metrics", ":")):
                ars = [100 * run.get(where, {}).get(f"AR{count}", np.nan) for count in ALLOWED]
                if np.isfinite(ars).all():
                    told = label if where == "metrics_at_0" and label not in shown else None
                    ax.plot(ALLOWED, ars, style, marker=".", color=colour, label=told)
                    shown |= {told}
    ax.set_xticks(ALLOWED, [str(count) for count in ALLOWED])
    ax.set_xticks([], minor=True)
    if shown:
        ax.set_ylim(ax.get_ylim()[0] - 10)  # room for the legend
        ax.set_title("Recall, IoU 0.5 to 0.95; dotted: scores from 0.05 alone")
        ax.legend(loc="lower right", fontsize=9, labelspacing=0.3)
    else:
        script.not_run_yet(ax, "plateau")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("recall", __doc__, draw, arguments, of_runs=True)


if __name__ == "__main__":
    main()
