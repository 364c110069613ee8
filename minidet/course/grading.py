"""Grading one submission, in processes of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minidet.course import wire
from minidet.course.assignments import Assignment, Points, load
from minidet.course.check import Case, Outcome
from minidet.course.process import Broken, Budget, Limits, OutOfTime, Process, Tampering
from minidet.course.session import Row, grade_functions
from minidet.course.speed import grade_speed
from minidet.course.submissions import Source, read_submission

TESTED = "function"
"""What a submission's process calls the function that its tests are run with: it does not learn which one it is."""


@dataclass
class Result:
    """A graded submission."""

    assignment: str
    submission: str
    rows: list[Row]
    points: dict[str, float]
    """What each row is worth."""
    partial: bool = True
    remark: str = ""
    """What is wrong with the module as a whole, or to be known of it."""
    seconds: float = 0.0
    copies: list[str] = field(default_factory=list)
    """Groups of submissions with the same code that it belongs to."""
    confined: set[str] = field(default_factory=set)
    """What the kernel refused to the submission, of "files" and "processes"."""

    def earned(self, row: Row) -> float:
        share = row.share if self.partial or row.share == 1 else 0.0
        return round(self.points[row.name] * min(1.0, max(0.0, share)), 2)

    @property
    def total(self) -> float:
        return round(sum(map(self.earned, self.rows)), 2)

    @property
    def maximum(self) -> float:
        return sum(self.points.values())


class Submission:
    """A module in processes of its own: when one ends, the next call starts another."""

    def __init__(self, source: bytes, assignment: Assignment, variant: int, limits: Limits) -> None:
        self.source = source.decode("utf-8", "replace")
        self.text, self.assignment, self.variant, self.limits = source, assignment, variant, limits
        self.budget = Budget(limits.total)
        self.process: Process | None = None
        self.trusted: Process | None = None
        self.replaced: Sequence[str] = ()
        self.tested = ""
        self.confined: set[str] = set()

    def has(self, name: str) -> bool:
        return name in self._process().functions

    def call(self, name: str, one: Case, replaced: Sequence[str], back: bool) -> Outcome:
        self.replaced = replaced
        return self._process().call(name, one.args, one.kwargs, replaced, back)

    def test(self, name: str, function: str) -> Outcome:
        self.replaced, self.tested = (TESTED,), function
        return self._process().call(name, [wire.Callee(TESTED)], {})

    def reference(self, name: str, one: Case) -> Outcome:
        """A call of the right function, in a process of the same kind."""
        return self._trusted().call(name, one.args, one.kwargs)

    def end(self) -> None:
        for process in (self.process, self.trusted):
            if process:
                process.end()

    def _process(self) -> Process:
        if self.process is None or not self.process.link.open:
            name = f"{self.assignment.name}.py"
            self.process = Process((name, self.text), self.limits, self.budget, right=self._right)
            self.confined = self.process.confined
        return self.process

    def _trusted(self) -> Process:
        if self.trusted is None or not self.trusted.link.open:
            budget, name = Budget(self.limits.total), self.assignment.name
            self.trusted = Process(None, self.limits, budget, reference=name, variant=self.variant)
        return self.trusted

    def _right(self, asked: wire.Frame) -> bytes:
        """The answer to a submission that calls a function in whose place a right one stands.

        It is found in a process of the grader's own that has the same limits, since the arguments are the submission's.
        """
        name, keywords, values = (asked.header.get(key) for key in ("name", "keywords", "values"))
        if name not in self.replaced or not isinstance(keywords, list) or not isinstance(values, list):
            raise wire.Unreadable("a question that nobody asks")
        name = self.tested if name == TESTED else name
        call = {"kind": "call", "name": name, "keywords": keywords, "values": values, "replaced": [], "back": False}
        try:
            reply, told = self._trusted().exchange(wire.repack(call, asked.payload))
        except OutOfTime:
            raise wire.Unreadable("questions without end") from None
        error = reply.header.get("error") if reply else told
        if reply is None or error:
            return wire.pack("answer", error=wire.clean(error))
        return wire.repack({"kind": "answer", "values": reply.header["values"][:1]}, reply.payload)


def grade_submission(
    assignment: str | Assignment, submission: str | os.PathLike[str] | Source, *, points: Points | None = None,
    variant: int = 0, seed: int = 0, limits: Limits | None = None, timed: bool = True, name: str = "",
) -> Result:  # fmt: skip
    """Grade a module, in processes of its own.

    Args:
        assignment: a1 to a5.
        submission: a module, notebook, zip file, or a folder that holds one; or its text.
        points: an instructor's points.
        variant, seed: of the default arguments, and of the inputs of the last check of each function.
        limits: what the submission may use.
        timed: False leaves the speed out; its points are then no part of the result.
        name: what the result is called; by default the file.

    Raises:
        ValueError: the assignment or the file does not exist.
    """
    assignment = load(assignment) if isinstance(assignment, str) else assignment
    limits, points, remark = limits or Limits(), points or Points({}), ""
    if not isinstance(submission, Source):
        path = Path(submission)
        name = name or path.resolve().name
        submission = read_submission(path, assignment.name, list(assignment.rows))
    worth = assignment.with_points(points.points)
    if assignment.speed and not timed:
        worth.pop(assignment.speed.name)
    begin = time.monotonic()
    module = Submission(submission.text, assignment, variant, limits)
    rows: dict[str, Row] = {}
    try:
        for row in grade_functions(module, assignment, seed=seed, variant=variant):
            rows[row.name] = row
        if assignment.speed and timed:
            row = _speed(module, assignment, rows, seed)
            rows[row.name] = row
    except Broken as error:
        remark = f"the module cannot be imported: {error}"
    except Tampering as error:
        rows, remark = {}, f"not graded: what came from the submission's process is no result ({error})"
    except OutOfTime:
        remark = f"the {limits.total:g} seconds for the whole submission are used up: what is missing was not graded"
    finally:
        module.end()
    graded = [rows.get(one, Row(one, remark="not graded")) for one in worth]
    remark = "; ".join(filter(None, [submission.remark, remark]))
    return Result(
        assignment.name, name or "submission", graded, worth, points.partial, remark, time.monotonic() - begin,
        confined=module.confined,
    )  # fmt: skip


def _speed(module: Submission, assignment: Assignment, rows: dict[str, Row], seed: int) -> Row:
    assert assignment.speed is not None
    name = assignment.speed.function
    wrong = [other for other, row in rows.items() if row.share < 1 and other != name]
    return grade_speed(
        assignment, rows[name].values, seed,
        lambda one: module.call(name, one, wrong, False),
        lambda one: module.reference(name, one),
        lambda one: module.reference(wire.NOTHING, one),
    )  # fmt: skip
