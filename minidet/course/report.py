"""A graded submission as a table, as JSON, as Gradescope's results.json, and a folder of them as CSV."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterable
from typing import Any

from minidet.course.grading import Result
from minidet.course.session import Row

WIDTH = 110


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
        lines += ["", *_wrap("", f"the same code as: {'; '.join(result.copies)}")]
    return "\n".join(lines)


def explain(row: Row) -> str:
    """The first failure of a function, and which other checks failed; "" where there is none."""
    name, failure = next(((name, failure) for name, failure in row.failed.items() if failure), ("", None))
    if failure is None:
        return ""
    others = [other for other, one in row.failed.items() if other != name and one]
    skipped = [other for other, one in row.failed.items() if one is None]
    lines = [f"{row.name}: {name}"]
    for label, text in (
        ("input", failure.call),
        ("expected", failure.expected),
        ("came", failure.got),
        ("hint", failure.hint),
    ):
        lines += _wrap(f"  {label:9}", text)
    if others:
        lines += _wrap(f"  {'also':9}", f"{', '.join(others)}")
    if skipped:
        lines += _wrap(f"  {'not tried':9}", f" {', '.join(skipped)}")
    return "\n".join(lines)


def _wrap(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_long_words=False
    ) or [label]


def to_dict(result: Result) -> dict[str, Any]:
    """Everything, as JSON types."""
    return {
        "assignment": result.assignment, "submission": result.submission, "points": result.total,
        "maximum": result.maximum,
        "remark": result.remark, "seconds": round(result.seconds, 2), "same_code_as": result.copies,
        "functions": [
            {"name": row.name, "points": result.earned(row), "maximum": result.points[row.name], "remark": row.remark,
             "passed": row.passed, "failed": {name: failure and failure.to_dict() for name,
             failure in row.failed.items()}}
            for row in result.rows
        ],
    }  # fmt: skip


def to_json(result: Result) -> str:
    return json.dumps(to_dict(result), indent=1, allow_nan=False)


def gradescope(result: Result) -> str:
    """The results.json of Gradescope's autograder specification: one test case a function."""
    tests = [
        {
            "name": row.name, "number": str(number), "score": result.earned(row), "max_score": result.points[row.name],
            "status": "passed" if row.share == 1 else "failed",
            "output": "\n".join(filter(None, [row.remark, explain(row)])) or "all checks passed",
            "visibility": "visible",
        }
        for number, row in enumerate(result.rows, start=1)
    ]  # fmt: skip
    content: dict[str, Any] = {
        "score": result.total, "execution_time": round(result.seconds), "visibility": "visible",
        "stdout_visibility": "hidden",
        "output": result.remark or f"{result.total:g} of {result.maximum:g} points", "tests": tests,
    }  # fmt: skip
    return json.dumps(content, indent=1, allow_nan=False)


def to_csv(results: Iterable[Result]) -> str:
    """One line a submission: its points, those of each function, and what is to be known besides."""
    results = list(results)
    names = list(dict.fromkeys(name for result in results for name in result.points))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", "points", "maximum", *names, "remark", "same_code_as"])
    for result in results:
        earned = {row.name: result.earned(row) for row in result.rows}
        points = [f"{earned[name]:g}" if name in earned else "" for name in names]
        remark, copies = _safe(result.remark), "; ".join(result.copies)
        writer.writerow(
            [_safe(result.submission), f"{result.total:g}", f"{result.maximum:g}", *points, remark, _safe(copies)]
        )
    return text.getvalue()


def _safe(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
