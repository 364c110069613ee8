"""A figure that the paper does not have: where the focal loss starts to pay.

    python -m figures.imbalance --out FOLDER

The same images with 16, 8, 4, 2 and 1 objects; the rarer they are, the more background anchors there are for each
positive one. AP of the focal loss and of cross entropy, plain and with alpha = .75, against that measured ratio.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import _script
from figures import experiments as e
from figures.results import Results, Score, load_results
from minidet.data.report import Report
from minidet.plotting import GAMMA_COLOURS, new_figure

LOSSES = {
    "focal": ("FL, γ = 2, α = .25", GAMMA_COLOURS[2.0], "o-"),
    "balanced": ("CE, α = .75", GAMMA_COLOURS[0.0], "s-"),
    "ce": ("CE, plain", "#56B4E9", "^--"),
}
IMAGES = 200
"""Of those that the detectors are measured on, so many are looked at to measure the imbalance."""


class Advantage(NamedTuple):
    """What the focal loss gains over the better of the two cross entropies, in points of AP."""

    ratio: float
    """Background anchors for each positive one."""
    gain: float
    error: float
    """Standard error; NaN for a single seed."""
    seeds: int
    """The fewest of the three."""


@cache
def inspected(name: str) -> Report:
    """What the anchors of an experiment meet on the images that its detector is measured on."""
    from minidet.data import open_dataset
    from minidet.data.doctor import inspect

    experiment = e.experiments()[name]
    return inspect(
        open_dataset(**{**experiment.val, "images": IMAGES}), experiment.model.anchors, experiment.model.assignment,
        resize=experiment.training.resize, check_images=False, progress=False,
    )  # fmt: skip


def ratio(objects: int) -> float:
    """Background anchors for each positive one, with so many objects an image."""
    return float(inspected(e.crowd(objects, "focal")).imbalance or np.inf)


def reached(name: str) -> float:
    """The share of the objects that get an anchor in an experiment, and so can be learnt at all."""
    report = inspected(name)
    return float(report.coverage(np.ones(len(report.boxes.label), bool))["share"])


def advantages(results: Results) -> list[Advantage]:
    """One for each number of objects where all three losses have been run, from many objects to one."""
    found = []
    for objects in e.OBJECTS:
        focal, *others = (results.score(e.crowd(objects, loss)) for loss in LOSSES)
        rivals = [score for score in others if score is not None]
        if focal is None or len(rivals) < len(others):
            continue
        rival = max(rivals, key=lambda score: score.mean)
        error = np.sqrt(focal.deviation**2 / focal.n + rival.deviation**2 / rival.n)
        seeds = min(focal.n, *(score.n for score in rivals))
        found.append(Advantage(ratio(objects), focal.mean - rival.mean, float(error), seeds))
    return found


def draw(results: Results | None = None) -> Figure:
    """The figure; without runs, an empty one that says how to get them."""
    results = results or load_results()
    figure, axes = new_figure(11, 4.4, 1, 2)
    curves, gains = axes[0]
    for loss, (label, colour, style) in LOSSES.items():
        scores = {n: score for n in e.OBJECTS if (score := results.score(e.crowd(n, loss)))}
        _draw_scores(curves, [ratio(n) for n in scores], list(scores.values()), label, colour, style)
    points = advantages(results)
    errors = [2 * np.nan_to_num(point.error) for point in points]
    gains.axhline(0, color="#777777", linewidth=0.8)
    gains.errorbar(
        [point.ratio for point in points], [point.gain for point in points], errors, fmt="o-",
        color=GAMMA_COLOURS[2.0], capsize=3,
    )  # fmt: skip
    for ax in axes[0]:
        ax.set(xscale="log", xlabel="background anchors for each positive one")
        if not points:
            ax.text(0.5, 0.5, "not run yet:\nminidet experiments run imbalance", transform=ax.transAxes, ha="center")
    if points:
        marks = [ratio(n) for n in e.OBJECTS]
        for ax in axes[0]:
            ax.set_xticks(marks, [f"{mark:,.0f}" for mark in marks])
            ax.set_xticks([], minor=True)
            top = ax.secondary_xaxis("top")
            top.set_xscale("log")
            top.set_xticks(marks, [str(n) for n in e.OBJECTS])
            top.set_xticks([], minor=True)
            top.set_xlabel("objects an image")
        curves.legend(loc="best")
    curves.set(ylabel="AP (%), range of the seeds", ylim=(0, None))
    gains.set(ylabel="FL less the better CE (points of AP, ± 2 s.e.)")
    return figure


def _draw_scores(ax: Axes, x: list[float], scores: list[Score], label: str, colour: str, style: str) -> None:
    means = np.array([score.mean for score in scores])
    low, high = (np.array([f(score.values) for score in scores]) for f in (min, max))
    ax.errorbar(x, means, [means - low, high - means], fmt=style, color=colour, label=label, capsize=3)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return _script.run("imbalance", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
