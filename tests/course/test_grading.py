"""Grading in a process of its own: limits, formats, folders, the bundle, the notebook."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minidet.cli import main
from minidet.course import assignments, report, stubs
from minidet.course.bundle import write_bundle
from minidet.course.copies import find_copies
from minidet.course.grading import Limits, Result, grade_submission
from minidet.course.notebook import notebook
from minidet.course.session import Row

A1, A2, A3 = (assignments.load(name) for name in ("a1", "a2", "a3"))
SOLUTION = stubs.solution_source(A1)
QUICK = Limits(seconds=0.3)
IDENTICAL = """
import numpy as np


def nms(boxes, scores, iou_threshold=0.5):
    keep, order = [], np.argsort(-scores)
    while len(order):
        keep.append(order[0])
        iou = box_iou(boxes[order[:1]], boxes[order[1:]])[0]
        order = order[1:][iou <= iou_threshold]
    return np.array(keep, np.int64)
"""
OTHERS = [name for name in A1.rows if name != "clip_boxes"]


def with_clip(body: str) -> str:
    return f"{SOLUTION}\ndef clip_boxes(boxes, image_size):\n    {body}\n"


def grade_source(tmp_path: Path, source: str, limits: Limits = QUICK) -> Result:
    file = tmp_path / "a1.py"
    file.write_text(source, encoding="utf-8")
    return grade_submission(A1, file, limits=limits)


ACCIDENTS = {
    "endless loop": ("while True: pass", "no result within 0.3 seconds"),
    "endless loop that nothing interrupts": (
        "import signal; signal.signal(signal.SIGPROF, signal.SIG_IGN)\n    while True: pass", "nothing came back in time",
    ),
    "waits for input": ("input()", "EOFError"),
    "100 GB": ("return np.ones((100, 2**27))", "ran out of memory"),
    "sys.exit": ("import sys; sys.exit(0)", r"sys.exit\(0\) was called"),
    "os._exit": ("import os; os._exit(3)", "exit status 3"),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
    "solution": ("from minidet import reference; return reference.clip_boxes(boxes, image_size)",
    "reference may not be"),
    "fast solution": ("import minidet.compiled as m; return m.clip_boxes(boxes, image_size)", "compiled may not be"),
    "torchvision": ("import torchvision; return torchvision.ops.clip_boxes_to_image(boxes, image_size)", "may not be"),
    "large file": ("open('big', 'wb').write(bytes(2**25)); return boxes", "Permission denied"),
    "own error": ("return boxes / undefined",
    r"NameError: name 'undefined' is not defined \(line \d+: return boxes / undefined\)"),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="the limits are those of Linux")
@pytest.mark.parametrize("name", ACCIDENTS)
def test_an_accident_costs_its_own_function(tmp_path, name, monkeypatch):
    body, told = ACCIDENTS[name]
    if told == "nothing came back in time":
        monkeypatch.setattr(Limits, "patience", 10.0)
    result = grade_source(tmp_path, with_clip(body))
    earned = {row.name: result.earned(row) for row in result.rows}
    assert earned == {**A1.rows, "clip_boxes": 0}
    failure = next(row for row in result.rows if row.name == "clip_boxes").first_failure
    assert failure is not None
    assert re.search(told, failure.got), failure


def test_a_gigabyte_of_prints_goes_nowhere(tmp_path):
    flood = "for _ in range(90): print('x' * 2**20)"  # in each of a dozen calls
    body = f"{flood}\n    h, w = image_size\n    return boxes.clip(0, np.array([w, h] * 2, boxes.dtype))"
    result = grade_source(tmp_path, with_clip(body), Limits())
    assert result.total == 100


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
def test_a_module_that_cannot_be_imported(tmp_path, source, told):
    result = grade_source(tmp_path, source)
    assert result.total == 0
    assert [row.name for row in result.rows] == list(A1.rows)
    assert re.search(told, result.remark), result.remark
    assert result.remark in " ".join(report.table(result).split())


def test_the_table_explains(tmp_path):
    wrong = (
        "def box_iou(boxes1, boxes2):\n"
        "    low, high = np.maximum(boxes1[:, None, :2], boxes2[:, :2]), np.minimum(boxes1[:, None, 2:], "
        "boxes2[:, 2:])\n"
        "    both = np.prod(high - low, axis=2)\n"
        "    return both / (box_area(boxes1)[:, None] + box_area(boxes2) - both)\n"
    )
    text = report.table(grade_source(tmp_path, SOLUTION + wrong, Limits()))
    assert "box_iou: boxes apart" in text or "box_iou: boxes that touch" in text
    assert "set each side to at least 0" in " ".join(text.split())
    assert "expected" in text
    assert "box_area              5 of 5    6 of 6" in text


GRADESCOPE = {
    "score": (int, float), "execution_time": (int,), "output": (str,), "visibility": (str,),
    "stdout_visibility": (str,), "tests": (list,),
}  # fmt: skip
GRADESCOPE_TEST = {
    "score": (int, float), "max_score": (int, float), "name": (str,), "number": (str,), "output": (str,),
    "status": (str,), "visibility": (str,),
}  # fmt: skip


def test_gradescopes_format():
    """Keys, types and words of the published specification of results.json."""
    result = Result("a3", "somebody", [Row("focal_loss", passed=["alpha"], share=1.0), Row("smooth_l1",
    remark="not written yet")],
                    {"focal_loss": 15, "smooth_l1": 10})  # fmt: skip
    content = json.loads(report.gradescope(result))
    assert {key: isinstance(content[key], kinds) for key, kinds in GRADESCOPE.items()} == dict.fromkeys(
        GRADESCOPE, True
    )
    assert content.keys() <= GRADESCOPE.keys()
    for test in content["tests"]:
        assert test.keys() == GRADESCOPE_TEST.keys()
        assert all(isinstance(test[key], kinds) for key, kinds in GRADESCOPE_TEST.items())
        assert test["status"] in ("passed", "failed")
        assert test["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    assert content["score"] == sum(test["score"] for test in content["tests"]) == 15
    assert [test["status"] for test in content["tests"]] == ["passed", "failed"]


def test_all_or_nothing():
    result = Result("a3", "somebody", [Row("focal_loss", share=0.9)], {"focal_loss": 15})
    assert result.total == 13.5
    result.partial = False
    assert result.total == 0


def test_a_folder_of_submissions(tmp_path, capsys):
    folder = tmp_path / "submissions"
    for name, source in (
        ("ann", SOLUTION), ("bob", with_clip("import os; os._exit(1)")), ("cyd", "import nothing_like_that"), ("eve",
        None),
    ):  # fmt: skip
        (folder / name).mkdir(parents=True)
        if source is not None:
            (folder / name / "a1.py").write_text(source, encoding="utf-8")
    (folder / "=dan.py").write_text(stubs.stub_source(A1), encoding="utf-8")
    out = tmp_path / "grades.csv"
    assert main(["assignment", "grade", "a1", "--all", str(folder), "--out", str(out)]) == 0
    rows = {row["submission"]: row for row in csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))}
    assert {name: row["points"] for name, row in rows.items()} == {
        "'=dan": "0",
        "ann": "100",
        "bob": "90",
        "cyd": "0",
        "eve": "0",
    }
    assert rows["bob"]["clip_boxes"] == "0"
    assert "nothing_like_that" in rows["cyd"]["remark"]
    assert "there is no a1.py" in rows["eve"]["remark"]
    assert "copy group" in rows["ann"]["worth_a_look"]
    assert rows["'=dan"]["worth_a_look"] == ""


def test_copies_are_found_under_other_names():
    ann = IDENTICAL
    bob = (
        ann.replace("keep", "chosen")
        .replace("order", "rest")
        .replace("iou =", "overlap =")
        .replace("iou <=", "overlap <=")
    )
    bob = bob.replace("0.5):\n", "0.5):\n    'All mine.'\n")
    cyd = ann.replace("<=", "<")
    files = {name: source.encode() for name, source in (("ann", ann), ("bob", bob), ("cyd", cyd))}
    assert find_copies(files, A2) == {
        "ann": ["copy group 1 (2 submissions): nms"], "bob": ["copy group 1 (2 submissions): nms"], "cyd": [],
    }  # fmt: skip


def test_make_and_grade(tmp_path, capsys):
    out = tmp_path / "a3"
    assert main(["assignment", "make", "a3", "--out", str(out), "--variant", "1"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "a3.ipynb", "a3.py", "points.toml"]
    assert "grade a3 . --points points.toml --variant 1" in (out / "README.md").read_text(encoding="utf-8")
    assert main(["assignment", "make", "a3", "--out", str(out)]) == 1
    assert "is not overwritten" in capsys.readouterr().err
    results = tmp_path / "results.json"
    words = ["assignment", "grade", "a3", str(out), "--variant", "1", "--format", "gradescope", "--out", str(results)]
    assert main(words) == 0
    assert json.loads(results.read_text(encoding="utf-8"))["score"] == 0
    assert main(["assignment", "grade", "a3", str(tmp_path / "none")]) == 1
    assert "none does not exist" in capsys.readouterr().err
    assert main(["assignment", "grade", "a3", "--all", str(tmp_path / "none")]) == 1
    assert "none is no folder of submissions" in capsys.readouterr().err
    assert main(["assignment", "points"]) == 0
    assert '"focal_loss_grad" = 25' in capsys.readouterr().out
    assert main(["assignment", "instructions"]) == 0
    assert "no sandbox" in capsys.readouterr().out


@pytest.mark.parametrize("name", assignments.NAMES)
def test_the_notebook_runs_on_the_stub(name, tmp_path, monkeypatch):
    """Every cell but the notebook's own commands, in order, in one namespace."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    assignment = assignments.load(name)
    content = notebook(assignment, assignment.rows)
    (tmp_path / f"{name}.py").write_text(stubs.stub_source(assignment), encoding="utf-8")
    (tmp_path / "points.toml").write_text(assignments.Points({}).toml(assignment), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    nbformat = pytest.importorskip("nbformat")
    nbformat.validate(nbformat.from_dict(content))
    printed: list[str] = []
    names = {"print": lambda *values: printed.append(" ".join(map(str, values)))}
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(line for line in cell["source"] if not line.startswith("%")), names)
    assert printed[:-1] == ["not written yet"] * (len(assignment.exercises) + 1)
    assert "total" in printed[-1]
    assert " 0 of 100" in printed[-1]
    monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("name", assignments.NAMES)
def test_the_notebook_draws_with_a_solution(name):
    plt = pytest.importorskip("matplotlib.pyplot")
    assignment = assignments.load(name)
    my = types.ModuleType("my")
    exec(stubs.solution_source(assignment), vars(my))
    exec(assignment.picture, {"my": my, "np": np, "plt": plt})
    (axes,) = plt.gcf().axes
    assert axes.get_xlabel()
    assert axes.lines or axes.patches or axes.collections
    plt.close("all")


@pytest.mark.skipif(sys.platform != "linux", reason="Gradescope's container is Linux")
def test_the_bundle_grades_as_in_gradescopes_container(tmp_path):
    """The same bytes twice; unpacked where only NumPy and the bundle's own copy of minidet are to be imported."""
    points = assignments.Points({"clip_boxes": 20})
    first = write_bundle(A1, tmp_path / "one.zip", points).read_bytes()
    assert write_bundle(A1, tmp_path / "two.zip", points).read_bytes() == first
    root = tmp_path / "autograder"
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {"setup.sh", "run_autograder", "minidet/course/worker.py"} <= set(archive.namelist())
        archive.extractall(root / "source")
    (root / "submission").mkdir()
    (root / "submission" / "a1.py").write_text(SOLUTION, encoding="utf-8")
    (root / "venv" / "bin").mkdir(parents=True)
    python = root / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", root / "source" / "setup.sh"], check=False).returncode == 0
    done = subprocess.run(
        [bash, root / "source" / "run_autograder"], env={"AUTOGRADER": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))
    assert content["score"] == 110
    assert [test["max_score"] for test in content["tests"] if test["name"] == "clip_boxes"] == [20]


def test_help_is_light():
    code = """
import sys
from minidet.cli import main
try:
    main(["assignment", "grade", "--help"])
except SystemExit:
    print([name for name in ("torch", "matplotlib", "numba", "minidet.reference") if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("[]")
    assert "no sandbox" in " ".join(result.stdout.split())
