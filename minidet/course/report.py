"""A graded submission as a table, as JSON, and as Gradescope's results.json."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from minidet.course.grading import Result
from minidet.course.session import Row

WIDTH = 110
VISIBILITIES = ("visible", "after_due_date", "after_published", "hidden")
"""The words of Gradescope's specification."""


def table(result: Result) -> str:
    """Points by function, and for each that failed the first failing input, what was expected, what came, and a
    hint."""
    width = max([8, *(len(row.name) for row in result.rows)])
    lines = [f"{result.assignment}: {result.submission}", "", f"{'function':{width}}   points      checks"]
    for row in result.rows:
        tried = len(row.passed) + len(row.failed)
        count = f"{len(row.passed)} of {tried}" if tried else ""
        remark = f"  {row.remark}" if row.remark else ""
        lines.append(f"{row.name:{width}}  {result.earned(row):6g} of {result.points[row.name]:<4g} {count}{remark}")
    lines.append(f"{'total':{width}}  {result.total:6g} of {result.maximum:<4g}")
    if result.remark:
        lines += ["", *_wrap("", result.remark)]
    for row in result.rows:
        if explanation := explain(row):
            lines += ["", explanation]
    if result.copies:
        lines += ["", *_wrap("", f"worth a look: {'; '.join(result.copies)}")]
    return "\n".join(lines)


def explanation(row: Row) -> tuple[str, list[tuple[str, str]]]:
    """The name of the first check that failed, and what is to be said of it: (label, text); "" where there is none."""
    name, failure = next(((name, failure) for name, failure in row.failed.items() if failure), ("", None))
    if failure is None:
        return "", []
    others = [other for other, one in row.failed.items() if other != name and one]
    skipped = [other for other, one in row.failed.items() if one is None]
    told = [("input", failure.call), ("expected", failure.expected), ("came", failure.got), ("hint", failure.hint)]
    told += [("also", ", ".join(others))] if others else []
    return name, told + ([("not tried", ", ".join(skipped))] if skipped else [])


def explain(row: Row) -> str:
    """The first failure of a function, and which other checks failed; "" where there is none."""
    name, told = explanation(row)
    if not name:
        return ""
    lines = [f"{row.name}: {name}"]
    for label, text in told:
        lines += _wrap(f"  {label:9} ", text)
    return "\n".join(lines)


def _wrap(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False
    ) or [label]


def to_dict(result: Result) -> dict[str, Any]:
    """Everything, as JSON types."""
    return {
        "assignment": result.assignment, "submission": result.submission, "points": result.total,
        "maximum": result.maximum, "remark": result.remark, "seconds": round(result.seconds, 2),
        "worth_a_look": result.copies,
        "functions": [
            {
                "name": row.name, "points": result.earned(row), "maximum": result.points[row.name],
                "remark": row.remark, "passed": row.passed,
                "failed": {name: failure and failure.to_dict() for name, failure in row.failed.items()},
            }
            for row in result.rows
        ],
    }  # fmt: skip


def to_json(result: Result) -> str:
    return json.dumps(to_dict(result), indent=1, allow_nan=False)


def gradescope(result: Result, visibility: str = "visible") -> str:
    """The results.json of Gradescope's autograder specification: one test case per function."""
    tests = [
        {
            "name": row.name, "number": str(number), "score": result.earned(row), "max_score": result.points[row.name],
            "status": "passed" if row.share == 1 else "failed",
            "output": "\n".join(filter(None, [row.remark, explain(row)])) or "all checks passed",
            "visibility": visibility,
        }
        for number, row in enumerate(result.rows, start=1)
    ]  # fmt: skip
    told = f"{result.total:g} of {result.maximum:g} points"
    content: dict[str, Any] = {
        "score": result.total, "execution_time": round(result.seconds), "visibility": visibility,
        "stdout_visibility": "hidden", "output": f"{told}. {result.remark}" if result.remark else told, "tests": tests,
    }  # fmt: skip
    return json.dumps(content, indent=1, allow_nan=False)
