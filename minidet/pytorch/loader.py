"""Batches on their way from a data set into a training: made ahead by other processes, and made tensors there."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from minidet.structures import Batch


class Data(Protocol):
    """Where batches come from: `minidet.data.batches.TrainingData`, or anything like it."""

    def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Batch[Any]:
        """The part of one step's batch that process `rank` of so many gets; a function of these numbers alone."""


def load_batches(
    data: Data, iterations: range, workers: int = 0, rank: int = 0, processes: int = 1, pin_memory: bool = False
) -> Iterable[Batch[Tensor]]:
    """The batches of some steps, in their order.

    Args:
        data: makes the batches, of arrays or tensors.
        iterations: the numbers of the steps.
        workers: processes that make batches ahead; 0: they are made here, when they are asked for. Where processes are
            not forked (macOS, Windows, Python 3.14), each worker gets a pickled copy of `data` and imports the script
            that is running, which therefore must start nothing unless it is run itself: `if __name__ == "__main__":`.
        rank: the number of this training process, from 0.
        processes: training processes that share each batch.
        pin_memory: put the images where a GPU can fetch them while it computes.

    Raises:
        ValueError: what `data` raises, while iterating.
    """
    loader = DataLoader(
        cast(Any, iterations),  # step numbers, each of which a worker makes a batch of
        batch_size=None, collate_fn=partial(_tensors, data, rank, processes), num_workers=workers,
        pin_memory=pin_memory, generator=torch.Generator(),  # leaves the global random state alone
    )  # fmt: skip
    return cast(Iterable[Batch[Tensor]], loader)


def _tensors(data: Data, rank: int, processes: int, iteration: int) -> Batch[Tensor]:
    """A batch whose images and assignments are tensors, which share the arrays' memory."""
    batch = data.batch(iteration, rank=rank, processes=processes)
    assignments = None if batch.assignments is None else torch.as_tensor(batch.assignments)
    return Batch(torch.as_tensor(batch.images), batch.ground_truth, batch.image_ids, assignments)
