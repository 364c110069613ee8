"""Grading in processes of their own: an accident costs its own function, and the student learns what happened."""

from __future__ import annotations

import re
import sys

import pytest

from minidet.course import report
from minidet.course.check import Outcome, case
from minidet.course.process import Limits
from minidet.course.speed import time_ratio
from tests.course.helpers import grade, load, row, solution, stub

pytestmark = pytest.mark.slow

SHORT = Limits(seconds=0.3, total=20.0)


def with_clip(body: str) -> str:
    return f"{solution('a1')}\ndef clip_boxes(boxes, image_size):\n    {body}\n"


ACCIDENTS = {
    "endless loop": ("while True: pass", "no result within 0.3 seconds", "come to an end"),
    "waits for input": ("input()", "EOFError", "raises EOFError"),
    "100 GB": ("return np.ones((100, 2**27))", "ran out of memory", "far too large"),
    "a large result": ("return np.ones((100, 2**16))", "TooLarge", "far too large"),
    "sys.exit": ("import sys; sys.exit(0)", r"sys.exit\(0\) was called", "remove the call of exit"),
    "os._exit": ("import os; os._exit(3)", "exit status 3", "crashes end like this"),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV", "crashes end like this"),
    "recursion": ("return clip_boxes(boxes, image_size)", "RecursionError", "calls itself without end"),
    "solution": ("from minidet import reference; return reference.clip_boxes(boxes, image_size)",
        "reference may not be", "raises ImportError"),
    "torchvision": ("import torchvision; return boxes", "may not be imported", "raises ImportError"),
    "own error": ("return boxes / undefined",
        r"NameError: name 'undefined' is not defined \(line \d+: return boxes / undefined\)", "does not exist"),
    "a dictionary": ("return {'boxes': boxes}", "dict", "of the class dict"),
    "a generator": ("return (box for box in boxes)", "generator", "of the class generator"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_costs_its_own_function(name):
    body, told, hint = ACCIDENTS[name]
    result = grade("a1", with_clip(body), SHORT)
    assert {one.name: result.earned(one) for one in result.rows} == {**load("a1").rows, "clip_boxes": 0}
    failure = row(result, "clip_boxes").first_failure
    assert re.search(told, failure.got), failure
    assert re.search(hint, failure.hint), failure


def test_what_a_notebook_leaves_behind_does_no_harm():
    left = """
import matplotlib.pyplot as plt
from tqdm import tqdm
from tqdm.auto import trange
from IPython.display import display
from minidet.course.grading import grade_submission
from minidet.plotting import GAMMA_COLOURS
plt.figure(figsize=(3, 3)).add_subplot().plot([1, 2])
count = sum(1 for _ in tqdm(range(3)))
assert count == 3 and list(trange(2)) == [0, 1]
"""
    assert grade("a1", solution("a1") + left).total == 100


def test_a_gigabyte_of_prints_goes_nowhere():
    flood = "for _ in range(30): print('x' * 2**20)"  # in each of some thirty calls
    body = f"{flood}\n    h, w = image_size\n    return boxes.clip(0, np.array([w, h] * 2, boxes.dtype))"
    assert grade("a1", with_clip(body), Limits()).total == 100


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def box_area(boxes:\n    pass\n", r"SyntaxError: .*line 1"),
        ("import torchvision\n", r"torchvision may not be imported.*line 1"),
        ("import numpy as np\nraise SystemExit\n", r"sys.exit\(None\) was called \(line 2\)"),
        ("while True: pass\n", "no result within 0.3 seconds"),
        ("import os; os._exit(7)\n", "exit status 7"),
    ],
)
def test_a_module_that_cannot_be_imported(source, told):
    result = grade("a1", source, SHORT)
    assert result.total == 0
    assert [one.name for one in result.rows] == list(load("a1").rows)
    assert re.search(told, result.remark), result.remark
    assert result.remark in " ".join(report.table(result).split())


def test_renamed_arguments_do_no_harm():
    source = solution("a2") + "_n = nms\ndef nms(b, s, t=0.5):\n    return _n(b, s, t)\n"
    assert row(grade("a2", source), "nms").share == 1


def test_the_table_explains():
    wrong = (
        "def box_iou(boxes1, boxes2):\n"
        "    low = np.maximum(boxes1[:, None, :2], boxes2[:, :2])\n"
        "    both = np.prod(np.minimum(boxes1[:, None, 2:], boxes2[:, 2:]) - low, axis=2)\n"
        "    return both / (box_area(boxes1)[:, None] + box_area(boxes2) - both)\n"
    )
    text = report.table(grade("a1", solution("a1") + wrong))
    assert "set each side to at least 0" in " ".join(text.split())
    assert "expected" in text
    assert re.search(r"box_area +5 of 5 +6 of 6", text)


SLOW = """
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    n, k = logits.shape
    norm = max(1, int((np.asarray(labels) >= 0).sum())); g = np.zeros_like(logits); total = 0.0
    for i in range(n):
        if labels[i] != -2:
            t = (labels[i] == np.arange(k)).astype(float)
            total += focal_loss(logits[i], t, gamma, alpha).sum()
            g[i] = focal_loss_grad(logits[i], t, gamma, alpha) / norm
    return logits.dtype.type(total / norm), g
"""
MEMO = """
_slow, _memo = dense_focal_loss, {}
def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):
    key = (logits.tobytes(), labels.tobytes(), logits.dtype.str, gamma, alpha)
    if key not in _memo:
        _memo[key] = _slow(logits, labels, gamma, alpha)
    return _memo[key]
"""


@pytest.mark.parametrize("source", [SLOW, SLOW + MEMO], ids=["a loop", "a loop that remembers"])
def test_a_loop_over_anchors_is_slow(source):
    result = grade("a5", solution("a5") + source, Limits(seconds=2.0))
    assert row(result, "dense_focal_loss").share == 1
    speed = row(result, "speed of dense_focal_loss")
    assert speed.share < 0.5
    assert "no Python loop over anchors" in speed.first_failure.hint


def test_a_type_that_is_wrong_costs_no_speed():
    source = solution("a5") + "_d = dense_focal_loss\ndef dense_focal_loss(x, y, gamma=2.0, alpha=0.25):\n"
    source += "    loss, grad = _d(x, y, gamma, alpha)\n    return np.float64(loss), grad.astype(np.float64)\n"
    result = grade("a5", source, Limits())
    assert list(row(result, "dense_focal_loss").failed) == ["type of the result"]
    assert "times the reference's time" in row(result, "speed of dense_focal_loss").remark


def test_speed_needs_right_results():
    source = stub("a5") + "def dense_focal_loss(logits, labels, gamma=2.0, alpha=0.25):\n    return 0, logits\n"
    speed = row(grade("a5", source), "speed of dense_focal_loss")
    assert speed.share == 0
    assert "only when its results are right" in speed.remark


def test_the_ratio_is_that_of_the_times(monkeypatch):
    """A clock that the functions advance: 3 and 2, of which the way there and back takes 1 each."""
    now = [0.0]
    monkeypatch.setattr("minidet.course.speed.time.perf_counter", lambda: now[0])

    def takes(seconds):
        return lambda one: (now.__setitem__(0, now[0] + seconds), Outcome(0.0))[1]

    cases = [case(0)] * 4
    assert time_ratio(cases, takes(4.0), takes(3.0), takes(1.0), lambda a, b: True) == (1.5, "")
    assert time_ratio(cases, takes(4.0), takes(3.0), takes(1.0), lambda a, b: False)[1].endswith("are not right")
