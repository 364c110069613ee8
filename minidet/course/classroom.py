"""A folder of submissions: each graded, several at once, with copies, late days, and files for the gradebook."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidet.course.assignments import Assignment
from minidet.course.copies import find_copies
from minidet.course.grading import Result, grade_submission
from minidet.course.report import to_dict
from minidet.course.roster import Late, Student, columns, days_late, match
from minidet.course.submissions import HandedIn, Source, find_submissions, read_submission


@dataclass
class Entry:
    """A student's result."""

    result: Result
    student: Student | None = None
    handed_in: HandedIn | None = None
    days_late: float = 0.0
    taken: float = 0.0
    """Points that are taken for being late."""
    source: Source | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.student.name if self.student else self.result.submission

    @property
    def points(self) -> float:
        return round(max(0.0, self.result.total - self.taken), 2)


def grade_all(
    folder: Path, assignment: Assignment, *, students: Sequence[Student] = (), late: Late | None = None, jobs: int = 1,
    progress: Callable[[Iterator[Entry], int], Iterator[Entry]] = lambda entries, count: entries, **settings: Any,
) -> list[Entry]:  # fmt: skip
    """Grade every submission in a folder; none ends the run, whatever it does.

    Args:
        students: the list of the class; those who handed nothing in get an entry too.
        late: what a day costs.
        jobs: how many submissions are graded at once.
        progress: is given the entries as they come, and their number.
        settings: of `grade_submission`.

    Raises:
        ValueError: there is no such folder, or it holds no submissions.
    """
    handed_in = find_submissions(folder)
    pairs = match(handed_in, students) if students else [(None, one) for one in handed_in]

    def grade(pair: tuple[Student | None, HandedIn | None]) -> Entry:
        return _grade(pair[0], pair[1], bool(students), assignment, late or Late(), settings)

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        entries = list(progress(pool.map(grade, pairs), len(pairs)))
    keys = [f"{number} {entry.name}" for number, entry in enumerate(entries)]
    sources = {key: entry.source.text for key, entry in zip(keys, entries, strict=True) if entry.source}
    copies = find_copies(sources, assignment)
    for key, entry in zip(keys, entries, strict=True):
        entry.result.copies = copies.get(key, [])
    return entries


def _grade(
    student: Student | None, handed_in: HandedIn | None, listed: bool, assignment: Assignment, late: Late,
    settings: Mapping[str, Any],
) -> Entry:  # fmt: skip
    name = handed_in.student if handed_in else student.name if student else ""
    functions = [exercise.name for exercise in assignment.exercises]
    source = None
    try:
        if handed_in is None:
            raise ValueError("nothing was handed in")
        source = read_submission(handed_in.paths, assignment.name, functions)
        result = grade_submission(assignment, source, name=name, **settings)
    except ValueError as error:
        result = _empty(assignment, name, str(error), settings)
    except Exception as error:  # noqa: BLE001  # one submission does not end the others' run, and the row says so
        result = _empty(assignment, name, f"the grader failed: {type(error).__name__}: {error}", settings)
    if listed and student is None:
        result.remark = "; ".join(filter(None, ["not on the list of students", result.remark]))
    days = days_late(student, handed_in)
    return Entry(result, student, handed_in, days, late.taken(result.total, days), source)


def _empty(assignment: Assignment, name: str, remark: str, settings: Mapping[str, Any]) -> Result:
    points = settings.get("points")
    return Result(assignment.name, name, [], assignment.with_points(points.points if points else {}), remark=remark)


def to_csv(entries: Sequence[Entry]) -> str:
    """One line per submission: its points, those of each function, and what is to be known besides."""
    functions = list(dict.fromkeys(name for entry in entries for name in entry.result.points))
    late = any(entry.days_late for entry in entries)
    titles = ["submission", "points", "maximum", *(["days_late", "taken"] if late else []), *functions]
    rows = []
    for entry in entries:
        earned = {row.name: f"{entry.result.earned(row):g}" for row in entry.result.rows}
        points = [f"{entry.points:g}", f"{entry.result.maximum:g}"]
        points += [f"{entry.days_late:g}", f"{entry.taken:g}"] if late else []
        told = [entry.result.remark, "; ".join(entry.result.copies)]
        rows.append([entry.name, *points, *(earned.get(name, "") for name in functions), *told])
    return _table([*titles, "remark", "worth_a_look"], rows)


def to_json(entries: Sequence[Entry]) -> str:
    """Everything of everybody, as a JSON list."""
    content = [
        {**to_dict(entry.result), "student": entry.name, "days_late": entry.days_late, "final": entry.points}
        for entry in entries
    ]
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def groups(entries: Sequence[Entry]) -> list[str]:
    """The groups of submissions that hold the same code, a line for each."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        for told in entry.result.copies:
            if told.startswith("copy group"):
                found.setdefault(told.partition(":")[0], []).append(entry.name)
    return [f"{group}: {'; '.join(names)}" for group, names in found.items()]


def canvas(entries: Sequence[Entry], title: str) -> str:
    """A file that Canvas's gradebook imports: the columns of its own export, with one for the assignment.

    Submissions of nobody on the list are left out: Canvas would make a student of each.
    """
    first = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    listed = [entry for entry in entries if entry.student or not any(one.student for one in entries)]
    maximum = f"{listed[0].result.maximum:g}" if listed else ""
    rows = [["    Points Possible", "", "", "", "", maximum]]
    for entry in listed:
        row = entry.student.row if entry.student else {}
        number = row.get("ID") or (entry.handed_in.number if entry.handed_in else "")
        own = [entry.name, number, row.get("SIS User ID", ""), row.get("SIS Login ID", ""), row.get("Section", "")]
        rows.append([*own, f"{entry.points:g}"])
    return _table([*first, title], rows)


def moodle(entries: Sequence[Entry]) -> str:
    """A file that Moodle's offline grading worksheet imports: its own columns, with grade and feedback filled in."""
    listed = [entry for entry in entries if entry.student or not any(one.student for one in entries)]
    known = columns([entry.student.row for entry in listed if entry.student])
    usual = ["Identifier", "Full name", "Email address", "Status", "Grade", "Maximum Grade", "Feedback comments"]
    titles = known if "Identifier" in known else usual
    titles += [title for title in ("Grade", "Feedback comments") if title not in titles]
    rows = []
    for entry in listed:
        number = entry.handed_in.number if entry.handed_in else ""
        own = {"Identifier": f"Participant {number}" if number else "", "Full name": entry.name}
        own |= entry.student.row if entry.student else {}
        own |= {"Grade": f"{entry.points:g}", "Maximum Grade": f"{entry.result.maximum:g}"}
        own["Feedback comments"] = summary(entry)
        rows.append([own.get(title, "") for title in titles])
    return _table(titles, rows)


def summary(entry: Entry) -> str:
    """The points of each function and what is missing, in one line."""
    told = [f"{row.name} {entry.result.earned(row):g}/{entry.result.points[row.name]:g}" for row in entry.result.rows]
    late = [f"{entry.taken:g} taken for {entry.days_late:g} days late"] if entry.taken else []
    return "; ".join([*told, *late, *filter(None, [entry.result.remark])])


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell.lstrip().startswith(("=", "+", "-", "@")) else cell
