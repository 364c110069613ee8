"""Another data set, seen through a choice of its images."""

from __future__ import annotations

from collections.abc import Sequence

from minidet.data.faults import Fault
from minidet.data.records import Dataset, Record, Sample


class View:
    """A data set that shows some images of another one, in an order of its own.

    Args:
        dataset: any data set.
        indices: which of its images are shown; None: all.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int] | None = None) -> None:
        self.dataset = dataset
        self.indices = range(len(dataset)) if indices is None else indices

    @property
    def name(self) -> str:
        """The data set's name."""
        return self.dataset.name

    @property
    def classes(self) -> tuple[str, ...]:
        """(K,) the data set's classes."""
        return self.dataset.classes

    @property
    def category_ids(self) -> tuple[int, ...]:
        """(K,) the data set's numbers of its classes in COCO files."""
        return self.dataset.category_ids

    @property
    def faults(self) -> list[Fault]:
        """The data set's faults."""
        return self.dataset.faults

    def __len__(self) -> int:
        return len(self.indices)

    def record(self, index: int, /) -> Record:
        """The annotations of one image, from the data set itself."""
        return self.dataset.record(self.indices[index])

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects."""
        return self.dataset[self.indices[index]]


class WithObjects(View):
    """Another data set without the images that hold no object, or only objects to be ignored.

    Of COCO's 118,287 training images these are about 1,000. Detectron leaves them out, so its epochs are shorter by as
    many.

    Args:
        dataset: any data set; its records are looked through once.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset, [i for i in range(len(dataset)) if not dataset.record(i).ignore.all()])
