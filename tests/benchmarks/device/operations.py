"""Part a: the operations' tests on the device, a process per file, as far as the time goes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.device.recorder import Place

FILES = (
    "losses", "nms", "box_kernels", "half", "postprocess", "assignment", "boxes", "sampling", "anchors", "overlap",
    "quality", "fused",
)  # fmt: skip
ENDED = re.compile(r"(\S+) (PASSED|FAILED|ERROR|SKIPPED)")


def main() -> None:
    place = Place("a")
    root = Path(__file__).parents[3]
    kind = "pytorch and not cuda" if place.small else "cuda"
    files, examples = (("nms",), "2") if place.small else (FILES, "10")
    environment = {**os.environ, "MINIDET_EXAMPLES": examples, "OMP_NUM_THREADS": "1"}
    logs = {name: place.out / f"test_{name}.log" for name in files}
    running = {}
    for name, log in logs.items():
        command = [sys.executable, "-m", "pytest", f"tests/operations/test_{name}.py", "-k", kind, "-v", "--tb=short"]
        command += ["-p", "no:cacheprovider"]
        with log.open("w", encoding="utf-8") as file:
            running[name] = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=root, env=environment, text=True
            )
    while place.left > 4 and any(process.poll() is None for process in running.values()):
        time.sleep(0.2)
    failed = 0
    for name, process in running.items():
        code = process.poll()
        if code is None:
            process.kill()
            process.wait()
        text = logs[name].read_text(encoding="utf-8", errors="replace")
        logs[name].unlink()
        outcomes = [outcome for _, outcome in ENDED.findall(text)]
        counts = {outcome.lower(): outcomes.count(outcome) for outcome in sorted(set(outcomes))}
        place.recorder.record(name, {**counts, "complete": code is not None, "exit": code})
        if code not in (0, 5, None) or "FAILED" in outcomes:
            failed += 1
            place.recorder.record(f"{name}, log", [line[:200] for line in text.splitlines()[-60:]])
    if failed:
        sys.exit(f"the tests of {failed} files failed")


if __name__ == "__main__":
    main()
