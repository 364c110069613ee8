"""Inputs that could defeat the speed: time per box beside that of boxes spread evenly.

``python -m tests.benchmarks.bench_adversarial [--only NAME] [--boxes 20000] [--json FILE]``, from the repository root.

Each operation gets boxes spread evenly, and then as many with one far away, with a huge one among them, all equal,
nested in each other, in a line, all in a corner, and five times as many. Seconds are those of a processor, all threads
together, which other work on the machine hardly changes; the least of several calls, in which the cases take turns.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidet import compiled, reference
from minidet.config import AnchorConfig
from tests.benchmarks.bench_operations import boxes_of
from tests.benchmarks.timing import machine

SIZE = (1344, 800)


def evenly(n: int, rng: np.random.Generator, side: float) -> np.ndarray:
    """The same density whatever the number."""
    return boxes_of(rng, n, (side, side), 10, 60)


def layouts(n: int) -> dict[str, np.ndarray]:
    """Boxes by the name of their layout, the even ones first."""
    rng = np.random.default_rng(0)
    side = 14 * n**0.5
    even = evenly(n, rng, side)
    far, huge, larger = even.copy(), even.copy(), evenly(5 * n, rng, side * 5**0.5)
    far[0] = [1e7, 1e7, 1e7 + 30, 1e7 + 30]
    huge[0] = [-1e6, -1e6, 1e6, 1e6]
    few_huge = even.copy()
    few_huge[::100] = [0, 0, side, side]
    start = np.arange(n)[:, None] * 7.0
    line = np.concatenate([start, np.zeros((n, 1)), start + 30, np.full((n, 1), 30.0)], axis=1)
    inset = np.linspace(0, side / 2.001, n)[:, None]
    nested = np.concatenate([inset, inset, side - inset, side - inset], axis=1)
    thin = even.copy()
    thin[:, 3] = thin[:, 1] + side  # as tall as everything
    powers = np.exp(rng.uniform(np.log(1e-3), np.log(1e5), (n, 1)))
    corner = np.concatenate([np.zeros((n, 2)), powers, powers], axis=1)
    return {
        "even": even, "one far box": far, "one huge box": huge, "1 % huge boxes": few_huge,
        "all equal": even[:1].repeat(n, 0), "nested": nested, "a line": line, "tall and thin": thin,
        "all sizes at a corner": corner, "five times as many": larger,
    }  # fmt: skip


def objects(n: int) -> dict[str, np.ndarray]:
    """Ground truth in an image of 800 x 1344 pixels by the name of its layout."""
    rng = np.random.default_rng(1)
    even = compiled.clip_boxes(boxes_of(rng, n, SIZE, 16, 500), SIZE[::-1])
    far, huge = even.copy(), even.copy()
    far[0] = [1e7, 1e7, 1e7 + 30, 1e7 + 30]
    huge[0] = [-1e6, -1e6, 1e6, 1e6]
    start = np.arange(n)[:, None] * (1300 / n)
    line = np.concatenate([start, np.full((n, 1), 400.0), start + 30, np.full((n, 1), 430.0)], axis=1)
    inset = np.linspace(0, 399, n)[:, None]
    nested = np.concatenate([inset, inset, SIZE[0] - inset, SIZE[1] - inset], axis=1)
    whole = np.tile([0.0, 0, *SIZE], (n, 1))
    return {
        "even": even, "one far box": far, "one huge box": huge, "all equal": even[:1].repeat(n, 0), "nested": nested,
        "a line": line, "all the whole image": whole,
        "all tiny": np.concatenate([even[:, :2], even[:, :2] + 2], axis=1),
        "five times as many": compiled.clip_boxes(boxes_of(rng, 5 * n, SIZE, 16, 500), SIZE[::-1]),
    }  # fmt: skip


def cases(n: int) -> dict[str, dict[str, tuple[Callable[[], Any], int]]]:
    """By operation and layout, a call and its number of boxes."""
    rng = np.random.default_rng(2)
    spread, truth = layouts(n), objects(300)
    anchors = np.concatenate(reference.pyramid_anchors(SIZE[::-1], AnchorConfig()))[::4]
    order = rng.permutation(5 * n) / (5 * n)
    classes = rng.integers(0, 80, 5 * n)

    def each(
        boxes: dict[str, np.ndarray], call: Callable[[np.ndarray], Any]
    ) -> dict[str, tuple[Callable[[], Any], int]]:
        return {name: (lambda one=one: call(one), len(one)) for name, one in boxes.items()}  # type: ignore[misc]

    def forced(one: np.ndarray) -> Any:
        return compiled.assign_pyramid(SIZE[::-1], one, AnchorConfig(), force_match=True)

    def batched(one: np.ndarray, classes: np.ndarray) -> Any:
        return compiled.batched_nms(one, order[: len(one)], classes[: len(one)])

    return {
        "nms": each(spread, lambda one: compiled.nms(one, order[: len(one)])),
        "batched_nms, 80 classes": each(spread, lambda one: batched(one, classes)),
        "batched_nms, 1 class": each(spread, lambda one: batched(one, np.zeros_like(classes))),
        "assign_pyramid": each(truth, forced),
        "assign_anchors": each(truth, lambda one: compiled.assign_anchors(anchors, one, force_match=True)),
    }  # fmt: skip


def least(calls: dict[str, tuple[Callable[[], Any], int]], seconds: float) -> dict[str, float]:
    """Seconds of a processor per box: the least of at least three calls, in turns."""
    best = dict.fromkeys(calls, float("inf"))
    stop = time.process_time() + seconds
    for turn in range(30):
        for name, (call, boxes) in calls.items():
            before = time.process_time()
            call()
            if turn:  # the first one compiles
                best[name] = min(best[name], (time.process_time() - before) / boxes)
        if turn >= 3 and time.process_time() > stop:
            break
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="operations whose name holds this")
    parser.add_argument("--boxes", type=int, default=20_000, help="for suppression")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a processor, per operation")
    parser.add_argument("--json", type=Path, help="also write the result there")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "boxes": options.boxes, "seconds_per_box": {}}
    for operation, calls in cases(options.boxes).items():
        if options.only in operation:
            times = result["seconds_per_box"][operation] = least(calls, options.seconds)
            print(f"\n{operation}")
            for name, seconds in times.items():
                print(f"  {name:24} {1e6 * seconds:9.3f} µs per box {seconds / times['even']:8.2f} x even", flush=True)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
