"""What the runs say about those claims that take more than one comparison, and what was found out about them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from minidet.experiments import imbalance, rows
from minidet.experiments import published as paper
from minidet.experiments.results import Results
from minidet.experiments.verdicts import (
    Finding,
    about_as_good,
    at_least,
    best,
    better,
    every,
    missing,
    several,
)  # fmt: skip
from minidet.reference import focal_loss_star

CE_ALPHAS = tuple(map(rows.ce, rows.ALPHAS))
"""Cross entropy with every alpha (Table 1a)."""
OHEM = tuple(rows.ohem(*row) for row in paper.TABLE_1D)
"""OHEM with every setting (Table 1d)."""
STARS = tuple(rows.star(gamma, beta) for gamma in rows.STAR_GAMMAS for beta in rows.STAR_BETAS)
"""FL* with every setting (Figure 7)."""
SEVERAL = 3
"""Settings of a grid that make several."""
WELL_CLASSIFIED = 2.0
"""x_t of a well-classified example: p_t = .88."""


def better_than_all(results: Results, name: str, rivals: Iterable[str]) -> Finding:
    """Is an experiment better than each of several that work? The text shows the best one and the least clear one."""
    found = {rival: better(results, name, rival) for rival in rivals}
    lacking = [absent for finding in found.values() for absent in finding.missing]
    works = {rival: finding for rival, finding in found.items() if not finding.settled}
    if lacking or not works:
        return missing(*lacking) if lacking else next(iter(found.values()))
    whole, closest = every(works.values()), works[best(results, works)]
    numbers = f"the best of {len(found)}: {closest.numbers}"
    if closest.support < whole.support:
        numbers += f"; the least clear: {max(works.values(), key=lambda one: one.support).numbers}"
    return Finding(numbers, whole.support, whole.against)


def every_gamma(results: Results) -> Finding:
    """Is the focal loss better than the best cross entropy with each gamma?"""
    ce = best(results, CE_ALPHAS)
    return every(better(results, rows.fl(gamma), ce) for gamma in (0.5, 1.0, 2.0, 5.0))


def rising_gamma(results: Results) -> Finding:
    """Is each gamma up to 2 better than the one before it?"""
    gammas = [gamma for gamma, _ in rows.GAMMAS if gamma <= 2]
    return every(better(results, rows.fl(high), rows.fl(low)) for low, high in pairwise(gammas))


def small_ohem_batches(results: Results) -> Finding:
    """Are small batches better than large ones, with an NMS threshold of .5?"""
    return every(
        better(results, rows.ohem(loss, 128, 0.5), rows.ohem(loss, 512, 0.5)) for loss in ("ohem", "ohem_1_3")
    )  # fmt: skip


def ohem_thresholds(results: Results) -> Finding:
    """Is an NMS threshold of .5 better for the small batch, and one of .7 for the middle one?"""
    return every([
        better(results, rows.ohem("ohem", 128, 0.5), rows.ohem("ohem", 128, 0.7)),
        better(results, rows.ohem("ohem", 256, 0.7), rows.ohem("ohem", 256, 0.5)),
    ])  # fmt: skip


def no_ratio(results: Results) -> Finding:
    """Is OHEM better without the ratio of 1:3, with each batch size?"""
    return every(
        better(results, rows.ohem("ohem", batch, 0.5), rows.ohem("ohem_1_3", batch, 0.5)) for batch in rows.OHEM_BATCH
    )  # fmt: skip


def saturation(results: Results) -> Finding:
    """Are six anchors per cell as good as nine, and twelve no better?"""
    return every([
        about_as_good(results, rows.anchors(2, 3), rows.FL, above=math.inf),
        about_as_good(results, rows.anchors(4, 3), rows.FL, below=math.inf),
    ])  # fmt: skip


def one_anchor(results: Results) -> Finding:
    """Does one square anchor per cell reach most of the AP of nine?"""
    return at_least(results, rows.anchors(1, 1), rows.FL, 0.8)


def reached_objects(_: Results) -> str:
    """How many objects one anchor per cell can find at all."""
    one, nine = imbalance.reached(rows.anchors(1, 1)), imbalance.reached(rows.FL)
    return (
        f"with one square anchor {one:.0%} of our objects have an anchor of IoU 0.5 or more and can be learnt at all, "
        f"with nine {nine:.0%}"
    )


def otherwise(results: Results, rival: str, family: Iterable[str]) -> str:
    """What becomes of the focal loss and of a rival at other learning rates and after more steps, and of their recall.

    Args:
        results: the runs.
        rival: name of the experiment that stands for its kind.
        family: the rival with other parameters; the best of them is named.

    Returns:
        Sentences without the full stop; empty where nothing was run.
    """
    rates = {rate: (rows.rate(rows.FL, rate), rows.rate(rival, rate)) for rate in rows.RATES}
    pairs = {f"at the learning rate {rate:g}": pair for rate, pair in rates.items()}
    pairs[f"after {rows.LONGER} times as many steps"] = (rows.longer(rows.FL), rows.longer(rival))
    at_plateau = f"after {rows.PLATEAU} times as many steps"
    pairs[at_plateau] = (rows.plateau(rows.FL), rows.plateau(rival))
    for few, many in rows.DISTRACTORS if rival == rows.RIVALS.ohem else ():
        names = rows.distractors(few, many, "focal"), rows.distractors(few, many, "ohem")
        pairs[f"with {few} to {many} distractors" if many else "without distractors"] = names
    pairs["on the backbones of classifiers"] = (rows.classified(rows.FL), rows.classified(rival))
    called = dict.fromkeys(pairs, rival)
    if rival == rows.RIVALS.ohem:
        what = f"there, {at_plateau}"
        pairs[what] = (rows.plateau(rows.classified(rows.DECIDING[0])), rows.plateau(rows.classified(rows.DECIDING[1])))
        called[what] = rows.DECIDING[1]
    told = []
    for what, names in pairs.items():
        scores = [results.score(name) if name in results.known else None for name in names]
        if all(scores):
            told.append(f"{what}: FL {scores[0]}, {called[what]} {scores[1]}")
    first = best(results, family)
    if results.score(first):
        for metric in ("AR1", "AR100"):
            of_both = results.score(rows.FL, metric), results.score(first, metric)
            told.append(f"the best of its kind, {metric}: FL {of_both[0]}, {first} {of_both[1]}")
        known = [name for name in (rows.FL, rows.PLATEAU_TUNED, first) if rows.plateau(name) in results.known]
        late = {name: results.score(rows.plateau(name)) for name in known}
        if first != rival and late.get(first):
            told.append(f"{at_plateau}: " + ", ".join(f"{name} {score}" for name, score in late.items() if score))
    return "; ".join(told)


def every_prior(results: Results) -> Finding:
    """Are pi = .1 and pi = .001 about as good as pi = .01, for cross entropy and for the focal loss?"""
    return every(
        about_as_good(results, rows.prior(loss, pi), rows.prior(loss, 0.01))
        for loss in ("ce", "fl") for pi in (0.1, 0.001)
    )  # fmt: skip


def star_weight(gamma: float, beta: float, x_t: float = WELL_CLASSIFIED) -> float:
    """FL* of a well-classified example as a fraction of its loss at x_t = 0.

    Args:
        gamma: gamma of FL*.
        beta: beta of FL*.
        x_t: logit of the truth.

    Returns:
        The fraction, above 0.
    """
    easy, even = focal_loss_star(np.array([x_t, 0.0]), np.ones(2), gamma, beta, None)
    return float(easy / even)


def effective(results: Results) -> dict[tuple[float, float], bool | None]:
    """Which settings of FL* are effective by Figure 7's rule: an AP at most half a point below FL's.

    Args:
        results: the runs.

    Returns:
        By (gamma, beta): whether it is effective; None where a run is missing.
    """
    focal = results.score(rows.FL)
    table: dict[tuple[float, float], bool | None] = {}
    for gamma in rows.STAR_GAMMAS:
        for beta in rows.STAR_BETAS:
            score = results.score(rows.star(gamma, beta))
            known = focal is not None and score is not None
            table[gamma, beta] = score.mean > focal.mean - paper.EFFECTIVE_BELOW_FOCAL if known else None  # type: ignore[union-attr]
    return table


def various_effective(results: Results) -> Finding:
    """Are at least three settings of Figure 7's grid effective?"""
    table = effective(results)
    if None in table.values():
        return missing("7")
    whole = several(
        (
            about_as_good(results, rows.star(*setting), rows.FL, below=paper.EFFECTIVE_BELOW_FOCAL, above=math.inf)
            for setting in table
        ),
        SEVERAL,
    )
    if whole.settled:
        return whole
    good = sum(bool(value) for value in table.values())
    seeds = min(len(results.of(rows.star(*setting))) for setting in table)
    numbers = f"{good} of {len(table)} settings are effective by their means (the fewest seeds of one: {seeds})"
    return Finding(numbers, whole.support, whole.against)


def any_alpha(results: Results) -> Finding:
    """Is the focal loss with gamma = 2 better than the best cross entropy, whichever alpha from .25 to .75 it has?"""
    ce = best(results, CE_ALPHAS)
    return every(better(results, rows.fl_alpha(alpha), ce) for alpha in (0.25, *rows.MORE_ALPHAS))


def deeper(results: Results) -> Finding:
    """Is each depth better than the one before it, on backbones that learnt to classify?"""
    return every(
        better(results, rows.design(f"depth={high}"), rows.design(f"depth={low}"))
        for low, high in pairwise(rows.MORE_DEPTHS)
    )


def larger(results: Results) -> Finding:
    """Is each size of the image better than the one before it, with anchors in proportion?"""
    names = [rows.design(f"side={rows.MORE_SIDES[0]}"), rows.FL, rows.design(f"side={rows.MORE_SIDES[1]}")]
    return every(better(results, high, low) for low, high in pairwise(names))


def lighter_is_effective(results: Results) -> Finding:
    """Is each setting of FL* effective that gives well-classified examples less weight than cross entropy?"""
    table = effective(results)
    if None in table.values():
        return missing("7")
    lighter = [setting for setting in table if star_weight(*setting) < star_weight(1.0, 0.0)]
    whole = every(
        about_as_good(results, rows.star(*setting), rows.FL, below=paper.EFFECTIVE_BELOW_FOCAL, above=math.inf)
        for setting in lighter
    )
    if whole.settled:
        return whole
    good = [setting for setting in lighter if table[setting]]
    seeds = min(len(results.of(rows.star(*setting))) for setting in lighter)
    numbers = (
        f"{len(lighter)} of {len(table)} settings have less weight than CE on well-classified examples, "
        f"{len(good)} of these are effective (the fewest seeds of one: {seeds})"
    )
    return Finding(numbers, whole.support, whole.against)
