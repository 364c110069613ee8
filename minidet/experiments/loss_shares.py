"""Who carries the loss (Figure 4): the measurement on a trained detector, and the shares that follow from it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.experiments import published as paper
from minidet.experiments import rows
from minidet.experiments.definitions import experiments
from minidet.experiments.setting import BACKBONE
from minidet.geometry import resize_image, scale_boxes
from minidet.reference import focal_loss

DETECTOR = rows.plateau(rows.FL)
"""The experiment whose detector is measured."""
LOGITS = Path(__file__).parent / "measured" / "loss_shares.npz"
"""The measurement."""
MISSING = "not measured yet: python -m figures.figure4 --measure"
GAMMAS = paper.FIGURE4_GAMMAS
EDGES = np.linspace(-40, 40, 8001)
"""Edges of the bins of x_t, 0.01 wide; what lies outside is counted in the outermost."""
NEGATIVES = 10_000_000
"""Negatives that the paper samples (section 5.1)."""
POSITIVES = 100_000
"""Positives that the paper samples (section 5.1)."""
SEED = 2
"""Seed of the images, which neither training nor evaluation uses."""


def load() -> dict[str, Any] | None:
    """The measurement: "positive" and "negative", (8000,) int64 counts of x_t, and "images"; None if not measured."""
    if not LOGITS.is_file():
        return None
    with np.load(LOGITS) as file:
        return {name: file[name] for name in file.files}


def curve(counts: NDArray[np.int64], gamma: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cumulative distribution of the loss, from the example with the lowest loss to that with the highest.

    Inside a bin all examples have the loss of its middle; alpha, the same for all, cancels.

    Args:
        counts: (8000,) examples per bin of x_t.
        gamma: focusing parameter.

    Returns:
        The fraction of the examples and the fraction of the loss that they carry, (8001,) each, from 0 to 1.
    """
    x_t = (EDGES[:-1] + EDGES[1:]) / 2
    counts, x_t = counts[::-1], x_t[::-1]  # the largest x_t has the lowest loss
    loss = counts * focal_loss(x_t, np.ones(x_t.shape), gamma, None)
    examples, carried = (np.concatenate([[0.0], np.cumsum(values)]) for values in (counts, loss))
    return examples / examples[-1], carried / carried[-1]


def hardest(counts: NDArray[np.int64], gamma: float, fraction: float) -> float:
    """The fraction of the loss that the hardest ``fraction`` of the examples carries."""
    return 1 - float(np.interp(1 - fraction, *curve(counts, gamma)))


def carriers(counts: NDArray[np.int64], gamma: float, share: float) -> float:
    """The smallest fraction of the examples, the hardest ones, that carries such a share of the loss."""
    examples, carried = curve(counts, gamma)
    return 1 - float(np.interp(1 - share, carried, examples))


def easy(logits: dict[str, Any], p_t: float, gamma: float, ratio: float) -> float:
    """The loss of the well-classified negatives as a multiple of the loss of all positives.

    Args:
        logits: what `load` gives.
        p_t: probability of the truth above which a negative is well classified.
        gamma: focusing parameter; alpha is left out.
        ratio: negatives per positive in an image; the measurement counts fewer (see NEGATIVES).
    """
    x_t = (EDGES[:-1] + EDGES[1:]) / 2
    loss = focal_loss(x_t, np.ones(x_t.shape), gamma, None)
    negative, positive = (logits[name] / logits[name].sum() * loss for name in ("negative", "positive"))
    chosen = x_t > np.log(p_t / (1 - p_t))
    return float(ratio * negative[chosen].sum() / positive.sum())


def percent(fraction: float) -> str:
    """A fraction in percent with two significant digits."""
    return f"{100 * fraction:.2g}%" if fraction < 0.1 else f"{fraction:.0%}"


def measure(run: Path, images: int, negatives: int = NEGATIVES, positives: int = POSITIVES) -> dict[str, Any]:
    """Histograms of x_t from a trained model's outputs, until both numbers are reached or the images are used up.

    Args:
        run: folder of the trained model.
        images: most images to look at.
        negatives: number of negatives after which no more are counted.
        positives: number of positives at which to stop, if there are enough negatives.

    Returns:
        "positive" and "negative", (8000,) int64 counts of x_t, and "images", the number of images used.
    """
    import torch

    from minidet.compiled import assign_pyramid
    from minidet.data import open_dataset
    from minidet.progress import Progress
    from minidet.pytorch.checkpoint import load_model
    from minidet.pytorch.inference import batch_images

    experiment = experiments()[DETECTOR]
    dataset = open_dataset(**{**experiment.val, "images": images, "seed": SEED})
    model = load_model(run).to("cuda" if torch.cuda.is_available() else "cpu")
    rule, resize = model.config.assignment, experiment.training.resize
    counts = {"positive": np.zeros(len(EDGES) - 1, np.int64), "negative": np.zeros(len(EDGES) - 1, np.int64)}
    used = 0
    with Progress(total=positives, unit="positive") as bar:
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


def trained() -> Path:
    """The folder of the detector that is measured, which is trained unless it is there.

    Its result is committed without its weights, so it is trained as if it were new, from the committed backbone.
    """
    from minidet.experiments.results import RESULTS, file_name
    from minidet.experiments.runner import RUNS, run

    folder, again = RUNS / file_name(DETECTOR, 0), RUNS / "figure4"
    if not (folder / "model.pt").is_file():
        again.mkdir(parents=True, exist_ok=True)
        for file in RESULTS.glob(f"{file_name(BACKBONE.name, 0)}.*"):
            shutil.copyfile(file, again / file.name)
        run(experiments()[DETECTOR], 0, again, keep=True)
    return folder
