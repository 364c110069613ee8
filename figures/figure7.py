"""Figure 7: FL* over a grid of gamma and beta, the effective settings in blue.

    python -m figures.figure7 --out FOLDER

The paper calls a setting effective when it converged with an AP over 33.5, half a point below that of FL; here the same
half point below ours. Left, the loss curves so coloured; right, AP and the weight of a well-classified example, which
the paper says must be small.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from figures import script
from minidet.experiments import rows
from minidet.experiments.evidence import effective, star_weight
from minidet.experiments.results import Results, load_results
from minidet.plotting import new_figure
from minidet.reference import focal_loss_star

BLUE, ORANGE, GREY = "#0072B2", "#C25400", "#CCCCCC"
STYLES = dict(zip(rows.STAR_GAMMAS, (":", "-", "--"), strict=True))
"""How the curves of each gamma are drawn."""


def draw(results: Results | None = None) -> Figure:
    """The figure; settings that have not been run are grey."""
    results = results or load_results()
    table = effective(results)
    figure, axes = new_figure(10, 4.6, 1, 2, width_ratios=[1.15, 1.35])
    _draw_losses(axes[0, 0], table)
    _draw_grid(axes[0, 1], table, results)
    return figure


def _colour(value: bool | None) -> str:
    return GREY if value is None else BLUE if value else ORANGE


def _draw_losses(ax: Axes, table: dict[tuple[float, float], bool | None]) -> None:
    x_t = np.linspace(-5, 5, 501)
    ends: dict[float, list[str]] = {}
    for (gamma, beta), value in table.items():
        loss = focal_loss_star(x_t, np.ones(x_t.shape), gamma, beta, None)
        ax.plot(x_t, loss, STYLES[gamma], color=_colour(value), linewidth=1.3, alpha=0.85)
        ends.setdefault(round(float(loss[0]), 1), []).append(f"{gamma:g}, {beta:g}")
    for at, names in ends.items():
        ax.annotate(
            ";  ".join(names), (-5, at), (-4, 0), textcoords="offset points", ha="right", va="center", fontsize=8
        )
    ax.annotate("γ, β", (-5, max(ends)), (-4, 10), textcoords="offset points", ha="right", fontsize=9, weight="bold")
    for label, value in (("effective", True), ("not effective", False), ("not run yet", None)):
        if value in table.values():
            ax.plot([], [], color=_colour(value), label=label)
    for gamma, style in STYLES.items():
        ax.plot([], [], style, color="#555555", linewidth=1.3, label=f"γ = {gamma:g}")
    ax.axvline(0, color="#BBBBBB", linewidth=0.8)
    ax.set(xlim=(-8.6, 5), ylim=(0, 6.8), xlabel="$x_t = yx$", ylabel="FL* (nats)", title="FL* of the grid's settings")
    ax.set_xticks(range(-4, 5, 2))
    ax.legend(loc="upper right")


def _draw_grid(ax: Axes, table: dict[tuple[float, float], bool | None], results: Results) -> None:
    """One cell per setting: AP, its spread, and the weight of a well-classified example."""
    for (gamma, beta), value in table.items():
        x, y = rows.STAR_BETAS.index(beta), rows.STAR_GAMMAS.index(gamma)
        ax.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=_colour(value), alpha=0.85, linewidth=0))
        score = results.score(rows.star(gamma, beta))
        spread = f"\n± {score.deviation:.1f}" if score and score.n > 1 else ""
        ap = f"{score.mean:.1f}{spread}" if score else "not run"
        colour = "black" if value is None else "white"
        ax.text(x, y - 0.12, ap, ha="center", va="center", color=colour, fontsize=10, weight="bold", linespacing=1.1)
        ax.text(
            x, y + 0.3, f"weight {star_weight(gamma, beta):.2g}", ha="center", va="center", color=colour, fontsize=8
        )
    ax.set_xticks(range(len(rows.STAR_BETAS)), [f"{beta:g}" for beta in rows.STAR_BETAS])
    ax.set_yticks(range(len(rows.STAR_GAMMAS)), [f"{gamma:g}" for gamma in rows.STAR_GAMMAS])
    ax.set(xlim=(-0.5, len(rows.STAR_BETAS) - 0.5), ylim=(len(rows.STAR_GAMMAS) - 0.5, -0.5), xlabel="β", ylabel="γ")
    ax.grid(visible=False)
    focal, ce = results.score(rows.FL), star_weight(1.0, 0.0)
    told = f"AP (%); FL has {focal.mean:.1f}" if focal else "not run yet: minidet experiments run 7"
    ax.set_title(f"{told}\nweight: loss at $x_t$ = 2 as a fraction of that at 0 (CE: {ce:.2g})", fontsize=9)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("figure7", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
