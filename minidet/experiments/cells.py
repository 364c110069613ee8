"""The experiments on photographs of blood cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from minidet.experiments import rows
from minidet.experiments.experiment import Experiment
from minidet.experiments.setting import CLASSIFIER
from minidet.experiments.sources import PHOTOGRAPHS


def cells(base: Experiment) -> Iterator[Experiment]:
    """Four losses on photographs: the blood cells of BCCD, from random weights and from those of a classifier.

    They need the folder BCCD of https://github.com/Shenggan/BCCD_Dataset where the command is run: 205 photographs to
    train on and 87 to measure on, about thirteen cells in each, of 640 x 480 pixels made smaller. Nothing is frozen,
    and the normalisation learns. About 65 s per run, and 2 minutes per seed for the classifier:

        cells/start=random,loss=focal       27         cells/start=random,loss=balanced       31
        cells/start=random,loss=ce          32         cells/start=random,loss=ohem           17
        cells/start=random,loss=ohem-256    19         cells/start=classifier,loss=ohem-256   22
        cells/start=classifier,loss=focal   28         cells/start=classifier,loss=balanced   31
        cells/start=classifier,loss=ce      32         cells/start=classifier,loss=ohem       18

    Does the order stay with three times as many steps?

        longer/cells/start=random,loss=focal    32         longer/cells/start=random,loss=balanced not run
        longer/cells/start=random,loss=ce       39         longer/cells/start=random,loss=ohem     not run
        longer/cells/start=random,loss=ohem-256 34
    """
    losses: dict[str, dict[str, Any]] = {
        "focal": {}, "ce": {"loss.kind": "cross_entropy"}, "balanced": {"loss.gamma": 0.0, "loss.alpha": 0.75},
    }  # fmt: skip
    for name, batch in rows.CELL_BATCHES.items():
        losses[name] = {"loss.kind": "ohem", "loss.ohem_batch_size": batch, "loss.ohem_iou_threshold": 0.7}
    side, steps = base.training.resize.shorter_side, base.training.iterations // 2
    learnt = {"freeze_at": 0, "resize.longer_side": -(-4 * side // 3), "iterations": steps}
    photographs = replace(
        base.changed(base.name, model={"num_classes": 3, "norm": "batch"}, training=learnt), backbone=None,
        data={"source": PHOTOGRAPHS, "split": "train"}, val={"source": PHOTOGRAPHS, "split": "val"},
    )  # fmt: skip
    for start in rows.STARTS:
        for loss in rows.CELL_LOSSES:
            changed, longer = photographs.changed(rows.cells(start, loss), training=losses[loss]), rows.LONGER * steps
            if start == "random":
                yield changed
                yield changed.changed(rows.longer(changed.name), training={"iterations": longer})
            else:
                yield replace(changed, backbone=CLASSIFIER)
