"""How far a training has come and how far it has to go: by its steps or, where it has to fit into minutes, by time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from minidet.config import TrainingConfig
from minidet.pytorch.processes import agreed
from minidet.runs import due

EVALUATIONS = 5
"""Evaluations of a training that has to fit into minutes, the last one included."""
MANY = 10**9
"""More steps than any run has."""
_FIRST = 3  # steps that are not measured: caches fill, kernels are compiled
_SHARE = 0.25  # part of the time that is left which evaluations before the last one may take
_OF_A_STEP = 0.5  # of the time that a step takes per image, what an evaluation takes; until one was measured
_WARMUP = 0.1  # largest part of a training for minutes that is warm-up


class Schedule:
    """When the steps of a training end, what their learning rate is, and when to evaluate and to save.

    With ``minutes`` in the settings the number of steps is found while they are done: at every moment as many are still
    to come as the time that is left has room for, at the pace of the latest ones and without what the last evaluation
    takes, and what comes after it: about as long as reading and preparing took before. The learning rate follows that
    number, so it has fallen as far as it should when the time is up, also on a computer that became busy in between.
    Without, the number is the setting's, and nothing is measured.

    Args:
        training_config: the settings.
        start: steps done before, when the run is resumed.
        spent: seconds of the minutes that were spent before.
        images: in an evaluation, from which follows about how long the first one will take; 0 where it is not known.
        before: seconds of the minutes that went by before the training could begin.
    """

    def __init__(
        self, training_config: TrainingConfig, start: int = 0, spent: float = 0.0, images: int = 0, before: float = 0.0
    ) -> None:
        self.asked = self.config = training_config
        self.images = images
        self.done, self.started = start, start
        self.stopped = ""
        """Why the training ends before its last step; empty while it does not."""
        self._timed = training_config.minutes is not None
        self._began = time.monotonic() - spent - before
        self._after = before  # seconds
        self._last = time.monotonic()
        self._step = 0.0  # seconds, of the latest steps
        self._evaluation = 0.0  # seconds of the last evaluation
        self._steps = 0.0  # that would have taken as long as it
        self._evaluated = self._part()  # part of the time that was over at the last evaluation

    @property
    def iterations(self) -> int:
        """The steps of the whole run, as far as it can be told now."""
        return self.config.iterations

    @property
    def steps(self) -> range:
        """The numbers of the steps to be done; of a training for minutes more than there will be."""
        if self.done >= self.iterations or (self._timed and self._part() >= 1):
            return range(0)
        return range(self.done, MANY if self._timed else self.iterations)

    @property
    def spent(self) -> float:
        """Seconds since the training was begun, evaluations included, interruptions not; all of them at its end."""
        spent = time.monotonic() - self._began
        return max(spent, 60 * (self.asked.minutes or 0)) if self.ended and not self.stopped else spent

    @property
    def ended(self) -> bool:
        """Whether the last step is done."""
        return self.done >= self.iterations

    def step(self, done: int) -> None:
        """Take down that so many steps are done, and look at the clock; all processes call it."""
        now = time.monotonic()
        took, self._last, self.done = now - self._last, now, done
        measured = done - self.started - _FIRST
        if not self._timed:
            return
        if measured > 0:
            self._step = took if measured == 1 else self._step + (took - self._step) * max(0.05, 1 / measured)
        left = 60 * float(self.asked.minutes or 0) - self.spent - self._cost() - self._after
        steps = int(agreed(min(MANY, max(0, math.floor(left / max(self._step, 1e-9))))))
        if measured > 0 or not steps:  # at the very beginning, only whether the time is over already
            self._fit(min(MANY, done + steps))

    def evaluation_due(self) -> bool:
        """Whether to evaluate now; of a training for minutes after equal parts of the time, as far as that is cheap."""
        if self.ended or not self._timed or self.asked.evaluate_every:
            return due(self.done, self.asked.evaluate_every, self.iterations)
        left = 60 * float(self.asked.minutes or 0) - self.spent
        now = self._part() - self._evaluated >= 1 / EVALUATIONS and self._cost() <= _SHARE * left and self._step > 0
        return bool(agreed(now))

    def evaluation_missing(self, metrics: Sequence[Mapping[str, Any]]) -> bool:
        """Whether a run that goes on was stopped between its last step and the evaluation after it.

        Args:
            metrics: of the run, in order.
        """
        there = any(record["iteration"] == self.started and "box" not in record for record in metrics)
        was_due = not self.steps or due(self.started, self.asked.evaluate_every, self.iterations)
        return self.started > 0 and not there and was_due

    def evaluated(self, seconds: float) -> None:
        """Take down that an evaluation took so long: the last one will again, and longer if the steps become slower."""
        self._evaluation, self._steps = seconds, seconds / self._step if self._step else 0.0
        self._evaluated = self._part()
        self._last = time.monotonic()

    def checkpoint_due(self) -> bool:
        """Whether to save now."""
        return due(self.done, self.asked.checkpoint_every, self.iterations)

    def stop_without_progress(self, metrics: Sequence[Mapping[str, Any]]) -> None:
        """End the training with the step that is done where the settings' patience is at its end.

        Args:
            metrics: of the run, in order; those of the first process decide.
        """
        if self.asked.patience and self.done:
            why = without_progress(metrics, self.asked.patience)
            if agreed(bool(why)):
                self.stopped = why
                self._fit(self.done)

    def _cost(self) -> float:
        """Seconds that an evaluation will take: what the last one took, or else about what its images will."""
        if not self._evaluation:
            return _OF_A_STEP * self._step * self.images / self.asked.batch_size
        return max(self._evaluation, self._steps * self._step)

    def _part(self) -> float:
        """The part of the time that is over; 0 where there is no limit."""
        return self.spent / (60 * self.asked.minutes) if self.asked.minutes else 0.0

    def _fit(self, iterations: int) -> None:
        """Let the run have so many steps; a short one has a short warm-up."""
        iterations = max(1, iterations)
        warmup = min(self.asked.warmup, max(1, round(_WARMUP * iterations)) if self._timed else iterations)
        if (iterations, warmup) != (self.config.iterations, self.config.warmup):
            self.config = replace(self.config, iterations=iterations, warmup=min(warmup, iterations))


def without_progress(metrics: Sequence[Mapping[str, Any]], patience: int | None) -> str:
    """Why a training should end now; empty while it should not.

    >>> history = [{"iteration": 10 * i, "AP": ap} for i, ap in enumerate([0.1, 0.3, 0.3, 0.2], start=1)]
    >>> without_progress(history, patience=2)
    'AP has not risen in the last 2 evaluations: the best was 0.300 after 20 steps'
    >>> without_progress(history, patience=3), without_progress(history, patience=None)
    ('', '')

    Args:
        metrics: of the run, in order.
        patience: evaluations without a better AP that end it; None for any number.
    """
    evaluations = [record for record in metrics if "AP" in record]
    if patience is None or not evaluations:
        return ""
    best = max(range(len(evaluations)), key=lambda i: (evaluations[i]["AP"], -i))
    if len(evaluations) - 1 - best < patience:
        return ""
    ap, iteration = evaluations[best]["AP"], evaluations[best]["iteration"]
    times = "evaluation" if patience == 1 else f"{patience} evaluations"
    return f"AP has not risen in the last {times}: the best was {ap:.3f} after {iteration} steps"
