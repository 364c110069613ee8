"""Part f: the paper's experiments, several at a time on the one device, while there is time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from minidet.data.shapes import Shapes, export_coco
from minidet.experiments.results import RESULTS
from tests.benchmarks.device.recorder import Place

SMALL = ("training.iterations=2", "training.warmup=1", "training.batch_size=2", "training.resize.shorter_side=48")


def main() -> None:
    place = Place("f")
    results, runs = place.out / "experiments", place.out / "runs"
    results.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "minidet", "experiments", "run", "--out", str(results), "--runs", str(runs)]
    command += ["--seed", "0", "--minutes", f"{max(0.1, (place.left - 20) / 60):.2f}"]
    count = 1 if place.small else min(8, os.cpu_count() or 1)
    if place.small:
        few = str(export_coco(Shapes(4, image_size=(48, 48), max_size=32), place.out / "shapes"))
        command += ["backbone", "--data", few, "--val", few, *(word for s in SMALL for word in ("--set", s))]
    else:  # all start from the committed backbone
        for path in RESULTS.glob("backbone*"):
            shutil.copy(path, results)
    running = []
    for number in range(count):  # a run that another process is busy with is left to it
        with (place.out / f"experiments_{number}.log").open("w", encoding="utf-8") as log:
            running.append(
                subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=Path(__file__).parents[3])
            )
    while place.left > 10 and any(process.poll() is None for process in running):
        time.sleep(0.2)
    for process in running:
        process.terminate()
    time.sleep(0.5)
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()
    for number in range(count):
        log = place.out / f"experiments_{number}.log"
        print(f"-- process {number}", log.read_text(encoding="utf-8", errors="replace")[-2000:], sep="\n")
        log.unlink()
    with tarfile.open(place.out / "experiments.tar.gz", "w:gz") as archive:
        archive.add(results, "experiments")
    names = sorted(path.stem for path in results.glob("*.json"))
    shutil.rmtree(results)
    for folder in (runs, place.out / "shapes"):
        shutil.rmtree(folder, ignore_errors=True)
    place.recorder.record("results", names)
    place.recorder.record("at a time", count)
    if place.small and not names:
        sys.exit("the experiment was not run")


if __name__ == "__main__":
    main()
