"""The paper's claims, and what our runs say about each.

The rule, the same for every claim:

- A is *better* than B: **holds** when the mean AP of A is above that of B by more than two standard errors of the
  difference (Welch), both with three seeds or more; **holds weakly** when it is above, but not so clearly or with fewer
  seeds; otherwise it **does not hold here**.
- A is *about as good* as B: **holds** when the means are within NEAR points of AP, with three seeds or more; **holds
  weakly** when they are so with fewer seeds, or further apart by less than two standard errors; otherwise not. "As
  good" lets A be better by any amount, "no better" lets it be worse.
- A *fails*: **holds** when every one of three seeds or more diverged or stayed below a tenth of the AP of what it is
  compared with; **holds weakly** when some did, or all of fewer; otherwise not.
- A claim of several parts has the verdict of its worst part; one that lacks a run is **not run**.

"The best of" several settings is the one with the highest mean, in the paper as here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from minidet.experiments import definitions as e
from minidet.experiments import imbalance, loss_shares, speed
from minidet.experiments import published as paper
from minidet.experiments.results import Results, Score, spearman
from minidet.reference import focal_loss_star

HOLDS, WEAKLY, FAILS, NOT_RUN = "holds", "holds weakly", "does not hold here", "not run"
KINDS = (HOLDS, WEAKLY, FAILS, NOT_RUN)
"""From best to worst."""
SEEDS = 3
"""A claim that rests on fewer holds weakly at most."""
NEAR = 1.0
"""Points of AP within which two settings are about as good."""
FAILED = 0.1
"""Of the AP of a setting that works: what stays below it has failed."""


@dataclass(frozen=True)
class Verdict:
    """One of KINDS, and the numbers with their seeds on which it rests."""

    kind: str
    numbers: str
    missing: tuple[str, ...] = ()
    """The experiments that would have to be run."""
    why: str = ""
    """What was found out about a claim that does not hold."""


@dataclass(frozen=True)
class Claim:
    """What the paper says, in our words, and how it is judged."""

    section: str
    text: str
    published: str
    """The paper's numbers."""
    tables: tuple[str, ...]
    """Under which it is printed."""
    judge: Callable[[Results], Verdict]


def better(results: Results, a: str, b: str) -> Verdict:
    """Is A better than B?"""
    first, second = results.score(a), results.score(b)
    if first is None or second is None:
        return _missing(a if first is None else b)
    gain, error = first.mean - second.mean, _error(first, second)
    numbers = f"{a} {first}, {b} {second}: {gain:+.1f}" + (f" ± {error:.1f}" if math.isfinite(error) else "")
    enough = min(first.n, second.n) >= SEEDS
    return Verdict(HOLDS if enough and gain > 2 * error else WEAKLY if gain > 0 else FAILS, numbers)


def about_as_good(results: Results, a: str, b: str, below: float = NEAR, above: float = NEAR) -> Verdict:
    """Is A at most so many points below B, and at most so many above it? Infinity: however far."""
    first, second = results.score(a), results.score(b)
    if first is None or second is None:
        return _missing(a if first is None else b)
    gain, error = first.mean - second.mean, _error(first, second)
    numbers = f"{a} {first}, {b} {second}: {gain:+.1f}"
    if -below <= gain <= above:
        return Verdict(HOLDS if min(first.n, second.n) >= SEEDS else WEAKLY, numbers)
    return Verdict(WEAKLY if abs(gain) < 2 * error else FAILS, numbers)


def fails(results: Results, name: str, working: str) -> Verdict:
    """Does it diverge, or stay below a tenth of the AP of what works?"""
    score, reference = results.score(name), results.score(working)
    if score is None or reference is None:
        return _missing(name if score is None else working)
    failed = sum(value < FAILED * reference.mean for value in score.values)
    diverged = results.diverged(name)
    numbers = f"{name} {score}, {failed} of {score.n} failed, {diverged} diverged; {working} {reference}"
    all_failed = failed == score.n >= SEEDS
    return Verdict(HOLDS if all_failed else WEAKLY if failed else FAILS, numbers)


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the parts, with the numbers of all."""
    parts = list(verdicts)
    missing = [name for part in parts for name in part.missing]
    if missing:
        return _missing(*missing)
    return Verdict(max((part.kind for part in parts), key=KINDS.index), "; ".join(part.numbers for part in parts))


def best(results: Results, names: Iterable[str]) -> str:
    """The name with the highest mean AP; the first one where none has been run."""
    names = list(names)
    means = {name: score.mean for name in names if (score := results.score(name))}
    return max(means, key=lambda name: means[name]) if means else names[0]


def _error(a: Score, b: Score) -> float:
    """Welch's standard error of the difference; NaN for a single seed."""
    return math.sqrt(a.deviation**2 / a.n + b.deviation**2 / b.n)


def _missing(*names: str) -> Verdict:
    names = tuple(dict.fromkeys(names))
    return Verdict(NOT_RUN, f"not run yet: minidet experiments run {' '.join(names)}", names)


CE_ALPHAS = tuple(map(e.ce, e.ALPHAS))
OHEM = tuple(e.ohem(*row) for row in paper.TABLE_1D)
STARS = tuple(e.star(gamma, beta) for gamma in e.STAR_GAMMAS for beta in e.STAR_BETAS)


def _gammas(results: Results) -> Verdict:
    ce = best(results, CE_ALPHAS)
    return every(better(results, e.fl(gamma), ce) for gamma in (0.5, 1.0, 2.0, 5.0))


def _ohem_batches(results: Results) -> Verdict:
    return every(
        better(results, e.ohem(loss, 128, 0.5), e.ohem(loss, 512, 0.5)) for loss in ("ohem", "ohem_1_3")
    )  # fmt: skip


def _saturation(results: Results) -> Verdict:
    six, twelve = e.anchors(2, 3), e.anchors(4, 3)
    return every([
        about_as_good(results, six, e.FL, above=math.inf), about_as_good(results, twelve, e.FL, below=math.inf)
    ])  # fmt: skip


def _one_anchor(results: Results) -> Verdict:
    one, nine = results.score(e.anchors(1, 1)), results.score(e.FL)
    if one is None or nine is None:
        return _missing(e.anchors(1, 1) if one is None else e.FL)
    share, published = one.mean / max(nine.mean, 1e-9), paper.TABLE_1C[1, 1][0] / paper.TABLE_1C[3, 3][0]
    numbers = f"{e.anchors(1, 1)} {one} is {share:.0%} of {e.FL} {nine}; in the paper {published:.0%}"
    enough = min(one.n, nine.n) >= SEEDS
    why = (
        f"A look into why: with one square anchor {imbalance.reached(e.anchors(1, 1)):.0%} of our objects have an "
        f"anchor of IoU 0.5 or more and can be learnt at all, with nine {imbalance.reached(e.FL):.0%}"
    )
    return Verdict(FAILS if share < 0.8 else HOLDS if enough else WEAKLY, numbers + "; wanted at least 80%", why=why)


def _looked_into(results: Results, verdict: Verdict, rival: str, family: Iterable[str]) -> Verdict:
    """A verdict on FL against a rival, with what became of both at other learning rates and after more steps.

    ``family``: the rival with other parameters; the best of them is named.
    """
    pairs = {f"learning rate {rate:g}": (e.rate(e.FL, rate), e.rate(rival, rate)) for rate in e.RATES}
    pairs[f"{e.LONGER} times as many steps"] = (e.longer(e.FL), e.longer(rival))
    scores = {what: tuple(map(results.score, names)) for what, names in pairs.items()}
    told = [f"{what}: FL {focal}, {rival} {other}" for what, (focal, other) in scores.items() if focal and other]
    first = best(results, family)
    if first != rival and (score := results.score(first)):
        told.append(f"the best of its kind: {first} {score}")
    return replace(verdict, why="A look into why: " + "; ".join(told) if told else "")


def _priors(results: Results) -> Verdict:
    names = [e.prior(loss, pi) for loss in ("ce", "fl") for pi in (0.1, 0.001)]
    return every(about_as_good(results, name, e.prior(name[3:5], 0.01)) for name in names)


def star_weight(gamma: float, beta: float, x_t: float = 2.0) -> float:
    """FL* of a well-classified example (x_t = 2, p_t = .88) as a part of its loss at x_t = 0."""
    easy, even = focal_loss_star(np.array([x_t, 0.0]), np.ones(2), gamma, beta, None)
    return float(easy / even)


def effective(results: Results) -> dict[tuple[float, float], bool | None]:
    """Which settings of FL* are effective, as Figure 7 has it: AP at most so far below FL's; None: not run."""
    focal = results.score(e.FL)
    table: dict[tuple[float, float], bool | None] = {}
    for gamma in e.STAR_GAMMAS:
        for beta in e.STAR_BETAS:
            score = results.score(e.star(gamma, beta))
            known = focal is not None and score is not None
            table[gamma, beta] = score.mean > focal.mean - paper.EFFECTIVE_BELOW_FOCAL if known else None  # type: ignore[union-attr]
    return table


def _star_grid(results: Results) -> Verdict:
    table = {key: value for key, value in effective(results).items() if value is not None}
    if len(table) < len(e.STAR_GAMMAS) * len(e.STAR_BETAS):
        return _missing("7")
    ce = star_weight(1.0, 0.0)
    blue = [key for key, value in table.items() if value]
    lighter = [key for key in blue if star_weight(*key) < ce]
    seeds = min(len(results.of(e.star(*key))) for key in table)
    numbers = (
        f"{len(blue)} of {len(table)} settings are effective, {len(lighter)} of them with less weight than CE on "
        f"well-classified examples (the fewest seeds of one: {seeds})"
    )
    if not blue or len(lighter) < len(blue):
        return Verdict(FAILS, numbers)
    return Verdict(HOLDS if seeds >= SEEDS else WEAKLY, numbers)


def _hinge(results: Results) -> Verdict:
    return every(fails(results, f"hinge/margin={margin:g}", e.FL) for margin in e.HINGE_MARGINS)


def _imbalance(results: Results) -> Verdict:
    points = imbalance.advantages(results)
    if len(points) < 3:
        return _missing("imbalance")
    rho = spearman([point.ratio for point in points], [point.gain for point in points])
    told = ", ".join(f"1:{point.ratio:,.0f} {point.gain:+.1f}" for point in points)
    numbers = f"FL less the better CE at positives : background = {told}; rank correlation {rho:.2f}"
    enough = min(point.seeds for point in points) >= SEEDS
    return Verdict(FAILS if not rho > 0 else HOLDS if enough and rho >= 0.9 else WEAKLY, numbers)


def _positives(_: Results) -> Verdict:
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


def _negatives(_: Results) -> Verdict:
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


def _speed(_: Results) -> Verdict:
    measured = speed.load()
    if measured is None:
        return Verdict(NOT_RUN, speed.MISSING)
    ours = {(row["depth"], row["scale"]): row["milliseconds"] for row in measured["rows"]}
    both = {key: (values[6], ours[key]) for key, values in paper.TABLE_1E.items() if key in ours}
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


CLAIMS = (
    Claim(
        "section 5.1",
        "Cross entropy without the prior (π = .5) does not train under plain SGD; with π = .01 it does",
        "diverged; AP 30.2",
        ("pi",),
        lambda r: fails(r, e.prior("ce", 0.5), e.prior("ce", 0.01)),
    ),
    Claim(
        "section 3.3, our reading",
        "That is about plain SGD: under AdamW, gradients clipped, π = .5 is as good as π = .01",
        "not in the paper",
        ("pi",),
        lambda r: about_as_good(r, e.prior("ce-adamw", 0.5), e.prior("ce-adamw", 0.01), above=math.inf),
    ),
    Claim(
        "section 5.1", "Results are insensitive to the exact π, from .1 to .001", "π = .01 everywhere", ("pi",), _priors
    ),
    Claim(
        "Table 1a",
        "Cross entropy that favours the background (α = .1) finds nothing",
        "AP 0.0 against 31.1",
        ("1a",),
        lambda r: fails(r, e.ce(0.1), e.ce(0.75)),
    ),
    Claim(
        "Table 1a",
        "Cross entropy with α = .75 is better than with α = .5",
        f"+{paper.BALANCED_GAIN}",
        ("1a",),
        lambda r: better(r, e.ce(0.75), e.ce(0.5)),
    ),
    Claim(
        "Table 1a",
        "Cross entropy with α = .999 is worse than with α = .75",
        "25.1 against 31.1",
        ("1a",),
        lambda r: better(r, e.ce(0.75), e.ce(0.999)),
    ),
    Claim(
        "Table 1b",
        "The focal loss (γ = 2, α = .25) is better than the best cross entropy of any α",
        f"+{paper.FOCAL_GAIN}",
        ("1a", "1b"),
        lambda r: better(r, e.FL, best(r, CE_ALPHAS)),
    ),
    Claim(
        "Table 1b",
        "It is robust to γ: each of .5, 1, 2, 5 is better than the best cross entropy",
        "+1.1 to +2.9",
        ("1b",),
        _gammas,
    ),
    Claim(
        "Table 1b",
        "The focal loss with γ = 2 is better than with γ = 5",
        "34.0 against 32.2",
        ("1b",),
        lambda r: better(r, e.FL, e.fl(5.0)),
    ),
    Claim(
        "section 5.1",
        "At γ = 2, α = .5 is nearly as good as α = .25",
        f"-{paper.ALPHA_HALF_LOSS}",
        ("1b",),
        lambda r: about_as_good(r, f"{e.FL},alpha=0.5", e.FL, above=math.inf),
    ),
    Claim("Table 1c", "One square anchor a cell is surprisingly good already", "30.3 of 34.0", ("1c",), _one_anchor),
    Claim(
        "Table 1c",
        "Three scales and three ratios are better than one square anchor",
        "+3.7",
        ("1c",),
        lambda r: better(r, e.FL, e.anchors(1, 1)),
    ),
    Claim("Table 1c", "From six anchors a cell on nothing more is gained", "34.2, 34.0, 33.8", ("1c",), _saturation),
    Claim(
        "Table 1d",
        "The focal loss is better than the best setting of OHEM",
        f"+{paper.OHEM_GAP}",
        ("1d",),
        lambda r: _looked_into(r, better(r, e.FL, best(r, OHEM)), e.RIVALS[2], OHEM),
    ),
    Claim(
        "Table 1d",
        "OHEM is better without the ratio of 1:3",
        "32.8 against 31.1",
        ("1d",),
        lambda r: better(r, e.ohem("ohem", 128, 0.5), e.ohem("ohem_1_3", 128, 0.5)),
    ),
    Claim(
        "Table 1d",
        "With an NMS threshold of .5, small batches are better than large ones",
        "32.8 and 27.6; 31.1 and 24.0",
        ("1d",),
        _ohem_batches,
    ),
    Claim("section 5.1", "The hinge loss on p_t gives nothing meaningful", "no numbers", ("hinge",), _hinge),
    Claim(
        "Table 3",
        "FL* is about as good as FL",
        "33.8 and 33.9 against 34.0",
        ("3",),
        lambda r: _looked_into(
            r, every(about_as_good(r, e.star(*setting), e.FL) for setting in paper.FIGURE5_STARS), e.RIVALS[3], STARS
        ),
    ),
    Claim(
        "Table 3",
        "FL* is better than cross entropy",
        "+2.7 and +2.8",
        ("3",),
        lambda r: every(better(r, e.star(*setting), e.ce(0.75)) for setting in paper.FIGURE5_STARS),
    ),
    Claim(
        "Figure 7",
        "Every effective setting of FL* reduces the weight of well-classified examples",
        "no numbers",
        ("7", "3"),
        _star_grid,
    ),
    Claim(
        "Figure 4, left",
        "The hardest 20 % of the positives carry about half of the loss, a little more as γ grows",
        "about 50 %",
        (),
        _positives,
    ),
    Claim(
        "Figure 4, right",
        "For negatives γ concentrates the loss on a few hard ones, far more than for positives",
        "no numbers",
        (),
        _negatives,
    ),
    Claim(
        "section 1, our figure",
        "The rarer the objects, the more focal loss gains over cross entropy",
        "not in the paper",
        ("imbalance",),
        _imbalance,
    ),
    Claim("Table 1e", "Time grows with depth and scale in the same order", "64 to 198 ms", ("1e",), _speed),
)
