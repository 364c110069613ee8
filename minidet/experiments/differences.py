"""The difference of two settings from few runs of each, with its error, and the correction for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from minidet.experiments.student import quantile, tail


@dataclass(frozen=True)
class Difference:
    """The difference of two means, with its error."""

    gain: float
    error: float
    """Standard error."""
    degrees: float
    """Degrees of freedom of the error; 0 where there is no error to tell."""

    def above(self, bound: float) -> float:
        """Probability of so large a gain, or a larger one, if the true one were at most ``bound``."""
        if not self.degrees:
            return 1.0
        distance = self.gain - bound
        if self.error == 0:
            return 0.0 if distance > 0 else 1.0
        return tail(distance / self.error, self.degrees)

    def below(self, bound: float) -> float:
        """Probability of so small a gain, or a smaller one, if the true one were at least ``bound``."""
        return replace(self, gain=-self.gain).above(-bound)

    def with_error(self, error: float) -> Difference:
        """The same difference with a further source of error, whose size is known well.

        Args:
            error: standard error, at least 0, independent of the one that is there.
        """
        total = math.hypot(self.error, error)
        if not self.degrees or not total:
            return self
        degrees = self.degrees * (total / self.error) ** 4 if self.error else math.inf  # Welch and Satterthwaite
        return replace(self, error=total, degrees=min(degrees, 1e6))

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval; NaN where there is no error to tell."""
        return quantile(0.025, self.degrees) * self.error if self.degrees else math.nan

    def __str__(self) -> str:
        if not self.degrees:
            return f"{self.gain:+.1f}"
        return f"{self.gain:+.1f} [{self.gain - self.half:+.1f}, {self.gain + self.half:+.1f}]"


def difference(
    first: Sequence[float], second: Sequence[float], paired: bool, fraction: float = 1.0
) -> Difference:  # fmt: skip
    """The mean of ``first`` minus a fraction of the mean of ``second``.

    Args:
        first: one value per seed, at least one.
        second: one value per seed, at least one.
        paired: whether the values are of the same seeds, in the same order.
        fraction: factor of ``second``; 1 for the plain difference.

    Returns:
        The difference; its error is of the paired differences, else Welch's, or with a single value on one side
        Student's, from the deviation of the other side.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if paired and len(a) > 1:
        gains = a - fraction * b
        return Difference(float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(len(a)), len(a) - 1)
    gain = float(a.mean() - fraction * b.mean())
    if min(len(a), len(b)) == 1:
        several = a if len(a) > 1 else b
        if len(several) == 1:
            return Difference(gain, math.nan, 0)
        error = float(several.std(ddof=1)) * math.sqrt(1 / len(a) + fraction**2 / len(b))
        return Difference(gain, error, len(several) - 1)
    parts = np.array([a.var(ddof=1) / len(a), fraction**2 * b.var(ddof=1) / len(b)])
    if not parts.sum():
        return Difference(gain, 0.0, len(a) + len(b) - 2)
    degrees = float(parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum())
    return Difference(gain, math.sqrt(parts.sum()), degrees)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Probabilities corrected for their number by Holm's method.

    Args:
        probabilities: from 0 to 1.

    Returns:
        The corrected ones, in the same order: at most 1, and none below its own.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, largest = [0.0] * len(probabilities), 0.0
    for rank, i in enumerate(sorted(range(len(probabilities)), key=lambda i: probabilities[i])):
        largest = max(largest, min(1.0, (len(probabilities) - rank) * probabilities[i]))
        corrected[i] = largest
    return corrected
