"""The house: imports go one way, files stay short, and a private name stays at home."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import minidet

PACKAGE = Path(minidet.__file__).parent
ROOT = PACKAGE.parent
FLOORS = (
    ("checks", "structures", "files", "wording", "progress"),
    ("labels",),
    ("config", "weights"),
    ("geometry", "runs"),
    ("reference", "compiled", "pytorch"),
    ("data", "paths"),
    ("plotting",),
    ("inspection", "evaluation", "book"),
    ("experiments", "course"),
    ("cli",),
    ("__main__",),
)
"""Whoever stands on a floor imports from the floors below it, and from its own folder; never from a neighbour."""
ALONE = {"reference": {"numpy", "minidet"}, "compiled": {"numpy", "numba", "minidet"}}
"""The only packages that these two import, beside the standard library."""
WITHOUT_TORCH = (
    "checks",
    "structures",
    "files",
    "wording",
    "labels",
    "config",
    "weights",
    "geometry",
    "runs",
    "data",
    "plotting",
    "book",
    "inspection",
    "course",
)
LONGEST = 250
TABLES = ("course/exercises/", "experiments/published.py")
"""Files that are tables of data, which may be longer."""

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    """The module or package directly below `minidet` that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree(file: Path) -> ast.Module:
    """A file's source, parsed once for all tests."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """(module, name) for every import anywhere in a file; the name is empty for `import module`."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def rooms_used(file: Path) -> set[str]:
    """The rooms of `minidet` that a file imports from."""
    found = set()
    for module, name in imported(file):
        top, _, rest = module.partition(".")
        if top == "minidet":
            inside = rest.split(".")[0] or name
            found |= {inside} - {"", "__version__"}
    return found


FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def test_every_room_has_a_floor():
    assert {room(file) for file in SOURCES} - {"__init__"} <= FLOOR.keys()


@pytest.mark.parametrize("name", FLOOR)
def test_imports_go_one_way(name):
    for file in SOURCES:
        if room(file) == name:
            wrong = {other for other in rooms_used(file) - {name} if FLOOR[other] >= FLOOR[name]}
            assert not wrong, f"{file.relative_to(ROOT)} imports minidet.{', minidet.'.join(sorted(wrong))}"


def test_the_package_does_not_import_what_stands_beside_it():
    for file in SOURCES:
        beside = {module for module, _ in imported(file) if module.split(".")[0] in ("figures", "chapters", "tests")}
        assert not beside, f"{file.relative_to(ROOT)} imports {beside}"


@pytest.mark.parametrize("path", ALONE)
def test_a_path_needs_few_packages(path):
    import sys

    for file in (PACKAGE / path).glob("*.py"):
        packages = {module.split(".")[0] for module, _ in imported(file)} - sys.stdlib_module_names
        assert packages <= ALONE[path], f"{file.relative_to(ROOT)} imports {packages - ALONE[path]}"


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_rooms_that_need_no_torch(name):
    for file in SOURCES:
        if room(file) == name:
            used = {module.split(".")[0] for module, _ in imported(file)} | rooms_used(file)
            assert not used & {"torch", "pytorch"}, f"{file.relative_to(ROOT)} imports torch"


def private_uses(file: Path) -> Iterator[str]:
    """Dotted names with a leading underscore that a file takes from another folder, by import or as an attribute."""
    modules = {}
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("minidet", "figures"):
            for alias in node.names:
                modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}.{node.attr}"


def test_a_private_name_stays_in_its_folder():
    """Modules and names that begin with one underscore are used within their own folder alone."""
    for file in [*SOURCES, *(ROOT / "figures").glob("*.py")]:
        folder = ".".join(file.relative_to(ROOT).parent.parts)
        for name in private_uses(file):
            parts = name.split(".")
            first = next(
                (i for i, part in enumerate(parts) if re.match(r"_(?!_|fields$|replace$|make$|asdict$)", part)), None
            )
            if first is not None:
                owner = ROOT.joinpath(*parts[:first])  # the module or the package in which the private thing is
                home = parts[:first] if owner.is_dir() else parts[: first - 1]
                assert folder == ".".join(home), f"{file.relative_to(ROOT)} uses {name}"


def test_files_stay_short():
    files = [*SOURCES, *(ROOT / "figures").glob("*.py")]
    tables = tuple(str(PACKAGE / table) for table in TABLES)
    long = {
        str(file.relative_to(ROOT)): lines
        for file in files
        if not str(file).startswith(tables) and (lines := len(file.read_text(encoding="utf-8").splitlines())) > LONGEST
    }
    assert not long, f"over {LONGEST} lines: {long}"
