"""`pytest tests --ops file.py` grades somebody's own module with the same tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAIVE_FOCAL = """
import numpy as np

def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    p = 1 / (1 + np.exp(-logits))
    p_t = np.where(targets == 1, p, 1 - p)
    weight = 1 if alpha is None else np.where(targets == 1, alpha, 1 - alpha)
    return -weight * (1 - p_t) ** gamma * np.log(p_t)
"""
GOOD_AREA = """
import torch
from minidet import checks

def box_area(boxes):
    if isinstance(boxes, torch.Tensor):
        wide = boxes.double()
        area = (wide[:, 2] - wide[:, 0]) * (wide[:, 3] - wide[:, 1])
        return area.to(boxes.dtype) if boxes.is_floating_point() else area
    raise TypeError("a tensor is wanted")
"""

UNCHECKED_CELL = """
import numpy as np

def cell_anchors(size, scales, aspect_ratios):
    half = [[size * s / r**0.5 / 2, size * s * r**0.5 / 2] for r in aspect_ratios for s in scales]
    return np.concatenate([-np.array(half), np.array(half)], axis=1)
"""


@pytest.fixture
def grade(tmp_path, capfd, monkeypatch):
    """Runs tests on a module, in this process: PyTorch and Hypothesis are imported already. Returns the report."""

    def graded(source: str, *options: str) -> str:
        file = tmp_path / "my_ops.py"
        file.write_text(source)
        monkeypatch.chdir(ROOT)
        plugins = ("-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:faulthandler")
        seen_before = ("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning")
        capfd.readouterr()
        pytest.main(["-q", *plugins, *seen_before, f"--ops={file}", *options])
        return capfd.readouterr().out

    return graded


def test_a_naive_focal_loss_is_found_out(grade):
    """1 - p has no digits left for confident examples; ordinary logits come out right."""
    report = grade(
        NAIVE_FOCAL,
        "tests/operations/test_losses.py",
        "-k",
        "focal_loss_to_the_last_digits or papers_examples or shapes",
    )
    assert "FAILED tests/operations/test_losses.py::test_focal_loss_to_the_last_digits" in report
    assert "papers_examples" not in "".join(line for line in report.splitlines() if line.startswith("FAILED"))
    assert "has no focal_loss_grad" in report  # what the module lacks is skipped, not failed


def test_a_module_of_tensors(grade):
    report = grade(GOOD_AREA, "tests/operations/test_boxes.py", "-k", "by_hand or integer", "--ops-torch")
    assert " failed" not in report
    assert "has no box_iou" in report


def test_what_bad_input_is_told_is_graded_on_request(grade):
    """A researcher's own function need not raise minidet's errors."""
    tests = ("tests/operations/test_anchors.py", "-k", "cell")
    report = grade(UNCHECKED_CELL, *tests)
    assert " failed" not in report
    assert "1 passed" in report
    report = grade(UNCHECKED_CELL, *tests, "--ops-errors")
    assert "FAILED tests/operations/test_anchors.py::test_bad_cells" in report
    assert "1 passed" in report


def test_a_missing_file(tmp_path):
    command = [sys.executable, "-m", "pytest", "-q", "--ops", str(tmp_path / "none.py"), "tests/operations/test_nms.py"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode != 0
    assert "no such Python file" in result.stdout + result.stderr


@pytest.mark.parametrize("path", ["reference", "compiled"])
def test_minidets_own_paths_pass(grade, path):
    report = grade(
        f"from minidet.{path} import *\n", "tests/operations/test_anchors.py", "tests/operations/test_sampling.py"
    )
    assert " failed" not in report
    assert "passed" in report
