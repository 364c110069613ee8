"""The folder that students get: the module of stubs, a notebook that leads through it, and a README."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import minidet
from minidet.config import AnchorConfig, PostprocessConfig
from minidet.course.assignments import SPEED_STEPS, Assignment, variant_defaults
from minidet.course.check import Exercise, show
from minidet.course.stubs import stub_source

README = """\
# {name}: {title}

Write the functions of `{name}.py`. `{name}.ipynb` leads through them: what each one is for, an example, a picture, and
the grade.

    {command}

grades what is there, as often as you like. It prints the points, and for each function that fails the first failing
input, what was expected, what came, and a hint.

## Points

{points}

A function earns nothing before its essential checks pass, and then the share of the checks that it passes. A mistake
costs the points of its own function only: where a function calls another that fails, it is graded with a right one in
its place.
{speed}
## Rules

- Hand in `{name}.py`, one file. Keep the names, the arguments and their defaults.
- NumPy and the standard library. No torchvision or the like, and nothing of minidet but `minidet.checks` and
  `minidet.config`: other imports are refused.
- Results are arrays in the floating type of the input, indices are int64. Arguments are not changed.
- Empty input is ordinary: no boxes, no objects, no logits give arrays of length 0.
- The lines that check arguments (`checks.…`) are given where there are any. Bad input and infinite logits are not
  graded.
- A check may compute for 5 seconds and use 2 GB of memory. What the module prints is thrown away.
"""

SPEED = """
The speed is graded when the results are right, as a ratio to the reference's time: {steps}.
"""


SETUP = """\
%matplotlib inline
%load_ext autoreload
%autoreload 2

import matplotlib.pyplot as plt
import numpy as np

import {name} as my
from minidet.config import AnchorConfig, PostprocessConfig"""

GRADE = """\
from minidet.course.grading import grade_submission
from minidet.course.report import table

print(table(grade_submission("{name}", "{name}.py"{variant})))"""


def make_folder(assignment: Assignment, out: Path, points: Mapping[str, float], variant: int = 0) -> list[Path]:
    """Write the module, the notebook and the README.

    Raises:
        ValueError: one of the files exists: a student's work is never overwritten.
    """
    command = f"minidet assignment grade {assignment.name} ." + (f" --variant {variant}" if variant else "")
    book = json.dumps(notebook(assignment, points, variant), indent=1, ensure_ascii=False)
    contents = {
        out / f"{assignment.name}.py": stub_source(assignment, variant),
        out / f"{assignment.name}.ipynb": book + "\n",
        out / "README.md": _readme(assignment, points, command),
    }
    there = [str(path) for path in contents if path.exists()]
    if there:
        raise ValueError(f"{', '.join(there)} exists and is not overwritten: give another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    for path, text in contents.items():
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return list(contents)


def _readme(assignment: Assignment, points: Mapping[str, float], command: str) -> str:
    rows = "\n".join(f"| {name} | {value:g} |" for name, value in points.items())
    table = f"| | points |\n|---|---|\n{rows}\n| **all** | **{sum(points.values()):g}** |"
    steps = "; ".join(f"up to {limit:g} times, {share:.0%} of the points" for limit, share in SPEED_STEPS)
    speed = SPEED.format(steps=steps) if assignment.speed else ""
    return README.format(name=assignment.name, title=assignment.title, command=command, points=table, speed=speed)


def notebook(assignment: Assignment, points: Mapping[str, float], variant: int = 0) -> dict[str, Any]:
    """The notebook, as nbformat 4.5 has it."""
    name = assignment.name
    intro = (
        f"# {name}: {assignment.title}\n{assignment.story.rstrip()}\n\nWrite your functions in `{name}.py`, beside "
        "this notebook, and run the cells again: changes to the file are taken over by themselves."
    )
    cells = [("markdown", intro), ("code", SETUP.format(name=name))]
    for exercise in assignment.exercises:
        summary = inspect.cleandoc(exercise.reference.__doc__ or "").split("\n\nArgs:")[0].split("\n\n>>>")[0]
        wanted = show(_evaluate(exercise, variant), limit=500)
        title = f"## {exercise.name} ({points[exercise.name]:g} points)"
        cells.append(("markdown", f"{title}\n\n{summary}\n\nThe next cell should give\n\n    {wanted}"))
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
    my = SimpleNamespace(**{exercise.name: exercise.with_defaults(variant_defaults(variant))})
    names = {"np": np, "my": my, "AnchorConfig": AnchorConfig, "PostprocessConfig": PostprocessConfig}
    return eval(exercise.example, names)


def _attempt(code: str) -> str:
    lines = "\n".join(f"    {line}" if line else "" for line in code.splitlines())
    return f'try:\n{lines}\nexcept NotImplementedError:\n    print("not written yet")'


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    lines = source.splitlines(keepends=True)
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": lines}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
