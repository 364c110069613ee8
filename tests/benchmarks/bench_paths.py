"""A training step in the three paths, from the same weights on the same batch, in float32: seconds and memory.

    python -m tests.benchmarks.bench_paths [--preset tiny|resnet18] [--rounds 9] [--json FILE]

A step is forward, assignment, loss, backward and SGD. "tiny" is `RetinaNetConfig.tiny`, 8 images of 256 x 256;
"resnet18" the paper's detector on a ResNet-18 with batch normalisation, 4 images of 320 x 320, 80 classes. PyTorch
trains as its trainer does, with channels_last and `winograd`; its anchors are assigned by the compiled path, as its
loader does, and the time is counted. The paths take turns, all on the same cores; NumPy's BLAS, Numba and PyTorch each
have threads of their own, of which those of the others sleep (a pause lets them fall asleep). Of every round the ratio
to PyTorch's time is taken, and of the ratios the median: what else the machine does at the time falls on both. On a
machine that is busy give each path one thread (OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1): threads
that wait for one another lose whole time slices, and what is measured is the scheduler.

Memory is how much the process grows in a step, in a process of its own that has made a small step before.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from minidet import compiled, files
from minidet.compiled.network import RetinaNet as CompiledRetinaNet
from minidet.compiled.training import train_step as compiled_step
from minidet.config import RetinaNetConfig, TrainingConfig
from minidet.pytorch.memory import keep_freed_memory
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.retinanet import RetinaNet as TorchRetinaNet
from minidet.pytorch.winograd import use_winograd
from minidet.reference.network import RetinaNet as ReferenceRetinaNet
from minidet.reference.training import train_step as reference_step
from minidet.structures import GroundTruth
from tests.benchmarks.timing import machine

PATHS = ("pytorch", "compiled", "reference")
RATE = 1e-3
"""Learning rate of every step."""


class Setting(NamedTuple):
    """A network and the images that it is trained with."""

    config: RetinaNetConfig
    batch: int
    side: int


SETTINGS = {
    "tiny": Setting(RetinaNetConfig.tiny(6), 8, 256),
    "resnet18": Setting(RetinaNetConfig(80, depth=18, norm="batch"), 4, 320),
}
TRAINING = TrainingConfig()

Step = Callable[[], tuple[float, float]]
"""One training step; returns the losses of the classes and of the boxes."""


def batch(setting: Setting, objects: int = 8) -> tuple[np.ndarray, list[GroundTruth]]:
    """Noise, and boxes of 16 to 128 pixels or half the image."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((setting.batch, 3, setting.side, setting.side)).astype(np.float32)
    truth = []
    for _ in images:
        sizes = np.exp(rng.uniform(np.log(16), np.log(min(128, setting.side / 2)), (objects, 2)))
        corners = rng.uniform(0, 1, (objects, 2)) * (setting.side - sizes)
        classes = rng.integers(0, setting.config.num_classes, objects)
        truth.append(GroundTruth(np.concatenate([corners, corners + sizes], axis=1), classes, np.zeros(objects, bool)))
    return images, truth


def array_step(path: str, setting: Setting) -> Step:
    """A step of the reference or of the compiled path."""
    network, train_step = {
        "reference": (ReferenceRetinaNet, reference_step),
        "compiled": (CompiledRetinaNet, compiled_step),
    }[path]
    net: Any = network(setting.config, dtype=np.float32)
    images, truth = batch(setting)
    velocity: dict[str, np.ndarray] = {}

    def step() -> tuple[float, float]:
        losses = train_step(net, images, truth, TRAINING, RATE, velocity)
        return losses.classification, losses.box

    return step


def torch_step(setting: Setting) -> Step:
    """A step of PyTorch's path, from the weights with which the others begin."""
    config = setting.config
    images, truth = batch(setting)
    model = TorchRetinaNet(config)
    first = CompiledRetinaNet(config, dtype=np.float32).state
    model.load_state_dict({name: torch.from_numpy(value) for name, value in first.items()})
    model = model.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    use_winograd(model, TRAINING.winograd)
    optimizer = torch.optim.SGD(model.parameters(), RATE, TRAINING.momentum, weight_decay=TRAINING.weight_decay)
    size = (setting.side, setting.side)

    def step() -> tuple[float, float]:
        logits, deltas = model(torch.from_numpy(images).to(memory_format=torch.channels_last))
        assigned = np.stack([compiled.assign_pyramid(size, image.boxes, config.anchors) for image in truth])
        found = torch.from_numpy(assigned)
        losses = detection_loss(logits, deltas, model.anchors(size), truth, config, TRAINING, found)
        optimizer.zero_grad()
        (losses.classification + TRAINING.loss.box_weight * losses.box).backward()
        optimizer.step()
        return losses.classification.item(), losses.box.item()

    return step


def make(path: str, setting: Setting) -> Step:
    return torch_step(setting) if path == "pytorch" else array_step(path, setting)


def times(setting: Setting, rounds: int, pause: float = 0.1) -> dict[str, dict[str, float]]:
    """Median seconds of each path's step, and the median of its ratios to PyTorch's of the same round."""
    ways = {path: make(path, setting) for path in PATHS}
    losses = {path: way() for path, way in ways.items()}  # compiles, and fills caches
    for path, values in losses.items():
        np.testing.assert_allclose(values, losses["pytorch"], rtol=1e-4, err_msg=path)
    seconds: dict[str, list[float]] = {path: [] for path in PATHS}
    for _ in range(rounds):
        for path, way in ways.items():
            time.sleep(pause)
            before = time.perf_counter()
            way()
            seconds[path].append(time.perf_counter() - before)
    return {
        path: {
            "seconds": statistics.median(values),
            "ratio": statistics.median(a / b for a, b in zip(values, seconds["pytorch"], strict=True)),
        }
        for path, values in seconds.items()
    }  # fmt: skip


def growth(path: str, preset: str) -> int:
    """By how many bytes the process grows in a step, at its largest, after a small one of the same network."""
    setting = SETTINGS[preset]
    make(path, setting._replace(batch=2, side=64))()
    step = make(path, setting)
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the largest size from here on
    step()
    return _memory("VmHWM") - before


def _memory(field: str) -> int:
    kibibytes = re.search(rf"{field}:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert kibibytes is not None
    return int(kibibytes.group(1)) * 1024


def memory(preset: str) -> dict[str, int] | None:
    """Of each path in a process of its own; None where the system does not say."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, "-m", "tests.benchmarks.bench_paths", "--preset", preset, "--memory"]
    return {
        path: int(subprocess.run([*command, path], capture_output=True, text=True, check=True).stdout) for path in PATHS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=SETTINGS, help="default: all")
    parser.add_argument("--rounds", type=int, default=9, help="steps of each path, in turns")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    parser.add_argument("--memory", choices=PATHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(growth(options.memory, options.preset))
        return
    keep_freed_memory()  # for all of them: as `minidet train` does
    found: dict[str, Any] = {}
    for preset in [options.preset] if options.preset else SETTINGS:
        setting = SETTINGS[preset]
        load = os.getloadavg()[0]
        rows, grown = times(setting, options.rounds), memory(preset)
        found[preset] = {"batch": setting.batch, "side": setting.side, "load before": load, "paths": rows}
        print(f"{preset}: {setting.batch} images of {setting.side} x {setting.side}")
        for path, row in rows.items():
            if grown:
                row["bytes"] = grown[path]
            size = f", {row['bytes'] / 2**20:6.0f} MiB" if grown else ""
            print(f"  {path:10} {row['seconds'] * 1e3:7.0f} ms per step, {row['ratio']:5.2f} of PyTorch's{size}")
    if options.json:
        files.write_json(options.json, {"machine": machine(), "settings": found})


if __name__ == "__main__":
    main()
