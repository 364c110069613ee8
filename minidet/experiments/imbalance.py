"""How much the focal loss gains as objects become rarer: the measured imbalance, and the gains of the runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minidet.experiments import published, rows
from minidet.experiments.definitions import experiments
from minidet.experiments.results import Results

LOSSES = ("focal", "balanced", "ce")
"""The losses that are compared."""
IMAGES = 200
"""Images on which the imbalance is measured, the first of those that the detectors are measured on."""
MEASURED = Path(__file__).parent / "measured" / "imbalance.json"
"""The measurements of NAMES, by the identity of the experiment, which another setting changes."""
NAMES = (
    *(rows.crowd(objects, "focal") for objects in rows.OBJECTS),
    *(rows.background(side, "focal") for side in rows.BACKGROUND_SIDES),
    *(rows.anchors(*setting) for setting in published.TABLE_1C),
    rows.FL,
    rows.cells("random", "focal"),
)
"""The experiments whose anchors a table or a figure shows; `python -m figures.imbalance --measure` measures them.

For the last one the folder BCCD must be there, see `minidet.experiments.questions.cells`."""


class Inspected(NamedTuple):
    """How the anchors of an experiment fit the images on which its detector is measured."""

    imbalance: float | None
    """Background anchors per positive one; None where no anchor is positive."""
    reached: float
    """The fraction of the objects that get an anchor, without which they cannot be learnt, from 0 to 1."""


def inspected(name: str) -> Inspected:
    """The measurement of an experiment that is kept, or else a new one.

    Args:
        name: name of the experiment.

    Returns:
        The measurement.
    """
    return _kept().get(experiments()[name].identity) or measured(name)


def measured(name: str) -> Inspected:
    """How the anchors of an experiment fit its images, measured now.

    Args:
        name: name of the experiment.

    Returns:
        The measurement.
    """
    return _measured(name, experiments()[name].identity)


def every_measurement() -> dict[str, list[float | None]]:
    """What MEASURED keeps: the measurements of NAMES as JSON types, made now."""
    return {experiments()[name].identity: list(measured(name)) for name in NAMES}


@cache
def _measured(name: str, identity: str) -> Inspected:
    """The measurement of one definition of the experiment, which its identity tells from others of that name."""
    from minidet.data import open_dataset
    from minidet.inspection.numbers import inspect

    experiment = experiments()[name]
    few = {"images": IMAGES} if experiment.val["source"] == "shapes" else {}
    report = inspect(
        open_dataset(**{**experiment.val, **few}), experiment.model.anchors, experiment.model.assignment,
        resize=experiment.training.resize, check_images=False, progress=False,
    )  # fmt: skip
    reached = report.coverage(np.ones(len(report.boxes.label), bool))["share"]
    return Inspected(None if report.imbalance is None else float(report.imbalance), float(reached))


@cache
def _kept() -> dict[str, Inspected]:
    """The measurements of MEASURED by the identity of the experiment."""
    found = json.loads(MEASURED.read_bytes()) if MEASURED.exists() else {}
    return {identity: Inspected(*values) for identity, values in found.items()}


def ratio(objects: int) -> float:
    """Background anchors per positive one, with so many objects per image."""
    return inspected(rows.crowd(objects, "focal")).imbalance or np.inf


def reached(name: str) -> float:
    """The fraction of the objects that get an anchor in an experiment, without which they cannot be learnt."""
    return inspected(name).reached


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
