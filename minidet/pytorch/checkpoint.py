"""The folder of a training run, safe against being killed at any moment.

`config.json` holds every setting, `metrics.jsonl` a line of numbers every few steps, `checkpoint.pt` all that is needed
to go on, `model.pt` the trained weights. Files are written through `minidet.files`, so that at every moment the former
one is there whole, or the new one is. Only tensors and plain values are read from them: pickled code is refused, not
run.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minidet.config import RetinaNetConfig
from minidet.files import write_bytes, write_json
from minidet.pytorch.retinanet import RetinaNet

FREE = (
    "training.workers", "training.log_every", "training.checkpoint_every", "training.evaluate_every",
    "training.tensorboard", "val",
)  # fmt: skip
"""Settings that may change when a run is resumed, with all that they hold: no weight depends on them."""


def load_model(run: str | os.PathLike[str]) -> RetinaNet:
    """The trained network of a run.

    Args:
        run: the run's folder, or the path of a `model.pt`.

    Returns:
        The network in eval mode, on the CPU.

    Raises:
        ValueError: there is none yet, it is damaged or holds code, or its weights and settings disagree.
    """
    path = Path(run) / "model.pt" if Path(run).is_dir() else Path(run)
    if not path.is_file():
        raise ValueError(f"{path} does not exist: give the folder of a finished run; resume one that is not")
    state = _load(path, ("config", "weights"))
    model = RetinaNet(RetinaNetConfig.from_dict(state["config"]))
    _restore(path, model, state["weights"])
    return model.eval()


def load_settings(run: str | os.PathLike[str]) -> dict[str, Any]:
    """Every setting of a run, from its `config.json`.

    Args:
        run: the run's folder.

    Returns:
        "model", "training" and what the run was told about its data, as JSON types.

    Raises:
        ValueError: the file is missing or damaged.
    """
    path = Path(run) / "config.json"
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{path} does not exist: give the folder of a run") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}): write it again, or train again in a new folder") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path} holds {type(settings).__name__}: it must be a dict of settings")
    return settings


def load_metrics(run: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The metrics of a run, from its `metrics.jsonl`.

    Args:
        run: the run's folder.

    Returns:
        One dict per line, in order; [] where there are none yet. A line that was cut off when the run was killed is
        left out.
    """
    path = Path(run) / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


class Run:
    """A folder being trained in.

    Args:
        folder: made where it is missing.
        settings: JSON types by name: "model", "training" and any others.
        resume: go on with the run that the folder holds; where it holds none, begin one.

    Raises:
        ValueError: the folder is a file; it holds a run and is not to be resumed; or its run has other settings than
            these, those in FREE excepted.
    """

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any], resume: bool = False) -> None:
        self.folder = Path(folder)
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.checkpoint, self.model = self.folder / "checkpoint.pt", self.folder / "model.pt"
        self.metrics, config = self.folder / "metrics.jsonl", self.folder / "config.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"out = {str(folder)!r} is a file: give a new folder")
        if any(path.exists() for path in (config, self.checkpoint, self.model)):
            if not resume:
                raise ValueError(f"{folder} already holds a run: resume it, or give a new folder")
            if config.exists():
                _compare(config, load_settings(self.folder), self.settings)
        self.folder.mkdir(parents=True, exist_ok=True)
        if not config.exists() or load_settings(self.folder) != self.settings:  # those in FREE may have changed
            write_json(config, self.settings)

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
        _compare(self.checkpoint, state["settings"], self.settings)
        return state

    def restore(self, model: torch.nn.Module, weights: Mapping[str, Tensor]) -> None:
        """Copy a checkpoint's weights into a model; raises ValueError where they do not fit."""
        _restore(self.checkpoint, model, weights)

    def finish(self, model: RetinaNet) -> None:
        """Write `model.pt`, which `load_model` reads."""
        _save(self.model, {"config": model.config.to_dict(), "weights": model.state_dict()})

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a line to `metrics.jsonl`."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def rewind(self, iteration: int) -> None:
        """Drop the metrics of all steps after this one, which will be made again."""
        if self.metrics.exists():
            kept = [record for record in load_metrics(self.folder) if record["iteration"] <= iteration]
            write_bytes(self.metrics, "".join(json.dumps(record) + "\n" for record in kept).encode())


def _save(path: Path, state: Mapping[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
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


def _compare(path: Path, saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise for the settings that differ."""
    before, now = _flat(saved), _flat(wanted)
    differing = [
        f"{name} = {before.get(name)!r}, not {now.get(name)!r}"
        for name in {**before, **now}
        if before.get(name) != now.get(name) and not any(name == free or name.startswith(f"{free}.") for free in FREE)
    ]
    if differing:
        raise ValueError(
            f"{path} is of another configuration: {'; '.join(differing)}. Resume with the settings of "
            f"{path.with_name('config.json')}, or give a new folder"
        )


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    if not isinstance(settings, dict):
        return {prefix.rstrip("."): settings}
    return {key: value for name in settings for key, value in _flat(settings[name], f"{prefix}{name}.").items()}
