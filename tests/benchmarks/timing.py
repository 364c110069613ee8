"""Compare ways of doing one thing: in one process, alternating, by the medians."""

from __future__ import annotations

import ctypes
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from minidet.experiments.circumstances import processor

QUICK = 0.2
"""Seconds below which a call is so quick that it matters what its threads did before."""


def medians(
    ways: Mapping[str, Callable[[], Any]], seconds: float = 2.0, rounds: int = 50,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:  # fmt: skip
    """Median seconds of each way. They take turns, at least 5 rounds, until `seconds` per way or `rounds` are used up.

    `clock` is that on the wall, or `time.process_time`: what all threads have used of a processor.

    Taking turns spreads whatever else the machine does over all of them, and the median drops what it does rarely. One
    call of each comes first and does not count: it compiles and fills caches. In each turn a quick way is called twice
    after a pause, and the second call counts: its threads are awake by then, and those of others no longer spin.
    """
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    start = time.perf_counter()
    for turn in range(rounds):
        for name, way in ways.items():
            if turn == 0 or times[name][-1] < QUICK:
                time.sleep(0.01)
                way()
            before = clock()
            way()
            times[name].append(clock() - before)
        if turn >= 4 and time.perf_counter() - start > seconds * len(ways):
            break
    return {name: statistics.median(values) for name, values in times.items()}


def peak_memory(way: Callable[[], Any]) -> int | None:
    """Bytes that one call adds to the process at its peak; None where the system does not tell (it is not Linux)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what earlier calls have left
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    except (OSError, AttributeError):
        return None
    before = _status("VmRSS")
    result = way()
    peak = _status("VmHWM")
    del result
    return max(0, peak - before)


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "threads": {"numba": numba.get_num_threads(), "torch": torch.get_num_threads()},
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "torch": torch.__version__,
        "torchvision": peer_version("torchvision"),
    }


def peer_version(name: str) -> str | None:
    """The version of a library that is not ours to require, or None."""
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
