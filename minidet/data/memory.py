"""A data set that is small enough to be kept: every sample is made once."""

from __future__ import annotations

from minidet.data.records import Dataset, Sample
from minidet.data.view import View


class InMemory(View):
    """Another data set, whose samples are kept from when they are first asked for.

    For many short trainings over few images, where decoding or drawing them again and again would take the time. Nobody
    may change a sample in place. A process that makes batches has a memory of its own.

    Args:
        dataset: any data set; everything but the pixels is asked of it each time.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self._samples: dict[int, Sample] = {}

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects."""
        if index not in self._samples:
            self._samples[index] = self.dataset[index]
        return self._samples[index]
