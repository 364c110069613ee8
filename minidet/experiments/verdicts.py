"""The rule by which runs are judged: what "better", "about as good" and "fails" mean, the same for every claim."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from minidet.experiments.results import Results, Score

HOLDS, WEAKLY, FAILS, NOT_RUN = "holds", "holds weakly", "does not hold here", "not run"
KINDS = (HOLDS, WEAKLY, FAILS, NOT_RUN)
"""From best to worst."""
SEEDS = 3
"""A claim that rests on fewer holds weakly at most."""
NEAR = 1.0
"""Points of AP within which two settings are about as good."""
FAILED = 0.1
"""Of the AP of a setting that works: what stays below it has failed."""


RULE = (
    "A is **better** than B: **holds** when the mean AP of A is above that of B by more than two standard errors of "
    "the difference (Welch), both with three seeds or more; **holds weakly** when it is above, but not so clearly or "
    "with fewer seeds; otherwise it **does not hold here**.",
    f"A is **about as good** as B: **holds** when the means are within {NEAR:g} point of AP, with three seeds or more; "
    "**holds weakly** when they are so with fewer seeds, or further apart by less than two standard errors; otherwise "
    "not. “As good” lets A be better by any amount, “no better” lets it be worse.",
    "A **fails**: **holds** when every one of three seeds or more diverged or stayed below a tenth of the AP of what "
    "it is compared with; **holds weakly** when some did, or all of fewer; otherwise not.",
    "A claim of several parts has the verdict of its worst part; one that lacks a run is **not run**.",
    "“The best of” several settings is the one with the highest mean, in the paper as here.",
)
"""The rule in words; what is between double asterisks is emphasised."""


@dataclass(frozen=True)
class Verdict:
    """One of KINDS, and the numbers with their seeds on which it rests."""

    kind: str
    numbers: str
    missing: tuple[str, ...] = ()
    """The experiments that would have to be run."""
    why: str = ""
    """What was found out about a claim that does not hold."""


def better(results: Results, a: str, b: str) -> Verdict:
    """Is A better than B?"""
    first, second = results.score(a), results.score(b)
    if first is None or second is None:
        return missing(a if first is None else b)
    gain, error = first.mean - second.mean, _error(first, second)
    numbers = f"{a} {first}, {b} {second}: {gain:+.1f}" + (f" ± {error:.1f}" if math.isfinite(error) else "")
    enough = min(first.n, second.n) >= SEEDS
    return Verdict(HOLDS if enough and gain > 2 * error else WEAKLY if gain > 0 else FAILS, numbers)


def about_as_good(results: Results, a: str, b: str, below: float = NEAR, above: float = NEAR) -> Verdict:
    """Is A at most so many points below B, and at most so many above it? Infinity: however far."""
    first, second = results.score(a), results.score(b)
    if first is None or second is None:
        return missing(a if first is None else b)
    gain, error = first.mean - second.mean, _error(first, second)
    numbers = f"{a} {first}, {b} {second}: {gain:+.1f}"
    if -below <= gain <= above:
        return Verdict(HOLDS if min(first.n, second.n) >= SEEDS else WEAKLY, numbers)
    return Verdict(WEAKLY if abs(gain) < 2 * error else FAILS, numbers)


def fails(results: Results, name: str, working: str) -> Verdict:
    """Does it diverge, or stay below a tenth of the AP of what works?"""
    score, reference = results.score(name), results.score(working)
    if score is None or reference is None:
        return missing(name if score is None else working)
    failed = sum(value < FAILED * reference.mean for value in score.values)
    diverged = results.diverged(name)
    numbers = f"{name} {score}, {failed} of {score.n} failed, {diverged} diverged; {working} {reference}"
    all_failed = failed == score.n >= SEEDS
    return Verdict(HOLDS if all_failed else WEAKLY if failed else FAILS, numbers)


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the parts, with the numbers of all."""
    parts = list(verdicts)
    lacking = [name for part in parts for name in part.missing]
    if lacking:
        return missing(*lacking)
    return Verdict(max((part.kind for part in parts), key=KINDS.index), "; ".join(part.numbers for part in parts))


def best(results: Results, names: Iterable[str]) -> str:
    """The name with the highest mean AP; the first one where none has been run."""
    names = list(names)
    means = {name: score.mean for name in names if (score := results.score(name))}
    return max(means, key=lambda name: means[name]) if means else names[0]


def _error(a: Score, b: Score) -> float:
    """Welch's standard error of the difference; NaN for a single seed."""
    return math.sqrt(a.deviation**2 / a.n + b.deviation**2 / b.n)


def missing(*names: str) -> Verdict:
    names = tuple(dict.fromkeys(names))
    return Verdict(NOT_RUN, f"not run yet: minidet experiments run {' '.join(names)}", names)
