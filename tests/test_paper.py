"""PAPER.md: every name that it gives is defined in the file that it links, and every link leads somewhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "PAPER.md").read_text(encoding="utf-8")
LINKS = sorted(set(re.findall(r"\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)", PAGE)))


@cache
def defined(file: Path) -> set[str]:
    """The functions, classes and constants of a module, and what its classes hold as `Class.name`."""
    names = set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for scope, prefix in [
        (tree, ""),
        *((node, f"{node.name}.") for node in tree.body if isinstance(node, ast.ClassDef)),
    ]:
        for node in scope.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(prefix + node.name)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(prefix + node.target.id)
            elif isinstance(node, ast.Assign):
                names |= {prefix + target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize(("text", "target"), LINKS, ids=lambda value: value)
def test_a_link_leads_to_what_it_names(text, target):
    file = ROOT / target
    assert file.is_file(), f"{target} does not exist"
    name = text.strip("`")
    if text.startswith("`") and file.suffix == ".py" and name != file.name:
        assert name in defined(file), f"{target} does not define {name}"


@pytest.mark.parametrize("place", [f"Equation {n}" for n in (1, 3, 4, 5, 6)] + [
    "equation 2", "Equations 7 and 8", "the rule of assignment", "The offsets", "Section 3.3, the prior", "Inference",
    "Section 5.1, cross entropy without and with the prior", "Section 5.1, the hinge loss",
    *(f"Figure {n}" for n in (1, 2, 3, 4, 7)), "Figures 5 and 6", *(f"Table 1{part}" for part in "cde"),
    "Tables 1a and 1b", "Table 2", "Table 3", "Appendix B",
])  # fmt: skip
def test_nothing_of_the_paper_is_missing(place):
    assert place in PAGE
