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
from minidet.data.divided import USUAL, parts_to_write, records_of, refuse_to_write_among
from minidet.data.faults import counted
from minidet.data.folder import ImageFolder
from minidet.data.images import read_picture
from minidet.data.paths import is_inside, stem
from minidet.data.records import Dataset, Record
from minidet.data.voc import Voc
from minidet.data.writing import voc_annotation, write_coco, yolo_description, yolo_labels
from minidet.data.yolo import Yolo
from minidet.data.yolo_places import SPLIT_FOLDERS
from minidet.progress import Progress

KINDS = ("coco", "voc", "yolo")
"""What can be written."""


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
    parts, told = parts_to_write(source, split, options)
    if kind == "yolo" and not parts.keys() <= {*USUAL, ""}:
        raise ValueError(f"YOLO's data.yaml has train, val and test, not {', '.join(parts)}: name the split to write")
    if isinstance(source, (str, Path)):
        refuse_to_write_among(source, out)
    classes = tuple(dict.fromkeys(name for dataset in parts.values() for name in dataset.classes))
    if kind != "coco" and any(dataset.classes != classes for dataset in parts.values()):
        told.append(f"the parts have different classes: all are written with one list, {', '.join(classes)}")
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    written = {name: [_renamed(one, dataset, name) for one in records_of(dataset)] for name, dataset in parts.items()}
    try:
        for name, dataset in parts.items():
            _copy_images(dataset, written[name], unfinished / _image_folder(kind, name), progress)
            _write_annotations(dataset, written[name], classes, unfinished, kind, name)
        _write_classes(classes, unfinished, kind, list(parts))
        for name, dataset in parts.items():  # when all is written: a part must not change what another one says
            told += _differences(dataset, written[name], unfinished, kind, name)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    everything = [record for records in written.values() for record in records]
    return Converted(out, len(everything), sum(len(record.boxes) for record in everything), tuple(told))


def _image_folder(kind: str, name: str) -> str:
    """Where the images of a split lie."""
    if kind == "voc":
        return "JPEGImages"
    if kind == "coco":
        return name or "images"
    return f"images/{name}" if name else "images"


def _renamed(record: Record, dataset: Dataset, name: str) -> Record:
    """The record with the image's path less ``images`` and the folder of its split, which the copy gives it anew."""
    if not is_inside(record.file_name):
        raise ValueError(
            f"{dataset.name}: image {record.image_id!r} has the file name {record.file_name!r}, which leads out of the "
            "folder that is written: name images relative to the data set's folder, without .."
        )
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
            raise ValueError(
                f"{dataset.name}: two images are to be called {path.name}, as where an image belongs to two parts that "
                "are written into one folder: leave it out of one part, or rename one"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(dataset, ImageFolder):
            original = dataset.images / dataset.record(i).file_name
            if dataset.oriented or read_picture(original).orientation == 1:
                shutil.copyfile(original, path)
                continue
        data = io.BytesIO()
        Image.fromarray(dataset[i].image).save(data, format="PNG")
        path.write_bytes(data.getvalue())


def _write_annotations(
    dataset: Dataset, records: Sequence[Record], classes: Sequence[str], out: Path, kind: str, name: str
) -> None:
    """The annotations of a part: COCO's with the categories that it has, the others with the classes of all parts."""
    names = [stem(record.file_name) for record in records]
    twice = [one for one, count in Counter(names).items() if count > 1]
    if kind == "coco":
        write_coco(out / _coco_file(name), records, dataset.classes, dataset.category_ids)
        return
    if twice:
        raise ValueError(f"{dataset.name} has several images called {twice[0]}: rename all but one")
    place = {name: k for k, name in enumerate(classes)}
    new = np.array([place[name] for name in dataset.classes], np.int64)  # the number of each class in the list of all
    records = [replace(record, classes=new[record.classes]) for record in records]
    if kind == "voc":
        for one, record in zip(names, records, strict=True):
            _write(out / "Annotations" / f"{one}.xml", voc_annotation(record, classes))
        _write(out / "ImageSets" / "Main" / f"{name or 'all'}.txt", "".join(f"{one}\n" for one in names).encode())
        return
    for one, record in zip(names, records, strict=True):
        _write(out / "labels" / name / f"{one}.txt", yolo_labels(record).encode())


def _write_classes(classes: Sequence[str], out: Path, kind: str, parts: Sequence[str]) -> None:
    """The classes of all parts, where a file beside the annotations names them."""
    if kind == "voc":
        _write(out / "classes.txt", "".join(f"{one}\n" for one in classes).encode())
    if kind == "yolo":
        places = {name or "train": _image_folder("yolo", name) for name in parts}
        _write(out / "data.yaml", yolo_description(classes, places).encode())


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
        found: set[tuple[Any, str]] = set()
        if other is not None:
            found.update(zip(map(tuple, other.boxes.tolist()), _names(written, other), strict=True))
        wanted = zip(record.boxes[kept].tolist(), np.array(_names(dataset, record), object)[kept], strict=True)
        lost += sum((tuple(round(value, 9) for value in box), label) not in found for box, label in wanted)
    for count, what, sentence in (
        (ignored, "object", "to be ignored left out, for which YOLO has no word"),
        (crowds, "crowd", "written as difficult objects, for want of a word in Pascal VOC"),
        (lost, "object", "lost or changed, because the format cannot hold them (Pascal VOC: narrower than a pixel)"),
    ):
        if count:
            told.append(f"{dataset.name}: {wording.counted(count, what)} {sentence}")
    return told


def _names(dataset: Dataset, record: Record) -> list[str]:
    """The class of each object, by name: numbers are each data set's own."""
    return [dataset.classes[label] for label in record.classes.tolist()]
