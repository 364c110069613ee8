"""Running a function's checks: what each call gave beside what it should, and a hint for each check that fails."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minidet.course.check import OTHER_INPUTS, Case, Check, Exercise, Failure, Function, Outcome
from minidet.course.compare import NARROW, difference, kind, show_both, show_call

DRAWS, ENOUGH = 60, 2
"""How many other inputs there are, and on how many of them a function must be right: who computes is, even with a
mistake that shows nearly always, whatever the seed; who looks answers up is not."""
REMEMBERED = (
    "right on the inputs that are the same for everybody, wrong on nearly all others: the function must compute its "
    "result from its arguments, for every input"
)

Call = Callable[[Case, bool], Outcome]
"""Makes a call of the function that is graded; True: the arguments as they are after it are expected too."""


@dataclass(frozen=True)
class Tried:
    """One call of a check, and what came of it."""

    check: Check
    case: Case
    expected: Any
    outcome: Outcome
    problem: str
    """What is wrong, in words; "": nothing."""


@lru_cache(maxsize=512)
def other_inputs(exercise: Exercise, seed: int) -> Check:
    """The check whose inputs depend on the seed."""

    def cases(rng: np.random.Generator) -> Iterable[Case]:
        assert exercise.sample is not None
        own = np.random.default_rng([seed, 2017])
        return [exercise.sample(own) for _ in range(DRAWS)]

    return Check(OTHER_INPUTS, REMEMBERED, cases, essential=True)


def checks_of(exercise: Exercise, seed: int) -> list[Check]:
    return [*exercise.checks, *([other_inputs(exercise, seed)] if exercise.sample else [])]


@lru_cache(maxsize=4096)
def answers(exercise: Exercise, check: Check, variant: int) -> tuple[tuple[Case, Any], ...]:
    """The calls of a check and what the reference returns."""
    reference = exercise.with_defaults(variant)
    found = []
    for one in check.cases(np.random.default_rng(0)):
        call = one if check.defaults else exercise.explicit(one)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found.append((call, reference(*copy.deepcopy(call.args), **call.kwargs)))
    return tuple(found)


def run_check(exercise: Exercise, check: Check, call: Call, variant: int = 0) -> Iterator[Tried]:
    """Make the calls of a check, up to one after which no more is to be expected, or to be shown."""
    right = 0
    for one, expected in answers(exercise, check, variant):
        outcome = call(one, check.compares == "input")
        tried = Tried(check, one, expected, outcome, problem(exercise, check, one, expected, outcome))
        yield tried
        right += not tried.problem
        if outcome.final or (check.name == OTHER_INPUTS and right == ENOUGH):
            return


def passes(check: Check, tried: list[Tried]) -> bool:
    """Whether a check is passed: by every call, or by enough of them where the inputs depend on the seed."""
    right = sum(not one.problem for one in tried)
    return right >= ENOUGH if check.name == OTHER_INPUTS else right == len(tried)


def problem(exercise: Exercise, check: Check, one: Case, expected: Any, outcome: Outcome) -> str:
    """What is wrong with the outcome of a call, in a few words; "" where nothing is."""
    if outcome.error:
        return outcome.error + (f" (line {outcome.line}: {outcome.source})" if outcome.line else "")
    try:
        if check.compares == "input":
            after = outcome.after if isinstance(outcome.after, (list, tuple)) else ()
            changed = [
                name
                for name, old, new in zip(exercise.parameters, one.args, after, strict=False)
                if difference(old, new, 0, 0)
            ]
            return f"{' and '.join(changed)} changed by the call" if changed else ""
        if check.compares == "type" and kind(outcome.value) != kind(expected):
            return kind(outcome.value)
        rtol = max(exercise.rtol, NARROW) if check.compares == "type" else exercise.rtol
        return difference(expected, outcome.value, rtol, exercise.atol)
    except (RecursionError, MemoryError):
        return "a result that is too large, or too deeply nested, to be compared"


def failure(exercise: Exercise, check: Check, tried: list[Tried], hint: str) -> Failure:
    """The first call of a check that went wrong, as text."""
    first = next(one for one in tried if one.problem)
    wanted, got = show_both(first.expected, first.outcome.value)
    got = first.problem if first.outcome.error else f"{got} ({first.problem})"
    if check.compares == "input":
        wanted, got = "the arguments as they were", first.problem
    if check.compares == "type":
        wanted += f" ({kind(first.expected)})"
    return Failure(show_call(exercise.reference, first.case), wanted, got, hint)


def local(function: Function) -> Call:
    """Calls of a function in this process, without any limits."""

    def call(one: Case, back: bool) -> Outcome:
        args = copy.deepcopy(one.args)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                return Outcome(function(*args, **one.kwargs), after=list(args))
            except Exception as error:  # noqa: BLE001  # whatever a function raises is its result
                text = " ".join(str(error).split())[:200]
                told = f"{type(error).__name__}: {text}" if text else type(error).__name__
                return Outcome(error=told, kind=type(error).__name__)

    return call
