"""The assignments: which functions, for how many points, and what is told about them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from minidet import checks
from minidet.course.check import Case, Exercise, Function
from minidet.course.mutants import functions_under_test


@dataclass(frozen=True)
class Speed:
    """A function is timed beside the reference."""

    function: str
    points: float
    make_case: Callable[[int], Case]

    @property
    def name(self) -> str:
        return f"speed of {self.function}"


@dataclass(frozen=True)
class Assignment:
    """Functions to write."""

    name: str
    title: str
    story: str
    """What it is about: Markdown, with the equations."""
    exercises: tuple[Exercise, ...]
    given: tuple[Function, ...]
    """Solved functions that the module comes with, from earlier assignments."""
    picture: str
    """A notebook's cell that draws with the functions of the module `my`."""
    speed: Speed | None = None
    notes: str = ""
    """What the module says at its beginning, where the reference's own words would give the solution away."""

    def exercise(self, name: str) -> Exercise:
        return next(exercise for exercise in self.exercises if exercise.name == name)

    def right_functions(self, variant: int = 0) -> dict[str, Function]:
        """The functions by name as they should be, with a variant's default arguments."""
        found: dict[str, Function] = {}
        for exercise in self.exercises:
            own = {exercise.name: exercise.with_defaults(variant)}
            found |= functions_under_test(exercise.subject) if exercise.subject else own
        return found

    @property
    def rows(self) -> dict[str, float]:
        """What is graded, and its points."""
        rows = {exercise.name: exercise.points for exercise in self.exercises}
        return rows | ({self.speed.name: self.speed.points} if self.speed else {})

    def with_points(self, points: Mapping[str, float]) -> dict[str, float]:
        """The rows with other points; an unknown name is a ValueError."""
        unknown = [name for name in points if name not in self.rows]
        if unknown:
            raise ValueError(f"{self.name} has no {', '.join(unknown)}: there are {', '.join(self.rows)}")
        return self.rows | {name: checks.number(f"points of {name}", value, low=0) for name, value in points.items()}


NAMES = ("a1", "a2", "a3", "a4", "a5", "a6", "a7")

SPEED_STEPS = ((1.5, 1.0), (3.0, 0.6), (10.0, 0.3))
"""(time over the reference's time, share of the points): the first step that the ratio does not exceed counts."""

TITLES = {
    "a1": "Boxes and anchors", "a2": "Assignment and non-maximum suppression", "a3": "Losses and gradients",
    "a4": "Post-processing and average precision", "a5": "Sampling and dense loss, fast",
    "a6": "Tests that find mistakes", "a7": "Layers and their gradients",
}  # fmt: skip


def load(name: str) -> Assignment:
    """An assignment by its name, a1 to a7."""
    from minidet import reference
    from minidet.course.texts import NOTES, PICTURES, STORIES

    if name not in NAMES:
        raise ValueError(f"there is no assignment {name!r}: there are {', '.join(NAMES)}")
    exercises = import_module(f"minidet.course.exercises.{name}")
    given: dict[str, tuple[Function, ...]] = {
        "a2": (reference.box_iou,),
        "a4": (reference.box_iou, reference.decode_boxes, reference.clip_boxes, reference.batched_nms),
        "a5": (reference.nms, reference.focal_loss, reference.focal_loss_grad),
    }
    speed = Speed("dense_focal_loss", 30, exercises.speed_case) if name == "a5" else None
    return Assignment(
        name, TITLES[name], STORIES[name], exercises.EXERCISES, given.get(name, ()), PICTURES[name], speed,
        NOTES.get(name, ""),
    )  # fmt: skip


def speed_share(ratio: float) -> float:
    """The share of the points of speed for a time that is `ratio` times the reference's."""
    return next((share for limit, share in SPEED_STEPS if ratio <= limit), 0.0)


@dataclass(frozen=True)
class Points:
    """An instructor's settings."""

    points: Mapping[str, float]
    """Points by function; what is not named keeps its own."""
    partial: bool = True
    """A function that passes its essential checks earns the share of the checks that it passes; False: all or
    nothing."""

    def toml(self, assignment: Assignment) -> str:
        """A points file with these settings, for one assignment."""
        worth = assignment.with_points(self.points)
        lines = [f"partial = {str(self.partial).lower()}", "", f"[{assignment.name}]"]
        return "\n".join([*lines, *(f'"{name}" = {value:g}' for name, value in worth.items())]) + "\n"


def read_points(path: Path, assignment: Assignment) -> Points:
    """A points file: TOML or JSON with the tables of the assignments, see `points_file`.

    Raises:
        ValueError: the file cannot be parsed, names an assignment, setting or function that there is not, or gives no
            number.
    """
    text = path.read_text(encoding="utf-8")
    try:
        content: Any = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    known = ("partial", *NAMES)
    if not isinstance(content, dict) or set(content) - set(known):
        unknown = ", ".join(map(str, set(content) - set(known))) if isinstance(content, dict) else "its content"
        raise ValueError(f"{path}: {unknown} is not known here; there are {', '.join(known)}")
    table, partial = content.get(assignment.name, {}), content.get("partial", True)
    if not isinstance(table, dict) or not isinstance(partial, bool):
        raise ValueError(f"{path}: a table [{assignment.name}] of points is expected, and partial = true or false")
    return Points(assignment.with_points(table), partial)


def points_file() -> str:
    """The points of all assignments as a TOML file to edit."""
    lines = ["# Points by function. partial = false: a function with any failed check earns nothing.", "partial = true"]
    for name in NAMES:
        lines += ["", f"[{name}]", *(f'"{row}" = {points:g}' for row, points in load(name).rows.items())]
    return "\n".join(lines) + "\n"
