"""Grading a submission in a process of its own, and a folder of them."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import minidet
from minidet import checks
from minidet.course.assignments import Assignment, Points, load
from minidet.course.check import Failure
from minidet.course.session import Row

STARTING = 120.0
"""Seconds on the clock that the process may take to start, on a machine that is busy."""
START = "import sys; sys.path.insert(0, sys.argv[1]); from minidet.course.runner import main; main()"


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    seconds: float = 5.0
    """Of the processor for each check."""
    megabytes: int = 2048
    """Of memory (address space)."""

    def __post_init__(self) -> None:
        checks.number("seconds", self.seconds, above=0)
        checks.integer("memory", self.megabytes, low=512)

    @property
    def patience(self) -> float:
        """Seconds on the clock for a check that uses no processor (it sleeps, or waits), before the process is
        ended."""
        return 20 + 4 * self.seconds


@dataclass
class Result:
    """A graded submission."""

    assignment: str
    submission: str
    rows: list[Row]
    points: dict[str, float]
    """What each row is worth."""
    partial: bool = True
    remark: str = ""
    """What is wrong with the module as a whole."""
    seconds: float = 0.0
    copies: list[str] = field(default_factory=list)
    """Other submissions with the same code, and where."""

    def earned(self, row: Row) -> float:
        share = row.share if self.partial or row.share == 1 else 0.0
        return round(self.points[row.name] * share, 2)

    @property
    def total(self) -> float:
        return round(sum(map(self.earned, self.rows)), 2)

    @property
    def maximum(self) -> float:
        return sum(self.points.values())


def grade_submission(
    assignment: str | Assignment, submission: str | os.PathLike[str], *, points: Points | None = None, variant: int = 0,
    seed: int = 0, limits: Limits | None = None, timed: bool = True,
) -> Result:  # fmt: skip
    """Grade a module, in processes of their own.

    Args:
        assignment: a1 to a5.
        submission: the module's file, or a folder that holds it as ``a3.py`` (or holds a single Python file).
        points: an instructor's points.
        variant, seed: of the default arguments, and of the inputs.
        limits: what a check may use.
        timed: False leaves the speed out; its points are then no part of the result.

    Raises:
        ValueError: the assignment or the file does not exist.
    """
    assignment = load(assignment) if isinstance(assignment, str) else assignment
    path, limits, points = find_module(Path(submission), assignment.name), limits or Limits(), points or Points({})
    worth = assignment.with_points(points.points)
    if assignment.speed and not timed:
        worth.pop(assignment.speed.name)
    result = Result(assignment.name, Path(submission).resolve().name, [], worth, points.partial)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="minidet-") as folder:
        file = Path(shutil.copyfile(path, Path(folder) / path.name))
        settings = {
            "assignment": assignment.name, "file": str(file), "seed": seed, "variant": variant, "timed": timed,
            "seconds": limits.seconds, "megabytes": limits.megabytes,
        }  # fmt: skip
        while (left := [name for name in worth if name not in [row.name for row in result.rows]]) and not result.remark:
            wrong = [
                row.name for row in result.rows if row.share < 1 and row.name in [e.name for e in assignment.exercises]
            ]
            _run(assignment, {**settings, "rows": left, "wrong": wrong}, limits, result)
    result.rows += [Row(name, remark="not graded") for name in worth if name not in [row.name for row in result.rows]]
    result.seconds = time.monotonic() - begin
    return result


def find_module(path: Path, name: str) -> Path:
    """The file of a submission: itself, NAME.py in a folder, or the folder's only Python file."""
    if path.is_file():
        return path
    if (path / f"{name}.py").is_file():
        return path / f"{name}.py"
    files = sorted(path.glob("*.py"))
    if len(files) != 1:
        raise ValueError(f"{path} holds no {name}.py: name the module so, or give its file")
    return files[0]


def find_submissions(folder: Path) -> list[Path]:
    """The submissions in a folder: its folders and its Python files."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder of submissions")
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix == ".py" or (path.is_dir() and path.name[0] not in "._")
    ]
    if not found:
        raise ValueError(f"{folder} holds no submissions: give a folder with one folder, or one Python file, for each")
    return found


def _run(assignment: Assignment, job: dict[str, Any], limits: Limits, result: Result) -> None:
    """Grade rows in one process and add them to the result; one that ends the process fails, and the others are
    left."""
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", START, str(Path(minidet.__file__).resolve().parent.parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        cwd=Path(job["file"]).parent, env={**os.environ, **threads}, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018
    rows, check, why = list(job["rows"]), "", ""
    try:
        process.stdin.write(json.dumps(job) + "\n")
        process.stdin.close()
        for event in _events(process.stdout, limits.patience):
            check = event.get("check", check)
            if event.get("broken"):
                result.remark = f"the module cannot be imported: {event['broken']}"
                return
            if event.get("row"):
                result.rows.append(Row.from_dict(event["row"]))
                rows.remove(result.rows[-1].name)
            if event.get("done"):
                return
    except TimeoutError:
        why = f"nothing happened for {limits.patience:g} seconds"
    finally:
        _end(process)
    why = why or f"the process ended ({_status(process.returncode)})"
    if not check or check.startswith("import"):
        result.remark = f"the module cannot be imported: {why}"
        return
    hint = "endless loops, waiting for input, os._exit and crashes end up here; look at the function in this check"
    row = Row(rows[0], failed={check: Failure(f"{rows[0]}, in the check: {check}", "a result", why, hint)})
    names = [c.name for e in assignment.exercises if e.name == row.name for c in e.checks]
    row.failed |= {name: None for name in names if name != check}
    result.rows.append(row)


def _events(stream: IO[str], patience: float) -> Iterator[dict[str, Any]]:
    """The objects that the process tells; TimeoutError when it has been silent for too long."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    wait = STARTING
    while True:
        try:
            line = lines.get(timeout=wait)
        except queue.Empty:
            raise TimeoutError from None
        if not line:
            return
        yield json.loads(line)
        wait = patience


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and everything that it started."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # it has ended by itself
            process.kill()
    else:
        process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def _status(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
