"""Making a failing input smaller: rows are left out as long as the function stays wrong."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minidet.course.check import OTHER_INPUTS, Case, Exercise
from minidet.course.judging import Call, Tried, problem

FEW, CALLS = 3, 60
"""Rows that nobody needs to have fewer of, and how many calls may be made."""


def smaller(exercise: Exercise, tried: Sequence[Tried], call: Call, variant: int) -> list[Tried]:
    """The failed calls of a check with the first of them made smaller, where that is possible."""
    first = next(one for one in tried if one.problem)
    if first.outcome.final or first.check.compares != "values" or first.check.name == OTHER_INPUTS:
        return list(tried)
    left, best = CALLS, first
    for group in exercise.rows:
        row = 0
        while left and group[0] < len(best.case.args) and row < (n := len(best.case.args[group[0]])) and n > FEW:
            left -= 1
            one = _try(exercise, best, _without(best.case, group, row), call, variant)
            if one and one.outcome.final:
                return list(tried)
            same = one and one.problem and one.outcome.kind == best.outcome.kind
            best, row = (one, row) if one and same else (best, row + 1)
    return [best] if best is not first else list(tried)


def _without(one: Case, group: Sequence[int], row: int) -> Case:
    args = list(one.args)
    for place in group:
        if place < len(args) and args[place] is not None:
            args[place] = np.delete(args[place], row, axis=0)
    return Case(tuple(args), one.kwargs)


def _try(exercise: Exercise, best: Tried, one: Case, call: Call, variant: int) -> Tried | None:
    """The same check with another input; None where that is no input."""
    reference: Any = exercise.with_defaults(variant)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            expected = reference(*copy.deepcopy(one.args), **one.kwargs)
        except ValueError:
            return None
    outcome = call(one, False)
    wrong = problem(exercise, best.check, one, expected, outcome)
    return replace(best, case=one, expected=expected, outcome=outcome, problem=wrong)
