"""A module to fill in, made from the reference's own source, so that names, arguments and docstrings are the same."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from minidet.course.assignments import Assignment
from minidet.course.check import Exercise, Function

HEAD = '''"""{name}: {title}.

Fill in the functions below; README.md has the rules and the points. Keep names and arguments as they are. Helpers of
your own are welcome.

{notes}
"""

from __future__ import annotations
'''


def stub_source(assignment: Assignment, variant: int = 0) -> str:
    """The module that students fill in: what is given, then a stub for each exercise."""
    stubs = [_stub(exercise, exercise.defaults(variant) if variant else {}) for exercise in assignment.exercises]
    given = closure(assignment.given)
    parts = ["# ---- Given", *given, "# ---- Yours"] if given else []
    return _module(assignment, [*parts, *stubs], [e.reference for e in assignment.exercises])


def solution_source(assignment: Assignment, variant: int = 0) -> str:
    """The same module with the reference's functions in it, as one file."""
    functions = [exercise.reference for exercise in assignment.exercises]
    source = _module(assignment, closure([*assignment.given, *functions]), functions)
    for exercise in assignment.exercises if variant else ():
        source = _with_defaults(source, exercise.name, exercise.defaults(variant))
    return source


def _with_defaults(source: str, name: str, defaults: Mapping[str, float]) -> str:
    """A module with other default arguments in a function."""
    node = next(one for one in ast.parse(source).body if isinstance(one, ast.FunctionDef) and one.name == name)
    lines = source.splitlines(keepends=True)
    positional = node.args.args[len(node.args.args) - len(node.args.defaults) :]
    for argument, default in reversed(list(zip(positional, node.args.defaults, strict=True))):
        if argument.arg in defaults:
            row, value = default.lineno - 1, repr(defaults[argument.arg])
            lines[row] = lines[row][: default.col_offset] + value + lines[row][default.end_col_offset :]
    return "".join(lines)


def closure(functions: Sequence[Function]) -> list[str]:
    """The source of functions and of everything of the reference that they use, each thing before its first use."""
    done: dict[tuple[str, str], str] = {}

    def visit(module: ModuleType, name: str) -> None:
        source, tree = _parsed(module)
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minidet.reference"):
                if name in [alias.name for alias in node.names]:
                    visit(sys.modules[node.module or ""], name)
                continue
            if name not in _names_of(node) or (module.__name__, name) in done:
                continue
            done[module.__name__, name] = ""  # a function may call itself
            for used in (part.id for part in ast.walk(node) if isinstance(part, ast.Name)):
                if used != name:
                    visit(module, used)
            del done[module.__name__, name]
            done[module.__name__, name] = "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])

    for function in functions:
        visit(sys.modules[function.__module__], function.__name__)
    return list(done.values())


@cache
def _parsed(module: ModuleType) -> tuple[str, ast.Module]:
    source = inspect.getsource(module)
    return source, ast.parse(source)


def _names_of(node: ast.stmt) -> list[str]:
    """What a statement of a module defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    return (
        [target.id for target in node.targets if isinstance(target, ast.Name)] if isinstance(node, ast.Assign) else []
    )


def _stub(exercise: Exercise, defaults: Mapping[str, float]) -> str:
    source = textwrap.dedent(inspect.getsource(exercise.reference))
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    lines = source.splitlines()
    door = []
    for statement in node.body[1:]:
        if not _is_door(statement):
            break
        door += lines[statement.lineno - 1 : statement.end_lineno]
    head = lines[: node.body[0].end_lineno]
    if exercise.doc:  # the reference's own docstring says too much, or too little
        head = [*lines[: node.body[0].lineno - 1], *f'    """{exercise.doc.rstrip()}'.splitlines(), '    """']
    example = next((i for i, line in enumerate(head) if ">>>" in line), None)
    if defaults and example is not None:  # its numbers are those of the paper's defaults
        head = [*head[: example - 1], '    """']
    if exercise.subject:
        told = inspect.cleandoc(exercise.subject.reference.__doc__ or "")
        name, bare = exercise.subject.name, inspect.Parameter.empty
        arguments = ", ".join(str(one.replace(annotation=bare)) for one in exercise.subject.parameters.values())
        about = [f"What {name}({arguments}) should do:", *(f"    {line}" for line in told.splitlines())]
        head = [*_opened(head), "", *(f"    {line}".rstrip() for line in about), '    """']
    if exercise.note:
        note = textwrap.wrap(exercise.note, 116, initial_indent="    ", subsequent_indent="    ")
        head = [*head[:-1], "", *note, head[-1]]
    stub = "\n".join([*head, *door, "    raise NotImplementedError"])
    return _with_defaults(stub, exercise.name, defaults).rstrip("\n")


def _opened(head: list[str]) -> list[str]:
    """The lines of a function up to its docstring, without the quotes that end it."""
    last = head[-1].removesuffix('"""')
    return [*head[:-1], last] if last.strip() else head[:-1]


def _is_door(statement: ast.stmt) -> bool:
    """Whether a statement only checks arguments, with minidet.checks."""
    if isinstance(statement, ast.For):
        return all(isinstance(part, (ast.Expr, ast.For)) and _is_door(part) for part in statement.body)
    if not isinstance(statement, (ast.Expr, ast.Assign)):
        return False
    calls = [node.func for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
    checked = [
        f for f in calls if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name) and f.value.id == "checks"
    ]
    return bool(checked) and all(not isinstance(f, ast.Name) or f.id in ("len", "int") for f in calls)


def _module(assignment: Assignment, parts: Sequence[str], functions: Sequence[Function]) -> str:
    body = "\n\n\n".join(parts) + "\n"
    used = {node.id for node in ast.walk(ast.parse(body)) if isinstance(node, ast.Name)} | {"np"}
    modules = {function.__module__ for function in [*assignment.given, *functions]}
    modules |= {name for name in sys.modules if name.startswith("minidet.reference.") and name.count(".") == 2}
    lines = sorted({line for name in modules for line in _imports(sys.modules[name], used)}, key=_import_order)
    own = dict.fromkeys(function.__module__ for function in functions)
    described = "\n\n".join(inspect.cleandoc(sys.modules[name].__doc__ or "") for name in own)
    notes = assignment.notes or described
    head = HEAD.format(name=assignment.name, title=assignment.title, notes=notes)
    groups = [[line for line in lines if _import_order(line)[0] == group] for group in range(3)]
    return "\n\n".join([head.rstrip(), *("\n".join(group) for group in groups if group)]) + "\n\n\n" + body


def _imports(module: ModuleType, used: set[str]) -> list[str]:
    """The imports of a module for the names in `used`, one name per line, those of the reference left out."""
    found = []
    for node in _parsed(module)[1].body:
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else ():
            whence = f"from {node.module} import " if isinstance(node, ast.ImportFrom) else "import "
            solution = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                ("minidet.reference", "__future__")
            )
            if (alias.asname or alias.name) in used and not solution:
                found.append(f"{whence}{alias.name}" + (f" as {alias.asname}" if alias.asname else ""))
    return found


def _import_order(line: str) -> tuple[int, Any]:
    package = line.split()[1].split(".")[0]
    return (0 if package in sys.stdlib_module_names else 2 if package == "minidet" else 1), (
        line.startswith("from"),
        line,
    )
