"""The backbones that experiments start from: whose they are, and the weights with their fingerprint."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.experiments import classifier
from minidet.experiments.experiment import Experiment
from minidet.experiments.full_scale import IMAGENET
from minidet.experiments.results import RESULTS, file_name, recorded
from minidet.experiments.setting import BACKBONE, CLASSIFIER
from minidet.experiments.sources import Sources
from minidet.files import write_bytes


def load(
    experiment: Experiment, seed: int, results: Path, runs: Path, train: Callable[..., Path | None],
    sources: Sources | None = None,
) -> tuple[Any, str | None]:  # fmt: skip
    """The weights from which an experiment starts.

    Args:
        experiment: names its backbone.
        seed: of the run; a classifier's backbone has the same.
        results: folder of the results, where trained backbones are kept too.
        runs: folder of the runs.
        train: trains the detector BACKBONE, see `minidet.experiments.runner.run`.
        sources: has the files of ImageNet's weights.

    Returns:
        What `minidet.pytorch.weights.load_backbone` takes, and its fingerprint; None twice for random weights.

    Raises:
        ValueError: weights from ImageNet are wanted, and there are none that fit.
    """
    if experiment.backbone is None:
        return None, None
    if experiment.backbone == IMAGENET:
        if sources is None:
            raise ValueError(f"{experiment.name} starts from ImageNet's weights: give --backbone-weights")
        path = sources.backbone(experiment.model)
        return path, hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    if experiment.backbone == CLASSIFIER:
        return _tensors(classifier.trained(experiment.model, seed, results))
    return detector(results, runs, train)


def detector(results: Path, runs: Path, train: Callable[..., Path | None]) -> tuple[dict[str, Any], str]:
    """The weights that BACKBONE's run has reached, by name, and their fingerprint.

    They are those in ``results``, else the committed ones. Where neither are of BACKBONE as it is defined today, the
    first process that asks for them trains it.

    Args:
        results: folder of the results.
        runs: folder of the runs.
        train: trains an experiment; None from it says that another process is at it.
    """
    name = file_name(BACKBONE.name, 0)
    while True:
        for folder in (results, RESULTS):
            path, weights = folder / f"{name}.json", folder / f"{name}.npz"
            if not (path.exists() and weights.exists()):
                continue
            if recorded(json.loads(path.read_bytes())).identity == BACKBONE.identity:
                return _tensors(weights)
        if train(BACKBONE, 0, results, runs) is None:
            time.sleep(2)  # another process is at it


def fingerprint(arrays: Mapping[str, NDArray[Any]]) -> str:
    """12 hexadecimal digits of a hash of arrays, their names and their types."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()[:12]


def save(path: Path, state: Mapping[str, Any]) -> Path:
    """Write a backbone as arrays of half precision, from which others begin; a file of about 1 MB.

    Args:
        path: the file.
        state: its tensors by name.
    """
    arrays = {name: (t.half() if t.is_floating_point() else t).cpu().numpy() for name, t in state.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return write_bytes(path, content.getvalue())


def _tensors(path: Path) -> tuple[dict[str, Any], str]:
    """What `save` wrote, and its fingerprint."""
    import torch

    with np.load(path, allow_pickle=False) as arrays:
        state = {key: arrays[key] for key in arrays.files}
    return {key: torch.from_numpy(array) for key, array in state.items()}, fingerprint(state)
