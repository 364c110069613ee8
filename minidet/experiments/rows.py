"""The rows of each table: the values that are varied, and the name of each experiment."""

from __future__ import annotations

from typing import Any, NamedTuple

from minidet.experiments import published as paper
from minidet.experiments.experiment import Experiment

ALPHAS = tuple(paper.TABLE_1A)
"""alpha of Table 1a."""
GAMMAS = tuple(paper.TABLE_1B)
"""(gamma, alpha) of Table 1b."""
MORE_ALPHAS = (0.5, 0.75)
"""alpha at gamma = 2 beside the best one, .25 (section 5.1)."""
ANCHORS = tuple(paper.TABLE_1C)
"""(scales, aspect ratios) of Table 1c."""
RATIOS = {1: (1.0,), 3: (0.5, 1.0, 2.0)}
"""The aspect ratios by their number."""
OHEM_BATCH = {128: 16, 256: 32, 512: 64}
"""The paper's batch size of OHEM, chosen from about 100,000 anchors, and ours, chosen from 4,725."""
STAR_GAMMAS = (1.0, 2.0, 4.0)
"""gamma of FL* in the grid of Figure 7."""
STAR_BETAS = (-1.0, 0.0, 1.0, 2.0)
"""beta of FL* in the grid of Figure 7."""
PRIORS = (0.5, 0.1, 0.01, 0.001)
"""pi of the initialisation (section 5.1)."""
ADAMW_PRIORS = (0.5, 0.01)
"""pi of the initialisation, under AdamW."""
ADAMW: dict[str, Any] = {"optimizer": "adamw", "learning_rate": 1e-3, "gradient_clip": 10.0}
"""Another optimizer, for cross entropy without the prior."""
HINGE_MARGINS = (0.5, 0.9)
"""p_t above which the hinge loss is 0."""
OBJECTS = (16, 8, 4, 2, 1)
"""Objects per image, from many to one: the imbalance."""
DEPTHS = (18,)
"""Layers of the backbone, in Table 1e at small scale."""
SIDES = (128, 160, 192)
"""Pixels of the image's sides, in Table 1e at small scale."""
LONGER = 3
"""How many times as long as BASE the detectors are trained that show what more steps change."""
RATES = (0.01, 0.04)
"""Half of BASE's learning rate and twice."""
BACKGROUND_SIDES = (96, 128, 160, 224, 320)
"""Pixels of the image's sides where the background grows around one object."""
BACKGROUND_DISTRACTORS = (2, 4)
"""Fewest and most distractors there: as many as fit beside the object into the smallest image."""
MORE_BATCHES = (6, 12, 16, 24, 32, 64, 128, 256)
"""Batch sizes of OHEM, Table 1d's 16, 32 and 64 and both sides of them: 6, 12 and 24 of 4,725 are the paper's share."""
MORE_THRESHOLDS = (0.5, 0.7)
"""Their thresholds of non-maximum suppression."""
BEYOND = ((16, 0.3), (32, 0.3), (64, 0.9))
"""Batch sizes of OHEM and thresholds on both sides of these, each beyond the better of the two."""
TUNED_GAMMAS = (1.0, 2.0, 3.0)
"""gamma of the focal loss, tuned as OHEM is."""
TUNED_ALPHAS = (0.1, 0.25, 0.5)
"""alpha of the focal loss, tuned as OHEM is."""
DISTRACTORS = ((0, 0), (6, 12), (30, 40))
"""Fewest and most distractors per image: hard negatives."""
MANY_BATCHES = (128, 256)
"""Batch sizes of OHEM that are tried among the most of them, beside 32."""
PLATEAU = 10
"""How many times as long as BASE those are trained of which the curves have to flatten."""
MINING: dict[str, dict[str, Any]] = {
    "hardness=sum": {"loss.ohem_hardness": "sum"},
    "suppresses=predictions": {"loss.ohem_suppresses": "predictions"},
    "box-loss=chosen": {"loss.ohem_box_loss": "chosen"},
    "divisor=batch": {"loss.ohem_divisor": "batch"},
}
MINING["all"] = {name: value for changes in MINING.values() for name, value in changes.items()}
MINING["divisor=batch,rate=0.06"] = {"loss.ohem_divisor": "batch", "learning_rate": 0.06}
"""What the paper leaves open about OHEM, decided otherwise."""
MORE_DEPTHS = (18, 34, 50)
"""Layers of backbones that learnt to classify."""
MORE_SIDES = (128, 192)
"""Pixels of the image's sides with anchors in proportion."""

STARTS = ("random", "classifier")
"""Whose weights photographs are learnt from."""
CELL_BATCHES = {"ohem": 64, "ohem-256": 256}
"""Batch sizes of OHEM on photographs, where about 130 anchors of an image are positive."""
CELL_LOSSES = ("focal", "balanced", "ce", *CELL_BATCHES)
"""Losses that are compared on photographs."""

FL = "1b/gamma=2"
"""The paper's choice, gamma = 2 and alpha = .25, which most tables hold."""


def ce(alpha: float) -> str:
    """Name of cross entropy with this alpha (Table 1a)."""
    return f"1a/alpha={alpha:g}"


def fl(gamma: float) -> str:
    """Name of the focal loss with this gamma and its alpha of Table 1b."""
    return f"1b/gamma={gamma:g}"


def fl_alpha(alpha: float) -> str:
    """Name of the focal loss with gamma = 2 and this alpha."""
    return FL if alpha == 0.25 else f"{FL},alpha={alpha:g}"


def anchors(scales: int, ratios: int) -> str:
    """Name of a row of Table 1c."""
    return f"1c/scales={scales},ratios={ratios}"


def ohem(loss: str, batch: int, threshold: float) -> str:
    """Name of a row of Table 1d; ``batch`` is the paper's, the name has ours."""
    return f"1d/{loss.replace('_', '-')}-{OHEM_BATCH[batch]}-{threshold:g}"


def star(gamma: float, beta: float) -> str:
    """Name of FL* with these parameters: a row of Table 3, or of the rest of Figure 7's grid."""
    return f"{3 if (gamma, beta) in paper.FIGURE5_STARS else 7}/gamma={gamma:g},beta={beta:g}"


def prior(loss: str, pi: float) -> str:
    """Name of "ce", "ce-adamw" or "fl" with this pi."""
    return f"pi/{loss}-{pi:g}"


def hinge(margin: float) -> str:
    """Name of the hinge loss with this margin."""
    return f"hinge/margin={margin:g}"


def crowd(objects: int, loss: str) -> str:
    """Name of "focal", "ce" or "balanced" with so many objects per image."""
    return f"imbalance/objects={objects},loss={loss}"


def depth_and_side(depth: int, side: int) -> str:
    """Name of a row of Table 1e at small scale."""
    return f"1e/depth={depth},scale={side}"


def rate(name: str, learning_rate: float) -> str:
    """Name of an experiment at another learning rate."""
    return f"lr/{name},{learning_rate:g}"


def longer(name: str) -> str:
    """Name of an experiment with LONGER times as many steps."""
    return f"longer/{name}"


def background(side: int, loss: str) -> str:
    """Name of "focal", "ce", "balanced" or "ohem" with one object in an image of this side."""
    return f"background/side={side},loss={loss}"


def more_ohem(batch: int, threshold: float) -> str:
    """Name of OHEM with this batch size of ours."""
    return f"ohem/batch={batch},nms={threshold:g}"


def tuned(gamma: float, alpha: float) -> str:
    """Name of the focal loss with this gamma and alpha."""
    return f"tuned/gamma={gamma:g},alpha={alpha:g}"


def distractors(few: int, many: int, loss: str) -> str:
    """Name of "focal", "ohem", "ohem-128", "ohem-256" or "ce" with so many distractors per image."""
    return f"distractors/{few}-{many},loss={loss}"


def flattened(base: Experiment) -> dict[str, Any]:
    """PLATEAU times as many steps as ``base``, measured at every sixth of them."""
    steps = PLATEAU * base.training.iterations
    return {"iterations": steps, "evaluate_every": max(1, steps // 6)}


def plateau(name: str) -> str:
    """Name of an experiment with PLATEAU times as many steps."""
    return f"plateau/{name}"


def mining(what: str) -> str:
    """Name of OHEM with one of MINING."""
    return f"mining/{what}"


def classified(name: str) -> str:
    """Name of an experiment on the backbone of a classifier."""
    return f"classifier/{name}"


def design(what: str) -> str:
    """Name of the focal loss with another design."""
    return f"design/{what}"


def cells(start: str, loss: str) -> str:
    """Name of one of CELL_LOSSES on photographs of blood cells, from one of STARTS."""
    return f"cells/start={start},loss={loss}"


class Rivals(NamedTuple):
    """The focal loss and what it is compared with, one of each kind, by name of the experiment."""

    focal: str
    cross_entropy: str
    ohem: str
    star: str


RIVALS = Rivals(FL, ce(0.75), ohem("ohem", 256, 0.5), star(2, 1))
"""The experiments that are also run at other learning rates, and for longer."""
TUNED = tuple(tuned(gamma, alpha) for gamma in TUNED_GAMMAS for alpha in TUNED_ALPHAS)
"""The focal loss in every setting that was tried to tune it."""
PLATEAU_OHEM = ohem("ohem", 512, 0.7), ohem("ohem", 256, 0.5), ohem("ohem", 128, 0.5)
PLATEAU_CE = ce(0.9)
PLATEAU_TUNED = tuned(1.0, 0.5)
"""The other ones that are trained for PLATEAU times as many steps, beside the focal loss; the last is one of four
settings of the focal loss, of nine, that are level after BASE's steps."""
CLASSIFIED = (*RIVALS, PLATEAU_OHEM[0], PLATEAU_OHEM[2])
"""The experiments that are also run on the backbones of classifiers."""
DECIDING = (FL, PLATEAU_OHEM[0], PLATEAU_OHEM[2])
"""Those of them that are trained for PLATEAU times as many steps there too."""

ALSO = {
    "1d": (FL,), "1e-small": ("1e/*",), "2": (longer(FL),), "3": (ce(0.75), FL), "4": (longer(FL),), "7": ("3/*", FL),
    "lr": RIVALS, "longer": RIVALS, "classifier": CLASSIFIED, "design": (FL, "classifier/1b/gamma=2"),
    "background": ("longer/background/*",), "distractors": ("longer/distractors/*",), "cells": ("longer/cells/*",),
    "mining": (PLATEAU_OHEM[2], plateau(PLATEAU_OHEM[2]), "plateau/mining/*"),
}  # fmt: skip
"""Rows that a table shows and that are named after another one."""
FIRST = {
    "backbone", *map(ce, (0.1, 0.5, 0.75, 0.999)), *map(fl, (0.0, 0.5, 1.0, 2.0, 5.0)),
    ohem("ohem", 128, 0.5), ohem("ohem", 256, 0.5), ohem("ohem_1_3", 128, 0.5), star(2, 1), star(4, 0),
    prior("ce", 0.5), prior("ce", 0.01), hinge(0.5), anchors(1, 1), anchors(3, 3),
    *(crowd(objects, loss) for objects in (16, 4, 1) for loss in ("focal", "ce", "balanced")),
}  # fmt: skip
"""The rows that carry the paper's argument: all their seeds are run before anything else."""
LAST = (
    "1e", "lr", "longer", "background", "ohem", "tuned", "distractors", "plateau", "mining", "classifier", "design",
    "cells",
)  # fmt: skip
"""Tables whose rows come after all others."""


def priority(name: str) -> int:
    """When a row is run: 0 first, 1 then, 2 last."""
    return 0 if name in FIRST else 2 if name.partition("/")[0] in LAST else 1
