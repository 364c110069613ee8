"""What a submission's process gets of minidet is complete: in an installed wheel there is nothing else to import."""

from __future__ import annotations

import ast
from pathlib import Path

import minidet
from minidet.course.link import SUPPLIED, supply

PACKAGE = Path(minidet.__file__).parent
LATER = {"minidet.course.assignments"}
"""What the grader's own process alone imports, which has all of minidet."""


def imported(file: Path) -> set[str]:
    """The modules and packages of minidet that a file asks for, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("minidet.")}


def test_it_imports_nothing_that_is_not_there(tmp_path):
    """An installed checkout would find the rest elsewhere, so it is not enough to run it."""
    supply(tmp_path / "minidet")
    files = sorted((tmp_path / "minidet").rglob("*.py"))
    assert {file.relative_to(tmp_path / "minidet").parts[0].removesuffix(".py") for file in files} == {
        "__init__", "course", *(name.partition("/")[0] for name in SUPPLIED),
    }  # fmt: skip
    for file in files:
        for name in imported(file) - LATER:
            module = name.rpartition(".")[0]
            places = [tmp_path.joinpath(*part.split(".")) for part in (name, module)]
            there = [place.with_suffix(".py").is_file() or (place / "__init__.py").is_file() for place in places]
            assert there[0] or (there[1] and module != "minidet"), f"{file.name} imports {name}, which is not supplied"
