"""Which submissions hold the same code.

Functions are compared without what is changed to hide a copy: names of arguments and variables, comments, docstrings,
annotations, and layout. What is left is compared for equality, so a match of a function of some length is worth a look,
and no match proves nothing. Short functions come out the same by honest work and are left out.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from minidet.course.assignments import Assignment
from minidet.course.stubs import solution_source, stub_source

SHORTEST = 60
"""Nodes of the syntax tree that a function has at least to be compared."""
REFERENCE = "minidet's reference"


def find_copies(files: Mapping[str, Path], assignment: Assignment) -> dict[str, list[str]]:
    """For each submission, which others share functions with it, as "NAME (function, …)"; minidet's reference is one.

    Args:
        files: the modules by the name of the submission. One that cannot be parsed has no copies.
        assignment: its graded functions, and helpers that the stubs do not come with, are compared.
    """
    given = set(_forms(stub_source(assignment)).values())
    forms = {name: _forms(file.read_text(encoding="utf-8", errors="replace")) for name, file in files.items()}
    found: dict[str, list[str]] = {name: [] for name in files}
    reference = {**_forms(solution_source(assignment))}
    for name, other in [*combinations(files, 2), *((name, REFERENCE) for name in files)]:
        theirs = set((reference if other == REFERENCE else forms[other]).values()) - given
        same = [function for function, form in forms[name].items() if form in theirs]
        if same:
            found[name].append(f"{other} ({', '.join(same)})")
            if other in found:
                found[other].append(f"{name} ({', '.join(same)})")
    return found


def _forms(source: str) -> dict[str, str]:
    """The functions of a module, normalised, those of some length."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return {}
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    normal = {node.name: _Normal().visit(copy.deepcopy(node)) for node in functions}
    return {name: ast.dump(node) for name, node in normal.items() if sum(1 for _ in ast.walk(node)) >= SHORTEST}


class _Normal(ast.NodeTransformer):
    """Arguments and variables are numbered in the order in which they appear; prose and annotations go."""

    def __init__(self) -> None:
        self.numbers: dict[str, str] = {}
        self.local: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.local |= {
            part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        }
        self.local |= {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
        node.name, node.returns, node.decorator_list = "", None, []
        is_prose = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
        node.body = node.body[1:] if is_prose and len(node.body) > 1 else node.body
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._number(node.arg))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value))

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._number(node.id) if node.id in self.local else node.id, node.ctx)

    def _number(self, name: str) -> str:
        return self.numbers.setdefault(name, f"v{len(self.numbers)}")
