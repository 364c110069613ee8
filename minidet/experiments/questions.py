"""Experiments that answer what the paper's tables leave open at small scale, one function per question.

They are defined so that one command runs each: ``minidet experiments run background ohem tuned distractors plateau
mining classifier design cells``. The lists in the docstrings are as those in `definitions`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from minidet.experiments import rows
from minidet.experiments.cells import cells
from minidet.experiments.experiment import Experiment
from minidet.experiments.mining import mining
from minidet.experiments.setting import CLASSIFIER


def background(base: Experiment) -> Iterator[Experiment]:
    """Imbalance at constant supervision: one object per image, and more and more background around it.

    Every image has one object and 2 to 4 distractors of the same sizes whatever its side, and all rows see equally many
    images, so that the number of anchors on the background alone changes. About 150 s per run:

        background/side=96,loss=focal     22    background/side=96,loss=ce        13
        background/side=96,loss=balanced  16    background/side=128,loss=focal    29
        background/side=128,loss=ce       15    background/side=128,loss=balanced 18
        background/side=160,loss=focal    34    background/side=160,loss=ce       12
        background/side=160,loss=balanced 17    background/side=224,loss=focal    31
        background/side=224,loss=ce       10    background/side=224,loss=balanced 9
        background/side=320,loss=focal    16    background/side=320,loss=ce       7
        background/side=320,loss=balanced 9

    OHEM, which chooses as many anchors of however many there are:

        background/side=96,loss=ohem      22         background/side=128,loss=ohem     32
        background/side=160,loss=ohem     37         background/side=224,loss=ohem     45
        background/side=320,loss=ohem     40

    Three times as many steps, for those that are far apart:

        longer/background/side=320,loss=focal  58         longer/background/side=320,loss=ohem  68
    """
    losses: dict[str, dict[str, Any]] = {
        "focal": {}, "ce": {"loss.kind": "cross_entropy"}, "balanced": {"loss.gamma": 0.0, "loss.alpha": 0.75},
        "ohem": {"loss.kind": "ohem", "loss.ohem_batch_size": 64, "loss.ohem_iou_threshold": 0.7},
    }  # fmt: skip
    for side in rows.BACKGROUND_SIDES:
        size = {"resize.shorter_side": side, "resize.longer_side": side}
        images = {"image_size": [side, side], "distractors": list(rows.BACKGROUND_DISTRACTORS)}
        for loss, changes in losses.items():
            name, training = rows.background(side, loss), {**size, **changes}
            yield base.changed(name, both=images, training=training)
            if side == rows.BACKGROUND_SIDES[-1] and loss in ("focal", "ohem"):
                steps = {"iterations": rows.LONGER * base.training.iterations}
                yield base.changed(rows.longer(name), both=images, training=training | steps)


def bracketed_ohem(base: Experiment) -> Iterator[Experiment]:
    """OHEM with fewer and with more anchors than the 16, 32 and 64 of Table 1d: 6, 12 and 24 are the paper's shares.

    About 140 s per run:

        ohem/batch=6,nms=0.5    6          ohem/batch=6,nms=0.7    1
        ohem/batch=12,nms=0.5   18         ohem/batch=12,nms=0.7   2
        ohem/batch=16,nms=0.5   = 1d/ohem-16-0.5    ohem/batch=16,nms=0.7   = 1d/ohem-16-0.7
        ohem/batch=24,nms=0.5   20         ohem/batch=24,nms=0.7   16
        ohem/batch=32,nms=0.5   = 1d/ohem-32-0.5    ohem/batch=32,nms=0.7   = 1d/ohem-32-0.7
        ohem/batch=64,nms=0.5   = 1d/ohem-64-0.5    ohem/batch=64,nms=0.7   = 1d/ohem-64-0.7
        ohem/batch=128,nms=0.5  17         ohem/batch=128,nms=0.7  17
        ohem/batch=256,nms=0.5  12         ohem/batch=256,nms=0.7  15

    Other thresholds of suppression:

        ohem/batch=16,nms=0.3   12         ohem/batch=32,nms=0.3   7
        ohem/batch=64,nms=0.9   22
    """
    grid = [(batch, threshold) for batch in rows.MORE_BATCHES for threshold in rows.MORE_THRESHOLDS]
    for batch, threshold in (*grid, *rows.BEYOND):
        sampling = {"loss.kind": "ohem", "loss.ohem_batch_size": batch, "loss.ohem_iou_threshold": threshold}
        yield base.changed(rows.more_ohem(batch, threshold), training=sampling)


def tuned_focal(base: Experiment) -> Iterator[Experiment]:
    """The focal loss tuned as OHEM is: each gamma with several alphas.

    About 100 s per run:

        tuned/gamma=1,alpha=0.1    14                tuned/gamma=1,alpha=0.25   = 1b/gamma=1
        tuned/gamma=1,alpha=0.5    19                tuned/gamma=2,alpha=0.1    18
        tuned/gamma=2,alpha=0.25   = 1b/gamma=2      tuned/gamma=2,alpha=0.5    = 1b/gamma=2,alpha=0.5
        tuned/gamma=3,alpha=0.1    16                tuned/gamma=3,alpha=0.25   17
        tuned/gamma=3,alpha=0.5    17
    """
    for gamma in rows.TUNED_GAMMAS:
        for alpha in rows.TUNED_ALPHAS:
            yield base.changed(rows.tuned(gamma, alpha), training={"loss.gamma": gamma, "loss.alpha": alpha})


def hard_negatives(base: Experiment) -> Iterator[Experiment]:
    """No, some and many distractors: OHEM learns from a fixed number of hard negatives, the focal loss from all.

    About 150 s per run:

        distractors/0-0,loss=focal   34              distractors/0-0,loss=ohem   61
        distractors/0-0,loss=ce   22                 distractors/6-12,loss=focal   = 1b/gamma=2
        distractors/6-12,loss=ohem   = 1d/ohem-32-0.5    distractors/6-12,loss=ce   = 1a/alpha=0.75
        distractors/30-40,loss=focal   10            distractors/30-40,loss=ohem   0
        distractors/30-40,loss=ce   3

    With many, does OHEM have too few anchors?

        distractors/30-40,loss=ohem-128 0
        distractors/30-40,loss=ohem-256 0

    Or does it only start later? Three times as many steps:

        longer/distractors/30-40,loss=focal 13
        longer/distractors/30-40,loss=ohem  0
    """
    losses: dict[str, dict[str, Any]] = {
        "focal": {}, "ohem": {"loss.kind": "ohem", "loss.ohem_batch_size": 32, "loss.ohem_iou_threshold": 0.5},
        "ce": {"loss.gamma": 0.0, "loss.alpha": 0.75},
    }  # fmt: skip
    larger = {f"ohem-{batch}": {**losses["ohem"], "loss.ohem_batch_size": batch} for batch in rows.MANY_BATCHES}
    for few, many in rows.DISTRACTORS:
        for loss, changes in (losses | larger if (few, many) == rows.DISTRACTORS[-1] else losses).items():
            images, name = {"distractors": [few, many]}, rows.distractors(few, many, loss)
            yield base.changed(name, both=images, training=changes)
            if (few, many) == rows.DISTRACTORS[-1] and loss in ("focal", "ohem"):
                steps = {"iterations": rows.LONGER * base.training.iterations}
                yield base.changed(rows.longer(name), both=images, training=changes | steps)


def plateau(base: Experiment) -> Iterator[Experiment]:
    """Ten times as many steps, measured at every sixth of them: does AP still rise at the end?

    About 12 minutes per run:

        plateau/1b/gamma=2         51         plateau/1d/ohem-32-0.5     51
        plateau/1d/ohem-64-0.7     51         plateau/1d/ohem-16-0.5     53
        plateau/1a/alpha=0.9       46         plateau/tuned/gamma=1,alpha=0.5   53
    """
    sampled: dict[str, Any] = {"loss.kind": "ohem"}
    losses: dict[str, dict[str, Any]] = {
        rows.FL: {},
        rows.ohem("ohem", 256, 0.5): {**sampled, "loss.ohem_batch_size": 32, "loss.ohem_iou_threshold": 0.5},
        rows.ohem("ohem", 512, 0.7): {**sampled, "loss.ohem_batch_size": 64, "loss.ohem_iou_threshold": 0.7},
        rows.ohem("ohem", 128, 0.5): {**sampled, "loss.ohem_batch_size": 16, "loss.ohem_iou_threshold": 0.5},
        rows.ce(0.9): {"loss.gamma": 0.0, "loss.alpha": 0.9},
        rows.PLATEAU_TUNED: {"loss.gamma": 1.0, "loss.alpha": 0.5},
    }
    for name, changes in losses.items():
        yield base.changed(rows.plateau(name), training={**rows.flattened(base), **changes})


def classified(base: Experiment) -> Iterator[Experiment]:
    """The rivals on backbones that learnt to classify single shapes, of which every seed has its own.

    About 100 s per run, and 2 minutes per seed for the backbone:

        classifier/1b/gamma=2      3    classifier/1a/alpha=0.75        3
        classifier/1d/ohem-32-0.5  0    classifier/3/gamma=2,beta=1     4
        classifier/1d/ohem-64-0.7  0    classifier/1d/ohem-16-0.5       not run

    Ten times as many steps:

        plateau/classifier/1b/gamma=2      9     plateau/classifier/1d/ohem-64-0.7 10
        plateau/classifier/1d/ohem-16-0.5  13
    """
    sampled: dict[str, Any] = {"loss.kind": "ohem"}
    losses: tuple[dict[str, Any], ...] = (
        {}, {"loss.gamma": 0.0, "loss.alpha": 0.75},
        {**sampled, "loss.ohem_batch_size": 32, "loss.ohem_iou_threshold": 0.5},
        {"loss.kind": "focal_star", "loss.gamma": 2.0, "loss.alpha": 0.25, "loss.beta": 1.0},
        {**sampled, "loss.ohem_batch_size": 64, "loss.ohem_iou_threshold": 0.7},
        {**sampled, "loss.ohem_batch_size": 16, "loss.ohem_iou_threshold": 0.5},
    )  # fmt: skip
    for name, changes in zip(rows.CLASSIFIED, losses, strict=True):
        own = rows.classified(name)
        yield replace(base.changed(own, training=changes), backbone=CLASSIFIER)
        if name in rows.DECIDING:
            longer = rows.flattened(base)
            yield replace(base.changed(rows.plateau(own), training={**longer, **changes}), backbone=CLASSIFIER)


def design(base: Experiment) -> Iterator[Experiment]:
    """What the text of sections 3 to 5 says of the design, as far as the small setting can vary it.

    About 120 s per run, and 10 to 20 minutes per seed for each depth's backbone:

        design/alpha=none          17         design/head-convs=1        22
        design/last-layer-alone    0          design/jitter              23
        design/depth=18  = classifier/1b/gamma=2    design/depth=34            3
        design/depth=50            not run    design/side=128            8
        design/side=192            18
    """
    levels, sizes = base.model.anchors.levels, base.model.anchors.sizes
    yield base.changed(rows.design("alpha=none"), training={"loss.alpha": None})
    yield base.changed(rows.design("head-convs=1"), model={"head_convs": 1})
    alone = [2 ** (k / 3) for k in range(3 * len(levels))]  # all sizes and scales of the pyramid on its last level
    changes = {"anchors.levels": [levels[-1]], "anchors.sizes": [sizes[0]], "anchors.scales": alone}
    yield base.changed(rows.design("last-layer-alone"), model=changes)
    side = base.training.resize.shorter_side
    jitter = {
        "resize.longer_side": round(1.2 * side), "jitter": [round(0.8 * side), round(1.2 * side)],
        "iterations": 3 * base.training.iterations // 2,
    }  # fmt: skip
    yield base.changed(rows.design("jitter"), training=jitter)
    for depth in rows.MORE_DEPTHS:
        yield replace(base.changed(rows.design(f"depth={depth}"), model={"depth": depth}), backbone=CLASSIFIER)
    for other in rows.MORE_SIDES:  # the anchors grow with the image, so that they fit its objects equally well
        size = {"resize.shorter_side": other, "resize.longer_side": other}
        anchors = {"anchors.sizes": [size * other / side for size in sizes]}
        yield base.changed(rows.design(f"side={other}"), model=anchors, training=size)


TABLES = (background, bracketed_ohem, tuned_focal, hard_negatives, plateau, mining, classified, design, cells)
"""In the order in which they are shown."""
