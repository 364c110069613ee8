"""Small faults planted in the operations: which of them do the tests find?

``python -m tests.mutants [reference/losses.py …] [--sample SHARE] [--json FILE] [--minutes N] [--numba]``, from the
repository's root, on Linux; without a file, all of `SUBJECTS`. What FILE knows already is not run again, so that a run
can be broken off and continued; faults in expressions that have changed since, and survivors without a reason, are
run. With a sample, only that share of the faults is run: which ones is drawn from their names, not from the results.

A fault is one change to one expression in a function: + for -, < for <=, a number plus or minus 1, a term or factor
left out, min for max, and for or, a negation dropped. Messages of errors are left alone. pytest collects the tests
once; each fault gets a child of that process, which runs the tests of its path, the quick ones first, until one fails.
Functions of `compiled` run without Numba, as Python, or with ``--numba`` as machine code, which is compiled anew for
each fault: the shorter way where a file's loops are long. A fault that no test finds survives: either a test is
missing, or the change changes nothing that a caller could see; then `REASONS` in `tests.survivors` says why.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests.survivors import REASONS

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "figures/results/mutants.json"
FILES = (
    "boxes", "losses", "star", "regression", "softmax", "stable", "quality", "overlap", "nms", "assignment", "anchors",
    "sampling", "postprocess",
)  # fmt: skip
TESTS = {
    "boxes": ["boxes", "assignment", "nms"], "star": ["losses"], "regression": ["losses", "half"],
    "softmax": ["losses"], "stable": ["losses", "quality"], "losses": ["losses", "half"],
    "quality": ["quality", "half"], "anchors": ["anchors", "assignment"],
    "dense32": ["losses", "half"], "forced": ["assignment"], "grid": ["assignment", "anchors"],
    "vectors": ["losses", "quality", "boxes"],
}  # fmt: skip
SUBJECTS = (
    *(f"reference/{name}.py" for name in (*FILES, "average_precision")),
    *(f"compiled/{name}.py" for name in (*FILES, "dense32", "forced", "grid", "vectors")),
    *(f"pytorch/{name}.py" for name in FILES),
)
CONTRACT = "tests/test_package.py::test_the_contract"
"""The test that the paths have the same arguments with the same defaults."""
SLOWEST = 4.0
"""Seconds of a processor that a test may take to be among those that are run."""

WITHOUT_NUMBA = os.environ.get("NUMBA_DISABLE_JIT") == "1"
"""Whether the functions of `compiled` run as Python; Numba reads it when it is imported."""
BROKEN = 9
"""What a child returns that did not come to its tests."""

SWAPS: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Div,), ast.Mod: (ast.Mult,), ast.Lt: (ast.LtE,), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE,),
    ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.And: (ast.Or,), ast.Or: (ast.And,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
}  # fmt: skip
NAMES = {"min": "max", "minimum": "maximum", "floor": "ceil", "any": "all", "argmin": "argmax", "zeros": "ones"}
NAMES |= {value: key for key, value in NAMES.items()} | {"log1p": "log", "expm1": "exp"}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """The node with one fault, once for each kind of fault."""
    if isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)):
        for other in SWAPS.get(type(node.op), ()):
            yield _with(node, op=other())
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)):
        yield from (node.left, node.right)
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield _with(node, ops=[SWAPS[type(node.ops[0])][0](), *node.ops[1:]])
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _with(node, value=not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        yield from (_with(node, value=node.value + step) for step in (1, -1) if node.value + step != node.value)
    if isinstance(node, ast.IfExp):
        yield _with(node, body=node.orelse, orelse=node.body)
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield _with(node, id=NAMES[node.id])
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield _with(node, attr=NAMES[node.attr])


def _with(node: Any, **fields: Any) -> Any:
    values = {name: getattr(node, name) for name in node._fields} | fields
    return ast.copy_location(type(node)(**values), node)


class _Planter(ast.NodeTransformer):
    """Walks through the functions of a module and plants the fault of this number, or names all where it is -1."""

    def __init__(self, number: int):
        self.number, self.count, self.function = number, 0, ""
        self.named: list[tuple[str, int]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        outer, self.function = self.function, f"{self.function}.{node.name}".lstrip(".")
        defaults = node.args
        defaults.defaults = [self.visit(one) for one in defaults.defaults]
        node.body = [one if _is_text(one) else self.visit(one) for one in node.body]
        self.function = outer
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        outer, self.function = self.function, f"{self.function}.{node.name}".lstrip(".")
        node.body = [self.visit(one) if isinstance(one, ast.FunctionDef) else one for one in node.body]
        self.function = outer
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.value = self.visit(node.value) if node.value else None
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if self.function:
            for change in changes(node):
                if self.number < 0:
                    name = f"{self.function}: {ast.unparse(node)} -> {ast.unparse(change)}"
                    self.named.append((name, getattr(node, "lineno", 0)))
                self.count += 1
                if self.count == self.number + 1:
                    return change
        return super().generic_visit(node)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def named(file: Path) -> dict[str, int]:
    """A key for every fault that can be planted in a file, with its line."""
    planter, seen, lines = _Planter(-1), dict[str, int](), dict[str, int]()
    planter.visit(ast.parse(file.read_text(encoding="utf-8")))
    for fault, line in planter.named:
        name = f"{file.parent.name}/{file.name} {fault}"
        seen[name] = seen.get(name, 0) + 1
        lines[f"{name} ({seen[name]})" if seen[name] > 1 else name] = line
    return lines


def faults(file: Path) -> Iterator[tuple[str, int, ast.Module]]:
    """A key, the line and the module for every fault that can be planted in a file."""
    source = file.read_text(encoding="utf-8")
    for number, (key, line) in enumerate(named(file).items()):
        tree = ast.parse(source)
        _Planter(number).visit(tree)
        yield key, line, ast.fix_missing_locations(tree)


def drawn(key: str, share: float) -> bool:
    """Whether a fault belongs to a random sample of this share of all."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) < share * 2**32


def plant(module: str, tree: ast.Module) -> None:
    """Give the functions of an imported module the code of another version of it, wherever they are referred to."""
    codes: dict[str, CodeType] = {}

    def collect(code: CodeType) -> None:
        for one in code.co_consts:
            if isinstance(one, CodeType):
                codes[one.co_qualname] = one
                collect(one)

    collect(compile(tree, module, "exec"))
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__module__ == module and one.__qualname__ in codes:
            code = codes[one.__qualname__]
            if len(code.co_freevars) == len(one.__code__.co_freevars):
                one.__code__ = code
    defaults = {node.name: node.args.defaults for node in tree.body if isinstance(node, ast.FunctionDef)}
    for name, values in defaults.items():
        function = getattr(sys.modules[module], name)
        if isinstance(function, FunctionType) and all(isinstance(value, ast.Constant) for value in values):
            function.__defaults__ = tuple(value.value for value in values) or None  # type: ignore[attr-defined]


def recompile(module: str) -> None:
    """Have Numba forget the machine code of a module's functions and of all kernels that call them."""
    from numba.core.caching import NullCache
    from numba.core.dispatcher import Dispatcher

    kernels = [one for one in gc.get_objects() if issubclass(type(one), Dispatcher)]  # not of proxies
    stale = [one for one in kernels if one.py_func.__module__ == module]
    more = stale
    while more:
        changed = {id(one) for one in stale}
        more = [one for one in kernels if id(one) not in changed and any(
            id(one.py_func.__globals__.get(name)) in changed for name in one.py_func.__code__.co_names
        )]  # fmt: skip
        stale += more
    for one in stale:
        one._make_finalizer()()
        one._reset_overloads()
        one._cache = NullCache()


class Loop:
    """A plugin of pytest that, in place of running the collected tests, runs them once for each fault."""

    def __init__(self, file: Path, share: float, known: dict[str, Any], stop: float, save: Any):
        self.file, self.share, self.known, self.stop, self.save = file, share, known, stop, save
        self.seconds = 0.0
        self.module = f"minidet.{file.parent.name}.{file.stem}"

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        session.config.pluginmanager.unregister(name="terminalreporter")  # no dots for every fault
        items = self.chosen(session)
        whole = ast.parse(self.file.read_text(encoding="utf-8"))
        if in_child(functools.partial(self.survives, session, items, whole)):
            raise RuntimeError("the tests fail without a fault")
        for key, line, tree in faults(self.file):
            if key in self.known or not drawn(key, self.share):
                continue
            if time.monotonic() > self.stop:
                break
            run = functools.partial(self.survives, session, items, tree)
            status = in_child(run, limit=10 + int(2 * self.seconds))
            if status == BROKEN:
                raise RuntimeError(f"the fault could not be planted: {key}")
            outcome = {0: "survived", 1: "killed"}.get(status, "killed by an endless loop or a crash")
            self.known[key] = {"line": line, "outcome": outcome}
            self.save()
            if status == 0:
                print(f"  survived, line {line}: {key}", flush=True)
        return True

    def chosen(self, session: pytest.Session) -> list[pytest.Item]:
        """The tests that pass and are not slow, the quick ones first."""
        read, write = os.pipe()

        def measure() -> int:
            seconds = []
            for item in session.items:
                before, failed = time.process_time(), session.testsfailed
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
                seconds.append(time.process_time() - before if session.testsfailed == failed else float("inf"))
            os.write(write, json.dumps(seconds).encode())
            return 0

        in_child(measure, limit=1200)
        os.close(write)
        with os.fdopen(read) as pipe:
            seconds = json.load(pipe)
        order = sorted(range(len(seconds)), key=seconds.__getitem__)
        kept = [session.items[i] for i in order if seconds[i] <= SLOWEST]
        self.seconds = sum(seconds[i] for i in order[: len(kept)])
        print(f"{self.file.parent.name}/{self.file.name}: {len(kept)} tests, {self.seconds:.1f} s")
        return kept

    def survives(self, session: pytest.Session, items: list[pytest.Item], tree: ast.Module) -> int:
        plant(self.module, tree)
        if self.file.parent.name == "compiled" and not WITHOUT_NUMBA:
            recompile(self.module)
        for item in items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if session.testsfailed:
                return 1
        return 0


def in_child(run: Any, limit: int = 120) -> int:
    """What a function returns in a child of this process, which is silent and has so many seconds of a processor."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        status = BROKEN
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            status = run()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def summary(results: dict[str, Any]) -> None:
    """Print a line for each file."""
    for subject in SUBJECTS:
        own = {key: one["outcome"] for key, one in results.items() if key.startswith(subject + " ")}
        if own:
            alive = [key for key, outcome in own.items() if outcome == "survived"]
            explained = sum(key in REASONS for key in alive)
            score = 1 - len(alive) / len(own)
            print(f"{subject:32} {len(own):4} faults, {len(alive):3} survive, {explained} explained: {score:.1%} found")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="such as reference/losses.py")
    parser.add_argument("--sample", type=float, default=1.0, metavar="SHARE", help="such as 0.1")
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--numba", action="store_true", help="run the functions of compiled as machine code")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    known: dict[str, Any] = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {}
    stop = time.monotonic() + 60 * options.minutes
    for subject in options.files or SUBJECTS:
        file = ROOT / "minidet" / subject
        path, name = file.parent.name, file.stem
        if path == "compiled" and not WITHOUT_NUMBA and not options.numba:
            again = [sys.executable, "-m", "tests.mutants", *sys.argv[1:]]
            os.execve(sys.executable, again, {**os.environ, "NUMBA_DISABLE_JIT": "1"})
        now = named(file).keys()
        for key in [key for key in known if key.startswith(subject + " ")]:
            unexplained = known[key]["outcome"] == "survived" and key not in REASONS  # a new test may find it
            if unexplained or key not in now:
                del known[key]
        if {key for key in now if drawn(key, options.sample)} <= known.keys():
            continue
        more = ["compiled", "compiled_vectors"] if path == "compiled" else []  # what only its way of being fast needs
        tests = [f"tests/operations/test_{one}.py" for one in dict.fromkeys([*TESTS.get(name, [name]), *more])]

        def save() -> None:
            options.json.write_text(json.dumps(known, indent=0, sort_keys=True) + "\n", encoding="utf-8")

        always = ["tests/test_docstrings.py", CONTRACT]
        chosen = f"{path} or test_average_precision"  # whose tests are not one for each path
        arguments = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", chosen, *tests, *always]
        if path == "compiled" and WITHOUT_NUMBA:
            arguments += ["-W", "ignore::RuntimeWarning"]  # of overflow, by NumPy's scalars: machine code has none
        pytest.main(arguments, plugins=[Loop(file, options.sample, known, stop, save)])
    summary(known)


if __name__ == "__main__":
    main()
