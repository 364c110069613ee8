"""The folder of a training run, safe against being killed at any moment, whatever path trains.

`config.json` holds every setting, `metrics.jsonl` a line of numbers every few steps, `checkpoint` all that is needed to
go on, `model` the trained weights. The last two end in `.pt` where PyTorch trains, which also keeps the weights that
were evaluated best, `best.pt`, and in `.npz` where another path does. Files are written through `minidet.files`, so
that at every moment the former one is there whole, or the new one is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidet.config import RetinaNetConfig, TrainingConfig
from minidet.files import write_bytes, write_json
from minidet.weights import load_weights, save_weights

FREE = (
    "training.workers", "training.log_every", "training.checkpoint_every", "training.evaluate_every",
    "training.tensorboard", "training.patience", "val",
)  # fmt: skip
"""Settings that may change when a run is resumed, with all that they hold: no weight depends on them."""
LONGER = ("training.iterations", "training.minutes")
"""Settings that may grow when a run is resumed, finished or not: it then goes on for longer."""


def load_settings(run: str | os.PathLike[str]) -> dict[str, Any]:
    """Every setting of a run, from its `config.json`.

    Args:
        run: the run's folder.

    Returns:
        "model", "training", "path" and what the run was told about its data, as JSON types.

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


def due(done: int, every: int | None, iterations: int) -> bool:
    """Whether something that happens every so many steps, and after the last one, happens after `done` steps."""
    return done == iterations or (every is not None and done % every == 0)


class Folder:
    """A folder being trained in.

    Args:
        folder: made where it is missing.
        settings: JSON types by name: "model", "training" and any others.
        resume: go on with the run that the folder holds; where it holds none, begin one.

    Raises:
        ValueError: the folder is a file; it holds a run and is not to be resumed; or its run has other settings than
            these, those in FREE excepted.
    """

    suffix: str
    """How the names of checkpoint and model end."""

    def __init__(self, folder: str | os.PathLike[str], settings: Mapping[str, Any], resume: bool = False) -> None:
        self.folder = Path(folder)
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.checkpoint, self.model = (self.folder / f"{name}{self.suffix}" for name in ("checkpoint", "model"))
        self.metrics, config = self.folder / "metrics.jsonl", self.folder / "config.json"
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"out = {str(folder)!r} is a file: give a new folder")
        if any(path.exists() for path in (config, self.checkpoint, self.model)):
            if not resume:
                raise ValueError(f"{folder} already holds a run: resume it, or give a new folder")
            if config.exists():
                self._compare(config, load_settings(self.folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        if not config.exists() or load_settings(self.folder) != self.settings:  # those in FREE may have changed
            write_json(config, self.settings)

    def log(self, record: Mapping[str, Any]) -> None:
        """Append a line to `metrics.jsonl`."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OSError(error.errno, f"{self.metrics} could not be written, {error.strerror}") from error

    def rewind(self, iteration: int) -> None:
        """Drop the metrics of all steps after this one, which will be made again."""
        if self.metrics.exists():
            kept = [record for record in load_metrics(self.folder) if record["iteration"] <= iteration]
            write_bytes(self.metrics, "".join(json.dumps(record) + "\n" for record in kept).encode())

    def _compare(self, path: Path, saved: Mapping[str, Any]) -> None:
        """Raise for the settings that differ; one that is newer than the run has its default there."""
        before, now = ({"path": "pytorch", **_flat(settings)} for settings in (saved, self.settings))
        usual = _flat({"model": RetinaNetConfig(1).to_dict(), "training": TrainingConfig().to_dict()})
        before = {name: usual[name] for name in now if name in usual} | before
        differing = [
            f"{name} = {before.get(name)!r}, not {now.get(name)!r}"
            for name in {**before, **now}
            if before.get(name) != now.get(name)
            and not any(name == free or name.startswith(f"{free}.") for free in FREE)
            and not (name in LONGER and before.get(name) and now.get(name) and now[name] > before[name])
        ]
        if differing:
            raise ValueError(
                f"{path} is of another configuration: {'; '.join(differing)}. Resume with the settings of "
                f"{path.with_name('config.json')}, or give a new folder"
            )


class ArrayRun(Folder):
    """The folder of a run whose weights are NumPy arrays: the reference's or the compiled path's."""

    suffix = ".npz"

    def save(
        self, iteration: int, seconds: float, weights: Mapping[str, np.ndarray], optimizer: Mapping[str, np.ndarray]
    ) -> None:
        """Write `checkpoint.npz`.

        Args:
            iteration: steps done.
            seconds: spent on them.
            weights: the network's state.
            optimizer: what the optimizer remembers.

        Raises:
            OSError: it could not be written (a full disk); the former one is as it was.
        """
        state: dict[str, Any] = {"iteration": np.int64(iteration), "seconds": np.float64(seconds)}
        state["settings"] = np.frombuffer(json.dumps(self.settings).encode(), np.uint8)
        for part, arrays in (("weights", weights), ("optimizer", optimizer)):
            state |= {f"{part}/{name}": value for name, value in arrays.items()}
        save_weights(self.checkpoint, state)

    def load(self) -> tuple[int, float, dict[str, np.ndarray], dict[str, np.ndarray]] | None:
        """What `save` was given last; None before the first checkpoint.

        Raises:
            ValueError: it is damaged, lacks something, or is of a run with other settings.
        """
        if not self.checkpoint.exists():
            return None
        state = load_weights(self.checkpoint)
        missing = [name for name in ("iteration", "seconds", "settings") if name not in state]
        if missing:
            lacks = f"{self.checkpoint} lacks {', '.join(missing)}"
            raise ValueError(f"{lacks}: it was not written by a training run of minidet")
        self._compare(self.checkpoint, json.loads(state["settings"].tobytes()))
        weights, optimizer = (
            {name.removeprefix(part): value for name, value in state.items() if name.startswith(part)}
            for part in ("weights/", "optimizer/")
        )
        return int(state["iteration"]), float(state["seconds"]), weights, optimizer

    def finish(self, weights: Mapping[str, np.ndarray]) -> None:
        """Write `model.npz`: the weights by name, as `minidet.weights.load_weights` reads them."""
        save_weights(self.model, weights)


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name."""
    if not isinstance(settings, dict):
        return {prefix.rstrip("."): settings}
    return {key: value for name in settings for key, value in _flat(settings[name], f"{prefix}{name}.").items()}
