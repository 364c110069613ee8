"""The losses of the paper, each beside its gradient and second derivative, derived by hand.

Notation. A target is 1 (object) or 0 (background, the paper's y = -1). x_t is the logit x for an object and -x for
background (equation 6), p_t = sigmoid(x_t) (equation 2), and alpha_t is alpha for an object, 1 - alpha for background
(section 3.1). Everything is written with u = -x_t, because then no term cancels another:

    -log p_t = softplus(u) = L        1 - p_t = sigmoid(u) = s        p_t = sigmoid(-u) = p
    dL/du = s        ds/du = s p        dp/du = -s p        du/dx = -1 for an object, +1 for background

`1 - p` computed from a p near 1 has lost all its digits; sigmoid(u) has them all.

Logits may be +-inf: a value is then 0 or inf, a derivative its limit. Results have the shape and floating type of the
logits. All raise ValueError for NaN logits, targets that are not 0 or 1 or of another shape, parameters out of range.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidet import checks
from minidet.reference.stable import finite, sigmoid, softplus, weighted
from minidet.structures import IGNORED


def cross_entropy(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The cross entropy, CE = -alpha_t log p_t = alpha_t L (equations 1 to 3).

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1 (equation 1).

    Returns:
        Losses >= 0 in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target is neither 0 nor 1, alpha is out of range, or the shapes differ.

    >>> cross_entropy([0.0, 50.0], [1, 1])
    array([6.93147181e-01, 1.92874985e-22])
    """
    e = examples(logits, targets, alpha)
    return e.weighted(softplus(e.u))


def cross_entropy_grad(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The derivative d CE / d x = alpha_t s du/dx; appendix B writes it y (p_t - 1).

    Args:
        logits, targets, alpha: as in `cross_entropy`.

    Returns:
        Derivatives in [-1, 1] in the shape and type of logits.

    Raises:
        ValueError: as `cross_entropy`.
    """
    e = examples(logits, targets, alpha)
    return e.weighted(sigmoid(e.u) * e.du_dx)


def cross_entropy_hess(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """The second derivative d2 CE / d x2 = alpha_t s p, since (du/dx)**2 = 1.

    Args:
        logits, targets, alpha: as in `cross_entropy`.

    Returns:
        Second derivatives in [0, 1/4] in the shape and type of logits.

    Raises:
        ValueError: as `cross_entropy`.
    """
    e = examples(logits, targets, alpha)
    return e.weighted(sigmoid(e.u) * sigmoid(-e.u))


def focal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25) -> np.ndarray:
    """The focal loss, FL = -alpha_t (1 - p_t)**gamma log p_t = alpha_t s**gamma L (equations 4 and 5).

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        gamma: focusing parameter, >= 0; 0 is the cross entropy.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1 (equation 4).

    Returns:
        Losses >= 0 in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target is neither 0 nor 1, a parameter is out of range, or the shapes differ.

    >>> focal_loss(np.zeros(1), np.ones(1), alpha=None) == cross_entropy(np.zeros(1), np.ones(1)) / 4
    array([ True])
    """
    checks.gamma(gamma)
    e = examples(logits, targets, alpha)
    return e.weighted(sigmoid(e.u) ** gamma * softplus(e.u))


def focal_loss_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """The derivative d FL / d x = alpha_t s**gamma (gamma p L + s) du/dx.

    Appendix B writes it y (1 - p_t)**gamma (gamma p_t log p_t + p_t - 1); both terms have the same sign.

    Args:
        logits, targets, gamma, alpha: as in `focal_loss`.

    Returns:
        Derivatives in the shape and type of logits, <= 0 for an object and >= 0 for background.

    Raises:
        ValueError: as `focal_loss`.
    """
    checks.gamma(gamma)
    e = examples(logits, targets, alpha)
    u = finite(e.u)
    s, p, loss = sigmoid(u), sigmoid(-u), softplus(u)
    return e.weighted(s**gamma * (gamma * (p * loss) + s) * e.du_dx)


def focal_loss_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """The second derivative d2 FL / d x2 = alpha_t s**gamma p (gamma L (gamma p - s) + (2 gamma + 1) s).

    It is negative for hopeless examples: FL is not convex in x.

    Args:
        logits, targets, gamma, alpha: as in `focal_loss`.

    Returns:
        Second derivatives in the shape and type of logits.

    Raises:
        ValueError: as `focal_loss`.
    """
    checks.gamma(gamma)
    e = examples(logits, targets, alpha)
    u = finite(e.u)
    s, p, loss = sigmoid(u), sigmoid(-u), softplus(u)
    return e.weighted(s**gamma * (gamma * (p * loss) * (gamma * p - s) + (2 * gamma + 1) * p * s))


def hinge_loss(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """The hinge loss on probabilities, max(0, margin - p_t), which ignores examples above the margin (section 5.1).

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        margin: in [0, 1].

    Returns:
        Losses in [0, margin] in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target is neither 0 nor 1, margin is out of range, or the shapes differ.

    >>> hinge_loss([0.0, 0.0], [1, 0], margin=0.75)
    array([0.25, 0.25])
    """
    checks.number("margin", margin, low=0, high=1)
    e = examples(logits, targets)
    return e.weighted(np.maximum(0, margin - sigmoid(-e.u)))


def hinge_loss_grad(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """The derivative d hinge / d x = s p du/dx where p_t < margin, else 0.

    Args:
        logits, targets, margin: as in `hinge_loss`.

    Returns:
        Derivatives in [-1/4, 1/4] in the shape and type of logits.

    Raises:
        ValueError: as `hinge_loss`.
    """
    checks.number("margin", margin, low=0, high=1)
    e = examples(logits, targets)
    s, p = sigmoid(e.u), sigmoid(-e.u)
    return e.weighted(np.where(p < margin, s * p * e.du_dx, 0))


def dense_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> tuple[np.floating, np.ndarray]:
    """The focal loss of an image and its gradient (section 4.1, "Focal Loss").

    The sum over anchors and classes, ignored anchors left out, divided by the number of anchors assigned to a
    ground-truth box (by 1 when there is none), not by all anchors: nearly all are easy and contribute next to nothing.

    Args:
        logits: (N, K), one sigmoid per anchor and class.
        labels: (N,) integers: a class in 0 … K-1, -1 background, -2 ignored.
        gamma, alpha: as in `focal_loss`.

    Returns:
        The loss, a scalar, and its gradient with respect to the logits, (N, K), both in the type of logits.

    Raises:
        ValueError: a logit is NaN, a label or parameter is out of range, or the shapes do not fit.

    >>> dense_focal_loss(np.zeros((2, 1)), [0, -2], alpha=None)[1]
    array([[-0.2982868],
           [ 0.       ]])
    """
    x = checks.class_scores("logits", logits)
    n, k = x.shape
    label = checks.integers("labels", labels, n, of="anchors (rows of logits)", low=IGNORED, high=k - 1)
    targets = label[:, None] == np.arange(k)  # (N, K)
    used = label != IGNORED  # (N,)
    normaliser = max(1, int((label >= 0).sum()))
    wide = x[used].astype(np.float64)
    loss = focal_loss(wide, targets[used], gamma, alpha).sum() / normaliser
    grad = np.zeros((n, k), x.dtype)
    grad[used] = focal_loss_grad(wide, targets[used], gamma, alpha) / normaliser
    return x.dtype.type(loss), grad


class Examples(NamedTuple):
    """What the formulas of the binary losses are written in, one float64 per logit."""

    u: np.ndarray  # -x_t
    du_dx: np.ndarray  # -1 for an object, +1 for background
    alpha_t: np.ndarray
    dtype: DTypeLike  # of the logits, and of the results

    def weighted(self, value: np.ndarray) -> np.ndarray:
        """alpha_t times a loss or derivative, in the type of the logits."""
        return weighted(self.alpha_t, value).astype(self.dtype)


def examples(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> Examples:
    """The arguments of a binary loss, checked, as what its formula is written in."""
    checks.alpha(alpha)
    x, y = checks.binary(logits, targets)
    du_dx = np.where(y == 1, -1.0, 1.0)
    alpha_t = np.ones(x.shape) if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    return Examples(du_dx * x.astype(np.float64), du_dx, alpha_t, x.dtype)
