"""What can be said of a wrong result by itself, beside the right one: its kind, shape, order, size, digits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidet.course.check import Check, Exercise
from minidet.course.compare import kind, numbers
from minidet.course.judging import Tried
from minidet.course.wire import Named

NEARLY = 1e-3
"""Relative error below which the formula is right and the digits are not."""


@np.errstate(all="ignore")
def close(expected: Any, got: Any, explanation: Any) -> bool:
    """Whether an explanation gives what came: the same to nine digits, or at least a thousand times nearer to it than
    what is expected is."""
    if isinstance(expected, (list, tuple)) and isinstance(explanation, (list, tuple)):
        if not isinstance(got, (list, tuple)) or not len(expected) == len(got) == len(explanation):
            return False
        return all(close(a, b, c) for a, b, c in zip(expected, got, explanation, strict=True))
    ref, sub, new = numbers(expected), numbers(got), numbers(explanation)
    if sub is None or new is None or sub.shape != new.shape:
        return False
    if sub.dtype.kind in "bi" and new.dtype.kind in "bi":
        return bool(np.array_equal(sub, new))
    sub, new = sub.astype(float), new.astype(float)
    finite = np.isfinite(sub)
    if not np.array_equal(finite, np.isfinite(new)) or not np.array_equal(sub[~finite], new[~finite], equal_nan=True):
        return False
    if not finite.any():
        return True
    away = np.abs(sub - ref)[finite].max() if ref is not None and ref.shape == sub.shape else 0.0
    away = away if np.isfinite(away) else 0.0
    return bool((np.abs(sub[finite] - new[finite]) <= max(1e-3 * away, 1e-9 * np.abs(new[finite]).max())).all())


@np.errstate(all="ignore")
def describe(exercise: Exercise, check: Check, wrong: Sequence[Tried]) -> str:
    """A hint from the results alone; "" where they say nothing."""
    pairs = [(one.expected, one.outcome.value) for one in wrong if not one.outcome.error]
    if check.compares == "type":
        for expected, got in pairs:
            if got is not None and kind(got) != kind(expected):
                return f"{kind(got)} where {kind(expected)} is expected; {check.hint}"
    for say in (_kind, _shape, _rounded, _digits, _not_finite, _order, _turned, _scaled, _moved, _alike, _members):
        if text := say(exercise, check, pairs):
            return text
    return ""


Pairs = list[tuple[Any, Any]]


def _kind(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    for expected, got in pairs:
        many = isinstance(expected, (list, tuple)) and not isinstance(expected, Named)
        if got is None:
            return "nothing is returned: does every path through the function end with a return?"
        if isinstance(got, tuple) and any(part is None for part in got):
            return "a part of the result is None: does every path through the function set it?"
        if many and isinstance(got, np.ndarray):
            return f"{_what(expected)} is expected: yours is a single array of shape {got.shape}"
        if many and isinstance(got, (list, tuple)) and len(got) != len(expected):
            return f"{_what(expected)} is expected: yours has {len(got)}"
        if numbers(got) is None and not isinstance(got, (list, tuple)):
            return f"the result is of the class {kind(got)}: {_what(expected)} is expected"
        if not many and numbers(got) is None:
            return f"{_what(expected)} is expected: yours is a {type(got).__name__} that makes none"
    return ""


def _what(expected: Any) -> str:
    if isinstance(expected, tuple) and hasattr(expected, "_fields"):
        return f"{type(expected).__name__}({', '.join(expected._fields)})"
    if isinstance(expected, (list, tuple)):
        return f"a {type(expected).__name__} of {len(expected)}"
    return f"an array of shape {expected.shape}" if isinstance(expected, np.ndarray) else "a number"


def _parts(pairs: Pairs) -> list[tuple[np.ndarray, np.ndarray]]:
    """All arrays of the results side by side, those in tuples and lists too."""
    found = []
    for expected, got in pairs:
        if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)):
            found += _parts(list(zip(expected, got, strict=False)))
        elif (sub := numbers(got)) is not None and (ref := numbers(expected)) is not None:
            found.append((ref, sub))
    return found


def _shape(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    counts = [(len(expected[0]), len(got[0])) for expected, got in pairs if _rows(expected) and _rows(got)]
    if exercise.order and counts and counts[0][0] != counts[0][1] and not any(_uneven(got) for _, got in pairs):
        return f"{counts[0][1]} rows where {counts[0][0]} are expected. {check.hint[0].upper()}{check.hint[1:]}"
    if any(isinstance(got, list) and isinstance(expected, np.ndarray) for expected, got in pairs):
        return "an array is expected, and yours is a list: a list of no rows does not know how many columns it has"
    for expected, got in pairs:
        if isinstance(expected, tuple) and isinstance(got, tuple) and _uneven(got) and not _uneven(expected):
            return "the parts of the result have different lengths: they belong together, row by row"
    for ref, sub in _parts(pairs):
        if sub.dtype.kind == "b" and ref.dtype.kind == "i":
            return "True and False are returned, a mask: indices are expected"
    for ref, sub in sorted(_parts(pairs), key=lambda part: -part[0].size):
        if ref.shape == sub.shape or (ref.ndim == sub.ndim == 1 and exercise.order):
            continue
        told = f"{sub.shape} where {ref.shape} is expected"
        if ref.ndim == 2 and sub.shape == ref.T.shape and np.allclose(sub, ref.T):
            return f"the values are right, but rows and columns are exchanged: {told}"
        if sub.size == ref.size and np.allclose(sub.ravel(), ref.ravel()):
            return f"the values are right, their shape is not: {told}"
        if sub.ndim < ref.ndim:
            return f"the result has too few axes, {told}: over which axes do you sum, or which one do you leave out?"
        return f"the shape is {told}: look at what each axis stands for, and at what broadcasting does"
    return ""


def _rows(value: Any) -> bool:
    """Whether a value is a tuple of arrays that belong together, row by row."""
    return isinstance(value, tuple) and hasattr(value, "_fields") and all(np.ndim(part) for part in value)


def _uneven(parts: Sequence[Any]) -> bool:
    return len({len(part) for part in parts if isinstance(part, np.ndarray) and part.ndim}) > 1


def _same_shape(pairs: Pairs) -> list[tuple[np.ndarray, np.ndarray]]:
    """The arrays as floating ones, where all have the right shape; otherwise none."""
    parts = _parts(pairs)
    if any(ref.shape != sub.shape for ref, sub in parts):
        return []
    return [(ref.astype(float), sub.astype(float)) for ref, sub in parts]


def _rounded(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    ref, sub = _flat(pairs)
    for decimals in range(5):
        if sub.any() and not np.array_equal(ref, sub) and np.array_equal(ref.round(decimals), sub):
            return f"the result is rounded to {decimals} decimals: nothing is rounded here"
    return ""


def _digits(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    parts = [(ref, sub) for ref, sub in _same_shape(pairs) if not np.array_equal(ref, sub)]
    if not parts:
        return ""
    if not all(np.isfinite(sub).all() and np.isfinite(ref).all() and ref.size for ref, sub in parts):
        return ""
    for ref, sub in parts:
        if (np.abs(sub - ref) > np.maximum(NEARLY * np.abs(ref), 1e-5 * np.abs(ref).max())).any():
            return ""
    with np.errstate(all="ignore"):
        narrow = all(np.array_equal(sub, sub.astype(np.float32)) for _, sub in parts)
    if narrow and any((ref != ref.astype(np.float32)).any() for ref, _ in parts):
        return "right to seven digits: an array on the way is float32, where the input is float64"
    extra = ", a difference quotient" if exercise.name.endswith("_grad") else ""
    return (
        "right to some digits, not to all: is there an epsilon in the formula (+ 1e-6 or the like), a rounded "
        f"constant{extra}, or float32 on the way?"
    )


def _not_finite(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    if any((np.isfinite(ref) & ~np.isfinite(sub)).any() for ref, sub in _same_shape(pairs)):
        if check.extreme:
            return check.hint
        return f"nan or infinity where a number is expected: 0 / 0, the log of 0, exp of a large number. {check.hint}"
    return ""


def _order(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    tables = []
    for pair in pairs:
        parts = _same_shape([pair])
        if not parts or any(ref.ndim == 0 or len(ref) != len(parts[0][0]) for ref, _ in parts):
            return ""
        tables.append([np.concatenate([part[i].reshape(len(part[i]), -1) for part in parts], axis=1) for i in (0, 1)])
    if any(len(ref) < 2 or not np.allclose(_sorted(ref), _sorted(sub)) for ref, sub in tables):
        return ""
    wanted = f": {exercise.order}" if exercise.order else ": in which order are they wanted?"
    return f"the right results in another order{wanted}"


def _sorted(table: np.ndarray) -> np.ndarray:
    return table[np.lexsort(table.T[::-1])]


def _turned(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    parts = _parts(pairs)
    if parts and all(ref.dtype == sub.dtype == bool and np.array_equal(ref, ~sub) for ref, sub in parts):
        return "True and False are the other way round"
    return ""


def _scaled(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    ref, sub = _flat(pairs)
    if check.extreme or len(ref) < 3 or not ref.any() or (sub[ref == 0] != 0).any():
        return ""
    factors = sub[ref != 0] / ref[ref != 0]
    if not np.allclose(factors, factors[0], 1e-9, 0) or abs(factors[0]) < 1e-12:
        return ""
    if np.isclose(factors[0], -1):
        return "the size is right and the sign is not"
    return f"your result is {factors[0]:.6g} times the right one: a factor is missing, or one too many"


def _moved(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    ref, sub = _flat(pairs)
    if check.extreme or len(ref) < 3 or not np.allclose(sub - ref, sub[0] - ref[0], 1e-9, 1e-12):
        return ""
    step = sub[0] - ref[0]
    return f"your result is {abs(step):.6g} too {'large' if step > 0 else 'small'} everywhere"


def _alike(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    large = [(ref, sub) for ref, sub in _same_shape(pairs) if ref.size > 1 and np.ptp(ref)]
    if large and all(sub.any() and not np.ptp(sub) for _, sub in large):
        return "the same number everywhere, where each place has its own: over what do you take a sum, mean or maximum?"
    return ""


def _flat(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """The finite numbers of all results, where all have the right shape."""
    parts = _same_shape(pairs)
    if not parts or any(not np.isfinite(sub).all() or not np.isfinite(ref).all() for ref, sub in parts):
        return np.zeros(0), np.zeros(0)
    ref, sub = (np.concatenate([part[i].ravel() for part in parts]) for i in (0, 1))
    return ref, sub


def _members(exercise: Exercise, check: Check, pairs: Pairs) -> str:
    """What is too much and what is missing, where the results are indices."""
    expected, got = pairs[0] if pairs else (None, None)
    ref, sub = numbers(expected), numbers(got)
    if not exercise.order or ref is None or sub is None or ref.dtype.kind != "i" or ref.ndim != 1 or sub.ndim != 1:
        return ""
    more, less = np.setdiff1d(sub, ref), np.setdiff1d(ref, sub)
    told = []
    for part, one, many in ((more, "should not be", "should not be"), (less, "is missing", "are missing")):
        if len(part):
            listed = ", ".join(f"{index:g}" for index in part[:4]) + (", …" if len(part) > 4 else "")
            where = " in the result" if part is more else ""
            told.append(f"{'index' if len(part) == 1 else 'indices'} {listed} {one if len(part) == 1 else many}{where}")
    return f"{' and '.join(told)}. {check.hint[0].upper()}{check.hint[1:]}" if told else ""
