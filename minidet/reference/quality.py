"""Losses for soft targets, each beside its derivatives: a target says how well a box fits, not only that it is one.

Detectors after RetinaNet train the score to be the IoU of the predicted box, so that a target y lies anywhere in 0 … 1.
The cross entropy takes such a target as it is. With s = sigmoid(x), its complement p = sigmoid(-x) and v = s p:

    L = y softplus(-x) + (1 - y) softplus(x)      dL/dx = s - y = d      dd/dx = v      dv/dx = v (p - s)

d is computed as (1 - y) s - y p: for y = 0 and y = 1 one term is left, with all its digits; between, the two cancel
where the score is right, which lies in the nature of the matter.

Logits may be +-inf: a value is then 0 or inf, a derivative its limit. Results have the shape and floating type of the
logits. All raise ValueError for NaN logits, targets outside [0, 1] or of another shape, parameters out of range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidet import checks
from minidet.reference.stable import finite, sigmoid, softplus, weighted


def quality_focal_loss(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The quality focal loss, QFL = |y - s|**beta L (Li et al., Generalized Focal Loss, 2020, equation 5).

    Args:
        logits: any shape, floating.
        targets: the quality y in [0, 1], the shape of logits; at 0 and 1 this is the focal loss without alpha.
        beta: focusing parameter, >= 0; 0 is the cross entropy.

    Returns:
        Losses >= 0 in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target lies outside [0, 1], beta is out of range, or the shapes differ.

    >>> quality_focal_loss([0.0, 0.0, 4.0], [0.5, 1.0, 1.0]).round(6)
    array([0.00000e+00, 1.73287e-01, 6.00000e-06])
    """
    checks.number("beta", beta, low=0)
    q = qualities(logits, targets)
    return weighted(q.size**beta, q.loss()).astype(q.dtype)


def quality_focal_loss_grad(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The derivative d QFL / d x = sign(d) |d|**beta (|d| + beta r L), with r = v / |d|.

    Args:
        logits, targets, beta: as in `quality_focal_loss`.

    Returns:
        Derivatives in the shape and type of logits; 0 where the score is right, a kink for beta <= 1 included.

    Raises:
        ValueError: as `quality_focal_loss`.
    """
    checks.number("beta", beta, low=0)
    q = qualities(logits, targets).bounded()
    return (np.sign(q.d) * q.size**beta * (q.size + beta * q.ratio * q.loss())).astype(q.dtype)


def quality_focal_loss_hess(logits: ArrayLike, targets: ArrayLike, beta: float = 2.0) -> np.ndarray:
    """The second derivative, |d|**beta ((2 beta + 1) v + beta r L ((beta - 1) r + sign(d) (p - s))), with r = v / |d|.

    Args:
        logits, targets, beta: as in `quality_focal_loss`.

    Returns:
        Second derivatives in the shape and type of logits. Where the score is right, d = 0, there is none for beta
        between 0 and 2, and 0 is returned.

    Raises:
        ValueError: as `quality_focal_loss`.
    """
    checks.number("beta", beta, low=0)
    q = qualities(logits, targets).bounded()
    bend = (beta - 1) * q.ratio + np.sign(q.d) * (q.p - q.s)
    value = q.size**beta * ((2 * beta + 1) * q.v + beta * (q.ratio * q.loss()) * bend)
    if beta == 2:
        value = np.where(q.size > 0, value, 2 * q.v * (q.v * q.loss()))  # |d|**2 r**2 is v**2
    return value.astype(q.dtype)


def varifocal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The varifocal loss (Zhang et al., VarifocalNet, 2021, equation 2).

    An object of quality q > 0 has q L with the target q: nothing weakens it. Background, q = 0, has the focal loss
    alpha s**gamma softplus(x): only the negatives are focused.

    Args:
        logits: any shape, floating.
        targets: the quality q in [0, 1], 0 for background, the shape of logits.
        gamma: focusing parameter of the background, >= 0.
        alpha: weight of the background in [0, 1].

    Returns:
        Losses >= 0 in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target lies outside [0, 1], a parameter is out of range, or the shapes differ.

    >>> varifocal_loss([0.0, 0.0], [1.0, 0.0]).round(6)
    array([0.693147, 0.129965])
    """
    checks.gamma_alpha(gamma, alpha)
    q = qualities(logits, targets)
    background = weighted(np.full(q.s.shape, alpha), q.s**gamma * softplus(q.x))
    return np.where(q.y > 0, weighted(q.y, q.loss()), background).astype(q.dtype)


def varifocal_loss_grad(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The derivative d VFL / d x: q d for an object, alpha s**gamma (gamma p softplus(x) + s) for background.

    Args:
        logits, targets, gamma, alpha: as in `varifocal_loss`.

    Returns:
        Derivatives in the shape and type of logits.

    Raises:
        ValueError: as `varifocal_loss`.
    """
    checks.gamma_alpha(gamma, alpha)
    q = qualities(logits, targets).bounded()
    background = alpha * q.s**gamma * (gamma * (q.p * softplus(q.x)) + q.s)
    return np.where(q.y > 0, q.y * q.d, background).astype(q.dtype)


def varifocal_loss_hess(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float = 0.75) -> np.ndarray:
    """The second derivative d2 VFL / d x2: q v for an object, that of the focal loss for background.

    Args:
        logits, targets, gamma, alpha: as in `varifocal_loss`.

    Returns:
        Second derivatives in the shape and type of logits.

    Raises:
        ValueError: as `varifocal_loss`.
    """
    checks.gamma_alpha(gamma, alpha)
    q = qualities(logits, targets).bounded()
    slope = gamma * (q.p * softplus(q.x)) * (gamma * q.p - q.s) + (2 * gamma + 1) * q.p * q.s
    return np.where(q.y > 0, q.y * q.v, alpha * q.s**gamma * slope).astype(q.dtype)


class Qualities(NamedTuple):
    """What the formulas for soft targets are written in, one float64 per logit."""

    x: np.ndarray
    y: np.ndarray  # the target
    dtype: DTypeLike  # of the logits, and of the results

    @property
    def s(self) -> np.ndarray:
        """The score, sigmoid(x)."""
        return sigmoid(self.x)

    @property
    def p(self) -> np.ndarray:
        """Its complement, sigmoid(-x)."""
        return sigmoid(-self.x)

    @property
    def v(self) -> np.ndarray:
        """The slope of the score, s p."""
        return self.s * self.p

    @property
    def d(self) -> np.ndarray:
        """Score minus target."""
        return (1 - self.y) * self.s - self.y * self.p

    @property
    def size(self) -> np.ndarray:
        """How wrong the score is, |d|."""
        return np.abs(self.d)

    @property
    def ratio(self) -> np.ndarray:
        """r = v / |d|, and 0 where d is."""
        return np.divide(self.v, self.size, where=self.size > 0, out=np.zeros_like(self.s))

    def loss(self) -> np.ndarray:
        """The cross entropy L with the soft target."""
        return weighted(self.y, softplus(-self.x)) + weighted(1 - self.y, softplus(self.x))

    def bounded(self) -> Qualities:
        """The same with finite logits, for derivatives."""
        return self._replace(x=finite(self.x))


def qualities(logits: ArrayLike, targets: ArrayLike) -> Qualities:
    """The arguments of a loss for soft targets, checked, as what its formula is written in."""
    x, y = checks.soft(logits, targets)
    return Qualities(x.astype(np.float64), y.astype(np.float64), x.dtype)
