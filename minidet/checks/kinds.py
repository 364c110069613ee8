"""What is not a number: true or false, one of a few words, a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np


def flag(name: str, value: Any) -> bool:
    """True or false, and nothing that Python takes for one of them, such as the word "no"."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} = {value!r} must be true or false")
    return bool(value)


def choice(name: str, value: Any, allowed: Sequence[str | int | None]) -> None:
    """One of a few words or numbers."""
    if isinstance(value, bool) or not isinstance(value, (str, int, type(None))) or value not in allowed:
        raise ValueError(f"{name} = {value!r} must be one of {', '.join(map(repr, allowed))}")


def sequence(name: str, value: Any) -> tuple[Any, ...]:
    """A list, a tuple or another thing whose elements have an order, but no text."""
    try:
        if isinstance(value, (str, bytes, Mapping, Set)):
            raise TypeError
        return tuple(value)
    except TypeError:
        raise ValueError(f"{name} = {value!r} must be a list or a tuple") from None
