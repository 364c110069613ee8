"""The checkpoint and the trained weights in the folder of a run (see `minidet.runs`), as PyTorch writes them.

Only tensors and plain values are read from the files: pickled code is refused, not run.
"""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from minidet.config import RetinaNetConfig
from minidet.files import write_bytes
from minidet.pytorch.retinanet import RetinaNet
from minidet.runs import Folder, load_settings
from minidet.weights import load_weights


def load_model(run: str | os.PathLike[str]) -> RetinaNet:
    """The trained network of a run.

    Args:
        run: the run's folder, or the path of its `model.pt`; the folder may be that of a run in which another path has
            trained (`model.npz`).

    Returns:
        The network in eval mode, on the CPU.

    Raises:
        ValueError: there is none yet, it is damaged or holds code, or its weights and settings disagree.
    """
    path = Path(run) / "model.pt" if Path(run).is_dir() else Path(run)
    arrays = path.with_name("model.npz")
    if not path.is_file() and arrays.is_file():
        config = load_settings(arrays.parent)["model"]
        path, weights = arrays, {name: torch.from_numpy(value) for name, value in load_weights(arrays).items()}
    elif path.is_file():
        state = _load(path, ("config", "weights"))
        config, weights = state["config"], state["weights"]
    else:
        raise ValueError(f"{path} does not exist: give the folder of a finished run; resume one that is not")
    model = RetinaNet(RetinaNetConfig.from_dict(config))
    _restore(path, model, weights)
    return model.eval()


class Run(Folder):
    """The folder of a run that PyTorch trains."""

    suffix = ".pt"

    def save(self, state: Mapping[str, Any]) -> None:
        """Write `checkpoint.pt`.

        Args:
            state: tensors and plain values by name.

        Raises:
            OSError: it could not be written (a full disk); the former one is as it was.
        """
        _save(self.checkpoint, {**state, "settings": self.settings})

    def load(self, *keys: str) -> dict[str, Any] | None:
        """What `save` was given last.

        Args:
            keys: what it has to hold.

        Returns:
            The state by name; None before the first checkpoint.

        Raises:
            ValueError: it is damaged, holds code, lacks a key, or is of a run with other settings.
        """
        if not self.checkpoint.exists():
            return None
        state = _load(self.checkpoint, ("settings", *keys))
        self._compare(self.checkpoint, state["settings"])
        return state

    def restore(self, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Copy a checkpoint's weights into a model; raises ValueError where they do not fit."""
        _restore(self.checkpoint, model, weights)

    def finish(self, model: RetinaNet) -> None:
        """Write `model.pt`, which `load_model` reads."""
        _save(self.model, {"config": model.config.to_dict(), "weights": model.state_dict()})

    def keep_best(self, model: RetinaNet) -> None:
        """Write `best.pt`, which `load_model` reads too."""
        best = {"config": model.config.to_dict(), "weights": model.state_dict()}
        _save(self.folder / "best.pt", best)


def _save(path: Path, state: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(tree_map(lambda value: value.cpu() if isinstance(value, Tensor) else value, dict(state)), buffer)
    write_bytes(path, buffer.getvalue())


def _load(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # compares every checksum, which torch.load does not
    except zipfile.BadZipFile as error:
        damaged = str(error)
    if damaged:
        raise ValueError(f"{path} is damaged ({damaged}): put back a copy, or delete it and train again")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise ValueError(f"{path} holds more than tensors and plain values, and is not loaded: {error}") from error
    missing = [key for key in keys if key not in state] if isinstance(state, dict) else list(keys)
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}: it was not written by a training run of minidet")
    return dict(state)


def _restore(path: Path, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
    try:
        model.load_state_dict(weights)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path} does not fit the model, it is of another configuration: {error}") from error
