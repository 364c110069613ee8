"""A figure that the paper does not have: where the focal loss starts to pay.

    python -m figures.imbalance --out FOLDER
    python -m figures.imbalance --measure        # inspects the images first, and keeps what was measured

The same images with 16, 8, 4, 2 and 1 objects; the rarer they are, the more background anchors there are per
positive one. AP of the focal loss and of cross entropy, plain and with alpha = .75, against that measured ratio.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from minidet.experiments import rows
from minidet.experiments.differences import difference
from minidet.experiments.imbalance import MEASURED, every_measurement, gains, ratio
from minidet.experiments.results import Results, Score, load_results
from minidet.files import write_json
from minidet.plotting import GAMMA_COLOURS, new_figure

LOSSES = {
    "focal": ("FL, γ = 2, α = .25", GAMMA_COLOURS[2.0], "o-"),
    "balanced": ("CE, α = .75", GAMMA_COLOURS[0.0], "s-"),
    "ce": ("CE, plain", "#56B4E9", "^--"),
}


def draw(results: Results | None = None) -> Figure:
    """The figure; without runs, an empty one that says how to get them."""
    results = results or load_results()
    figure, axes = new_figure(11, 4.4, 1, 2)
    curves, advantage = axes[0]
    for loss, (label, colour, style) in LOSSES.items():
        scores = {n: score for n in rows.OBJECTS if (score := results.score(rows.crowd(n, loss)))}
        _draw_scores(curves, [ratio(n) for n in scores], list(scores.values()), label, colour, style)
    found = {n: difference(values, [0.0] * len(values), paired=True) for n, values in gains(results).items()}
    advantage.axhline(0, color="#777777", linewidth=0.8)
    advantage.errorbar(
        [ratio(n) for n in found], [point.gain for point in found.values()],
        [np.nan_to_num(point.half) for point in found.values()], fmt="o-", color=GAMMA_COLOURS[2.0], capsize=3,
    )  # fmt: skip
    for ax in axes[0]:
        ax.set(xscale="log", xlabel="background anchors per positive one")
        if not found:
            ax.text(0.5, 0.5, "not run yet:\nminidet experiments run imbalance", transform=ax.transAxes, ha="center")
    if found:
        marks = [ratio(n) for n in found]
        for ax in axes[0]:
            ax.set_xticks(marks, [f"{mark:,.0f}" for mark in marks])
            ax.set_xticks([], minor=True)
            top = ax.secondary_xaxis("top")
            top.set_xscale("log")
            top.set_xticks(marks, [str(n) for n in found])
            top.set_xticks([], minor=True)
            top.set_xlabel("objects per image")
        curves.legend(loc="best")
    curves.set(ylabel="AP (%), range of the seeds", ylim=(0, None))
    advantage.set(ylabel="FL minus the better CE (points of AP, 95 % interval)")
    return figure


def _draw_scores(ax: Axes, x: list[float], scores: list[Score], label: str, colour: str, style: str) -> None:
    means = np.array([score.mean for score in scores])
    low, high = (np.array([f(score.values) for score in scores]) for f in (min, max))
    ax.errorbar(x, means, [means - low, high - means], fmt=style, color=colour, label=label, capsize=3)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw; with --measure, inspect the images first."""
    return script.run(
        "imbalance", __doc__, draw, arguments,
        lambda: print(write_json(MEASURED, every_measurement(), lists_on_one_line=True)),
    )  # fmt: skip


if __name__ == "__main__":
    main()
