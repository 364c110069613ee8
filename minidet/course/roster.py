"""Who is in the class: a list of students, as a learning platform exports it, and how late they handed in."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from minidet import checks
from minidet.course.submissions import HandedIn

NAMES = ("student", "full name", "name")
NUMBERS = ("id", "identifier", "number")
LOGINS = ("sis login id", "email address", "email", "login")
DAYS = ("days_late", "days late")
NOBODY = ("points possible", "student, test", "test student")
"""Rows of a gradebook that are no students."""


@dataclass
class Student:
    """A row of the list."""

    name: str
    number: str = ""
    login: str = ""
    days_late: float | None = None
    row: dict[str, str] = field(default_factory=dict)
    """The whole row, to be written back."""

    @property
    def keys(self) -> set[str]:
        """What a submission of theirs may be called."""
        words = re.split(r"[\s,]+", self.name)
        texts = [self.name, *(["".join(reversed(words)), "".join(words)]), self.login, self.login.partition("@")[0]]
        return {key for text in texts if (key := _key(text))}


@dataclass(frozen=True)
class Late:
    """What a day costs."""

    percent: float = 0.0
    """Of the points, for each day that has begun."""
    most: float = 100.0
    """Percent that are taken at most."""

    def __post_init__(self) -> None:
        checks.number("late", self.percent, low=0, high=100)
        checks.number("late_most", self.most, low=0, high=100)

    def taken(self, points: float, days: float) -> float:
        """The points that are taken for so many days."""
        return round(points * min(self.most, self.percent * math.ceil(max(0.0, days))) / 100, 2)


def read_roster(path: Path) -> list[Student]:
    """A CSV file with a line of titles: Canvas's gradebook, Moodle's grading worksheet, or columns of your own.

    A column "student" (or "Full name") is needed; "ID" (or "Identifier"), "email" (or "SIS Login ID") and "days_late"
    are used where they are there.

    Raises:
        ValueError: there is no such column, or a number of days is none.
    """
    reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")))
    titles = {title.strip().lower(): title for title in reader.fieldnames or []}

    def column(names: Sequence[str]) -> str:
        return next((titles[name] for name in names if name in titles), "")

    if not column(NAMES):
        raise ValueError(f"{path} has no column 'student' (or 'Full name'): its first line must hold the titles")
    students = []
    for row in reader:
        text = {title: (value or "").strip() for title, value in row.items() if title is not None}
        name = text[column(NAMES)]
        if not name or name.lower() in NOBODY:
            continue
        number = re.sub(r"\D", "", text.get(column(NUMBERS), ""))
        days = text.get(column(DAYS), "")
        try:
            late = float(days) if days else None
        except ValueError:
            late = math.nan
        if late is not None and not late >= 0:
            raise ValueError(f"{path}: {column(DAYS)} of {name} is {days!r}: a number of days is expected")
        students.append(Student(name, number, text.get(column(LOGINS), ""), late, text))
    return students


def match(handed_in: Sequence[HandedIn], students: Sequence[Student]) -> list[tuple[Student | None, HandedIn | None]]:
    """Each student with the submission, or None; at the end, submissions of nobody on the list.

    By the platform's number where both have one, otherwise by name or login.
    """
    left = list(handed_in)
    pairs: list[tuple[Student | None, HandedIn | None]] = []
    for student in students:
        own = [one for one in left if one.number and one.number == student.number]
        own = own or [one for one in left if _key(one.student) in student.keys]
        pairs.append((student, own[0] if own else None))
        left = [one for one in left if one not in own[:1]]
    return pairs + [(None, one) for one in left]


def _key(text: str) -> str:
    """A name without what is written now one way, now another."""
    return re.sub(r"[^\w]|_", "", text.lower())


def days_late(student: Student | None, handed_in: HandedIn | None) -> float:
    """The list's days; where it has none, 1 if the platform marks the file as late."""
    if student and student.days_late is not None:
        return student.days_late
    return float(bool(handed_in and handed_in.late))


def columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The titles of the list, in its order."""
    return list(dict.fromkeys(title for row in rows for title in row))
