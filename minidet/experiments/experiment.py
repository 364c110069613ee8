"""What an experiment is: a configuration with a name, found by its name and known by its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from minidet.config import RetinaNetConfig, TrainingConfig

INCIDENTAL = (
    "seed", "workers", "log_every", "checkpoint_every", "evaluate_every", "tensorboard", "winograd",
    "accumulate",
)  # fmt: skip
"""Settings of the training that are no part of an experiment: the seed, and those without influence on the result."""


@dataclass(frozen=True)
class Experiment:
    """A configuration with a name; the seed of a run is no part of it."""

    name: str
    """The table or section it belongs to, a slash, and what is varied: ``1b/gamma=2``."""
    model: RetinaNetConfig
    training: TrainingConfig
    data: Mapping[str, Any]
    """What is trained on: the arguments of `minidet.data.open_dataset`."""
    val: Mapping[str, Any]
    """What the detector is measured on at the end: the arguments of `minidet.data.open_dataset`."""
    backbone: str | None = None
    """Name of the experiment whose trained backbone, of seed 0, this one starts from, or of another origin (see
    `minidet.experiments.backbones`); None for random weights."""

    def changed(
        self,
        name: str,
        *,
        model: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        val: Mapping[str, Any] | None = None,
        both: Mapping[str, Any] | None = None,
    ) -> Experiment:
        """The same experiment under another name with some settings changed.

        Args:
            name: the new name.
            model: settings of the network by dotted name, see `Settings.with_changes`.
            training: settings of the training by dotted name.
            data: arguments of `minidet.data.open_dataset` for the training set.
            val: arguments of `minidet.data.open_dataset` for the validation set.
            both: arguments for the training set and the validation set.

        Returns:
            A new experiment.

        Raises:
            ValueError: a name is no setting, or its value is one that the setting cannot have.
        """
        return replace(
            self,
            name=name,
            model=self.model.with_changes(model or {}, "model"),
            training=self.training.with_changes(training or {}, "training"),
            data={**self.data, **(both or {}), **(data or {})},
            val={**self.val, **(both or {}), **(val or {})},
        )

    def settings(self) -> dict[str, Any]:
        """Everything that the result depends on but the seed, as JSON types; the same for two names of one thing."""
        training = self.training.to_dict()
        for name in INCIDENTAL:
            del training[name]
        content = {
            "model": self.model.to_dict(), "training": training, "data": self.data, "val": self.val,
            "backbone": self.backbone,
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(content))
        return plain

    @cached_property
    def identity(self) -> str:
        """12 hexadecimal digits of a hash of the settings, by which a result is found again."""
        text = json.dumps(_with_float_numbers(self.settings()), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def table(self) -> str:
        """The table, or the group, that the name begins with."""
        return self.name.partition("/")[0]


def canonical(known: Mapping[str, Experiment]) -> dict[str, str]:
    """For every name the first one that means the same configuration, under which it is run."""
    first: dict[str, str] = {}
    return {name: first.setdefault(experiment.identity, name) for name, experiment in known.items()}


def select(
    known: Mapping[str, Experiment], words: Iterable[str], also: Mapping[str, Iterable[str]] | None = None
) -> list[str]:
    """The names that some words mean.

    Args:
        known: the experiments by name.
        words: names, patterns (``1d/ohem-*``) and tables (``1b``); no word means all of them.
        also: rows that a table shows and that are named after another one, as names or patterns by table.

    Returns:
        The names without repetition, in the order of the words and then of ``known``.

    Raises:
        ValueError: a word means none.
    """
    words = list(words) or ["*"]
    chosen: list[str] = []
    for word in words:
        patterns = [word, *(also or {}).get(word, [])]
        matching = [
            name for name, experiment in known.items()
            if experiment.table == word or any(fnmatchcase(name, pattern) for pattern in patterns)
        ]  # fmt: skip
        if not matching:
            tables = ", ".join(dict.fromkeys(experiment.table for experiment in known.values()))
            raise ValueError(f"{word} is no experiment: give a table ({tables}), a name or a pattern; see list")
        chosen += matching
    return list(dict.fromkeys(chosen))


def _with_float_numbers(value: Any) -> Any:
    """The value with 1.0 for 1, so that two ways to write a number are one setting."""
    if isinstance(value, dict):
        return {key: _with_float_numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_float_numbers(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
