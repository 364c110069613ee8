"""The paper annotated: annotated.md with the verdicts of the experiments and the errata put in.

In annotated.md a line ``{claims: Table 1a; section 5.1}`` stands for all claims of these places with verdicts, and
a line ``{errata: 1, 2}`` for notes in the margin with these errata. Claims of places that have no such line come last.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

from chapters.site.api import escaped
from minidet.experiments import claims, results

HERE = Path(__file__).resolve().parent
CLAIMS = re.compile(r"^\{claims: (.+)\}$", re.MULTILINE)
ERRATA = re.compile(r"^\{errata: (.+)\}$", re.MULTILINE)


def page(runs: results.Results | None = None) -> str:
    """The page as Markdown.

    Args:
        runs: our results; None for the committed ones.

    Raises:
        ValueError: an erratum does not stand on the page exactly once.
    """
    text = (HERE / "annotated.md").read_text(encoding="utf-8")
    verdicts: dict[str, list[str]] = {}
    for claim, verdict in claims.judged(runs or results.load_results()):
        paper, here = escaped(claim.published), escaped(str(verdict))
        said = f"- **{verdict.kind}**: {escaped(claim.text)}. The paper: {paper}; here: {here}."
        verdicts.setdefault(claim.section, []).append(said)
    notes = errata()
    used = [number.strip() for found in ERRATA.findall(text) for number in found.split(",")]
    if sorted(used) != sorted(notes):
        raise ValueError(f"annotated.md has the errata {', '.join(used)}: it must have each of 1 … {len(notes)} once")

    def judged(match: re.Match[str]) -> str:
        listed = [said for place in match[1].split(";") for said in verdicts.pop(place.strip(), [])]
        return _box("admonition", "What our runs say", listed) if listed else ""

    def margin(match: re.Match[str]) -> str:
        listed = [f"- {notes[number.strip()]}" for number in match[1].split(",")]
        return _box("sidebar", "Misread", [*listed, "", "Why each is wrong: [errata](../errata.ipynb)"])

    text = ERRATA.sub(margin, CLAIMS.sub(judged, text))
    left = [f"{said} ({place})" for place, listed in verdicts.items() for said in listed]
    return f"{text}\n## Claims of other places\n\n{_box('admonition', 'What our runs say', left)}\n" if left else text


def errata() -> dict[str, str]:
    """The wrong readings of the appendix by their number, as Markdown."""
    notebook = nbformat.read(HERE.parent / "errata.ipynb", as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {number: f"**{number}** {title}" for number, title in re.findall(r"^### (\d+)\. (.+)$", prose, re.MULTILINE)}


def _box(kind: str, title: str, lines: Sequence[str]) -> str:
    """A directive of MyST around some lines."""
    return "\n".join([f":::{{{kind}}} {title}", *lines, ":::"])
