"""What single measurements say about claims: the imbalance, who carries the loss, and times."""

from __future__ import annotations

import numpy as np

from minidet.experiments import imbalance, loss_shares, rows, speed
from minidet.experiments import published as paper
from minidet.experiments.differences import difference
from minidet.experiments.results import Results, spearman
from minidet.experiments.verdicts import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding, missing

SURE = 0.9
"""Rank correlation from which on two orders are called the same."""


def rarer_objects(results: Results) -> Finding:
    """Does the focal loss gain more over cross entropy, the fewer objects there are per image?

    For each seed, the slope of the gain over the logarithm of the number of objects is a value; they are tested
    against 0.
    """
    gains = imbalance.gains(results)
    if not gains:
        return missing("imbalance")
    rarity = -np.log2(rows.OBJECTS)
    slopes = [float(np.polyfit(rarity, [gains[n][seed] for n in rows.OBJECTS], 1)[0])
              for seed in range(min(map(len, gains.values())))]  # fmt: skip
    slope = difference(slopes, [0.0] * len(slopes), paired=True)
    told = ", ".join(f"{objects} objects {np.mean(gains[objects]):+.1f}" for objects in rows.OBJECTS)
    numbers = f"FL minus the better CE, per image {told}; {slope} points per halving of the objects"
    seen = rows.OBJECTS[0] // rows.OBJECTS[-1]
    reason = (
        f"after equally many steps the first has seen {seen} times as many objects as the last, so that two things "
        f"vary at once; {numbers}"
    )
    return Finding(reason, min(1.0, 2 * slope.above(0)), min(1.0, 2 * slope.below(0)), settled=NOT_TESTABLE)


def hardest_positives(_: Results) -> Finding:
    """Do the hardest positives carry about half of the loss?"""
    logits = loss_shares.load()
    if logits is None:
        return Finding(loss_shares.MISSING, settled=NOT_TESTABLE)
    shares = [loss_shares.hardest(logits["positive"], gamma, paper.HARDEST_POSITIVES) for gamma in loss_shares.GAMMAS]
    told = ", ".join(f"{share:.0%} (γ = {g:g})" for g, share in zip(loss_shares.GAMMAS, shares, strict=True))
    numbers = f"the hardest {paper.HARDEST_POSITIVES:.0%} carry {told}, of a detector that has not converged"
    return Finding(numbers, settled=UNDECIDED if shares == sorted(shares) else CONTRADICTED)


def hardest_negatives(_: Results) -> Finding:
    """Does gamma concentrate the loss of the negatives far more than that of the positives?"""
    logits = loss_shares.load()
    if logits is None:
        return Finding(loss_shares.MISSING, settled=NOT_TESTABLE)
    shares = [loss_shares.carriers(logits["negative"], gamma, 0.9) for gamma in loss_shares.GAMMAS]
    positives = [loss_shares.carriers(logits["positive"], gamma, 0.9) for gamma in loss_shares.GAMMAS]
    told = ", ".join(f"{loss_shares.percent(s)} (γ = {g:g})" for g, s in zip(loss_shares.GAMMAS, shares, strict=True))
    effect, minor = shares[0] / shares[-1], positives[0] / positives[-1]
    numbers = (
        f"90% of the negative loss is carried by {told} of the negatives: {effect:,.1f} times fewer at γ = 2 than at "
        f"γ = 0; of the positives {minor:.1f} times fewer"
    )
    falling = shares == sorted(shares, reverse=True)
    return Finding(numbers, settled=CONTRADICTED if not falling or effect <= minor else SUPPORTED)


def time_grows(_: Results) -> Finding:
    """Do our times grow with depth and scale in the order of the published ones?"""
    measured = speed.load()
    if measured is None:
        return Finding(speed.MISSING, settled=NOT_TESTABLE)
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
    return Finding(numbers, settled=SUPPORTED if rho >= SURE else UNDECIDED if rho > 0 else CONTRADICTED)
