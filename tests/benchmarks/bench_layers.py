"""What each layer of the NumPy network costs: floating-point operations, time and memory, forwards and backwards.

    python -m tests.benchmarks.bench_layers [--preset tiny] [--size 256] [--batch 8] [--all] [--json FILE]

Times are seconds of a processor, which other work on the machine hardly changes; with OMP_NUM_THREADS=1 they are those
of one core. Layers that run several times, such as a subnet's on each level, are added up. Operations are those of the
convolutions alone, a multiplication and an addition being two; backwards they are twice as many, except in the first
layer, which owes the images no gradient. "kept" is the size of the outputs, which stay until the way back; "extra" is
the most that a layer takes beside its arguments at any one time, its result included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minidet import files
from minidet.config import RetinaNetConfig
from minidet.reference.architecture import retinanet
from minidet.reference.network import RetinaNet
from minidet.reference.tape import Gradient, Tape, Value
from tests.benchmarks.timing import machine

PRESETS: dict[str, Callable[[], RetinaNetConfig]] = {
    "tiny": lambda: RetinaNetConfig.tiny(6),
    "resnet18": lambda: RetinaNetConfig(depth=18, norm="batch"),
    "paper": RetinaNetConfig,
}
PARTS = {
    "stem": ("backbone.conv1", "backbone.bn1"),
    **{f"stage {i}": (f"backbone.layer{i}",) for i in (1, 2, 3, 4)},
    "pyramid": ("fpn",), "class subnet": ("class_subnet",), "box subnet": ("box_subnet",),
}  # fmt: skip
NUMBERS = ("operations", "forward", "backward", "kept", "extra", "parameters")


class Meter(Tape):
    """A tape that notes what every layer costs, by name; layers without parameters count to the one before them."""

    def __init__(self, state: dict[str, np.ndarray]) -> None:
        super().__init__(state, training=True)
        self.costs: dict[str, dict[str, float]] = {}
        self.name = ""

    def _note(self, y: np.ndarray, gradient: Gradient, *inputs: Value) -> Value:
        cost, shapes = self._cost(), [value.data.shape for value in inputs]
        cost["kept"] += y.nbytes
        if len(shapes) > 1 and len(shapes[1]) == 4 and shapes[1] != shapes[0]:  # a convolution's filters
            cost["operations"] += 2 * y.size * int(np.prod(shapes[1][1:]))
        return super()._note(y, self._metered(gradient, cost), *inputs)

    def _cost(self) -> dict[str, float]:
        return self.costs.setdefault(self.name, dict.fromkeys(NUMBERS, 0.0))

    def _metered(self, gradient: Gradient, cost: dict[str, float]) -> Gradient:
        def metered(grad: np.ndarray) -> Any:
            with _Clock(cost, "backward"):
                return gradient(grad)

        return metered


class _Clock:
    """Adds the seconds, and the most memory taken while it ran if that is traced, to a layer's costs."""

    def __init__(self, cost: dict[str, float], way: str) -> None:
        self.cost, self.way = cost, way

    def __enter__(self) -> None:
        if tracemalloc.is_tracing():
            tracemalloc.reset_peak()
            self.before = tracemalloc.get_traced_memory()[0]
        self.start = time.process_time()

    def __exit__(self, *_: object) -> None:
        self.cost[self.way] += time.process_time() - self.start
        if tracemalloc.is_tracing():
            peak = tracemalloc.get_traced_memory()[1] - self.before
            self.cost["extra"] = max(self.cost["extra"], peak)


def _named(method: str) -> Callable[..., Value]:
    """A layer of the tape that says its name first, if it has one, and is timed."""
    plain = getattr(Tape, method)

    def layer(self: Meter, x: Value, *arguments: Any, **options: Any) -> Value:
        if arguments and isinstance(arguments[0], str):
            self.name = arguments[0]
        with _Clock(self._cost(), "forward"):
            return plain(self, x, *arguments, **options)

    return layer


for _method in ("conv", "batch_norm", "frozen_batch_norm", "group_norm", "relu", "max_pool", "upsample", "add", "rows"):
    setattr(Meter, _method, _named(_method))


def costs(config: RetinaNetConfig, size: int, batch: int, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Layer name -> its costs in one training step (float32): medians of seconds, bytes, operations, parameters."""
    net = RetinaNet(config, dtype=np.float32)
    images = np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32)

    def step() -> dict[str, dict[str, float]]:
        meter, x = Meter(net.state), Value(images)
        x.wanted = False
        logits, deltas = retinanet(meter, x, config)
        for value in logits + deltas:
            value.collect(np.ones_like(value.data))
        meter.backward()
        return meter.costs

    tracemalloc.start()
    found = step()  # its times are left out: tracing takes some
    tracemalloc.stop()
    timed = [step() for _ in range(rounds)]
    for name, cost in found.items():
        for way in ("forward", "backward"):
            cost[way] = statistics.median(one[name][way] for one in timed)
        cost["parameters"] = sum(v.size for key, v in net.state.items() if key.startswith(f"{name}.") and v.ndim)
    return found


def by_part(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """The costs added up over the parts of the network; "extra" is the largest."""
    parts = {}
    for part, prefixes in PARTS.items():
        rows = [cost for name, cost in found.items() if name.startswith(prefixes)]
        parts[part] = {number: sum(row[number] for row in rows) for number in NUMBERS}
        parts[part]["extra"] = max(row["extra"] for row in rows)
    return parts


def table(rows: dict[str, dict[str, float]]) -> str:
    """A Markdown table."""
    total = {number: sum(row[number] for row in rows.values()) for number in NUMBERS}
    total["extra"] = max(row["extra"] for row in rows.values())
    lines = [
        "| layer | parameters | 10^9 operations forward | ms forward | ms backward | MB kept | MB extra |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {row['parameters']:,.0f} | {row['operations'] / 1e9:.2f} | {row['forward'] * 1e3:.1f} | "
        f"{row['backward'] * 1e3:.1f} | {row['kept'] / 1e6:.1f} | {row['extra'] / 1e6:.1f} |"
        for name, row in {**rows, "all": total}.items()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--size", type=int, default=256, help="pixels of the images' sides")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--all", action="store_true", help="a row per layer instead of per part")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = costs(PRESETS[options.preset](), options.size, options.batch)
    print(f"{options.preset}, {options.batch} images of {options.size} x {options.size}, float32\n")
    print(table(found if options.all else by_part(found)))
    about = {key: getattr(options, key) for key in ("preset", "size", "batch")}
    if options.json:
        files.write_json(options.json, {"machine": machine(), **about, "layers": found})
    else:
        print(json.dumps(machine()))


if __name__ == "__main__":
    main()
