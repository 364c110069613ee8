"""How good a detector is on a data set: its detections in all images, scored by COCO's evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from minidet.config import ResizeConfig
from minidet.data import Dataset
from minidet.evaluation import Evaluation, evaluate
from minidet.pytorch.inference import coco_results, detect_images
from minidet.pytorch.retinanet import RetinaNet
from minidet.structures import Detections


def evaluate_model(
    model: RetinaNet, dataset: Dataset, about: Mapping[str, Any], resize: ResizeConfig | None = None
) -> tuple[Evaluation, list[Detections]]:
    """COCO's evaluation of a model on a data set, and its Detections, one an image. See `evaluate_detections`.

    ``resize``: how images are brought to the network's size; give what the model was trained with.
    """
    _known_classes(dataset, about)  # before the long part
    images = (dataset[i].image for i in tqdm(range(len(dataset)), "evaluating", unit="image", leave=False))
    found = detect_images(model, images, resize)
    return evaluate_detections(found, dataset, about), found


def evaluate_detections(found: Sequence[Detections], dataset: Dataset, about: Mapping[str, Any]) -> Evaluation:
    """COCO's evaluation of Detections, one an image of the data set, in pixels of the stored images.

    ``about`` names the model's classes, as the settings of a run do: "classes" and, for each, "category_ids". Objects
    to ignore (COCO crowd, VOC difficult) count as crowds. Areas are those of the boxes. Raises ValueError for a class
    of the data set that the model does not know.
    """
    ids = _known_classes(dataset, about)
    places = range(len(dataset))
    annotations = [
        {
            "image_id": i, "category_id": ids[dataset.classes[label]], "bbox": [x1, y1, x2 - x1, y2 - y1],
            "iscrowd": int(ignore),
        }
        for i in places
        for record in [dataset.record(i)]
        for (x1, y1, x2, y2), label, ignore in zip(record.boxes.tolist(), record.classes, record.ignore, strict=True)
    ]  # fmt: skip
    truth = {"images": [{"id": i} for i in places], "categories": coco_categories(about), "annotations": annotations}
    return evaluate(truth, coco_results(found, places, about["category_ids"]))


def coco_categories(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The categories of a COCO file for the classes that ``about`` names."""
    return [{"id": i, "name": name} for i, name in zip(about["category_ids"], about["classes"], strict=False)]


def _known_classes(dataset: Dataset, about: Mapping[str, Any]) -> dict[str, int]:
    """Category ids by class; raises ValueError for a class of the data set that the model does not know."""
    ids = dict(zip(about["classes"], about["category_ids"], strict=False))
    unknown = [name for name in dataset.classes if name not in ids]
    if unknown:
        raise ValueError(f"{dataset.name} has classes that the model does not know: {', '.join(unknown)}")
    return ids
