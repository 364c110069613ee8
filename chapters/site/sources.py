"""The pages of the web site, as Sphinx reads them: copies of the repository, with links that stay in the site.

    index.md  chapters/*.ipynb  chapters/*.md  PAPER.md  annotated.md  measured.md  api/*.md

A link to a file of the repository that is no page of the book leads to a page that shows it; listings.py makes that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_markdown_cell

from chapters.site import annotated, api, listings, measured
from chapters.site.runnable import BUTTON, RUNNABLE
from minidet.files import write_bytes, write_text

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = os.environ.get("GITHUB_REPOSITORY", "")
"""Owner and name on GitHub, as its actions say; empty elsewhere, and then no page offers to be opened in Colab."""
PLAYS = {
    "02": ("iou", "IoU"), "03": ("anchors", "anchors and matching"), "04": ("anchors", "anchors and matching"),
    "05": ("focal_loss", "the focal loss"), "06": ("focal_loss", "the focal loss"), "10": ("guess", "guess first"),
    "09": ("glass", "the glass detector"), "18": ("glass", "the glass detector"),
    "11": ("nms", "suppression, step by step"), "12": ("average_precision", "average precision"),
}  # fmt: skip
"""The page to play with of each chapter, by its number."""
FOLDED = 16
"""Code cells of more lines are folded."""
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]\n]+)\]\((?P<target>[^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\((?P<target>[^)\s]+)\)")
SUMMARY = Path("figures/results/summary.html")
"""A page already: build.py copies it, and a link to it leads there instead of to its code."""
INDEX = """# minidet

Learn how dense object detection really works, from the paper that made it work: *Focal Loss for Dense Object Detection*
(Lin et al., 2017), focal loss and RetinaNet, from scratch. This is the book as a web site; it needs no network.

![A detector learns: scores of cells, bright at the objects in the end](figures/results/animations/heat_maps.gif)

- **<a href="play/index.html">Pages to play with</a>**: boxes to drag and losses to bend, with the digits of the tested
  reference and nothing to install
- **[The chapters](chapters/README.md)**, from one object in one image to the evidence of the paper
- **[The paper's map](PAPER.md)**: from every equation, section, figure and table to the function, the chapter and the
  test
- **[The paper, annotated](annotated.md)**: section by section, with our verdicts and what is often misread
- **<a href="summary.html">Every experiment</a>**: the published numbers beside ours, and a verdict for each claim
- **[Digits and times](measured.md)**: how exact the losses are, and how fast the operations
- **[API reference](api/index.md)**: every public function, from its docstring

```{{toctree}}
:caption: The book
:maxdepth: 1
:hidden:

chapters/README
{chapters}
```

```{{toctree}}
:caption: To look up
:maxdepth: 1
:hidden:

PAPER
annotated
measured
{pages}
api/index
```
"""


def assemble(source: Path) -> set[Path]:
    """Write the sources of the whole site.

    Args:
        source: the folder to write; made if it is not there.

    Returns:
        The files of the repository that the pages link to, relative to it.
    """
    shown: set[Path] = set()
    names = sorted(path.name for path in (ROOT / "chapters").glob("*.ipynb"))
    pages = [Path("PAPER.md"), *(path.relative_to(ROOT) for path in sorted((ROOT / "chapters").glob("*.md")))]
    entries = [f"chapters/{path.stem}" for path in pages[1:] if path.stem != "README"]
    chapters = "\n".join(f"chapters/{name[:-6]}" for name in names)
    write_text(source / "index.md", INDEX.format(chapters=chapters, pages="\n".join(entries)))
    copy_pictures(INDEX, Path("index.md"), source)
    for name in names:
        path = ROOT / "chapters" / name
        notebook = nbformat.read(path, as_version=4)
        write_text(source / "downloads" / name, nbformat.writes(without_outputs(notebook)))
        write_text(source / "chapters" / name, nbformat.writes(chapter(notebook, name, shown)))
        for cell in notebook.cells:
            copy_pictures(cell.source if cell.cell_type == "markdown" else "", Path("chapters") / name, source)
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        write_text(source / page, within(text, page, page, shown))
        copy_pictures(text, page, source)
    for name, text in (("annotated.md", annotated.page()), ("measured.md", measured.page())):
        write_text(source / name, within(text, Path("chapters/site") / name, Path(name), shown))
    api.write(source / "api", shown)
    return shown


def chapter(notebook: Any, name: str, shown: set[Path]) -> Any:
    """A notebook as the site shows it: links, buttons, long code folded, pictures with their words, no widgets."""
    page = Path("chapters") / name
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = within(cell.source, page, page, shown)
            continue
        if cell.source.count("\n") >= FOLDED:
            cell.metadata.setdefault("tags", []).append("hide-input")
        for output in cell.outputs:
            for kind in [kind for kind in output.get("data", {}) if "widget" in kind]:
                del output.data[kind]  # needs a kernel; what else there is, such as a picture, stays
            if "text/markdown" in output.get("data", {}):
                output.data.pop("text/plain", None)
        cell.outputs = [one for one in cell.outputs if one.get("data", {"text": 1})]
        about = [one.get("metadata", {}).get(kind) for one in cell.outputs for kind in ("image/png", "image/jpeg")]
        words = [image["alt"] for image in about if image]
        if words:  # where myst-nb looks for them; without them it would name the file
            cell.metadata["mystnb"] = {"image": {"alt": " ".join(words)}}
    if name[:2] in PLAYS:
        before = [i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## Questions")]
        notebook.cells.insert(before[0] if before else len(notebook.cells), played(name[:2]))
    title, _, rest = notebook.cells[0].source.partition("\n")
    notebook.cells[0].source = f"{title}\n\n{buttons(name)}\n{rest}"
    notebook.metadata.pop("widgets", None)
    return notebook


def buttons(name: str) -> str:
    """What can be done with a chapter, in a line of Markdown."""
    offered = [f"{{download}}`Download the notebook <../downloads/{name}>`"]
    if REPOSITORY:
        address = f"https://colab.research.google.com/github/{REPOSITORY}/blob/main/chapters/{name}"
        offered.insert(0, f"[Open in Colab]({address})")
    if play := PLAYS.get(name[:2]):
        offered.append(f'Play: <a href="../play/{play[0]}.html">{play[1]}</a>')
    if name[:2] in RUNNABLE:
        offered.append(BUTTON)
    return " · ".join(offered)


def without_outputs(notebook: Any) -> Any:
    """A copy of a notebook to run oneself; without its pictures it is a tenth as large."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy


def played(number: str) -> Any:
    """A cell that shows a chapter's page to play with."""
    name, title = PLAYS[number]
    frame = f'<iframe class="play" src="../play/{name}.html" title="{title}" loading="lazy"></iframe>'
    return new_markdown_cell(f"## To play with: {title}\n\n{frame}")


def within(text: str, written: Path, page: Path, shown: set[Path]) -> str:
    """Markdown whose links stay within the site.

    Args:
        text: Markdown.
        written: where it is in the repository, from which its links lead.
        page: where it is in the site.
        shown: files that pages are needed for; those that the links lead to are added.
    """

    def target(match: re.Match[str]) -> str:
        address, _, heading = match["target"].partition("#")
        if not address or "://" in address or address.startswith("mailto:"):
            return match[0]
        inside = (ROOT / written).parent.joinpath(address).resolve().relative_to(ROOT)
        up = "../" * (len(page.parts) - 1)
        if inside.suffix == ".ipynb" or inside == Path("PAPER.md") or inside.match("chapters/*.md"):
            return f"[{match['text']}]({up}{inside.as_posix()}{f'#{heading.lower()}' if heading else ''})"
        if inside == SUMMARY:
            return f'<a href="{up}summary.html">{match["text"]}</a>'
        shown.add(inside)
        return f'<a href="{up}{listings.address(inside, match["text"])}">{match["text"]}</a>'

    return outside_code(text, lambda prose: LINK.sub(target, prose))


def copy_pictures(text: str, written: Path, source: Path) -> None:
    """Copy the picture files that Markdown shows to where the site's copy of it looks for them.

    Args:
        text: Markdown.
        written: where it is in the repository, from which the pictures are addressed.
        source: the folder of the site's sources.
    """
    for match in PICTURE.finditer(text):
        if "://" not in match["target"]:
            path = (ROOT / written).parent.joinpath(match["target"]).resolve()
            write_bytes(source / path.relative_to(ROOT), path.read_bytes())


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change what is no code and no formula."""
    parts = re.split(r"(```.*?```|\$\$.*?\$\$)", text, flags=re.DOTALL)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))
