"""How good a detector is on a data set: its detections in all images, scored by COCO's evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minidet.config import ResizeConfig
from minidet.data import Dataset, require_objects
from minidet.data.records import outlined
from minidet.evaluation.coco import Evaluation, evaluate
from minidet.paths.tiles import detect_with
from minidet.progress import Progress
from minidet.structures import Categories, Detections

_NAMED = 10  # unknown classes that a message names


def evaluate_model(
    model: Any, dataset: Dataset, categories: Categories, resize: ResizeConfig | None = None, tile: int | None = None
) -> tuple[Evaluation, list[Detections]]:
    """COCO's evaluation of a model on a data set, and what the model detected.

    Args:
        model: the network, of any path; its training mode is put back afterwards.
        dataset: the images and their ground truth.
        categories: name and number of each class of the model, as `RunSettings.categories` gives them.
        resize: how images are brought to the network's size: give what the model was trained with; None: the paper's.
        tile: side of the tiles in which images are looked at too, pixels; None: only as a whole.

    Returns:
        The evaluation, whose category ids are those of ``categories``, and one Detections per image, in pixels of the
        stored images.

    Raises:
        ValueError: see `check_measurable`, and for an image that cannot be read.
    """
    check_measurable(dataset, categories)  # before the long part
    images = (dataset[i].image for i in Progress(range(len(dataset)), "evaluating", unit="image", leave=False))
    found = detect_with(model, images, resize, tile)
    return evaluate_detections(found, dataset, categories), found


def evaluate_detections(found: Sequence[Detections], dataset: Dataset, categories: Categories) -> Evaluation:
    """COCO's evaluation of detections on a data set.

    Objects to ignore (COCO crowd, VOC difficult) count as crowds. Areas, which tell small objects from large ones, are
    those of the outlines where the data set gives them (COCO), and else those of the boxes.

    Args:
        found: one Detections per image of the data set, boxes in pixels of the stored images.
        dataset: the ground truth.
        categories: name and number of each class of the detections.

    Returns:
        The evaluation, whose category ids are those of ``categories``.

    Raises:
        ValueError: see `check_measurable`.
    """
    truth = coco_ground_truth(dataset, categories)
    return evaluate(truth, coco_results(found, range(len(dataset)), categories.ids))


def coco_ground_truth(dataset: Dataset, categories: Categories) -> dict[str, Any]:
    """A data set's objects as `evaluate` takes them, with the places of the images as their ids.

    Args:
        dataset: the ground truth.
        categories: name and number of each class of the detections.

    Returns:
        A COCO data set without file names, whose category ids are those of ``categories``.

    Raises:
        ValueError: see `check_measurable`.
    """
    check_measurable(dataset, categories)
    ids = [categories.ids[k] for k in model_classes(dataset, categories)]
    places = range(len(dataset))
    annotations = [
        {
            "image_id": i, "category_id": ids[label], "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": int(ignore),
            "area": area,
        }
        for i in places
        for record in [dataset.record(i)]
        for (x1, y1, x2, y2), label, ignore, area in zip(
            record.boxes.tolist(), record.classes, record.ignore, outlined(record).tolist(), strict=True
        )
    ]  # fmt: skip
    return {"images": [{"id": i} for i in places], "categories": categories.entries(), "annotations": annotations}


def coco_results(
    detections: Iterable[Detections[np.ndarray]], image_ids: Iterable[int | str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Detections as COCO writes them.

    Args:
        detections: of each image, NumPy arrays.
        image_ids: one for each image.
        category_ids: `category_ids[k]` is the category of class k.

    Returns:
        For each detection {"image_id", "category_id", "bbox": [x, y, width, height], "score"}.
    """
    return [
        {"image_id": image_id, "category_id": category_ids[k], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for found, image_id in zip(detections, image_ids, strict=True)
        for (x1, y1, x2, y2), score, k in zip(*(column.tolist() for column in found), strict=True)
    ]


def check_measurable(dataset: Dataset, categories: Categories) -> None:
    """Refuse a data set that a model of these classes cannot be measured on.

    Raises:
        ValueError: the data set has no image left, no object that counts, or a class that the model does not know.
    """
    require_objects(dataset, "to measure on")
    model_classes(dataset, categories)


def model_classes(dataset: Dataset, categories: Categories) -> list[int]:
    """The model's class for each class of a data set, found by its name.

    Args:
        dataset: (K',) classes.
        categories: (K,) classes of the model.

    Returns:
        K' numbers in 0 … K-1.

    Raises:
        ValueError: the model does not know a class, or a name stands for two classes and does not tell which is which.
    """
    names, known = dataset.classes, categories.names
    if names == known:
        return list(range(len(names)))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f"{dataset.name} has classes that the model does not know: {_with_files(dataset, unknown)}. "
            f"The model knows {', '.join(known)}: correct the names in these annotations, or train on "
            "data that has these classes"
        )
    twice = sorted({name for name in names if names.count(name) > 1 or known.count(name) > 1})
    if twice:
        raise ValueError(
            f"{dataset.name}: {', '.join(map(repr, twice))} is the name of two classes, so it does not say which class "
            "of the model is meant: rename one of them in the data"
        )
    return [known.index(name) for name in names]


def _with_files(dataset: Dataset, unknown: Sequence[str]) -> str:
    """The names, each with the first image that has such an object, whose annotation is to be looked at."""
    first: dict[str, str] = {}
    for i in range(len(dataset)):
        record = dataset.record(i)
        for k in set(record.classes.tolist()):
            first.setdefault(dataset.classes[k], record.file_name)
    told = [f"{name} (first in {first[name]})" if name in first else f"{name} (no object)" for name in unknown]
    more = len(told) - _NAMED
    return ", ".join(told[:_NAMED]) + (f" and {more} more" if more > 0 else "")
