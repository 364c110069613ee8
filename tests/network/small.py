"""A small network, its data and a few steps of training, for the tests and for the processes that they start."""

from __future__ import annotations

import json
import multiprocessing
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import OHEM_CHOICES
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.processes import joined
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.structures import GroundTruth

SMALL = RetinaNetConfig.tiny(
    num_classes=6, width=8, norm="group", fpn_channels=16, head_channels=16, head_convs=1,
    anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32), scales=(1.0,)),
)  # fmt: skip
QUICK = TrainingConfig(
    iterations=8, batch_size=2, learning_rate=0.005, warmup=2, resize=ResizeConfig(48, 64), jitter=(40, 48),
    log_every=1, checkpoint_every=1000,
)  # fmt: skip

OTHER_OHEM = [{name: other} for name, (_, other) in OHEM_CHOICES.items()]
OTHER_OHEM.append({name: other for name, (_, other) in OHEM_CHOICES.items()})
"""What the paper leaves open about OHEM, decided otherwise: each by itself, and all together."""


def data(config: TrainingConfig = QUICK) -> TrainingData:
    few = {"objects": (1, 3), "distractors": (0, 0)}  # more take many tries until they find a place
    return TrainingData(Shapes(6, image_size=(48, 48), max_size=32, **few), SMALL, config)


def fresh(norm: str = SMALL.norm) -> RetinaNet:
    torch.manual_seed(0)
    return RetinaNet(replace(SMALL, norm=norm))


def weights_equal(a: RetinaNet, b: RetinaNet) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def truth(boxes: Any, classes: Any, ignore: Any = None) -> GroundTruth:
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    return GroundTruth(boxes, np.array(classes, np.int64), np.zeros(len(boxes), bool) if ignore is None else ignore)


class Interrupted:
    """The usual batches, until an exception comes instead of one."""

    def __init__(self, at: int, exception: type[BaseException] = KeyboardInterrupt) -> None:
        self.at, self.exception = at, exception

    def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Any:
        if iteration == self.at:
            raise self.exception
        return data().batch(iteration, rank, processes)


def training(out: str, norm: str, iterations: int, batch_size: int, workers: int, accumulate: int = 1) -> None:
    """Train, or go on training, with one thread: the bits of the weights depend on their number."""
    config = replace(
        QUICK, iterations=iterations, batch_size=batch_size, accumulate=accumulate, checkpoint_every=1, workers=workers
    )  # fmt: skip
    train(fresh(norm), data(config), config, out, resume=True)


def main(trainings: str) -> None:
    """One training after the other, each given by the arguments of `training`, as JSON.

    Workers are started as on macOS, on Windows and by Python 3.14: each imports this file and gets a pickled copy of
    the data.
    """
    multiprocessing.set_start_method("spawn")
    torch.set_num_threads(1)
    with joined():
        for arguments in json.loads(trainings):
            training(*arguments)


if __name__ == "__main__":
    main(sys.argv[1])
