"""The results of experiments: one JSON file per run, found again by the settings that it records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.config import RetinaNetConfig, TrainingConfig
from minidet.experiments.definitions import experiments
from minidet.experiments.experiment import Experiment
from minidet.experiments.setting import CLASSIFIER

RESULTS = Path(__file__).parent / "runs"
"""Folder of the committed runs."""
PROVENANCE = ("precision", "backbone", "gpu")
"""What must be the same for all runs in a folder: the precision, the hash of the backbone, whether there is a GPU.

Backbones are compared with those of the same origin and architecture, and of the same seed where every seed has its
own."""
DETECTIONS = "detections_*_results.json"
"""Files in a folder of results that COCO's server takes."""
SETTING = "setting.json"
"""File in a folder of results that says which setting they are of."""


def file_name(name: str, seed: int) -> str:
    """Name of a run's files: of its result, without the extension, and of the folder in which it is trained."""
    return "".join(c if c.isalnum() or c in "-=.," else "_" for c in name) + f"_seed{seed}"


@dataclass(frozen=True)
class Score:
    """A metric, in percent, of all runs of one configuration."""

    values: tuple[float, ...]
    """One per seed."""

    @property
    def n(self) -> int:
        """The number of runs."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean over the runs."""
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """The sample standard deviation; NaN for fewer than two."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else math.nan

    def __str__(self) -> str:
        return f"{self.mean:.1f} ± {self.deviation:.1f} ({self.n})" if self.n > 1 else f"{self.mean:.1f} (1 seed)"


@dataclass(frozen=True)
class Results:
    """All runs in a folder, and which experiment each belongs to."""

    known: Mapping[str, Experiment]
    """The experiments by name."""
    runs: list[dict[str, Any]]
    """Contents of all files."""
    by_identity: Mapping[str, Mapping[int, dict[str, Any]]] = field(repr=False)
    """The runs by seed, by the identity of their configuration."""

    def of(self, name: str) -> dict[int, dict[str, Any]]:
        """The runs of an experiment by seed, in order.

        Raises:
            ValueError: there is no experiment of that name.
        """
        if name not in self.known:
            raise ValueError(f"{name} is no experiment: minidet experiments list shows them")
        runs = self.by_identity.get(self.known[name].identity, {})
        return {seed: runs[seed] for seed in sorted(runs)}

    def score(self, name: str, metric: str = "AP") -> Score | None:
        """A metric of an experiment's runs, in percent; None where it has not been run."""
        values = tuple(100 * run["metrics"][metric] for run in self.of(name).values())
        return Score(values) if values else None

    def diverged(self, name: str) -> int:
        """How many of an experiment's runs ended with a loss that was not finite."""
        return sum(run["diverged_at"] is not None for run in self.of(name).values())

    @property
    def used(self) -> list[dict[str, Any]]:
        """The runs that belong to an experiment as it is defined today."""
        wanted = {experiment.identity for experiment in self.known.values()}
        return [run for identity, runs in self.by_identity.items() if identity in wanted for run in runs.values()]


def load_results(folder: Path = RESULTS, known: Mapping[str, Experiment] | None = None) -> Results:
    """Read a folder of runs.

    Args:
        folder: where the JSON files are; one that does not exist holds none.
        known: the experiments by name; None for all.

    Returns:
        The runs and what they belong to.

    Raises:
        ValueError: a file is damaged, or the runs of experiments cannot be compared (see PROVENANCE).
    """
    runs = {path: _read(path) for path in sorted(folder.glob("*_seed*.json")) if not path.match(DETECTIONS)}
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for run in runs.values():
        found.setdefault(recorded(run).identity, {})[run["seed"]] = run
    results = Results(experiments() if known is None else known, list(runs.values()), found)
    used = {id(run) for run in results.used}
    _check_provenance({path: run for path, run in runs.items() if id(run) in used and run["config"].get("backbone")})
    return results


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation, equal values having the mean of their ranks; NaN if all x or all y are equal."""
    a, b = (_ranks(np.asarray(values, np.float64)) for values in (x, y))
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else float("nan")


def recorded(run: Mapping[str, Any]) -> Experiment:
    """The experiment that a run was; settings that are newer than the run have their defaults.

    The precision is the one in which it was trained.
    """
    config = run["config"]
    config = {**config, "training": {**config["training"], "precision": run["precision"]}}
    return Experiment(
        run["name"], RetinaNetConfig.from_dict(config["model"]), TrainingConfig.from_dict(config["training"]),
        config["data"], config["val"], config.get("backbone"),
    )  # fmt: skip


def _check_provenance(runs: Mapping[Path, Mapping[str, Any]]) -> None:
    """ValueError if two runs differ in something that must not differ between runs that are compared."""
    for key in PROVENANCE:
        groups: dict[Any, dict[Any, Path]] = {}
        for path, run in runs.items():
            group = _origin(run) if key == "backbone" else None
            groups.setdefault(group, {}).setdefault(run.get(key), path)
        for kinds in groups.values():
            if len(kinds) > 1:
                (one, first), (other, second) = list(kinds.items())[:2]
                raise ValueError(
                    f"{first} has {key} {one} and {second.name} has {other}: they cannot be compared; move the runs of "
                    "one kind to another folder"
                )


def _origin(run: Mapping[str, Any]) -> tuple[Any, ...]:
    """Runs of which this is the same start from the same backbone."""
    model, origin = run["config"]["model"], run["config"]["backbone"]
    seed = run["seed"] if origin == CLASSIFIER else None
    return origin, seed, *(model.get(name) for name in ("depth", "groups", "width_per_group", "width"))


def _read(path: Path) -> dict[str, Any]:
    try:
        run: dict[str, Any] = json.loads(path.read_bytes())
        recorded(run)
        if missing := [key for key in ("seed", "precision", "diverged_at", "metrics") if key not in run]:
            raise KeyError(*missing)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is no result of an experiment ({error!r}): if a newer minidet wrote it, use that; else delete it "
            "and run it again"
        ) from error
    return run


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
