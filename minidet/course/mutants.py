"""Grading tests that a student writes: a right function must pass them, and wrong ones must not.

The wrong functions are the known mistakes of an exercise. Each differs from the right function by its mistake alone:
where it could not cope with an input for any other reason, it does what the right one does.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from minidet.course.check import Exercise, Failure, Function, Mistake, Outcome

RIGHT = "the right function passes"
TRIES = 3
"""How often the right function is tried, in between, so that nobody can guess when."""
TestRun = Callable[[str], Outcome]
"""Runs a student's test with the function of this name."""


@lru_cache(maxsize=64)
def mutants(subject: Exercise) -> tuple[Mistake, ...]:
    """The known mistakes of an exercise, one for each hint."""
    return tuple({mistake.hint: mistake for mistake in reversed(subject.mistakes)}.values())[::-1]


def functions_under_test(subject: Exercise) -> dict[str, Function]:
    """The right function and the wrong ones, by the names under which a test calls them."""
    wrong = {f"{subject.name} {i}": careful(subject, one.function) for i, one in enumerate(mutants(subject), start=1)}
    return {subject.name: subject.reference, **wrong}


def careful(subject: Exercise, wrong: Function) -> Function:
    """A wrong function that takes whatever the right one takes, and refuses what that refuses."""
    signature = inspect.signature(subject.reference)

    def function(*args: Any, **kwargs: Any) -> Any:
        right = subject.reference(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        arrays = [np.asarray(value) if isinstance(value, (list, tuple)) else value for value in given.args]
        with np.errstate(all="ignore"):
            try:
                value = wrong(*arrays)
            except Exception:  # noqa: BLE001  # the formula knows no such input
                return right
        return value if _finite(value) else right

    return function


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def run_tests(subject: Exercise, run: TestRun, seed: int) -> tuple[list[str], dict[str, Failure | None], float]:
    """Run a student's tests with the right function and with every wrong one, in an order of the seed's.

    Returns:
        What passed, what failed and why, and the share of the wrong functions that are found: 0 where the right
        function does not pass, or where nothing is written yet.
    """
    wrong = {f"{subject.name} {i}": one.hint for i, one in enumerate(mutants(subject), start=1)}
    order = [*wrong, *[subject.name] * TRIES]
    random.Random(seed).shuffle(order)
    passed: list[str] = []
    failed: dict[str, Failure | None] = {}
    for name in order:
        outcome = run(name)
        if outcome.kind == "NotImplementedError":
            return [], dict.fromkeys([RIGHT, *map(_title, wrong)]), 0.0
        if name == subject.name and outcome.error:
            place = f" (line {outcome.line}: {outcome.source})" if outcome.line else ""
            hint = "this test asks for something that a right function does not do: read what it should do once more"
            failed[RIGHT] = Failure(f"a right {subject.name}", "all tests pass", outcome.error + place, hint)
        elif name != subject.name and (not outcome.error or outcome.final):
            told = f"a wrong {subject.name} passes all of them"
            hint = f"none of the tests notices this: {wrong[name]}"
            failed[_title(name)] = Failure(f"a wrong {subject.name}", "a test that fails", told, hint)
        elif name != subject.name:
            passed.append(_title(name))
    found = sum(_title(name) in passed for name in wrong)
    if RIGHT in failed:
        return [], {RIGHT: failed[RIGHT], **dict.fromkeys(map(_title, wrong))}, 0.0
    ordered = [_title(name) for name in wrong]
    return (
        [RIGHT, *(name for name in ordered if name in passed)],
        {name: failed[name] for name in ordered if name in failed},
        found / len(wrong),
    )


def _title(name: str) -> str:
    return f"wrong function {name.rpartition(' ')[2]}"
