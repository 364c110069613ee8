"""A data set in one line: how much of it there is, and how much of it had to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from minidet.data import Dataset, Fault


def summary(dataset: Dataset) -> str:
    """The number of images and classes, and of faults where there are any.

    >>> from minidet.data.shapes import Shapes
    >>> summary(Shapes(images=8))
    'shapes: 8 images, 6 classes'
    """
    images, classes = len(dataset), len(dataset.classes)
    line = f"{dataset.name}: {images:,} image{'' if images == 1 else 's'}"
    line += f", {classes} class{'' if classes == 1 else 'es'}"
    return f"{line}, {in_words(dataset.faults)}" if dataset.faults else line


def in_words(faults: Sequence[Fault]) -> str:
    """How many faults there are, and how many of each kind, the commonest first: "3 faults (2 missing image, …)"."""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in Counter(fault.kind for fault in faults).most_common())
    return f"{len(faults):,} fault{'' if len(faults) == 1 else 's'}" + (f" ({kinds})" if kinds else "")


def has_objects(dataset: Dataset) -> bool:
    """Whether any image holds an object that counts: one that is neither a crowd nor marked to be ignored."""
    return any(not dataset.record(i).ignore.all() for i in range(len(dataset)))
