"""How good a trained detector is: its detections, shared among processes, and COCO's numbers at two thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minidet.config import ResizeConfig
from minidet.data import Dataset
from minidet.evaluation.bootstrap import resampled_ap
from minidet.evaluation.detector import coco_ground_truth, coco_results, evaluate_detections
from minidet.files import write_json
from minidet.progress import Progress
from minidet.pytorch.inference import detect_images
from minidet.pytorch.processes import Process
from minidet.structures import Categories, Detections

ALONE = (0, 1)
"""Number of this process, and how many there are, where there is one."""


def metrics(found: list[Detections], dataset: Dataset, categories: Categories) -> dict[str, float]:
    """COCO's twelve numbers, to five digits."""
    numbers = evaluate_detections(found, dataset, categories).metrics
    return {name: round(value, 5) for name, value in numbers.items()}


def precision(found: list[Detections], dataset: Dataset, categories: Categories) -> dict[str, list[float]]:
    """Precision at the recalls 0, 0.01, …, 1, the mean over the classes, to four digits, by threshold of the IoU."""
    result = evaluate_detections(found, dataset, categories)
    curves = {}
    for threshold in (0.5, 0.75):
        at = int(np.argmin(abs(result.iou_thresholds - threshold)))
        by_class = result.precision[at, :, :, 0, -1]  # (R, K), of all sizes, -1 where a class has no object
        here = by_class[:, (by_class >= 0).all(axis=0)]
        curves[str(threshold)] = here.mean(axis=1).round(4).tolist() if here.size else []
    return curves


def resampled(found: list[Detections], dataset: Dataset, categories: Categories) -> list[float]:
    """AP on data sets drawn from the images, the same draws for every detector, to five digits."""
    truth = coco_ground_truth(dataset, categories)
    aps = resampled_ap(truth, coco_results(found, range(len(dataset)), categories.ids))
    return [round(value, 5) for value in aps.tolist()]


def detections(
    model: Any, dataset: Dataset, resize: ResizeConfig, folder: Path, process: Process | None = None
) -> list[Detections]:
    """What a detector finds in every image of a data set, of which each process looks at its share.

    Args:
        model: the network, in its process's device.
        dataset: the images.
        resize: the size to which they are brought.
        folder: one that all processes see, where they leave what they found.
        process: this one among others; None where it is alone. Every process has to call this.

    Returns:
        One Detections per image; of the processes but the first one, an empty list.
    """
    rank, count = ALONE if process is None else (process.rank, process.count)
    own = range(rank, len(dataset), count)
    images = (dataset[i].image for i in Progress(own, "evaluating", unit="image", leave=False))
    found = detect_images(model, images, resize)
    if count == 1:
        return found
    import torch.distributed as dist

    none = Detections(np.zeros((0, 4)), np.zeros(0, np.float32), np.zeros(0, np.int64))  # where images are fewer
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in (none, *found)]) for name in Detections._fields
    }
    np.savez(_part(folder, rank), sizes=[len(one.scores) for one in found], **columns)
    dist.barrier()
    whole = _joined(folder, count, len(dataset)) if rank == 0 else []
    dist.barrier()  # nobody may write the next part before the first process has read this one
    return whole


def _part(folder: Path, rank: int) -> Path:
    return folder / f"found_{rank}.npz"


def _joined(folder: Path, count: int, images: int) -> list[Detections]:
    """The detections of all processes in the order of the images."""
    whole: list[Detections] = [None] * images  # type: ignore[list-item]
    for rank in range(count):
        with np.load(_part(folder, rank), allow_pickle=False) as part:
            ends = np.cumsum(part["sizes"])[:-1]
            columns = [np.split(part[name], ends) for name in Detections._fields]
        for i, one in zip(range(rank, images, count), zip(*columns, strict=True), strict=True):
            whole[i] = Detections(*one)
        _part(folder, rank).unlink()
    return whole


@contextmanager
def every_score(model: Any) -> Iterator[None]:
    """A context in which detections of every score are kept, the best ones of each image."""
    config = model.config
    model.config = replace(config, postprocess=replace(config.postprocess, score_threshold=0.0))
    try:
        yield
    finally:
        model.config = config


def write_results(path: Path, found: list[Detections], dataset: Dataset, categories: Categories) -> Path:
    """Detections as COCO's server takes them, with the ids of the images and of the categories.

    Args:
        path: the JSON file.
        found: one Detections per image.
        dataset: the images.
        categories: of the detector.
    """
    ids = [dataset.record(i).image_id for i in range(len(dataset))]
    return write_json(path, coco_results(found, ids, categories.ids))
