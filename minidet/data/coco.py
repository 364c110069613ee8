"""COCO: one JSON file a data set, ``{"images": […], "annotations": […], "categories": […]}``.

A ``bbox`` is [x, y, width, height], counted from 0 and continuous, so it covers (x, y, x + width, y + height) as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from minidet import checks, files
from minidet.data.faults import DUPLICATE, UNKNOWN_CLASS, UNKNOWN_IMAGE, UNREADABLE_ANNOTATION, UNSAFE_PATH
from minidet.data.folder import Annotation, ImageFolder, is_inside
from minidet.data.records import Record
from minidet.data.text import read_json


class Coco(ImageFolder):
    """The objects ("instances") of a COCO file.

    ``images`` is the folder that file names are relative to; without it ``images/`` beside the file, if there is one,
    and else the file's own folder. Classes are the categories in the order of their ids, used or not; ``category_ids``
    are those ids, to write results with. Images keep the file's order.

    Left out, as faults: images that are missing or empty or whose name leads out of the folder; annotations without the
    keys they need, of an unknown image or category; boxes of no area or outside the image; duplicates. Boxes partly
    outside are clipped, as faults. ``iscrowd`` regions are kept and marked ``crowd`` and ``ignore``; a key ``ignore``,
    as write_coco writes it, is honoured.

    Raises ValueError when the file is missing, is not JSON or is not of this form; with ``strict`` for every fault.
    """

    def __init__(self, path: str | Path, images: str | Path | None = None, strict: bool = False) -> None:
        path = Path(path)
        beside = path.parent / "images"
        folder = Path(images) if images is not None else beside if beside.is_dir() else path.parent
        if not folder.is_dir():
            raise ValueError(f"images = {str(folder)!r} is not a folder: give the one that file names are relative to")
        name = path.stem if path.name != "annotations.json" else path.resolve().parent.name
        super().__init__(name, folder, strict)
        content = _read(path)
        labels = self._read_categories(path, content["categories"])
        entries = self._read_images(path, content["images"])
        annotations: dict[int | str, list[Annotation]] = {image_id: [] for image_id in entries}
        for number, item in enumerate(content["annotations"], start=1):
            self._read_annotation(path, number, item, labels, annotations)
        for image_id, (where, item) in entries.items():
            self._add(image_id, where, item["file_name"], _image_size(item), annotations[image_id])

    def _read_categories(self, path: Path, categories: list[Any]) -> dict[int, int]:
        """Sets the classes; returns the class of each category id."""
        names: dict[int, str] = {}
        for i, item in enumerate(categories):
            if not (isinstance(item, dict) and _is_id(item.get("id"), int) and isinstance(item.get("name"), str)):
                raise ValueError(f"{path}: categories[{i}] = {item!r} must have a whole number id and a name")
            if item["id"] in names:
                raise ValueError(
                    f"{path}: categories[{i}] has id {item['id']} a second time: give every category its own"
                )
            names[item["id"]] = item["name"]
        self.category_ids = tuple(sorted(names))
        self.classes = tuple(names[category_id] for category_id in self.category_ids)
        return {category_id: label for label, category_id in enumerate(self.category_ids)}

    def _read_images(self, path: Path, images: list[Any]) -> dict[int | str, tuple[str, dict[str, Any]]]:
        """Where and what, by image id."""
        entries: dict[int | str, tuple[str, dict[str, Any]]] = {}
        for number, item in enumerate(images, start=1):
            if not (isinstance(item, dict) and _is_id(item.get("id")) and isinstance(item.get("file_name"), str)):
                problem = f"= {_short(item)} needs an id and a file_name: left out; complete it"
                self._report(UNREADABLE_ANNOTATION, None, f"{path.name}: entry {number} of images", problem)
                continue
            image_id, where = item["id"], f"{path.name}: image {item['id']}"
            if image_id in entries:
                problem = "has an id that another image has: first one kept; give it its own id"
                self._report(DUPLICATE, image_id, where, problem)
            elif not is_inside(item["file_name"]):
                problem = f"has file_name {item['file_name']!r}, outside the data set's folder: left out; correct it"
                self._report(UNSAFE_PATH, image_id, where, problem)
            else:
                entries[image_id] = where, item
        self._listed = {item["id"] for item in images if isinstance(item, dict) and _is_id(item.get("id"))}
        return entries

    def _read_annotation(
        self, path: Path, number: int, item: Any, labels: dict[int, int], annotations: dict[int | str, list[Annotation]]
    ) -> None:
        where = f"{path.name}: entry {number} of annotations"
        bbox: Any = item.get("bbox") if isinstance(item, dict) else None
        boxed = isinstance(bbox, list) and len(bbox) == 4 and all(map(_is_finite, bbox))
        if not boxed or not _is_id(item.get("image_id")) or not _is_id(item.get("category_id"), int):
            problem = f"= {_short(item)} needs image_id, category_id and bbox (four finite numbers): left out; fix it"
            self._report(UNREADABLE_ANNOTATION, None, where, problem)
            return
        image_id, category_id = item["image_id"], item["category_id"]
        if "id" in item:
            where = f"{path.name}: annotation {item['id']}"
        if image_id not in annotations:
            if image_id not in self._listed:  # else the image was left out, which is no fault of its objects
                problem = f"is of image {image_id!r}, which is not in images: left out; add that image or remove it"
                self._report(UNKNOWN_IMAGE, image_id, where, problem)
            return
        if category_id not in labels:
            problem = f"is of category {category_id}, which is not in categories: left out; add that or remove it"
            self._report(UNKNOWN_CLASS, image_id, where, problem)
            return
        label = labels[category_id]
        x, y, width, height = map(float, bbox)
        written = f"[{', '.join(f'{value:.6g}' for value in bbox)}] (x, y, width, height)"
        crowd = bool(item.get("iscrowd", 0))
        ignore = crowd or bool(item.get("ignore", 0))
        where = f"{where} ({self.classes[label]})"
        annotations[image_id].append(Annotation(where, written, (x, y, x + width, y + height), label, ignore, crowd))


def write_coco(
    path: str | Path, records: Iterable[Record], classes: Sequence[str], category_ids: Sequence[int] | None = None
) -> Path:
    """Write the annotations of a data set as a COCO file, whole or not at all.

    An annotation's ``area`` is its box's, there being no masks; objects to ignore that are no crowds (VOC difficult)
    get a key ``ignore``, which Coco reads.

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
        for box, label, ignore, crowd in zip(record.boxes, record.classes, record.ignore, record.crowd, strict=True):
            if not 0 <= label < len(ids):
                raise ValueError(f"image {record.image_id!r} has class {label}: classes has {len(ids)} names")
            x1, y1, x2, y2 = box.tolist()
            entry = {
                "id": len(annotations) + 1, "image_id": record.image_id, "category_id": int(ids[label]),
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": int(crowd),
            }  # fmt: skip
            annotations.append(entry | ({"ignore": 1} if ignore and not crowd else {}))
    categories = [{"id": int(i), "name": name} for i, name in zip(ids, classes, strict=True)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return files.write_text(path, json.dumps(content, allow_nan=False))


def _read(path: Path) -> dict[str, list[Any]]:
    """The file's content, with its three lists."""
    content = read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(
                f"{path} has no list {key!r}: a COCO instances file has images, annotations and categories"
            )
    return content


def _is_id(value: Any, kinds: type | tuple[type, ...] = (int, str)) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    return _is_id(value, (int, float)) and abs(value) < 2**53 and math.isfinite(value)


def _image_size(item: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) as annotated; None where one is missing or less than a pixel."""
    sides: list[Any] = [item.get("height"), item.get("width")]
    return (int(sides[0]), int(sides[1])) if all(_is_finite(side) and side >= 1 for side in sides) else None


def _short(item: Any) -> str:
    text = repr(item)
    return text if len(text) <= 80 else f"{text[:80]}…"
