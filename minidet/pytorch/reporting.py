"""What a training tells while it runs: a line of metrics every few steps, a progress bar, and TensorBoard."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from minidet.config import TrainingConfig
from minidet.progress import Progress
from minidet.pytorch import tensorboard
from minidet.pytorch.checkpoint import Run
from minidet.pytorch.objective import Losses
from minidet.pytorch.processes import summed
from minidet.runs import due, load_metrics
from minidet.structures import Batch


class Reporter:
    """Counts the time of a training and writes its metrics; in all processes but the first it stays silent.

    Args:
        run: the folder to write into; None in a process that is not the first.
        training_config: how often to report, and whether to TensorBoard too.
        start: steps done before, when the run is resumed. Metrics of later steps are dropped: they will come again.
        seconds: of training, spent before.
    """

    def __init__(self, run: Run | None, training_config: TrainingConfig, start: int = 0, seconds: float = 0.0) -> None:
        self.run, self.config, self.start, self.seconds = run, training_config, start, seconds
        self._bar: Any = None
        self._add_scalars: Any = None
        if run:
            run.rewind(start)
            if training_config.tensorboard:
                self._add_scalars = tensorboard.scalars(run.folder / "tensorboard", load_metrics(run.folder))
        self.start_clock()

    def start_clock(self) -> None:
        """Begin to count time; what was done since the last `step` is not counted as training."""
        self._began = time.perf_counter()

    def progress(self, batches: Iterable[Batch[Tensor]]) -> Iterable[Batch[Tensor]]:
        """The same batches, and while they are taken a bar that shows how far the training has come."""
        if not self.run:
            return batches
        self._bar = Progress(
            batches,
            "training",
            math.inf if self.config.minutes else self.config.iterations,  # infinity: not known yet
            initial=self.start,
            unit="step",
            mininterval=1,
        )
        return self._bar

    def step(
        self, done: int, losses: Losses, learning_rate: float, gradient_norm: Tensor | None = None,
        iterations: int | None = None,
    ) -> None:  # fmt: skip
        """Take down a step; every `log_every` steps and at the end its numbers are written. All processes call it.

        Args:
            done: steps done, this one included.
            losses: of this process's part of the batch.
            learning_rate: of the step.
            gradient_norm: before it was clipped; None where it is not.
            iterations: how many steps the training will have, as far as that is known now; None: the settings'.
        """
        iterations = iterations or self.config.iterations
        now = time.perf_counter()
        self.seconds += now - self._began
        speed = self.config.batch_size / (now - self._began)
        if not due(done, self.config.log_every, iterations):
            return
        both = summed(torch.stack([losses.classification, losses.box]))
        others = [losses.assigned, *([] if gradient_norm is None else [gradient_norm])]
        # One copy from a GPU. Float32 holds a number of anchors exactly up to 16 million.
        classification, box, assigned, *norm = torch.stack([*both, *(one.detach().to(both) for one in others)]).tolist()
        record = {
            "iteration": done, "classification": classification, "box": box, "assigned": int(assigned),
            "learning_rate": learning_rate, "images_per_second": speed, "seconds": self.seconds,
        } | ({} if gradient_norm is None else {"gradient_norm": norm[0]})  # fmt: skip
        self._write(record)
        if self._bar is not None:
            self._bar.total = iterations
            shown = {name: f"{record[name]:.3g}" for name in ("classification", "box")}
            self._bar.set_postfix(shown | {"images/s": f"{speed:.1f}"}, refresh=False)

    def evaluation(self, done: int, numbers: Mapping[str, float]) -> None:
        """Write what an evaluation after `done` steps has measured."""
        self._write({"iteration": done, "seconds": self.seconds, **numbers})

    def _write(self, record: Mapping[str, Any]) -> None:
        if self.run:
            self.run.log(record)
            if self._add_scalars:
                self._add_scalars(record)
