"""How much the focal loss gains as objects become rarer: the measured imbalance, and the gains of the runs."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from minidet.experiments import rows
from minidet.experiments.definitions import experiments
from minidet.experiments.results import Results
from minidet.inspection.report import Report

LOSSES = ("focal", "balanced", "ce")
"""The losses that are compared."""
IMAGES = 200
"""Images on which the imbalance is measured, the first of those that the detectors are measured on."""


class Advantage(NamedTuple):
    """What the focal loss gains over the better of the two cross entropies, in points of AP."""

    ratio: float
    """Background anchors per positive one."""
    gain: float
    error: float
    """Standard error of the gain; NaN for a single seed."""
    seeds: int
    """Runs of the loss that has the fewest."""


@cache
def inspected(name: str) -> Report:
    """How the anchors of an experiment fit the images on which its detector is measured."""
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


def advantages(results: Results) -> list[Advantage]:
    """One for each number of objects where all three losses have been run, from many objects to one."""
    found = []
    for objects in rows.OBJECTS:
        focal, *others = (results.score(rows.crowd(objects, loss)) for loss in LOSSES)
        rivals = [score for score in others if score is not None]
        if focal is None or len(rivals) < len(others):
            continue
        rival = max(rivals, key=lambda score: score.mean)
        error = np.sqrt(focal.deviation**2 / focal.n + rival.deviation**2 / rival.n)
        seeds = min(focal.n, *(score.n for score in rivals))
        found.append(Advantage(ratio(objects), focal.mean - rival.mean, float(error), seeds))
    return found
