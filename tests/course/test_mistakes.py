"""Whole wrong solutions: each is caught, costs its own function alone, and the first hint points at the mistake."""

from __future__ import annotations

import re

import pytest

from minidet.course import assignments
from minidet.course.diagnosis import diagnose
from minidet.course.judging import checks_of, local, passes, run_check
from tests.course import layer_mistakes, mistakes, more_mistakes, small_changes
from tests.course.helpers import graded, load, solution

pytestmark = pytest.mark.slow

COLLECTIONS = (mistakes, more_mistakes, small_changes, layer_mistakes)
ALL = [wrong for collection in COLLECTIONS for wrong in collection.MISTAKES]
EXERCISES = [e for name in assignments.NAMES for e in load(name).exercises if not e.subject]


@pytest.mark.parametrize("wrong", ALL, ids=lambda w: f"{w.assignment}-{w.function}-{w.name}"[:60])
def test_a_mistake_costs_its_own_function(wrong):
    rows = graded(wrong.assignment, solution(wrong.assignment) + wrong.source, only=wrong.function)
    assert [name for name, row in rows.items() if row.share < 1] == [wrong.function]
    failure = rows[wrong.function].first_failure
    assert re.search(wrong.hint, failure.hint), failure
    assert failure.call.startswith(f"{wrong.function}(")
    assert failure.expected != failure.got.partition(" (")[0], "what is shown does not differ"


def test_there_are_enough_mistakes():
    assert [len(collection.MISTAKES) for collection in COLLECTIONS] >= [60, 80, 95, 50]
    assert {wrong.function for wrong in ALL} == {exercise.name for exercise in EXERCISES}


OTHER_HANDS = {
    name: [small_changes.RIGHT[function] for function in functions]
    for name, functions in small_changes.ASSIGNMENTS.items()
} | {"a7": list(layer_mistakes.RIGHT.values())}


@pytest.mark.parametrize("name", OTHER_HANDS)
def test_right_solutions_of_another_hand_earn_everything(name):
    source = solution(name) + "".join(OTHER_HANDS[name])
    assert {row.name: row.failed for row in graded(name, source).values() if row.share < 1} == {}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_each_known_mistake_is_caught_with_its_own_hint(exercise):
    for mistake in exercise.mistakes:
        tried, first = [], None
        for check in checks_of(exercise, 0):
            new = list(run_check(exercise, check, local(mistake.function)))
            tried += new
            first = first or (check if not passes(check, new) else None)
        assert first is not None, f"nobody notices that {mistake.hint}"
        assert diagnose(exercise, first, tried) == mistake.hint


@pytest.mark.parametrize("variant", [1, 2])
def test_hints_know_the_variants_defaults(variant):
    wrong = next(one for one in mistakes.MISTAKES if one.name == "> for >=" and one.function == "assign_anchors")
    source = wrong.source
    for name, value in load("a2").exercise("assign_anchors").defaults(variant).items():
        source = re.sub(rf"{name}=[\d.]+", f"{name}={value}", source)
    rows = graded("a2", solution("a2", variant) + source, variant=variant, only="assign_anchors")
    assert re.search(wrong.hint, rows["assign_anchors"].first_failure.hint)
