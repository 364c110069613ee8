"""Tables 1a to 1d and 3 at a glance: each row's AP as a fraction of the best row's, published and ours.

    python -m figures.ablations --out FOLDER

COCO's AP and that of shapes cannot be compared; how much a setting loses against the best one can. The batch sizes of
OHEM are the paper's, in brackets ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from minidet.experiments.layout import TABLES, Row
from minidet.experiments.results import Results, load_results
from minidet.plotting import new_figure

SHOWN = ("1a", "1b", "1c", "1d", "3")
ORDERED = ("1a", "1b")
"""The tables whose rows have an order; lines join these alone."""
PUBLISHED, OURS = "#999999", "#0072B2"


def draw(results: Results | None = None) -> Figure:
    """The figure; rows that have not been run show the published AP alone."""
    results = results or load_results()
    figure, axes = new_figure(13, 7.6, 2, 3)
    for ax, name in zip(axes.flat, SHOWN, strict=False):
        rows = [row for row in TABLES[name].rows if row.published]
        _draw_rows(ax, [_label(TABLES[name].keys, row) for row in rows], rows, results, "-" * (name in ORDERED))
        ax.set_title(TABLES[name].title, fontsize=10)
    last = axes.flat[-1]
    last.axis("off")
    last.plot([], [], "o", color=PUBLISHED, mfc="white", label="published, COCO")
    ours = "ours, shapes (mean, range of the seeds;\nOHEM's batch in brackets)"
    last.errorbar([], [], [], fmt="o", color=OURS, capsize=3, label=ours)
    last.legend(loc="center", fontsize=11)
    return figure


def _label(keys: tuple[str, ...], row: Row) -> str:
    """A row in words, without the names of what its value makes plain."""
    named = dict(zip(keys, row.keys, strict=True))
    ours = named.pop("our batch", "")
    if ours:
        named["batch"] += f" ({ours})"
    return ", ".join(value if key in ("method", "loss") else f"{key} {value}" for key, value in named.items() if value)


def _draw_rows(ax: Axes, labels: list[str], rows: list[Row], results: Results, line: str) -> None:
    y = np.arange(len(rows))
    published = np.array([row.published[0] for row in rows if row.published])
    ax.plot(published / published.max(), y, f"o{line}", color=PUBLISHED, mfc="white", linewidth=1)
    scores = [results.score(row.name) for row in rows]
    run = [(i, score) for i, score in enumerate(scores) if score]
    top = max((score.mean for _, score in run), default=0.0)
    if top > 0:
        means = np.array([score.mean for _, score in run]) / top
        low, high = (np.array([f(score.values) for _, score in run]) / top for f in (min, max))
        ax.errorbar(means, [i for i, _ in run], xerr=[means - low, high - means], fmt=f"o{line}", color=OURS, capsize=3)
    else:
        ax.text(0.03, 0.03, "ours: not run yet", transform=ax.transAxes, fontsize=8, color="#555555")
    ax.set_yticks(y, labels, fontsize=8.5)
    ax.set(ylim=(len(rows) - 0.5, -0.5), xlim=(-0.03, 1.1), xlabel="AP as a fraction of the best row's")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("ablations", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
