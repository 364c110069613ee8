"""The paper annotated: annotated.md with the verdicts of the experiments and the errata put in.

In annotated.md a line ``{claims: Table 1a; section 5.1}`` stands for all claims of these places with verdicts, and
a line ``{errata: 1, 2}`` for notes in the margin with these errata.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
        ValueError: a claim or an erratum stands nowhere on the page, or a place or a number on it has none.
    """
    text = (HERE / "annotated.md").read_text(encoding="utf-8")
    verdicts: dict[str, list[str]] = {}
    for claim, verdict in claims.judged(runs or results.load_results()):
        paper, here = escaped(claim.published), escaped(str(verdict))
        said = f"- **{verdict.kind}**: {escaped(claim.text)}. The paper: {paper}; here: {here}."
        verdicts.setdefault(claim.section, []).append(said)
    notes = errata()
    _complete("claims of", verdicts, [place.strip() for found in CLAIMS.findall(text) for place in found.split(";")])
    _complete("erratum", notes, [number.strip() for found in ERRATA.findall(text) for number in found.split(",")])

    def judged(match: re.Match[str]) -> str:
        places = [place.strip() for place in match[1].split(";")]
        listed = "\n".join(said for place in places for said in verdicts[place])
        return f":::{{admonition}} What our runs say\n{listed}\n:::"

    def margin(match: re.Match[str]) -> str:
        listed = "\n".join(f"- {notes[number.strip()]}" for number in match[1].split(","))
        return f":::{{sidebar}} Misread\n{listed}\n\nWhy each is wrong: [errata](../errata.ipynb)\n:::"

    return ERRATA.sub(margin, CLAIMS.sub(judged, text))


def errata() -> dict[str, str]:
    """The wrong readings of the appendix by their number, as Markdown."""
    notebook = nbformat.read(HERE.parent / "errata.ipynb", as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return {number: f"**{number}** {title}" for number, title in re.findall(r"^### (\d+)\. (.+)$", prose, re.MULTILINE)}


def _complete(what: str, there: Mapping[str, object], used: list[str]) -> None:
    """ValueError unless each is used exactly once."""
    if wrong := sorted(set(there) ^ set(used)) or sorted(name for name in set(used) if used.count(name) > 1):
        raise ValueError(f"annotated.md must have {what} {', '.join(wrong)} once: add it, or remove what is too much")
