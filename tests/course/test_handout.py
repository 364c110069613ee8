"""What students get, what they can find out before handing in, and the autograder's bundle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import types
import zipfile

import numpy as np
import pytest

import minidet
import minidet.reference
from minidet.cli import main
from minidet.course import assignments
from minidet.course.bundle import write_bundle
from minidet.course.handin import problems
from minidet.course.notebook import make_folder, notebook
from minidet.course.submissions import Source
from tests.course.helpers import load, solution, stub

pytestmark = pytest.mark.slow

NAMES = assignments.NAMES


def test_make_and_grade(tmp_path, capsys):
    out = tmp_path / "a3"
    words = ["assignment", "make", "a3", "--out", str(out), "--variant", "1", "--due", "Due on Friday."]
    assert main(words) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "a3.ipynb", "a3.py", "points.toml"]
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "grade a3 . --points points.toml --variant 1" in readme
    assert "Due on Friday." in readme
    assert main(["assignment", "make", "a3", "--out", str(out)]) == 1
    assert "is not overwritten" in capsys.readouterr().err
    results = tmp_path / "results.json"
    words = ["assignment", "grade", "a3", str(out), "--variant", "1", "--format", "gradescope", "--out", str(results)]
    assert main(words) == 0
    assert json.loads(results.read_text(encoding="utf-8"))["score"] == 0
    assert main(["assignment", "grade", "a3", str(tmp_path / "none")]) == 1
    assert "none does not exist" in capsys.readouterr().err
    assert main(["assignment", "points"]) == 0
    assert '"focal_loss_grad" = 25' in capsys.readouterr().out
    assert main(["assignment", "instructions"]) == 0
    assert "container" in capsys.readouterr().out


def test_gradescope_gets_its_file_without_a_module(tmp_path):
    out = tmp_path / "results.json"
    (tmp_path / "submission").mkdir()
    (tmp_path / "submission" / "readme.txt").write_text("Hello")
    words = ["assignment", "grade", "a3", str(tmp_path / "submission"), "--format", "gradescope", "--out", str(out)]
    assert main(words) == 0
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["score"] == 0
    assert "there is no a3.py (but readme.txt)" in content["output"]


@pytest.mark.parametrize("partial", [True, False])
def test_the_handout_says_the_instructors_points(tmp_path, partial):
    points = assignments.Points({"box_iou": 33.25}, partial)
    make_folder(load("a1"), tmp_path, points)
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| box_iou | 33.25 |" in readme
    assert ("share of the checks" in readme) == partial
    again = assignments.read_points(tmp_path / "points.toml", load("a1"))
    assert (again.points["box_iou"], again.partial) == (33.25, partial)
    assert "read_points" in (tmp_path / "a1.ipynb").read_text(encoding="utf-8")


def test_a_variants_story_has_its_thresholds():
    for variant, told in ((0, "\\ge\n0.5$"), (2, "\\ge\n0.55$")):
        (story, *_) = notebook(load("a2"), load("a2").rows, variant)["cells"]
        assert told in "".join(story["source"])
        assert "{" not in "".join(story["source"]).replace("\\mathrm{IoU}", "")


@pytest.mark.parametrize("name", NAMES)
def test_what_a_cell_should_print_is_what_it_prints(name):
    my = types.SimpleNamespace(**{exercise.name: exercise.reference for exercise in load(name).exercises})
    space = {"my": my, "np": np, "minidet": minidet}
    exec("from minidet.config import AnchorConfig, PostprocessConfig", space)
    cells = ["".join(cell["source"]) for cell in notebook(load(name), load(name).rows)["cells"]]
    for exercise in load(name).exercises:
        (told,) = (cell for cell in cells if cell.startswith(f"## {exercise.name} ("))
        printed = str(eval(exercise.example, space))
        assert told.split("should print\n\n")[1] == "\n".join(f"    {line}".rstrip() for line in printed.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_runs_on_the_stub(name, tmp_path, monkeypatch):
    """Every cell but the notebook's own commands, in order, in one namespace."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    make_folder(load(name), tmp_path)
    content = json.loads((tmp_path / f"{name}.ipynb").read_text(encoding="utf-8"))
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
    assert printed[:-1] == ["not written yet"] * (len(load(name).exercises) + 1)
    assert "total" in printed[-1]
    assert " 0 of 100" in printed[-1]
    monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_draws_with_a_solution(name):
    plt = pytest.importorskip("matplotlib.pyplot")
    my = types.ModuleType("my")
    exec(solution(name), vars(my))
    exec(load(name).picture, {"my": my, "np": np, "plt": plt})
    (axes,) = plt.gcf().axes
    assert axes.get_xlabel()
    assert axes.lines or axes.patches or axes.collections
    plt.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_a_solution_is_ready_and_a_stub_is_not(name, tmp_path, capsys):
    file = tmp_path / f"{name}.py"
    assert main(["assignment", "solution", name, "--out", str(file), "--variant", "1"]) == 0
    assert main(["assignment", "check", name, str(tmp_path), "--variant", "1"]) == 0
    assert "is ready" in capsys.readouterr().out
    file.write_text(stub(name), encoding="utf-8")
    assert main(["assignment", "check", name, str(file)]) == 1
    assert f"{load(name).exercises[0].name} is not written yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("def box_area(", "def area("), "box_area is missing"),
        (lambda text: text.replace("def box_area(boxes", "def box_area(b"), "box_area has other arguments"),
        (lambda text: text + "import torch\n", "torch may not be imported"),
        (lambda text: text + "from minidet.reference import nms\n", "minidet.reference may not be imported"),
        (lambda text: text + "def f(:\n", "line "),
    ],
)
def test_what_is_wrong_is_said_before_handing_in(change, told):
    found = problems(Source(change(solution("a1")).encode()), load("a1"))
    assert any(told in one for one in found), found


@pytest.mark.skipif(sys.platform != "linux", reason="Gradescope's container is Linux")
@pytest.mark.parametrize(("file", "score"), [("a1.py", 110), ("boxes.py", 110), ("notes.txt", 0)])
def test_the_bundle_grades_as_in_gradescopes_container(tmp_path, file, score):
    """Unpacked where only NumPy and the bundle's own copy of minidet are to be imported; there is always a result."""
    points = assignments.Points({"clip_boxes": 20})
    write_bundle(load("a1"), tmp_path / "one.zip", points, seed=3, visibility="after_due_date")
    root = tmp_path / "autograder"
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        archive.extractall(root / "source")
    (root / "submission").mkdir()
    (root / "submission" / file).write_text(solution("a1"), encoding="utf-8")
    (root / "venv" / "bin").mkdir(parents=True)
    python = root / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", root / "source" / "setup.sh"], check=False).returncode == 0
    environment = {"AUTOGRADER": str(root), "PATH": "/usr/bin:/bin"}
    command = [bash, root / "source" / "run_autograder"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    content = json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))
    assert (content["score"], content["visibility"]) == (score, "after_due_date")
    assert [test["max_score"] for test in content["tests"] if test["name"] == "clip_boxes"] == [20] * bool(score)
    python.write_text("#!/bin/sh\nexit 3\n")  # nothing works any more
    (root / "results" / "results.json").unlink()
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    assert json.loads((root / "results" / "results.json").read_text(encoding="utf-8"))["score"] == 0


def test_the_same_bundle_is_the_same_file(tmp_path):
    first, second, other = (
        write_bundle(load("a1"), tmp_path / f"{i}.zip", assignments.Points({}), seed=seed).read_bytes()
        for i, seed in enumerate((1, 1, 2))
    )
    assert first == second != other


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
    assert "in a container" in " ".join(result.stdout.split())
