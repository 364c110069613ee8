"""`minidet assignment`: assignments for a course, and their grader."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidet.cli.arguments import add_command
from minidet.cli.outputs import check_outputs
from minidet.files import write_text

NOTE = (
    "A submission runs in a process of its own, with limits of time, memory and file size; what it prints is thrown "
    "away, and the solution cannot be imported. That stops accidents. It is no sandbox: a submission that means harm "
    "has your rights, so grade those of strangers in a container."
)
ASSIGNMENTS = "a1 boxes and anchors, a2 assignment and NMS, a3 losses and gradients, a4 post-processing and AP, a5 fast"


def add(commands: Any) -> None:
    """Add the commands and their arguments."""
    to = commands.add_parser("assignment", help="five assignments with a grader: make, grade, bundle")
    kinds = to.add_subparsers(required=True, metavar="ACTION")

    def add_one(
        name: str, run: Callable[[argparse.Namespace], None], text: str, more: str = "", assignment: bool = True
    ) -> argparse.ArgumentParser:
        command = add_command(kinds, name, run, text, more)
        if assignment:
            command.add_argument("assignment", choices=("a1", "a2", "a3", "a4", "a5"), metavar="NAME", help=ASSIGNMENTS)
            command.add_argument(
                "--points", type=Path, metavar="FILE", help="points by function, see: minidet assignment points"
            )
            command.add_argument(
                "--variant", type=int, default=0, help="other default arguments, from 1 on; 0 is the paper's"
            )
        return command

    command = add_one(
        "make", make, "make an assignment", "A module to fill in, a notebook and a README. Files are never overwritten."
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")

    command = add_one("grade", grade, "grade a submission, or a folder of them", NOTE)
    command.add_argument("submission", type=Path, metavar="DIR", help="folder with NAME.py, or the file itself")
    command.add_argument("--all", action="store_true", help="DIR holds submissions: grade each of them, into a CSV")
    command.add_argument(
        "--format", choices=("table", "json", "gradescope"), default="table", help="of a single submission"
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="write to this file instead of the screen")
    command.add_argument("--seconds", type=float, default=5.0, help="of the processor, for each check")
    command.add_argument("--memory", type=int, default=2048, help="megabytes of address space")
    command.add_argument("--seed", type=int, default=0, help="of the random inputs")

    command = add_one(
        "bundle",
        bundle,
        "write an autograder for Gradescope",
        "A zip to upload; its container needs Python 3.11 and NumPy.",
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="by default NAME_autograder.zip")
    command.add_argument("--seed", type=int, default=0, help="of the random inputs")

    add_one("points", points, "print the points of all assignments, as a file to edit", assignment=False)
    add_one("instructions", instructions, "print the instructor's page", assignment=False)


def make(options: argparse.Namespace) -> None:
    """The folder that students get."""
    from minidet.course.assignments import load
    from minidet.course.notebook import make_folder

    assignment = load(options.assignment)
    worth = assignment.with_points(_points(options).points)
    print("\n".join(map(str, make_folder(assignment, options.out, worth, options.variant))))


def grade(options: argparse.Namespace) -> None:
    """One submission, or all in a folder."""
    from minidet.course import report
    from minidet.course.grading import Limits, grade_submission

    submission = options.submission
    check_outputs([options.out], files=[options.points, submission, *submission.rglob("*")])
    settings = {
        "points": _points(options), "variant": options.variant, "seed": options.seed,
        "limits": Limits(options.seconds, options.memory),
    }  # fmt: skip
    if options.all:
        _write(options.out, _grade_all(options, settings))
        return
    result = grade_submission(options.assignment, options.submission, **settings)
    text = {"table": report.table, "json": report.to_json, "gradescope": report.gradescope}[options.format](result)
    _write(options.out, text + "\n")


def _grade_all(options: argparse.Namespace, settings: dict[str, Any]) -> str:
    """The CSV of a folder; a submission without a module has no points and a remark."""
    from minidet.course.assignments import load
    from minidet.course.copies import find_copies
    from minidet.course.grading import Result, find_module, find_submissions, grade_submission
    from minidet.course.report import to_csv
    from minidet.progress import Progress

    assignment, results, files = load(options.assignment), [], {}
    for path in Progress(find_submissions(options.submission), unit="submission", file=sys.stderr):
        try:
            files[path.name] = find_module(path, options.assignment)
            results.append(grade_submission(assignment, path, **settings))
        except ValueError as error:
            worth = assignment.with_points(settings["points"].points)
            results.append(Result(options.assignment, path.name, [], worth, remark=str(error)))
    copies = find_copies(files, assignment)
    for result in results:
        result.copies = copies.get(result.submission, [])
    return to_csv(results)


def bundle(options: argparse.Namespace) -> None:
    """An autograder."""
    from minidet.course.assignments import load
    from minidet.course.bundle import write_bundle

    out = options.out or Path(f"{options.assignment}_autograder.zip")
    check_outputs([out], files=[options.points])
    print(write_bundle(load(options.assignment), out, _points(options), options.variant, options.seed))


def points(options: argparse.Namespace) -> None:
    """A points file."""
    from minidet.course.assignments import points_file

    print(points_file(), end="")


def instructions(options: argparse.Namespace) -> None:
    """INSTRUCTORS.md."""
    from minidet import course

    print((Path(course.__file__).parent / "INSTRUCTORS.md").read_text(encoding="utf-8"), end="")


def _points(options: argparse.Namespace) -> Any:
    from minidet.course.assignments import Points, load, read_points

    return read_points(options.points, load(options.assignment)) if options.points else Points({})


def _write(out: Path | None, text: str) -> None:
    if out is None:
        print(text, end="")
        return
    print(write_text(out, text))
