"""The folder that students get: the module of stubs, a notebook that leads through it, and a README."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import minidet
import minidet.reference.average_precision
from minidet.config import AnchorConfig, PostprocessConfig
from minidet.course.assignments import SPEED_STEPS, Assignment, Points
from minidet.course.bundle import NUMPY
from minidet.course.check import Exercise, variant_defaults
from minidet.course.stubs import stub_source
from minidet.files import write_text

README = """\
# {name}: {title}

Write the functions of `{name}.py`. `{name}.ipynb` leads through them: what each one is for, an example, a picture, and
the grade.
{due}
You need Python 3.11 or later with NumPy, Jupyter, Matplotlib and minidet, for example from a checkout of minidet:
`python -m pip install . jupyter matplotlib`. It is graded with NumPy {numpy}.

    {grade}

grades what is there, as often as you like. It prints the points, and for each function that fails the first failing
input, what was expected, what came, and a hint. Before you hand in,

    {check}

tells whether the file has the right name, functions and arguments. When it is graded, each function is called with
other inputs as well.

## Points

{points}

{partial} A mistake costs the points of its own function only: where a function calls another that fails, it is graded
with a right one in its place.
{speed}
## Rules

- Hand in `{name}.py`, one file. Keep the names, the arguments and their defaults.
- NumPy and the standard library. No torchvision or the like, and nothing of minidet but `minidet.checks`,
  `minidet.config` and `minidet.structures`: other imports are refused. Files, other processes and the network are not
  there.
- Results are arrays in the floating type of the input (of the first argument, where there are two), indices are int64.
  Arguments are not changed. float64 results are compared to at least seven digits, float32 results to four.
- Empty input is ordinary: no boxes, no objects, no logits give arrays of length 0.
- The lines that check arguments (`checks.…`) are given where there are any. Bad input (what a docstring says under
  Raises) and infinite logits are not graded.
- A call may compute for 5 seconds and use 2 GB of memory, and all calls together for 40 seconds. What the module prints
  is thrown away.
"""

SPEED = """
The speed is graded when the results are right, as a ratio to the reference's time: {steps}.
"""


PAPER = {"positive_iou": 0.5, "negative_iou": 0.4}
"""What stands in the texts for the default arguments of variant 0."""

SETUP = """\
%matplotlib inline
%load_ext autoreload
%autoreload 2

import matplotlib.pyplot as plt
import minidet.reference.average_precision
import numpy as np

import {name} as my
from minidet.config import AnchorConfig, PostprocessConfig"""

GRADE = """\
from pathlib import Path

from minidet.course.assignments import load, read_points
from minidet.course.grading import grade_submission
from minidet.course.report import table

assignment = load("{name}")
points = read_points(Path("points.toml"), assignment)
print(table(grade_submission(assignment, "{name}.py", points=points{variant})))"""
TESTS = (
    "A test earns nothing when the right function fails it, and then the share of the wrong functions that it finds."
)
PARTIAL = {
    True: "A function earns nothing before its essential checks pass, and then the share of the checks that it passes.",
    False: "A function earns its points when all its checks pass, and nothing otherwise.",
}


def make_folder(
    assignment: Assignment, out: Path, points: Points | None = None, variant: int = 0, due: str = ""
) -> list[Path]:
    """Write the module, the notebook, the README and the points.

    Args:
        due: a sentence for the README: when, how and together with whom.

    Raises:
        ValueError: one of the files exists: a student's work is never overwritten.
    """
    points = points or Points({})
    book = json.dumps(
        notebook(assignment, assignment.with_points(points.points), variant), indent=1, ensure_ascii=False
    )
    contents = {
        out / f"{assignment.name}.py": stub_source(assignment, variant),
        out / f"{assignment.name}.ipynb": book + "\n",
        out / "README.md": _readme(assignment, points, variant, due),
        out / "points.toml": points.toml(assignment),
    }
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise ValueError(f"{', '.join(there)} exists and is not overwritten: give another folder, or remove it")
    return [write_text(path, text) for path, text in contents.items()]


def _readme(assignment: Assignment, points: Points, variant: int, due: str) -> str:
    worth = assignment.with_points(points.points)
    rows = "\n".join(f"| {name} | {value:g} |" for name, value in worth.items())
    table = f"| | points |\n|---|---|\n{rows}\n| **all** | **{sum(worth.values()):g}** |"
    steps = "; ".join(f"up to {limit:g} times, {share:.0%} of the points" for limit, share in SPEED_STEPS)
    chosen = f" --variant {variant}" if variant else ""
    return README.format(
        name=assignment.name, title=assignment.title, points=table,
        partial=TESTS if assignment.name == "a6" and points.partial else PARTIAL[points.partial],
        speed=SPEED.format(steps=steps) if assignment.speed else "", numpy=NUMPY,
        due=f"\n{due.strip()}\n" if due else "",
        grade=f"minidet assignment grade {assignment.name} . --points points.toml{chosen}",
        check=f"minidet assignment check {assignment.name} .{chosen}",
    )  # fmt: skip


def story(assignment: Assignment, variant: int = 0) -> str:
    """What an assignment is about, with a variant's default arguments in it."""
    text = assignment.story
    for argument, value in {**PAPER, **variant_defaults(variant)}.items():
        text = text.replace(f"{{{argument}}}", f"{value:g}")
    return text.rstrip()


def notebook(assignment: Assignment, points: Mapping[str, float], variant: int = 0) -> dict[str, Any]:
    """The notebook, as nbformat 4.5 has it."""
    name = assignment.name
    intro = (
        f"# {name}: {assignment.title}\n{story(assignment, variant)}\n\nWrite your functions in `{name}.py`, beside "
        "this notebook, and run the cells again: changes to the file are taken over by themselves."
    )
    cells = [("markdown", intro), ("code", SETUP.format(name=name))]
    for exercise in assignment.exercises:
        doc = inspect.cleandoc(exercise.doc or exercise.reference.__doc__ or "")
        summary = doc.split("\n\nArgs:")[0].split("\n\n>>>")[0]
        wanted = textwrap.indent(str(_evaluate(exercise, variant)), "    ")
        title = f"## {exercise.name} ({points[exercise.name]:g} points)"
        cells.append(("markdown", f"{title}\n\n{summary}\n\nThe next cell should print\n\n{wanted}"))
        cells.append(("code", _attempt(f"print({exercise.example})")))
    chosen = f", variant={variant}" if variant else ""
    cells += [("markdown", "## A picture of it"), ("code", _attempt(assignment.picture))]
    cells += [("markdown", "## The grade"), ("code", GRADE.format(name=name, variant=chosen))]
    return {
        "cells": [_cell(number, *cell) for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "minidet": {"version": minidet.__version__, "assignment": name, "variant": variant},
        },
        "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip


def _evaluate(exercise: Exercise, variant: int) -> Any:
    """What the reference gives for an exercise's example."""
    my = SimpleNamespace(**{exercise.name: exercise.with_defaults(variant)})
    names = {
        "minidet": minidet,
        "np": np,
        "my": my,
        "AnchorConfig": AnchorConfig,
        "PostprocessConfig": PostprocessConfig,
    }
    return eval(exercise.example, names)


def _attempt(code: str) -> str:
    lines = "\n".join(f"    {line}" if line else "" for line in code.splitlines())
    return f'try:\n{lines}\nexcept NotImplementedError:\n    print("not written yet")'


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
