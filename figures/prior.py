"""Section 5.1: cross entropy without and with the prior, under SGD and under AdamW.

    python -m figures.prior --out FOLDER

Without the prior every anchor begins at p = .5 for every class, and the background's loss is many times that of the
objects. The paper reports that training diverged. The second panel has the same two priors under another optimizer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from figures import script
from minidet.experiments import rows
from minidet.experiments.results import Results, load_results
from minidet.plotting import new_figure

COLOURS = {0.5: "#D55E00", 0.1: "#E69F00", 0.01: "#0072B2", 0.001: "#56B4E9"}
PANELS = {"ce": ("SGD, as in the paper", rows.PRIORS), "ce-adamw": ("AdamW, gradients clipped", rows.ADAMW_PRIORS)}


def draw(results: Results | None = None) -> Figure:
    """The classification loss over the steps, one line per seed, and the AP at the end."""
    results = results or load_results()
    figure, axes = new_figure(11, 4.4, 1, 2, sharey=True)
    for ax, (loss, (title, priors)) in zip(axes[0], PANELS.items(), strict=True):
        _draw_curves(ax, results, loss, priors)
        ax.set(title=f"Cross entropy under {title}", xlabel="step", yscale="log")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.yaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("cross entropy per positive anchor (nats)")
    return figure


def _draw_curves(ax: Axes, results: Results, loss: str, priors: tuple[float, ...]) -> None:
    shown = False
    for pi in priors:
        name = rows.prior(loss, pi)
        score, diverged = results.score(name), results.diverged(name)
        if score is None:
            continue
        told = f", {diverged} of {score.n} diverged" if diverged else ""
        label: str | None = f"π = {pi:g}: AP {score.mean:.1f}{told}"
        for run in results.of(name).values():
            curve = run["curve"]
            ax.plot(curve["iteration"], curve["classification"], color=COLOURS[pi], linewidth=1.1, label=label)
            if run["diverged_at"] is not None and curve["iteration"]:
                last = np.array(curve["iteration"])[-1], np.array(curve["classification"])[-1]
                ax.plot(*last, "x", color=COLOURS[pi], markersize=9, markeredgewidth=2)
            label, shown = None, True
    if shown:
        ax.legend(loc="upper right", fontsize=9)
    else:
        ax.text(0.5, 0.5, "not run yet:\nminidet experiments run pi", transform=ax.transAxes, ha="center")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("prior", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
