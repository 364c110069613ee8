"""Tests that students write: the solution's find everything, tests that find nothing or too much earn nothing."""

from __future__ import annotations

import numpy as np
import pytest

from minidet.course.mutants import RIGHT, careful, functions_under_test, mutants
from tests.course.helpers import grade, graded, load, row, solution, stub

SUBJECTS = [exercise.subject for exercise in load("a6").exercises]


def only(name: str, body: str) -> str:
    return f"{stub('a6')}\ndef {name}(function):\n    {body}\n"


@pytest.mark.slow
def test_the_solution_finds_every_wrong_function():
    result = grade("a6", solution("a6"))
    assert (result.total, result.remark) == (100, "")


def test_a_test_that_finds_nothing_earns_nothing():
    one = graded("a6", only("test_nms", "pass"))["test_nms"]
    assert one.share == 0
    assert one.passed == [RIGHT]
    assert "none of the tests notices" in one.first_failure.hint


@pytest.mark.parametrize("body", ["assert False", "raise ValueError", "assert len(function([], [])) == 1"])
def test_a_test_that_a_right_function_fails_earns_nothing(body):
    one = graded("a6", only("test_nms", body))["test_nms"]
    assert one.share == 0
    assert next(iter(one.failed)) == RIGHT
    assert "a right function does not do" in one.first_failure.hint


def test_the_share_is_that_of_the_wrong_functions_that_are_found():
    body = "assert list(function([[0, 0, 9, 9], [50, 0, 59, 9]], [0.5, 0.9])) == [1, 0]"
    one = graded("a6", only("test_nms", body))["test_nms"]
    found = [name for name in one.passed if name != RIGHT]
    assert one.share == len(found) / len(mutants(load("a2").exercise("nms")))
    assert 0 < one.share < 1


def test_guessing_does_not_pay():
    """The right function is tried several times, in an order that nobody knows."""
    guess = "import itertools\ncalls = itertools.count()\n"
    source = only("test_nms", "assert next(calls) == 0") + guess
    assert [graded("a6", source, seed=seed)["test_nms"].share for seed in range(4)] == [0] * 4


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_wrong_functions_take_what_the_right_one_takes(subject):
    """Lists, keywords, and input that is empty or refused tell nobody which function it is."""
    (one, *_) = (
        one for check in subject.checks if check.name == "empty input" for one in check.cases(np.random.default_rng(0))
    )
    names = list(subject.parameters)
    required = sum(parameter.default is parameter.empty for parameter in subject.parameters.values())
    given = [[] if np.size(part) == 0 else part for part in one.args]
    kwargs = dict(zip(names, given, strict=False)) | dict(one.kwargs)
    right = subject.reference(**kwargs)
    for name, function in functions_under_test(subject).items():
        np.testing.assert_equal(np.asarray(function(**kwargs)).shape, np.asarray(right).shape, err_msg=name)
        with pytest.raises(ValueError, match=r"no boxes|dtype|shape"):
            function(*["no boxes"] * required)


def test_a_wrong_function_is_right_where_its_formula_knows_no_answer():
    def formula(boxes1, boxes2):
        raise ZeroDivisionError

    iou = load("a1").exercise("box_iou")
    assert careful(iou, formula)([[0, 0, 1, 1]], [[0, 0, 1, 1]]) == 1


def test_a_test_does_not_learn_which_function_it_is_given():
    body = "import inspect; assert 'nms' not in repr(function) and not hasattr(function, 'hint')"
    result = grade("a6", only("test_nms", body))
    assert RIGHT in row(result, "test_nms").passed
