"""Compare ways of doing one thing: in one process, alternating, by the medians."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numba
import numpy as np
import torch

from minidet.experiments.circumstances import processor


def medians(ways: Mapping[str, Callable[[], Any]], seconds: float = 2.0, rounds: int = 50) -> dict[str, float]:
    """Median seconds of each way. They take turns, at least 5 rounds, until `seconds` a way or `rounds` are used up.

    Taking turns spreads whatever else the machine does over all of them, and the median drops what it does rarely. One
    call of each comes first and does not count: it compiles and fills caches.
    """
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    start = time.perf_counter()
    for turn in range(rounds):
        for name, way in ways.items():
            before = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - before)
        if turn >= 4 and time.perf_counter() - start > seconds * len(ways):
            break
    return {name: statistics.median(values) for name, values in times.items()}


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": processor(),
        "cores": os.cpu_count(),
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
