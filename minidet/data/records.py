"""What a data set is made of: records (annotations) and samples (with pixels); and what all data sets offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from minidet import wording
from minidet.data.faults import Fault, counted


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
    """The image's name or number, different for every image of a data set."""
    ignore: NDArray[np.bool_]
    """(N,) neither trained on nor scored as a miss (VOC difficult, COCO crowd)."""
    crowd: NDArray[np.bool_]
    """(N,) a region of many objects (COCO iscrowd; never in VOC)."""


@dataclass(frozen=True, eq=False)
class Record:
    """The annotations of one image, without its pixels; fields as in Sample."""

    image_id: int | str
    file_name: str
    """Path of the image, relative to the folder of images, with forward slashes."""
    image_size: tuple[int, int]
    """(height, width)."""
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    crowd: NDArray[np.bool_]
    areas: NDArray[np.float64] | None = None
    """(N,) pixels², of the objects' outlines where the file gives them (COCO), by which COCO tells small objects from
    large ones; None for the areas of the boxes."""

    def with_image(self, image: NDArray[np.uint8]) -> Sample:
        """The sample of this record and these pixels.

        Args:
            image: (H, W, 3) RGB.

        Returns:
            The sample; its arrays are copies, free to be changed.
        """
        arrays = (self.boxes.copy(), self.classes.copy(), self.image_id, self.ignore.copy(), self.crowd.copy())
        return Sample(image, *arrays)


def outlined(record: Record) -> NDArray[np.float64]:
    """The areas by which COCO tells small objects from large ones.

    Args:
        record: N objects.

    Returns:
        (N,) pixels²: of the outlines where they are known, else of the boxes.
    """
    sides = record.boxes[:, 2:] - record.boxes[:, :2]  # (N, 2)
    return sides[:, 0] * sides[:, 1] if record.areas is None else record.areas


class Dataset(Protocol):
    """What every data set offers. An index outside 0 … len - 1 is an IndexError, so a data set can be iterated."""

    @property
    def name(self) -> str:
        """What reports call the data set."""

    @property
    def classes(self) -> tuple[str, ...]:
        """(K,) names, in the order of the labels 0 … K - 1."""

    @property
    def category_ids(self) -> tuple[int, ...]:
        """(K,) the number of each class in a COCO file; 1 … K where the data has none of its own."""

    @property
    def faults(self) -> list[Fault]:
        """What is wrong in the annotations, in the order in which it was found."""

    def __len__(self) -> int: ...

    def record(self, index: int, /) -> Record:
        """The annotations of one image."""

    def __getitem__(self, index: int, /) -> Sample: ...


def numbered(classes: tuple[str, ...]) -> tuple[int, ...]:
    """The category ids of classes that have none of their own: 1 … K, as COCO counts.

    >>> numbered(("cat", "dog"))
    (1, 2)
    """
    return tuple(range(1, len(classes) + 1))


def require_objects(dataset: Dataset, purpose: str) -> None:
    """Refuse a data set in which nothing is left to learn from or to be found.

    Args:
        dataset: any data set.
        purpose: what it is for, such as "to learn from".

    Raises:
        ValueError: there is no image, or no object but those to be ignored; the message counts what there is, and the
            faults for which something was left out.
    """
    objects = ignored = 0
    for i in range(len(dataset)):
        ignore = dataset.record(i).ignore
        ignored += int(ignore.sum())
        objects += int((~ignore).sum())
        if objects:
            return
    what = "image" if not len(dataset) else "object"
    first = f". The first fault: {dataset.faults[0].detail}" if dataset.faults else ""
    raise ValueError(
        f"{dataset.name} holds no {what} {purpose}: {wording.counted(len(dataset), 'image')}, "
        f"{wording.counted(ignored, 'object')} to be ignored, {counted(dataset.faults)}; check the path, the split and "
        f"the annotations{first}"
    )
