"""How much the focal loss gains as objects become rarer: the measured imbalance, and the gains of the runs."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from minidet.experiments import definitions as e
from minidet.experiments.results import Results
from minidet.inspection.report import Report

LOSSES = ("focal", "balanced", "ce")
IMAGES = 200
"""Of those that the detectors are measured on, so many are looked at to measure the imbalance."""


class Advantage(NamedTuple):
    """What the focal loss gains over the better of the two cross entropies, in points of AP."""

    ratio: float
    """Background anchors for each positive one."""
    gain: float
    error: float
    """Standard error; NaN for a single seed."""
    seeds: int
    """The fewest of the three."""


@cache
def inspected(name: str) -> Report:
    """What the anchors of an experiment meet on the images that its detector is measured on."""
    from minidet.data import open_dataset
    from minidet.inspection.numbers import inspect

    experiment = e.experiments()[name]
    return inspect(
        open_dataset(**{**experiment.val, "images": IMAGES}), experiment.model.anchors, experiment.model.assignment,
        resize=experiment.training.resize, check_images=False, progress=False,
    )  # fmt: skip


def ratio(objects: int) -> float:
    """Background anchors for each positive one, with so many objects an image."""
    return float(inspected(e.crowd(objects, "focal")).imbalance or np.inf)


def reached(name: str) -> float:
    """The share of the objects that get an anchor in an experiment, and so can be learnt at all."""
    report = inspected(name)
    return float(report.coverage(np.ones(len(report.boxes.label), bool))["share"])


def advantages(results: Results) -> list[Advantage]:
    """One for each number of objects where all three losses have been run, from many objects to one."""
    found = []
    for objects in e.OBJECTS:
        focal, *others = (results.score(e.crowd(objects, loss)) for loss in LOSSES)
        rivals = [score for score in others if score is not None]
        if focal is None or len(rivals) < len(others):
            continue
        rival = max(rivals, key=lambda score: score.mean)
        error = np.sqrt(focal.deviation**2 / focal.n + rival.deviation**2 / rival.n)
        seeds = min(focal.n, *(score.n for score in rivals))
        found.append(Advantage(ratio(objects), focal.mean - rival.mean, float(error), seeds))
    return found
