"""A short training of a small detector: the loop that the single-object detector and the toy SSD share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from minidet import checks
from minidet.progress import Progress
from minidet.pytorch.inference import batch_images
from minidet.structures import Diverged


class Samples(Protocol):
    """A data set of minidet, or a list of its samples.

    A sample has an `image`, an (H, W, 3) uint8 array, RGB; `boxes`, (M, 4) in pixels; and `classes`, (M,) in 0 … n-1.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class Losses(NamedTuple):
    """The two parts of a detector's loss, scalars that gradients flow through."""

    classification: Tensor
    """Of the classes."""
    box: Tensor
    """Of the coordinates."""


def fit(
    model: nn.Module, samples: Samples, losses: Callable[[list[Any]], Losses], classification_weight: float,
    steps: int, batch_size: int, learning_rate: float, seed: int,
) -> list[dict[str, float]]:  # fmt: skip
    """Minimise box + classification_weight * classification by AdamW; the rate rises to its peak and falls to 0.

    Args:
        model: changed in place.
        samples: at least one. They are drawn in a random order, each once before any comes again.
        losses: gives both losses of a list of samples.
        classification_weight: factor of the classification loss, 0 or more.
        steps: of the optimizer.
        batch_size: samples per step.
        learning_rate: the peak, which is reached after three tenths of the steps.
        seed: of the order of the samples.

    Returns:
        One dict per step: "step" (from 1), "classification", "box", "classification_weight" and "loss".

    Raises:
        Diverged: the loss is not finite.
        ValueError: a setting is out of range, or there are no samples.
    """
    checks.integer("steps", steps, low=1)
    checks.integer("batch_size", batch_size, low=1)
    checks.number("learning_rate", learning_rate, above=0)
    checks.number("classification_weight", classification_weight, low=0)
    if len(samples) == 0:
        raise ValueError("samples is empty: give at least one image")
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1)
    history = []
    indices = _endless(len(samples), torch.Generator().manual_seed(seed))
    bar = Progress(range(1, steps + 1), "training", unit="step", mininterval=1)
    for step in bar:
        batch = [samples[next(indices)] for _ in range(batch_size)]
        with _noticing_divergence(model, step, learning_rate):
            found = losses(batch)
        loss = found.box + classification_weight * found.classification
        if not loss.isfinite():
            raise _diverged(step, learning_rate)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        shown = {name: float(value.detach()) for name, value in found._asdict().items()}
        bar.set_postfix(shown, refresh=False)
        history.append(
            {"step": step, **shown, "classification_weight": classification_weight, "loss": float(loss.detach())}
        )
    return history


def images_of(batch: list[Any], model: Any) -> Tensor:
    """The samples' images as the model takes them: (B, 3, H, W), normalised as its `config` says, on its device."""
    return batch_images([sample.image for sample in batch], model.config).to(next(model.parameters()))


@contextmanager
def _noticing_divergence(model: nn.Module, step: int, learning_rate: float) -> Iterator[None]:
    """An operation that refuses what comes from lost weights is not to blame for it."""
    try:
        yield
    except ValueError as error:
        if all(parameter.isfinite().all() for parameter in model.parameters()):
            raise
        raise _diverged(step, learning_rate) from error


def _diverged(step: int, learning_rate: float) -> Diverged:
    return Diverged(f"the loss of step {step} is not finite: lower learning_rate = {learning_rate:g}", step - 1)


def _endless(count: int, generator: torch.Generator) -> Iterator[int]:
    """0 … count - 1 in random order, then again in another."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()
