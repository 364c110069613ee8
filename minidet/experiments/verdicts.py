"""How runs are judged, by the rule of `minidet.experiments.rule`, the same for every claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minidet.experiments import rows
from minidet.experiments.comparison import aps, between
from minidet.experiments.differences import Difference, holm
from minidet.experiments.results import Results, Score
from minidet.experiments.rule import FAILED, LEVEL, NEAR, WORKS

SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE = "supported", "contradicted", "undecided", "not testable here"
KINDS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)
"""What a verdict can be."""


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
    alone: float | None = None
    """Probability before the correction."""

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
    if settled := [part for part in parts if part.settled and not part.missing]:
        return settled[0]  # more runs would change nothing
    if absent := [name for part in parts for name in part.missing]:
        return missing(*absent)
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
        probability, alone = next(corrected), min(finding.support, finding.against)
        kind = SUPPORTED if finding.support < finding.against else CONTRADICTED
        kind = kind if probability <= LEVEL else UNDECIDED
        verdicts.append(Verdict(kind, finding.numbers, probability, alone=alone))
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
