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

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from minidet import checks
from minidet.structures import IGNORED


def cross_entropy(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """Equations 1 to 3: CE = -alpha_t log p_t = alpha_t L.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1.
    """
    u, _, alpha_t, dtype = _open(logits, targets, 0, alpha)
    return _close(alpha_t, _softplus(u), dtype)


def cross_entropy_grad(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """d CE / d x = alpha_t s du/dx, appendix B: y (p_t - 1)."""
    u, slope, alpha_t, dtype = _open(logits, targets, 0, alpha)
    return _close(alpha_t, slope * _sigmoid(u), dtype)


def cross_entropy_hess(logits: ArrayLike, targets: ArrayLike, alpha: float | None = None) -> np.ndarray:
    """d2 CE / d x2 = alpha_t s p; (du/dx)**2 = 1."""
    u, _, alpha_t, dtype = _open(logits, targets, 0, alpha)
    return _close(alpha_t, _sigmoid(u) * _sigmoid(-u), dtype)


def focal_loss(logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25) -> np.ndarray:
    """Equations 4 and 5: FL = -alpha_t (1 - p_t)**gamma log p_t = alpha_t s**gamma L.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        gamma: focusing parameter, >= 0; 0 is the cross entropy.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1 (equation 4).

    >>> focal_loss(np.zeros(1), np.ones(1), alpha=None) == cross_entropy(np.zeros(1), np.ones(1)) / 4
    array([ True])
    """
    u, _, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    return _close(alpha_t, _focal(u, gamma), dtype)


def focal_loss_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """d FL / d x = alpha_t s**gamma (gamma p L + s) du/dx.

    Appendix B writes it y (1 - p_t)**gamma (gamma p_t log p_t + p_t - 1); both terms have the same sign.
    """
    u, slope, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    return _close(alpha_t, slope * _focal_slope(u, gamma), dtype)


def focal_loss_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> np.ndarray:
    """d2 FL / d x2 = alpha_t s**gamma p (gamma L (gamma p - s) + (2 gamma + 1) s).

    Negative for hopeless examples: FL is not convex in x.
    """
    u, _, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    u = _finite(u)
    s, p = _sigmoid(u), _sigmoid(-u)
    p_loss = p * _softplus(u)
    return _close(alpha_t, s**gamma * (gamma * p_loss * (gamma * p - s) + (2 * gamma + 1) * p * s), dtype)


def focal_loss_star(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """Equations 7 and 8: FL* = -log(p*_t) / gamma with p*_t = sigmoid(gamma x_t + beta), times alpha_t.

    With v = -(gamma x_t + beta): FL* = softplus(v) / gamma = max(u - beta / gamma, 0) + log1p(exp(-|v|)) / gamma.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        gamma: steepness, > 0.
        beta: shift.
        alpha: weight of the objects in [0, 1], 1 - alpha that of the background; None: both 1.
    """
    u, _, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    v, lost = _star_argument(u, gamma, beta)
    return _close(alpha_t, np.maximum(u - beta / gamma, 0) + np.log1p(_decay(v, lost)) / gamma, dtype)


def focal_loss_star_grad(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """d FL* / d x = alpha_t (1 - p*_t) du/dx = alpha_t sigmoid(v) du/dx, appendix B: y (p*_t - 1)."""
    u, slope, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    v, lost = _star_argument(u, gamma, beta)
    return _close(alpha_t, slope * _sigmoid(v, lost), dtype)


def focal_loss_star_hess(
    logits: ArrayLike, targets: ArrayLike, gamma: float = 2.0, beta: float = 1.0, alpha: float | None = None
) -> np.ndarray:
    """d2 FL* / d x2 = alpha_t gamma p*_t (1 - p*_t)."""
    u, _, alpha_t, dtype = _open(logits, targets, gamma, alpha)
    v, lost = _star_argument(u, gamma, beta)
    return _close(alpha_t, gamma * _sigmoid(v, lost) * _sigmoid(-v, -lost), dtype)


def hinge_loss(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """Section 5.1: max(0, margin - p_t), which ignores examples above the margin altogether.

    Args:
        logits: any shape, floating.
        targets: 0 or 1, the shape of logits.
        margin: in [0, 1].
    """
    checks.number("margin", margin, low=0, high=1)
    u, _, alpha_t, dtype = _open(logits, targets, 0, None)
    return _close(alpha_t, np.maximum(0, margin - _sigmoid(-u)), dtype)


def hinge_loss_grad(logits: ArrayLike, targets: ArrayLike, margin: float = 0.5) -> np.ndarray:
    """d hinge / d x = s p du/dx where p_t < margin, else 0."""
    checks.number("margin", margin, low=0, high=1)
    u, slope, alpha_t, dtype = _open(logits, targets, 0, None)
    p = _sigmoid(-u)
    return _close(alpha_t, np.where(p < margin, slope * _sigmoid(u) * p, 0), dtype)


def softmax_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """The focal loss over K exclusive classes (footnote of section 3): -alpha_y (1 - p_y)**gamma log p_y.

    With u = log(sum of exp(x_j), j != y) - x_y it is the binary loss: p_y = sigmoid(-u).

    Args:
        logits: (N, K), finite; p is their softmax.
        labels: (N,) integers in 0 … K-1.
        gamma: focusing parameter, >= 0.
        alpha: None, one weight, or (K,) weights of the classes; each >= 0.

    Returns:
        (N,) losses.
    """
    u, lost, _, weight, dtype = _open_softmax(logits, labels, gamma, alpha)
    return _close(weight, _focal(u, gamma, lost), dtype)


def softmax_focal_loss_grad(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: ArrayLike | None = None
) -> np.ndarray:
    """(N, K): dF/du du/dx_j with du/dx_y = -1 and du/dx_j = the softmax among the classes other than y."""
    u, lost, slope, weight, dtype = _open_softmax(logits, labels, gamma, alpha)
    return _close(weight[:, None], slope * _focal_slope(u, gamma, lost)[:, None], dtype)


def smooth_l1(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """Box regression's loss (section 4.1): d**2 / (2 beta) for |d| < beta, |d| - beta / 2 beyond.

    Args:
        predictions: any shape, floating.
        targets: the shape of predictions.
        beta: where the parabola meets the line, >= 0; 0 is the L1 loss.
    """
    d, dtype = _difference(predictions, targets, beta)
    size = np.abs(d)
    near = np.minimum(size, beta)  # keeps the square from overflowing
    return np.where(size < beta, 0.5 * near * (near / (beta or 1)), size - 0.5 * beta).astype(dtype)


def smooth_l1_grad(predictions: ArrayLike, targets: ArrayLike, beta: float = 1.0) -> np.ndarray:
    """With respect to the predictions: d / beta for |d| < beta, the sign of d beyond."""
    d, dtype = _difference(predictions, targets, beta)
    return np.where(np.abs(d) < beta, d / (beta or 1), np.sign(d)).astype(dtype)


def dense_focal_loss(
    logits: ArrayLike, labels: ArrayLike, gamma: float = 2.0, alpha: float | None = 0.25
) -> tuple[np.floating, np.ndarray]:
    """The focal loss of an image and its gradient (section 4.1, "Focal Loss").

    The sum over anchors and classes, ignored anchors left out, divided by the number of anchors assigned to a
    ground-truth box (by 1 when there is none), not by all anchors: nearly all are easy and contribute next to nothing.

    Args:
        logits: (N, K), one sigmoid an anchor and class.
        labels: (N,) integers: a class in 0 … K-1, -1 background, -2 ignored.
        gamma, alpha: as in `focal_loss`.

    Returns:
        The loss, a scalar, and its gradient with respect to the logits, (N, K).
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


def _focal(u: np.ndarray, gamma: float, lost: ArrayLike = 0.0) -> np.ndarray:
    return _sigmoid(u, lost) ** gamma * _softplus(u, lost)


def _focal_slope(u: np.ndarray, gamma: float, lost: ArrayLike = 0.0) -> np.ndarray:
    """d FL / d u."""
    u = _finite(u)
    s, p = _sigmoid(u, lost), _sigmoid(-u, np.negative(lost))
    return s**gamma * (gamma * (p * _softplus(u, lost)) + s)


def _decay(v: np.ndarray, lost: ArrayLike = 0.0) -> np.ndarray:
    """exp(-|v + lost|), where `lost` is the small part of a sum that did not fit into v."""
    return np.exp(-np.abs(v)) * (1 - np.sign(v) * lost)


def _softplus(v: np.ndarray, lost: ArrayLike = 0.0) -> np.ndarray:
    """log(1 + exp(v + lost))."""
    return np.maximum(v, 0) + np.log1p(_decay(v, lost))


def _sigmoid(v: np.ndarray, lost: ArrayLike = 0.0) -> np.ndarray:
    """1 / (1 + exp(-(v + lost)))."""
    e = _decay(v, lost)
    return np.where(v >= 0, 1, e) / (1 + e)


def _finite(u: np.ndarray) -> np.ndarray:
    """For derivatives: their limits at +-inf are their values at the largest finite number, where p L is 0."""
    return np.clip(u, -np.finfo(np.float64).max, np.finfo(np.float64).max)


def _star_argument(u: np.ndarray, gamma: float, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """v = gamma u - beta of FL*, and what rounding lost of it."""
    gamma, beta = checks.star(gamma, beta)
    u = np.clip(u, -1e150, 1e150)  # far beyond where exp(-|v|) is 0
    product, lost_product = _two_product(np.full_like(u, gamma), u)
    v, lost_sum = _two_sum(product, np.full_like(product, -beta))
    return v, lost_product + lost_sum


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a + b rounded, and exactly what rounding lost (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a * b rounded, and exactly what rounding lost (Dekker, by halves of 26 bits)."""
    product = a * b
    (a1, a2), (b1, b2) = _halves(a), _halves(b)
    return product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shifted = a * (2.0**27 + 1)
    high = shifted - (shifted - a)
    return high, a - high


def _open(
    logits: ArrayLike, targets: ArrayLike, gamma: float, alpha: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, DTypeLike]:
    """Checked arguments as u, du/dx, alpha_t and the type of the result."""
    checks.gamma_alpha(gamma, alpha)
    x, y = checks.binary(logits, targets)
    slope = np.where(y == 1, -1.0, 1.0)
    alpha_t = np.ones(x.shape) if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    return slope * x.astype(np.float64), slope, alpha_t, x.dtype


def _open_softmax(
    logits: ArrayLike, labels: ArrayLike, gamma: float, alpha: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, DTypeLike]:
    """Checked arguments as u (N,) and what rounding lost of it, du/dx (N, K), weights (N,) and the result's type."""
    checks.gamma(gamma)
    x, label, class_weight = checks.softmax(logits, labels, alpha)
    rows, wide = np.arange(len(x)), np.clip(x.astype(np.float64), -1e300, 1e300)  # room for differences
    x_y = wide[rows, label]
    others = np.ones(x.shape, bool)
    others[rows, label] = False
    peak = wide.max(axis=1, where=others, initial=-1e300)  # (N,); with one class there is no other
    difference, lost = _two_sum(wide, -peak[:, None])
    shares = np.where(others, np.exp(np.minimum(difference, 0)) * (1 + lost), 0)  # (N, K)
    total = np.maximum(shares.sum(axis=1), 1)  # the peak itself is a 1
    u, lost_1 = _two_sum(peak, -x_y)
    u, lost_2 = _two_sum(u, np.log(total))
    slope = np.where(others, shares / total[:, None], -1)
    return u, lost_1 + lost_2, slope, class_weight[label], x.dtype


def _difference(predictions: ArrayLike, targets: ArrayLike, beta: float) -> tuple[np.ndarray, DTypeLike]:
    checks.number("beta", beta, low=0)
    x, t = checks.predictions(predictions, targets)
    return x.astype(np.float64) - t.astype(np.float64), x.dtype


def _close(weight: np.ndarray, value: np.ndarray, dtype: DTypeLike) -> np.ndarray:
    """weight * value in the result's type; 0 where the weight is, an infinite value included."""
    value = np.multiply(weight, value, where=weight != 0, out=np.zeros_like(value))
    return value.astype(dtype)
