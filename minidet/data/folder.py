"""Folders of images: what the readers of annotation files share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidet.data.faults import (
    DUPLICATE,
    MISSING_IMAGE,
    NO_AREA,
    OUTSIDE,
    SAME_NAME,
    UNREADABLE_ANNOTATION,
    UNREADABLE_IMAGE,
    WRONG_SIZE,
    DatasetError,
    Fault,
)
from minidet.data.images import Picture, image_size, read_picture
from minidet.data.paths import Images
from minidet.data.records import Record, Sample
from minidet.data.rotation import DIGITS, turned_bounds
from minidet.files import is_file

_ROUNDING = 0.02
"""COCO rounds x and w to 0.01 pixel, so x + w may pass the border by that much: clipped, but no fault."""


class Annotation(NamedTuple):
    """An object as it is written in a file."""

    where: str
    """File and element, as in Fault."""
    written: str
    """The file's own numbers."""
    corners: tuple[float, float, float, float]
    """(x1, y1, x2, y2), counted as the file counts."""
    label: int
    """Index of the class."""
    ignore: bool
    """Whether the object is neither trained on nor scored as a miss."""
    crowd: bool
    """Whether it is a region of many objects."""
    area: float | None = None
    """Area of the object's outline in pixels², where the file gives it."""
    rotation: float = 0.0
    """Degrees by which the box is turned about its centre."""


class ImageFolder:
    """A folder of images whose records are read when it is opened, and pixels when they are asked for.

    Readers of a format are built on this: they parse the annotations and call `add_image` for each image.

    Args:
        name: what reports call the data set.
        images: the folder of images.
        strict: whether the first fault is an error.
        oriented: whether images are read as a viewer shows them (see `load_image`).
        first_pixel: the coordinate that the file gives to the first pixel's left edge.
    """

    def __init__(
        self, name: str, images: Path, strict: bool = False, oriented: bool = True, first_pixel: int = 0
    ) -> None:
        self.name = name
        self.images = images
        self.strict = strict
        self.oriented = oriented
        self.first_pixel = first_pixel
        self.classes: tuple[str, ...] = ()
        self.category_ids: tuple[int, ...] = ()
        self.faults: list[Fault] = []
        self.notes: list[str] = []
        """What the reader decided and a user may want to know; one sentence each."""
        self.annotation_files: list[Path] = []
        """What the reader has read beside the images, so that nothing is written over it."""
        self.known_images = Images(images)
        self._records: list[Record] = []
        self._taken: dict[str, int | str] = {}

    def __len__(self) -> int:
        return len(self._records)

    def record(self, index: int, /) -> Record:
        """The annotations of one image."""
        return self._records[index]

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects; DatasetError (a ValueError) when it cannot be decoded or is of another size."""
        return self._records[index].with_image(self.picture(index).pixels)

    def picture(self, index: int, /) -> Picture:
        """The pixels of one image, and how they are stored.

        Args:
            index: of the image.

        Raises:
            DatasetError: the image cannot be decoded, or has another size than its annotation says.
        """
        record = self._records[index]
        path = self.images / record.file_name
        try:
            picture = read_picture(path, self.oriented)
        except ValueError as error:
            raise DatasetError(Fault(UNREADABLE_IMAGE, record.image_id, str(path), str(error))) from error
        size = picture.pixels.shape[:2]
        if size != record.image_size:
            detail = f"{path} is {size_text(size)}, its annotation says {size_text(record.image_size)}: "
            if picture.orientation > 4 and size[::-1] == record.image_size:
                detail += f"viewers turn this image (EXIF orientation {picture.orientation}), and it was annotated " + (
                    "unturned: read the data with oriented=False" if self.oriented else "turned: leave oriented=True"
                )
            else:
                detail += "correct the size there, or, if the image was rotated or scaled, the boxes too"
            raise DatasetError(Fault(WRONG_SIZE, record.image_id, str(path), detail))
        return picture

    def report(self, kind: str, image_id: int | str | None, where: str, problem: str) -> None:
        """Put down a fault, or raise it if the data set is strict.

        Args:
            kind: one of FAULT_KINDS.
            image_id: of the image, or None.
            where: file and element.
            problem: what is wrong, what was done, what to do; the sentence goes on from ``where``.

        Raises:
            DatasetError: the data set is strict.
        """
        fault = Fault(kind, image_id, where, f"{where} {problem}")
        if self.strict:
            raise DatasetError(fault)
        self.faults.append(fault)

    def add_image(
        self, image_id: int | str, where: str, file_name: str, size: tuple[int, int] | None,
        annotations: Sequence[Annotation],
    ) -> None:  # fmt: skip
        """Take in an image, unless it is not there.

        Args:
            image_id: its id.
            where: the file and element that speak of it.
            file_name: relative to the folder of images.
            size: (height, width) as annotated; None: it is read from the image's header, which is a fault.
            annotations: its objects; those of no area or outside the image are left out, as faults.

        Raises:
            DatasetError: there is a fault and the data set is strict.
        """
        path = self.images / file_name
        if not is_file(path):
            self.report(MISSING_IMAGE, image_id, where, f"has no image {path}: left out; restore or remove it")
            return
        if file_name in self._taken:
            problem = f"is of the image {file_name}, as {self._taken[file_name]} is: both kept; make one of the two"
            self.report(DUPLICATE, image_id, where, problem)
        if size is None or path.stat().st_size == 0:
            try:
                size = image_size(path, self.oriented)
            except ValueError as error:
                self.report(UNREADABLE_IMAGE, image_id, where, f"is left out: {error}")
                return
            self.report(
                WRONG_SIZE, image_id, where, f"gives no size: {size_text(size)} read from {path}; write it there"
            )
        self._taken[file_name] = image_id
        kept: dict[tuple[Any, ...], Annotation] = {}
        for annotation in annotations:
            box = self._checked(image_id, annotation, size)
            same = (box, annotation.label, annotation.crowd)
            if box is not None and same in kept:
                problem = f"has box {annotation.written} a second time: kept once; remove it in the file"
                self.report(DUPLICATE, image_id, annotation.where, problem)
            elif box is not None:
                kept[same] = annotation
        boxes = np.array([box for box, *_ in kept], dtype=np.float64).reshape(-1, 4)
        classes = np.array([annotation.label for annotation in kept.values()], dtype=np.int64)
        ignore = np.array([annotation.ignore for annotation in kept.values()], dtype=bool)
        crowd = np.array([annotation.crowd for annotation in kept.values()], dtype=bool)
        areas = None
        if any(annotation.area is not None for annotation in kept.values()):
            outlined = [annotation.area for annotation in kept.values()]
            areas = np.array(
                [(x2 - x1) * (y2 - y1) if area is None else area
                 for (x1, y1, x2, y2), area in zip(boxes.tolist(), outlined, strict=True)]
            )  # fmt: skip
        self._records.append(Record(image_id, file_name, size, boxes, classes, ignore, crowd, areas))

    def check_names(self, where: str) -> None:
        """Report classes whose names differ in case or spaces alone; they stay apart.

        Args:
            where: the file that names the classes.
        """
        alike: dict[str, list[str]] = {}
        for name in self.classes:
            alike.setdefault(" ".join(name.split()).casefold(), []).append(name)
        for names in alike.values():
            if len(names) > 1:
                problem = f"has the classes {names}: kept apart; give them one name if they are one"
                self.report(SAME_NAME, None, where, problem)

    def _checked(
        self, image_id: int | str, annotation: Annotation, image_size: tuple[int, int]
    ) -> tuple[float, ...] | None:
        """The box of an annotation in the project's convention, inside the image; None if it has to go."""
        x1, y1, x2, y2 = (round(value, DIGITS) for value in annotation.corners)
        height, width = image_size
        problem = f"has box {annotation.written}"
        if x2 <= x1 or y2 <= y1:
            problem += " of no area: left out; fix or remove it in the file"
            self.report(NO_AREA, image_id, annotation.where, problem)
            return None
        x1, y1 = round(x1 - self.first_pixel, DIGITS), round(y1 - self.first_pixel, DIGITS)
        bounds = turned_bounds((x1, y1, x2, y2), annotation.rotation)
        if bounds != (x1, y1, x2, y2):
            x1, y1, x2, y2 = bounds
            told = f"{problem} turned by {annotation.rotation:g} degrees: the bounds of the turned box are taken"
            self.report(UNREADABLE_ANNOTATION, image_id, annotation.where, f"{told}; draw it unturned to be exact")
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            problem += f" outside the image of {size_text(image_size)}: left out; fix or remove it in the file"
            self.report(OUTSIDE, image_id, annotation.where, problem)
            return None
        if max(-x1, -y1, x2 - width, y2 - height) > _ROUNDING:
            problem += f" partly outside the image of {size_text(image_size)}: clipped; fix it in the file"
            self.report(OUTSIDE, image_id, annotation.where, problem)
        return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def size_text(size: Sequence[int]) -> str:
    """An image size as people write it.

    Args:
        size: (height, width).

    >>> size_text((480, 640))
    '640 x 480 pixels'
    """
    return f"{size[1]} x {size[0]} pixels"
