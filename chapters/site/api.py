"""The API reference: one page per package, made of the docstrings, without importing anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from chapters.site import listings
from minidet.files import write_text

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "reference": "to read: one equation, one function, in NumPy",
    "compiled": "to see how fast plain Python can be made, with Numba",
    "pytorch": "to train and run, on a GPU too",
    "config": "every number of the paper, as frozen dataclasses",
    "data": "data sets and their faults",
    "evaluation": "COCO's metrics",
    "inspection": "what `minidet inspect` shows",
}
"""The packages of the reference, in the order of their pages, and what they are for."""
SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$")
Definition = ast.FunctionDef | ast.ClassDef


def write(folder: Path, shown: set[Path]) -> None:
    """Write the pages.

    Args:
        folder: where.
        shown: files that pages are needed for; the modules are added.
    """
    listed = "\n".join(f"- [`minidet.{name}`]({name}.md): {what}" for name, what in PACKAGES.items())
    entries = "\n".join(PACKAGES)
    write_text(
        folder / "index.md",
        "# API reference\n\nThe three paths have the same functions in files of the same names. "
        f"`help(minidet.reference.focal_loss)` says the same.\n\n{listed}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{entries}\n```\n",
    )
    for name in PACKAGES:
        write_text(folder / f"{name}.md", package(name, shown))


def package(name: str, shown: set[Path]) -> str:
    """The page of a package: its modules in alphabetical order, of each the public functions and classes."""
    parts = [f"# minidet.{name}\n"]
    for path in sorted((ROOT / "minidet" / name).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        inside = path.relative_to(ROOT)
        if path.stem.startswith("_"):
            if path.stem == "__init__":
                parts.append(prose(ast.get_docstring(tree) or ""))
            continue
        found = list(public(tree))
        if not found:
            continue
        shown.add(inside)
        parts.append(f'## {path.stem}\n\n<a href="../{listings.address(inside)}">source</a>\n')
        parts.append(prose(ast.get_docstring(tree) or ""))
        parts += [definition(node) for node in found]
    return "\n".join(parts)


def public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """The functions and classes of a module or a class that have a docstring and no underscore."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def definition(node: Definition, level: int = 3, owner: str = "") -> str:
    """Signature and docstring of a function, or of a class with its methods."""
    said = f"{owner}{node.name}"
    title = f"{'#' * level} `{said}`\n"
    if isinstance(node, ast.ClassDef):
        shown = f"class {said}"
        inner = [definition(method, level + 1, f"{node.name}.") for method in public(node)]
    else:
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        shown, inner = f"{said}({signature(node.args)}){returned}", []
    return "\n".join([title, f"```python\n{shown}\n```\n", docstring(ast.get_docstring(node) or ""), *inner])


def signature(arguments: ast.arguments) -> str:
    """The arguments with their defaults and without their types, which the docstring explains."""
    bare = ast.parse(f"def f({ast.unparse(arguments)}): 0").body[0]
    assert isinstance(bare, ast.FunctionDef)
    for argument in ast.walk(bare.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(bare.args)


def docstring(text: str) -> str:
    """A docstring as Markdown: its sections as lists, its examples as code."""
    parts: list[str] = []
    heading = ""
    for block in re.split(r"\n\s*\n", text):
        lines = block.split("\n")
        if section := SECTION.match(lines[0]):
            heading, lines = section[1], lines[1:]
            parts.append(f"**{heading}**\n")
        if lines and lines[0].lstrip().startswith(">>>"):
            parts.append("```pycon\n" + "\n".join(lines) + "\n```\n")
        elif lines and lines[0].startswith("    ") and heading in ("Returns", "Yields"):
            parts.append(f"{escaped(' '.join(line.strip() for line in lines))}\n")
        elif lines and lines[0].startswith("    ") and heading:
            parts.append("\n".join(entries(lines)) + "\n")
        elif lines and lines[0].startswith("    "):
            parts.append("```text\n" + "\n".join(line[4:] for line in lines) + "\n```\n")
        else:
            parts.append(prose("\n".join(lines)))
    return "\n".join(parts)


def entries(lines: list[str]) -> Iterator[str]:
    """The entries of a section as a list: one begins at four blanks and goes on where there are more."""
    entry = ""
    for line in lines:
        if line.startswith("     ") and entry:
            entry += " " + line.strip()
        else:
            if entry:
                yield f"- {escaped(entry)}"
            entry = line.strip()
    yield f"- {escaped(entry)}"


def prose(text: str) -> str:
    """Plain text as Markdown; what is indented, or shows an example, stays as it is laid out."""
    parts = []
    for block in re.split(r"\n\s*\n", text):
        laid_out = block.startswith(("    ", ">>>"))
        parts.append(f"```text\n{block}\n```\n" if laid_out else f"{escaped(block)}\n")
    return "\n".join(parts)


def escaped(text: str) -> str:
    """Text whose characters mean nothing to Markdown; names in backquotes stay code."""
    parts = re.split(r"(``.+?``|`[^`\n]+`)", text)
    return "".join(part if i % 2 else re.sub(r"([\\*_|<>\[\]#$~^{}])", r"\\\1", part) for i, part in enumerate(parts))
