"""Data sets: images with boxes, read from Pascal VOC and COCO files or drawn on the fly.

>>> dataset = open_dataset("shapes", images=100)      # or a VOC folder, a COCO folder, a COCO file
>>> sample = dataset[0]                               # sample.image (H, W, 3), sample.boxes (N, 4), sample.classes (N,)

Annotations are read once, when a data set is opened; pixels when a sample is asked for. Real annotations have faults.
Each is put down in ``dataset.faults`` with what was done about it, so that nothing is dropped silently; ``strict=True``
raises at the first one instead. What stays can be trained on as it is: boxes inside the image, of positive area, none
twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "open_dataset", "Dataset", "Sample", "Record",
    "Fault", "DatasetError", "FAULT_KINDS",
    "NO_AREA", "OUTSIDE", "DUPLICATE", "MISSING_IMAGE", "UNREADABLE_IMAGE", "UNREADABLE_ANNOTATION",
    "UNKNOWN_CLASS", "UNKNOWN_IMAGE", "WRONG_SIZE", "UNSAFE_PATH",
    "FORMATS", "load_image", "ImageFolder", "Annotation", "is_inside",
]  # fmt: skip

NO_AREA = "no area"
OUTSIDE = "outside image"
DUPLICATE = "duplicate"
MISSING_IMAGE = "missing image"
UNREADABLE_IMAGE = "unreadable image"
UNREADABLE_ANNOTATION = "unreadable annotation"
UNKNOWN_CLASS = "unknown class"
UNKNOWN_IMAGE = "unknown image"
WRONG_SIZE = "wrong size"
UNSAFE_PATH = "unsafe path"
FAULT_KINDS = (
    NO_AREA, OUTSIDE, DUPLICATE, MISSING_IMAGE, UNREADABLE_IMAGE, UNREADABLE_ANNOTATION,
    UNKNOWN_CLASS, UNKNOWN_IMAGE, WRONG_SIZE, UNSAFE_PATH,
)  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Something wrong in a data set, and what was done about it."""

    kind: str
    """One of FAULT_KINDS."""
    image_id: int | str | None
    """The image it is about; None where that is not known."""
    where: str
    """File and element, as in ``a.xml: object 4 (cat)``; elements without a number of their own count from 1."""
    detail: str
    """A sentence: where, what, what was done, what to do."""


class DatasetError(ValueError):
    """A fault that stops: the first one under ``strict=True``, or an image that cannot be decoded."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault

    def __reduce__(self) -> tuple[type[DatasetError], tuple[Fault]]:  # comes back whole from a worker process
        return DatasetError, (self.fault,)


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with its objects."""

    image: NDArray[np.uint8]
    """(H, W, 3) RGB."""
    boxes: NDArray[np.float64]
    """(N, 4) as (x1, y1, x2, y2) in pixels, continuous: a box around the first pixel is (0, 0, 1, 1)."""
    classes: NDArray[np.int64]
    """(N,) indices into the data set's ``classes``."""
    image_id: int | str
    ignore: NDArray[np.bool_]
    """(N,) neither trained on nor scored as a miss (VOC difficult, COCO crowd)."""
    crowd: NDArray[np.bool_]
    """(N,) a region of many objects (COCO iscrowd; never in VOC)."""


@dataclass(frozen=True, eq=False)
class Record:
    """The annotations of one image, no pixels decoded; fields as in Sample."""

    image_id: int | str
    file_name: str
    """Relative to the folder of images, with forward slashes."""
    image_size: tuple[int, int]
    """(height, width)."""
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    crowd: NDArray[np.bool_]

    def with_image(self, image: NDArray[np.uint8]) -> Sample:
        """The sample of this record and these pixels; its arrays are copies, free to be changed."""
        arrays = (self.boxes.copy(), self.classes.copy(), self.image_id, self.ignore.copy(), self.crowd.copy())
        return Sample(image, *arrays)


class Dataset(Protocol):
    """What every data set offers. An index outside 0 … len - 1 is an IndexError, so a data set can be iterated."""

    @property
    def name(self) -> str: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def faults(self) -> list[Fault]: ...
    def __len__(self) -> int: ...
    def record(self, index: int, /) -> Record: ...
    def __getitem__(self, index: int, /) -> Sample: ...


def open_dataset(source: str | Path, **options: Any) -> Dataset:
    """The data set that ``source`` names.

    ``"shapes"`` is drawn on the fly (``./shapes`` is a folder of that name); a file is COCO JSON; a folder with
    ``annotations.json`` is COCO with its images in ``images/``; a folder with ``Annotations/`` is Pascal VOC.
    ``options`` go to Shapes, Coco (``images``, ``strict``) or Voc (``split``, ``classes``, ``strict``).

    Raises ValueError for a source that is none of these, and for an option that this kind of data set does not have.
    """
    from minidet.data.coco import Coco
    from minidet.data.shapes import Shapes
    from minidet.data.voc import Voc

    path = Path(source)
    kind: Callable[..., Dataset] | None = None
    if source == "shapes":
        kind = Shapes
    elif path.is_file():
        kind = Coco
    elif (path / "annotations.json").is_file():
        path, kind = path / "annotations.json", Coco
    elif (path / "Annotations").is_dir():
        kind = Voc
    if kind is None:
        state = (
            "holds neither annotations.json (COCO) nor Annotations/ (Pascal VOC)" if path.is_dir() else "does not exist"
        )
        raise ValueError(f"source = {str(source)!r} {state}: give 'shapes', a COCO JSON file, or a COCO or VOC folder")
    known = [name for name in inspect.signature(kind).parameters if name not in ("path", "root")]
    for name in options:
        if name not in known:
            raise ValueError(f"{name} is not an option of {source}, which is read by {kind.__name__}: it has {known}")
    return kind(**options) if source == "shapes" else kind(path, **options)


# Last, because it is built on the names above.
from minidet.data.folder import FORMATS, Annotation, ImageFolder, is_inside, load_image  # noqa: E402
