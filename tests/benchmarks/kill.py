"""A training run that is killed again and again (kill -9) and resumed each time, against one that is left alone.

    python -m tests.benchmarks.kill --kills 10

Kills fall at random moments, while a step is computed as well as while a checkpoint, which comes after every step, is
written. The weights of both runs must be the same bytes, and every step must be in the metrics once. Exit status 1 and
a line that says what differs, if not. About two minutes on two cores for 10 kills.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.runs import load_metrics

MODEL = RetinaNetConfig.tiny(6, width=8, head_convs=1, anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32)))
SIDE = 128
"""Pixels; with them and eight images per step the subnets' convolutions are large enough for Winograd's algorithm."""


def run(out: Path, steps: int) -> None:
    """Train, or go on training, with one thread: the bits of the weights depend on their number."""
    torch.set_num_threads(1)
    config = TrainingConfig.tiny(
        iterations=steps, warmup=5, resize=ResizeConfig(SIDE, SIDE), log_every=1, checkpoint_every=1, workers=1
    )
    torch.manual_seed(0)
    model = RetinaNet(MODEL)
    train(model, TrainingData(Shapes(100, image_size=(SIDE, SIDE)), model.config, config), config, out, resume=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=100, help="of both runs (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="of the moments (default: others each time)")
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="be the run that is killed")
    options = parser.parse_args(arguments)
    if options.run:
        run(options.run, options.steps)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return compare(Path(folder), options.kills, options.steps, np.random.default_rng(options.seed))


def compare(folder: Path, kills: int, steps: int, rng: np.random.Generator) -> int:
    """Both runs, one after the other; 0 if they agree."""
    left_alone, killed = folder / "left_alone", folder / "killed"
    start(left_alone, steps).wait()
    unfinished = last = 0
    for kill in range(1, kills + 1):
        process = start(killed, steps)
        goal = rng.integers(last, steps * kill // (kills + 1) + 1)  # a step in this kill's part of the run
        while len(load_metrics(killed)) <= goal and process.poll() is None:
            time.sleep(0.002)
        if kill % 2:
            time.sleep(rng.uniform(0, 0.1))
        else:  # while a checkpoint is written
            while not writing(killed) and process.poll() is None:
                pass
            time.sleep(rng.uniform(0, 0.002))
        if process.poll() is not None:
            print(f"the run ended before kill {kill}: give more --steps than {steps}")
            return 1
        process.kill()
        process.wait()
        last = len(load_metrics(killed))
        unfinished += writing(killed)
        print(f"kill {kill}: after step {last}{', a checkpoint half written' if writing(killed) else ''}", flush=True)
    start(killed, steps).wait()
    one, other = (load_model(path).state_dict() for path in (left_alone, killed))
    differing = [name for name in one if one[name].numpy().tobytes() != other[name].numpy().tobytes()]
    counted = [record["iteration"] for record in load_metrics(killed)] == list(range(1, steps + 1))
    print(f"{unfinished} of {kills} kills left a checkpoint half written")
    print(f"weights: {len(differing)} of {len(one)} tensors differ; every step is in the metrics once: {counted}")
    return int(bool(differing) or not counted)


def start(out: Path, steps: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.benchmarks.kill", "--run", str(out), "--steps", str(steps)]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def writing(run: Path) -> bool:
    return (run / ".checkpoint.pt.unfinished").exists()


if __name__ == "__main__":
    sys.exit(main())
