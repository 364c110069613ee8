"""The rule by which runs are judged: what "better", "about as good" and "fails" mean, the same for every claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minidet.experiments import rows
from minidet.experiments.comparison import aps, between
from minidet.experiments.differences import Difference, holm
from minidet.experiments.results import Results, Score

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable here"
KINDS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)
"""What a verdict can be."""
LEVEL = 0.05
"""Probability that any verdict at all is decided wrongly, if the differences between runs are normally distributed."""
NEAR = 1.0
"""Points of AP within which two settings are about as good."""
FAILED = 0.1
"""A setting has failed when its AP is below this fraction of the AP of one that works."""
WORKS = 0.25
"""A setting works when its mean AP is at least this fraction of the focal loss's."""
SURE = 0.9
"""Rank correlation from which on two orders are called the same."""
EASY = 0.6
"""p_t from which on an example is called well classified (Figure 1)."""
SMALL = 0.25
"""A derivative is called small at x_t = 1 below this fraction of cross entropy's."""
ABOUT = 0.1
"""Two shares of the loss are about the same when they differ by no more than this."""

RULE = (
    "Each verdict is one of four: **supported**, **contradicted**, **undecided** (the runs allow both) and **not "
    "testable here**, with the reason.",
    "A is **better** than B: the difference of their mean APs is tested with Student's t, two-sided. Where both have "
    "the same seeds, run is compared with run of the same seed; else the test is Welch's. Where one has a single "
    "seed, the other's deviation stands for both. Where all runs of both recorded their AP on resampled images, the "
    "error of the images is added to that of the seeds. The intervals in brackets are of 95 %, of one comparison "
    "alone.",
    f"A is **about as good** as B: this is tested as equivalence. It is supported when the difference is "
    f"significantly above -{NEAR:g} and below +{NEAR:g} point of AP (two one-sided tests), and contradicted when it is "
    "significantly outside. “As good” lets A be better by any amount, “no better” lets it be worse.",
    f"A **fails**: its AP is significantly below {FAILED:.0%} of the AP of what it is compared with, run by run where "
    "the seeds are the same. A run that diverged has an AP of 0.",
    f"A setting that does not work cannot be compared with: where the mean AP of B is below {WORKS:.0%} of the focal "
    "loss's, the claim is not testable here.",
    "A claim of several parts is supported when every part is, and contradicted when one is; the probability of the "
    "latter is multiplied by the number of parts. “Better than the best of several” means better than each of them. "
    "Of “several of many” at least three must be true (a partial conjunction).",
    f"The probabilities are corrected for the number of claims by Holm's method: if the differences between runs are "
    f"normally distributed, all verdicts together are wrong with a probability of at most {LEVEL:.0%}. In Tables 1 and "
    "3 the error of the 500 images is not included.",
    "What rests on arithmetic, a time or one detector has no seeds. It is judged by its numbers and is not counted "
    f"there: two orders are the same from a rank correlation of {SURE:g} on, two shares of the loss from a difference "
    f"of {ABOUT:.0%} down, an example is well classified from p_t = {EASY:g} on, and a derivative is small below "
    f"{SMALL:.0%} of cross entropy's at x_t = 1.",
)
"""The rule in words; what is between double asterisks is emphasised."""


@dataclass(frozen=True)
class Finding:
    """What the runs say about a claim, or about a part of it."""

    numbers: str
    """The numbers with their seeds on which it rests, or the reason why it cannot be tested."""
    support: float = 1.0
    """Probability of so clear a result in favour of the claim if there were no difference."""
    against: float = 1.0
    """Probability of so clear a result against the claim if it were true."""
    settled: str = ""
    """One of KINDS, where it is not seeds that decide."""
    missing: tuple[str, ...] = ()
    """Names of the experiments that would have to be run."""


@dataclass(frozen=True)
class Verdict:
    """One of KINDS, and what it rests on."""

    kind: str
    numbers: str
    probability: float | None = None
    """Probability corrected for the number of claims; None where it is not seeds that decide."""
    missing: tuple[str, ...] = ()
    """Names of the experiments that would have to be run."""

    def __str__(self) -> str:
        if self.probability is None:
            return self.numbers
        return f"{self.numbers} (p = {self.probability:.2g} after the correction)"


def better(results: Results, a: str, b: str) -> Finding:
    """Is A better than B?

    Args:
        results: the runs.
        a: name of an experiment.
        b: name of the experiment that A is compared with.

    Returns:
        The finding.
    """
    found = _compared(results, a, b)
    if isinstance(found, Finding):
        return found
    gain, numbers = found
    return Finding(numbers, support=min(1.0, 2 * gain.above(0)), against=min(1.0, 2 * gain.below(0)))


def about_as_good(results: Results, a: str, b: str, below: float = NEAR, above: float = NEAR) -> Finding:
    """Is A about as good as B?

    Args:
        results: the runs.
        a: name of an experiment.
        b: name of the experiment that A is compared with.
        below: points of AP that A may be below B; infinity for any number.
        above: points of AP that A may be above B; infinity for any number.

    Returns:
        The finding.
    """
    found = _compared(results, a, b)
    if isinstance(found, Finding):
        return found
    gain, numbers = found
    sides = (below, above).count(math.inf)
    return Finding(
        numbers,
        support=max(gain.above(-below) if below < math.inf else 0.0, gain.below(above) if above < math.inf else 0.0),
        against=min(1.0, (2 - sides) * min(gain.below(-below), gain.above(above))),
    )


def fails(results: Results, name: str, working: str) -> Finding:
    """Does an experiment fail where another one works? See FAILED."""
    reached = at_least(results, name, working, FAILED)
    return replace(reached, support=reached.against, against=reached.support)


def at_least(results: Results, name: str, other: str, fraction: float) -> Finding:
    """Does an experiment reach a fraction of the AP of another one?

    Args:
        results: the runs.
        name: name of the experiment.
        other: name of the experiment that it is compared with.
        fraction: the fraction, from 0 to 1.

    Returns:
        The finding.
    """
    found = _compared(results, name, other)
    if isinstance(found, Finding):
        return found
    a, b, _ = aps(results, name, other)
    gain = between(results, name, other, fraction)
    diverged = f", {results.diverged(name)} of {len(a)} diverged" if results.diverged(name) else ""
    bound = f"{fraction:.0%} are {fraction * np.mean(b):.1f}"
    numbers = f"{name} {Score(a)}{diverged}; {other} {Score(b)}, of which {bound}"
    return Finding(numbers, support=min(1.0, 2 * gain.above(0)), against=min(1.0, 2 * gain.below(0)))


def every(findings: Iterable[Finding]) -> Finding:
    """A claim of several parts, all of which must be true."""
    parts = list(findings)
    if absent := [name for part in parts for name in part.missing]:
        return missing(*absent)
    if settled := [part for part in parts if part.settled]:
        return settled[0]
    return Finding(
        "; ".join(part.numbers for part in parts),
        support=max(part.support for part in parts),
        against=min(1.0, len(parts) * min(part.against for part in parts)),
    )


def several(findings: Iterable[Finding], wanted: int) -> Finding:
    """A claim of which at least some parts must be true.

    Args:
        findings: the parts.
        wanted: how many must be true, from 1 to their number.

    Returns:
        The finding. The probabilities are those of a partial conjunction (Benjamini and Heller, 2008): in favour, the
        one in the place ``wanted`` from the smallest on, times the number of those from there on; against alike.
    """
    parts = list(findings)
    if absent := [name for part in parts for name in part.missing]:
        return missing(*absent)
    if settled := [part for part in parts if part.settled]:
        return settled[0]
    support, against = (sorted(getattr(part, name) for part in parts) for name in ("support", "against"))
    others = len(parts) - wanted
    return Finding(
        "; ".join(part.numbers for part in parts),
        support=min(1.0, (others + 1) * support[wanted - 1]),
        against=min(1.0, wanted * against[others]),
    )


def missing(*names: str) -> Finding:
    """A finding that lacks runs."""
    names = tuple(dict.fromkeys(names))
    return Finding(f"not run yet: minidet experiments run {' '.join(names)}", settled=NOT_TESTABLE, missing=names)


def decided(findings: Sequence[Finding]) -> list[Verdict]:
    """The verdicts on all claims, corrected for their number.

    Args:
        findings: one per claim.

    Returns:
        One per claim, in the same order.
    """
    tested = [finding for finding in findings if not finding.settled]
    corrected = iter(holm([min(finding.support, finding.against) for finding in tested]))
    verdicts = []
    for finding in findings:
        if finding.settled:
            verdicts.append(Verdict(finding.settled, finding.numbers, None, finding.missing))
            continue
        probability = next(corrected)
        kind = SUPPORTED if finding.support < finding.against else CONTRADICTED
        verdicts.append(Verdict(kind if probability <= LEVEL else UNDECIDED, finding.numbers, probability))
    return verdicts


def best(results: Results, names: Iterable[str]) -> str:
    """The name with the highest mean AP; the first one where none has been run."""
    names = list(names)
    means = {name: score.mean for name in names if (score := results.score(name))}
    return max(means, key=lambda name: means[name]) if means else names[0]


def _compared(results: Results, a: str, b: str) -> tuple[Difference, str] | Finding:
    """The difference of two experiments and its numbers in words; or why they cannot be compared."""
    first, second = results.score(a), results.score(b)
    if first is None or second is None:
        return missing(*(name for name, score in ((a, first), (b, second)) if score is None))
    focal = results.score(rows.FL) if rows.FL in results.known else None
    if focal and second.mean < WORKS * focal.mean:
        reason = f"{b} {second} does not work, so that nothing can be compared with it; {a} {first}, {rows.FL} {focal}"
        return Finding(reason, settled=NOT_TESTABLE)
    gain = between(results, a, b)
    return gain, f"{a} {first}, {b} {second}: {gain}"
