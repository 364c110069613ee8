"""To start from the weights of another detector: whatever fits is taken, and what is not taken is told."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from minidet.config import RunSettings
from minidet.pytorch.archive import load_detector
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.retinanet import RetinaNet
from minidet.runs import load_settings

_LAST = "class_subnet.output."
"""The layer that has an output for every class."""


class Taken(NamedTuple):
    """What of another detector's weights a model starts from."""

    taken: list[str]
    """Names of the tensors that were copied."""
    new: list[str]
    """Names of the tensors that keep their first, random values."""
    says: str
    """Both in a sentence."""


def load_weights(source: str | os.PathLike[str]) -> tuple[dict[str, Tensor], RunSettings]:
    """The weights of a detector and its settings.

    Args:
        source: the folder of a run, a `model.pt` in such a folder, or a file of `minidet export --npz`.

    Raises:
        ValueError: it is none of these, or damaged.
    """
    path = Path(source)
    if path.suffix == ".npz":
        model, settings = load_detector(path)
    else:
        model = load_model(path)
        settings = RunSettings.from_dict(load_settings(path if path.is_dir() else path.parent))
    return model.state_dict(), settings


def backbone_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the backbone alone."""
    return {name: value for name, value in weights.items() if name.startswith("backbone.")}


def start_from(
    model: RetinaNet, weights: Mapping[str, Tensor], classes: Sequence[str], classes_before: Sequence[str]
) -> Taken:
    """Copy the weights of another detector as far as they fit; the last layer of the classes only for equal classes.

    Args:
        model: changed in place.
        weights: of the other detector, by name.
        classes: the names of the model's classes, in order.
        classes_before: those of the other detector.

    Returns:
        What was copied and what was not.

    Raises:
        ValueError: not one layer of the backbone fits; the model is then unchanged.
    """
    targets = model.state_dict()
    same = tuple(classes) == tuple(classes_before)
    fits = {
        name: value
        for name, value in weights.items()
        if name in targets and value.shape == targets[name].shape and (same or not name.startswith(_LAST))
    }
    if not any(name.startswith("backbone.") and targets[name].ndim == 4 for name in fits):
        raise ValueError(
            "weights: no layer of the backbone has the shape of the model's: leave out what changes its structure "
            "(--preset, --set model.…)"
        )
    with torch.no_grad():
        for name, value in fits.items():
            targets[name].copy_(value)
    new = [name for name in targets if name not in fits and not name.endswith("num_batches_tracked")]
    says = f"taken: {len(fits)} of {len(targets)} tensors; made new: {_grouped(new) or 'nothing'}"
    return Taken(list(fits), new, says)


def _grouped(names: Sequence[str]) -> str:
    """The layers to which tensors belong, each once, such as "class_subnet.output"."""
    return ", ".join(dict.fromkeys(name.rpartition(".")[0] for name in names))
