"""What the paper's tables leave open at small scale, in panels: background, steps, OHEM, hard negatives, photographs.

    python -m figures.questions --out FOLDER
    python -m figures.questions --out FOLDER --results DIR     # of other runs than the committed ones

First: one object per image and more and more background around it, the supervision the same. Second: AP against the
steps, which shows whether training was long enough; dashed, from backbones that learnt to classify. Third: OHEM from a
share of the anchors below the paper's to one far above it, beside the focal loss tuned as much. Fourth: no, some and
many hard negatives. Last: photographs of blood cells, from random weights and from those of a classifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from minidet.experiments import rows
from minidet.experiments.imbalance import inspected
from minidet.experiments.layout import BACKGROUND_LOSSES, CELL_LOSSES
from minidet.experiments.results import Results, load_results
from minidet.plotting import GAMMA_COLOURS, new_figure

COLOURS = {"focal": GAMMA_COLOURS[2.0], "ohem": "#D55E00", "balanced": GAMMA_COLOURS[0.0], "ce": "#56B4E9"}
LABELS = {"focal": "FL, γ = 2", "ohem": "OHEM, 32, NMS .5", "balanced": "CE, α = .75"}
CURVES = {
    rows.FL: ("FL, γ = 2", COLOURS["focal"]), rows.PLATEAU_TUNED: ("FL, γ = 1, α = .5", "#56B4E9"),
    rows.ohem("ohem", 256, 0.5): ("OHEM, 32, NMS .5", "#E69F00"),
    rows.ohem("ohem", 512, 0.7): ("OHEM, 64, NMS .7", COLOURS["ohem"]),
    rows.ohem("ohem", 128, 0.5): ("OHEM, 16, NMS .5", "#999999"),
    rows.mining("suppresses=predictions"): ("OHEM, 16, predictions", "#333333"),
    rows.ce(0.9): ("CE, α = .9", COLOURS["balanced"]),
}  # fmt: skip
"""What is trained for ten times as many steps."""


def draw(results: Results | None = None) -> Figure:
    """The figure; a panel without runs says how to get them."""
    results = results or load_results()
    figure, axes = new_figure(11, 12.6, 3, 2)
    _draw_background(axes[0, 0], results)
    _draw_steps(axes[0, 1], results)
    _draw_batches(axes[1, 0], results)
    _draw_distractors(axes[1, 1], results)
    for ax, start in zip(axes[2], rows.STARTS, strict=True):
        _draw_cells(ax, results, start)
    for ax in axes.flat:
        ax.set_ylabel("AP (%), each dot a seed")
    return figure


def _draw_background(ax: Axes, results: Results) -> None:
    ax.set(title="More background around one object", xlabel="background anchors per positive one", xscale="log")
    names = {side: [rows.background(side, loss) for loss, _ in BACKGROUND_LOSSES] for side in rows.BACKGROUND_SIDES}
    if not _shown(ax, results, [name for row in names.values() for name in row], "background"):
        return
    marks = [float(inspected(rows.background(side, "focal")).imbalance or np.nan) for side in rows.BACKGROUND_SIDES]
    for i, (loss, label) in enumerate(BACKGROUND_LOSSES):
        _line(ax, results, marks, [row[i] for row in names.values()], label, COLOURS[loss])
    ax.set_xticks(marks, [f"{mark:,.0f}" for mark in marks])
    ax.set_xticks([], minor=True)
    ax.legend()


def _draw_steps(ax: Axes, results: Results) -> None:
    ax.set(title=f"{rows.PLATEAU} times as many steps", xlabel="step")
    if not _shown(ax, results, [rows.plateau(name) for name in CURVES], "plateau"):
        return
    for name, (label, colour) in CURVES.items():
        _curves(ax, results, rows.plateau(name), label, color=colour, linestyle="-")
        if name in rows.DECIDING:
            own = rows.plateau(rows.classified(name))
            _curves(ax, results, own, None, color=colour, linestyle="--")
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.46), fontsize=8.5, labelspacing=0.2)
    ax.text(0.98, 0.02, "dashed: backbones of classifiers", transform=ax.transAxes, ha="right", fontsize="small")


def _curves(ax: Axes, results: Results, name: str, label: str | None, **how: Any) -> None:
    """AP against the steps, a line for each seed."""
    for i, run in enumerate(results.of(name).values()):
        points = run.get("evaluations", [])
        steps, ap = [p["iteration"] for p in points], [100 * p["AP"] for p in points]
        ax.plot(steps, ap, marker=".", label=None if i else label, **how)


def _draw_batches(ax: Axes, results: Results) -> None:
    ax.set(
        title="OHEM's batch, and the focal loss tuned as much", xlabel="anchors per image that OHEM keeps", xscale="log"
    )
    names = [rows.more_ohem(batch, threshold) for batch in rows.MORE_BATCHES for threshold in rows.MORE_THRESHOLDS]
    if not _shown(ax, results, names, "ohem tuned"):
        return
    for threshold, colour in zip(rows.MORE_THRESHOLDS, ("#E69F00", COLOURS["ohem"]), strict=True):
        line = [rows.more_ohem(batch, threshold) for batch in rows.MORE_BATCHES]
        _line(ax, results, rows.MORE_BATCHES, line, f"OHEM, NMS {threshold:g}", colour)
    for batch, threshold in rows.BEYOND:
        if score := results.score(rows.more_ohem(batch, threshold)):
            ax.plot(batch, score.mean, "x", color="black")
            ax.annotate(f"{threshold:g}", (batch, score.mean), xytext=(4, 4), textcoords="offset points")
    means = [score.mean for name in rows.TUNED if (score := results.score(name))]
    if means:
        told = f"FL, {len(means)} of {len(rows.TUNED)} settings"
        ax.axhspan(min(means), max(means), color=COLOURS["focal"], alpha=0.15, linewidth=0)
        ax.axhline(max(means), color=COLOURS["focal"], label=f"{told}: the best")
    ax.set_xticks(rows.MORE_BATCHES, [str(batch) for batch in rows.MORE_BATCHES])
    ax.set_xticks([], minor=True)
    ax.legend()


def _draw_distractors(ax: Axes, results: Results) -> None:
    ax.set(title="Hard negatives", xlabel="distractors per image")
    names = {loss: [rows.distractors(*pair, loss) for pair in rows.DISTRACTORS] for loss in ("focal", "ohem", "ce")}
    if not _shown(ax, results, [name for row in names.values() for name in row], "distractors"):
        return
    for loss, row in names.items():
        kind = "balanced" if loss == "ce" else loss
        _line(ax, results, range(len(row)), row, LABELS[kind], COLOURS[kind])
    ax.set_xticks(
        range(len(rows.DISTRACTORS)), [f"{few} to {many}" if many else "none" for few, many in rows.DISTRACTORS]
    )
    ax.legend()


def _draw_cells(ax: Axes, results: Results, start: str) -> None:
    whose = {"random": "random weights", "classifier": "a classifier's weights"}[start]
    ax.set(title=f"Photographs of blood cells, from {whose}")
    if not _shown(ax, results, [rows.cells(start, loss) for loss in rows.CELL_LOSSES], "cells"):
        return
    for x, (loss, _) in enumerate(CELL_LOSSES):
        if score := results.score(rows.cells(start, loss)):
            colour = COLOURS[loss.partition("-")[0]]
            ax.bar(x, score.mean, 0.6, color=colour, alpha=0.25)
            ax.plot([x] * score.n, score.values, "o", color=colour, markersize=4, alpha=0.7)
        else:
            ax.text(x, 0.5, "not run", ha="center", fontsize="small")
    ax.set(xlim=(-0.6, len(CELL_LOSSES) - 0.4))
    ax.set_xticks(range(len(CELL_LOSSES)), [label.replace(", ", ",\n") for _, label in CELL_LOSSES])


def _line(ax: Axes, results: Results, x: Iterable[float], names: Sequence[str], label: str, colour: str) -> None:
    """The means of several experiments as a line, and every seed as a dot."""
    found = [(at, score) for at, name in zip(x, names, strict=True) if (score := results.score(name))]
    ax.plot([at for at, _ in found], [score.mean for _, score in found], "-", color=colour, label=label)
    for at, score in found:
        ax.plot([at] * score.n, score.values, "o", color=colour, markersize=4, alpha=0.7)


def _shown(ax: Axes, results: Results, names: Sequence[str], tables: str) -> bool:
    """Whether there is anything to show; if not, the panel says how to get it."""
    if any(results.score(name) for name in names):
        return True
    script.not_run_yet(ax, tables)
    return False


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("questions", __doc__, draw, arguments, of_runs=True)


if __name__ == "__main__":
    main()
