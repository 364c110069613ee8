"""The numbers of an evaluation, as JSON and as text for the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.structures import Categories, Detections

if TYPE_CHECKING:
    from minidet.data import Dataset
    from minidet.evaluation import Evaluation
    from minidet.evaluation.mistakes import Threshold


def record(
    result: Evaluation, categories: Categories, dataset: Dataset, source: dict[str, Any],
    thresholds: Sequence[Threshold] = (),
) -> dict[str, Any]:  # fmt: skip
    """An evaluation as JSON types.

    Args:
        result: what was measured.
        categories: name and number of each class.
        dataset: what it was measured on.
        source: the arguments of `open_dataset` that gave the data set.
        thresholds: for each class the score with the best F1.

    Returns:
        "metrics", COCO's twelve numbers; "per_class", the same of every class by its name; "thresholds", those of every
        class likewise; "data", the source; "images", how many were measured on; "faults", how many of each kind the
        data has.
    """
    faults = [fault.kind for fault in dataset.faults]
    return {
        "metrics": result.metrics,
        "per_class": _per_class(result, categories),
        "thresholds": {name: one._asdict() for name, one in zip(_names(categories).values(), thresholds, strict=False)},
        "data": source,
        "images": len(dataset),
        "faults": {kind: faults.count(kind) for kind in sorted(set(faults))},
    }


def table(result: Evaluation, categories: Categories, thresholds: Sequence[Threshold] = ()) -> str:
    """The twelve numbers, and AP and AP50 of every class ("–" where there is nothing to be found), and where the
    thresholds are given the best F1 of each class with its score."""
    metrics, per_class = list(result.metrics.items()), _per_class(result, categories)
    lines = [
        "  ".join(f"{name} {_number(value)}" for name, value in metrics[part]) for part in (slice(0, 6), slice(6, 12))
    ]
    width = max(map(len, ["class", *per_class]))
    rows = [f"{name:{width}}  {_number(v['AP'])}  {_number(v['AP50'])}" for name, v in per_class.items()]
    head = f"{'class':{width}}     AP   AP50"
    if thresholds:
        head += "     F1  from score"
        told = dict(zip(_names(categories).values(), thresholds, strict=True))
        rows = [
            f"{row}  {told[name].f1:.3f}  {told[name].score:.3f}" for row, name in zip(rows, per_class, strict=True)
        ]
    lines += ["", head, *rows]
    return "\n".join(lines)


def drawn_from(score: str, run: Path, categories: Categories) -> list[float]:
    """The score from which on each class is drawn.

    Args:
        score: a number in [0, 1], or "best" for those that the run's evaluation found.
        run: the folder of the run.
        categories: the classes.

    Raises:
        ValueError: it is neither, or the run was not evaluated.
    """
    if score != "best":
        try:
            value = float(score)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise ValueError(f"score = {score} must be in 0 … 1, or the word best")
        return [value] * len(categories.names)
    path = run / "evaluation.json"
    try:
        known = json.loads(path.read_bytes())["thresholds"]
        return [float(known[name]["score"]) for name in _names(categories).values()]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"score = best: {path} holds no thresholds; measure the run with minidet evaluate, or give a number"
        ) from None


def above(found: Detections, thresholds: Sequence[float]) -> Detections:
    """The detections whose score reaches the threshold of their class; thresholds (K,)."""
    import numpy as np

    kept = found.scores >= np.array(thresholds)[found.classes]
    return type(found)(*(column[kept] for column in found))


def _names(categories: Categories) -> dict[int, str]:
    """The name of each class by its number; two classes of one name are told apart by their numbers."""
    return {
        number: name if categories.names.count(name) == 1 else f"{name} ({number})"
        for number, name in zip(categories.ids, categories.names, strict=True)
    }


def _per_class(result: Evaluation, categories: Categories) -> dict[str, dict[str, float]]:
    """The numbers of each class by its name."""
    names = _names(categories)
    return {names[number]: values for number, values in result.per_class.items()}


def _number(value: float) -> str:
    return "    –" if value < 0 else f"{value:.3f}"
