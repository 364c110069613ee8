"""What stands in each table: its title, what is varied, the published numbers, and the experiment of each row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minidet.experiments import published as paper
from minidet.experiments import rows
from minidet.experiments.setting import BASE, anchors_per_image

METRICS = ("AP", "AP50", "AP75")


RIVALS = dict(zip(rows.RIVALS, ("FL, γ = 2", "CE, α = .75", "OHEM, 32, NMS .5", "FL*, γ = 2, β = 1"), strict=True))
CLASSIFIED = RIVALS | {rows.PLATEAU_OHEM[0]: "OHEM, 64, NMS .7", rows.PLATEAU_OHEM[2]: "OHEM, 16, NMS .5"}
"""What the tables call the rivals."""
_ORIGINS = "Every seed has a classifier of its own; the detector is the same for all seeds."


LOSSES = (("focal", "FL, γ = 2"), ("balanced", "CE, α = .75"), ("ce", "CE"))
"""Losses that are compared as objects become rarer, and what the tables call them."""
MINING = {"as everywhere": rows.PLATEAU_OHEM[2]} | {
    label: rows.mining(what) for what, label in {
        "hardness=sum": "ranked by both losses", "suppresses=predictions": "suppression among predicted boxes",
        "box-loss=chosen": "boxes of the chosen anchors alone", "divisor=batch": "divided by the batch",
        "divisor=batch,rate=0.06": "by the batch, at the learning rate 0.06", "all": "all four together",
    }.items()
}  # fmt: skip
"""What is decided otherwise in OHEM, and the experiment."""
BACKGROUND_LOSSES = (*LOSSES, ("ohem", CLASSIFIED[rows.PLATEAU_OHEM[0]]))
"""The same and OHEM, as the background grows."""
CELL_LOSSES = (*LOSSES, *((name, f"OHEM, {batch}, NMS .7") for name, batch in rows.CELL_BATCHES.items()))
"""The same and OHEM, on photographs."""


@dataclass(frozen=True)
class Row:
    """One row: what is varied, the published numbers if there are any, and the experiment that stands for it."""

    keys: tuple[str, ...]
    published: tuple[float, ...] | None
    """AP, AP50, AP75 in percent, or AP alone; None where the paper has no such row."""
    name: str
    """Name of the experiment."""


@dataclass(frozen=True)
class Table:
    """What is varied, and the rows."""

    title: str
    keys: tuple[str, ...]
    """Names of what is varied."""
    rows: tuple[Row, ...]
    note: str = ""
    metrics: tuple[str, ...] = METRICS
    """The columns of each row, ours and the paper's."""


def _tables() -> dict[str, Table]:
    """The tables of which each row is an experiment."""
    focal, anchors = rows.FL, anchors_per_image()
    chosen, steps = BASE.training.learning_rate, BASE.training.iterations
    tables = {
        "1a": Table("Table 1a: cross entropy, varying α", ("α",), tuple(
            Row((f"{alpha:g}",), published, rows.ce(alpha)) for alpha, published in paper.TABLE_1A.items()
        )),
        "1b": Table("Table 1b: focal loss, varying γ", ("γ", "α"), tuple(
            Row((f"{gamma:g}", f"{alpha:g}"), published, rows.fl(gamma))
            for (gamma, alpha), published in paper.TABLE_1B.items()
        ) + tuple(Row(("2", f"{alpha:g}"), None, rows.fl_alpha(alpha)) for alpha in rows.MORE_ALPHAS)),
        "1c": Table("Table 1c: scales and aspect ratios of the anchors", ("scales", "ratios"), tuple(
            Row((str(scales), str(ratios)), published, rows.anchors(scales, ratios))
            for (scales, ratios), published in paper.TABLE_1C.items()
        )),
        "1d": Table(
            "Table 1d: focal loss against online hard example mining", ("method", "batch", "our batch", "NMS"),
            tuple(
                Row(
                    ({"ohem": "OHEM", "ohem_1_3": "OHEM 1:3"}[loss], str(batch), str(rows.OHEM_BATCH[batch]),
                     f"{threshold:g}"),
                    published, rows.ohem(loss, batch, threshold),
                )
                for (loss, batch, threshold), published in paper.TABLE_1D.items()
            ) + (Row(("FL", "", "", ""), paper.TABLE_1D_FOCAL, focal),),
            f"The paper chooses from about 100,000 anchors, ours from {anchors:,}; its network had 101 layers. OHEM "
            "1:3 with our batches of 32 and of 64 is one training: an image has too few positives to fill either.",
        ),
        "3": Table("Table 3: FL* in the place of FL", ("loss", "γ", "β"), tuple(
            Row(
                (loss, "" if gamma is None else f"{gamma:g}", "" if beta is None else f"{beta:g}"), published,
                rows.ce(0.75) if gamma is None else focal if beta is None else rows.star(gamma, beta),
            )
            for (loss, gamma, beta), published in paper.TABLE_3.items()
        )),
        "7": Table("Figure 7: FL* over a grid", ("γ", "β"), tuple(
            Row((f"{gamma:g}", f"{beta:g}"), None, rows.star(gamma, beta))
            for gamma in rows.STAR_GAMMAS for beta in rows.STAR_BETAS
        )),
        "pi": Table("Section 5.1: the prior π of the initialisation", ("loss", "optimizer", "π"), tuple(
            Row((loss, optimizer, f"{pi:g}"), (paper.CE_WITH_PRIOR,) if (key, pi) == ("ce", 0.01) else None,
                rows.prior(key, pi))
            for loss, optimizer, key, priors in (
                ("CE", "SGD", "ce", rows.PRIORS), ("CE", "AdamW", "ce-adamw", (0.5, 0.01)),
                ("FL", "SGD", "fl", rows.PRIORS),
            )
            for pi in priors
        ), "The paper reports that CE without the prior (π = .5) diverged."),
        "hinge": Table("Section 5.1: hinge loss", ("margin",), tuple(
            Row((f"{margin:g}",), None, rows.hinge(margin)) for margin in rows.HINGE_MARGINS
        ), "The paper reports that it was unstable and gave no meaningful results."),
        "imbalance": Table("Our own: from many objects per image to one", ("objects", "loss"), tuple(
            Row((str(objects), label), None, rows.crowd(objects, loss))
            for objects in rows.OBJECTS
            for loss, label in LOSSES
        )),
        "1e-small": Table("Table 1e at small scale: depth and size of the image", ("depth", "scale"), tuple(
            Row((str(depth), str(side)), None, rows.depth_and_side(depth, side))
            for depth in rows.DEPTHS for side in rows.SIDES
        ), "A quarter-width network. An image of another size is enlarged or reduced before it is looked at."),
        "lr": Table("Our own: other learning rates", ("loss", "learning rate"), tuple(
            Row((RIVALS[name], f"{rate:g}"), None, name if rate == chosen else rows.rate(name, rate))
            for name in rows.RIVALS for rate in sorted({chosen, *rows.RATES})
        ), f"{chosen:g} was chosen before anything was compared, and is used for all."),
        "longer": Table(f"Our own: {rows.LONGER} times as many steps", ("loss", "steps"), tuple(
            Row((RIVALS[name], f"{steps * factor:,}"), None, rows.longer(name) if factor > 1 else name)
            for name in rows.RIVALS for factor in (1, rows.LONGER)
        )),
        "background": Table("Our own: more and more background around one object", ("side", "loss"), tuple(
            Row((str(side), label), None, rows.background(side, loss))
            for side in rows.BACKGROUND_SIDES for loss, label in BACKGROUND_LOSSES
        ) + tuple(
            Row((str(rows.BACKGROUND_SIDES[-1]), f"{label}, {rows.LONGER} times as many steps"), None,
                rows.longer(rows.background(rows.BACKGROUND_SIDES[-1], loss)))
            for loss, label in (BACKGROUND_LOSSES[0], BACKGROUND_LOSSES[-1])
        ), "Every row sees equally many images, objects and distractors."),
        "ohem": Table("Our own: OHEM with fewer and with more anchors", ("our batch", "NMS"), tuple(
            Row((str(batch), f"{threshold:g}"), None, rows.more_ohem(batch, threshold))
            for batch, threshold in (
                *((batch, threshold) for batch in rows.MORE_BATCHES for threshold in rows.MORE_THRESHOLDS), *rows.BEYOND
            )
        ), f"6, 12 and 24 of {anchors:,} are the paper's shares of its anchors."),
        "tuned": Table("Our own: the focal loss tuned as OHEM is", ("γ", "α"), tuple(
            Row((f"{gamma:g}", f"{alpha:g}"), None, rows.tuned(gamma, alpha))
            for gamma in rows.TUNED_GAMMAS for alpha in rows.TUNED_ALPHAS
        )),
        "distractors": Table("Our own: no, some and many hard negatives", ("distractors", "loss"), tuple(
            Row((f"{few} to {many}" if many else "none", label), None, rows.distractors(few, many, loss))
            for few, many in rows.DISTRACTORS
            for loss, label in (("focal", "FL, γ = 2"), ("ohem", "OHEM, 32, NMS .5"), ("ce", "CE, α = .75"))
        ) + tuple(
            Row(("{} to {}".format(*rows.DISTRACTORS[-1]), f"OHEM, {batch}, NMS .5"), None,
                rows.distractors(*rows.DISTRACTORS[-1], f"ohem-{batch}"))
            for batch in rows.MANY_BATCHES
        ) + tuple(
            Row(("{} to {}".format(*rows.DISTRACTORS[-1]), f"{label}, {rows.LONGER} times as many steps"), None,
                rows.longer(rows.distractors(*rows.DISTRACTORS[-1], loss)))
            for loss, label in (("focal", "FL, γ = 2"), ("ohem", "OHEM, 32, NMS .5"))
        ), "Of 30 to 40 distractors about 22 find a place, and then 7 % of the images lack their object too."),
        "plateau": Table(f"Our own: {rows.PLATEAU} times as many steps", ("loss", "backbone"), tuple(
            Row((label, "of a detector"), None, rows.plateau(name))
            for name, label in (*((name, CLASSIFIED[name]) for name in (rows.FL, *rows.PLATEAU_OHEM)),
                                (rows.PLATEAU_CE, "CE, α = .9"), (rows.PLATEAU_TUNED, "FL, γ = 1, α = .5"))
        ) + tuple(
            Row((CLASSIFIED[name], "of a classifier"), None, rows.plateau(rows.classified(name)))
            for name in rows.DECIDING
        ), _ORIGINS),
        "mining": Table("Our own: what the paper leaves open about OHEM", ("what", "steps"), tuple(
            Row((what, f"{factor * steps:,}"), None, rows.plateau(name) if factor > 1 else name)
            for factor in (1, rows.PLATEAU) for what, name in MINING.items()
        ), f"{CLASSIFIED[rows.PLATEAU_OHEM[2]]}, its best setting after {steps:,} steps. Of an image's anchors about 6 "
           "are assigned, and 16 are the batch."),
        "classifier": Table("Our own: backbones that learnt to classify", ("loss", "backbone"), tuple(
            Row((CLASSIFIED[name], kind), None, named)
            for name in rows.CLASSIFIED
            for kind, named in (("of a detector", name), ("of a classifier", rows.classified(name)))
        ), _ORIGINS),
        "design": Table("Sections 3 to 5: the design", ("what",), (
            Row(("as everywhere",), None, focal),
            Row(("without α",), None, rows.design("alpha=none")),
            Row(("one convolution in the subnets",), None, rows.design("head-convs=1")),
            Row(("all anchors on the last level",), None, rows.design("last-layer-alone")),
            Row(("jitter, 1.5 times as many steps",), None, rows.design("jitter")),
            *(Row((f"{depth} layers, of a classifier",), None, rows.design(f"depth={depth}"))
              for depth in rows.MORE_DEPTHS),
            *(Row((f"{side} pixels, anchors in proportion",), None, rows.design(f"side={side}"))
              for side in rows.MORE_SIDES),
        )),
        "cells": Table("Our own: photographs of blood cells", ("weights at the start", "loss"), tuple(
            Row((start, label), None, rows.cells(start, loss))
            for start in rows.STARTS
            for loss, label in CELL_LOSSES
        ) + tuple(
            Row(("random", f"{label}, {rows.LONGER} times as many steps"), None,
                rows.longer(rows.cells("random", loss)))
            for loss, label in CELL_LOSSES
        ), "205 photographs of BCCD to learn from, seen twelve times each, and 87 to measure on: about thirteen cells "
           "in each. The classifier has learnt shapes; every seed has its own."),
    }  # fmt: skip
    return tables


TABLES: Mapping[str, Table] = _tables()
"""The tables of which each row is an experiment; 1e and 2 are made otherwise."""
