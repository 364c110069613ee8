"""What the configurations share: dicts and back, and a change of some settings by dotted name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, Self, cast


class Settings:
    """What RetinaNetConfig and TrainingConfig, whose fields may be configurations themselves, share: dicts and back."""

    def to_dict(self) -> dict[str, Any]:
        """Every setting as plain JSON types, nested like the configuration; ``from_dict`` is the inverse."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(cast(Any, self))))
        return plain

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """The configuration that ``to_dict`` wrote; a missing key has its default, an unknown one is a ValueError."""
        unknown = _unknown_keys(cls, settings)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}; correct or remove them")
        parts = {name: kind(**settings[name]) for name, kind in nested(cls).items() if name in settings}
        return cls(**{**settings, **parts})

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """The configuration with some settings changed, by dotted name, all at once.

        >>> RetinaNetConfig().with_changes({"depth": 18, "prior": 0.1, "anchors.scales": [1, 1.5]})

        Values are JSON types. Raises ValueError for a name that is not a setting, listing those that are, and for a
        value that the setting cannot have.
        """
        settings = self.to_dict()
        for name, value in changes.items():
            section: Any = settings
            *outer, field = name.split(".")
            for part in outer:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or field not in section:
                known = section if isinstance(section, dict) else settings
                raise ValueError(f"{name} is not a setting: there are {', '.join(known)}")
            for kind, wanted in ((bool, "true or false"), (list, "a list"), (dict, "one of its settings, by name")):
                if isinstance(section[field], kind) and not isinstance(value, kind):
                    raise ValueError(f"{name} = {value!r} must be {wanted}")
            section[field] = value
        return self.from_dict(settings)


def nested(config: Any) -> dict[str, type]:
    """The fields of a configuration that are configurations themselves, and their classes."""
    return {field.name: type(field.default) for field in fields(config) if is_dataclass(field.default)}


def _unknown_keys(config: type, settings: Any, prefix: str = "") -> list[str]:
    """The keys, dotted, that no field of the configuration has."""
    if not isinstance(settings, dict):
        raise ValueError(f"{prefix.rstrip('.') or 'settings'} = {settings!r} must be a dict of settings")
    known: set[str] = {field.name for field in fields(config)}
    unknown = [f"{prefix}{key}" for key in settings if key not in known]
    for name, kind in nested(config).items():
        unknown += _unknown_keys(kind, settings.get(name, {}), f"{prefix}{name}.")
    return unknown
