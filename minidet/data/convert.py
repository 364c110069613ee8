"""The same data set as Pascal VOC, COCO or YOLO text files."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minidet import wording
from minidet.data.coco import Coco
from minidet.data.faults import counted
from minidet.data.folder import ImageFolder
from minidet.data.images import read_picture
from minidet.data.layouts import recognise
from minidet.data.paths import stem
from minidet.data.records import Dataset, Record
from minidet.data.voc import Voc
from minidet.data.writing import voc_annotation, write_coco, yolo_description, yolo_labels
from minidet.data.yolo import Yolo
from minidet.data.yolo_files import SPLIT_FOLDERS
from minidet.progress import Progress

KINDS = ("coco", "voc", "yolo")
"""What can be written."""
_USUAL = ("train", "val", "test")


@dataclass(frozen=True)
class Converted:
    """What `convert` wrote."""

    path: Path
    """The folder."""
    images: int
    """How many images it holds."""
    boxes: int
    """How many objects."""
    told: tuple[str, ...]
    """What could not be kept, and what was wrong in the source; one sentence each."""


def convert(
    source: str | Path | Dataset, out: str | Path, kind: str, split: str | None = None, progress: bool = True,
    **options: Any,
) -> Converted:  # fmt: skip
    """Write a data set anew as Pascal VOC, COCO or YOLO text files, with a copy of its images.

    What is written is read back and compared, so that the boxes are the same to the bit; what a format has no words for
    is told: YOLO knows no objects to be ignored, VOC no crowds and no boxes narrower than a pixel.

    Args:
        source: a folder or file that `recognise` knows, or an open data set.
        out: a new folder.
        kind: one of KINDS.
        split: the part of the source to write; None: all usual parts (train, val, test) if it has some, else all of it.
        progress: show a bar on stderr.
        options: what the reader of the source takes.

    Returns:
        What was written.

    Raises:
        ValueError: the source is no data set, ``out`` is there already, two images have one name, or the kind is
            unknown; nothing is left behind then.

    >>> convert("shapes", "shapes_as_voc", "voc", images=100, progress=False).images    # doctest: +SKIP
    100
    """
    out = Path(out)
    if kind not in KINDS:
        raise ValueError(f"kind = {kind!r} must be one of {', '.join(KINDS)}")
    if out.exists():
        raise ValueError(f"out = {str(out)!r} is there already: give a new folder")
    parts = _parts(source, split, options)
    if kind == "yolo" and not parts.keys() <= {*_USUAL, ""}:
        raise ValueError(f"YOLO's data.yaml has train, val and test, not {', '.join(parts)}: name the split to write")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    images = boxes = 0
    told: list[str] = []
    try:
        for name, dataset in parts.items():
            records = [_renamed(dataset.record(i), name) for i in range(len(dataset))]
            _copy_images(dataset, records, unfinished / _image_folder(kind, name), progress)
            _write_annotations(dataset, records, unfinished, kind, name)
            told += _differences(dataset, records, unfinished, kind, name)
            images, boxes = images + len(records), boxes + sum(len(record.boxes) for record in records)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return Converted(out, images, boxes, tuple(told))


def _parts(source: str | Path | Dataset, split: str | None, options: dict[str, Any]) -> dict[str, Dataset]:
    """The data sets to write by the name of their split; one without a name where there are no splits."""
    if not isinstance(source, (str, Path)):
        return {split or "": source}
    layout = recognise(source)
    if split is not None:
        return {split: layout.open(split, **options)}
    found = {name: like for name in _USUAL if (like := layout.split_like(name))}
    found = found or {name: name for name in layout.files}
    return {name: layout.open(like, **options) for name, like in found.items()} or {"": layout.open(**options)}


def _image_folder(kind: str, name: str) -> str:
    """Where the images of a split lie."""
    if kind == "voc":
        return "JPEGImages"
    if kind == "coco":
        return name or "images"
    return f"images/{name}" if name else "images"


def _renamed(record: Record, name: str) -> Record:
    """The record with the image's path less ``images`` and the folder of its split, which the copy gives it anew."""
    *folders, last = record.file_name.split("/")
    folders = [folder for folder in folders if folder.lower() != "images"]
    if folders and folders[0].lower() in SPLIT_FOLDERS and name:
        folders = folders[1:]
    return replace(record, file_name="/".join([*folders, last]))


def _copy_images(dataset: Dataset, records: Sequence[Record], folder: Path, progress: bool) -> None:
    """The image files as they are; where there are none, or they are read otherwise than a viewer would, as PNG."""
    bar = Progress(records, f"copying {dataset.name}", unit="image", disable=not progress)
    for i, record in enumerate(bar):
        path = folder / record.file_name
        if path.exists():
            raise ValueError(f"{dataset.name}: two images are to be called {path.name}: rename one")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(dataset, ImageFolder):
            original = dataset.images / dataset.record(i).file_name
            if dataset.oriented or read_picture(original).orientation == 1:
                shutil.copyfile(original, path)
                continue
        data = io.BytesIO()
        Image.fromarray(dataset[i].image).save(data, format="PNG")
        path.write_bytes(data.getvalue())


def _write_annotations(dataset: Dataset, records: Sequence[Record], out: Path, kind: str, name: str) -> None:
    names = [stem(record.file_name) for record in records]
    twice = [one for one, count in Counter(names).items() if count > 1]
    if kind == "coco":
        write_coco(out / _coco_file(name), records, dataset.classes, dataset.category_ids)
        return
    if twice:
        raise ValueError(f"{dataset.name} has several images called {twice[0]}: rename all but one")
    if kind == "voc":
        for one, record in zip(names, records, strict=True):
            _write(out / "Annotations" / f"{one}.xml", voc_annotation(record, dataset.classes))
        _write(out / "ImageSets" / "Main" / f"{name or 'all'}.txt", "".join(f"{one}\n" for one in names).encode())
        _write(out / "classes.txt", "".join(f"{one}\n" for one in dataset.classes).encode())
        return
    for one, record in zip(names, records, strict=True):
        _write(out / "labels" / name / f"{one}.txt", yolo_labels(record).encode())
    parts = [path.name for path in sorted((out / "images").iterdir()) if path.is_dir()] if name else [""]
    places = {part or "train": _image_folder("yolo", part) for part in parts if part in (*_USUAL, "")}
    _write(out / "data.yaml", yolo_description(dataset.classes, places).encode())


def _coco_file(name: str) -> str:
    return f"annotations/instances_{name}.json" if name else "annotations.json"


def _write(path: Path, content: bytes) -> None:
    """Plainly: the folder gets its name when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _differences(dataset: Dataset, records: Sequence[Record], out: Path, kind: str, name: str) -> list[str]:
    """What is not the same when the written files are read, and what was wrong before."""
    told = [f"{dataset.name} has {counted(dataset.faults)}, see minidet inspect"] if dataset.faults else []
    written: Dataset
    if kind == "coco":
        written = Coco(out / _coco_file(name), out / _image_folder(kind, name))
    else:
        written = Voc(out, name or "all") if kind == "voc" else Yolo(out, name or "train")
    again = [written.record(i) for i in range(len(written))]
    known = {(stem(one.file_name) if kind == "voc" else one.file_name): one for one in again}
    ignored = crowds = lost = 0
    for record in records:
        key = stem(record.file_name) if kind == "voc" else record.file_name
        other = known.get(f"{_image_folder(kind, name)}/{key}" if kind == "yolo" else key)
        kept = ~record.ignore if kind == "yolo" else np.ones(len(record.boxes), bool)
        ignored += int((~kept).sum())
        crowds += int(record.crowd.sum()) if kind == "voc" else 0
        found = (
            [] if other is None else list(zip(map(tuple, other.boxes.tolist()), other.classes.tolist(), strict=True))
        )
        for box, label in zip(record.boxes[kept].tolist(), record.classes[kept].tolist(), strict=True):
            lost += (tuple(round(value, 9) for value in box), label) not in found
    for count, what, sentence in (
        (ignored, "object", "to be ignored left out, for which YOLO has no word"),
        (crowds, "crowd", "written as difficult objects, for want of a word in Pascal VOC"),
        (lost, "object", "lost or changed, because the format cannot hold them (Pascal VOC: narrower than a pixel)"),
    ):
        if count:
            told.append(f"{dataset.name}: {wording.counted(count, what)} {sentence}")
    return told
