"""Grading the functions of a module that is already imported, without any limits; `runner` sets the limits."""

from __future__ import annotations

import contextlib
import copy
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any

from minidet.course.assignments import Assignment, Speed, speed_share, variant_defaults
from minidet.course.check import Case, Check, Exercise, Failure, Function, NotWritten, run_check

REPEATS = 7
"""Pairs of timed calls."""
NOT_WRITTEN = "not written yet"

Guard = Callable[[], AbstractContextManager[None]]


@dataclass
class Row:
    """How far one function came."""

    name: str
    passed: list[str] = field(default_factory=list)
    """The checks that passed."""
    failed: dict[str, Failure | None] = field(default_factory=dict)
    """The checks that did not, and why; None: not tried, because of an earlier failure."""
    share: float = 0.0
    """Of the points, 0 to 1."""
    remark: str = ""
    """What is to be told of the function besides its checks."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Row:
        failed = {name: Failure(**one) if one else None for name, one in content["failed"].items()}
        return cls(**{**content, "failed": failed})

    @property
    def first_failure(self) -> Failure | None:
        return next((failure for failure in self.failed.values() if failure), None)


def grade_module(
    module: ModuleType, assignment: Assignment, rows: Iterable[str] | None = None, wrong: Iterable[str] = (), *,
    seed: int = 0, variant: int = 0, timed: bool = True, guard: Guard = contextlib.nullcontext,
    begin: Callable[[str], None] = lambda check: None,
) -> Iterator[Row]:  # fmt: skip
    """Grade functions of a module, one row after the other.

    A function that fails is replaced by the reference before the next one is graded, so that a mistake costs the points
    of its own function and not of those that call it. The module is left as it came.

    Args:
        module: the submission.
        assignment: what to grade.
        rows: which rows, by default all.
        wrong: functions of which it is already known that they fail.
        seed, variant: of the inputs, and of the default arguments.
        timed: whether the speed is measured; otherwise the row is left out.
        guard: entered around each check.
        begin: told the name of each check before it runs.
    """
    names = list(assignment.rows if rows is None else rows)
    own = dict(vars(module))
    try:
        for name in wrong:
            setattr(module, name, assignment.exercise(name).reference)
        for name in names:
            if assignment.speed and name == assignment.speed.name:
                if timed:
                    right = assignment.speed.function not in wrong
                    yield _grade_speed(assignment, assignment.speed, own, right, seed, guard, begin)
                continue
            exercise = assignment.exercise(name)
            row = _grade_function(exercise, own.get(name), seed, variant, guard, begin)
            if row.share < 1:
                wrong = [*wrong, name]
                setattr(module, name, exercise.reference)
            yield row
    finally:
        vars(module).update({name: own[name] for name in vars(module).keys() & own})
        for name in vars(module).keys() - own:
            delattr(module, name)


def score(exercise: Exercise, row: Row) -> float:
    """The share of the points: none without the essential checks, otherwise that of the checks that passed."""
    if any(check.essential and check.name not in row.passed for check in exercise.checks):
        return 0.0
    return len(row.passed) / len(exercise.checks)


def _grade_function(
    exercise: Exercise, function: Function | None, seed: int, variant: int, guard: Guard, begin: Callable[[str], None]
) -> Row:
    row = Row(exercise.name)
    if not callable(function):
        return _not_tried(row, exercise.checks, f"the module has no function {exercise.name}")
    defaults = variant_defaults(variant)
    for check in exercise.checks:
        begin(check.name)
        try:
            with guard():
                failure = run_check(exercise, check, function, seed, defaults)
        except NotWritten:
            return _not_tried(row, exercise.checks, NOT_WRITTEN)
        if failure:
            row.failed[check.name] = failure
        else:
            row.passed.append(check.name)
        if failure and failure.final:
            _not_tried(row, exercise.checks, "")
            break
    row.share = score(exercise, row)
    return row


def _not_tried(row: Row, checks: Iterable[Check], remark: str) -> Row:
    """All checks that have no result yet count as failed."""
    row.failed |= {check.name: None for check in checks if check.name not in (*row.passed, *row.failed)}
    row.remark = remark
    return row


def _grade_speed(
    assignment: Assignment,
    speed: Speed,
    own: dict[str, Any],
    right: bool,
    seed: int,
    guard: Guard,
    begin: Callable[[str], None],
) -> Row:
    row, check = Row(speed.name), f"time of {speed.function}"
    function, exercise = own.get(speed.function), assignment.exercise(speed.function)
    if not right or not callable(function):
        row.failed[check], row.remark = None, "timed only when its results are right"
        return row
    begin(check)
    with guard():
        ratio = time_ratio(function, exercise.reference, speed.make_case(seed))
    row.share = speed_share(ratio)
    row.remark = f"{ratio:.2f} times the reference's time"
    if row.share == 1:
        row.passed.append(check)
    else:
        row.failed[check] = Failure(
            f"{speed.function} of {len(speed.make_case(seed).args[1])} anchors",
            "at most 1.5 times the reference's time",
            row.remark,
            "no Python loop over anchors or classes; compute each exponential once; leave out what is 0 anyway",
        )  # fmt: skip
    return row


def time_ratio(function: Function, reference: Function, one: Case) -> float:
    """The time of a function over that of the reference: the median over pairs of calls that take turns."""
    ratios = []
    for _ in range(REPEATS):
        seconds = []
        for call in (function, reference):
            args = copy.deepcopy(one.args)
            begin = time.perf_counter()
            call(*args, **one.kwargs)
            seconds.append(time.perf_counter() - begin)
        ratios.append(seconds[0] / seconds[1])
        if seconds[0] > 1 and ratios[0] > 100:
            break  # nothing is gained by measuring a very slow one again
    return statistics.median(ratios)
