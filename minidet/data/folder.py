"""Folders of images: what the readers of Pascal VOC and COCO share, and the way from a file to pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np

from minidet.data.faults import (
    DUPLICATE,
    MISSING_IMAGE,
    NO_AREA,
    OUTSIDE,
    UNREADABLE_IMAGE,
    WRONG_SIZE,
    DatasetError,
    Fault,
)
from minidet.data.images import load_image, opened
from minidet.data.records import Record, Sample

_ROUNDING = 0.02
"""COCO rounds x and w to 0.01 pixel, so x + w may pass the border by that much: clipped, but no fault."""


class Annotation(NamedTuple):
    """An object as it is written in a file."""

    where: str
    written: str
    """The file's own numbers."""
    corners: tuple[float, float, float, float]
    """(x1, y1, x2, y2), counted as the file counts."""
    label: int
    ignore: bool
    crowd: bool


class ImageFolder:
    """What Voc and Coco share: a folder of images, records read when it is opened, pixels when they are asked for."""

    first_pixel = 0
    """The coordinate that the format gives to the first pixel's left edge."""

    def __init__(self, name: str, images: Path, strict: bool) -> None:
        self.name = name
        self.images = images
        self.strict = strict
        self.classes: tuple[str, ...] = ()
        self.category_ids: tuple[int, ...] = ()
        self.faults: list[Fault] = []
        self._records: list[Record] = []

    def __len__(self) -> int:
        return len(self._records)

    def record(self, index: int, /) -> Record:
        """The annotations of one image."""
        return self._records[index]

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects; DatasetError (a ValueError) when it cannot be decoded or is of another size."""
        record = self._records[index]
        path = self.images / record.file_name
        try:
            image = load_image(path)
        except ValueError as error:
            raise DatasetError(Fault(UNREADABLE_IMAGE, record.image_id, str(path), str(error))) from error
        if image.shape[:2] != record.image_size:
            detail = (
                f"{path} is {size_text(image.shape[:2])}, its annotation says {size_text(record.image_size)}: correct "
                "the size there, or, if the image was rotated or scaled, the boxes too"
            )
            raise DatasetError(Fault(WRONG_SIZE, record.image_id, str(path), detail))
        return record.with_image(image)

    def _report(self, kind: str, image_id: int | str | None, where: str, problem: str) -> None:
        fault = Fault(kind, image_id, where, f"{where} {problem}")
        if self.strict:
            raise DatasetError(fault)
        self.faults.append(fault)

    def _add(
        self, image_id: int | str, where: str, file_name: str, image_size: tuple[int, int] | None,
        annotations: Sequence[Annotation],
    ) -> None:  # fmt: skip
        """Take in an image, unless it is not there; without an annotated size, its header is read."""
        path = self.images / file_name
        if not path.is_file():
            self._report(MISSING_IMAGE, image_id, where, f"has no image {path}: left out; restore or remove it")
            return
        if image_size is None or path.stat().st_size == 0:
            try:
                with opened(path) as image:
                    image_size = (image.height, image.width)
            except ValueError as error:
                self._report(UNREADABLE_IMAGE, image_id, where, f"is left out: {error}")
                return
            self._report(
                WRONG_SIZE, image_id, where, f"gives no size: {size_text(image_size)} read from {path}; write it there"
            )
        kept: dict[tuple[Any, ...], Annotation] = {}
        for annotation in annotations:
            box = self._checked(image_id, annotation, image_size)
            same = (box, annotation.label, annotation.crowd)
            if box is not None and same in kept:
                problem = f"has box {annotation.written} a second time: kept once; remove it in the file"
                self._report(DUPLICATE, image_id, annotation.where, problem)
            elif box is not None:
                kept[same] = annotation
        boxes = np.array([box for box, *_ in kept], dtype=np.float64).reshape(-1, 4)
        classes = np.array([annotation.label for annotation in kept.values()], dtype=np.int64)
        ignore = np.array([annotation.ignore for annotation in kept.values()], dtype=bool)
        crowd = np.array([annotation.crowd for annotation in kept.values()], dtype=bool)
        self._records.append(Record(image_id, file_name, image_size, boxes, classes, ignore, crowd))

    def _checked(
        self, image_id: int | str, annotation: Annotation, image_size: tuple[int, int]
    ) -> tuple[float, ...] | None:
        """The box of an annotation in the project's convention, inside the image; None if it has to go."""
        (x1, y1, x2, y2), (height, width) = annotation.corners, image_size
        problem = f"has box {annotation.written}"
        if x2 <= x1 or y2 <= y1:
            problem += " of no area: left out; fix or remove it in the file"
            self._report(NO_AREA, image_id, annotation.where, problem)
            return None
        x1, y1 = x1 - self.first_pixel, y1 - self.first_pixel
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            problem += f" outside the image of {size_text(image_size)}: left out; fix or remove it in the file"
            self._report(OUTSIDE, image_id, annotation.where, problem)
            return None
        if max(-x1, -y1, x2 - width, y2 - height) > _ROUNDING:
            problem += f" partly outside the image of {size_text(image_size)}: clipped; fix it in the file"
            self._report(OUTSIDE, image_id, annotation.where, problem)
        return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def is_inside(file_name: str) -> bool:
    """Whether a data set's file name stays in its folder on every platform: relative, without ``..``."""
    kinds = (PurePosixPath(file_name), PureWindowsPath(file_name))
    plain = all(not path.drive and not path.root and ".." not in path.parts for path in kinds)
    return plain and kinds[0].name != "" and "\0" not in file_name


def size_text(image_size: Sequence[int]) -> str:
    return f"{image_size[1]} x {image_size[0]} pixels"
