"""Average precision from two JSON files: minidet beside the evaluators that are installed, each in new processes.

``python -m tests.benchmarks.bench_files [--images 5000] [--rounds 5] [--peers PYTHON] [--json FILE]``, from the
repository's root. The data are those of `tests.benchmarks.detections`, 100 detections per image. PYTHON is the
interpreter of another environment, such as that of `make peers`, for peers that are not to stand in one's own.

The evaluators take turns. What is measured begins after the import and ends with the twelve numbers; for minidet the
first call holds what Numba needs to load its kernels. Processor time is that of all threads. Memory is the largest
resident set of the whole process after the first call, and beside it what it was after the import (Linux only).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.detections import write
from tests.benchmarks.timing import machine

_CLASSES = """
def run():
    truth = COCO(paths[0])
    result = Eval(truth, truth.{load}(paths[1]), "bbox")
    result.evaluate()
    result.accumulate()
    result.summarize()
    return result.stats[:12]
"""
EVALUATORS = {
    "minidet": """
from minidet.evaluation import coco_metrics
def run():
    return coco_metrics(*paths).values()
""",
    "hotcoco": "from hotcoco import COCO, COCOeval as Eval" + _CLASSES.format(load="load_res"),
    "ultrafast-pycocotools": "from ultrafast_pycocotools.coco import COCO\n"
    "from ultrafast_pycocotools.cocoeval import COCOeval as Eval" + _CLASSES.format(load="loadRes"),
    "vernier": """
from pathlib import Path
from vernier.instance import evaluate_bbox_summary
def run():
    data = [Path(path).read_bytes() for path in paths]
    return evaluate_bbox_summary(*data, parity_mode="strict", max_dets=[1, 10, 100], use_cats=True).stats
""",
    "faster-coco-eval": "from faster_coco_eval import COCO, COCOeval_faster as Eval" + _CLASSES.format(load="loadRes"),
    "pycocotools": "from pycocotools.coco import COCO\n"
    "from pycocotools.cocoeval import COCOeval as Eval" + _CLASSES.format(load="loadRes"),
}
_MEASURE = """
import contextlib, io, json, sys, time
paths = sys.argv[1:]
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
def timed():
    wall, processor = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        numbers = [float(one) for one in run()]
    return numbers, time.process_time() - processor, time.perf_counter() - wall, peak()
imported = peak()
(numbers, processor, wall, most), (_, again, *_) = timed(), timed()
print(json.dumps({
    "processor_s": processor, "again_s": again, "wall_s": wall, "peak_mib": most, "imported_mib": imported,
    "numbers": numbers,
}))
"""


def measure(name: str, python: str, paths: tuple[Path, Path]) -> dict[str, Any] | None:
    """Time, memory and the twelve numbers of an evaluator in a new process, or None where it is not installed."""
    done = subprocess.run(
        [python, "-c", EVALUATORS[name] + _MEASURE, *map(str, paths)], capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow", action="store_true", help="faster-coco-eval and pycocotools too, which take minutes")
    parser.add_argument("--peers", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    names = [name for name in EVALUATORS if options.slow or name not in ("faster-coco-eval", "pycocotools")]
    rounds: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = write(Path(folder), options.images)
        measure("minidet", sys.executable, paths)  # fills Numba's cache
        for turn in range(options.rounds):
            for name in [name for name in names if turn < 2 or name != "pycocotools"]:
                found = measure(name, sys.executable if name == "minidet" else options.peers, paths)
                if found:
                    rounds.setdefault(name, []).append(found)
    keys = ("processor_s", "again_s", "wall_s", "peak_mib", "imported_mib")
    rows: dict[str, Any] = {
        name: {key: statistics.median(one[key] for one in found) for key in keys}
        | {"least_processor_s": min(one["processor_s"] for one in found)}
        for name, found in rounds.items()
    }
    wanted = rounds["minidet"][0]["numbers"]
    for name, found in rounds.items():
        differences = [abs(a - b) for a, b in zip(found[0]["numbers"], wanted, strict=True)]
        rows[name]["largest_difference"] = max(differences)
        row = rows[name]
        print(
            f"{name:22} processor {row['processor_s']:6.2f} s (least {row['least_processor_s']:.2f}), again "
            f"{row['again_s']:.2f}, wall {row['wall_s']:.2f} s; {row['peak_mib']:5.0f} MiB, after the import "
            f"{row['imported_mib']:.0f}; largest difference {max(differences):.1e}"
        )
    for name in [name for name in names if name not in rows]:
        print(f"{name:22} is missing")
    if options.json:
        result = {"machine": machine(), "images": options.images, "rows": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
