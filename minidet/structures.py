"""What all paths hand around: batches, ground truth, detections, and the numbers that stand for no object."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

if TYPE_CHECKING:  # a type checker reads plain Detections as that of any kind of array
    from typing_extensions import TypeVar

    Array = TypeVar("Array", default=Any)
else:  # at runtime, typing has no defaults before Python 3.13
    from typing import TypeVar

    Array = TypeVar("Array")
"""A NumPy array or a PyTorch tensor."""

BACKGROUND = -1
"""An anchor or a label of no object."""
IGNORED = -2
"""An anchor or a label that is neither learnt as an object nor as background."""
MAX_LOG_SCALE = math.log(1000 / 16)
"""Largest tw, th that is decoded: a 16-pixel anchor grows to at most 1000 pixels (Detectron's convention)."""


class Detections(NamedTuple, Generic[Array]):
    """What a detector found in one image, best score first."""

    boxes: Array
    """(D, 4) in pixels of the network's input."""
    scores: Array
    """(D,) in [0, 1]."""
    classes: Array
    """(D,) int64 in 0 … K-1."""


class GroundTruth(NamedTuple):
    """The objects of one image; arrays or tensors."""

    boxes: Any
    """(M, 4) in pixels of the network's input."""
    classes: Any
    """(M,) integers in 0 … K-1."""
    ignore: Any
    """(M,) bool: not to be learnt, neither as an object nor as background (VOC difficult, COCO crowd)."""


class Batch(NamedTuple, Generic[Array]):
    """What a network is trained with in one step; arrays from the data set, tensors in the PyTorch path."""

    images: Array
    """(B, 3, H, W) float32, normalised, padded with zeros at the right and the bottom."""
    ground_truth: list[GroundTruth]
    """The objects of each image."""
    image_ids: list[int | str]
    """The data set's name of each image, for messages about it."""
    assignments: Any = None
    """(B, N) int64, an array or a tensor: what `assign_anchors` gives for each image; None where that is yet to be
    called."""

    def parts(self, count: int) -> list[Batch[Any]]:
        """The batch in so many parts of equal size, `count` being a divisor of its size."""
        images: Any = self.images
        size = len(images) // count
        places = [slice(i * size, (i + 1) * size) for i in range(count)]
        return [
            Batch(
                images[place], self.ground_truth[place], self.image_ids[place],
                None if self.assignments is None else self.assignments[place],
            )
            for place in places
        ]  # fmt: skip

    @contextmanager
    def naming(self, iteration: int) -> Iterator[None]:
        """Say in which iteration and which images a value was refused: a context for what is done with the batch.

        Args:
            iteration: the step that the batch is for, counted from 0.

        Raises:
            ValueError: one was raised inside; a `Diverged` stays one.
        """
        try:
            yield
        except ValueError as error:
            text = f"iteration {iteration}, images {', '.join(map(str, self.image_ids))}: {error}"
            raise (Diverged(text, iteration) if isinstance(error, Diverged) else ValueError(text)) from error


class Diverged(ValueError):
    """A training has reached numbers that are not finite; its message says what to change."""

    def __init__(self, message: str, iteration: int) -> None:
        super().__init__(message)
        self.iteration = iteration
        """The step, counted from 0, whose loss is not finite."""

    def __reduce__(self) -> tuple[type[Diverged], tuple[str, int]]:  # comes back whole from another process
        return Diverged, (str(self), self.iteration)


class Categories(NamedTuple):
    """The classes of a network as files name them."""

    names: tuple[str, ...]
    """One per class, in the order of the network's outputs."""
    ids: tuple[int, ...]
    """The number of each in COCO files, all different."""

    @classmethod
    def numbered(cls, names: Sequence[str]) -> Categories:
        """Classes with these names and the numbers 1 … K."""
        return cls(tuple(names), tuple(range(1, len(names) + 1)))

    def entries(self) -> list[dict[str, Any]]:
        """The list ``categories`` of a COCO file."""
        return [{"id": number, "name": name} for number, name in zip(self.ids, self.names, strict=True)]
