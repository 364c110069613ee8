"""Results beside what is expected: what differs, and how both are shown."""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from minidet.course.check import Case, Function
from minidet.course.wire import Other

NARROW = 1e-4
"""Largest relative error of a float32 result: four digits."""
DIGITS = (6, 9, 17)


def difference(expected: Any, got: Any, rtol: float, atol: float) -> str:
    """What is wrong with a result, in a few words; "" where it is right. NaN equals NaN."""
    if isinstance(expected, (list, tuple)) and not _is_table(expected):
        if not isinstance(got, (list, tuple)):
            return f"{kind(got)} where {len(expected)} things are expected"
        if len(expected) != len(got):
            return f"{len(got)} things where {len(expected)} are expected"
        parts = (difference(a, b, rtol, atol) for a, b in zip(expected, got, strict=True))
        return next((f"in [{i}]: {part}" for i, part in enumerate(parts) if part), "")
    if got is None and expected is not None:
        return "nothing was returned"
    if not isinstance(expected, (np.ndarray, np.generic, int, float, list, tuple)):
        return ""
    a, b = np.asarray(expected), numbers(got)
    if b is None:
        return f"{kind(got)}, not an array of numbers"
    if a.shape != b.shape:
        return f"shape {b.shape} where {a.shape} is expected"
    if a.dtype.kind == "f":
        narrow = a.dtype.itemsize < 8 or (b.dtype.kind == "f" and b.dtype.itemsize < 8)
        rtol, atol = (max(rtol, NARROW), max(atol, 1e-3 if atol else 0)) if narrow and rtol else (rtol, atol)
        with np.errstate(all="ignore"):
            wrong = ~np.isclose(b, a, rtol, atol, equal_nan=True)
    else:
        wrong = np.asarray(a != b)
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    if not place:
        return "another number"
    return f"{int(wrong.sum())} of {wrong.size} wrong, first [{', '.join(map(str, place))}]"


def numbers(value: Any) -> np.ndarray | None:
    """A value as an array of numbers, or None where it is something else."""
    if isinstance(value, (Other, str, type(None))):
        return None
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, OverflowError):  # a list of lists of different lengths
        return None
    return array if array.dtype.kind in "fiub" else None


def _is_table(value: Any) -> bool:
    """A list of plain numbers, or of lists of them."""
    return bool(value) and all(
        isinstance(v, (int, float)) or (isinstance(v, (list, tuple)) and _is_table(v)) for v in value
    )


def kind(value: Any) -> str:
    """The class and dtype of a result."""
    if isinstance(value, Other):
        return value.type
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{getattr(value, 'title', type(value).__name__)} of {', '.join(map(kind, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {', '.join(dict.fromkeys(map(kind, value)))}"
    if isinstance(value, (np.ndarray, np.generic)):
        return f"{value.dtype} {'array' if np.ndim(value) else 'number'}"
    return "float64 number" if isinstance(value, float) else type(value).__name__


def show_both(expected: Any, got: Any) -> tuple[str, str]:
    """Two values in short, with as many digits as it takes to see a difference, or with the place where it is."""
    for digits in DIGITS:
        texts = show(expected, digits=digits), show(got, digits=digits)
        if texts[0] != texts[1]:
            return texts
    short = show(expected, 120), show(got, 120)
    return f"{short[0]}{_apart(expected, got)}", f"{short[1]}{_apart(got, expected)}"


def _apart(value: Any, other: Any) -> str:
    """Where a value begins to differ from another one, and what stands there."""
    if isinstance(value, (list, tuple)) and isinstance(other, (list, tuple)):
        pairs = enumerate(zip(value, other, strict=False))
        parts = (f", in [{i}]{_apart(a, b)}" for i, (a, b) in pairs if _apart(a, b))
        return next(parts, f", {len(value)} things" if len(value) != len(other) else "")
    a, b = numbers(value), numbers(other)
    if a is None or b is None:
        return ""
    if a.shape != b.shape:
        return f", shape {a.shape}"
    wrong = np.argwhere(~((a == b) | ((a != a) & (b != b))))
    return f", at {wrong[0].tolist()} {a[tuple(wrong[0])]!r}" if len(wrong) else ""


def show(value: Any, limit: int = 240, digits: int = DIGITS[0]) -> str:
    """A value in short."""
    if isinstance(value, (np.ndarray, np.generic)):
        text = np.array2string(
            np.asarray(value), separator=", ", precision=digits, threshold=24, edgeitems=2, max_line_width=10**6
        )
        text = " ".join(text.split()) if np.size(value) else f"an empty array of shape {value.shape}"
    elif isinstance(value, Other):
        text = value.text
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = (f"{name}={show(part, digits=digits)}" for name, part in zip(value._fields, value, strict=False))
        text = f"{getattr(value, 'title', type(value).__name__)}({', '.join(parts)})"
    elif isinstance(value, (list, tuple)):
        inner = ", ".join(show(part, digits=digits) for part in value[:40])
        text = f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
    elif is_dataclass(value):  # what differs from the defaults
        changed = (one for one in fields(value) if getattr(value, one.name) != one.default)
        inner = ", ".join(f"{one.name}={getattr(value, one.name)!r}" for one in changed)
        text = f"{type(value).__name__}({inner})"
    elif isinstance(value, type):
        text = value.__name__
    elif isinstance(value, float):
        text = f"{value:.{digits}g}"
    else:
        text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def show_call(function: Function, one: Case) -> str:
    """A call with its arguments by name; where one is not in float64, arrays are shown as such, each with its type."""
    names = list(inspect.signature(function).parameters)
    given = [*zip(names, one.args, strict=False), *one.kwargs.items()]
    shown = _as_array if any(_is_narrow(value) for _, value in given) else show
    return f"{function.__name__}({', '.join(f'{name}={shown(value)}' for name, value in given)})"


def _is_narrow(value: Any) -> bool:
    """Whether an argument is an array of another floating type than float64, or a list of such."""
    if isinstance(value, list):
        return any(map(_is_narrow, value))
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.dtype != np.float64


def _as_array(value: Any) -> str:
    """An argument as it can be pasted, so that a function gets the type that it got from the grader."""
    if isinstance(value, list):
        return f"[{', '.join(map(_as_array, value))}]"
    if not isinstance(value, np.ndarray):
        return show(value)
    inner = show(value) if value.size else f"np.zeros({value.shape}, {value.dtype.str!r})"
    return f"np.{value.dtype}({inner})" if _is_narrow(value) else f"np.array({inner})"
