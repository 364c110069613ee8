"""A process of a submission's, or of the grader's own, and the frames from and to it; never waits for ever."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minidet
from minidet.course import wire

ROOT = Path(minidet.__file__).resolve().parent
SUPPLIED = ("checks", "config", "structures", "wording", "course/wire", "course/confine", "course/worker")
"""What of minidet a submission's process needs, or may import: it gets a copy of these and nothing else."""
START = "import sys; sys.path.insert(0, sys.argv[1]); from minidet.course.worker import main; main()"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
LAST_WORDS = 1.0
"""Seconds to learn how a process ended."""
PIECE = 2**20


class Lost(Exception):
    """The process has ended, or does not answer."""


class Link:
    """A process and its pipes.

    Args:
        source: the submission's file name and text; None: the process is the grader's own and gets all of minidet.
        user: number of the user that the process runs as; None: the grader's.
    """

    def __init__(self, source: tuple[str, bytes] | None, user: int | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="minidet-"))
        self.file = self.folder / (source[0] if source else "reference")
        if source:
            self.file.write_bytes(source[1])
            supply(self.folder / "minidet")
            if user is not None:
                self.folder.chmod(0o755)
        command = [sys.executable, "-I", "-B", "-c", START, str(self.folder if source else ROOT.parent)]
        self.ends: list[int] = []
        if os.name == "posix":
            control, mine = os.pipe()
            status, theirs = os.pipe()
            keeper = [str(ROOT / "course" / "keeper.py"), str(control), str(theirs), str(self.folder)]
            command = [sys.executable, "-I", "-S", *keeper, "" if user is None else str(user), *command]
            self.ends, passed = [mine, status], [control, theirs]
        else:
            passed = []
        threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            cwd=self.folder, env={**environment, **threads, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
            start_new_session=True, pass_fds=passed,
        )  # fmt: skip
        for end in passed:
            os.close(end)
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: PT018
        self.to, self.back = self.process.stdin, self.process.stdout
        if os.name == "posix":
            os.set_blocking(self.to.fileno(), False)

    @property
    def open(self) -> bool:
        return not self.to.closed

    def send(self, frame: bytes, until: float) -> None:
        """Write a frame.

        Raises:
            Lost: the process has ended, or has not taken the frame by the time `until` (of the monotonic clock).
        """
        view = memoryview(frame)
        while view:
            with self._ready([], [self.to], until):
                try:
                    view = view[os.write(self.to.fileno(), view[:PIECE]) :]
                except BlockingIOError:
                    continue
                except OSError:
                    raise Lost(self._how()) from None

    def receive(self, until: float) -> wire.Frame:
        """Read a frame.

        Raises:
            Lost: the process has ended, or there is no frame by the time `until`.
            wire.Unreadable: something else came.
        """
        header, payload = wire.lengths(self._read(wire.START.size, until))
        return wire.unpack(self._read(header, until), self._read(payload, until))

    def end(self) -> None:
        """End the process and everything that it started; its folder goes too."""
        for stream in (self.to, self.back):
            stream.close()
        for end in self.ends:
            os.close(end)
        self.ends = []
        if os.name != "posix":
            self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self, count: int, until: float) -> bytes:
        parts = []
        while count:
            with self._ready([self.back], [], until):
                part = os.read(self.back.fileno(), min(count, PIECE))
            if not part:
                raise Lost(self._how())
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    @contextmanager
    def _ready(self, readable: list[Any], writable: list[Any], until: float) -> Iterator[None]:
        """Wait until a stream can be read or written; where pipes cannot be waited for, end the process in time."""
        left = max(0.0, until - time.monotonic())
        if os.name == "posix":
            if not any(select.select(readable, writable, [], left)):
                raise Lost("nothing came back in time")
            yield
            return
        watch = threading.Timer(left, self.process.kill)
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _how(self) -> str:
        """How the process ended."""
        if not self.ends or not select.select(self.ends[1:], [], [], LAST_WORDS)[0]:
            return "the process ended"
        text = os.read(self.ends[1], 100).decode(errors="replace").strip()
        code = int(text) if text.lstrip("-").isdigit() else 0
        told = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return f"the process ended ({told})"


def supply(target: Path) -> None:
    """Copy what a submission's process needs of minidet, and may import."""
    (target / "course").mkdir(parents=True)
    for folder in (target, target / "course"):
        (folder / "__init__.py").write_text('"""What an assignment may use of minidet."""\n', encoding="utf-8")
    for name in SUPPLIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / f"{name}.py", target / f"{name}.py")
