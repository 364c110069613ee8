"""Which submissions hold the same code, and which go ways that an assignment does not need.

Functions are compared without what is changed to hide a copy: names of arguments and variables, comments, docstrings,
annotations, layout, how NumPy is called, variables that are never used, the side on which a comparison is written, and
lines that check arguments. What is left is compared for equality, so a match of a function of some length is worth a
look, and no match proves nothing. Short functions come out the same by honest work and are left out.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping

from minidet.course.assignments import Assignment
from minidet.course.stubs import solution_source, stub_source

SHORTEST = 60
"""Nodes of the syntax tree that a function has at least to be compared."""
REFERENCE = "minidet's reference"
NAMES = {
    "exec": "exec", "eval": "eval", "compile": "compile", "__import__": "__import__", "open": "open",
    "importlib": "importlib", "inspect": "inspect", "gc": "gc", "pathlib": "pathlib", "subprocess": "subprocess",
    "socket": "socket", "os": "os", "ctypes": "ctypes", "_getframe": "sys._getframe", "meta_path": "sys.meta_path",
    "modules": "sys.modules", "__globals__": "__globals__", "__code__": "__code__", "__closure__": "__closure__",
    "f_locals": "f_locals",
}  # fmt: skip
"""Names that an assignment does not need."""
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def find_copies(sources: Mapping[str, bytes], assignment: Assignment) -> dict[str, list[str]]:
    """For each submission what is worth a look: groups with the same code, and ways to what it must not have.

    Args:
        sources: the modules by the name of the submission. One that cannot be parsed has no copies.
        assignment: its graded functions, and helpers that the stubs do not come with, are compared.
    """
    given = set(_forms(stub_source(assignment)).values())
    texts = {name: text.decode("utf-8", "replace") for name, text in sources.items()}
    forms = {name: {f: form for f, form in _forms(text).items() if form not in given} for name, text in texts.items()}
    holders: dict[str, set[str]] = {}
    for name, own in forms.items():
        for form in own.values():
            holders.setdefault(form, set()).add(name)
    groups = _groups([names for names in holders.values() if len(names) > 1])
    right = set(_forms(solution_source(assignment)).values()) - given
    found: dict[str, list[str]] = {}
    for name, own in forms.items():
        number = next((i for i, group in enumerate(groups, start=1) if name in group), 0)
        shared = [function for function, form in own.items() if len(holders[form]) > 1]
        same = [function for function, form in own.items() if form in right]
        told = [f"copy group {number} ({len(groups[number - 1])} submissions): {', '.join(shared)}"] if number else []
        told += [f"{REFERENCE}: {', '.join(same)}"] if same else []
        ways = ways_around(texts[name])
        found[name] = told + ([f"uses {', '.join(ways)}"] if ways else [])
    return found


def ways_around(source: str) -> list[str]:
    """What a module uses that an assignment does not need, as words; the name of the reference's source is one."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
        elif isinstance(node, ast.Attribute):
            names = [node.attr] if node.attr in NAMES and node.attr not in ("os", "open", "compile", "gc") else []
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "reference" in node.value:
            names = ["the reference's name"] if "minidet" in node.value or ".py" in node.value else []
        else:
            continue
        found |= dict.fromkeys(NAMES.get(name, name) for name in names if name in NAMES or " " in name)
    return list(found)


def _groups(sets: list[set[str]]) -> list[set[str]]:
    """Sets that share a member become one."""
    groups: list[set[str]] = []
    for new in sets:
        apart = [group for group in groups if not group & new]
        groups = [*apart, new.union(*(group for group in groups if group & new))]
    return groups


def _forms(source: str) -> dict[str, str]:
    """The functions of a module, normalised, those of some length."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    aliases = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    normal = {node.name: _Normal(node, aliases).visit(copy.deepcopy(node)) for node in functions}
    return {name: ast.dump(node) for name, node in normal.items() if sum(1 for _ in ast.walk(node)) >= SHORTEST}


class _Normal(ast.NodeTransformer):
    """Arguments and variables are numbered in the order in which they appear; what says nothing goes."""

    def __init__(self, function: ast.FunctionDef, aliases: Mapping[str, str]) -> None:
        self.numbers: dict[str, str] = {}
        self.aliases = aliases
        names = [part for part in ast.walk(function) if isinstance(part, ast.Name)]
        stored = {part.id for part in names if isinstance(part.ctx, ast.Store)}
        arguments = {part.arg for part in ast.walk(function) if isinstance(part, ast.arg)}
        self.local = stored | arguments
        self.unused = stored - {part.id for part in names if isinstance(part.ctx, ast.Load)} - arguments

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name, node.returns, node.decorator_list = "", None, []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._number(node.arg))

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        prose = isinstance(node.value, ast.Constant)
        return None if prose or _is_check(node.value) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        targets = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if len(targets) == len(node.targets) and set(targets) <= self.unused:
            return None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return None if node.value is None else self.visit(ast.Assign([node.target], node.value))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        if len(node.ops) == 1 and type(node.ops[0]) in TURNED:
            node = ast.Compare(node.comparators[0], [TURNED[type(node.ops[0])]()], [node.left])
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        name = node.id if node.id in self.local else self.aliases.get(node.id, node.id)
        return ast.Name(self._number(name) if name in self.local else name, node.ctx)

    def _number(self, name: str) -> str:
        return self.numbers.setdefault(name, f"v{len(self.numbers)}")


def _is_check(node: ast.expr) -> bool:
    """Whether an expression is a call of minidet.checks."""
    function = node.func if isinstance(node, ast.Call) else None
    return (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "checks"
    )
