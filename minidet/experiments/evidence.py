"""What the runs say about those claims that take more than one comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from minidet.experiments import imbalance, loss_shares, rows, speed
from minidet.experiments import published as paper
from minidet.experiments.results import Results, spearman
from minidet.experiments.verdicts import (
    FAILS,
    HOLDS,
    NOT_RUN,
    SEEDS,
    WEAKLY,
    Verdict,
    about_as_good,
    best,
    better,
    every,
    fails,
    missing,
)  # fmt: skip
from minidet.reference import focal_loss_star

CE_ALPHAS = tuple(map(rows.ce, rows.ALPHAS))
OHEM = tuple(rows.ohem(*row) for row in paper.TABLE_1D)
STARS = tuple(rows.star(gamma, beta) for gamma in rows.STAR_GAMMAS for beta in rows.STAR_BETAS)


def every_gamma(results: Results) -> Verdict:
    ce = best(results, CE_ALPHAS)
    return every(better(results, rows.fl(gamma), ce) for gamma in (0.5, 1.0, 2.0, 5.0))


def small_ohem_batches(results: Results) -> Verdict:
    return every(
        better(results, rows.ohem(loss, 128, 0.5), rows.ohem(loss, 512, 0.5)) for loss in ("ohem", "ohem_1_3")
    )  # fmt: skip


def saturation(results: Results) -> Verdict:
    six, twelve = rows.anchors(2, 3), rows.anchors(4, 3)
    return every([
        about_as_good(results, six, rows.FL, above=math.inf), about_as_good(results, twelve, rows.FL, below=math.inf)
    ])  # fmt: skip


def one_anchor(results: Results) -> Verdict:
    one, nine = results.score(rows.anchors(1, 1)), results.score(rows.FL)
    if one is None or nine is None:
        return missing(rows.anchors(1, 1) if one is None else rows.FL)
    share, published = (
        one.mean / max(nine.mean, 1e-9),
        paper.TABLE_1C[paper.AnchorsPerCell(1, 1)].ap / paper.TABLE_1C[paper.AnchorsPerCell(3, 3)].ap,
    )
    numbers = f"{rows.anchors(1, 1)} {one} is {share:.0%} of {rows.FL} {nine}; in the paper {published:.0%}"
    enough = min(one.n, nine.n) >= SEEDS
    why = (
        f"A look into why: with one square anchor {imbalance.reached(rows.anchors(1, 1)):.0%} of our objects have an "
        f"anchor of IoU 0.5 or more and can be learnt at all, with nine {imbalance.reached(rows.FL):.0%}"
    )
    return Verdict(FAILS if share < 0.8 else HOLDS if enough else WEAKLY, numbers + "; the threshold is 80%", why=why)


def looked_into(results: Results, verdict: Verdict, rival: str, family: Iterable[str]) -> Verdict:
    """A verdict on FL against a rival, with what became of both at other learning rates and after more steps.

    ``family``: the rival with other parameters; the best of them is named.
    """
    pairs = {f"learning rate {rate:g}": (rows.rate(rows.FL, rate), rows.rate(rival, rate)) for rate in rows.RATES}
    pairs[f"{rows.LONGER} times as many steps"] = (rows.longer(rows.FL), rows.longer(rival))
    scores = {what: tuple(map(results.score, names)) for what, names in pairs.items()}
    told = [f"{what}: FL {focal}, {rival} {other}" for what, (focal, other) in scores.items() if focal and other]
    first = best(results, family)
    if first != rival and (score := results.score(first)):
        told.append(f"the best of its kind: {first} {score}")
    return replace(verdict, why="A look into why: " + "; ".join(told) if told else "")


def every_prior(results: Results) -> Verdict:
    return every(
        about_as_good(results, rows.prior(loss, pi), rows.prior(loss, 0.01))
        for loss in ("ce", "fl") for pi in (0.1, 0.001)
    )  # fmt: skip


def star_weight(gamma: float, beta: float, x_t: float = 2.0) -> float:
    """FL* of a well-classified example (x_t = 2, p_t = .88) as a fraction of its loss at x_t = 0."""
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


def star_grid(results: Results) -> Verdict:
    table = {key: value for key, value in effective(results).items() if value is not None}
    if len(table) < len(rows.STAR_GAMMAS) * len(rows.STAR_BETAS):
        return missing("7")
    ce = star_weight(1.0, 0.0)
    blue = [key for key, value in table.items() if value]
    lighter = [key for key in blue if star_weight(*key) < ce]
    seeds = min(len(results.of(rows.star(*key))) for key in table)
    numbers = (
        f"{len(blue)} of {len(table)} settings are effective, {len(lighter)} of them with less weight than CE on "
        f"well-classified examples (the fewest seeds of one: {seeds})"
    )
    if not blue or len(lighter) < len(blue):
        return Verdict(FAILS, numbers)
    return Verdict(HOLDS if seeds >= SEEDS else WEAKLY, numbers)


def every_hinge(results: Results) -> Verdict:
    return every(fails(results, rows.hinge(margin), rows.FL) for margin in rows.HINGE_MARGINS)


def rarer_objects(results: Results) -> Verdict:
    points = imbalance.advantages(results)
    if len(points) < 3:
        return missing("imbalance")
    rho = spearman([point.ratio for point in points], [point.gain for point in points])
    told = ", ".join(f"1:{point.ratio:,.0f} {point.gain:+.1f}" for point in points)
    numbers = f"FL minus the better CE, at positives : background = {told}; rank correlation {rho:.2f}"
    enough = min(point.seeds for point in points) >= SEEDS
    return Verdict(FAILS if not rho > 0 else HOLDS if enough and rho >= 0.9 else WEAKLY, numbers)


def hardest_positives(_: Results) -> Verdict:
    logits = loss_shares.load()
    if logits is None:
        return Verdict(NOT_RUN, loss_shares.MISSING)
    shares = {
        gamma: loss_shares.hardest(logits["positive"], gamma, paper.HARDEST_POSITIVES) for gamma in loss_shares.GAMMAS
    }
    numbers = "the hardest 20% carry " + ", ".join(f"{share:.0%} (γ = {g:g})" for g, share in shares.items())
    near = all(abs(share - paper.THEIR_SHARE) <= 0.15 for share in shares.values())
    ordered = list(shares.values()) == sorted(shares.values())
    return Verdict(HOLDS if near and ordered else WEAKLY if ordered and shares[0.0] < 0.8 else FAILS, numbers)


def hardest_negatives(_: Results) -> Verdict:
    logits = loss_shares.load()
    if logits is None:
        return Verdict(NOT_RUN, loss_shares.MISSING)
    shares = [loss_shares.carriers(logits["negative"], gamma, 0.9) for gamma in loss_shares.GAMMAS]
    positives = [loss_shares.carriers(logits["positive"], gamma, 0.9) for gamma in loss_shares.GAMMAS]
    told = ", ".join(f"{loss_shares.percent(s)} (γ = {g:g})" for g, s in zip(loss_shares.GAMMAS, shares, strict=True))
    effect, minor = shares[0] / shares[-1], positives[0] / positives[-1]
    numbers = (
        f"90% of the negative loss is carried by {told} of the negatives: {effect:,.1f} times fewer at γ = 2 than at "
        f"γ = 0; of the positives {minor:.1f} times fewer"
    )
    falling = shares == sorted(shares, reverse=True)
    return Verdict(FAILS if not falling or effect <= minor else HOLDS if effect > 3 * minor else WEAKLY, numbers)


def time_grows(_: Results) -> Verdict:
    measured = speed.load()
    if measured is None:
        return Verdict(NOT_RUN, speed.MISSING)
    ours = {(row["depth"], row["scale"]): row["milliseconds"] for row in measured["rows"]}
    both = {key: (row.milliseconds, ours[key]) for key, row in paper.TABLE_1E.items() if key in ours}
    rho = spearman(*zip(*both.values(), strict=True))
    ratios = [
        [column[101, scale] / column[50, scale] for scale in speed.SCALES]
        for column in ({key: pair[i] for key, pair in both.items()} for i in (0, 1))
    ]
    numbers = (
        f"rank correlation of the times {rho:.2f} over {len(both)} rows; 101 layers take {np.mean(ratios[1]):.2f} "
        f"times as long as 50 ({np.mean(ratios[0]):.2f} in the paper); {speed.in_words(measured)}"
    )
    return Verdict(HOLDS if rho >= 0.9 else WEAKLY if rho >= 0.5 else FAILS, numbers)
