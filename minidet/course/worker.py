"""The process that a submission runs in: it takes calls, makes them, and returns what came. It knows no right answers.

`process` starts it and talks to it in frames, see `wire`, over what were its standard input and output; what the
submission prints goes nowhere. Beside this file only `minidet.checks`, `minidet.config` and a few like them lie in its
folder, so there is nothing of minidet here that a submission could import but must not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from minidet.course import confine, wire

REFUSED = (
    "torchvision", "torch", "detectron2", "mmcv", "mmdet", "kornia", "fvcore", "ultralytics", "pycocotools",
    "tensorflow", "keras", "jax", "cv2", "scipy", "numba", "sklearn", "pandas",
)  # fmt: skip
SUPPLIED = ("checks", "config", "structures")
"""What of minidet a submission may import."""
STAND_INS = (
    "matplotlib", "seaborn", "plotly", "tqdm", "IPython", "ipywidgets", "google", "minidet.plotting", "minidet.course",
)  # fmt: skip
"""Left over from a notebook, these do no harm: imported, they are stand-ins that do nothing."""


class TooSlow(BaseException):
    """Raised in the midst of a call that takes too long; no `except Exception` of a submission catches it."""


class Silent:
    """An object that accepts everything and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class Imports:
    """Refuses what the rules do not allow, with a message that says so, and stands in for plotting."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        first, *rest = name.split(".")
        if first in STAND_INS or ".".join([first, *rest[:1]]) in STAND_INS:
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        if first in REFUSED or (first == "minidet" and rest and rest[0] not in SUPPLIED):
            raise ImportError(
                f"{name} may not be imported in an assignment: write it with NumPy and the standard library"
            )
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        silent = Silent()
        vars(module)["__getattr__"] = lambda name: getattr(silent, name)
        if module.__name__.startswith("tqdm"):
            vars(module).update(tqdm=lambda iterable=(), *args, **kwargs: iterable, trange=range)


class Channel:
    """Frames from and to the grader, over file descriptors of its own."""

    def __init__(self) -> None:
        self.source, self.sink = os.dup(0), os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        self.lock = threading.RLock()

    def read(self) -> wire.Frame:
        header, payload = wire.lengths(self._bytes(wire.START.size))
        return wire.unpack(self._bytes(header), self._bytes(payload))

    def write(self, frame: bytes) -> None:
        view = memoryview(frame)
        while view:
            view = view[os.write(self.sink, view) :]

    def ask(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """What the right function returns, by way of the grader."""
        with self.lock:
            self.write(wire.pack("ask", [list(args), *kwargs.values()], name=name, keywords=list(kwargs)))
            answer = self.read()
        if answer.header.get("error"):
            raise ValueError(answer.header["error"])
        return answer.values()[0]

    def _bytes(self, count: int) -> bytes:
        parts = []
        while count:
            part = os.read(self.source, min(count, 2**20))
            if not part:
                os._exit(0)  # the grader has gone
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def main() -> None:
    channel = Channel()
    job = channel.read().header
    kept = confine.confine([*job["readable"], *np.__path__]) if job["confined"] else ()
    confine.limit(job["megabytes"] * 2**20, job["processor"])
    channel.write(wire.pack("started"))
    if job["reference"]:
        functions, own = _reference(job), None
    else:
        sys.meta_path.insert(0, Imports())
        try:
            with time_limit(job["seconds"]):
                own = import_file(job["file"])
        except BaseException as error:  # noqa: BLE001  # whatever a submission raises is its result
            channel.write(wire.pack("broken", told=wire.clean(describe_import_error(error, job["file"]))))
            return
        functions = dict(vars(own))
    names = [name for name in functions if callable(functions[name])]
    channel.write(wire.pack("ready", confined=list(kept), functions=[wire.clean(name, 80) for name in names]))
    while True:
        frame = channel.read()
        if own is not None:
            replace(own, functions, frame.header["replaced"], channel)
        channel.write(answer(frame, functions, job["seconds"], job["file"], channel))


def replace(own: ModuleType, functions: dict[str, Any], names: Sequence[str], channel: Channel) -> None:
    """Put right functions in place of those of the submission that have failed, and those of before back."""
    state = {**functions, **{name: _right(name, channel) for name in names}}
    for name in [name for name in vars(own) if name not in state]:
        del vars(own)[name]
    vars(own).update(state)


def _right(name: str, channel: Channel) -> Callable[..., Any]:
    def right(*args: Any, **kwargs: Any) -> Any:
        return channel.ask(name, args, kwargs)

    right.__name__ = name
    return right


def answer(frame: wire.Frame, functions: dict[str, Any], seconds: float, file: str, channel: Channel) -> bytes:
    """Make the call that a frame asks for; the frame that tells what came of it."""
    given, *named = frame.values()
    args = [_right(value.name, channel) if isinstance(value, wire.Callee) else value for value in given]
    kwargs = dict(zip(frame.header["keywords"], named, strict=True))
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), time_limit(seconds):
            warnings.simplefilter("ignore")
            value = functions[frame.header["name"]](*args, **kwargs)
            result = wire.pack("result", [value, args] if frame.header["back"] else [value])
        return result
    except TooSlow as error:
        return wire.pack("result", error=str(error), kind_of_error="TooSlow")
    except BaseException as error:  # noqa: BLE001  # whatever a submission raises is its result
        return wire.pack("result", **describe(error, file))


def describe(error: BaseException, file: str) -> dict[str, Any]:
    """An exception: its class, what it says, and the line of the submission that it came from."""
    text = wire.clean(error, 200)
    told = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, SystemExit):
        told = f"sys.exit({error.code!r}) was called"
    if isinstance(error, MemoryError):
        told = f"ran out of memory: {text}"
    places = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    line, source = (places[-1].lineno, places[-1].line or "") if places else (0, "")
    return {"error": told, "kind_of_error": type(error).__name__, "line": line, "source": wire.clean(source, 120)}


def describe_import_error(error: BaseException, path: str) -> str:
    """What kept a module from being imported, with its line."""
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} (line {error.lineno}: {(error.text or '').strip()})"
    told = describe(error, path)
    return told["error"] + (f" (line {told['line']})" if told["line"] else "")


def import_file(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("submission", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reference(job: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """The right functions, where this process is the grader's own and not a submission's."""
    from minidet.course import assignments

    right = assignments.load(job["reference"]).right_functions(job["variant"])
    return {**right, wire.NOTHING: lambda value, *rest, **more: value}


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the main thread after so many seconds of the processor, and every second after that."""
    if not hasattr(signal, "SIGPROF"):  # Windows: the process that started this one ends it
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow(f"no result within {seconds:g} seconds of computing")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
