"""How much the focal loss gains as objects become rarer: the measured imbalance, and the gains of the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from minidet.experiments import rows
from minidet.experiments.definitions import experiments
from minidet.experiments.results import Results
from minidet.inspection.report import Report

LOSSES = ("focal", "balanced", "ce")
"""The losses that are compared."""
IMAGES = 200
"""Images on which the imbalance is measured, the first of those that the detectors are measured on."""


def inspected(name: str) -> Report:
    """How the anchors of an experiment fit the images on which its detector is measured."""
    return _inspected(name, experiments()[name].identity)


@cache
def _inspected(name: str, identity: str) -> Report:
    """The same for one definition of the experiment, which its identity tells from others of that name."""
    from minidet.data import open_dataset
    from minidet.inspection.numbers import inspect

    experiment = experiments()[name]
    return inspect(
        open_dataset(**{**experiment.val, "images": IMAGES}), experiment.model.anchors, experiment.model.assignment,
        resize=experiment.training.resize, check_images=False, progress=False,
    )  # fmt: skip


def ratio(objects: int) -> float:
    """Background anchors per positive one, with so many objects per image."""
    return float(inspected(rows.crowd(objects, "focal")).imbalance or np.inf)


def reached(name: str) -> float:
    """The fraction of the objects that get an anchor in an experiment, without which they cannot be learnt."""
    report = inspected(name)
    return float(report.coverage(np.ones(len(report.boxes.label), bool))["share"])


def gains(
    results: Results, levels: Sequence[int] = rows.OBJECTS, name: Callable[[int, str], str] = rows.crowd
) -> dict[int, list[float]]:
    """What the focal loss gains over the better of the two cross entropies, in points of AP.

    Args:
        results: the runs.
        levels: what is varied: the objects per image, from many to one, or the side of the image.
        name: the name of the experiment for one of these and a loss.

    Returns:
        By level: one value per seed that the focal loss and its rival both have. Empty where a run is missing.
    """
    found = {}
    for level in levels:
        scores = {loss: results.score(name(level, loss)) for loss in LOSSES}
        means = {loss: score.mean for loss, score in scores.items() if score}
        if len(means) < len(LOSSES):
            return {}
        rival = max(("balanced", "ce"), key=lambda loss: means[loss])
        focal, other = (results.of(name(level, loss)) for loss in ("focal", rival))
        shared = sorted(set(focal) & set(other))
        found[level] = [100 * (focal[seed]["metrics"]["AP"] - other[seed]["metrics"]["AP"]) for seed in shared]
    return found
