"""Grading the functions of a module, one after the other, with points for each that are independent of the others.

A function is graded after those that it calls, and where one of them has failed a right one is called in its place. So
a mistake costs the points of its own function, wherever the others use it. The module may be in this process (`Local`)
or in one of its own (`grading`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import ModuleType
from typing import Any, Protocol

from minidet.course.assignments import Assignment
from minidet.course.check import OTHER_INPUTS, Case, Exercise, Failure, Outcome
from minidet.course.compare import kind
from minidet.course.diagnosis import diagnose
from minidet.course.judging import Tried, checks_of, failure, local, passes, run_check
from minidet.course.mutants import run_tests
from minidet.course.smaller import smaller

NOT_WRITTEN = "not written yet"


class Module(Protocol):
    """What is graded: functions that can be called, some of them replaced by right ones."""

    source: str
    """The module's text, or ""."""

    def has(self, name: str) -> bool: ...

    def call(self, name: str, one: Case, replaced: Sequence[str], back: bool) -> Outcome: ...

    def test(self, name: str, function: str) -> Outcome:
        """Run a test of the module with a right or wrong function, by its name in `Assignment.right_functions`."""
        ...


class Local:
    """A module in this process, without any limits."""

    def __init__(self, module: ModuleType, assignment: Assignment, variant: int = 0, source: str = "") -> None:
        self.module, self.source = module, source
        self.own = dict(vars(module))
        self.right = assignment.right_functions(variant)

    def has(self, name: str) -> bool:
        return callable(self.own.get(name))

    def call(self, name: str, one: Case, replaced: Sequence[str], back: bool) -> Outcome:
        vars(self.module).update({other: self.right[other] for other in replaced})
        try:
            return local(self.own[name])(one, back)
        finally:
            for other in replaced:
                vars(self.module).pop(other)
            vars(self.module).update(self.own)

    def test(self, name: str, function: str) -> Outcome:
        return local(self.own[name])(Case((self.right[function],)), False)


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
    attempted: bool = False
    """Whether its results are at least of the right kind. Only then is it replaced for functions that come before it
    in the assignment: otherwise these could be handed in as calls of one that is not written."""
    values: bool = False
    """Whether all its values are right; the type of the result may be wrong."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def first_failure(self) -> Failure | None:
        return next((failure for failure in self.failed.values() if failure), None)


def grade_functions(module: Module, assignment: Assignment, *, seed: int = 0, variant: int = 0) -> Iterator[Row]:
    """Grade the functions of a module, those first that others call.

    Args:
        seed: of the inputs of the last check of each function; all others are the same for everybody.
        variant: of the default arguments.
    """
    names = [exercise.name for exercise in assignment.exercises]
    done: dict[str, Row] = {}
    for name in calling_order(module.source, names):
        before = names[: names.index(name)]
        wrong = [other for other, row in done.items() if row.share < 1 and (row.attempted or other in before)]
        done[name] = grade_function(module, assignment.exercise(name), wrong, seed, variant)
        yield done[name]


def grade_function(module: Module, exercise: Exercise, replaced: Sequence[str], seed: int, variant: int) -> Row:
    """Run a function's checks, up to one after which no more is to be expected."""
    row, tried = Row(exercise.name), []
    checks = checks_of(exercise, seed)
    if not module.has(exercise.name):
        return _not_tried(row, checks, f"the module has no function {exercise.name}")

    if exercise.subject:
        row.passed, row.failed, row.share = run_tests(
            exercise.subject, lambda function: module.test(exercise.name, function), seed
        )
        row.remark = NOT_WRITTEN if not row.passed and not any(row.failed.values()) else ""
        return row

    def call(one: Case, back: bool) -> Outcome:
        return module.call(exercise.name, one, replaced, back)

    wrong: dict[str, list[Tried]] = {}
    for check in checks:
        if check.name == OTHER_INPUTS and any(one.essential and one.name in wrong for one in checks):
            break  # other inputs tell nothing new of a function that is wrong on these
        new = list(run_check(exercise, check, call, variant))
        tried += new
        if tried[0].outcome.kind == "NotImplementedError":
            return _not_tried(row, checks, NOT_WRITTEN)
        if passes(check, new):
            row.passed.append(check.name)
        else:
            wrong[check.name] = new
        if new[-1].outcome.final:
            break
    for check in checks:
        if check.name in wrong:
            hint = diagnose(exercise, check, tried, variant)
            shown = smaller(exercise, wrong[check.name], call, variant)
            row.failed[check.name] = failure(exercise, check, shown, hint)
    _not_tried(row, checks, "")
    essential = [check.name for check in checks if check.essential]
    row.share = len(row.passed) / len(checks) if set(essential) <= set(row.passed) else 0.0
    row.values = all(check.name in row.passed for check in checks if check.compares == "values")
    row.attempted = all(_right_kind(one) for one in tried if one.check.essential)
    return row


def _right_kind(one: Tried) -> bool:
    return not one.outcome.error and kind(one.outcome.value) == kind(one.expected)


def _not_tried(row: Row, checks: Iterable[Any], remark: str) -> Row:
    """All checks that have no result yet count as failed."""
    row.failed |= {check.name: None for check in checks if check.name not in (*row.passed, *row.failed)}
    row.remark = remark
    return row


def calling_order(source: str, names: Sequence[str]) -> list[str]:
    """The functions in the assignment's order, but each after those that it calls; circles stay as they are."""
    calls = callees(source, names)
    ordered: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            return
        for other in names:
            if other in calls[name]:
                visit(other, (*path, name))
        if name not in ordered:
            ordered.append(name)

    for name in names:
        visit(name, ())
    return ordered


def callees(source: str, names: Sequence[str]) -> dict[str, set[str]]:
    """For each function, what it uses of its module, by way of others too."""
    used = _names_used(source)
    found = {}
    for name in names:
        reached, new = set(), {name}
        while new:
            reached |= new
            new = {one for other in new for one in used.get(other, ())} - reached
        found[name] = reached - {name}
    return found


def _names_used(source: str) -> Mapping[str, set[str]]:
    """For each thing that a module defines, the names that its definitions use and do not set themselves."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[str, set[str]] = {}
    for node in tree.body:
        used = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        names = {part.id for part in used if isinstance(part.ctx, ast.Load)}
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own = {part.id for part in used if isinstance(part.ctx, ast.Store)}
            found.setdefault(node.name, set()).update(names - own)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for part in used:
                if isinstance(part.ctx, ast.Store):
                    found.setdefault(part.id, set()).update(names)
    return found
