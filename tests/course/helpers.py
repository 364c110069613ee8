"""What the tests of the course share: assignments and their solutions, made once, and grading in this process."""

from __future__ import annotations

import functools
import types
from dataclasses import replace

from minidet.course import assignments, stubs
from minidet.course.grading import Result, grade_submission
from minidet.course.process import Limits
from minidet.course.session import Local, Row, callees, grade_functions
from minidet.course.submissions import Source

load = functools.cache(assignments.load)
QUICK = Limits(seconds=0.5, total=60.0)


@functools.cache
def solution(name: str, variant: int = 0) -> str:
    return stubs.solution_source(load(name), variant)


@functools.cache
def stub(name: str) -> str:
    return stubs.stub_source(load(name))


def module_of(source: str) -> types.ModuleType:
    module = types.ModuleType("submission")
    exec(compile(source, "submission", "exec"), vars(module))
    return module


def graded(name: str, source: str, seed: int = 0, variant: int = 0, only: str = "") -> dict[str, Row]:
    """The rows of a module that is graded in this process; only those of a function and of its callers, if one is
    named."""
    assignment = load(name)
    if only:
        names = [exercise.name for exercise in assignment.exercises]
        callers = [name for name, used in callees(source, names).items() if only in used or name == only]
        exercises = tuple(exercise for exercise in assignment.exercises if exercise.name in callers)
        assignment = replace(assignment, exercises=exercises, speed=None)
    module = Local(module_of(source), assignment, variant, "" if only else source)
    return {row.name: row for row in grade_functions(module, assignment, seed=seed, variant=variant)}


def grade(name: str, source: str, limits: Limits = QUICK, **settings) -> Result:
    """The result of a module that is graded in processes of its own."""
    return grade_submission(load(name), Source(source.encode()), limits=limits, **settings)


def row(result: Result, name: str) -> Row:
    return next(one for one in result.rows if one.name == name)
