"""What a point of AP costs: minutes of training, and milliseconds per image.

    python -m figures.minutes --out FOLDER
    python -m figures.minutes --out FOLDER --results DIR     # of other runs than the committed ones
    python -m figures.minutes --measure     # times the small network first, and keeps the times: let nothing else run

Left: every run that is measured several times during its training, a line for each seed, and the final AP of the runs
with the usual number of steps. A run records the processor time of the whole and not that of its steps, so the minutes
are shared out evenly over the steps, those of the evaluations too. A run that was interrupted recorded only the time
after that, and is left out. The same training took more minutes on some days than on others, so that the minutes of two
runs compare only roughly. Right: AP and time per image of the small network at three sizes of the image.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from figures.questions import COLOURS, CURVES
from minidet.experiments import rows
from minidet.experiments.results import Results, load_results
from minidet.experiments.setting import BASE
from minidet.experiments.speed import SMALL_MISSING, SMALL_SPEED, in_words, load, measure_small
from minidet.files import write_json
from minidet.plotting import new_figure

NAMES = "plateau 1b 1d 1a"
"""Tables whose runs the left panel shows."""


def draw(results: Results | None = None) -> Figure:
    """The figure; a panel without runs or without times says how to get them.

    Args:
        results: the runs; None for the committed ones.

    Returns:
        The figure.
    """
    results = results or load_results()
    figure, axes = new_figure(11, 4.6, 1, 2, width_ratios=[1.25, 1])
    _draw_training(axes[0, 0], results)
    _draw_detection(axes[0, 1], results, load(SMALL_SPEED))
    for ax, each in zip(axes.flat, ("line", "dot"), strict=True):
        ax.set_ylabel(f"AP (%), each {each} a seed")
    return figure


def _draw_training(ax: Axes, results: Results) -> None:
    ax.set(title="Training", xlabel="minutes of one processor core")
    curves = {name: [(rows.plateau(name), "-")] for name in CURVES}
    for name in rows.DECIDING:
        curves[name].append((rows.plateau(rows.classified(name)), "--"))
    if not any(results.score(name) for name in [*CURVES, *(name for own in curves.values() for name, _ in own)]):
        script.not_run_yet(ax, NAMES)
        return
    for name, (label, colour) in CURVES.items():
        for long, style in curves[name]:
            for run in _whole(results, long):
                points = [(point["iteration"], point["AP"]) for point in run.get("evaluations", [])]
                step, ap = np.array(points).reshape(-1, 2).T
                x = _minutes(run) * step / results.known[long].training.iterations
                ax.plot(x, 100 * ap, style, color=colour, linewidth=1, marker=".", markersize=4)
        short = _whole(results, name)
        final = [100 * run["metrics"]["AP"] for run in short]
        ax.plot([_minutes(run) for run in short], final, "^", color=colour, markersize=5, alpha=0.8)
        ax.plot([], [], color=colour, label=label)
    ax.plot([], [], "--", color="#777777", label="backbones of classifiers")
    ax.plot([], [], "^", color="#777777", markersize=5, label=f"after {BASE.training.iterations} steps")
    same = [_minutes(run) for run in _whole(results, rows.plateau(rows.FL))]
    if len(same) > 1:
        span = f"{min(same):.0f} to {max(same):.0f} minutes"
        told = f"{CURVES[rows.FL][0]}: {span} for\nthe same steps, depending on the day"
        ax.text(0.99, 0.02, told, transform=ax.transAxes, ha="right", fontsize=8)
    ax.set(xlim=(0, None), ylim=(0, None))
    ax.legend(loc="center right", bbox_to_anchor=(1, 0.42), fontsize=9)


def _whole(results: Results, name: str) -> list[dict[str, Any]]:
    """The runs of an experiment that were trained in one go, of which the whole time is known."""
    return [run for run in results.of(name).values() if not run.get("resumed")]


def _minutes(run: dict[str, Any]) -> float:
    """Minutes of one processor core that a run took."""
    seconds: float = run["cpu_seconds"]
    return seconds / 60


def _draw_detection(ax: Axes, results: Results, measured: dict[str, Any] | None) -> None:
    times = {row["side"]: row["milliseconds"] for row in measured["rows"]} if measured else {}
    found = {side: score for side in rows.SIDES if (score := results.score(rows.depth_and_side(18, side)))}
    ax.set(title="Detection: the small network", xlabel="milliseconds per image")
    missing = [] if times else [f"milliseconds {SMALL_MISSING}"]
    missing += [] if found else ["not run yet: minidet experiments run 1e-small"]
    if missing:
        ax.text(0.5, 0.5, "\n\n".join(missing).replace(": ", ":\n"), transform=ax.transAxes, ha="center")
        return
    shown = [side for side in found if side in times]
    ax.plot([times[side] for side in shown], [found[side].mean for side in shown], color=COLOURS["focal"])
    for side in shown:
        ax.plot([times[side]] * found[side].n, found[side].values, "o", color=COLOURS["focal"])
        place: dict[str, Any] = (
            {"xytext": (-7, 3), "ha": "right"} if side == shown[-1] else {"xytext": (7, -4), "ha": "left"}
        )
        ax.annotate(f"{side} pixels", (times[side], found[side].mean), textcoords="offset points", **place)
    if measured:
        ax.set_xlabel(f"milliseconds per image ({in_words(measured)})")
    ax.set(ylim=(0, None))
    ax.margins(x=0.15)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure; with --measure, time the small network first."""
    return script.run("minutes", __doc__, draw, arguments, measure, of_runs=True)


def measure() -> None:
    """Time the small network and keep the times."""
    print(write_json(SMALL_SPEED, measure_small(), lists_on_one_line=True))


if __name__ == "__main__":
    main()
