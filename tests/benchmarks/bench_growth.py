"""How time and memory grow with the work: each compiled operation on five doublings, and the exponent.

``python -m tests.benchmarks.bench_growth [--only NAME] [--json FILE]``, from the repository's root.

The exponent is the slope of log(time) over log(work): 1 is proportional, 2 quadratic. Times are the least of several
calls, which is what the machine can do when nothing else disturbs it. Memory is what the resident set grew by during
one call, results included (Linux with glibc only).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidet import compiled
from minidet.config import AnchorConfig, PostprocessConfig
from tests.benchmarks.bench_operations import boxes_of
from tests.benchmarks.timing import machine

Call = Callable[[], Any]
DOUBLINGS = 5


def dense(n: int) -> Call:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(-4, 2, (n, 80)).astype(np.float32), rng.integers(-1, 80, n)
    return lambda: compiled.dense_focal_loss(x, labels)


def elementwise(n: int) -> Call:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 4, n), rng.integers(0, 2, n)
    return lambda: compiled.focal_loss_grad(x, y)


def pairs(n: int) -> Call:
    boxes = boxes_of(np.random.default_rng(0), n, (1344, 800), 8, 400)
    return lambda: compiled.box_iou(boxes, boxes[:1000])


def pyramid_by_anchors(side: int) -> Call:
    gt = boxes_of(np.random.default_rng(0), 50, (side, side), 16, 200)
    return lambda: compiled.assign_pyramid((side, side), gt, AnchorConfig(), force_match=True)


def pyramid_by_boxes(n: int) -> Call:
    gt = boxes_of(np.random.default_rng(0), n, (1344, 800), 16, 200)
    return lambda: compiled.assign_pyramid((800, 1344), gt, AnchorConfig(), force_match=True)


def anchors(n: int) -> Call:
    rng = np.random.default_rng(0)
    boxes, gt = boxes_of(rng, n, (1344, 800), 16, 500), boxes_of(rng, 50, (1344, 800), 16, 500)
    return lambda: compiled.assign_anchors(boxes, gt)


def nms(n: int) -> Call:
    """The area grows with the number, so that the density stays."""
    rng = np.random.default_rng(0)
    boxes, scores = boxes_of(rng, n, (14 * n**0.5, 14 * n**0.5), 10, 60), rng.random(n)
    return lambda: compiled.nms(boxes, scores)


def batched(n: int) -> Call:
    rng = np.random.default_rng(0)
    boxes, scores = boxes_of(rng, n, (14 * n**0.5, 14 * n**0.5), 10, 200), rng.random(n)
    classes = rng.integers(0, 80, n)
    return lambda: compiled.batched_nms(boxes, scores, classes)


def postprocess(n: int) -> Call:
    rng = np.random.default_rng(0)
    boxes = boxes_of(rng, n, (1344, 800), 16, 200)
    x, deltas = rng.normal(-6, 2, (n, 80)).astype(np.float32), rng.normal(0, 0.2, (n, 4))
    return lambda: compiled.postprocess([x], [deltas], [boxes], (800, 1344), PostprocessConfig())


CASES: dict[str, tuple[Callable[[int], Call], int, str, float]] = {
    # the operation, the smallest size, what the size counts, and the work's exponent in the size
    "dense_focal_loss": (dense, 6_250, "anchors x 80", 1),
    "focal_loss_grad": (elementwise, 62_500, "logits", 1),
    "box_iou": (pairs, 500, "boxes x 1000", 1),
    "assign_pyramid, larger image": (pyramid_by_anchors, 256, "pixels a side", 2),
    "assign_pyramid, more boxes": (pyramid_by_boxes, 16, "boxes", 1),
    "assign_anchors": (anchors, 12_500, "anchors x 50", 1),
    "nms": (nms, 2_500, "boxes", 1),
    "batched_nms": (batched, 2_500, "boxes", 1),
    "postprocess": (postprocess, 6_250, "anchors x 80", 1),
}


def least_seconds(call: Call, seconds: float = 0.6) -> float:
    call()
    best, stop = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < stop:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def grown_mib(call: Call) -> float | None:
    """Mebibytes that the resident set rose by, at most, during the call."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"):
        return None

    def field(name: str) -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1])

    ctypes.CDLL(None).malloc_trim(0)  # give back what earlier calls have left, so that this one has to ask again
    before = field("VmRSS")
    reset.write_text("5")  # the peak begins anew
    call()
    return max(0, field("VmHWM") - before) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "cases": {}}
    for name, (make, smallest, unit, power) in CASES.items():
        if options.only not in name:
            continue
        sizes = [smallest * 2**i for i in range(DOUBLINGS + 1)]
        rows = []
        for size in sizes:
            call = make(size)
            rows.append({"size": size, "seconds": least_seconds(call), "grown_mib": grown_mib(call)})
        slope = np.polyfit(np.log(sizes), np.log([row["seconds"] for row in rows]), 1)[0] / power
        result["cases"][name] = {"unit": unit, "exponent": float(slope), "rows": rows}
        print(f"\n{name}: time grows with the work to the power {slope:.2f}")
        for row in rows:
            memory = "" if row["grown_mib"] is None else f"{row['grown_mib']:9.1f} MiB"
            print(f"  {row['size']:9,} {unit:14} {1000 * row['seconds']:9.3f} ms {memory}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
