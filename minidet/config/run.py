"""What a training run was begun with, as its config.json keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from minidet import checks
from minidet.config.detector import RetinaNetConfig
from minidet.config.settings import Settings, nested
from minidet.config.training import TrainingConfig
from minidet.structures import Categories

PATHS = ("reference", "compiled", "pytorch")
"""What a run can be trained with."""


@dataclass(frozen=True)
class RunSettings(Settings):
    """Everything that a run was begun with: its data, its classes, the detector and the training."""

    data: dict[str, Any] | None = None
    """The data set to train on, as the arguments of ``minidet.data.open_dataset``; None when Python code gave it."""
    val: dict[str, Any] | None = None
    """The data set to evaluate on, likewise; None when there is none."""
    classes: tuple[str, ...] = ()
    """The names of the classes in the order of the network's outputs; empty when nobody gave names."""
    category_ids: tuple[int, ...] | None = None
    """The number of each class in the data's own files (COCO's category ids); None for 1 … K."""
    backbone_weights: str | None = None
    """The file of ImageNet weights that the backbone began with, or None."""
    weights: str | None = None
    """The run, or the file of a detector, that was started from, or None."""
    model: RetinaNetConfig = RetinaNetConfig()  # noqa: RUF009  it is frozen
    """The detector."""
    training: TrainingConfig = TrainingConfig()  # noqa: RUF009  it is frozen
    """How it is trained."""
    path: str = "pytorch"
    """The path that trains it, one of PATHS."""

    def __post_init__(self) -> None:
        for name in ("data", "val"):
            source = getattr(self, name)
            if source is not None and not (isinstance(source, dict) and isinstance(source.get("source"), str)):
                raise ValueError(f"{name} = {source!r} must be the arguments of open_dataset, with a source, or None")
        for name, kind in nested(RunSettings).items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} = {getattr(self, name)!r} must be of class {kind.__name__}")
        checks.choice("path", self.path, PATHS)
        if isinstance(self.classes, str) or not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes = {self.classes!r} must be a list of names")
        object.__setattr__(self, "classes", tuple(self.classes))
        ids = range(1, len(self.classes) + 1) if self.category_ids is None else self.category_ids
        ids = tuple(checks.integer(f"category_ids[{i}]", value) for i, value in enumerate(ids))
        object.__setattr__(self, "category_ids", ids)
        if len(ids) != len(self.classes) or len(set(ids)) != len(ids):
            raise ValueError(f"category_ids = {list(ids)} must be {len(self.classes)} different numbers, one per class")

    @property
    def categories(self) -> Categories:
        """Name and number of every class of the network; a class without a name is called by its index."""
        names, ids = list(self.classes), list(self.category_ids or ())
        for k in range(len(names), self.model.num_classes):
            names.append(f"class {k}")
            ids.append(max(ids, default=0) + 1)
        return Categories(tuple(names), tuple(ids))

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> RunSettings:
        """The settings with some of them changed.

        Args:
            changes: by section (one of SECTIONS), then by dotted name, as `setting_changes` reads them.

        Returns:
            The changed settings.

        Raises:
            ValueError: a name is no setting, a value is not allowed, or the run has no such section (no data, no val).
        """
        parts: dict[str, Any] = {
            name: getattr(self, name).with_changes(changes.get(name, {}), name) for name in ("model", "training")
        }
        for name in ("data", "val"):
            if changes.get(name):
                if getattr(self, name) is None:
                    raise ValueError(f"{name}.{next(iter(changes[name]))} cannot be set: this run has no {name}")
                parts[name] = {**getattr(self, name), **changes[name]}
        return replace(self, **parts)
