"""A data set in one line: how much of it there is, and how much of it had to be left out."""

from __future__ import annotations

from minidet import wording
from minidet.data.faults import counted
from minidet.data.records import Dataset


def summary(dataset: Dataset) -> str:
    """The number of images and classes, and of faults where there are any.

    Args:
        dataset: any data set.

    >>> from minidet.data.shapes import Shapes
    >>> summary(Shapes(images=8))
    'shapes: 8 images, 6 classes'
    """
    images = wording.counted(len(dataset), "image")
    line = f"{dataset.name}: {images}, {wording.counted(len(dataset.classes), 'class', 'classes')}"
    return f"{line}, {counted(dataset.faults)}" if dataset.faults else line
