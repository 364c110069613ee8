"""Detectors that learn without PyTorch: minutes and AP of `minidet train --path reference` and `--path compiled`.

    python -m tests.benchmarks.bench_detectors [--path reference|compiled] [--out RUNS] [--json FILE]

Images of 96 x 96 pixels with two to five disks and stars of 20 to 72 pixels, the tiny preset, from the committed
backbone, on one thread; the reference computes in float64, the compiled path in float32. Seconds of a processor include
the start, the evaluations and the pictures; those on the clock are of the training steps alone, and depend on what else
the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import minidet
from minidet import files
from minidet.runs import load_metrics
from tests.benchmarks.timing import machine

BACKBONE = Path(minidet.__file__).parent / "experiments/runs/backbone_seed0.npz"
SETTINGS = (
    "data.image_size=[96,96]", "data.min_size=20", 'data.classes=["disk","star"]', "data.objects=[2,5]",
    "data.distractors=[0,0]", "val.objects=[1,4]", "val.distractors=[0,0]", "training.warmup=60",
)  # fmt: skip
OWN = {
    "reference": ("training.iterations=300", "training.learning_rate=0.003"),
    "compiled": ("training.iterations=600",),
}
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def command(path: str, out: Path) -> list[str]:
    """What trains with a path."""
    words = [sys.executable, "-m", "minidet", "train", "--path", path, "--data", "shapes", "--out", str(out)]
    words += ["--shorter-side", "96", "--backbone-weights", str(BACKBONE)]
    return [*words, *(word for setting in (*SETTINGS, *OWN[path]) for word in ("--set", setting))]


def record(run: Path, cpu_seconds: float) -> dict[str, Any]:
    """What a finished run has reached, and in what time."""
    last = load_metrics(run)[-1]
    measured = json.loads((run / "evaluation.json").read_bytes())
    return {
        "steps": last["iteration"], "seconds": round(last["seconds"], 1), "CPU seconds": round(cpu_seconds, 1),
        "images": measured["images"], "AP": round(measured["metrics"]["AP"], 4),
        "AP50": round(measured["metrics"]["AP50"], 4),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--path", choices=OWN, help="default: both, one after the other")
    parser.add_argument("--out", type=Path, default=Path("runs/detectors"), help="folder for the runs")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    found = {}
    for path in [options.path] if options.path else OWN:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command(path, options.out / path), env={**os.environ, **THREADS}, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found[path] = record(options.out / path, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        print(f"{path}: {found[path]}")
    if options.json:
        files.write_json(options.json, {"machine": machine(), "load": os.getloadavg()[0], "detectors": found})


if __name__ == "__main__":
    main()
