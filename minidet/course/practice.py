"""Exercises in the book: a function is checked where it is written, with the grader's inputs and hints.

Unlike `grading`, this runs the function in the notebook's own process, without limits: it is for oneself.
"""

from __future__ import annotations

import linecache
import textwrap
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from minidet.course.assignments import NAMES, load
from minidet.course.check import Case, Exercise, Outcome
from minidet.course.diagnosis import diagnose
from minidet.course.judging import checks_of, failure, local, passes, run_check
from minidet.course.session import NOT_WRITTEN, Row, grade_function

WIDTH = 100
STEPS = ("the input that fails", "the rule", "what the result looks like")
"""What is told with hints=0, 1 and 2, each after what comes before it."""


@dataclass(frozen=True)
class Verdict:
    """What a check found; a notebook shows it as text.

    Attributes:
        name: of the function.
        row: the checks that passed and failed, as in a grade.
        rule: what the first failed check looks at, in a sentence.
        hints: how many steps of help are shown, 0 to 2.
    """

    name: str
    row: Row = field(repr=False)
    rule: str = ""
    hints: int = 0

    @property
    def right(self) -> bool:
        """Whether all checks passed."""
        return bool(self.row.passed) and not self.row.failed

    def __repr__(self) -> str:
        count, passed = len(self.row.passed) + len(self.row.failed), len(self.row.passed)
        if self.right:
            return f"{self.name}: right, all {count} checks pass"
        if self.row.remark:
            return f"{self.name}: {self.row.remark}: fill in the cell above, then run it and this one"
        name = next(name for name, failure in self.row.failed.items() if failure)
        lines = [f"{self.name}: {passed} of {count} checks pass. The first that does not: {name}"]
        failure = self.row.first_failure
        assert failure is not None
        told = [("input", failure.call), ("expected", failure.expected), ("came", failure.got)]
        told += [("rule", self.rule)] if self.hints > 0 else []
        if self.hints > 1:
            told.append(("hint", self._fits(failure.hint)))
        for label, text in told:
            label = f"  {label:9} "
            lines += textwrap.wrap(
                text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False
            )
        more = f"check({self.name}, hints={self.hints + 1}) says more" if self.hints < len(STEPS) - 1 else ""
        return "\n".join([*lines, *filter(None, [more])])

    def _fits(self, hint: str) -> str:
        """The hint without the rule, which stands above it."""
        for rule in (self.rule, self.rule[:1].upper() + self.rule[1:]):
            hint = hint.removesuffix(rule).rstrip(". ")
        return hint or "no known mistake gives these results: follow this small input through your lines by hand"


def check(function: Callable[..., Any], hints: int = 0) -> Verdict:
    """Check a function that one of the assignments asks for, by its name.

    Args:
        function: has the name, the arguments and the defaults of the function in `minidet.reference`.
        hints: how much to tell of the first failure. 0: the smallest input that fails, what was expected and what
            came; 1: also the rule that this input looks at; 2: also which mistake gives these results.

    Returns:
        What was found; its text is what a notebook shows.

    Raises:
        ValueError: no assignment asks for a function of this name, or hints is none of 0, 1, 2.

    >>> def box_area(boxes):
    ...     return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    >>> check(box_area)
    box_area: right, all 6 checks pass
    """
    if hints not in range(len(STEPS)):
        raise ValueError(f"hints = {hints!r}: 0, 1 or 2 is expected")
    exercise = exercise_named(function.__name__)
    row = grade_function(_Here(function), exercise, (), 0, 0)
    return _verdict(exercise, row, hints)


def require(function: Callable[..., Any], name: str, seed: int = 0, variant: int = 0) -> None:
    """One check of a function as a test, for graders that count tests.

    Args:
        function: as in `check`.
        name: of the check; the essential checks must pass too.
        seed, variant: as in `minidet.course.grading.grade_submission`.

    Raises:
        ValueError: there is no such function, or it has no such check.
        AssertionError: a check fails; the message is what `check` shows.
    """
    exercise = exercise_named(function.__name__)
    wanted = [one for one in checks_of(exercise, seed) if one.essential or one.name == name]
    if name not in [one.name for one in wanted]:
        raise ValueError(f"{exercise.name} has no check {name!r}")
    call = _Here(function)
    for one in wanted:
        tried = list(run_check(exercise, one, lambda case, back: call.call("", case, (), back), variant))
        if not passes(one, tried):
            told = failure(exercise, one, tried, diagnose(exercise, one, tried, variant))
            raise AssertionError(repr(_verdict(exercise, Row(exercise.name, [], {one.name: told}), 2)))


def earned(function: Callable[..., Any], points: float, seed: int = 0, variant: int = 0) -> float:
    """What a function is worth, for graders that take a number: the share of its checks, 0 without the essential ones.

    It prints what `check` shows.

    Args:
        function: as in `check`.
        points: for a right function.
        seed, variant: as in `minidet.course.grading.grade_submission`.

    Returns:
        Points, from 0 to `points`.

    Raises:
        ValueError: no assignment asks for a function of this name.
    """
    exercise = exercise_named(function.__name__)
    row = grade_function(_Here(function), exercise, (), seed, variant)
    print(_verdict(exercise, row, 2))
    return round(points * row.share, 2)


def _verdict(exercise: Exercise, row: Row, hints: int) -> Verdict:
    rules = {one.name: one.hint for one in checks_of(exercise, 0)}
    rule = next((rules[name] for name, failure in row.failed.items() if failure), "")
    if row.remark and row.remark != NOT_WRITTEN:
        row = replace(row, remark="")
    return Verdict(exercise.name, row, rule, hints)


@lru_cache(maxsize=1)
def _exercises() -> dict[str, Exercise]:
    return {one.name: one for name in NAMES for one in load(name).exercises if not one.subject}


def exercise_named(name: str) -> Exercise:
    """The exercise for a function.

    Raises:
        ValueError: there is none.
    """
    found = _exercises()
    if name not in found:
        raise ValueError(f"no assignment asks for a function {name!r}: there are {', '.join(found)}")
    return found[name]


class _Here:
    """A function in this process as the module that the grader wants."""

    source = ""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def has(self, name: str) -> bool:
        return True

    def call(self, name: str, one: Case, replaced: Sequence[str], back: bool) -> Outcome:
        places: list[traceback.FrameSummary] = []

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return self.function(*args, **kwargs)
            except Exception as error:
                places.extend(traceback.extract_tb(error.__traceback__))
                raise

        outcome = local(call)(one, back)
        own = [place for place in places if place.filename == self.function.__code__.co_filename]
        if not own:
            return outcome
        line = own[-1].lineno or 0
        return replace(outcome, line=line, source=linecache.getline(own[-1].filename, line).strip())

    def test(self, name: str, function: str) -> Outcome:
        raise NotImplementedError("tests are graded by `minidet assignment grade a6`")
