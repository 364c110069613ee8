"""What the runs say, in a few sentences, for the summary page and the README."""

from __future__ import annotations

from collections.abc import Sequence

from minidet.experiments import evidence, imbalance, rows, verdicts
from minidet.experiments.claim import Claim
from minidet.experiments.comparison import told
from minidet.experiments.results import Results
from minidet.experiments.rule import LEVEL


def conclusion(judged: Sequence[tuple[Claim, verdicts.Verdict]]) -> str:
    """The verdicts in one sentence.

    Args:
        judged: every claim with its verdict.
    """
    counts = {kind: sum(verdict.kind == kind for _, verdict in judged) for kind in verdicts.KINDS}
    shown = len(judged) - counts[verdicts.NOT_TESTABLE]
    by_runs = sum(verdict.kind == verdicts.SUPPORTED and verdict.probability is not None for _, verdict in judged)
    not_run = sum(bool(verdict.missing) for _, verdict in judged)
    open_ones = [verdict for _, verdict in judged if verdict.kind == verdicts.UNDECIDED]
    clear = sum(verdict.alone is not None and verdict.alone <= LEVEL for verdict in open_ones)
    return (
        f"Of the {shown} claims that can be judged here, {counts[verdicts.SUPPORTED]} are supported ({by_runs} by runs "
        "with several seeds, the others by arithmetic, a time or one detector), "
        f"{counts[verdicts.CONTRADICTED]} contradicted, and {len(open_ones)} undecided: in {len(open_ones) - clear} "
        f"the runs of one setting differ too much among themselves, and {clear} would be clear alone, but not as one "
        f"claim of so many. {counts[verdicts.NOT_TESTABLE]} more are not testable here"
        + (f", of which {not_run} for want of runs alone." if not_run else ".")
    )


def in_a_line(results: Results) -> str:
    """The focal loss beside its two rivals, where each was trained longest; empty where a run is missing.

    Args:
        results: the runs.
    """
    steps = rows.PLATEAU * results.known[rows.FL].training.iterations
    early = verdicts.best(results, evidence.OHEM)
    chosen, which = (early, "in its best setting of nine") if early in rows.PLATEAU_OHEM else (rows.PLATEAU_OHEM[0], "")
    late = rows.plateau(chosen), rows.plateau(rows.FL)
    cells = rows.cells("random", "ce"), rows.cells("random", "focal")
    if not all(results.score(name) for name in (*late, *cells)):
        return ""
    focal = "the focal loss"
    paper = f"{focal} with the values of the paper"
    told_of = [told(results, *late, f"After {steps:,} steps on drawn shapes OHEM {which}".rstrip(), paper)]
    tuned, predicted = map(rows.plateau, (rows.PLATEAU_TUNED, rows.mining("suppresses=predictions")))
    if results.score(tuned):
        other = results.known[tuned].training.loss
        tried = f"one of nine tried for {results.known[rows.FL].training.iterations} steps"
        called = f"{focal} with γ = {other.gamma:g} and α = {other.alpha:g} ({tried})"
        told_of.append(told(results, late[0], tuned, "OHEM", called))
    elif all("metrics_at_0" in run for name in late for run in results.of(name).values()):
        told_of.append(told(results, *late, "Counted with detections of every score, OHEM", focal, "metrics_at_0"))
    both = predicted, rows.plateau(rows.PLATEAU_OHEM[2])
    if all(map(results.score, both)):
        among = "suppression among"
        told_of.append(
            told(results, *both, f"In the same setting OHEM with {among} predicted boxes", f"OHEM with {among} anchors")
        )
    return ". ".join((*told_of, told(results, *cells, "On photographs of blood cells cross entropy", focal))) + "."


def best_of_each(results: Results) -> str:
    """The AP of the focal loss and of the best of its rivals, soon and late; empty where a kind was never run.

    Args:
        results: the runs.
    """
    kinds = {
        "the focal loss": rows.TUNED, "cross entropy": evidence.CE_ALPHAS, "OHEM": evidence.OHEM,
        "FL*": evidence.STARS,
    }  # fmt: skip
    focal, rivals = results.score(rows.FL), []
    for kind, names in kinds.items():
        name = verdicts.best(results, names)
        score = results.score(name)
        if focal is None or score is None:
            return ""
        rivals.append(f"{kind} {score} ({name})")
    steps = results.known[rows.FL].training.iterations
    late = {"the focal loss": rows.FL, f"the focal loss ({rows.PLATEAU_TUNED})": rows.PLATEAU_TUNED}
    late |= {f"OHEM ({name})": name for name in rows.PLATEAU_OHEM}
    late |= {"cross entropy": rows.PLATEAU_CE}
    at_end = [f"{kind} {score}" for kind, name in late.items() if (score := results.score(rows.plateau(name)))]
    sentence = f" After {rows.PLATEAU * steps:,} steps: {'; '.join(at_end)}."
    classified = {name: results.score(rows.plateau(rows.classified(name))) for name in rows.DECIDING}
    if classified[rows.FL]:
        on_others = "; ".join(f"{kind} {classified[name]}" for kind, name in late.items() if classified.get(name))
        sentence += f" The same on backbones that learnt to classify: {on_others}."
    return (
        f"AP after {steps:,} steps, mean ± standard deviation (number of seeds): the focal loss with the values of "
        f"the paper {focal}; the best of several settings of {', of '.join(rivals)}.{sentence}"
    )


def on_photographs(results: Results) -> str:
    """The AP of each loss on photographs of blood cells; empty where none was run.

    Args:
        results: the runs.
    """
    kinds = {"focal": "the focal loss", "balanced": "cross entropy with α = .75", "ce": "without α"}
    kinds |= {name: f"OHEM with {batch} anchors" for name, batch in rows.CELL_BATCHES.items()}
    whose = {"random": "random weights", "classifier": "those of a classifier"}
    starts = []
    for start in rows.STARTS:
        scores = {loss: results.score(rows.cells(start, loss)) for loss in rows.CELL_LOSSES}
        aps = ", ".join(f"{kinds[loss]} {score}" for loss, score in scores.items() if score)
        starts += [f"from {whose[start]}: {aps}"] if aps else []
    if not starts:
        return ""
    ratio = imbalance.inspected(rows.cells("random", "focal")).imbalance
    steps = results.known[rows.cells("random", "focal")].training.iterations
    return (
        f"On photographs of blood cells, {ratio:.0f} background anchors for each positive one, AP after {steps} steps "
        f"{'; '.join(starts)}."
    )
