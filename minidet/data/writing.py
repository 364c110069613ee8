"""Annotations as files of COCO, Pascal VOC and YOLO."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from minidet import checks, files
from minidet.data.records import Record, outlined


def write_coco(
    path: str | Path, records: Iterable[Record], classes: Sequence[str], category_ids: Sequence[int] | None = None
) -> Path:
    """Write the annotations of a data set as a COCO file, whole or not at all.

    An annotation's ``area`` is its outline's where that is known, else its box's; objects to ignore that are no crowds
    (VOC difficult) get a key ``ignore``, which Coco reads.

    Args:
        path: the file to write.
        records: the images.
        classes: (K,) names.
        category_ids: (K,) whole numbers from 0; None: 1 … K.

    Returns:
        The path.

    Raises:
        ValueError: ``category_ids`` does not give every class an id of its own, or a record's class has no name.
    """
    ids = list(range(1, len(classes) + 1)) if category_ids is None else list(category_ids)
    if len(ids) != len(classes) or len(set(ids)) != len(ids):
        raise ValueError(f"category_ids = {ids} must be {len(classes)} different numbers, one for each of the classes")
    for i, category_id in enumerate(ids):
        checks.integer(f"category_ids[{i}]", category_id, low=0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for record in records:
        height, width = record.image_size
        images.append({"id": record.image_id, "file_name": record.file_name, "width": width, "height": height})
        columns = (record.boxes, record.classes, record.ignore, record.crowd, outlined(record))
        for box, label, ignore, crowd, area in zip(*columns, strict=True):
            if not 0 <= label < len(ids):
                raise ValueError(f"image {record.image_id!r} has class {label}: classes has {len(ids)} names")
            x1, y1, x2, y2 = box.tolist()
            entry = {
                "id": len(annotations) + 1, "image_id": record.image_id, "category_id": int(ids[label]),
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": float(area), "iscrowd": int(crowd),
            }  # fmt: skip
            annotations.append(entry | ({"ignore": 1} if ignore and not crowd else {}))
    categories = [{"id": int(i), "name": name} for i, name in zip(ids, classes, strict=True)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return files.write_text(path, json.dumps(content, allow_nan=False))


def voc_annotation(record: Record, classes: Sequence[str]) -> bytes:
    """One image's annotation as Pascal VOC writes it: counted from 1, corners inclusive.

    Args:
        record: the image. Objects to ignore become ``difficult``; a crowd is one of them.
        classes: (K,) names.

    Returns:
        The XML file's content.
    """
    height, width = record.image_size
    root = ElementTree.Element("annotation")
    folder, _, name = record.file_name.rpartition("/")
    _leaves(root, folder=folder, filename=name)
    _leaves(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    for box, label, ignore in zip(record.boxes.tolist(), record.classes.tolist(), record.ignore, strict=True):
        item = ElementTree.SubElement(root, "object")
        _leaves(item, name=classes[label], pose="Unspecified", truncated=0, difficult=int(ignore))
        x1, y1, x2, y2 = box
        corners = {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2}
        _leaves(ElementTree.SubElement(item, "bndbox"), **{key: _number(value) for key, value in corners.items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def yolo_labels(record: Record) -> str:
    """One image's annotation as YOLO writes it: a line per object, class, centre and sides as fractions of the image.

    Numbers have all their digits, so that the same boxes come back. Objects to ignore are left out, because the format
    has no word for them.

    Args:
        record: the image.

    Returns:
        The text file's content.
    """
    height, width = record.image_size
    lines = []
    for (x1, y1, x2, y2), label, ignore in zip(
        record.boxes.tolist(), record.classes.tolist(), record.ignore, strict=True
    ):
        if not ignore:
            numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            lines.append(" ".join([str(label), *map(repr, numbers)]) + "\n")
    return "".join(lines)


def yolo_description(classes: Sequence[str], splits: dict[str, str]) -> str:
    """The text of ``data.yaml``.

    Args:
        classes: (K,) names.
        splits: the folder of images for each of ``train``, ``val`` and ``test``, relative to the file.
    """
    places = "".join(f"{name}: {json.dumps(folder)}\n" for name, folder in splits.items())
    names = "".join(f"  {k}: {json.dumps(name, ensure_ascii=False)}\n" for k, name in enumerate(classes))
    return f"{places}nc: {len(classes)}\nnames:{' {}' if not classes else ''}\n{names}"


def _leaves(parent: ElementTree.Element, **texts: Any) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = str(text)


def _number(value: float) -> str:
    """Without a point where it is whole, and without the last digits, which are of the arithmetic."""
    value = round(value, 9)
    return str(int(value)) if value == int(value) else repr(value)
