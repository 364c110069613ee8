"""The focal loss over exclusive classes (a footnote of section 3), beside its gradient.

Notation, as in `losses`: with y the label and u = log(sum of exp(x_j), j != y) - x_y it is the binary loss,

    -log p_y = softplus(u)        1 - p_y = sigmoid(u)        du/dx_y = -1        du/dx_j = softmax among the others

Subtracting the logits rounds; `lost` is what rounding lost of u.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidet import checks
from minidet.reference.stable import finite, sigmoid, softplus, two_sum, weighted


def softmax_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The focal loss over K exclusive classes: -alpha_y (1 - p_y)**gamma log p_y, p the softmax of the logits.

    Args:
        logits: (N, K), finite.
        labels: (N,) integers y in 0 … K-1.
        gamma: focusing parameter, >= 0; 0 is the cross entropy.
        alpha: None, one weight, or (K,) weights of the classes; each >= 0.

    Returns:
        (N,) losses >= 0 in the type of logits.

    Raises:
        ValueError: a logit is not finite, a label is no class, a parameter is out of range, or the shapes differ.

    >>> softmax_focal_loss([[0.0, 0.0], [50.0, 0.0]], [0, 0], gamma=0)
    array([6.93147181e-01, 1.92874985e-22])
    """
    checks.gamma(gamma)
    e = _examples(logits, labels, alpha)
    loss = sigmoid(e.u, e.lost) ** gamma * softplus(e.u, e.lost)  # (N,)
    return weighted(e.alpha_y, loss).astype(e.dtype)


def softmax_focal_loss_grad(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The gradient of `softmax_focal_loss`: alpha_y s**gamma (gamma p L + s) du/dx_j, s, p and L those of `losses`.

    Args:
        logits, labels, gamma, alpha: as in `softmax_focal_loss`.

    Returns:
        (N, K) derivatives in the type of logits; each row adds up to 0.

    Raises:
        ValueError: as `softmax_focal_loss`.

    >>> softmax_focal_loss_grad([[0.0, 0.0]], [0], gamma=0)
    array([[-0.5,  0.5]])
    """
    checks.gamma(gamma)
    e = _examples(logits, labels, alpha)
    u, lost = finite(e.u), e.lost
    s, p, loss = sigmoid(u, lost), sigmoid(-u, -lost), softplus(u, lost)
    slope = s**gamma * (gamma * (p * loss) + s)  # (N,)
    return weighted(e.alpha_y[:, None], slope[:, None] * e.du_dx).astype(e.dtype)


class _Examples(NamedTuple):
    """What the formulas are written in."""

    u: np.ndarray  # (N,)
    lost: np.ndarray  # (N,)
    du_dx: np.ndarray  # (N, K)
    alpha_y: np.ndarray  # (N,)
    dtype: DTypeLike


def _examples(logits: ArrayLike, labels: ArrayLike, alpha: ArrayLike | None) -> _Examples:
    x, label, class_weight = checks.softmax(logits, labels, alpha)
    rows, wide = np.arange(len(x)), np.clip(x.astype(np.float64), -1e300, 1e300)  # room for differences
    others = np.ones(x.shape, bool)
    others[rows, label] = False
    peak = wide.max(axis=1, where=others, initial=-1e300)  # (N,); with one class there is no other
    difference, lost = two_sum(wide, -peak[:, None])
    shares = np.where(others, np.exp(np.minimum(difference, 0)) * (1 + lost), 0)  # (N, K)
    total = np.maximum(shares.sum(axis=1), 1)  # the peak itself is a 1
    u, lost_1 = two_sum(peak, -wide[rows, label])
    u, lost_2 = two_sum(u, np.log(total))
    du_dx = np.where(others, shares / total[:, None], -1)
    return _Examples(u, lost_1 + lost_2, du_dx, class_weight[label], x.dtype)
