"""The runs of a row as dots on a line, one per seed, each of which leads to its file: a cell of the summary page."""

from __future__ import annotations

from html import escape

from minidet.experiments.results import Results, file_name

WIDTH, HEIGHT, RADIUS = 120, 14, 3.5
"""Pixels of the picture and of a dot."""


def cell(results: Results, name: str, highest: float, runs: str | None) -> str:
    """The cell of a row.

    Args:
        results: the runs.
        name: of the experiment.
        highest: AP in percent at the right end, above 0; the left end is 0.
        runs: where the page finds the files of the runs, relative to itself; None for no links.

    Returns:
        HTML: an empty cell where nothing was run.
    """
    dots, links = [], []
    for seed, run in results.of(name).items():
        ap = 100 * run["metrics"]["AP"]
        x = RADIUS + (WIDTH - 2 * RADIUS) * max(ap, 0) / highest
        told = f"seed {seed}: AP {ap:.1f}" + (", diverged" if run["diverged_at"] is not None else "")
        dots.append(f'<circle cx="{x:.1f}" cy="{HEIGHT / 2:g}" r="{RADIUS}"><title>{escape(told)}</title></circle>')
        if runs is not None:
            file = f"{runs}/{file_name(run['name'], seed)}.json"
            links.append(f'<a href="{escape(file)}" title="{escape(told)}">{seed}</a>')
    if not dots:
        return "<td></td>"
    label = f"AP of {len(dots)} seeds, from 0 to {highest:.0f}"
    line = f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT / 2:g}" y2="{HEIGHT / 2:g}"/>'
    picture = (
        f'<svg class="dots" role="img" aria-label="{escape(label)}" width="{WIDTH}" height="{HEIGHT}">{line}'
        f"{''.join(dots)}</svg>"
    )
    return f'<td class="text">{picture} {" ".join(links)}</td>'
