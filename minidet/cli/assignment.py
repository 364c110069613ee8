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
    "A submission runs in a process of its own that gets inputs and returns results; the solution is not in it. Its "
    "time, memory and results are limited, what it prints is thrown away, and all that it leaves behind is ended. On "
    "Linux the kernel refuses it files, other processes and the network. Elsewhere this is no sandbox: grade work of "
    "strangers in a container."
)
ASSIGNMENTS = (
    "a1 boxes and anchors, a2 assignment and NMS, a3 losses and gradients, a4 post-processing and AP, a5 fast, a6 "
    "tests, a7 layers"
)
NAMES = ("a1", "a2", "a3", "a4", "a5", "a6", "a7")
SINGLE, MANY = ("table", "json", "gradescope"), ("csv", "json", "canvas", "moodle")
VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")


def add(commands: Any) -> None:
    """Add the commands and their arguments."""
    to = commands.add_parser("assignment", help="assignments for a course, with a grader")
    kinds = to.add_subparsers(required=True, metavar="ACTION")

    def add_one(
        name: str, run: Callable[[argparse.Namespace], None], text: str, more: str = "", points: bool = True
    ) -> argparse.ArgumentParser:
        command = add_command(kinds, name, run, text, more)
        command.add_argument("assignment", choices=NAMES, metavar="NAME", help=ASSIGNMENTS)
        help_ = "other default arguments, from 1 on; 0 is the paper's"
        command.add_argument("--variant", type=int, default=0, help=help_)
        if points:
            help_ = "points by function, see: minidet assignment points"
            command.add_argument("--points", type=Path, metavar="FILE", help=help_)
        return command

    more = "A module to fill in, a notebook, the points and a README. Files are never overwritten."
    command = add_one("make", make, "make an assignment", more)
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    command.add_argument("--due", default="", metavar="TEXT", help="a sentence for the README, such as when it is due")

    _grade_arguments(add_one("grade", grade, "grade a submission, or a folder of them", NOTE))

    more = "For students: the file's name, functions, arguments and imports. Exit status 1: something is missing."
    command = add_one("check", check, "tell what keeps a submission from being graded", more, points=False)
    command.add_argument("submission", type=Path, metavar="DIR", help="folder with NAME.py, or the file itself")

    command = add_one("solution", solution, "write a solution, made from the reference", points=False)
    command.add_argument("--out", type=Path, metavar="FILE", help="write to this file instead of the screen")

    more = "A zip to upload; its container needs Python 3.11 and NumPy."
    command = add_one("bundle", bundle, "write an autograder for Gradescope", more)
    command.add_argument("--out", type=Path, metavar="FILE", help="by default NAME_autograder.zip")
    help_ = "of the other inputs; by default a number that nobody knows"
    command.add_argument("--seed", type=int, help=help_)
    command.add_argument("--visibility", choices=VISIBILITIES, default="visible", help="of the results")

    more = "A notebook with solutions and tests, of which that grader's own command makes the students' version."
    command = add_one("export", export, "write the assignment for otter-grader or nbgrader", more)
    command.add_argument("--to", choices=("otter", "nbgrader"), required=True, help="the grader")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder; for nbgrader, the course's")
    command.add_argument("--seed", type=int, default=0, help="of the other inputs, in the hidden tests")

    add_command(kinds, "points", points, "print the points of all assignments, as a file to edit")
    add_command(kinds, "instructions", instructions, "print the instructor's page")


def _grade_arguments(command: argparse.ArgumentParser) -> None:
    to = command.add_argument
    to("submission", type=Path, metavar="PATH", help="module, notebook, zip, or a folder with one; with --all, of many")
    to("--all", action="store_true", help="PATH holds submissions: grade each of them")
    to(
        "--format",
        choices=(*SINGLE, *MANY[:1], *MANY[2:]),
        help="by default a table; with --all CSV, json, or for a gradebook",
    )
    to("--out", type=Path, metavar="FILE", help="write to this file instead of the screen")
    to("--feedback", type=Path, metavar="DIR", help="with --all: write a page for each student there")
    to("--roster", type=Path, metavar="FILE", help="with --all: list of students, CSV; also a gradebook's own export")
    to("--jobs", type=int, default=1, help="with --all: submissions graded at once")
    to("--late", type=float, default=0.0, metavar="PERCENT", help="with --all: of the points, for each day late")
    to("--late-most", type=float, default=100.0, metavar="PERCENT", help="that are taken at most")
    to("--title", help="with --format canvas: title of the gradebook's column")
    to("--visibility", choices=VISIBILITIES, default="visible", help="of the results, with --format gradescope")
    to("--seconds", type=float, default=5.0, help="of the processor, for each call")
    to("--total", type=float, default=40.0, metavar="SECONDS", help="on the clock, for all calls of a submission")
    to("--memory", type=int, default=2048, help="megabytes of address space")
    to("--seed", type=int, default=0, help="of the other inputs, with which each function is called as well")
    to("--user", type=int, metavar="NUMBER", help="user to run submissions as, where you are root")


def make(options: argparse.Namespace) -> None:
    """The folder that students get."""
    from minidet.course.assignments import load
    from minidet.course.notebook import make_folder

    written = make_folder(load(options.assignment), options.out, _points(options), options.variant, options.due)
    print("\n".join(map(str, written)))


def grade(options: argparse.Namespace) -> None:
    """One submission, or all in a folder."""
    from minidet.course.process import Limits

    submission = options.submission
    check_outputs([options.out], files=[options.points, options.roster, submission, *submission.rglob("*")])
    kind, known = options.format or ("csv" if options.all else "table"), MANY if options.all else SINGLE
    if kind not in known:
        raise ValueError(
            f"--format {kind} is not for {'many submissions' if options.all else 'one'}: {', '.join(known)} are"
        )
    limits = Limits(options.seconds, options.memory, options.total, options.user)
    settings = {"points": _points(options), "variant": options.variant, "limits": limits}
    _write(options.out, _grade_all(options, kind, settings) if options.all else _grade_one(options, kind, settings))


def _grade_one(options: argparse.Namespace, kind: str, settings: dict[str, Any]) -> str:
    from minidet.course import report
    from minidet.course.assignments import load
    from minidet.course.grading import Result, grade_submission

    try:
        result = grade_submission(options.assignment, options.submission, seed=options.seed, **settings)
    except (ValueError, OSError) as error:
        if kind != "gradescope":
            raise
        worth = load(options.assignment).with_points(settings["points"].points)
        result = Result(options.assignment, options.submission.name, [], worth, remark=str(error))
    if kind == "gradescope":
        return report.gradescope(result, options.visibility) + "\n"
    return (report.to_json if kind == "json" else report.table)(result) + "\n"


def _grade_all(options: argparse.Namespace, kind: str, settings: dict[str, Any]) -> str:
    from minidet.course import classroom
    from minidet.course.assignments import load
    from minidet.course.feedback import write_pages
    from minidet.course.roster import Late, read_roster
    from minidet.progress import Progress

    assignment = load(options.assignment)
    students = read_roster(options.roster) if options.roster else ()
    entries = classroom.grade_all(
        options.submission, assignment, students=students, jobs=options.jobs,
        late=Late(options.late, options.late_most),
        progress=lambda many, count: Progress(many, total=count, unit="submission", file=sys.stderr), seed=options.seed,
        **settings,
    )  # fmt: skip
    if options.feedback:
        print(f"{len(write_pages(entries, options.feedback))} pages in {options.feedback}", file=sys.stderr)
    for line in classroom.groups(entries):
        print(line, file=sys.stderr)
    title = options.title or f"{assignment.name}: {assignment.title}"
    texts = {"csv": classroom.to_csv, "json": classroom.to_json, "moodle": classroom.moodle}
    return classroom.canvas(entries, title) if kind == "canvas" else texts[kind](entries)


def check(options: argparse.Namespace) -> None:
    """Whether a submission is ready to be handed in."""
    from minidet.course.assignments import load
    from minidet.course.handin import problems
    from minidet.course.submissions import read_submission

    assignment = load(options.assignment)
    source = read_submission(options.submission, assignment.name, [exercise.name for exercise in assignment.exercises])
    found = problems(source, assignment, options.variant)
    if found:
        raise ValueError("\n  ".join([f"{options.assignment} is not ready:", *found]))
    print(
        f"{options.assignment} is ready: the file, its functions, their arguments and its imports are as they should be"
    )


def solution(options: argparse.Namespace) -> None:
    """The reference's functions as a submission."""
    from minidet.course.assignments import load
    from minidet.course.stubs import solution_source

    _write(options.out, solution_source(load(options.assignment), options.variant))


def bundle(options: argparse.Namespace) -> None:
    """An autograder."""
    import secrets

    from minidet.course.assignments import load
    from minidet.course.bundle import write_bundle

    out = options.out or Path(f"{options.assignment}_autograder.zip")
    check_outputs([out], files=[options.points])
    seed = secrets.randbits(32) if options.seed is None else options.seed
    print(write_bundle(load(options.assignment), out, _points(options), options.variant, seed, options.visibility))


def export(options: argparse.Namespace) -> None:
    """A master notebook."""
    from minidet.course.assignments import load
    from minidet.course.export import export

    assignment = load(options.assignment)
    written = export(assignment, options.to, options.out, _points(options), options.variant, options.seed)
    print("\n".join(map(str, written)))


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
