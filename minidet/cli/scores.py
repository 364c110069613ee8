"""The numbers of an evaluation, as JSON and as text for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidet.structures import Categories

if TYPE_CHECKING:
    from minidet.data import Dataset
    from minidet.evaluation import Evaluation


def record(result: Evaluation, categories: Categories, dataset: Dataset, source: dict[str, Any]) -> dict[str, Any]:
    """An evaluation as JSON types.

    Args:
        result: what was measured.
        categories: name and number of each class.
        dataset: what it was measured on.
        source: the arguments of `open_dataset` that gave the data set.

    Returns:
        "metrics", COCO's twelve numbers; "per_class", the same of every class by its name; "data", the source;
        "images", how many were measured on; "faults", how many of each kind the data has.
    """
    faults = [fault.kind for fault in dataset.faults]
    return {
        "metrics": result.metrics,
        "per_class": _per_class(result, categories),
        "data": source,
        "images": len(dataset),
        "faults": {kind: faults.count(kind) for kind in sorted(set(faults))},
    }


def table(result: Evaluation, categories: Categories) -> str:
    """The twelve numbers, and AP and AP50 of every class ("–" where there is nothing to be found)."""
    metrics, per_class = list(result.metrics.items()), _per_class(result, categories)
    lines = [
        "  ".join(f"{name} {_number(value)}" for name, value in metrics[part]) for part in (slice(0, 6), slice(6, 12))
    ]
    width = max(map(len, ["class", *per_class]))
    lines += ["", f"{'class':{width}}     AP   AP50"]
    lines += [f"{name:{width}}  {_number(v['AP'])}  {_number(v['AP50'])}" for name, v in per_class.items()]
    return "\n".join(lines)


def _per_class(result: Evaluation, categories: Categories) -> dict[str, dict[str, float]]:
    """The numbers of each class by its name; two classes of one name are told apart by their numbers."""
    names = {
        number: name if categories.names.count(name) == 1 else f"{name} ({number})"
        for number, name in zip(categories.ids, categories.names, strict=True)
    }
    return {names[number]: values for number, values in result.per_class.items()}


def _number(value: float) -> str:
    return "    –" if value < 0 else f"{value:.3f}"
