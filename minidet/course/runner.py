"""The process that a submission runs in: limits of time, memory and file size, and no way to the solution by accident.

It is started by `grading`, reads its job as JSON from standard input, and writes one JSON object a line to what was its
standard output; what the submission prints goes nowhere. The limits stop accidents. They are no sandbox: a submission
that means harm has the rights of whoever grades it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

from minidet.course.assignments import load
from minidet.course.check import TooSlow, describe_error
from minidet.course.session import grade_module

ALLOWED = ("minidet.checks", "minidet.config")
"""What a submission may import of minidet."""
FORBIDDEN = (
    "torchvision", "torch", "detectron2", "mmcv", "mmdet", "kornia", "fvcore", "ultralytics", "pycocotools",
    "tensorflow",
    "keras", "jax", "cv2",
)  # fmt: skip
FILE_SIZE = 16 * 2**20
"""Bytes that a submission may write to one file."""


def main() -> None:
    job = json.loads(sys.stdin.readline())
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)

    def tell(**event: Any) -> None:
        channel.write(json.dumps(event) + "\n")
        channel.flush()

    assignment = load(job["assignment"])
    limit_resources(job["megabytes"] * 2**20)
    hide_solutions()

    @contextlib.contextmanager
    def guard() -> Iterator[None]:
        with time_limit(job["seconds"]):
            yield

    tell(check="import of the module")
    try:
        with guard():
            module = import_file(job["file"])
    except (Exception, SystemExit, TooSlow) as error:  # noqa: BLE001  # whatever a submission raises is its result
        tell(broken=describe_import_error(error, job["file"]))
        return
    names = job["rows"]
    for row in grade_module(
        module, assignment, names, job["wrong"], seed=job["seed"], variant=job["variant"], timed=job["timed"],
        guard=guard, begin=lambda check: tell(check=check),
    ):  # fmt: skip
        tell(row=row.to_dict())
    tell(done=True)


def import_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("submission", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def describe_import_error(error: BaseException, path: str) -> str:
    """What kept a module from being imported, with its line."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno}: {(error.text or '').strip()})"
    place, trace = "", error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            place = f" (line {trace.tb_lineno})"
        trace = trace.tb_next
    return describe_error(error) + place


def limit_resources(memory: int) -> None:
    """No more address space than `memory` bytes, no large files, no core dumps; where the system has such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, value in (("RLIMIT_AS", memory), ("RLIMIT_FSIZE", FILE_SIZE), ("RLIMIT_CORE", 0)):
        with contextlib.suppress(AttributeError, ValueError, OSError):  # an unlimited kind, or a lower limit already
            resource.setrlimit(getattr(resource, kind), (value, value))


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread after so many seconds of the processor, and every second after that."""
    if not hasattr(signal, "SIGPROF"):  # Windows: the process that started this one ends it
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"no result within {seconds:g} seconds of computing")

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


class NoSolutions:
    """Refuses imports that the rules do not allow, with a message that says so."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.split(".")[0] in FORBIDDEN or (name.startswith("minidet.") and name not in ALLOWED):
            raise ImportError(
                f"{name} may not be imported in an assignment: write it with NumPy and the standard library"
            )
        return None


def hide_solutions() -> None:
    """From here on, minidet's functions cannot be imported by name; what runs already keeps its own references."""
    import minidet

    for name in [name for name in sys.modules if name.startswith("minidet.") and name not in ALLOWED]:
        _HIDDEN.append(sys.modules.pop(name))
        vars(minidet).pop(name.split(".")[1], None)
    sys.meta_path.insert(0, NoSolutions())


_HIDDEN: list[ModuleType] = []
