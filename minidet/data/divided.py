"""Which parts of a data set are written anew, and what is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidet import wording
from minidet.data.layouts import Layout, recognise
from minidet.data.paths import child
from minidet.data.records import Dataset, Record
from minidet.data.voc_files import IMAGE_FOLDERS, annotation_folder
from minidet.data.yolo_files import describe

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


def refuse_to_write_among(source: str | Path, out: Path) -> None:
    """Refuse a folder in which the copies would be read as images or annotations of the data set itself.

    Args:
        source: a folder or file that `recognise` knows.
        out: the folder to be written.

    Raises:
        ValueError: it lies where a reader takes all files that it finds.
    """
    for place in _looked_through(recognise(source)):
        if out.resolve().is_relative_to(place.resolve()):
            raise ValueError(
                f"out = {str(out)!r} lies in {str(place)!r}, where the data set has its images or annotations: the "
                "copies would be read as more of them; give a folder elsewhere"
            )


def _looked_through(layout: Layout) -> Iterator[Path]:
    """The folders of which a reader takes all files, those in folders below too; COCO's takes those that it names."""
    if layout.kind == "yolo":
        yield from (place for places in describe(layout.path).splits.values() for place in places if place.is_dir())
    if layout.kind == "voc":
        for root in layout.files.values() or [layout.path]:
            yield annotation_folder(root)
            yield child(root, IMAGE_FOLDERS) or annotation_folder(root)
