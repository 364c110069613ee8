"""A training step on an idle computer and beside processes that keep its cores busy.

``python -m tests.benchmarks.bench_busy [--busy 2] [--steps 16] [--rounds 3] [--json FILE]``, from the repository's
root, on a computer that does nothing else (some ten minutes). Each row is `minidet train` with its tiny preset in new
processes, once with threads that give their core away while they wait, as the command has them, and once with threads
that spin, as PyTorch's do where nothing is said. With as many busy processes as cores, half of the time is a fair
share.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minidet.runs import load_metrics
from tests.benchmarks.timing import machine

SPINNING = "300000"
"""What GNU's OpenMP takes for GOMP_SPINCOUNT where nothing is said and there are cores enough."""
_FIRST = 4  # steps that are not counted: caches fill, kernels are compiled or read


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but count, while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def steps(count: int, **environment: str) -> list[float]:
    """Seconds of each step of a training in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [
            sys.executable, "-m", "minidet", "train", "--data", "shapes", "--val-images", "1", "--out", str(out),
            "--steps", str(count + _FIRST), "--set", "training.log_every=1",
            "--set", f"training.evaluate_every={count + _FIRST}",
        ]  # fmt: skip
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True)
        ends = [record["seconds"] for record in load_metrics(out) if "box" in record]
    return [after - before for before, after in zip(ends[_FIRST - 1 :], ends[_FIRST:], strict=False)]


def measured(others: int, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds per step, idle and busy, and their ratio; all rows take turns."""
    ways = {"as the command waits": {}, "spinning": {"GOMP_SPINCOUNT": SPINNING}}
    times: dict[str, dict[str, list[float]]] = {name: {"idle": [], "busy": []} for name in ways}
    for _ in range(rounds):
        for name, environment in ways.items():
            times[name]["idle"] += steps(count, **environment)
            with busy(others):
                times[name]["busy"] += steps(count, **environment)
    rows = {name: {when: statistics.median(taken) for when, taken in row.items()} for name, row in times.items()}
    return {name: {**row, "ratio": row["busy"] / row["idle"]} for name, row in rows.items()}


def main() -> None:
    """Measure, print a row each, and write them down where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=2, help="processes that keep a core busy each")
    parser.add_argument("--steps", type=int, default=16, help="steps that are counted, of each training")
    parser.add_argument("--rounds", type=int, default=3, help="trainings of each kind, in turns")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = measured(options.busy, options.steps, options.rounds)
    for name, row in rows.items():
        times = f"idle {row['idle']:.3f} s per step, beside {options.busy} processes {row['busy']:.3f} s"
        print(f"{name:22} {times}, {row['ratio']:.2f} times as long")
    if options.json:
        content: dict[str, Any] = {"machine": machine(), "load before": load, "busy": options.busy, "seconds": rows}
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
