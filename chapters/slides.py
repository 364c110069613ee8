"""Slides for a week of the course, made from the chapters: their headings, formulas, pictures and questions.

    python chapters/slides.py [--out FOLDER] [WEEK ...]

One HTML file per week. Keys: right and left, or a click; at a question the first one unfolds
the answer. A browser prints one slide per page. They need no
network: pictures and formulas are in the file.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.filters.markdown_mistune import markdown2html_mistune

sys.path.insert(
    0, str(Path(__file__).resolve().parents[1])
)  # where this file is run by its name

from chapters.formulas import drawn

HERE = Path(__file__).resolve().parent
WEEKS = {
    1: ("Boxes", ("01_one_object", "02_boxes_and_iou", "03_anchors", "04_matching")),
    2: (
        "The loss",
        ("05_imbalance", "06_focal_loss", "07_numerics", "08_other_shapes"),
    ),
    3: (
        "The detector",
        ("09_network", "10_training", "11_inference", "12_average_precision"),
    ),
    4: (
        "The evidence",
        ("13_what_the_loss_sees", "14_sampling", "15_fast", "16_your_own_data"),
    ),
}
"""The course of four weeks in README.md."""
LEFT_OUT = ("Where to read on", "Read on")
PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; font: 28px/1.4 system-ui, sans-serif; color: #222; background: #fff; }}
section {{ box-sizing: border-box; min-height: 100vh; padding: 4vh 6vw; display: none; }}
section.shown {{ display: block; }}
h1 {{ font-size: 1.8em; margin-top: 25vh; }} h2 {{ font-size: 1.3em; margin: 0 0 .6em; }}
img {{ max-width: 100%; max-height: 72vh; display: block; margin: 0 auto; }}
small {{ color: #666; position: fixed; right: 2vw; bottom: 1vh; font-size: .5em; }}
summary {{ color: #666; }} svg {{ max-width: 100%; }}
@media print {{ section {{ display: block; break-after: page; }} small {{ position: static; }} }}
</style>
{slides}
<script>
const all = [...document.querySelectorAll("section")];
let now = Math.max(0, Number(location.hash.slice(1)) || 0);
function show(to) {{
  now = Math.min(Math.max(to, 0), all.length - 1);
  all.forEach((one, i) => one.classList.toggle("shown", i === now));
  history.replaceState(null, "", "#" + now);
}}
function next() {{
  const folded = all[now].querySelector("details:not([open])");
  if (folded) folded.open = true; else show(now + 1);
}}
addEventListener("keydown", event => {{
  if (["ArrowRight", "PageDown", " "].includes(event.key)) next();
  if (["ArrowLeft", "PageUp"].includes(event.key)) show(now - 1);
}});
addEventListener("click", event => {{ if (!event.target.closest("a, summary")) next(); }});
show(now);
</script>
</html>
"""


@dataclass
class Section:
    """A heading of a chapter and what stands under it."""

    title: str
    text: str = ""
    pictures: list[tuple[str, str]] = field(default_factory=list)
    """PNG in base64, and what it shows in words."""


def sections(notebook: Any) -> Iterator[Section]:
    """The parts of a chapter; the first has the chapter's title."""
    part: Section | None = None
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            if part:
                part.pictures += [
                    _picture(one, part.title)
                    for one in cell.get("outputs", ())
                    if _holds_picture(one)
                ]
            continue
        for piece in re.split(r"^(?=##? )", cell.source, flags=re.MULTILINE):
            heading = re.match(r"##? (.*)\n*", piece)
            if heading:
                if part:
                    yield part
                part, piece = Section(heading[1]), piece[heading.end() :]
            if part:
                part.text += f"{piece.strip()}\n\n"
    if part:
        yield part


def slides(notebook: Any) -> Iterator[str]:
    """The slides of a chapter, as HTML."""
    for number, part in enumerate(sections(notebook)):
        if part.title in LEFT_OUT:
            continue
        if number == 0:
            yield f"<h1>{_heading(part.title)}</h1>{_html(_paragraphs(part.text)[0])}"
        elif part.title == "Questions":
            yield from (
                f"<h2>Question</h2>{_html(question)}"
                for question in _questions(part.text)
            )
        elif part.title == "Exercise":
            yield f"<h2>Exercise</h2>{_html(_paragraphs(part.text)[0])}"
        else:
            formulas = re.findall(r"\$\$.*?\$\$", part.text, re.DOTALL)
            yield (
                f"<h2>{_heading(part.title)}</h2>{_html(_first_sentences(part.text))}"
                + "".join(map(_html, formulas))
            )
        for data, words in part.pictures:
            yield f'<h2>{_heading(part.title)}</h2><img alt="{escape(words)}" src="data:{data}">'


def week(number: int, folder: Path = HERE) -> str:
    """The page of a week.

    Raises:
        ValueError: there is no such week.
    """
    if number not in WEEKS:
        raise ValueError(
            f"there is no week {number}: there are {', '.join(map(str, WEEKS))}"
        )
    title, chapters = WEEKS[number]
    parts = [f"<h1>Week {number}: {escape(title)}</h1>"]
    for name in chapters:
        parts += slides(nbformat.read(folder / f"{name}.ipynb", as_version=4))
    body = "\n".join(
        f"<section>{part}<small>{i} / {len(parts)}</small></section>"
        for i, part in enumerate(parts, 1)
    )
    return PAGE.format(title=f"Week {number}: {escape(title)}", slides=body)


def _first_sentences(text: str, count: int = 2) -> str:
    """The beginning of a section: so many sentences of its first paragraph, formulas and tables aside."""
    plain = re.sub(r"\$\$.*?\$\$|<details>.*?</details>", "", text, flags=re.DOTALL)
    first = next(
        (one for one in _paragraphs(plain) if not one.startswith(("|", "#", "!"))), ""
    )
    return " ".join(
        re.split(r"(?<=[.?!:]) (?=[A-Z*`$])", " ".join(first.split()))[:count]
    )


def _questions(text: str) -> list[str]:
    """The questions, each with its folded answer."""
    return [one.strip() for one in re.findall(r".*?</details>", text, re.DOTALL)]


def _paragraphs(text: str) -> list[str]:
    return [one for one in re.split(r"\n\s*\n", text.strip()) if one] or [""]


def _heading(text: str) -> str:
    """The same for a heading, whose number begins no list."""
    return re.sub(r"</?p>", "", _html(re.sub(r"^(\d+)\.", r"\1\.", text))).strip()


def _html(text: str) -> str:
    """Markdown as HTML; links to other files, which the slides do not have, as their words."""
    return drawn(
        str(
            markdown2html_mistune(
                re.sub(r"(?<!!)\[([^\]]*)\]\((?!https?:)[^)]*\)", r"\1", text)
            )
        )
    )


KINDS = ("image/png", "image/jpeg")
"""Of pictures in notebooks."""


def _holds_picture(output: Any) -> bool:
    return any(kind in output.get("data", {}) for kind in KINDS)


def _picture(output: Any, title: str) -> tuple[str, str]:
    data = output["data"]
    kind = next(kind for kind in KINDS if kind in data)
    found = re.search(r'alt="([^"]*)"', str(data.get("text/html", "")))
    words = (
        output.get("metadata", {}).get(kind, {}).get("alt")
        or (found and found[1])
        or f"figure: {title}"
    )
    encoded = re.sub(r"\s", "", data[kind])
    return f"{kind};base64,{encoded}", words


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "weeks", type=int, nargs="*", metavar="WEEK", help="default: all"
    )
    parser.add_argument("--out", type=Path, default=Path("slides"), metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for number in options.weeks or WEEKS:
        path = options.out / f"week{number}.html"
        path.write_text(week(number), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
