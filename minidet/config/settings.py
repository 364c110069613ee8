"""What all configurations share: their types are checked, they become dicts and come back, and some can be changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from decimal import Decimal
from numbers import Real
from typing import Any, Self

from minidet import checks
from minidet.wording import did_you_mean

SECTIONS = ("model", "training", "data", "val")
"""The parts of a run that ``SECTION.FIELD=VALUE`` can change."""


@dataclass(frozen=True)
class Settings:
    """A configuration: a frozen dataclass that checks its fields when it is made.

    A field is compared with its default: where that is true or false the value must be, where that is a tuple the value
    becomes one, where that is a configuration the value must be of its class. What is left to check, such as the range
    of a number, is checked by each configuration, after these.
    """

    def __post_init__(self) -> None:
        for field in fields(self):
            value = _plain(getattr(self, field.name))
            if isinstance(field.default, bool):
                value = checks.flag(field.name, value)
            elif isinstance(field.default, tuple):
                value = tuple(map(_plain, checks.sequence(field.name, value)))
            elif isinstance(field.default, Settings) and not isinstance(value, type(field.default)):
                raise ValueError(f"{field.name} = {value!r} must be of class {type(field.default).__name__}")
            object.__setattr__(self, field.name, value)

    def to_dict(self) -> dict[str, Any]:
        """Every setting as plain JSON types, nested like the configuration; `from_dict` is the inverse."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """The configuration that `to_dict` wrote.

        Args:
            settings: values by name, those of a nested configuration as a dict of their own; a missing one has its
                default.

        Raises:
            ValueError: a name is not a setting or has no default and is missing, or a value is refused.
        """
        unknown = _unknown(cls, settings)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}; correct or remove them")
        needed = [field.name for field in fields(cls) if field.default is field.default_factory is MISSING]
        missing = [name for name in needed if name not in settings]
        if missing:
            raise ValueError(f"settings lack {', '.join(missing)}: give a value for each")
        return cls(**{**settings, **_parts(cls, settings)})

    def with_changes(self, changes: Mapping[str, Any], section: str = "") -> Self:
        """The configuration with some settings changed, all at once.

        >>> from minidet.config import RetinaNetConfig
        >>> RetinaNetConfig().with_changes({"depth": 18, "anchors.scales": [1, 1.5]}).anchors.scales
        (1, 1.5)

        Args:
            changes: values, as JSON types, by dotted name.
            section: one of SECTIONS, where the changes are those of a run: a message then names it too.

        Raises:
            ValueError: a name is not a setting (the message has the nearest one, then lists those that are), or the
                setting cannot have the value.
        """
        if not changes:
            return self
        settings = self.to_dict()
        prefix = f"{section}." if section else ""
        for name, value in changes.items():
            within: Any = settings
            *outer, field = name.split(".")
            for part in outer:
                within = within.get(part) if isinstance(within, dict) else None
            if not isinstance(within, dict) or field not in within:
                known = within if isinstance(within, dict) else settings
                told = did_you_mean(name, _dotted(settings), f"there are {', '.join(known)}", prefix)
                raise ValueError(f"{prefix}{name} is not a setting: {told}")
            within[field] = value
        return self.from_dict(settings)


def setting_changes(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read changes of settings that are written ``SECTION.FIELD=VALUE``.

    >>> setting_changes(["training.iterations=500", "model.anchors.scales=[1]"])["model"]
    {'anchors.scales': [1]}

    Args:
        texts: one change each; VALUE is JSON, or else a plain word.

    Returns:
        The values by section, one of SECTIONS, and by dotted name; a section without changes is empty.

    Raises:
        ValueError: a text is of another form.
    """
    changes: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, field = name.partition(".")
        if not (equals and dot and field) or section not in changes:
            form = f"give SECTION.FIELD=VALUE, SECTION being one of {', '.join(changes)}"
            raise ValueError(f"--set {text}: {did_you_mean(section, changes, form) if equals and dot else form}")
        try:
            changes[section][field] = json.loads(value)
        except json.JSONDecodeError:
            changes[section][field] = value
    return changes


def nested(config: type[Settings]) -> dict[str, type[Settings]]:
    """The fields of a configuration that are configurations themselves, and their classes."""
    return {field.name: type(field.default) for field in fields(config) if isinstance(field.default, Settings)}


def _parts(config: type[Settings], settings: Mapping[str, Any]) -> dict[str, Settings]:
    """The nested configurations among the settings; what one of them is told says where it stands."""
    parts = {}
    for name, kind in nested(config).items():
        if name in settings:
            try:
                parts[name] = kind.from_dict(settings[name])
            except ValueError as error:
                raise ValueError(f"{name}.{error}") from error
    return parts


def _dotted(settings: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The names of all settings as changes name them, those of nested configurations too."""
    names = []
    for name, value in settings.items():
        names.append(f"{prefix}{name}")
        names += _dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else []
    return names


def _unknown(config: type[Settings], settings: Any, prefix: str = "") -> list[str]:
    """The keys, dotted, that no field of the configuration has."""
    if not isinstance(settings, Mapping):
        raise ValueError(f"{prefix.rstrip('.') or 'settings'} = {settings!r} must be a dict of settings")
    known = {field.name for field in fields(config)}
    unknown = [f"{prefix}{key}" for key in settings if key not in known]
    for name, kind in nested(config).items():
        unknown += _unknown(kind, settings.get(name, {}), f"{prefix}{name}.")
    return unknown


def _plain(value: Any) -> Any:
    """A number or an array of another library as one of Python's, which JSON can hold."""
    if hasattr(value, "tolist") and not isinstance(value, type):  # of NumPy or PyTorch
        return value.tolist()
    return float(value) if isinstance(value, (Real, Decimal)) and not isinstance(value, (int, float)) else value
