"""A module in a process of its own, whose functions the grader calls; limits of time for a call and for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minidet import checks
from minidet.course import wire
from minidet.course.check import Outcome
from minidet.course.link import Link, Lost

STARTING = 120.0
"""Seconds on the clock that a process may take to start, on a machine that is busy."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use."""

    seconds: float = 5.0
    """Of the processor for each call."""
    megabytes: int = 2048
    """Of memory (address space)."""
    total: float = 40.0
    """Seconds on the clock for all calls together."""
    user: int | None = None
    """Number of the user that the process runs as, where the grader has the right to choose."""
    confined: bool = True
    """Whether the kernel is asked to refuse files, processes and network."""

    def __post_init__(self) -> None:
        checks.number("seconds", self.seconds, above=0)
        checks.integer("memory", self.megabytes, low=512)
        checks.number("total", self.total, above=0)

    @property
    def patience(self) -> float:
        """Seconds on the clock for a call, before the process is ended; the machine may be busy."""
        return 10 + 2 * self.seconds


@dataclass
class Budget:
    """The seconds that a submission has left for all its calls."""

    left: float


class Broken(Exception):
    """The module cannot be imported."""


class Tampering(Exception):
    """Something else than results came from a submission's process."""


class OutOfTime(Exception):
    """All calls together took too long."""


class Process:
    """A module in a process of its own.

    Args:
        source: the submission's file name and text; None: the right functions of `reference`, an assignment's name.
        right: makes a call of a right function for the submission and returns the answer's frame.

    Raises:
        Broken, Tampering, OutOfTime: see there.
    """

    def __init__(
        self, source: tuple[str, bytes] | None, limits: Limits, budget: Budget, *, reference: str = "",
        variant: int = 0,
        right: Callable[[wire.Frame], bytes] | None = None,
    ) -> None:  # fmt: skip
        self.limits, self.budget, self.right = limits, budget, right
        self.link = Link(source, limits.user if source else None)
        job = {
            "kind": "job", "file": str(self.link.file), "reference": reference, "variant": variant,
            "readable": [str(self.link.folder)], "confined": limits.confined and source is not None,
            "seconds": limits.seconds, "megabytes": limits.megabytes,
            "processor": round(limits.total + limits.patience),
        }  # fmt: skip
        try:
            started = self._start(job)
        except BaseException:
            self.end()
            raise
        self.functions, self.confined = (
            {wire.clean(name, 80) for name in part} if isinstance(part, list) else set()
            for part in (started.get("functions"), started.get("confined"))
        )

    def call(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        replaced: Sequence[str] = (),
        back: bool = False,
    ) -> Outcome:
        """What a function of the module does with these arguments.

        Args:
            replaced: functions in whose place right ones are called.
            back: whether the arguments as they are after the call are expected too.

        Raises:
            Tampering, OutOfTime: see there.
        """
        given = {"name": name, "keywords": list(kwargs), "replaced": list(replaced), "back": back}
        reply, told = self.exchange(wire.pack("call", [list(args), *kwargs.values()], **given))
        if reply is None:
            return Outcome(error=told, kind="Lost")
        try:
            return outcome(reply)
        except wire.Unreadable as error:
            self.end()
            raise Tampering(str(error)) from None

    def exchange(self, frame: bytes) -> tuple[wire.Frame | None, str]:
        """Send a call; what came of it, or None and why the process is lost."""
        if self.budget.left <= 0:
            raise OutOfTime
        begin = time.monotonic()
        until = begin + min(self.limits.patience, self.budget.left)
        try:
            self.link.send(frame, until)
            while True:
                reply = self.link.receive(until)
                if reply.header["kind"] != "ask" or self.right is None:
                    return reply, ""
                self.link.send(self.right(reply), until)
        except Lost as error:
            self.end()
            return None, str(error)
        except wire.Unreadable as error:
            self.end()
            raise Tampering(str(error)) from None
        finally:
            self.budget.left -= time.monotonic() - begin

    def end(self) -> None:
        """End the process and everything that it started."""
        self.link.end()

    def _start(self, job: dict[str, Any]) -> dict[str, Any]:
        """Wait for the module's import; what the process says of itself."""
        if self.budget.left <= 0:
            raise OutOfTime
        try:
            self.link.send(wire.repack(job, b""), time.monotonic() + STARTING)
            if self.link.receive(time.monotonic() + STARTING).header["kind"] != "started":
                raise Tampering("the process did not start")
            begin = time.monotonic()
            first = self.link.receive(begin + min(self.limits.patience, self.budget.left))
            self.budget.left -= time.monotonic() - begin
        except Lost as error:
            raise Broken(str(error)) from None
        except wire.Unreadable as error:
            raise Tampering(str(error)) from None
        if first.header["kind"] == "broken":
            raise Broken(wire.clean(first.header.get("told")))
        if first.header["kind"] != "ready":
            raise Tampering(f"a frame of the kind {wire.clean(first.header['kind'], 20)}")
        return first.header


def outcome(reply: wire.Frame) -> Outcome:
    """What a frame says of a call.

    Raises:
        wire.Unreadable: it says nothing of the kind.
    """
    header = reply.header
    if header["kind"] != "result":
        raise wire.Unreadable(f"a frame of the kind {wire.clean(header['kind'], 20)}")
    if "error" in header:
        line = header.get("line", 0)
        return Outcome(
            error=wire.clean(header["error"]) or "an error", kind=wire.clean(header.get("kind_of_error"), 60),
            line=line if isinstance(line, int) else 0, source=wire.clean(header.get("source", ""), 120),
        )  # fmt: skip
    values = reply.values()
    if not values:
        raise wire.Unreadable("a result without a value")
    return Outcome(values[0], after=values[1] if len(values) > 1 else None)
