"""Which parts of a data set are written anew, and what is left of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minidet import wording
from minidet.data.coco import Coco
from minidet.data.folder import ImageFolder
from minidet.data.layouts import recognise
from minidet.data.records import Dataset, Record

USUAL = ("train", "val", "test")
"""The parts that a data set usually has."""


def parts_to_write(
    source: str | Path | Dataset, split: str | None, options: dict[str, Any]
) -> tuple[dict[str, Dataset], list[str]]:
    """The parts of a data set that are written anew, and what is left of it.

    Args:
        source: a folder or file that `recognise` knows, or an open data set.
        split: the only part; None: all usual parts if it has some, else all of it.
        options: what the reader of the source takes.

    Returns:
        The data sets by the name of their split, one without a name where there are none; and sentences about the
        images that are in none of them.

    Raises:
        ValueError: the source is no data set, or has no such split or option.
    """
    if not isinstance(source, (str, Path)):
        return {split or "": source}, []
    layout = recognise(source)
    if split is not None:
        return {split: layout.open(split, **options)}, []
    found = {name: like for name in USUAL if (like := layout.split_like(name))}
    found = found or {name: name for name in layout.files}
    if not found:
        return {"": layout.open(**options)}, []
    parts = {name: layout.open(like, **options) for name, like in found.items()}
    others = [name for name in layout.splits if name not in found.values()]
    if layout.files:
        left = f"{', '.join(others)} of {layout.path} not written" if others else ""
    else:
        known = {record.image_id for dataset in parts.values() for record in records_of(dataset)}
        count = sum(record.image_id not in known for record in records_of(layout.open(**options)))
        images = wording.counted(count, "image")
        left = f"{images} of {layout.path} in none of the parts {', '.join(found)}, not written" if count else ""
    return parts, [f"{left}: name the split to write, or convert the rest by itself"] if left else []


def records_of(dataset: Dataset) -> list[Record]:
    """All annotations of a data set.

    Args:
        dataset: any data set.
    """
    return [dataset.record(i) for i in range(len(dataset))]


def refuse_to_write_among(dataset: Dataset, out: Path) -> None:
    """Refuse a folder for copies of images in which they would become part of the data set that is copied.

    Args:
        dataset: what is copied; a COCO file lists its images, but for the others their folders are looked through.
        out: the folder to be written.

    Raises:
        ValueError: it lies among the images.
    """
    if not isinstance(dataset, ImageFolder) or isinstance(dataset, Coco):
        return
    if out.resolve().is_relative_to(dataset.images.resolve()):
        raise ValueError(
            f"out = {str(out)!r} lies in {dataset.images}, the images of {dataset.name}, of which the copies would "
            "become part: give a folder outside"
        )
