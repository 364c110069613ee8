"""The experiments, one function per table: what is trained, what it costs, and the AP it reached.

The paper's question at small scale: does the same thing happen? A name begins with the table or the section that it
belongs to, ``1b/gamma=2``; several names may mean one configuration (FL with gamma = 2 is a row of five tables), which
is trained once. The lists in the docstrings give the mean AP of our committed runs in percent, rounded; "=" marks a
row that is trained under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from minidet.experiments import published as paper
from minidet.experiments import questions, rows
from minidet.experiments.experiment import Experiment
from minidet.experiments.setting import BACKBONE, BASE


def table_1a(base: Experiment) -> Iterator[Experiment]:
    """Table 1a: cross entropy, the positives weighted by alpha and the negatives by 1 - alpha.

    About 100 s per run:

        1a/alpha=0.1             0     1a/alpha=0.25            7
        1a/alpha=0.5             11    1a/alpha=0.75            12
        1a/alpha=0.9             13    1a/alpha=0.99            13
        1a/alpha=0.999           9
    """
    for alpha in rows.ALPHAS:
        yield base.changed(rows.ce(alpha), training={"loss.gamma": 0.0, "loss.alpha": alpha})


def table_1b(base: Experiment) -> Iterator[Experiment]:
    """Table 1b: the focal loss, each gamma with the alpha that the paper found best for it; two more alphas.

    About 100 s per run:

        1b/gamma=0               = 1a/alpha=0.75    1b/gamma=0.1             13
        1b/gamma=0.2             13                 1b/gamma=0.5             14
        1b/gamma=1               19                 1b/gamma=2               19
        1b/gamma=5               12                 1b/gamma=2,alpha=0.5     19
        1b/gamma=2,alpha=0.75    16
    """
    for gamma, alpha in rows.GAMMAS:
        yield base.changed(rows.fl(gamma), training={"loss.gamma": gamma, "loss.alpha": alpha})
    for alpha in rows.MORE_ALPHAS:
        yield base.changed(rows.fl_alpha(alpha), training={"loss.gamma": 2.0, "loss.alpha": alpha})


def table_1c(base: Experiment) -> Iterator[Experiment]:
    """Table 1c: the focal loss, varying the scales and the aspect ratios of the anchors.

    About 100 s per run:

        1c/scales=1,ratios=1     8               1c/scales=2,ratios=1     20
        1c/scales=3,ratios=1     20              1c/scales=1,ratios=3     14
        1c/scales=2,ratios=3     18              1c/scales=3,ratios=3     = 1b/gamma=2
        1c/scales=4,ratios=3     18
    """
    for scales, ratios in rows.ANCHORS:
        sizes = [2 ** (k / scales) for k in range(scales)]
        changes = {"anchors.scales": sizes, "anchors.aspect_ratios": list(rows.RATIOS[ratios])}
        yield base.changed(rows.anchors(scales, ratios), model=changes)


def table_1d(base: Experiment) -> Iterator[Experiment]:
    """Table 1d: online hard example mining, in place of the focal loss.

    About 130 s per run; the names have our batch sizes, `rows.OHEM_BATCH` the paper's:

        1d/ohem-16-0.7           3     1d/ohem-32-0.7           19
        1d/ohem-64-0.7           21    1d/ohem-16-0.5           22
        1d/ohem-32-0.5           17    1d/ohem-64-0.5           15
        1d/ohem-1-3-16-0.5       18    1d/ohem-1-3-32-0.5       17
        1d/ohem-1-3-64-0.5       17
    """
    for loss, batch, threshold in paper.TABLE_1D:
        sampling = {
            "loss.kind": loss,
            "loss.ohem_batch_size": rows.OHEM_BATCH[batch],
            "loss.ohem_iou_threshold": threshold,
        }
        yield base.changed(rows.ohem(loss, batch, threshold), training=sampling)


def table_3_and_figure_7(base: Experiment) -> Iterator[Experiment]:
    """Table 3 and Figure 7: FL* in place of the focal loss, over a grid of gamma and beta.

    About 100 s per run:

        3/gamma=2,beta=1         20    3/gamma=4,beta=0         13
        7/gamma=1,beta=-1        3                  7/gamma=1,beta=0         = 1a/alpha=0.25
        7/gamma=1,beta=1         11                 7/gamma=1,beta=2         12
        7/gamma=2,beta=-1        18                 7/gamma=2,beta=0         21
        7/gamma=2,beta=2         17                 7/gamma=4,beta=-1        17
        7/gamma=4,beta=1         12                 7/gamma=4,beta=2         12
    """
    for gamma in rows.STAR_GAMMAS:
        for beta in rows.STAR_BETAS:
            changes: dict[str, Any] = {
                "loss.kind": "focal_star", "loss.gamma": gamma, "loss.alpha": 0.25, "loss.beta": beta
            }  # fmt: skip
            if (gamma, beta) == (1.0, 0.0):  # it is cross entropy
                changes = {"loss.gamma": 0.0, "loss.alpha": 0.25}
            yield base.changed(rows.star(gamma, beta), training=changes)


def priors(base: Experiment) -> Iterator[Experiment]:
    """Section 5.1: cross entropy and the focal loss, varying the prior pi of the initialisation.

    About 110 s per run:

        pi/ce-0.5                0               pi/ce-0.1                2
        pi/ce-0.01               10              pi/ce-0.001              12
        pi/ce-adamw-0.5          8               pi/ce-adamw-0.01         1
        pi/fl-0.5                0               pi/fl-0.1                13
        pi/fl-0.01               = 1b/gamma=2    pi/fl-0.001              14
    """
    for pi in rows.PRIORS:
        yield base.changed(rows.prior("ce", pi), model={"prior": pi}, training={"loss.kind": "cross_entropy"})
    for pi in rows.ADAMW_PRIORS:
        changes = {"loss.kind": "cross_entropy", **rows.ADAMW}
        yield base.changed(rows.prior("ce-adamw", pi), model={"prior": pi}, training=changes)
    for pi in rows.PRIORS:
        yield base.changed(rows.prior("fl", pi), model={"prior": pi})


def hinges(base: Experiment) -> Iterator[Experiment]:
    """Section 5.1: the hinge loss on p_t.

    About 110 s per run:

        hinge/margin=0.5         1        hinge/margin=0.9         3
    """
    for margin in rows.HINGE_MARGINS:
        yield base.changed(rows.hinge(margin), training={"loss.kind": "hinge", "loss.margin": margin})


def imbalance(base: Experiment) -> Iterator[Experiment]:
    """Not in the paper: the focal loss and two cross entropies, from many objects per image to one.

    About 115 s per run:

        imbalance/objects=16,loss=focal 22                   imbalance/objects=16,loss=ce 31
        imbalance/objects=16,loss=balanced 27                imbalance/objects=8,loss=focal 28
        imbalance/objects=8,loss=ce 33                       imbalance/objects=8,loss=balanced 33
        imbalance/objects=4,loss=focal 28                    imbalance/objects=4,loss=ce 22
        imbalance/objects=4,loss=balanced 30                 imbalance/objects=2,loss=focal 27
        imbalance/objects=2,loss=ce 15                       imbalance/objects=2,loss=balanced 20
        imbalance/objects=1,loss=focal = 1b/gamma=2          imbalance/objects=1,loss=ce = pi/ce-0.01
        imbalance/objects=1,loss=balanced = 1a/alpha=0.75
    """
    for objects in rows.OBJECTS:
        crowded = {"objects": [objects, objects]}
        yield base.changed(rows.crowd(objects, "focal"), both=crowded)
        yield base.changed(rows.crowd(objects, "ce"), both=crowded, training={"loss.kind": "cross_entropy"})
        balanced = {"loss.gamma": 0.0, "loss.alpha": 0.75}
        yield base.changed(rows.crowd(objects, "balanced"), both=crowded, training=balanced)


def table_1e(base: Experiment) -> Iterator[Experiment]:
    """Table 1e at small scale: the focal loss, varying the size of the image.

    About 85 s per run:

        1e/depth=18,scale=128    3     1e/depth=18,scale=160    20
        1e/depth=18,scale=192    28
    """
    for depth in rows.DEPTHS:
        for side in rows.SIDES:
            size = {"resize.shorter_side": side, "resize.longer_side": 2 * side}
            yield base.changed(rows.depth_and_side(depth, side), model={"depth": depth}, training=size)


def more_steps(base: Experiment) -> Iterator[Experiment]:
    """Not in the paper, but for Figure 4 and Table 2: the rivals, trained for three times as many steps.

    About 4 minutes per run:

        longer/1b/gamma=2        35         longer/1a/alpha=0.75     not run
        longer/1d/ohem-32-0.5    39         longer/3/gamma=2,beta=1  not run
    """
    for rival in rivals(base):
        yield rival.changed(rows.longer(rival.name), training={"iterations": rows.LONGER * base.training.iterations})


def learning_rates(base: Experiment) -> Iterator[Experiment]:
    """Not in the paper: the rivals at half and at twice the learning rate.

    About 90 s per run:

        lr/1b/gamma=2,0.01       20    lr/1b/gamma=2,0.04       19
        lr/1a/alpha=0.75,0.01    13    lr/1a/alpha=0.75,0.04    13
        lr/1d/ohem-32-0.5,0.01   21    lr/1d/ohem-32-0.5,0.04   15
        lr/3/gamma=2,beta=1,0.01 18    lr/3/gamma=2,beta=1,0.04 16
    """
    for rival in rivals(base):
        for learning_rate in rows.RATES:
            yield rival.changed(rows.rate(rival.name, learning_rate), training={"learning_rate": learning_rate})


def rivals(base: Experiment) -> Iterator[Experiment]:
    """The experiments called `rows.RIVALS`, in that order."""
    known = {experiment.name: experiment for table in (table_1a, table_1b, table_1d, table_3_and_figure_7)
             for experiment in table(base)}  # fmt: skip
    yield from (known[name] for name in rows.RIVALS)


TABLES: tuple[Callable[[Experiment], Iterator[Experiment]], ...] = (
    table_1a, table_1b, table_1c, table_1d, table_3_and_figure_7, priors, hinges, imbalance, table_1e, more_steps,
    learning_rates, *questions.TABLES,
)  # fmt: skip
"""In the order of the paper; of two names for one configuration, it is run under the first."""


def experiments(base: Experiment | None = None) -> dict[str, Experiment]:
    """Every experiment by its name, in the order of the paper; before them the backbone that they start from.

    Args:
        base: the setting that they change; None for BASE.

    Returns:
        The experiments by name.
    """
    return _changed(base) if base else dict(_usual())


@cache
def _usual() -> dict[str, Experiment]:
    """Those of BASE, which are asked for again and again and never change."""
    return _changed(BASE)


def _changed(base: Experiment) -> dict[str, Experiment]:
    """Every experiment that changes a setting."""
    found = {} if base.backbone is None else {BACKBONE.name: BACKBONE}
    return found | {experiment.name: experiment for table in TABLES for experiment in table(base)}
