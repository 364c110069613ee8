"""Figure 6: the derivatives of CE, FL and FL* with respect to x, against x_t = y x.

    python -m figures.figure6 --out FOLDER

For an object (y = 1). The curves are the hand-derived gradients of `minidet.reference`, checked against the expressions
of appendix B and against differences of the losses.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from figures import figure5, script
from minidet import reference
from minidet.experiments import published as paper
from minidet.plotting import draw_curve, new_figure


def check_appendix_b(x_t: np.ndarray) -> None:
    """The gradients are appendix B's: y (p_t - 1), y (1 - p_t)^gamma (gamma p_t log p_t + p_t - 1), y (p*_t - 1)."""
    gamma = paper.FIGURE5_GAMMA
    for target, y in ((1, 1.0), (0, -1.0)):
        x, targets = y * x_t, np.full(x_t.shape, target)
        p_t = 1 / (1 + np.exp(-x_t))
        pairs = [
            (reference.cross_entropy_grad(x, targets), y * (p_t - 1)),
            (
                reference.focal_loss_grad(x, targets, gamma, None),
                y * (1 - p_t) ** gamma * (gamma * p_t * np.log(p_t) + p_t - 1),
            ),
        ]
        for g, beta in paper.FIGURE5_STARS:
            p_star = 1 / (1 + np.exp(-(g * x_t + beta)))
            pairs.append((reference.focal_loss_star_grad(x, targets, g, beta), y * (p_star - 1)))
        for ours, published in pairs:
            np.testing.assert_allclose(ours, published, rtol=0, atol=1e-14)


def draw() -> Figure:
    """The figure; asserts that the gradients are appendix B's, and small once an example is classified well."""
    x_t = np.linspace(-5, 5, 1001)
    check_appendix_b(x_t)
    lines = figure5.curves(reference.cross_entropy_grad, reference.focal_loss_grad, reference.focal_loss_star_grad, x_t)
    figure, axes = new_figure(6.4, 4.6)
    ax = axes[0, 0]
    for label, colour, style, slope in lines:
        draw_curve(ax, x_t, slope, label, colour, linestyle=style)
    for label, _, _, slope in lines[1:]:
        assert (abs(slope[x_t > 1]) < abs(lines[0][3][x_t > 1])).all(), f"{label} is not flatter than CE for x_t > 1"
    ax.axvline(0, color="#BBBBBB", linewidth=0.8)
    ax.axhline(0, color="#BBBBBB", linewidth=0.8)
    ax.text(2.6, 0.06, "well-classified", ha="center", color="#555555")
    ax.text(-2.6, 0.06, "misclassified", ha="center", color="#555555")
    ax.set(
        xlim=(-5, 5), ylim=(-1.35, 0.2), xlabel="$x_t = yx$ (logit of the ground-truth class)",
        ylabel="derivative of the loss by $x$, for $y = 1$", title="What each example contributes to the gradient",
    )  # fmt: skip
    ax.legend(loc="lower right")
    return figure


def main(arguments: list[str] | None = None) -> list[Path]:
    return script.run("figure6", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
