"""COCO: one JSON file per data set, ``{"images": […], "annotations": […], "categories": […]}``.

A ``bbox`` is [x, y, width, height], counted from 0 and continuous, so it covers (x, y, x + width, y + height) as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from minidet.data.faults import (
    BAD_FLAG,
    DUPLICATE,
    SAME_NAME,
    UNKNOWN_CLASS,
    UNKNOWN_IMAGE,
    UNREADABLE_ANNOTATION,
    UNSAFE_PATH,
)
from minidet.data.folder import Annotation, ImageFolder
from minidet.data.paths import folder_of_images, is_inside
from minidet.data.rotation import degrees_of
from minidet.data.text import read_json, truth

_SAME_EVERYWHERE = (
    "annotations.json", "_annotations.coco.json", "labels.json", "result.json", "instances_default.json",
)  # fmt: skip


class Coco(ImageFolder):
    """The objects ("instances") of a COCO file.

    Classes are the categories in the order of their ids, used or not; ``category_ids`` are those ids, to write results
    with. Categories of one name are one class, as a fault. Images keep the file's order.

    Left out, as faults: images that are missing or empty or whose name leads out of the folder; annotations without the
    keys they need, of an unknown image or category; boxes of no area or outside the image; duplicates. Boxes partly
    outside are clipped, as faults. ``iscrowd`` regions are kept and marked ``crowd`` and ``ignore``; a key ``ignore``,
    as write_coco writes it, is honoured.

    Args:
        path: the JSON file.
        images: the folder that file names are relative to; None: the one that holds the images, out of those where
            COCO, CVAT, Label Studio, FiftyOne and Roboflow put them.
        strict: raise at the first fault.
        oriented: read images as a viewer shows them (see `load_image`).
        name: what reports call the data set; None: the file's or its folder's name.

    Raises:
        ValueError: the file is missing, is not JSON or is not of this form; with ``strict`` for every fault.
    """

    def __init__(
        self, path: str | Path, images: str | Path | None = None, strict: bool = False, oriented: bool = True,
        name: str | None = None,
    ) -> None:  # fmt: skip
        path = Path(path)
        if images is not None and not Path(images).is_dir():
            raise ValueError(f"images = {str(images)!r} is not a folder: give the one that file names are relative to")
        content = _read(path)
        names = [item.get("file_name") for item in content["images"] if isinstance(item, dict)]
        own = all(isinstance(item, dict) and "picture" in item for item in content["images"])
        folder = Path(images) if images is not None else folder_of_images(path, names, own)
        super().__init__(name or _name(path.resolve()), folder, strict, oriented)
        self.annotation_files = [path]
        used = Counter(item["category_id"] for item in content["annotations"] if _has_category(item))
        labels = self._read_categories(path, content["categories"], used)
        entries = self._read_images(path, content["images"])
        annotations: dict[int | str, list[Annotation]] = {image_id: [] for image_id in entries}
        for number, item in enumerate(content["annotations"], start=1):
            self._read_annotation(path, number, item, labels, annotations)
        for image_id, (where, file_name, size) in entries.items():
            self.add_image(image_id, where, file_name, size, annotations[image_id])

    def _read_categories(self, path: Path, categories: list[Any], used: Counter[int]) -> dict[int, int]:
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
        groups: dict[str, list[int]] = {}
        for category_id in sorted(names):
            groups.setdefault(names[category_id].strip(), []).append(category_id)
        chosen = {name: max(ids, key=lambda one: (used[one], -one)) for name, ids in groups.items()}
        self.category_ids = tuple(sorted(chosen.values()))
        self.classes = tuple(names[category_id].strip() for category_id in self.category_ids)
        for name, ids in groups.items():
            if len(ids) > 1:
                problem = (
                    f"has categories {', '.join(map(str, ids))} of one name, {name!r}: taken as one class, with the id "
                    f"{chosen[name]}; remove those that are not used, or rename them"
                )
                self.report(SAME_NAME, None, path.name, problem)
        self.check_names(path.name)
        place = {name: k for k, name in enumerate(self.classes)}
        return {one: place[name] for name, ids in groups.items() for one in ids}

    def _read_images(self, path: Path, images: list[Any]) -> dict[int | str, tuple[str, str, tuple[int, int] | None]]:
        """Where, which file and which size, by image id."""
        entries: dict[int | str, tuple[str, str, tuple[int, int] | None]] = {}
        for number, item in enumerate(images, start=1):
            if not (isinstance(item, dict) and _is_id(item.get("id")) and isinstance(item.get("file_name"), str)):
                problem = f"= {_short(item)} needs an id and a file_name: left out; complete it"
                self.report(UNREADABLE_ANNOTATION, None, f"{path.name}: entry {number} of images", problem)
                continue
            image_id, where = item["id"], f"{path.name}: image {item['id']}"
            if image_id in entries:
                problem = "has an id that another image has: first one kept; give it its own id"
                self.report(DUPLICATE, image_id, where, problem)
                continue
            file_name = item["file_name"]
            found = self.known_images.find(file_name)
            if found is None and not is_inside(file_name):
                found = self.known_images.find_last_part(file_name)
                found = None if found == item.get("picture") else found  # drawn of that image, not it
                done = "left out" if found is None else f"{found} is read in its place"
                problem = f"has file_name {file_name!r}, outside the data set's folder: {done}; correct it"
                self.report(UNSAFE_PATH, image_id, where, problem)
                if found is None:
                    continue
            entries[image_id] = where, found or file_name, _image_size(item)
        self._listed = {item["id"] for item in images if isinstance(item, dict) and _is_id(item.get("id"))}
        return entries

    def _read_annotation(
        self, path: Path, number: int, item: Any, labels: dict[int, int], annotations: dict[int | str, list[Annotation]]
    ) -> None:
        where = f"{path.name}: entry {number} of annotations"
        bbox, outlined = _box(item)
        if bbox is None or not _is_id(item.get("image_id")) or not _has_category(item):
            problem = f"= {_short(item)} needs image_id, category_id and bbox (four finite numbers): left out; fix it"
            self.report(UNREADABLE_ANNOTATION, None, where, problem)
            return
        image_id, category_id = item["image_id"], item["category_id"]
        if "id" in item:
            where = f"{path.name}: annotation {item['id']}"
        if image_id not in annotations:
            if image_id not in self._listed:  # else the image was left out, which is no fault of its objects
                problem = f"is of image {image_id!r}, which is not in images: left out; add that image or remove it"
                self.report(UNKNOWN_IMAGE, image_id, where, problem)
            return
        if category_id not in labels:
            problem = f"is of category {category_id}, which is not in categories: left out; add that or remove it"
            self.report(UNKNOWN_CLASS, image_id, where, problem)
            return
        label = labels[category_id]
        x, y, width, height = map(float, bbox)
        written = f"[{', '.join(f'{value:.6g}' for value in bbox)}] (x, y, width, height)"
        where = f"{where} ({self.classes[label]})"
        if outlined:
            problem = f"has no bbox: the bounds of its segmentation, {written}, are taken; write them there"
            self.report(UNREADABLE_ANNOTATION, image_id, where, problem)
        flags = [self._flag(item, key, image_id, where) for key in ("iscrowd", "ignore")]
        corners = (x, y, x + width, y + height)
        degrees = 0.0 if outlined else self._degrees(item, image_id, where)  # an outline is drawn as it is
        area = item.get("area")
        area = float(area) if _is_finite(area) and area >= 0 else None
        annotations[image_id].append(Annotation(where, written, corners, label, any(flags), flags[0], area, degrees))

    def _flag(self, item: dict[str, Any], key: str, image_id: int | str, where: str) -> bool:
        try:
            return truth(item.get(key))
        except ValueError as error:
            self.report(BAD_FLAG, image_id, where, f"has a bad {key}: {error}; taken as false")
            return False

    def _degrees(self, item: dict[str, Any], image_id: int | str, where: str) -> float:
        """By how much CVAT says that a box is turned."""
        attributes = item.get("attributes")
        try:
            return degrees_of(attributes.get("rotation") if isinstance(attributes, dict) else None)
        except ValueError as error:
            self.report(BAD_FLAG, image_id, where, f"has a bad rotation: {error}; taken as 0")
            return 0.0


def _name(path: Path) -> str:
    """The file's name, or that of its data set's folder where a tool gives all files the same name."""
    if path.name not in _SAME_EVERYWHERE:
        return path.stem
    return path.parents[1].name if path.parent.name.lower() == "annotations" else path.parent.name


def _read(path: Path) -> dict[str, list[Any]]:
    """The file's content, with its three lists; no annotations are none, as in COCO's files of test images."""
    content = read_json(path)
    if isinstance(content, dict) and "annotations" not in content and path.name.startswith("image_info"):
        content["annotations"] = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise ValueError(
                f"{path} has no list {key!r}: a COCO instances file has images, annotations and categories"
            )
        for item in content[key]:
            _make_ids_whole(item)
    return content


def _make_ids_whole(item: Any) -> None:
    """Write 1.0 as 1, which tables of numbers in which some are missing turn ids into."""
    for key in ("id", "image_id", "category_id") if isinstance(item, dict) else ():
        if isinstance(item.get(key), float) and item[key].is_integer():
            item[key] = int(item[key])


def _box(item: Any) -> tuple[list[float] | None, bool]:
    """The bbox of an annotation, or the bounds of its polygons; and whether it is the latter."""
    if not isinstance(item, dict):
        return None, False
    bbox, outline = item.get("bbox"), item.get("segmentation")
    if isinstance(bbox, list) and len(bbox) == 4 and all(map(_is_finite, bbox)):
        return bbox, False
    if not bbox and isinstance(outline, list) and outline and all(isinstance(part, list) for part in outline):
        x, y = [v for part in outline for v in part[::2]], [v for part in outline for v in part[1::2]]
        if len(x) == len(y) >= 3 and all(map(_is_finite, x + y)):
            return [min(x), min(y), max(x) - min(x), max(y) - min(y)], True
    return None, False


def _has_category(item: Any) -> bool:
    return isinstance(item, dict) and _is_id(item.get("category_id"), int)


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
