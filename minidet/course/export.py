"""An assignment for two other graders, otter-grader and nbgrader: a master notebook with solutions and tests.

Their own commands make the students' version of it and grade with it. The checks and hints are the same; but these
graders run submissions with the tests in one process, each function with the student's own versions of the others.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minidet.course.assignments import Assignment, Points
from minidet.course.check import Exercise
from minidet.course.judging import checks_of
from minidet.course.notebook import story
from minidet.course.stubs import closure, solution_source, stub_source
from minidet.files import write_text

CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "minidet"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
"""
Cell = dict[str, Any]


def export(
    assignment: Assignment, to: str, out: Path, points: Points | None = None, variant: int = 0, seed: int = 0
) -> list[Path]:
    """Write the master notebook for another grader.

    Args:
        to: "otter" or "nbgrader".
        out: for nbgrader the folder of the course; for otter the folder of the notebook.
        points, variant, seed: as in `minidet.course.grading.grade_submission`.

    Returns:
        The files.

    Raises:
        ValueError: the assignment asks for tests, or for other points than its functions have; or a file exists.
    """
    if any(one.subject for one in assignment.exercises):
        raise ValueError(f"{assignment.name} asks for tests, which other graders cannot run: grade it with `grade`")
    name = assignment.name
    notebook = out / f"{name}.ipynb" if to == "otter" else out / "source" / name / f"{name}.ipynb"
    files = {notebook: master(assignment, to, points or Points({}), variant, seed)}
    if to == "nbgrader" and not (out / "nbgrader_config.py").exists():
        files[out / "nbgrader_config.py"] = CONFIG
    if notebook.exists():
        raise ValueError(f"{notebook} exists: move it away, or choose another folder")
    return [write_text(path, text) for path, text in files.items()]


def master(assignment: Assignment, to: str, points: Points, variant: int = 0, seed: int = 0) -> str:
    """The master notebook as JSON."""
    worth = assignment.with_points(points.points)
    make = _otter if to == "otter" else _nbgrader
    first = [_cell("raw", f"# ASSIGNMENT CONFIG\nname: {assignment.name}\ninit_cell: false")] if to == "otter" else []
    imports = "from minidet.course.practice import check, earned, require"
    given = ["\n".join([*_imports(assignment, variant), imports]), *closure(assignment.given)]
    cells = [*first, _cell("markdown", f"# {assignment.name}: {assignment.title}\n{story(assignment, variant)}")]
    cells.append(_cell("code", "\n\n\n".join(given)))
    if to == "nbgrader":
        cells[-1]["metadata"]["nbgrader"] = _told("given", locked=True)
    for exercise in assignment.exercises:
        cells += make(exercise, function_parts(assignment, exercise, variant), worth[exercise.name], variant, seed)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def function_parts(assignment: Assignment, exercise: Exercise, variant: int) -> tuple[str, str]:
    """A function's head with docstring, as in the stub, and a right body, which holds all helpers that it needs."""
    stub = _function(stub_source(assignment, variant), exercise.name)
    head = stub.rpartition("    raise NotImplementedError")[0]
    names = [one.name for one in assignment.exercises]
    given = set(closure(assignment.given))
    own = [part for part in closure([exercise.reference]) if part not in given and not _is_of(part, names)]
    tree = ast.parse(inspect.getsource(exercise.reference)).body[0]
    lines = inspect.getsource(exercise.reference).splitlines()
    assert isinstance(tree, ast.FunctionDef)
    body = "\n".join(lines[tree.body[0].end_lineno or 0 :])
    door = head.rpartition('"""\n')[2].strip("\n")  # the lines that check arguments stand in the head already
    body = body.removeprefix(door)
    helpers = [textwrap.indent(part, "    ") for part in own]
    return head, "\n".join([*helpers, body])


def _otter(exercise: Exercise, parts: tuple[str, str], points: float, variant: int, seed: int) -> Iterator[Cell]:
    name, (head, body) = exercise.name, parts
    prompt = '    """ # BEGIN PROMPT\n    raise NotImplementedError\n    """; # END PROMPT'
    yield _cell("raw", f"# BEGIN QUESTION\nname: {name}\npoints: {points:g}")
    yield _cell("markdown", f"## {name} ({points:g} points)")
    yield _cell("raw", "# BEGIN SOLUTION")
    yield _cell("code", f"{head}{prompt}\n    # BEGIN SOLUTION NO PROMPT\n{body}\n    # END SOLUTION")
    yield _cell("raw", "# END SOLUTION")
    yield _cell("raw", "# BEGIN TESTS")
    for one in checks_of(exercise, seed):
        hidden = "# HIDDEN\n" if one.name == checks_of(exercise, seed)[-1].name else ""
        yield _cell("code", f"{hidden}require({name}, {one.name!r}, {seed if hidden else 0}, {variant})")
    yield _cell("raw", "# END TESTS")
    yield _cell("raw", "# END QUESTION")


def _nbgrader(exercise: Exercise, parts: tuple[str, str], points: float, variant: int, seed: int) -> Iterator[Cell]:
    name, (head, body) = exercise.name, parts
    yield _cell("markdown", f"## {name} ({points:g} points)")
    solution = _cell("code", f"{head}    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION")
    solution["metadata"]["nbgrader"] = _told(name, solution=True)
    yield solution
    hidden = f"### BEGIN HIDDEN TESTS\nearned({name}, {points:g}, {seed}, {variant})\n### END HIDDEN TESTS"
    test = _cell("code", f"print(check({name}, hints=2))\n{hidden}")
    test["metadata"]["nbgrader"] = _told(f"test_{name}", grade=True, locked=True, points=points)
    yield test


def _told(name: str, **more: Any) -> dict[str, Any]:
    usual = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"schema_version": 3, "cell_type": "code", "grade_id": name, **usual, **more}


def _imports(assignment: Assignment, variant: int) -> list[str]:
    source = solution_source(assignment, variant)
    lines = source.splitlines()
    nodes = [node for node in ast.parse(source).body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return ["\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes]


def _function(source: str, name: str) -> str:
    node = next(one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == name)
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


def _is_of(part: str, names: list[str]) -> bool:
    node = ast.parse(part).body[0]
    return isinstance(node, ast.FunctionDef) and node.name in names


def _cell(kind: str, source: str) -> Cell:
    cell: Cell = {"cell_type": kind, "id": "", "metadata": {}, "source": source.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
