"""What a student can find out before handing in: whether the file is the one that is expected, with all in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from minidet.course.assignments import Assignment
from minidet.course.stubs import stub_source
from minidet.course.submissions import Source
from minidet.course.worker import REFUSED, SUPPLIED


def problems(source: Source, assignment: Assignment, variant: int = 0) -> list[str]:
    """What keeps a module from being graded as it should be, in words; nothing where it is ready."""
    found = [source.remark] if source.remark else []
    try:
        tree = ast.parse(source.text)
    except SyntaxError as error:
        return [*found, f"line {error.lineno}: {error.msg}"]
    except (ValueError, RecursionError, MemoryError) as error:
        return [*found, f"the module cannot be read: {error}"]
    return [*found, *_functions(tree, assignment, variant), *_imports(tree)]


def _functions(tree: ast.Module, assignment: Assignment, variant: int) -> Iterator[str]:
    own = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    stub = ast.parse(stub_source(assignment, variant))
    wanted = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
    for exercise in assignment.exercises:
        name = exercise.name
        if name not in own:
            there = any(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))
            yield f"{name} is no function of the module" if there else f"{name} is missing"
            continue
        if _unwritten(own[name]):
            yield f"{name} is not written yet"
        if _arguments(own[name]) != _arguments(wanted[name]):
            yield f"{name} has other arguments than in the assignment: {_arguments(wanted[name])} are expected"


def _arguments(function: ast.FunctionDef) -> str:
    """Names and defaults, without annotations."""
    arguments = function.args
    for one in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        one.annotation = None
    return f"({ast.unparse(arguments)})"


def _unwritten(function: ast.FunctionDef) -> bool:
    last = function.body[-1]
    return isinstance(last, ast.Raise) and last.exc is not None and "NotImplementedError" in ast.unparse(last.exc)


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif node.module:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "minidet" else [node.module]
            )
        for name in names:
            first, _, rest = name.partition(".")
            if first in REFUSED or (first == "minidet" and rest and rest.partition(".")[0] not in SUPPLIED):
                yield f"line {node.lineno}: {name} may not be imported in an assignment"
