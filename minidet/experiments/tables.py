"""Tables 1 to 3 of the paper beside ours, and our own tables that belong to its text.

The published numbers are COCO's, ours are of shapes at small scale: what can be compared is which row is the better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from minidet.experiments import claims, imbalance, rows, speed
from minidet.experiments import published as paper
from minidet.experiments.layout import TABLES, Row, Table
from minidet.experiments.results import Results, spearman
from minidet.experiments.rule import LEVEL
from minidet.experiments.student import tail

NAMES = ("1a", "1b", "1c", "1d", "1e", "1e-small", "2", "3", "7", "pi", "hinge", "imbalance", "lr", "longer",
         "background", "ohem", "tuned", "distractors", "plateau", "mining", "classifier", "design",
         "cells")  # fmt: skip
"""All tables."""
MORE = {
    "AR100": ("metrics", "AR100"), "AP, threshold 0": ("metrics_at_0", "AP"),
    "AR100, threshold 0": ("metrics_at_0", "AR100"),
}  # fmt: skip
"""Further columns, and where runs keep them; newer ones have AP and AR of the detections of every score too. A row has
them where all its runs do, so that the columns are means over the same seeds."""


class Printed(NamedTuple):
    """A table as text, before it is laid out."""

    title: str
    header: list[str]
    """Names of the columns."""
    body: list[list[str]]
    """Cells by row."""
    notes: list[str]
    """Sentences below the table."""


def text(name: str, results: Results) -> str:
    """A table for the terminal, with its notes and the verdicts on the claims that rest on it.

    Args:
        name: one of NAMES.
        results: the runs.

    Returns:
        Several lines.

    Raises:
        ValueError: there is no table of that name.
    """
    told = laid_out(content(name, results))
    for claim, verdict in claims.judged(results):
        if name in claim.tables:
            told += [f"{verdict.kind}: {claim.text} ({claim.section})", f"    {verdict}"]
            told += [f"    a look into why: {why}"] if (why := claim.look(results)) else []
    return "\n".join(told)


def laid_out(table: Printed) -> list[str]:
    """The lines of a table for the terminal: its title, its rows in columns, its notes."""
    lines = [table.header, *table.body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    told = [table.title, ""]
    told += ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return told + (["", *table.notes] if table.notes else [])


def content(name: str, results: Results) -> Printed:
    """A table as text; see `text`."""
    if name == "1e":
        return _speed()
    if name == "2":
        return _state_of_the_art(results)
    if name not in TABLES:
        raise ValueError(f"{name} is no table: there are {', '.join(NAMES)}")
    table = TABLES[name]
    printed = beside(table, results)
    if name == "1c":  # an object that no anchor fits cannot be found, whatever the loss
        printed.header.append("objects reached")
        for line, row in zip(printed.body, table.rows, strict=True):
            line.append(f"{imbalance.reached(row.name):.0%}")
    missing = [row.name for row in table.rows if results.score(row.name) is None]
    if missing:
        told = f"not run yet: {len(missing)} of {len(table.rows)} rows; minidet experiments run {name}"
        printed.notes.append(told)
    return printed


def beside(table: Table, results: Results) -> Printed:
    """A table whose rows are experiments: ours beside the published numbers.

    Args:
        table: the rows.
        results: the runs.

    Returns:
        The table; AP at a score threshold of 0 stands there too where it was measured.
    """
    published = any(row.published for row in table.rows)
    more = [name for name in MORE if any(_further(results, row.name, name) for row in table.rows)]
    theirs_too = ["paper AP", *table.metrics[1:]] if published else []
    header = [*table.keys, "our AP", *table.metrics[1:], *more, "seeds", *theirs_too]
    body = []
    for row in table.rows:
        cells = [f"{value:.1f}" for value in row.published or ()][: len(table.metrics)]
        theirs = cells + [""] * (len(table.metrics) - len(cells)) if published else []
        body.append([*row.keys, *_ours(results, row.name, table.metrics, more), *theirs])
    notes = [table.note] if table.note else []
    if published and (rho := correlation(table.rows, results)):
        notes.append(rho)
    return Printed(table.title, header, body, notes)


def correlation(table_rows: Sequence[Row], results: Results) -> str:
    """Spearman's rank correlation between the published APs and ours, in words; empty for fewer than seven rows.

    Of fewer, even the same order would say little.
    """
    pairs = [(row.published[0], results.score(row.name)) for row in table_rows if row.published]
    both = [(published, ours.mean) for published, ours in pairs if ours is not None]
    if len(both) < 7:
        return ""
    rho, degrees = spearman(*zip(*both, strict=True)), len(both) - 2
    if math.isnan(rho):  # all APs are equal
        return ""
    t = rho * math.sqrt(degrees / (1 - rho**2)) if abs(rho) < 1 else math.copysign(math.inf, rho)
    probability = 2 * tail(abs(t), degrees)
    seen = "" if probability < LEVEL and rho > 0 else ", so that the paper's order is not seen here"
    return f"rank correlation of our AP with the paper's: {rho:.2f} over {len(both)} rows (p = {probability:.2g}){seen}"


def _ours(results: Results, name: str, metrics: Sequence[str], more: Sequence[str]) -> list[str]:
    """Our AP with its spread, the other metrics, and the number of seeds, with the number that diverged."""
    ap, *others = (results.score(name, metric) for metric in metrics)
    if ap is None:
        return ["–"] * (len(metrics) + len(more)) + ["not run"]
    spread = f" ± {ap.deviation:.1f}" if ap.n > 1 else ""
    diverged = results.diverged(name)
    seeds = ("1 only" if ap.n == 1 else str(ap.n)) + (f", {diverged} diverged" if diverged else "")
    further = [_further(results, name, column) or "–" for column in more]
    return [f"{ap.mean:.1f}{spread}", *(f"{score.mean:.1f}" for score in others if score), *further, seeds]


def _further(results: Results, name: str, column: str) -> str:
    """The mean of a column of MORE, or nothing where not all runs have it."""
    where, metric = MORE[column]
    runs = results.of(name).values()
    values = [100 * run[where][metric] for run in runs if metric in run.get(where, ())]
    return f"{sum(values) / len(values):.1f}" if values and len(values) == len(runs) else ""


def _speed() -> Printed:
    measured = speed.load()
    ours = {(row["depth"], row["scale"]): row["milliseconds"] for row in measured["rows"]} if measured else {}
    header = ["depth", "scale", "our ms", "paper ms", "paper AP", "AP50", "AP75", "APs", "APm", "APl"]
    body = [
        [str(depth), str(scale), f"{ours[depth, scale]:.0f}" if (depth, scale) in ours else "–",
         f"{theirs.milliseconds:.0f}", *(f"{value:.1f}" for value in theirs[:-1])]
        for (depth, scale), theirs in paper.TABLE_1E.items()
    ]  # fmt: skip
    body += [
        [str(depth), str(scale), f"{value:.0f}", *[""] * 7]
        for (depth, scale), value in ours.items() if (depth, scale) not in paper.TABLE_1E
    ]  # fmt: skip
    notes = ["The paper's milliseconds are of an Nvidia M40, its AP of COCO test-dev."]
    if measured:
        notes.append(f"Ours: {speed.in_words(measured)}; random weights, so no AP.")
        both = [(theirs.milliseconds, ours[key]) for key, theirs in paper.TABLE_1E.items() if key in ours]
        if len(both) > 2:
            rho = spearman(*zip(*both, strict=True))
            notes.append(f"rank correlation of our time with the paper's: {rho:.2f} over {len(both)} rows")
    else:
        notes.append(f"ours is {speed.MISSING}")
    return Printed("Table 1e: depth and scale, accuracy and time", header, body, notes)


def _state_of_the_art(results: Results) -> Printed:
    metrics = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    body = [[*key, *(f"{value:.1f}" for value in values)] for key, values in paper.TABLE_2.items()]
    name = rows.longer(rows.FL)
    ours = [results.score(name, metric) for metric in metrics]
    cells = [f"{score.mean:.1f}" if score and score.mean >= 0 else "–" for score in ours]
    body.append(["minidet, on shapes", "a quarter of ResNet-18", *cells])
    notes = ["Published numbers are of COCO test-dev. Ours is of another data set, drawn shapes, and no rival to them."]
    if ours[0] is None:
        notes.append(f"not run yet: minidet experiments run {name}")
    return Printed("Table 2: detectors on COCO", ["detector", "backbone", *metrics], body, notes)
