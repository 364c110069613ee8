"""How long COCO average precision takes: minidet, pycocotools and, where it is installed, faster-coco-eval.

``python -m tests.benchmarks.bench_evaluation [--images 2000] [--rounds 3] [--json FILE]``, from the repository's root.

The data: 80 classes, 2,000 images, each with 8 objects and 100 detections, most of them near an object. A run starts
from the loaded dict and list and ends with the twelve metrics; the other two libraries write into their input, so they
get a fresh copy each time, made before the clock starts. The three alternate in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib
import importlib.util
import io
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from minidet.evaluation import coco_metrics


def synthetic(images: int, objects: int = 8, detections: int = 100, classes: int = 80) -> tuple[dict, list]:
    """Ground truth and detections: 40 % have the class of their object, the others any; boxes are off by 12 %."""
    rng = np.random.default_rng(0)
    truth: dict[str, list] = {
        "images": [{"id": i} for i in range(1, images + 1)],
        "categories": [{"id": k} for k in range(1, classes + 1)],
        "annotations": [],
    }
    found: list[dict] = []
    for image_id in range(1, images + 1):
        boxes = np.concatenate([rng.uniform(0, 640, (objects, 2)), np.exp(rng.uniform(2, 5.7, (objects, 2)))], axis=1)
        labels = rng.integers(1, classes + 1, objects)
        crowd = rng.random(objects) < 0.02
        for box, label, is_crowd in zip(boxes.tolist(), labels.tolist(), crowd.tolist(), strict=True):
            row = {"id": len(truth["annotations"]) + 1, "image_id": image_id, "category_id": label, "bbox": box}
            truth["annotations"].append(row | {"area": 0.7 * box[2] * box[3], "iscrowd": int(is_crowd)})
        near = rng.integers(0, objects, detections)
        noise = rng.normal(0, 0.12, (detections, 4))
        places = boxes[near, :2] + noise[:, :2] * boxes[near, 2:]
        sizes = boxes[near, 2:] * np.exp(noise[:, 2:])
        guesses = np.where(rng.random(detections) < 0.4, labels[near], rng.integers(1, classes + 1, detections))
        columns = np.concatenate([places, sizes], axis=1).tolist(), guesses.tolist(), rng.random(detections).tolist()
        for box, label, score in zip(*columns, strict=True):
            found.append({"image_id": image_id, "category_id": label, "bbox": box, "score": score})
    return truth, found


def run_minidet(truth: dict, found: list) -> list[float]:
    return list(coco_metrics(truth, found).values())


def run_pycocotools(truth: dict, found: list) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats)


def run_faster_coco_eval(truth: dict, found: list) -> list[float]:
    faster = importlib.import_module("faster_coco_eval")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = faster.COCO(truth)
        evaluation = faster.COCOeval_faster(coco, coco.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return list(evaluation.stats[:12])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()

    runs: dict[str, Callable[[dict, list], list[float]]] = {"minidet": run_minidet, "pycocotools": run_pycocotools}
    if importlib.util.find_spec("faster_coco_eval"):
        runs["faster-coco-eval"] = run_faster_coco_eval
    else:
        print("faster-coco-eval is missing: pip install faster-coco-eval")

    truth, found = synthetic(options.images)
    start = time.perf_counter()
    metrics = {"minidet": run_minidet(truth, found)}
    first_call = time.perf_counter() - start
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name, run in runs.items():
            arguments = copy.deepcopy((truth, found))
            start = time.perf_counter()
            metrics[name] = run(*arguments)
            seconds[name].append(time.perf_counter() - start)

    result: dict[str, Any] = {
        "images": options.images, "detections": len(found), "rounds": options.rounds,
        "threads": numba.get_num_threads(), "python": platform.python_version(), "numpy": np.__version__,
        "numba": numba.__version__,
        "first_call_s": first_call, "seconds": seconds,
        "median_s": {name: statistics.median(values) for name, values in seconds.items()},
        "largest_difference": {
            name: float(np.abs(np.subtract(values, metrics["minidet"])).max()) for name, values in metrics.items()
        },
    }  # fmt: skip
    print(f"{options.images} images, {len(found)} detections, {numba.get_num_threads()} threads")
    print(f"first call of minidet, compiling or from Numba's cache: {first_call:.2f} s")
    for name, median in result["median_s"].items():
        ratio, difference = median / result["median_s"]["minidet"], result["largest_difference"][name]
        print(f"{name:17} {median:8.3f} s  {ratio:7.1f} x minidet   metrics differ by {difference:.1e}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
