"""Assignments for other graders: notebooks that run, whose students' version holds no solution."""

from __future__ import annotations

import json
import re

import pytest

from minidet.cli import main
from minidet.course.assignments import Points
from minidet.course.export import export, master
from tests.course.helpers import load

BODIES = {
    "otter": r"    \"\"\" # BEGIN PROMPT\n(.*?)    \"\"\"; # END PROMPT\n    # BEGIN SOLUTION NO PROMPT\n.*?# END SOLUTION",
    "nbgrader": r"    ### BEGIN SOLUTION\n()(?:.*?)### END SOLUTION",
}
"""What the other graders' own commands cut out for the students; the group is what they leave."""


def cells(name: str, to: str, kind: str = "code", **settings) -> list[str]:
    content = json.loads(master(load(name), to, Points({}), **settings))
    return ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == kind]


@pytest.mark.slow
@pytest.mark.parametrize("to", BODIES)
@pytest.mark.parametrize("name", ["a1", "a2", "a3", "a4", "a5", "a7"])
def test_the_master_notebook_runs(name, to, capsys):
    space: dict[str, object] = {}
    for source in cells(name, to, seed=4):
        exec(compile(source, "cell", "exec"), space)
    told = capsys.readouterr().out
    assert told.count("right, all") == (2 * len(load(name).exercises) if to == "nbgrader" else 0)
    assert "The first that does not" not in told


@pytest.mark.parametrize("to", BODIES)
def test_what_students_get_is_the_stub(to):
    """With the solution cut out as the other grader does it, each function is its head and no more."""
    for source in cells("a3", to):
        if source.startswith("def "):
            left = re.sub(BODIES[to], r"\1", source, flags=re.DOTALL)
            lines = left.rpartition('"""')[2].split("\n")
            written = [line for line in lines if line.strip() not in ("", "raise NotImplementedError")]
            assert [line for line in written if "checks." not in line] == []


def test_points_and_hidden_inputs_are_given_on():
    text = master(load("a1"), "nbgrader", Points({"box_iou": 40}), variant=0, seed=77)
    graded = [cell for cell in json.loads(text)["cells"] if cell["metadata"].get("nbgrader", {}).get("grade")]
    worth = {cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"]["points"] for cell in graded}
    assert worth["test_box_iou"] == 40
    assert all(re.search(r"### BEGIN HIDDEN.*\n.*, 77, 0\)\n### END HIDDEN", "".join(c["source"])) for c in graded)
    questions = cells("a1", "otter", kind="raw", seed=77)
    assert "# BEGIN QUESTION\nname: box_iou\npoints: 15" in questions
    hidden = [source for source in cells("a1", "otter", seed=77) if source.startswith("# HIDDEN")]
    assert len(hidden) == len(load("a1").exercises)
    assert all("'other inputs', 77, 0)" in source for source in hidden)


def test_nothing_is_overwritten_and_tests_are_not_exported(tmp_path, capsys):
    command = ["assignment", "export", "a2", "--to", "nbgrader", "--out", str(tmp_path)]
    assert main(command) == 0
    assert (tmp_path / "source" / "a2" / "a2.ipynb").exists()
    assert (tmp_path / "nbgrader_config.py").exists()
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a6 asks for tests"):
        export(load("a6"), "otter", tmp_path)
