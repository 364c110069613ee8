"""A data set that is small enough to be kept: every sample is made once."""

from __future__ import annotations

from minidet.data.faults import Fault
from minidet.data.records import Dataset, Record, Sample


class InMemory:
    """Another data set, whose samples are kept from when they are first asked for.

    For many short trainings over few images, where decoding or drawing them again and again would take the time. Nobody
    may change a sample in place. A process that makes batches has a memory of its own.

    Args:
        dataset: any data set; everything but the pixels is asked of it each time.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._samples: dict[int, Sample] = {}

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
        return len(self.dataset)

    def record(self, index: int, /) -> Record:
        """The annotations of one image, from the data set itself."""
        return self.dataset.record(index)

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects."""
        if index not in self._samples:
            self._samples[index] = self.dataset[index]
        return self._samples[index]
