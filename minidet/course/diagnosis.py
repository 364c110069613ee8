"""Which hint fits a function that is wrong.

A known mistake is taken for the diagnosis only where it does what the submission does: it gives the same wrong results
on the check that failed, and on no other check is it wrong where the submission is right (but one, if it explains all
that is wrong). Of several, the one that explains most counts. After those come arguments
that make no difference, and then what can be said of a result by itself: its kind, its shape, its order, its digits.
Where nothing of all that fits, the hint is the rule that the check looks at.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from minidet.course.check import OTHER_INPUTS, Check, Exercise, Function, Outcome
from minidet.course.judging import Tried, answers, local
from minidet.course.relations import close, describe

FIXED = (0.5, 1.0, 2.0, 0.25, 0.7, 0.4)
"""Values that people write where an argument is meant, besides the argument's default."""
KINDS = {
    "MemoryError": "an array here is far too large: look at the shapes that broadcasting makes",
    "SystemExit": "a function returns its result; remove the call of exit",
    "TooSlow": "a loop that never ends, or far too much work for so small an input: does every loop come to an end?",
    "Lost": "endless loops, waiting for something, os._exit and crashes end like this: look at what this call does",
    "RecursionError": "the function calls itself without end: which case stops it?",
    "NotImplementedError": "this case is not written yet",
    "PermissionError": "a graded function works on its arguments only: no files, no other processes, no network",
    "NameError": "a name is used here that does not exist: is it misspelt, or imported in the notebook only?",
    "TooLarge": "the result is far too large: look at the shapes that broadcasting makes",
}


def diagnose(exercise: Exercise, check: Check, tried: list[Tried], variant: int = 0) -> str:
    """The hint for a check that failed.

    Args:
        tried: all calls of the function, those of other checks too.
    """
    wrong = [one for one in tried if one.check is check and one.problem]
    first = wrong[0].outcome
    if first.error:
        return _of_error(check, first)
    if check.compares == "input" or check.name == OTHER_INPUTS:
        return check.hint
    if check.compares == "values" and (hint := _known(exercise, check, tried, variant)):
        return hint
    return describe(exercise, check, wrong) or check.hint


def _of_error(check: Check, outcome: Outcome) -> str:
    if outcome.kind in KINDS:
        return KINDS[outcome.kind]
    place = f" in line {outcome.line}" if outcome.line else ""
    told = f"your function raises {outcome.kind}{place} for this input"
    if check.essential:
        return f"{told}: call it with this input in the notebook and look at the values and shapes in that line"
    return f"{told}. {check.hint[0].upper()}{check.hint[1:]}"


def _known(exercise: Exercise, check: Check, tried: list[Tried], variant: int) -> str:
    """The hint of the known mistake that explains most; "" where none fits."""
    best = ("", 0)
    all_wrong = sum(bool(one.problem) and not one.outcome.error for one in _values(tried))
    for hint, function in candidates(exercise, variant):
        if not reproduces(exercise, function, check, tried, variant):
            continue
        apart = contradictions(exercise, function, tried, variant)
        count = explained(exercise, function, tried, variant)
        # all that is wrong, and one kind of input at most which the submission treats in a way of its own; but defaults
        # and lost digits are wrong in the same way for many reasons
        everything = count == all_wrong > 1 and len(apart) == 1 and not (check.defaults or check.extreme)
        if (not apart or everything) and count - len(apart) > best[1]:
            best = (hint, count - len(apart))
    return best[0]


def reproduces(exercise: Exercise, wrong: Function, check: Check, tried: list[Tried], variant: int) -> bool:
    """Whether a wrong function gives what the submission gives wherever that is wrong in a check."""
    both = _beside(exercise, wrong, [one for one in tried if one.check is check], variant)
    return all(
        not result.error and close(one.expected, one.outcome.value, result.value)
        for one, result in both
        if one.problem and not one.outcome.error
    )


def contradictions(exercise: Exercise, wrong: Function, tried: list[Tried], variant: int) -> set[Check]:
    """The checks on which a wrong function is wrong where the submission is right."""
    both = _beside(exercise, wrong, [one for one in _values(tried) if not one.check.special], variant)
    return {
        one.check
        for one, result in both
        if not (one.problem or result.error)
        and _finite(result.value)
        and not close(one.expected, result.value, one.expected)
    }


def explained(exercise: Exercise, wrong: Function, tried: list[Tried], variant: int) -> int:
    """How many of the submission's wrong results a wrong function gives too, those left out that are no numbers: a
    formula gives them for many reasons."""
    both = _beside(exercise, wrong, _values(tried), variant)
    return sum(
        not (result.error or _holds_nan(result.value)) and close(one.expected, one.outcome.value, result.value)
        for one, result in both
        if one.problem and not one.outcome.error
    )


def _values(tried: list[Tried]) -> list[Tried]:
    """The calls whose values count and whose inputs are the same for everybody."""
    return [one for one in tried if one.check.compares == "values" and one.check.name != OTHER_INPUTS]


def _beside(exercise: Exercise, wrong: Function, tried: list[Tried], variant: int) -> Iterator[tuple[Tried, Outcome]]:
    """Calls of whole checks, each with what the wrong function does there."""
    results: dict[Check, Iterator[Outcome]] = {}
    for one in tried:
        if one.check not in results:
            results[one.check] = iter(outcomes(exercise, wrong, one.check, variant))
        yield one, next(results[one.check])


@lru_cache(maxsize=2**15)
def outcomes(exercise: Exercise, wrong: Function, check: Check, variant: int) -> tuple[Outcome, ...]:
    """What a wrong function does on the inputs of a check."""
    call = local(exercise.filled(wrong, variant))
    return tuple(call(one, False) for one, _ in answers(exercise, check, variant))


@lru_cache(maxsize=256)
def candidates(exercise: Exercise, variant: int) -> tuple[tuple[str, Function], ...]:
    """The known mistakes, then arguments that are not used, each with its hint."""
    known = [(mistake.hint, mistake.function) for mistake in exercise.mistakes]
    return (*known, *_unused(exercise, variant))


def _unused(exercise: Exercise, variant: int) -> Iterator[tuple[str, Function]]:
    """The reference with an argument, or a setting of a configuration, that has the same value always."""
    defaults = exercise.defaults(variant)
    for name, parameter in exercise.parameters.items():
        if parameter.default is inspect.Parameter.empty:
            continue
        usual = defaults.get(name, parameter.default)
        others = [value for value in FIXED if value != usual] if isinstance(usual, float) else []
        for value in (usual, *others):
            told = f"{name} makes no difference: your result is that of {name} = {value!r}, whatever is given"
            yield told, _with(exercise, name, value)
            yield told, _with(exercise, name, value, keep_none=True)
    for name in exercise.parameters:
        for setting, value in _settings(exercise, name):
            told = f"{name}.{setting} makes no difference: your result is that of {value!r}, whatever is given"
            yield told, _with_setting(exercise, name, setting, value)


def _settings(exercise: Exercise, name: str) -> Iterator[tuple[str, Any]]:
    """The settings of an argument that is a configuration, and their defaults."""
    place = list(exercise.parameters).index(name)
    calls = (one for check in exercise.checks for one, _ in answers(exercise, check, 0))
    config = next((one.args[place] for one in calls if place < len(one.args)), None)
    for setting in fields(config) if is_dataclass(config) and not isinstance(config, type) else ():
        yield setting.name, setting.default


def _with(exercise: Exercise, name: str, value: Any, keep_none: bool = False) -> Function:
    signature = exercise.signature

    def function(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        same = keep_none and given.get(name, value) is None
        return exercise.reference(**{**given, name: None if same else value})

    return function


def _with_setting(exercise: Exercise, name: str, setting: str, value: Any) -> Function:
    signature = exercise.signature

    def function(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        return exercise.reference(**{**given, name: replace(given[name], **{setting: value})})

    return function


def _holds_nan(value: Any) -> bool:
    """Whether a result is no number somewhere."""
    if isinstance(value, (list, tuple)):
        return any(map(_holds_nan, value))
    array = np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _finite(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_finite, value))
    array = np.asarray(value)
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())
