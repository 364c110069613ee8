"""A data set in one line: how much of it there is, and how much of it had to be left out."""

from __future__ import annotations

from minidet import wording
from minidet.data.faults import counted
from minidet.data.folder import ImageFolder
from minidet.data.parts import Part
from minidet.data.records import Dataset
from minidet.data.view import View


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


def notes(dataset: Dataset) -> list[str]:
    """What a user may want to know of a data set: what its reader decided, and images of a part that are missing.

    Args:
        dataset: any data set.

    Returns:
        A sentence each.
    """
    told = []
    while isinstance(dataset, View):
        if isinstance(dataset, Part) and dataset.missing:
            some = ", ".join(map(str, dataset.missing[:5])) + (", …" if len(dataset.missing) > 5 else "")
            told.append(
                f"{wording.counted(len(dataset.missing), 'image')} that belonged to this part when the data was "
                f"divided {'is' if len(dataset.missing) == 1 else 'are'} no longer there ({some}): put them back, or "
                "what is measured is another number"
            )
        dataset = dataset.dataset
    told += dataset.notes if isinstance(dataset, ImageFolder) else []
    return [f"{dataset.name}: {note}" for note in told]
