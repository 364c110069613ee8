"""A run beside the committed one that it repeats."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidet.experiments.results import RESULTS, Results, recorded
from minidet.experiments.student import quantile

MEASURED = ("metrics", "curve", "diverged_at")
"""What a run that is repeated exactly has in common with the first one."""
CIRCUMSTANCES = ("threads", "device", "gpu", "precision", "backbone", "versions", "commit")
"""Why it may not."""
AGAIN = RESULTS / "again"
"""Second runs of some rows, by their command, which are kept to be compared and count for nothing else."""


def repeated(results: Results, folder: Path = AGAIN) -> dict[tuple[str, int], bool]:
    """Which runs are there twice, and whether they are identical.

    Args:
        results: the runs.
        folder: where the second runs are.

    Returns:
        By name and seed, for those whose configuration is the same as that of a run of the results.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        again = json.loads(path.read_bytes())
        first = results.by_identity.get(recorded(again).identity, {}).get(again["seed"])
        if first is not None:
            found[again["name"], again["seed"]] = _same(first, again)
    return found


def _same(first: Mapping[str, Any], again: Mapping[str, Any]) -> bool:
    return all(again[key] == first[key] for key in MEASURED)


def compared(before: Results, name: str, seed: int, again: Mapping[str, Any]) -> str:
    """A run beside the committed ones of its configuration, in words.

    Args:
        before: the committed runs.
        name: name of the experiment.
        seed: seed of the run.
        again: the run.

    Returns:
        "identical" where every metric and every point of the loss curve are equal to the committed ones; else what
        differs, and whether the AP lies where 95 % of new seeds would.
    """
    ap, score = 100 * again["metrics"]["AP"], before.score(name)
    first = before.of(name).get(seed)
    if first is not None and _same(first, again):
        return f"AP {ap:.2f}, identical: every metric and the whole loss curve are those of the committed run"
    told = f"AP {ap:.2f}"
    if first is not None:
        other = [key for key in CIRCUMSTANCES if again.get(key) != first.get(key)]
        because = f" (other {', '.join(other)})" if other else ""
        told += f", not identical: the committed run has {100 * first['metrics']['AP']:.2f}{because}"
    if score is None:
        return f"{told}; no committed run to compare it with"
    if score.n < 2:
        return f"{told}; the spread is unknown, one seed being committed"
    half = quantile(0.025, score.n - 1) * score.deviation * math.sqrt(1 + 1 / score.n)
    where = "within" if abs(ap - score.mean) <= half else "OUTSIDE"
    return (
        f"{told}; {where} {score.mean:.2f} ± {half:.2f}, where 95 % of new seeds lie according to {score.n} committed"
    )
