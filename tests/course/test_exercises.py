"""The course's checks: the reference passes, each mistake loses the points of its function and of no other."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import types

import numpy as np
import pytest

from minidet.course import assignments, stubs
from minidet.course.check import difference, run_check, show
from minidet.course.exercises.a5 import speed_case
from minidet.course.session import grade_module, time_ratio
from minidet.reference import dense_focal_loss
from tests.course.mistakes import MISTAKES

LOAD = functools.cache(assignments.load)
SOLUTION = functools.cache(lambda name: stubs.solution_source(LOAD(name)))


def module_of(source: str) -> types.ModuleType:
    module = types.ModuleType("submission")
    exec(compile(source, "submission", "exec"), vars(module))
    return module


def graded(name: str, source: str, **settings):
    return {row.name: row for row in grade_module(module_of(source), LOAD(name), timed=False, **settings)}


@pytest.mark.parametrize("variant", [0, 1, 2])
@pytest.mark.parametrize("name", assignments.NAMES)
def test_the_reference_earns_everything(name, variant):
    """As one file made from the reference, with other inputs and default arguments too."""
    source = SOLUTION(name)
    for argument, value in assignments.variant_defaults(variant).items():
        source = re.sub(rf"\b{argument}: (float( \| None)?) = \d[\d.]*", rf"{argument}: \1 = {value}", source)
    rows = graded(name, source, seed=variant, variant=variant)
    assert {row.name: row.failed for row in rows.values() if row.share < 1} == {}


@pytest.mark.parametrize("name", assignments.NAMES)
def test_an_untouched_stub_earns_nothing(name):
    rows = graded(name, stubs.stub_source(LOAD(name)))
    assert [row.share for row in rows.values()] == [0] * len(rows)
    assert {row.remark for row in rows.values()} == {"not written yet"}


@pytest.mark.parametrize("wrong", MISTAKES, ids=lambda w: f"{w.assignment}-{w.function}-{w.name}")
def test_a_mistake_costs_its_own_function(wrong):
    rows = graded(wrong.assignment, SOLUTION(wrong.assignment) + wrong.source)
    assert [name for name, row in rows.items() if row.share < 1] == [wrong.function]
    failure = rows[wrong.function].first_failure
    assert re.search(wrong.hint, failure.hint), failure
    assert failure.call.startswith(f"{wrong.function}(")


def test_there_are_enough_mistakes():
    assert len(MISTAKES) >= 40
    assert {wrong.function for wrong in MISTAKES} == {
        e.name for name in assignments.NAMES for e in LOAD(name).exercises
    }


@pytest.mark.parametrize("name", assignments.NAMES)
def test_each_known_mistake_is_caught_with_its_own_hint(name):
    for exercise in LOAD(name).exercises:
        for mistake in exercise.mistakes:
            failures = (run_check(exercise, check, mistake.function) for check in exercise.checks)
            first = next((failure for failure in failures if failure), None)
            assert first is not None, f"{exercise.name}: nobody notices that {mistake.hint}"
            assert first.hint == mistake.hint


def test_another_variants_defaults_are_noticed():
    row = graded("a3", SOLUTION("a3"), variant=1)["focal_loss"]
    assert list(row.failed) == ["default arguments"]


@pytest.mark.parametrize("name", assignments.NAMES)
def test_stubs_are_the_reference_without_its_bodies(name):
    """Signatures and docstrings; of the bodies only the lines that check arguments."""
    module = module_of(stubs.stub_source(LOAD(name)))
    for exercise in LOAD(name).exercises:
        stub = getattr(module, exercise.name)
        assert inspect.signature(stub) == inspect.signature(exercise.reference)
        assert stub.__doc__ == exercise.reference.__doc__
    tree = ast.parse(stubs.stub_source(LOAD(name)))
    bodies = {node.name: node.body for node in tree.body if isinstance(node, ast.FunctionDef)}
    for exercise in LOAD(name).exercises:
        *door, last = bodies[exercise.name][1:]
        assert ast.unparse(last) == "raise NotImplementedError"
        assert all("checks." in ast.unparse(statement) for statement in door)


def test_a_variants_stub_has_its_defaults():
    source = stubs.stub_source(LOAD("a2"), variant=1)
    assert "def nms(boxes: ArrayLike, scores: ArrayLike, iou_threshold: float = 0.6)" in source
    assert "positive_iou: float = 0.6, negative_iou: float = 0.3, force_match: bool = False" in source
    assert "alpha: float | None = None" in stubs.stub_source(LOAD("a3"), variant=1)


def test_a_failing_function_is_replaced_for_those_that_call_it():
    source = SOLUTION("a2") + "def nms(boxes, scores, iou_threshold=0.5):\n    return np.zeros(0)\n"
    rows = graded("a2", source)
    assert (rows["nms"].share, rows["batched_nms"].share) == (0, 1)


def test_the_module_is_left_as_it_was():
    module = module_of(SOLUTION("a2") + "def nms(boxes, scores, iou_threshold=0.5):\n    return None\n")
    before = dict(vars(module))
    list(grade_module(module, LOAD("a2")))
    assert vars(module) == before


@pytest.mark.parametrize(("ratio", "share"), [(0.2, 1), (1.5, 1), (1.6, 0.6), (3, 0.6), (9, 0.3), (11, 0), (1e6, 0)])
def test_speed_is_a_share_of_the_points(ratio, share):
    assert assignments.speed_share(ratio) == share


def test_speed_needs_right_results():
    source = SOLUTION("a5") + "def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):\n    return 0, logits\n"
    rows = {row.name: row for row in grade_module(module_of(source), LOAD("a5"))}
    assert rows["speed of dense_focal_loss"].share == 0
    assert "only when its results are right" in rows["speed of dense_focal_loss"].remark


def test_the_ratio_is_that_of_the_times(monkeypatch):
    """A clock that both functions advance, one by 3 and the other by 2."""
    now = [0.0]
    monkeypatch.setattr("minidet.course.session.time.perf_counter", lambda: now[0])

    def takes(seconds):
        return lambda *args: now.__setitem__(0, now[0] + seconds)

    assert time_ratio(takes(3), takes(2), speed_case()) == pytest.approx(1.5)


def test_speed_is_measured_on_an_ordinary_image():
    logits, labels = speed_case().args
    loss, grad = dense_focal_loss(logits, labels)
    assert 0 < (labels >= 0).mean() < 0.05
    assert loss > 0
    assert grad.shape == logits.shape


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        (np.zeros(3), np.zeros((3, 1)), "shape (3, 1) where (3,) is wanted"),
        (np.zeros(3), None, "nothing was returned"),
        (np.zeros(3), "text", "str, not an array of numbers"),
        (np.zeros(2), [[1, 2], [3]], "list, not an array of numbers"),
        (np.array([1, 2, 3]), np.array([1, 5, 6]), "2 of 3 wrong, first [1]"),
        ((np.zeros(1), np.zeros(2)), (np.zeros(1),), "1 things where 2 are wanted"),
        ([np.zeros(1)], np.zeros(1), "ndarray where 1 things are wanted"),
        (np.array([1.0]), np.array([np.nan]), "1 of 1 wrong, first [0]"),
        (np.array([1.0, 2]), [1.0, 2], ""),
        (np.float32(1), 1 + 1e-7, ""),
    ],
)
def test_a_difference_in_words(expected, got, said):
    assert difference(expected, got, 1e-9, 0) == said


def test_values_are_shown_in_short():
    assert show(np.zeros((0, 4))) == "an empty array of shape (0, 4)"
    assert show(np.arange(3)) == "[0, 1, 2]"
    assert len(show(np.random.default_rng(0).random((100, 100)))) <= 240
    assert show((np.arange(2), 1.5)) == "([0, 1], 1.5)"


def test_points_files(tmp_path):
    file = tmp_path / "points.toml"
    file.write_text(assignments.points_file(), encoding="utf-8")
    for name in assignments.NAMES:
        points = assignments.read_points(file, LOAD(name))
        assert (points.points, points.partial) == (LOAD(name).rows, True)
        assert sum(points.points.values()) == 100
    file.write_text("partial = false\n[a3]\nfocal_loss = 90\n", encoding="utf-8")
    points = assignments.read_points(file, LOAD("a3"))
    assert (points.points["focal_loss"], points.points["smooth_l1"], points.partial) == (90, 10, False)
    for text, message in (
        ("[a3]\nnms = 1", "a3 has no nms"),
        ("[a3]\nfocal_loss = -1", "points of focal_loss"),
        ("a3 =", "points.toml"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            assignments.read_points(file, LOAD("a3"))


def test_unknown_names():
    with pytest.raises(ValueError, match="no assignment 'a9'"):
        assignments.load("a9")
    with pytest.raises(ValueError, match="variant = -1"):
        assignments.variant_defaults(-1)
