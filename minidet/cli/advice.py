"""What to do next when a training has ended: what was noticed, and the remedy, a row each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minidet.wording import counted, percent

if TYPE_CHECKING:
    from minidet.config import RunSettings
    from minidet.data import Dataset

FEW_IMAGES = 100
"""Fewer images than this are told to be few."""
FEW_TO_EVALUATE = 10
"""Where fewer images than this are evaluated on, it is said first, and no trend is read from their AP."""
FEW_OBJECTS = 20
"""A class of fewer objects than this is named."""
UNCOVERED = 0.05
"""Anchors are spoken of where a larger part of the boxes gets none."""
RISING = 0.01
"""A larger rise of AP between the last two evaluations means that the training was too short; a larger fall since the
best one, that it was too long."""
FEW_STEPS = 200
"""Fewer steps than this are told to be few, where AP is below POOR."""
POOR = 0.05
_NAMED = 5  # classes that a row names
_LOOKED_AT = 300  # images


class Advice(NamedTuple):
    """One row of the table."""

    seen: str
    """What was noticed."""
    remedy: str
    """What to do about it."""


def advice(
    out: str, metrics: Sequence[Mapping[str, Any]], dataset: Dataset, settings: RunSettings, measured: int | None = None
) -> list[Advice]:
    """What to do for a better detector.

    Args:
        out: the folder of the run, for the commands that are named.
        metrics: of the run, in order.
        dataset: what was trained on.
        settings: of the run.
        measured: how many images the run was evaluated on; None: their number is not known, or there were none.

    Returns:
        Rows; none where nothing was noticed.
    """
    few = measured if measured is not None and measured < FEW_TO_EVALUATE else None
    rows = [] if few is None else [_of_the_evaluation(few, settings)]
    return [*rows, *_of_the_curve(out, metrics, settings, few is None), *_of_the_data(dataset, settings)]


def table(rows: Sequence[Advice]) -> str:
    """The rows for the terminal; empty without any.

    >>> print(table([Advice("12 images", "take more")]))
    what to do next
      12 images
        -> take more
    """
    lines = [line for seen, remedy in rows for line in (f"  {seen}", f"    -> {remedy}")]
    return "\n".join(["what to do next", *lines]) if rows else ""


def _of_the_evaluation(images: int, settings: RunSettings) -> Advice:
    """What to say of images to evaluate on that are too few."""
    drawn = settings.val is not None and settings.val["source"] == "shapes"
    more = "--val-images 200" if drawn else "annotate more, or hold out more (--val-fraction)"
    return Advice(
        f"{counted(images, 'image')} to evaluate on: {'its' if images == 1 else 'their'} AP says next to nothing",
        f"evaluate on {FEW_TO_EVALUATE} at the very least: {more}",
    )


def _of_the_curve(
    out: str, metrics: Sequence[Mapping[str, Any]], settings: RunSettings, trend: bool
) -> Iterator[Advice]:  # fmt: skip
    """What the losses say, and AP; how it rose and fell only where there is a trend to be read."""
    points = [(record["AP"], record["iteration"]) for record in metrics if "AP" in record]
    losses = [record["classification"] for record in metrics if "classification" in record]
    if len(losses) >= 10 and np.mean(losses[-3:]) > 0.9 * np.mean(losses[:3]):
        yield Advice(
            f"the loss of the classes has hardly fallen, from {np.mean(losses[:3]):.3g} to {np.mean(losses[-3:]):.3g}",
            "lower training.learning_rate by a factor of 3, or set training.gradient_clip=10; and look at the boxes "
            "that minidet inspect draws",
        )
    if points and points[-1][0] < POOR and points[-1][1] < FEW_STEPS:
        yield Advice(
            f"{counted(points[-1][1], 'step')}: so few teach a detector next to nothing",
            f"train longer: {_longer(out, points[-1][1], settings, 10)}",
        )
        return
    if len(points) < 2 or not trend:
        return
    (before, _), (last, steps), (best, at) = (
        points[-2],
        points[-1],
        max(points, key=lambda point: (point[0], -point[1])),
    )
    if last - before > RISING:
        yield Advice(
            f"AP was still rising at the end, from {before:.3f} to {last:.3f}",
            f"train longer: {_longer(out, steps, settings, 2)}",
        )
    if best - last > RISING:
        yield Advice(
            f"AP was better after {at} of {steps} steps, {best:.3f} against {last:.3f}",
            "take those weights by --best in detect, evaluate and export; next time --patience 3, and more random "
            "changes: training.photometric=0.5, training.crop=0.5",
        )


def _longer(out: str, steps: int, settings: RunSettings, factor: int) -> str:
    """The command that goes on with a run, by its minutes if these have limited it."""
    minutes = settings.training.minutes
    limit = f"--minutes {factor * minutes:g}" if minutes else f"--steps {factor * steps}"
    return f"minidet train --out {out} --resume {limit}"


def _of_the_data(dataset: Dataset, settings: RunSettings) -> Iterator[Advice]:
    if settings.data is None or settings.data["source"] == "shapes":  # drawn without limit, to fit the anchors
        return
    records = [dataset.record(i) for i in range(len(dataset))]
    if len(records) < FEW_IMAGES:
        yield Advice(
            f"{counted(len(records), 'image')} to learn from: few",
            "annotate more, or start from a trained detector: --weights RUN, or --weights shapes",
        )
    objects = np.bincount(
        np.concatenate([record.classes[~record.ignore] for record in records]), minlength=len(dataset.classes)
    )
    rare = [f"{dataset.classes[k]} ({objects[k]})" for k in np.argsort(objects) if objects[k] < FEW_OBJECTS]
    if rare:
        more = f" and {len(rare) - _NAMED} more" if len(rare) > _NAMED else ""
        yield Advice(f"classes of few objects: {', '.join(rare[:_NAMED])}{more}", "annotate more of them")
    uncovered = _without_anchor(dataset, settings)
    if uncovered > UNCOVERED:
        yield Advice(
            f"{percent(uncovered)} of the boxes get no anchor, so nothing learns them",
            "--anchors suggested, a larger --shorter-side, or --set model.assignment.force_match=true",
        )


def _without_anchor(dataset: Dataset, settings: RunSettings) -> float:
    """The part of the boxes, in some of the images, to which no anchor is assigned."""
    from minidet.compiled import assign_pyramid
    from minidet.inspection.numbers import network_boxes

    rule = settings.model.assignment
    boxes = missed = 0
    for i in range(0, len(dataset), -(-len(dataset) // _LOOKED_AT)):
        record = dataset.record(i)
        image_size, at_size = network_boxes(record, settings.training.resize)
        assigned = assign_pyramid(
            image_size, at_size, settings.model.anchors, rule.positive_iou, rule.negative_iou, rule.force_match
        )
        found = np.zeros(len(at_size), bool)
        found[assigned[assigned >= 0]] = True
        boxes += int((~record.ignore).sum())
        missed += int((~found & ~record.ignore).sum())
    return missed / boxes if boxes else 0.0
