"""Figure 4: how the loss of a converged detector is shared out among its examples, for four gammas.

    python -m figures.figure4 --out FOLDER
    python -m figures.figure4 --measure    # trains the detector, if it is not there, and samples its outputs

The paper takes a model trained with gamma = 2, samples about 10^7 negative and 10^5 positive windows, computes FL with
several gammas, normalises it to a sum of 1 and draws the cumulative distribution from the lowest loss to the highest.

Here an example is what the loss is computed of, one sigmoid: a positive is the logit of its own class at an assigned
anchor, a negative that of any class at a background anchor. Of each, x_t is counted in a histogram of fine bins, which
is committed (figures/results/figure4.npz); the curve of any gamma follows from it. The images are drawn with a seed
that neither training nor evaluation uses.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from figures import _script, paper
from figures import experiments as e
from minidet.plotting import GAMMA_COLOURS, new_figure
from minidet.reference import focal_loss

LOGITS = Path(__file__).parent / "results" / "figure4.npz"
MISSING = "not measured yet: python -m figures.figure4 --measure"
GAMMAS = paper.FIGURE4_GAMMAS
EDGES = np.linspace(-40, 40, 8001)
"""Of the bins of x_t, 0.01 wide; what lies outside is counted in the outermost."""
NEGATIVES, POSITIVES = 10_000_000, 100_000
"""So many are wanted (section 5.1)."""
SEED = 2
"""Of the images."""


def load() -> dict[str, Any] | None:
    """positive and negative, (8000,) int64 counts of x_t, and what is said about them; None if not measured."""
    if not LOGITS.is_file():
        return None
    with np.load(LOGITS) as file:
        return {name: file[name] for name in file.files}


def curve(counts: NDArray[np.int64], gamma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The CDF: share of the examples, from the lowest loss on, and the share of the loss that they carry.

    Both begin with 0 and end with 1. Inside a bin all have the loss of its middle; alpha, the same for all, cancels.
    """
    x_t = (EDGES[:-1] + EDGES[1:]) / 2
    counts, x_t = counts[::-1], x_t[::-1]  # the largest x_t has the lowest loss
    loss = counts * focal_loss(x_t, np.ones(x_t.shape), gamma, None)
    examples, carried = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, loss))
    return examples / examples[-1], carried / carried[-1]


def hardest(counts: NDArray[np.int64], gamma: float, part: float) -> float:
    """The share of the loss that the hardest ``part`` of the examples carries."""
    return 1 - float(np.interp(1 - part, *curve(counts, gamma)))


def carriers(counts: NDArray[np.int64], gamma: float, share: float) -> float:
    """The smallest part of the examples, the hardest, that carries such a share of the loss."""
    examples, carried = curve(counts, gamma)
    return 1 - float(np.interp(1 - share, carried, examples))


def percent(part: float) -> str:
    """A part in percent, with two digits that count."""
    return f"{100 * part:.2g}%" if part < 0.1 else f"{part:.0%}"


def measure(run: Path, images: int, negatives: int = NEGATIVES, positives: int = POSITIVES) -> dict[str, Any]:
    """Histograms of x_t from a trained model's outputs, until both numbers are reached or the images are used up.

    The negatives are those of the first images, as many as are wanted.
    """
    import torch
    from tqdm import tqdm

    from minidet.compiled import assign_pyramid
    from minidet.data import open_dataset
    from minidet.pytorch.checkpoint import load_model
    from minidet.pytorch.inference import batch_images, resize_image, scale_boxes

    experiment = e.experiments()[e.CONVERGED]
    dataset = open_dataset(**{**experiment.val, "images": images, "seed": SEED})
    model = load_model(run).to("cuda" if torch.cuda.is_available() else "cpu")
    rule, resize = model.config.assignment, experiment.training.resize
    counts = {"positive": np.zeros(len(EDGES) - 1, np.int64), "negative": np.zeros(len(EDGES) - 1, np.int64)}
    used = 0
    with tqdm(total=positives, unit="positive") as bar:
        for sample in dataset:  # type: ignore[attr-defined]  # indexed until it ends
            size = resize.resized(sample.image.shape[:2])
            batch = batch_images([resize_image(sample.image, size)], model.config)
            with torch.inference_mode():
                logits, _ = model(batch.to(next(model.parameters())))
            x = torch.cat(logits, dim=1)[0].double().cpu().numpy()  # (N, K)
            boxes = scale_boxes(sample.boxes, sample.image.shape[:2], size)
            height, width = batch.shape[-2:]
            assigned = assign_pyramid(
                (height, width), boxes, model.config.anchors, rule.positive_iou, rule.negative_iou
            )  # (N,)
            matched = assigned >= 0
            _count(counts["positive"], x[matched, sample.classes[assigned[matched]]])
            if counts["negative"].sum() < negatives:
                _count(counts["negative"], -x[assigned == -1])
            used += 1
            bar.n = min(int(counts["positive"].sum()), positives)
            bar.refresh()
            if counts["positive"].sum() >= positives and counts["negative"].sum() >= negatives:
                break
    return {**counts, "images": used}


def _count(counts: NDArray[np.int64], x_t: NDArray[np.float64]) -> None:
    inside = np.clip(x_t.ravel(), EDGES[0], EDGES[-1] - 1e-9)
    counts += np.histogram(inside, EDGES)[0]


def draw(logits: Mapping[str, Any] | None = None) -> Figure:
    """The figure: the paper's two panels, and its text's claims as numbers."""
    logits = logits or load()
    figure, axes = new_figure(13, 4.6, 1, 3, width_ratios=[1, 1, 0.95])
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
            xlabel=f"part of the {kind}s, lowest loss first",
        )  # fmt: skip
        ax.set_aspect("equal")
        if logits:
            ax.legend(loc="upper left")
    _write_numbers(axes[0, 2], logits)
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
    header = ["γ", "hardest\n20% carry", "90% is\ncarried by", "hardest\n20% carry", "90% is\ncarried by"]
    table = ax.table([header, *rows], bbox=(0, 0.3, 1, 0.5), cellLoc="center", colWidths=[0.1, *[0.225] * 4])
    table.auto_set_font_size(False)
    for (row, column), cell in table.get_celld().items():
        cell.set_linewidth(0.4)
        cell.set_fontsize(8.5 if row == 0 else 9.5)
        cell.set_edgecolor("#CCCCCC")
        if row == 0:
            cell.set_height(cell.get_height() * 1.8)
        elif column == 0:
            cell.get_text().set_color(GAMMA_COLOURS[GAMMAS[row - 1]])
    for x, kind in ((0.325, "positives"), (0.775, "negatives")):
        ax.text(x, 0.84, kind, ha="center", fontsize=10)
    text = (
        "The paper: about 20% of the positives carry half\n"
        "of their loss at any γ; of the negatives, far fewer\n"
        "do as γ grows."
    )
    ax.text(0, 0.22, text, va="top", fontsize=9, color="#555555")


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw, or with --measure train and sample first."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--images", type=int, default=20_000, help="at most so many")
    parser.add_argument("--run", type=Path, help="folder of a trained model, instead of training")
    options, rest = parser.parse_known_args(arguments)
    if options.measure:
        run = options.run or _converged()
        content = measure(run, options.images)
        temporary = LOGITS.with_suffix(".tmp.npz")
        np.savez_compressed(temporary, **content)
        print(temporary.replace(LOGITS))
    return _script.run("figure4", __doc__, draw, rest)


def _converged() -> Path:
    """The folder of the detector of this figure, trained unless it is there."""
    from figures.results import RESULTS, file_name
    from figures.runner import RUNS, run

    folder = RUNS / file_name(e.CONVERGED, 0)
    if not (folder / "model.pt").is_file():
        run(e.experiments()[e.CONVERGED], 0, RESULTS, keep=True)
    return folder


if __name__ == "__main__":
    main()
