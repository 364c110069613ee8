"""Two experiments beside each other: what their difference is, and how much of its error comes from where."""

from __future__ import annotations

import numpy as np

from minidet.experiments.differences import Difference, difference
from minidet.experiments.results import Results


def aps(results: Results, a: str, b: str, where: str = "metrics") -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    """The APs of two experiments, and whether run can be compared with run.

    Args:
        results: the runs.
        a: name of an experiment.
        b: name of another one.
        where: where runs keep them; "metrics_at_0" for those of detections of every score.

    Returns:
        The APs of each in percent, by seed, and whether they are of the same seeds.
    """
    of_a, of_b = results.of(a), results.of(b)
    first, second = (tuple(100 * run[where]["AP"] for run in runs.values()) for runs in (of_a, of_b))
    return first, second, list(of_a) == list(of_b)


def between(results: Results, a: str, b: str, fraction: float = 1.0, where: str = "metrics") -> Difference:
    """The difference of two experiments, with the error of the seeds and, where it was measured, of the images.

    Args:
        results: the runs, at least one of each.
        a: name of an experiment.
        b: name of the experiment that A is compared with.
        fraction: factor of B's mean AP.
        where: as in `aps`; the error of the images was measured for "metrics", and stands for that of the others.

    Returns:
        The difference in points of AP.
    """
    gain = difference(*aps(results, a, b, where), fraction)
    return gain.with_error(images_error(results, a, b, fraction) or 0.0)


def told(results: Results, a: str, b: str, first: str, second: str, where: str = "metrics") -> str:
    """What the runs say about two settings, in a sentence that claims no more than their interval of 95 % allows.

    Args:
        results: the runs, at least one of each.
        a: name of an experiment.
        b: name of the experiment that A is compared with.
        first: what to call A, at the beginning of the sentence.
        second: what to call B.
        where: as in `between`.

    Returns:
        A sentence without its full stop.
    """
    gain, of_a, of_b = between(results, a, b, where=where), results.of(a), results.of(b)
    if not gain.degrees:
        return f"{first} is {gain.gain:+.1f} points of AP from {second}, with one run of each"
    runs = f"{len(of_a)} and {len(of_b)} runs" if len(of_a) != len(of_b) else f"{len(of_a)} runs of each"
    points = f"{abs(gain.gain):.1f} points of AP"
    if abs(gain.gain) <= gain.half:
        return f"{first} and {second} cannot be told apart: {gain} points of AP, {runs}"
    side = "ahead of" if gain.gain > 0 else "behind"
    return f"{first} is {side} {second} by {points} ({gain}; {runs})"


def images_error(results: Results, a: str, b: str, fraction: float = 1.0) -> float | None:
    """Standard error of the difference of two mean APs that comes from the images, not from the seeds.

    Args:
        results: the runs.
        a: name of an experiment.
        b: name of the experiment that A is compared with.
        fraction: factor of B's mean AP.

    Returns:
        Points of AP, from the runs' APs on the same resampled images; None where a run has none.
    """
    means = [resampled(results, name) for name in (a, b)]
    if means[0] is None or means[1] is None or len(means[0]) != len(means[1]):
        return None
    return float(np.std(means[0] - fraction * means[1], ddof=1))


def resampled(results: Results, name: str) -> np.ndarray | None:
    """The mean AP of an experiment's runs on resampled images.

    Args:
        results: the runs.
        name: of an experiment.

    Returns:
        (replicates,) percent; None where a run has none.
    """
    runs = [run.get("resampled_AP") or [] for run in results.of(name).values()]
    if not runs or not runs[0] or len({len(one) for one in runs}) > 1:
        return None
    return np.asarray(100 * np.mean(runs, axis=0))
