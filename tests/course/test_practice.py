"""Checking a function where it is written: what is told step by step, and the exercises of the chapters."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest

from minidet.course.check import case
from minidet.course.compare import show_call
from minidet.course.practice import check, earned, require
from minidet.reference import box_iou, clip_boxes, cross_entropy, nms, smooth_l1
from minidet.reference import box_iou as right_iou
from tests.course.helpers import load, module_of, solution, stub

CHAPTERS = Path(__file__).parents[2] / "chapters"
EXERCISES = {
    "02_boxes_and_iou": "box_iou", "03_anchors": "cell_anchors", "04_matching": "decode_boxes",
    "05_imbalance": "cross_entropy_grad", "06_focal_loss": "focal_loss_star_grad", "07_numerics": "focal_loss",
    "11_inference": "batched_nms", "12_average_precision": "match_detections",
}  # fmt: skip


def iou_of(width: str, union: str) -> object:
    """A `box_iou` with these expressions in it."""
    source = f"""
import numpy as np
def box_iou(boxes1, boxes2):
    a, b = boxes1[:, None], boxes2[None]
    width, height = (np.minimum(a[..., i + 2], b[..., i + 2]) - np.maximum(a[..., i], b[..., i]) for i in (0, 1))
    width, height = {width}
    areas = [(c[..., 2] - c[..., 0]) * (c[..., 3] - c[..., 1]) for c in (a, b)]
    both = width * height
    union = areas[0] + areas[1] - both
    return {union}
"""
    return module_of(source).box_iou


def test_a_student_is_wrong_twice_and_then_right():
    """Chapter 2's exercise: the naive formula, the same with clamped sides, and with boxes of no area."""
    first = check(iou_of("width, height", "both / union"))
    assert not first.right
    assert "The first that does not: boxes apart" in repr(first)
    clamped = "width.clip(0), height.clip(0)"
    second = check(iou_of(clamped, "both / union"))
    assert "The first that does not: boxes of no area" in repr(second)
    assert len(second.row.passed) > len(first.row.passed)
    third = check(iou_of(clamped, "np.where(union > 0, both / np.where(union > 0, union, 1), 0).astype(both.dtype)"))
    assert third.right
    assert repr(third) == "box_iou: right, all 8 checks pass"


def test_hints_come_in_steps():
    wrong = iou_of("width, height", "both / union")
    texts = [repr(check(wrong, hints=hints)) for hints in (0, 1, 2)]
    labels = [re.findall(r"^  (\w+) ", text, re.MULTILINE) for text in texts]
    shown = ["input", "expected", "came"]
    assert labels == [shown, [*shown, "rule"], [*shown, "rule", "hint"]]
    assert "hints=1) says more" in texts[0]
    assert "hints=2) says more" in texts[1]
    assert "says more" not in texts[2]
    assert "negative sides" in texts[2]
    with pytest.raises(ValueError, match="0, 1 or 2 is expected"):
        check(wrong, hints=3)


@pytest.mark.parametrize("function", [box_iou, clip_boxes, cross_entropy, smooth_l1])
def test_the_shown_call_pasted_repeats_a_failure_of_the_type(function):
    """Of a function that gives everything in float64."""

    @functools.wraps(function)
    def wrong(*args, **kwargs):
        return function(*args, **kwargs).astype(np.float64)

    call = check(wrong).row.failed["type of the result"].call
    right = eval(call, {"np": np, function.__name__: function})
    again = eval(call, {"np": np, function.__name__: wrong})
    assert (right.dtype, again.dtype) == (np.float32, np.float64)


def test_arrays_are_shown_with_their_type_where_one_is_narrow():
    nothing, labels = np.zeros((0, 4), np.float32), np.array([0, 1])
    lists = [np.ones((1, 2), np.float32), nothing]
    assert show_call(right_iou, case(lists, np.ones(2), k=labels)) == (
        "box_iou(boxes1=[np.float32([[1., 1.]]), np.float32(np.zeros((0, 4), '<f4'))], boxes2=np.array([1., 1.]), "
        "k=np.array([0, 1]))"
    )
    assert show_call(right_iou, case(np.ones(2), labels)) == "box_iou(boxes1=[1., 1.], boxes2=[0, 1])"


@pytest.mark.parametrize("name", ["a1", "a3", "a7"])
def test_the_stubs_say_which_type_is_asked_for(name):
    for one in load(name).exercises:
        if any(rule.name == "type of the result" and "floating type" in rule.hint for rule in one.checks):
            said = " ".join((getattr(module_of(stub(name)), one.name).__doc__ or "").split())
            assert re.search("in the type of|floating type of the (logits|predictions|input)|and type of", said), (
                one.name
            )


def test_an_error_is_told_with_its_line():
    def box_area(boxes):
        return boxes[:, 7]

    text = " ".join(repr(check(box_area, hints=2)).split())
    assert "IndexError" in text
    assert "return boxes[:, 7]" in text
    assert "in line" in text


def test_what_nobody_asks_for_is_refused():
    with pytest.raises(ValueError, match=r"no assignment asks for a function 'sorted'"):
        check(sorted)
    with pytest.raises(ValueError, match="nms has no check 'speed'"):
        require(nms, "speed")


@pytest.mark.parametrize("name", ["a1", "a2", "a3", "a4", "a5", "a7"])
def test_right_functions_earn_everything(name, capsys):
    module = module_of(solution(name))
    for exercise in load(name).exercises:
        assert earned(getattr(module, exercise.name), 7.5, seed=3) == 7.5
        for one in exercise.checks:
            require(getattr(module, exercise.name), one.name)
    assert capsys.readouterr().out.count("right, all") == len(load(name).exercises)


def test_a_failed_check_says_why(capsys):
    wrong = iou_of("width.clip(0), height.clip(0)", "both / union")
    require(wrong, "overlapping boxes")
    with pytest.raises(AssertionError, match="0 / 0 is not a number"):
        require(wrong, "boxes of no area")
    assert 0 < earned(wrong, 8) < 8
    assert "boxes of no area" in capsys.readouterr().out


@pytest.mark.parametrize("chapter", EXERCISES)
def test_a_chapters_exercise_is_open_and_its_solution_right(chapter):
    cells = json.loads((CHAPTERS / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    place = next(i for i, cell in enumerate(cells) if "".join(cell["source"]).startswith("## Exercise"))
    stub, call, folded = ("".join(cell["source"]) for cell in cells[place + 1 : place + 4])
    name = EXERCISES[chapter]
    assert call == f"check({name})"
    space = {"np": np, "box_iou": right_iou, "nms": nms}
    exec(stub, space)
    assert "not written yet" in repr(space["check"](space[name]))
    assert folded.startswith("<details><summary>Solution</summary>")
    exec(re.search(r"```python\n(.*?)```", folded, re.DOTALL)[1], space)
    assert space["check"](space[name]).right
