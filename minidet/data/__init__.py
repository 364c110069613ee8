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
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""The image formats that are opened; some others that Pillow knows start foreign programs (EPS)."""

_ROUNDING = 0.02
"""COCO rounds x and w to 0.01 pixel, so x + w may pass the border by that much: clipped, but no fault."""


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


def load_image(path: str | Path) -> NDArray[np.uint8]:
    """The pixels of an image file, (H, W, 3) uint8 RGB.

    Greyscale, palette and CMYK become RGB, an alpha channel is dropped, of 16 bits the upper 8 are kept, of an
    animation the first frame. Pixels stay as they are stored: an EXIF rotation is not applied, because annotation tools
    write boxes and sizes for the stored grid (where one does not, the sizes differ and the data set says so).

    Raises ValueError, naming the file, when it is missing, empty, truncated, in none of FORMATS, or has more pixels
    than ``PIL.Image.MAX_IMAGE_PIXELS`` (a small file can unpack to fill all memory).
    """
    with _opened(Path(path)) as image:
        if image.mode.startswith("I"):  # 16 bits, one channel
            grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        if image.mode == "F":
            raise ValueError("pixels are floating point, of unknown range: save it with 8 bits a channel")
        if "transparency" in image.info:
            return np.array(image.convert("RGBA").convert("RGB"))
        return np.array(image.convert("RGB"))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file with its header read. Whatever is wrong with it, also later, is a ValueError that names it."""
    try:
        if path.stat().st_size == 0:
            raise ValueError("the file is empty (0 bytes)")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                yield image
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: restore the image or remove its annotation") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(
            f"{path} has more than PIL.Image.MAX_IMAGE_PIXELS = {Image.MAX_IMAGE_PIXELS} pixels: make it smaller, or "
            "raise that limit if you trust the file"
        ) from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error) as error:
        raise ValueError(f"{path} cannot be decoded ({error}): replace the image or remove its annotation") from error


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
                f"{path} is {_size(image.shape[:2])}, its annotation says {_size(record.image_size)}: correct the size "
                "there, or, if the image was rotated or scaled, the boxes too"
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
                with _opened(path) as image:
                    image_size = (image.height, image.width)
            except ValueError as error:
                self._report(UNREADABLE_IMAGE, image_id, where, f"is left out: {error}")
                return
            self._report(
                WRONG_SIZE, image_id, where, f"gives no size: {_size(image_size)} read from {path}; write it there"
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
            problem += f" outside the image of {_size(image_size)}: left out; fix or remove it in the file"
            self._report(OUTSIDE, image_id, annotation.where, problem)
            return None
        if max(-x1, -y1, x2 - width, y2 - height) > _ROUNDING:
            problem += f" partly outside the image of {_size(image_size)}: clipped; fix it in the file"
            self._report(OUTSIDE, image_id, annotation.where, problem)
        return max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))


def is_inside(file_name: str) -> bool:
    """Whether a data set's file name stays in its folder on every platform: relative, without ``..``."""
    kinds = (PurePosixPath(file_name), PureWindowsPath(file_name))
    plain = all(not path.drive and not path.root and ".." not in path.parts for path in kinds)
    return plain and kinds[0].name != "" and "\0" not in file_name


def _size(image_size: Sequence[int]) -> str:
    return f"{image_size[1]} x {image_size[0]} pixels"
