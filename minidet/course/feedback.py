"""A page for each student: points by function, and for each that failed the input, both results, and a hint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from minidet.course.classroom import Entry
from minidet.course.report import explanation
from minidet.files import write_text

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #ccc; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
dt {{ font-weight: 600; margin-top: .4rem; }} dd {{ margin: 0 0 0 1rem; overflow-wrap: anywhere; }}
code {{ font: 14px/1.4 ui-monospace, monospace; }} .hint {{ background: #fff4d6; padding: .4rem .6rem; }}
</style>
<h1>{title}</h1>
<p>{points}</p>
{body}
</html>
"""
CODE = ("input", "expected", "came")


def page(entry: Entry) -> str:
    """The page, with nothing in it that a submission could make the reader's browser do."""
    result, body = entry.result, []
    if result.remark:
        body.append(f"<p>{escape(result.remark)}</p>")
    rows = []
    for row in result.rows:
        tried = len(row.passed) + len(row.failed)
        checks = f"{len(row.passed)} of {tried} checks" if tried else ""
        told = "; ".join(filter(None, [checks, row.remark]))
        points = f"{result.earned(row):g} of {result.points[row.name]:g}"
        cells = f'<td><code>{escape(row.name)}</code></td><td class="number">{points}</td><td>{escape(told)}</td>'
        rows.append(f"<tr>{cells}</tr>")
    if rows:
        body.append("<table><tr><th>function</th><th>points</th><th></th></tr>\n" + "\n".join(rows) + "\n</table>")
    for row in result.rows:
        name, parts = explanation(row)
        if not name:
            continue
        body.append(f"<h2><code>{escape(row.name)}</code>: {escape(name)}</h2>\n<dl>")
        for label, text in parts:
            inner = f"<code>{escape(text)}</code>" if label in CODE else escape(text)
            mark = ' class="hint"' if label == "hint" else ""
            body.append(f"<dt>{label}</dt><dd{mark}>{inner}</dd>")
        body.append("</dl>")
    points = f"{entry.points:g} of {result.maximum:g} points"
    if entry.taken:
        points += f" ({result.total:g} less {entry.taken:g} for {entry.days_late:g} days late)"
    title = f"{result.assignment}: {entry.name}"
    return PAGE.format(title=escape(title), points=escape(points), body="\n".join(body))


def write_pages(entries: Sequence[Entry], folder: Path) -> list[Path]:
    """Write each student's page; two students of one name get files of their own."""
    written: list[Path] = []
    for entry in entries:
        name = re.sub(r"[^\w.-]+", "_", entry.name).strip("._") or "student"
        number = entry.handed_in.number if entry.handed_in else ""
        path, count = folder / f"{name}.html", 1
        while path in written:
            count += 1
            path = folder / f"{name}_{number or count}{'' if count == 2 else f'_{count}'}.html"
        written.append(write_text(path, page(entry)))
    return written
