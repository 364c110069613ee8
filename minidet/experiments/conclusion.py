"""What the runs say, in two sentences, for the summary page and the README."""

from __future__ import annotations

from collections.abc import Sequence

from minidet.experiments import evidence, rows, verdicts
from minidet.experiments.claim import Claim
from minidet.experiments.results import Results


def conclusion(judged: Sequence[tuple[Claim, verdicts.Verdict]]) -> str:
    """The verdicts in one sentence.

    Args:
        judged: every claim with its verdict.
    """
    counts = {kind: sum(verdict.kind == kind for _, verdict in judged) for kind in verdicts.KINDS}
    shown = len(judged) - counts[verdicts.NOT_TESTABLE]
    return (
        f"Of the {shown} claims that these runs can speak about, {counts[verdicts.SUPPORTED]} are supported, "
        f"{counts[verdicts.CONTRADICTED]} contradicted, and {counts[verdicts.UNDECIDED]} stay undecided with so few "
        "seeds once the number of claims is taken into account."
    )


def best_of_each(results: Results) -> str:
    """The AP of the focal loss and of the best of its rivals, in one sentence; empty where a kind was never run.

    Args:
        results: the runs.
    """
    kinds = {"cross entropy": evidence.CE_ALPHAS, "OHEM": evidence.OHEM, "FL*": evidence.STARS}
    focal, told = results.score(rows.FL), []
    for kind, names in kinds.items():
        name = verdicts.best(results, names)
        score = results.score(name)
        if focal is None or score is None:
            return ""
        told.append(f"{kind} {score} ({name})")
    return (
        f"AP, mean ± standard deviation (number of seeds): the focal loss, untuned, {focal}; the best of several "
        f"settings of {', of '.join(told)}."
    )
