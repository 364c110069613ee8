"""All that a GPU has to show, in a few minutes: ``python -m tests.benchmarks.device --minutes 8 --out DIR``.

From the root of a checkout, which need not be installed. Without a GPU every part runs in small on the CPU, so that
nothing is tried for the first time when it counts. The parts, the most important first:

    e  the device's name and clocks, the versions, the commit (a second; nothing else means anything without it)
    a  the operations' tests on the device
    b  a small training there and on the CPU: the same losses; resumed; in bfloat16
    c  RetinaNet-R50, 800 pixels, batch 16: images per second and memory, beside torchvision's
    d  the dense loss beside the copy bandwidth, assignment, post-processing and suppression, beside torchvision's
    f  the paper's experiments, several at a time, with the minutes that are left

Each part is a process of its own with a limit of its own. A number is in ``DIR/results.json`` as soon as it is
measured; what a part prints, its traceback if it fails, is in ``DIR/log.txt``, and the next part begins in any case.
``DIR/experiments.tar.gz`` holds the results of the experiments.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from tests.benchmarks.device.recorder import Recorder

PARTS = {"e": 20, "a": 110, "b": 60, "c": 150, "d": 70, "f": 480}
"""Seconds that a part may take, of 480; what they leave over goes to the last one, the experiments."""
MODULES = {"a": "operations", "b": "training", "c": "network", "d": "kernels", "e": "machine", "f": "experiments"}
RESERVE = 6
"""Seconds at the end for stopping what is still running."""


def main(words: list[str] | None = None) -> int:
    """Run the parts; returns how many failed or ran out of time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="for all parts together")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--parts", default="eabcdf", help="which, by their letters, in this order")
    parser.add_argument("--small", action="store_true", help="in small on the CPU, even where there is a GPU")
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    end, bad = time.monotonic() + 60 * options.minutes - RESERVE, 0
    for part in options.parts:
        left = end - time.monotonic()
        limit = min(left, PARTS[part] * options.minutes / 8)
        bad += run_part(part, options.out, limit, options.small) != "done"
    print(f"results in {options.out / 'results.json'}, {bad} parts not done")
    return bad


def run_part(part: str, out: Path, seconds: float, small: bool) -> str:
    """Run a part for so long at most; how it ended: done, failed or out of time."""
    recorder, began = Recorder(out, part), time.monotonic()
    if seconds < 1:
        recorder.record("outcome", "out of time")
        return "out of time"
    command = [sys.executable, "-m", f"tests.benchmarks.device.{MODULES[part]}", str(out), f"{seconds:.0f}"]
    command += ["small"] if small else []
    root = Path(__file__).parents[3]
    stand_ins = None if find_spec("tqdm") else str(Path(__file__).with_name("stand_ins"))
    paths = os.pathsep.join(filter(None, [str(root), stand_ins, os.environ.get("PYTHONPATH")]))
    with (out / "log.txt").open("a", encoding="utf-8") as log:
        print(f"\n== {part}: {MODULES[part]}, {seconds:.0f} s at most", file=log, flush=True)
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, cwd=root, env={**os.environ, "PYTHONPATH": paths},
            start_new_session=True,
        )  # fmt: skip
        try:
            outcome = "failed" if process.wait(timeout=seconds) else "done"
        except subprocess.TimeoutExpired:
            outcome = "out of time"
        finally:
            if process.poll() is None or outcome != "done":
                stop(process)
    recorder = Recorder(out, part)  # with what the part has written
    recorder.record("seconds", round(time.monotonic() - began, 1))
    if outcome != "done":
        recorder.record("log", (out / "log.txt").read_text(encoding="utf-8").splitlines()[-30:])
    recorder.record("outcome", outcome)
    print(f"{part} {MODULES[part]}: {outcome} after {time.monotonic() - began:.0f} s", flush=True)
    for name, value in recorder.content[part].items():
        if name not in ("seconds", "outcome", "log"):
            print(f"   {name}: {value}"[:300], flush=True)
    return outcome


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a part and all processes that it has started."""
    with suppress(ProcessLookupError):  # they may have ended meanwhile
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


if __name__ == "__main__":
    sys.exit(min(main(), 100))
