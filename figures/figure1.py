"""Figure 1: the focal loss against the probability of the ground-truth class, for five focusing parameters.

    python -m figures.figure1 --out FOLDER

Left, the paper's figure. Right, the numbers of its text and of the usual worked example, computed and checked.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures import script
from minidet.experiments import published as paper
from minidet.plotting import GAMMA_COLOURS, draw_curve, new_figure
from minidet.reference import cross_entropy, focal_loss

EASY_BACKGROUND, CERTAINTY = 10_000, 0.8
HARD_OBJECTS, HARD_LOSS = 10, 3.0
"""The worked example: many boxes that are surely background, against a few objects that are not recognised."""


def losses_at(p_t: np.ndarray | float, gamma: float) -> np.ndarray:
    """FL at p_t, alpha None: the loss of an object whose logit is log(p_t / (1 - p_t))."""
    p = np.asarray(p_t, np.float64)
    return focal_loss(np.log(p) - np.log1p(-p), np.ones(p.shape), gamma, alpha=None)


def check_the_text() -> dict[str, float]:
    """The claims of section 3.2 and the worked example, asserted; returns the numbers that the figure shows."""
    for p_t, times in paper.LOWER_THAN_CROSS_ENTROPY:
        ratio = float(losses_at(p_t, 0.0) / losses_at(p_t, 2.0))
        assert abs(ratio / times - 1) < 0.03, f"p_t = {p_t}: {ratio:.1f} times lower, the paper says {times:g}"
    hard = np.linspace(1e-6, 0.5, 1001)
    assert (losses_at(hard, 0.0) / losses_at(hard, 2.0)).max() <= paper.AT_MOST_LOWER_UP_TO_HALF * (1 + 1e-12)

    logit = np.log((1 - CERTAINTY) / CERTAINTY)  # of an object in a box that holds none
    easy_ce = float(cross_entropy(np.array([logit]), np.zeros(1))[0])
    easy_fl = float(focal_loss(np.array([logit]), np.zeros(1), 2.0, None)[0])
    p_hard = np.exp(-HARD_LOSS)
    numbers = {
        "easy_ce": easy_ce,
        "easy_fl": easy_fl,
        "background_ce": EASY_BACKGROUND * easy_ce,
        "background_fl": EASY_BACKGROUND * easy_fl,
        "objects_ce": HARD_OBJECTS * HARD_LOSS,
        "objects_fl": HARD_OBJECTS * float(losses_at(p_hard, 2.0)),
    }
    assert round(easy_ce, 3) == 0.223
    assert round(easy_fl, 4) == 0.0089
    assert round(numbers["background_ce"]) == 2231
    return numbers


def draw() -> Figure:
    """The figure; raises AssertionError if a number of the text does not come out."""
    figure, axes = new_figure(8.8, 4.1, 1, 2, width_ratios=[1.3, 1])
    _draw_curves(axes[0, 0])
    _draw_example(axes[0, 1], check_the_text())
    return figure


def _draw_curves(axes: Axes) -> None:
    p = np.linspace(0, 1, 1002)[1:-1]
    axes.axvspan(0.5, 1, color="#F2F2F2", zorder=0)
    axes.text(0.75, 2.1, "well-classified\nexamples", ha="center", va="center", color="#555555")
    for gamma in paper.GAMMAS:
        label = "γ = 0  (cross entropy)" if gamma == 0 else f"γ = {gamma:g}"
        draw_curve(axes, p, losses_at(p, gamma), label, GAMMA_COLOURS[gamma])
    axes.set(
        xlim=(0, 1), ylim=(0, 5), xlabel="probability of the ground-truth class, $p_t$", ylabel="loss (nats)",
        title=r"FL$(p_t) = -(1-p_t)^\gamma\,\log p_t$",
    )  # fmt: skip
    axes.legend(loc="upper right")
    for p_t, times in paper.LOWER_THAN_CROSS_ENTROPY[:1]:
        axes.annotate(
            f"γ = 2: {times:g}× below\ncross entropy at $p_t$ = {p_t}", (p_t, float(losses_at(p_t, 2.0))),
            xytext=(0.52, 1.25), fontsize=8.5, arrowprops={"arrowstyle": "->", "color": "#777777"},
        )  # fmt: skip


def _draw_example(axes: Axes, numbers: dict[str, float]) -> None:
    names = [
        f"focal loss, γ = 2:\n{numbers['easy_fl']:.4f} per\nbackground box",
        f"cross entropy:\n{numbers['easy_ce']:.3f} per\nbackground box",
    ]
    background = np.array([numbers["background_fl"], numbers["background_ce"]])
    objects = np.array([numbers["objects_fl"], numbers["objects_ce"]])
    y = np.arange(2)
    for offset, values, label, colour in (
        (0.19, background, f"{EASY_BACKGROUND:,} of background, {CERTAINTY:.0%} sure", "#999999"),
        (-0.19, objects, f"{HARD_OBJECTS} objects, CE {HARD_LOSS:g} each", "#E69F00"),
    ):
        axes.barh(y + offset, values, 0.36, label=label, color=colour)
        for position, value in zip(y + offset, values, strict=True):
            axes.text(
                value * 1.12, position, f"{value:,.0f}" if value >= 100 else f"{value:.1f}", va="center", fontsize=9
            )
    focal_ratio, ce_ratio = background / objects
    axes.set_xscale("log")
    axes.set(yticks=y, xlim=(10, 20000), ylim=(-0.5, 2.1), xlabel="summed loss (nats)")
    axes.set_yticklabels(names, fontsize=8.5)
    axes.set_title(f"background : objects =\n{ce_ratio:.0f} : 1 under CE, {focal_ratio:.1f} : 1 under FL", fontsize=10)
    axes.grid(visible=False, axis="y")
    axes.legend(loc="upper right", fontsize=8.5)


def main(arguments: list[str] | None = None) -> list[Path]:
    return script.run("figure1", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
