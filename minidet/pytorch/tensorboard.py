"""The metrics of a run for TensorBoard: the numbers of `metrics.jsonl` again, as scalars.

`tensorboard --logdir RUN` shows them. The package `tensorboard` is needed for this, and for nothing else in minidet.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def summary_writer() -> type:
    """PyTorch's `SummaryWriter`; raises ValueError where the package that it writes with is missing."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ValueError(
            f"tensorboard = True needs a package that is not here ({error}): pip install tensorboard, or leave the "
            "setting out, metrics.jsonl holds the same numbers"
        ) from error
    return SummaryWriter


def scalars(folder: Path, records: Sequence[Mapping[str, Any]]) -> Callable[[Mapping[str, Any]], None]:
    """Begin an event file anew, so that after a run is resumed every point is there once.

    Args:
        folder: for the event file; what it holds is deleted.
        records: the metrics so far, which are written first.

    Returns:
        A function that adds a record of metrics. TensorBoard's steps are iterations, its time is that of training,
        ending now.
    """
    shutil.rmtree(folder, ignore_errors=True)
    writer = summary_writer()(folder)
    began = time.time() - max((record["seconds"] for record in records), default=0.0)

    def add(record: Mapping[str, Any]) -> None:
        for name, value in record.items():
            if name not in ("iteration", "seconds"):
                writer.add_scalar(name, value, record["iteration"], began + record["seconds"])
        writer.flush()

    for record in records:
        add(record)
    return add
