"""Where the numbers of a device run go, how they are taken, and what the parts know about where they run."""

from __future__ import annotations

import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidet.files import write_json

FAILURES = (
    RuntimeError, ValueError, TypeError, ImportError, AttributeError, ArithmeticError, LookupError, OSError,
    AssertionError,
)  # fmt: skip
"""What a measurement may raise, out of memory included; it is written down, and the next one begins."""


class Recorder:
    """`results.json` in a folder: numbers by part and name, on the disk as soon as they are known."""

    def __init__(self, out: Path, part: str) -> None:
        self.path, self.part = out / "results.json", part
        self.content: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.content.setdefault(part, {})

    def record(self, name: str, value: Any) -> None:
        """Write down a value."""
        self.content[self.part][name] = value
        write_json(self.path, self.content, lists_on_one_line=True)
        print(f"{name}: {value}", flush=True)

    def attempt(self, name: str, measure: Callable[[], Any]) -> Any:
        """Write down what `measure` returns, or the traceback of its failure; returns the value, or None."""
        try:
            value = measure()
        except FAILURES:
            text = traceback.format_exc()
            print(text, flush=True)
            self.record(name, {"failed": text.splitlines()[-12:]})
            return None
        self.record(name, value)
        return value


class Place:
    """The arguments of a part: its recorder, its end, and the device, of which everything is small without a GPU."""

    def __init__(self, part: str, words: list[str] | None = None) -> None:
        import torch

        words = sys.argv[1:] if words is None else words
        self.out = Path(words[0])
        self.end = time.monotonic() + float(words[1])
        self.small = "small" in words[2:] or not torch.cuda.is_available()
        self.device = torch.device("cpu" if self.small else "cuda")
        self.recorder = Recorder(self.out, part)

    @property
    def left(self) -> float:
        """Seconds until the part is stopped."""
        return self.end - time.monotonic()

    def wait(self) -> None:
        """Until the device has done what it was told."""
        import torch

        if not self.small:
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], Any], rounds: int = 20, limit: float = 4.0) -> float:
        """The median seconds of a call, the first two not counted."""
        rounds, times = (3, []) if self.small else (rounds, list[float]())
        began = time.monotonic()
        for turn in range(rounds + 2):
            self.wait()
            before = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - before)
            if turn >= 4 and time.monotonic() - began > limit:
                break
        return statistics.median(times[2:])

    def peak_memory(self) -> float | None:
        """GiB that tensors took at most since the last call; None on a CPU."""
        import torch

        if self.small:
            return None
        peak = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
        return round(peak, 2)
