"""The loss of box regression (section 4.1), beside its gradient. Results have the floating type of the predictions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The smooth L1 loss of Fast R-CNN, which section 4.1 trains the box subnet with.

    With d = prediction - target it is d**2 / (2 beta) for |d| < beta and |d| - beta / 2 beyond.

    Args:
        predictions: any shape, floating; for boxes the offsets (tx, ty, tw, th), without unit.
        targets: the shape of predictions.
        beta: where the parabola meets the line, >= 0; 0 is the L1 loss.

    Returns:
        Losses >= 0 in the shape and type of predictions.

    Raises:
        ValueError: a number is NaN, the shapes differ, or beta is negative.

    >>> smooth_l1([0.5, 3.0], [0.0, 0.0])
    array([0.125, 2.5  ])
    """
    checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    size = np.abs(x.astype(np.float64) - t.astype(np.float64))
    near = np.minimum(size, beta)  # keeps the square from overflowing
    return np.where(size < beta, 0.5 * near * (near / (beta or 1)), size - 0.5 * beta).astype(x.dtype)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """The gradient of `smooth_l1` with respect to the predictions: d / beta for |d| < beta, the sign of d beyond.

    Args:
        predictions, targets, beta: as in `smooth_l1`.

    Returns:
        Derivatives in [-1, 1] in the shape and type of predictions.

    Raises:
        ValueError: as `smooth_l1`.

    >>> smooth_l1_grad([0.5, 3.0], [0.0, 0.0])
    array([0.5, 1. ])
    """
    checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    d = x.astype(np.float64) - t.astype(np.float64)
    return np.where(np.abs(d) < beta, d / (beta or 1), np.sign(d)).astype(x.dtype)
