"""A data set in one line: how much of it there is, and how much of it had to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from minidet.data.faults import Fault
from minidet.data.records import Dataset
from minidet.wording import counted


def summary(dataset: Dataset) -> str:
    """The number of images and classes, and of faults where there are any.

    >>> from minidet.data.shapes import Shapes
    >>> summary(Shapes(images=8))
    'shapes: 8 images, 6 classes'
    """
    line = f"{dataset.name}: {counted(len(dataset), 'image')}, {counted(len(dataset.classes), 'class', 'classes')}"
    return f"{line}, {in_words(dataset.faults)}" if dataset.faults else line


def in_words(faults: Sequence[Fault]) -> str:
    """How many faults there are, and how many of each kind, the commonest first: "3 faults (2 missing image, …)"."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in Counter(fault.kind for fault in faults).most_common())
    return counted(len(faults), "fault") + (f" ({kinds})" if kinds else "")


def has_objects(dataset: Dataset) -> bool:
    """Whether any image holds an object that counts: one that is neither a crowd nor marked to be ignored."""
    return any(not dataset.record(i).ignore.all() for i in range(len(dataset)))
