"""What single measurements say about claims: the imbalance, who carries the loss, and times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minidet.experiments import imbalance, loss_shares, rows, speed
from minidet.experiments import published as paper
from minidet.experiments.differences import difference
from minidet.experiments.results import Results, spearman
from minidet.experiments.rule import ABOUT, EASY, SMALL, SURE
from minidet.experiments.setting import BASE
from minidet.experiments.verdicts import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding, missing
from minidet.reference import cross_entropy, cross_entropy_grad, focal_loss, focal_loss_grad, focal_loss_star_grad


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
    told = ", ".join(f"{np.mean(gains[objects]):+.1f} with {objects}" for objects in rows.OBJECTS)
    numbers = f"FL minus the better CE, by the objects per image: {told}; {slope} points per halving of the objects"
    seen = rows.OBJECTS[0] // rows.OBJECTS[-1]
    reason = (
        f"after equally many steps the first has seen {seen} times as many objects as the last, so that two things "
        f"vary at once; {numbers}"
    )
    return Finding(reason, min(1.0, 2 * slope.above(0)), min(1.0, 2 * slope.below(0)), settled=NOT_TESTABLE)


def more_background(results: Results) -> Finding:
    """Does the focal loss gain more over cross entropy, the more background there is around one object?

    For each seed, the slope of the gain over the logarithm of the area is a value; they are tested against 0.
    """
    sides = rows.BACKGROUND_SIDES
    gains = imbalance.gains(results, sides, rows.background)
    if not gains:
        return missing("background")
    seeds = min(map(len, gains.values()))
    slopes = [float(np.polyfit(2 * np.log2(sides), [gains[side][seed] for side in sides], 1)[0])
              for seed in range(seeds)]  # fmt: skip
    slope = difference(slopes, [0.0] * len(slopes), paired=True)
    told = ", ".join(f"{np.mean(gains[side]):+.1f} with {side} pixels" for side in sides)
    numbers = f"FL minus the better CE, by the image's side: {told}; {slope} points per doubling of the background"
    return Finding(numbers, min(1.0, 2 * slope.above(0)), min(1.0, 2 * slope.below(0)))


def lower_than_cross_entropy(_: Results) -> Finding:
    """Is the focal loss of easy examples as many times lower than cross entropy as the paper says? It is arithmetic."""
    p = np.array([p for p, _ in paper.LOWER_THAN_CROSS_ENTROPY])
    factors, half = _factor(p), _factor(np.linspace(0.01, 0.5, 50))
    told = ", ".join(f"{f:,.0f} times at p_t = {q:g}" for f, q in zip(factors, p, strict=True))
    wanted = np.array([factor for _, factor in paper.LOWER_THAN_CROSS_ENTROPY])
    right = bool((abs(factors / wanted - 1) < 0.05).all() and half.max() <= paper.AT_MOST_LOWER_UP_TO_HALF + 1e-9)
    numbers = f"at γ = 2 it is lower {told}, and at most {half.max():.0f} times up to p_t = .5; this is arithmetic"
    return Finding(numbers, settled=SUPPORTED if right else CONTRADICTED)


def _factor(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many times lower the focal loss is than cross entropy at p_t, with gamma = 2."""
    x, one = np.log(p / (1 - p)), np.ones(p.shape)
    factor: NDArray[np.float64] = cross_entropy(x, one) / focal_loss(x, one, 2.0, None)
    return factor


def easy_negatives(_: Results) -> Finding:
    """Do easy negatives have more cross entropy than all positives, as training begins and of a trained detector?"""
    logits = loss_shares.load()
    if logits is None:
        return Finding(loss_shares.MISSING, settled=NOT_TESTABLE)
    prior, classes = BASE.model.prior, BASE.model.num_classes
    ratio = classes * imbalance.ratio(1)  # every anchor on the background is a negative of each class
    trained = {gamma: loss_shares.easy(logits, EASY, gamma, ratio) for gamma in (0.0, 2.0)}
    first = ratio * np.log1p(-prior) / np.log(prior)
    numbers = (
        f"there are {ratio:,.0f} negatives per positive; as training begins with π = {prior:g}, they have {first:.2g} "
        "times the cross entropy of the positives; of a detector that the focal loss has trained, those with p_t above "
        f"{EASY:g} have {trained[0.0]:.2g} times their cross entropy, and {trained[2.0]:.1g} times their focal loss "
        "with γ = 2"
    )
    above = {first > 1, trained[0.0] > 1}
    return Finding(numbers, settled=UNDECIDED if len(above) > 1 else SUPPORTED if True in above else CONTRADICTED)


def sigmoid_inside(_: Results) -> Finding:
    """Is the loss of logits more exact than that of probabilities, in float32?"""
    x = np.linspace(-100, 100, 2001, dtype=np.float32)
    exact = np.logaddexp(0.0, -x.astype(np.float64))
    with np.errstate(over="ignore", divide="ignore"):
        apart = -np.log(1 / (1 + np.exp(-x)))
        inside = np.logaddexp(np.float32(0), -x)
    lost = [float((~(abs(loss - exact) <= 1e-3 * exact)).mean()) for loss in (apart, inside)]
    numbers = (
        f"of 2,001 logits from -100 to 100 in float32, {lost[0]:.0%} have a cross entropy that is wrong in the third "
        f"digit or infinite where it is computed from p, {lost[1]:.0%} where it is computed from the logit"
    )
    return Finding(numbers, settled=SUPPORTED if lost[0] > lost[1] else CONTRADICTED)


def small_derivatives(_: Results) -> Finding:
    """Are the derivatives of FL and FL* small for x_t above 0, beside that of cross entropy?"""
    x, one = np.array([0.0, 1.0]), np.ones(2)
    ce = abs(cross_entropy_grad(x, one))
    found = {"FL, γ = 2": abs(focal_loss_grad(x, one, 2.0, None))}
    found |= {f"FL*, γ = {g:g}, β = {b:g}": abs(focal_loss_star_grad(x, one, g, b)) for g, b in paper.FIGURE5_STARS}
    told = "; ".join(f"{name} {at[0] / ce[0]:.0%} and {at[1] / ce[1]:.0%}" for name, at in found.items())
    numbers = f"as a fraction of cross entropy's, at x_t = 0 and at x_t = 1: {told}; this is arithmetic"
    small = all(at[1] < SMALL * ce[1] for at in found.values())
    return Finding(numbers, settled=SUPPORTED if small else CONTRADICTED)


def hardest_positives(_: Results) -> Finding:
    """Do the hardest positives carry about half of the loss?"""
    logits = loss_shares.load()
    if logits is None:
        return Finding(loss_shares.MISSING, settled=NOT_TESTABLE)
    shares = [loss_shares.hardest(logits["positive"], gamma, paper.HARDEST_POSITIVES) for gamma in loss_shares.GAMMAS]
    told = ", ".join(f"{share:.0%} (γ = {g:g})" for g, share in zip(loss_shares.GAMMAS, shares, strict=True))
    numbers = f"the hardest {paper.HARDEST_POSITIVES:.0%} carry {told}, of one detector"
    half = [abs(share - paper.THEIR_SHARE) <= ABOUT for share in shares]
    contradicted = not half[0] or shares != sorted(shares)  # else it may be that "a little" is all that is wrong
    return Finding(numbers, settled=CONTRADICTED if contradicted else SUPPORTED if all(half) else UNDECIDED)


def similar_without_gamma(_: Results) -> Finding:
    """At gamma = 0, do the hardest of the positives and of the negatives carry about the same share of their loss?"""
    logits = loss_shares.load()
    if logits is None:
        return Finding(loss_shares.MISSING, settled=NOT_TESTABLE)
    kinds = ("positive", "negative")
    shares = [loss_shares.hardest(logits[kind], 0.0, paper.HARDEST_POSITIVES) for kind in kinds]
    told = " and ".join(f"{share:.0%} of the {kind} loss" for share, kind in zip(shares, kinds, strict=True))
    numbers = f"the hardest {paper.HARDEST_POSITIVES:.0%} of each carry {told} at γ = 0, of one detector"
    return Finding(numbers, settled=SUPPORTED if abs(shares[0] - shares[1]) <= ABOUT else CONTRADICTED)


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
        f"γ = 0; of the positives {minor:.1f} times fewer; of one detector"
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
