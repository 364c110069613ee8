"""How long the operations take, and how much memory: compiled, reference, pytorch and the peers that are installed.

``python -m tests.benchmarks.bench_operations [--only NAME …] [--seconds 2] [--processor] [--json FILE]``, from the
repository's root; `make peers` makes an environment with all that `tests.benchmarks.peers` knows.

The ways of doing one thing take turns in one process; the table shows medians and how many times the compiled path is
faster. On a machine that has other work, ``--processor`` tells more: seconds of a processor, everything on one thread.
Memory is what one more call adds to the process at its peak (Linux only). The reference is left out where it
would take minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from minidet import compiled, pytorch, reference
from minidet.config import AnchorConfig
from tests.benchmarks import more_cases, peers
from tests.benchmarks.peers import Ways
from tests.benchmarks.timing import machine, medians, peak_memory, peer_version

HAS_TORCHVISION = peers.there("torchvision")


def boxes_of(rng: np.random.Generator, n: int, extent: tuple[float, float], low: float, high: float) -> np.ndarray:
    """(n, 4) boxes with log-uniform sides, centred anywhere in (width, height)."""
    centre = rng.uniform(0, 1, (n, 2)) * extent
    size = np.exp(rng.uniform(np.log(low), np.log(high), (n, 2)))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1)


def focal(gamma: float) -> Ways:
    """Value and gradient of dense_focal_loss, 100,000 anchors x 80 classes, float32."""
    rng = np.random.default_rng(0)
    x = rng.normal(-4, 2, (100_000, 80)).astype(np.float32)
    labels = np.where(rng.random(100_000) < 0.01, rng.integers(0, 80, 100_000), -1)
    target = np.empty_like(x)
    tensor, label = torch.from_numpy(x).requires_grad_(), torch.from_numpy(labels)
    one_hot = np.zeros_like(x)
    one_hot[labels >= 0, labels[labels >= 0]] = 1
    assigned = max(1, int((labels >= 0).sum()))

    def ours_in_torch() -> None:
        tensor.grad = None
        pytorch.dense_focal_loss(tensor, label, gamma).backward()

    ways: Ways = {
        "compiled": lambda: compiled.dense_focal_loss(x, labels, gamma),
        "copy of the array": lambda: np.copyto(target, x),
        "pytorch": ours_in_torch,
    }
    return ways | peers.focal(x, one_hot, gamma, 1 / assigned)


def pyramid(boxes: int) -> Ways:
    """assign_pyramid with force_match over an 800 x 1344 image, 201,600 anchors."""
    gt = boxes_of(np.random.default_rng(1), boxes, (1344, 800), 16, 500)
    gt = compiled.clip_boxes(gt, (800, 1344))
    config = AnchorConfig()
    tensor = torch.from_numpy(gt).float()
    ways: Ways = {
        "compiled": lambda: compiled.assign_pyramid((800, 1344), gt, config, force_match=True),
        "pytorch": lambda: pytorch.assign_pyramid((800, 1344), tensor, config, force_match=True),
    }
    if boxes <= 50:
        ways["reference"] = lambda: reference.assign_pyramid((800, 1344), gt, config, force_match=True)
    return ways | torchvision_assignment(tensor, force=True)


def arbitrary() -> Ways:
    """assign_anchors over 201,600 anchors that need not be a grid, 50 boxes."""
    gt = boxes_of(np.random.default_rng(1), 50, (1344, 800), 16, 500)
    anchors = np.concatenate(reference.pyramid_anchors((800, 1344), AnchorConfig()))
    tensor = torch.from_numpy(gt).float()
    ways: Ways = {"compiled": lambda: compiled.assign_anchors(anchors, gt)}
    return ways | torchvision_assignment(tensor, force=False)


def torchvision_assignment(gt: torch.Tensor, force: bool) -> Ways:
    if not HAS_TORCHVISION:
        return {}
    from torchvision.models.detection._utils import Matcher
    from torchvision.ops import box_iou

    anchors = torch.cat(pytorch.pyramid_anchors((800, 1344), AnchorConfig()))
    matcher = Matcher(0.5, 0.4, allow_low_quality_matches=force)
    return {"torchvision": lambda: matcher(box_iou(gt, anchors))}


def iou() -> Ways:
    """box_iou, 5,000 x 5,000, float32."""
    rng = np.random.default_rng(2)
    a, b = (boxes_of(rng, 5000, (1344, 800), 8, 400).astype(np.float32) for _ in range(2))
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    ways: Ways = {"compiled": lambda: compiled.box_iou(a, b), "pytorch": lambda: pytorch.box_iou(ta, tb)}
    return ways | peers.iou(a, b)


def nms(clusters: int | None, n: int = 20_000) -> Ways:
    """nms at a threshold of 0.5 of boxes that are spread evenly or, 20,000 of them, in clusters."""
    rng = np.random.default_rng(3)
    if clusters is None:
        boxes = boxes_of(rng, n, (2000, 2000), 10, 60)
    else:
        middle = rng.uniform(100, 1900, (clusters, 2))
        centre = middle[rng.integers(0, clusters, 20_000)] + rng.normal(0, 5, (20_000, 2))
        half = rng.uniform(25, 35, (20_000, 2))
        boxes = np.concatenate([centre - half, centre + half], axis=1)
    boxes, scores = boxes.astype(np.float32), (1 + rng.permutation(n).astype(np.float32)) / n
    tb, ts = torch.from_numpy(boxes), torch.from_numpy(scores)
    ways: Ways = {"compiled": lambda: compiled.nms(boxes, scores), "pytorch": lambda: pytorch.nms(tb, ts)}
    return ways | peers.nms(boxes, scores)


def scattered() -> Ways:
    """nms of 100,000 boxes, threshold 0.5, scattered over 10,000 x 10,000 pixels: the scene that lsnms is shown on."""
    rng = np.random.default_rng(5)
    corner = rng.uniform(0, 10_000, (100_000, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 100, (100_000, 2))], axis=1).astype(np.float32)
    scores = (1 + rng.permutation(100_000).astype(np.float32)) / 100_000
    ways: Ways = {"compiled": lambda: compiled.nms(boxes, scores)}
    slow = ("torchvision", "powerboxes")  # which look at all pairs
    return ways | {name: way for name, way in peers.nms(boxes, scores).items() if name not in slow}


def batched_nms(n: int = 20_000) -> Ways:
    """batched_nms of boxes in 80 classes, threshold 0.5."""
    rng = np.random.default_rng(4)
    boxes = boxes_of(rng, n, (1344, 800), 10, 200).astype(np.float32)
    scores, classes = (1 + rng.permutation(n).astype(np.float32)) / n, rng.integers(0, 80, n)
    tb, ts, tc = torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(classes)
    ways: Ways = {
        "compiled": lambda: compiled.batched_nms(boxes, scores, classes),
        "pytorch": lambda: pytorch.batched_nms(tb, ts, tc),
    }
    return ways | peers.batched_nms(boxes, scores, classes)


CASES: dict[str, Callable[[], Ways]] = {
    "dense_focal_loss, gamma 2": lambda: focal(2.0),
    "dense_focal_loss, gamma 1.5": lambda: focal(1.5),
    "assign_pyramid, 50 boxes": lambda: pyramid(50),
    "assign_pyramid, 300 boxes": lambda: pyramid(300),
    "assign_anchors, 50 boxes": arbitrary,
    "box_iou, 5000 x 5000": iou,
    "nms, 5000 spread evenly": lambda: nms(None, 5000),
    "nms, 20000 spread evenly": lambda: nms(None),
    "nms, 20000 in 50 clusters": lambda: nms(50),
    "nms, 100000 scattered": scattered,
    "batched_nms, 5000 in 80 classes": lambda: batched_nms(5000),
    "batched_nms, 20000 in 80 classes": batched_nms,
    **more_cases.CASES,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=[""], nargs="+", help="cases whose name holds one of these")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each way of each case")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="how many")
    parser.add_argument("--json", type=Path, help="also write the result there")
    parser.add_argument("--processor", action="store_true", help="seconds of a processor, on one thread")
    options = parser.parse_args()
    threads = 1 if options.processor else options.threads
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # before a library in Rust is imported
    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.get_num_threads()))
    versions = {name: version for name in peers.PACKAGES if (version := peer_version(name))}
    result: dict[str, Any] = {
        "machine": machine(),
        "peers": versions,
        "clock": "processor" if options.processor else "wall",
        "median_s": {},
        "peak_bytes": {},
    }
    print("  ".join(f"{key} {value}" for key, value in result["machine"].items()))
    print("missing:", ", ".join(name for name in peers.PACKAGES if name not in versions) or "no peer")
    for name, make in CASES.items():
        if any(part in name for part in options.only):
            ways = make()
            times = result["median_s"][name] = medians(
                ways, options.seconds, clock=time.process_time if options.processor else time.perf_counter
            )
            memory = result["peak_bytes"][name] = {way: peak_memory(call) for way, call in ways.items()}
            print(f"\n{name}")
            for way, seconds in times.items():
                print(
                    f"  {way:28} {1000 * seconds:10.3f} ms {seconds / times['compiled']:9.1f} x compiled"
                    f"  {(memory[way] or 0) / 2**20:7.0f} MiB", flush=True,
                )  # fmt: skip
            if options.json:
                options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
