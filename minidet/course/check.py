"""How a function is judged: inputs from small to large, the reference's answer, and a hint that fits the mistake.

An exercise is a function of the reference with checks. A check has a few inputs; the function must do on all of them as
the reference does, and the first on which it does not is shown. What the function returned is then compared with what
known mistakes return: one that agrees on every input of the check gives its hint, otherwise the check's own hint says
where to look.
"""

from __future__ import annotations

import copy
import inspect
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def case(*args: Any, **kwargs: Any) -> Case:
    return Case(args, kwargs)


@dataclass(frozen=True)
class Check:
    """One property of a function."""

    name: str
    """What is looked at, in a few words."""
    hint: str
    """Where to look when it fails and no known mistake fits."""
    cases: Callable[[np.random.Generator], Iterable[Case]]
    """The inputs, smallest first."""
    compares: str = "values"
    """"values"; "type": the class and dtype of the result alone; "input": that the arguments are left as they were."""
    essential: bool = False
    """Without it, the function earns nothing."""


@dataclass(frozen=True)
class Mistake:
    """A known wrong solution, for its hint."""

    hint: str
    function: Function


@dataclass(frozen=True)
class Exercise:
    """A function to write."""

    reference: Function
    points: float
    checks: tuple[Check, ...]
    mistakes: tuple[Mistake, ...] = ()
    example: str = ""
    """A call to try in the notebook, as source, where the module is called `my`."""
    rtol: float = 1e-9
    """Largest relative error of a float64 result; that of a float32 result is 1e-5."""
    atol: float = 1e-9
    """Largest absolute error, for numbers such as coordinates that come from differences; 0 for losses."""

    @property
    def name(self) -> str:
        return self.reference.__name__

    def with_defaults(self, defaults: Mapping[str, Any]) -> Function:
        """The reference with other default arguments, see `minidet.course.assignments.variant_defaults`."""
        signature = inspect.signature(self.reference)
        floats = [name for name, one in signature.parameters.items() if isinstance(one.default, float)]
        own = {name: value for name, value in defaults.items() if name in floats}

        def reference(*args: Any, **kwargs: Any) -> Any:
            given = signature.bind(*args, **kwargs).arguments
            return self.reference(**{**own, **given})

        return reference if own else self.reference


@dataclass(frozen=True)
class Failure:
    """Why a check failed, as text."""

    call: str
    expected: str
    got: str
    hint: str
    final: bool = False
    """The function's other checks would end the same way."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class NotWritten(Exception):
    """The function is still a stub."""


class TooSlow(BaseException):
    """Raised in the midst of a call by whoever limits its time; no `except Exception` of a submission catches it."""


def run_check(
    exercise: Exercise, check: Check, function: Function, seed: int = 0, defaults: Mapping[str, Any] | None = None
) -> Failure | None:
    """One check of a function; None where it passes.

    Raises:
        NotWritten: the function raises NotImplementedError.
    """
    reference = exercise.with_defaults(defaults or {})
    first: tuple[Case, Any, _Outcome, str] | None = None
    seen: list[tuple[Case, _Outcome]] = []
    for one in check.cases(np.random.default_rng(seed)):
        expected = reference(*copy.deepcopy(one.args), **one.kwargs)
        outcome, problem = _judge(exercise, check, function, one, expected)
        seen.append((one, outcome))
        if problem and first is None:
            first = (one, expected, outcome, problem)
        if outcome.kind == "TooSlow":
            break
    if first is None:
        return None
    one, expected, outcome, problem = first
    wanted = "the arguments as they were" if check.compares == "input" else show(expected)
    if check.compares == "type":
        wanted += f" ({_kind(expected)})"
    hint = _diagnose(exercise, check, seen, outcome) or check.hint
    return Failure(show_call(exercise.reference, one), wanted, problem, hint, outcome.kind == "TooSlow")


@dataclass(frozen=True)
class _Outcome:
    """What a call returned, or raised."""

    value: Any = None
    error: str = ""
    kind: str = ""


def _judge(exercise: Exercise, check: Check, function: Function, one: Case, expected: Any) -> tuple[_Outcome, str]:
    """The outcome of one call, and what is wrong with it ("": nothing)."""
    args = copy.deepcopy(one.args)
    outcome = _call(function, args, dict(one.kwargs))
    if outcome.error:
        return outcome, outcome.error
    if check.compares == "input":
        changed = [
            name
            for name, before, after in zip(
                inspect.signature(exercise.reference).parameters, one.args, args, strict=False
            )
            if difference(before, after, 0, 0)
        ]
        return outcome, f"{' and '.join(changed)} changed by the call" if changed else ""
    if check.compares == "type":
        kind = _kind(outcome.value)
        return outcome, f"{show(outcome.value)} ({kind})" if kind != _kind(expected) else ""
    wrong = difference(expected, outcome.value, exercise.rtol, exercise.atol)
    return outcome, f"{show(outcome.value)}{f' ({wrong})' if wrong else ''}" if wrong else ""


def _call(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Outcome:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return _Outcome(function(*args, **kwargs))
        except NotImplementedError as error:
            raise NotWritten from error
        except MemoryError as error:
            return _Outcome(error=f"ran out of memory: {error}", kind="MemoryError")
        except TooSlow as error:
            return _Outcome(error=str(error), kind="TooSlow")
        except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a submission raises is its result
            return _Outcome(error=describe_error(error, function), kind=type(error).__name__)


def describe_error(error: BaseException, function: Function | None = None) -> str:
    """An exception in one line, with the line of the submission that it came from."""
    text = " ".join(str(error).split())[:200]
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SystemExit):
        told = f"sys.exit({error.code!r}) was called"
    file = inspect.getsourcefile(function) if inspect.isfunction(function) else None
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{told} (line {places[-1].lineno}: {places[-1].line})" if places and places[-1].line else told


def _diagnose(exercise: Exercise, check: Check, seen: list[tuple[Case, _Outcome]], first: _Outcome) -> str:
    """The hint of the first known mistake that does the same on every input of the check."""
    if first.kind == "MemoryError":
        return "an array here is far too large: look at the shapes that broadcasting makes"
    if first.kind == "SystemExit":
        return "a function returns its result; remove the call of exit"
    if first.kind == "TooSlow":
        return "a loop that never ends, or far too much work for so small an input: does every loop come to an end?"
    if first.error or check.compares != "values" or _holds_nan(first.value):
        return ""
    for mistake in exercise.mistakes:
        if all(_agrees(exercise, mistake.function, one, outcome) for one, outcome in seen):
            return mistake.hint
    return ""


def _holds_nan(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_holds_nan, value))
    return (
        isinstance(value, (np.ndarray, np.floating, float))
        and np.asarray(value).dtype.kind == "f"
        and bool(np.isnan(value).any())
    )


def _agrees(exercise: Exercise, wrong: Function, one: Case, outcome: _Outcome) -> bool:
    same = _call(wrong, copy.deepcopy(one.args), dict(one.kwargs))
    if same.error or outcome.error:
        return bool(same.error and outcome.error) and same.kind == outcome.kind
    return not difference(same.value, outcome.value, max(exercise.rtol, 1e-6), exercise.atol)


def difference(expected: Any, got: Any, rtol: float, atol: float) -> str:
    """What is wrong with a result, in a few words; "" where it is right. NaN equals NaN."""
    if isinstance(expected, (list, tuple)) and not _is_table(expected):
        if not isinstance(got, (list, tuple)):
            return f"{type(got).__name__} where {len(expected)} things are wanted"
        if len(expected) != len(got):
            return f"{len(got)} things where {len(expected)} are wanted"
        parts = (difference(a, b, rtol, atol) for a, b in zip(expected, got, strict=True))
        return next((f"in [{i}]: {part}" for i, part in enumerate(parts) if part), "")
    if got is None and expected is not None:
        return "nothing was returned"
    if not isinstance(expected, (np.ndarray, np.generic, int, float, list, tuple)):
        return ""
    try:
        a, b = np.asarray(expected), np.asarray(got)
        numbers = b.dtype.kind in "fiub"
    except ValueError:  # a list of lists of different lengths
        numbers = False
    if not numbers:
        return f"{type(got).__name__}, not an array of numbers"
    if a.shape != b.shape:
        return f"shape {b.shape} where {a.shape} is wanted"
    if a.dtype.kind == "f":
        narrow = a.dtype.itemsize < 8 or (b.dtype.kind == "f" and b.dtype.itemsize < 8)
        rtol, atol = (max(rtol, 1e-5), max(atol, 1e-4 if atol else 0)) if narrow and rtol else (rtol, atol)
        wrong = ~np.isclose(b, a, rtol, atol, equal_nan=True)
    else:
        wrong = a != b
    if not wrong.any():
        return ""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    if not place:
        return "another number"
    return f"{int(wrong.sum())} of {wrong.size} wrong, first [{', '.join(map(str, place))}]"


def _is_table(value: Any) -> bool:
    """A list of plain numbers, or of lists of them."""
    return bool(value) and all(
        isinstance(v, (int, float)) or (isinstance(v, (list, tuple)) and _is_table(v)) for v in value
    )


def _kind(value: Any) -> str:
    """The class and dtype of a result."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{type(value).__name__} of {', '.join(map(_kind, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {', '.join(dict.fromkeys(map(_kind, value)))}"
    if isinstance(value, (np.ndarray, np.generic)):
        shape = "array" if np.ndim(value) else "number"
        return f"{value.dtype} {shape}"
    return "float64 number" if isinstance(value, float) else type(value).__name__


def show(value: Any, limit: int = 240) -> str:
    """A value in short."""
    if isinstance(value, (np.ndarray, np.generic)):
        text = np.array2string(
            np.asarray(value), separator=", ", precision=6, threshold=24, edgeitems=2, max_line_width=10**6
        )
        text = " ".join(text.split()) if np.size(value) else f"an empty array of shape {value.shape}"
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = (f"{name}={show(part)}" for name, part in zip(value._fields, value, strict=True))
        text = f"{type(value).__name__}({', '.join(parts)})"
    elif isinstance(value, (list, tuple)):
        inner = ", ".join(map(show, value))
        text = f"[{inner}]" if isinstance(value, list) else f"({inner})"
    elif is_dataclass(value):  # what differs from the defaults
        parts = (
            f"{one.name}={getattr(value, one.name)!r}"
            for one in fields(value)
            if getattr(value, one.name) != one.default
        )
        text = f"{type(value).__name__}({', '.join(parts)})"
    else:
        text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def show_call(function: Function, one: Case) -> str:
    """A call with its arguments by name."""
    names = list(inspect.signature(function).parameters)
    given = [f"{name}={show(value)}" for name, value in zip(names, one.args, strict=False)]
    given += [f"{name}={show(value)}" for name, value in one.kwargs.items()]
    return f"{function.__name__}({', '.join(given)})"
