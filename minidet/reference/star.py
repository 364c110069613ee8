"""FL*, the paper's other form of the focal loss (appendix A), beside its gradient and second derivative.

Notation as in `losses`, and v = -(gamma x_t + beta) = gamma u - beta. Rounding v to float64 would cost the loss digits;
`lost` is what is lost of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.reference.losses import examples
from minidet.reference.stable import affine, decay, sigmoid


def focal_loss_star(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """The loss FL* = -log(p*_t) / gamma with p*_t = sigmoid(gamma x_t + beta), times alpha_t (equations 7 and 8).

    With v = -(gamma x_t + beta): FL* = softplus(v) / gamma = max(u - beta / gamma, 0) + log1p(exp(-|v|)) / gamma.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        gamma: steepness, > 0.
        beta: shift.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1.

    Returns:
        Losses >= 0 in the shape and type of logits.

    Raises:
        ValueError: a logit is NaN, a target is neither 0 nor 1, a parameter is out of range, or the shapes differ.
    """
    checks.star(gamma, beta)
    e = examples(logits, targets, alpha)
    v, lost = affine(gamma, e.u, -beta)
    return e.weighted(np.maximum(e.u - beta / gamma, 0) + np.log1p(decay(v, lost)) / gamma)


def focal_loss_star_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """The derivative d FL* / d x = alpha_t (1 - p*_t) du/dx = alpha_t sigmoid(v) du/dx; appendix B: y (p*_t - 1).

    Args:
        logits, targets, gamma, beta, alpha: as in `focal_loss_star`.

    Returns:
        Derivatives in [-1, 1] in the shape and type of logits.

    Raises:
        ValueError: as `focal_loss_star`.
    """
    checks.star(gamma, beta)
    e = examples(logits, targets, alpha)
    v, lost = affine(gamma, e.u, -beta)
    return e.weighted(sigmoid(v, lost) * e.du_dx)


def focal_loss_star_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """The second derivative d2 FL* / d x2 = alpha_t gamma p*_t (1 - p*_t).

    Args:
        logits, targets, gamma, beta, alpha: as in `focal_loss_star`.

    Returns:
        Second derivatives in [0, gamma / 4] in the shape and type of logits.

    Raises:
        ValueError: as `focal_loss_star`.
    """
    checks.star(gamma, beta)
    e = examples(logits, targets, alpha)
    v, lost = affine(gamma, e.u, -beta)
    return e.weighted(gamma * sigmoid(v, lost) * sigmoid(-v, -lost))
