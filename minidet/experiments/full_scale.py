"""The paper's own experiments: RetinaNet on COCO, for whoever has the images and the GPUs.

The names are those of the small setting where both have the row. Where the paper says nothing, its authors' code
(Detectron) is followed; `STATED` lists what still differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minidet.config import ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.experiments import definitions, rows
from minidet.experiments import published as paper
from minidet.experiments.experiment import Experiment

IMAGENET = "imagenet"
"""What stands in an experiment for a backbone from ImageNet, of the depth that it needs."""
JITTER = (640, 800)
"""Pixels of the shorter side in Table 2's models: Detectron's range for scale jitter; the paper gives none."""
LONGER = 1.5
"""How many times as long Table 2's models are trained (section 5.3)."""
FOCAL_101 = "1d/focal"
"""The focal loss with 101 layers, with which Table 1d compares."""
STATED = (
    "The backbones are torchvision's, with the stride in the 3 x 3 convolution; the paper's are MSRA's.",
    "A shorter side of 600 pixels has a longer side of at most 1,000, and other scales 5/3 of theirs in the same way.",
    "Losses are divided by the number of assigned anchors in the whole batch; the paper says: of the image.",
    "Images of similar shape are not put into the same batch, which costs time for padding and changes no loss.",
    "Trained on train2017 and measured on val2017, which are the paper's trainval35k and minival under another name.",
)
"""What differs from the paper or from its authors' code."""


def scaled(shorter_side: int) -> ResizeConfig:
    """The size of the images for a shorter side in pixels: the longer one is at most 5/3 of it (600 and 1,000)."""
    return ResizeConfig(shorter_side, round(shorter_side * 5 / 3))


BASE = Experiment(
    "base",
    RetinaNetConfig(),
    TrainingConfig.detectron(resize=scaled(600), freeze_at=2, workers=4),
    {"source": "coco", "split": "train2017"},
    {"source": "coco", "split": "val2017"},
    backbone=IMAGENET,
)
"""RetinaNet-50 at 600 pixels, as in Tables 1a to 1c."""


def ohem(loss: str, batch: int, threshold: float) -> str:
    """Name of a row of Table 1d."""
    return f"1d/{loss.replace('_', '-')}-{batch}-{threshold:g}"


def detector(backbone: str) -> str:
    """Name of a row of Table 2."""
    return f"2/{backbone.lower()}"


def table_1d(base: Experiment) -> Iterator[Experiment]:
    """Table 1d: online hard example mining and the focal loss, with 101 layers."""
    for loss, batch, threshold in paper.TABLE_1D:
        sampling = {"loss.kind": loss, "loss.ohem_batch_size": batch, "loss.ohem_iou_threshold": threshold}
        yield base.changed(ohem(loss, batch, threshold), model={"depth": 101}, training=sampling)
    yield base.changed(FOCAL_101, model={"depth": 101})


def table_1e(base: Experiment) -> Iterator[Experiment]:
    """Table 1e: the focal loss, varying the depth and the size of the image."""
    for depth, side in paper.TABLE_1E:
        size = scaled(side)
        changes = {"resize.shorter_side": side, "resize.longer_side": size.longer_side}
        yield base.changed(rows.depth_and_side(depth, side), model={"depth": depth}, training=changes)


def table_2(base: Experiment) -> Iterator[Experiment]:
    """Table 2: the focal loss with 101 layers at 800 pixels, with scale jitter, trained 1.5 times as long."""
    longer = {
        "iterations": math.ceil(LONGER * base.training.iterations), "jitter": list(JITTER),
        "resize.shorter_side": JITTER[1], "resize.longer_side": scaled(JITTER[1]).longer_side,
    }  # fmt: skip
    for backbone, model in (("ResNet-101-FPN", {}), ("ResNeXt-101-FPN", {"groups": 32, "width_per_group": 8})):
        yield base.changed(detector(backbone), model={"depth": 101, **model}, training=longer)


def priors(base: Experiment) -> Iterator[Experiment]:
    """Section 5.1: cross entropy and the focal loss, varying the prior pi of the initialisation."""
    for loss, changes in (("ce", {"loss.kind": "cross_entropy"}), ("fl", {})):
        for pi in rows.PRIORS:
            yield base.changed(rows.prior(loss, pi), model={"prior": pi}, training=changes)


TABLES: tuple[Callable[[Experiment], Iterator[Experiment]], ...] = (
    definitions.table_1a, definitions.table_1b, definitions.table_1c, table_1d, table_1e, table_2,
    definitions.table_3_and_figure_7, priors, definitions.hinges,
)  # fmt: skip
"""In the order of the paper; of two names for one configuration, it is run under the first."""


def experiments(
    images_per_step: int | None = None, changes: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Experiment]:
    """Every experiment by its name, in the order of the paper.

    Args:
        images_per_step: None for the paper's 16; for another number the learning rate, the steps and the warm-up
            follow by the linear rule.
        changes: other settings of "model", "training", "data" and "val" by dotted name, for all of them. They are made
            before an experiment's own changes.

    Returns:
        The experiments by name.

    Raises:
        ValueError: a change is no setting.
    """
    base = BASE.changed(BASE.name, **(changes or {}))
    if images_per_step is not None:
        base = base.changed(base.name, training=_differing(base.training, images_per_step))
    return {experiment.name: experiment for table in TABLES for experiment in table(base)}


def _differing(training: TrainingConfig, images: int) -> dict[str, Any]:
    """The settings that the linear rule changes."""
    other = training.with_images_per_step(images)
    return {name: getattr(other, name) for name in ("batch_size", "learning_rate", "iterations", "warmup")}
