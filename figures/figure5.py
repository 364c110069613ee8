"""Figure 5: CE, FL and FL* against x_t = y x.

    python -m figures.figure5 --out FOLDER

FL* takes the place of FL in appendix A: another shape, the same effect on well-classified examples (x_t > 0).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from figures import script
from minidet.experiments import published as paper
from minidet.plotting import GAMMA_COLOURS, draw_curve, new_figure
from minidet.reference import cross_entropy, focal_loss, focal_loss_star

STAR_COLOURS = ("#E69F00", "#56B4E9")


def curves(
    ce: Callable[..., np.ndarray], fl: Callable[..., np.ndarray], star: Callable[..., np.ndarray], x_t: np.ndarray
) -> list[tuple[str, str, str, np.ndarray]]:
    """(label, colour, line style, values at x_t) of the four losses, or of their derivatives."""
    y = np.ones(x_t.shape)  # for an object x_t is the logit
    gamma = paper.FIGURE5_GAMMA
    lines = [
        ("CE", GAMMA_COLOURS[0.0], "-", ce(x_t, y)),
        (f"FL, γ = {gamma:g}", GAMMA_COLOURS[gamma], "-", fl(x_t, y, gamma, None)),
    ]
    for (g, beta), colour in zip(paper.FIGURE5_STARS, STAR_COLOURS, strict=True):
        lines.append((f"FL*, γ = {g:g}, β = {beta:g}", colour, "--", star(x_t, y, g, beta)))
    return lines


def draw() -> Figure:
    """The figure; asserts what the caption says: FL and FL* are below CE for well-classified examples."""
    x_t = np.linspace(-5, 5, 1001)
    lines = curves(cross_entropy, focal_loss, focal_loss_star, x_t)
    for label, _, _, values in lines[1:]:
        assert (values[x_t > 0] < lines[0][3][x_t > 0]).all(), f"{label} is not below CE for x_t > 0"
    figure, axes = new_figure(6.4, 4.6)
    ax = axes[0, 0]
    for label, colour, style, values in lines:
        draw_curve(ax, x_t, values, label, colour, linestyle=style)
    ax.axvline(0, color="#BBBBBB", linewidth=0.8)
    ax.text(2.5, 2.2, "well-classified", ha="center", color="#555555")
    ax.text(-2.5, 0.25, "misclassified", ha="center", color="#555555")
    ax.set(
        xlim=(-5, 5), ylim=(0, 5), xlabel="$x_t = yx$ (logit of the ground-truth class)", ylabel="loss (nats)",
        title="The focal loss and its variant FL*",
    )  # fmt: skip
    ax.legend(loc="upper right")
    return figure


def main(arguments: list[str] | None = None) -> list[Path]:
    return script.run("figure5", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
