"""Figure 4: how the loss of a trained detector is distributed over its examples, for four gammas.

    python -m figures.figure4 --out FOLDER
    python -m figures.figure4 --measure    # trains the detector, if it is not there, and samples its outputs

The paper takes a converged model trained with gamma = 2, samples about 10^7 negative and 10^5 positive windows,
computes FL with several gammas, normalises it to a sum of 1 and draws the cumulative distribution from the lowest loss
to the highest. Our model is trained for 6,000 steps, in which its learning rate falls twice.

Here an example is one sigmoid, of which the loss is the sum: a positive is the logit of its own class at an assigned
anchor, a negative that of any class at a background anchor. Of each, x_t is counted in a histogram of fine bins, which
is committed (minidet/experiments/measured/loss_shares.npz); the curve of any gamma follows from it. The images are
drawn with a seed that neither training nor evaluation uses.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures import script
from minidet.experiments.loss_shares import (
    GAMMAS,
    LOGITS,
    MISSING,
    carriers,
    curve,
    hardest,
    load,
    measure,
    percent,
    trained,
)
from minidet.plotting import GAMMA_COLOURS, new_figure


def draw(logits: Mapping[str, Any] | None = None) -> Figure:
    """The figure: the paper's two panels, and below them the numbers to which its text refers."""
    logits = logits or load()
    figure, axes = new_figure(8.8, 6.3, 2, 2, height_ratios=[1, 0.42])
    for ax, kind in zip(axes[0], ("positive", "negative"), strict=False):
        if logits is None:
            ax.text(0.5, 0.5, MISSING.replace(": ", ":\n"), ha="center", va="center", fontsize=9)
        counts = None if logits is None else logits[kind]
        for gamma in GAMMAS:
            if counts is None:
                break
            examples, carried = curve(counts, gamma)
            ax.plot(examples, carried, color=GAMMA_COLOURS[gamma], label=f"γ = {gamma:g}", linewidth=1.8)
        number = "" if counts is None else f"{int(counts.sum()):,} "
        ax.set(
            xlim=(0, 1), ylim=(0, 1), title=f"{number}{kind}s", ylabel="cumulative normalised loss",
            xlabel=f"fraction of the {kind}s, lowest loss first",
        )  # fmt: skip
        ax.set_aspect("equal")
        if logits:
            ax.legend(loc="upper left")
    below = axes[1, 0].get_gridspec()[1, :]
    for ax in axes[1]:
        ax.remove()
    _write_numbers(figure.add_subplot(below), logits)
    return figure


def _write_numbers(ax: Any, logits: Mapping[str, Any] | None) -> None:
    ax.axis("off")
    if logits is None:
        return
    rows = [
        [f"{g:g}", percent(hardest(logits["positive"], g, 0.2)), percent(carriers(logits["positive"], g, 0.9)),
         percent(hardest(logits["negative"], g, 0.2)), percent(carriers(logits["negative"], g, 0.9))]
        for g in GAMMAS
    ]  # fmt: skip
    header = ["γ", "hardest\n20% carry", "90% lies in\nthe hardest", "hardest\n20% carry", "90% lies in\nthe hardest"]
    table = ax.table([header, *rows], bbox=(0, 0, 0.58, 0.84), cellLoc="center", colWidths=[0.1, *[0.225] * 4])
    table.auto_set_font_size(False)
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.4)
        cell.set_fontsize(8.5 if row == 0 else 9.5)
        cell.set_edgecolor("#CCCCCC")
        if row == 0:
            cell.set_height(cell.get_height() * 1.8)
        elif column == 0:
            cell.get_text().set_color(GAMMA_COLOURS[GAMMAS[row - 1]])
    for x, kind in ((0.19, "positives"), (0.45, "negatives")):
        ax.text(x, 0.89, kind, ha="center", fontsize=10)
    text = (
        "The paper: about 20% of the positives\n"
        "carry half of their loss at any γ; of the\n"
        "negatives, far fewer do as γ grows."
    )
    ax.text(0.62, 0.8, text, va="top", fontsize=9, color="#555555")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw; with --measure, train and sample first."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--images", type=int, default=20_000, help="most images to sample")
    parser.add_argument("--run", type=Path, help="folder of a trained model, instead of training")
    options, rest = parser.parse_known_args(arguments)
    if options.measure:
        run = options.run or trained()
        content = measure(run, options.images)
        temporary = LOGITS.with_suffix(".tmp.npz")
        np.savez_compressed(temporary, **content)
        print(temporary.replace(LOGITS))
    return script.run("figure4", __doc__, draw, rest)


if __name__ == "__main__":
    main()
