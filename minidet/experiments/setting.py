"""The small setting: the images, the network and the schedule that every experiment starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from minidet.config import AnchorConfig, LossConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.experiments.experiment import Experiment

CROWDED: dict[str, Any] = {"source": "shapes", "seed": 7, "image_size": [160, 160], "objects": [6, 14],
                           "distractors": [3, 8], "max_size": 96}  # fmt: skip
"""The images from which the backbone learns: all six classes, many objects per image."""
FEW: dict[str, Any] = {"source": "shapes", "image_size": [160, 160], "objects": [1, 1], "distractors": [6, 12],
                       "max_size": 48, "classes": ["disk", "square", "triangle"]}  # fmt: skip
"""One object of three classes among distractors: about 800 anchors of background per positive one."""

_ANCHORS = AnchorConfig(levels=(3, 4, 5), sizes=(16, 32, 64))
BACKBONE = Experiment(
    "backbone",
    RetinaNetConfig.tiny(6, norm="batch", anchors=_ANCHORS),
    TrainingConfig.tiny(iterations=1200, resize=ResizeConfig(160, 160), checkpoint_every=200, workers=0),
    {**CROWDED, "images": 9600},
    {**CROWDED, "images": 200, "seed": 8},
)
"""The detector whose backbone, of seed 0, the others start from, as the paper's start from ImageNet.

About 7 minutes on one core; AP 33.6 on its own images.
"""
BASE = Experiment(
    "base",
    RetinaNetConfig.tiny(3, norm="frozen", fpn_channels=32, head_channels=32, anchors=_ANCHORS),
    TrainingConfig(
        iterations=600, batch_size=8, learning_rate=0.02, warmup=60, freeze_at=2, loss=LossConfig(smooth_l1_beta=0.11),
        resize=ResizeConfig(160, 160), channels_last=True, checkpoint_every=200,
    ),
    {**FEW, "images": 2000, "seed": 0},
    {**FEW, "images": 500, "seed": 1},
    backbone="backbone",
)  # fmt: skip
"""The setting that every experiment changes; about 100 seconds on one core."""


CLASSIFIER = "classifier"
"""What stands in an experiment for the backbone of a classifier that learnt single shapes, with the run's own seed."""


def anchors_per_image() -> int:
    """Anchors per image of BASE, whose images are not resized."""
    config, (height, width) = BASE.model.anchors, BASE.data["image_size"]
    return config.anchors_per_cell * sum(grid.rows * grid.columns for grid in config.grids((height, width)))


def elsewhere(
    known: Mapping[str, Experiment], data: Mapping[str, Any], val: Mapping[str, Any], classes: int
) -> dict[str, Experiment]:
    """The experiments on another data set, without those that are about a certain one.

    Args:
        known: the experiments by name.
        data: arguments of `minidet.data.open_dataset` for the training set.
        val: arguments of `minidet.data.open_dataset` for the validation set.
        classes: number of classes.

    Returns:
        The experiments by name.
    """
    return {
        name: replace(experiment, data=data, val=val, model=replace(experiment.model, num_classes=classes))
        for name, experiment in known.items()
        if not {"imbalance", "background", "distractors", "cells"} & {*name.split("/")[:2]}
    }
