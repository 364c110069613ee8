"""The normalisations among the layers, each beside its gradient, derived by hand.

All three standardise, z = (x - mean) / s with s = sqrt(var + eps), then scale and shift every channel, y = weight z +
bias. They differ in where mean and var come from: the batch, an earlier training, or the channel's group. Notation,
types and errors are those of ``minidet.reference.layers``, from which they can be imported too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks


def batch_norm(x: ArrayLike, weight: ArrayLike, bias: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """Batch normalisation in training: every channel standardised over the whole batch, then scaled and shifted.

    y = weight (x - mean) / sqrt(var + eps) + bias, mean and var (divided by n) over the n = B H W values of the channel
    (Ioffe and Szegedy, 2015). In inference, averages of them over the training take their place: `frozen_batch_norm`.

    Args:
        x: (B, C, H, W), floating, with at least two values per channel.
        weight, bias: (C,).
        eps: added to the variance, >= 0.

    Returns:
        (B, C, H, W).
    """
    return _affine(_standardised(_open_batch(x), (0, 2, 3), eps)[0], weight, bias)


def batch_norm_grad(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x, weight and bias.

    With z = (x - mean) / s and s = sqrt(var + eps), y = weight z + bias gives grad_weight = sum of grad z and
    grad_bias = sum of grad over the channel, and g = weight grad goes to z. Every x moves its own z, and all of them
    through the mean and s: d mean / d x[j] = 1 / n and d s / d x[j] = z[j] / n, so that
    d z[i] / d x[j] = ((i = j) - 1 / n - z[i] z[j] / n) / s. Summed with g[i]:
    grad_x = (g - mean of g - z mean of (g z)) / s. Whatever would only shift or stretch x is taken out of g.
    """
    z, s = _standardised(_open_batch(x), (0, 2, 3), eps)
    g, grad_weight, grad_bias = _affine_grad(grad, z, weight)
    return _standardised_grad(g, z, s, (0, 2, 3)), grad_weight, grad_bias


def frozen_batch_norm(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike, mean: ArrayLike, var: ArrayLike, eps: float = 1e-5
) -> np.ndarray:
    """Batch normalisation with given statistics, a fixed map: y = weight (x - mean) / sqrt(var + eps) + bias.

    Args:
        x: (B, C, H, W), floating.
        weight, bias, mean, var: (C,).
        eps: added to the variance, >= 0.

    Returns:
        (B, C, H, W).
    """
    x = checks.layers.feature_map("x", x)
    mean = checks.layers.vector("mean", mean, x.shape[1])
    scale = _frozen_scale(weight, var, eps, x.shape[1])
    return _affine(x - mean[:, None, None], scale, bias)


def frozen_batch_norm_grad(grad: ArrayLike, weight: ArrayLike, var: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """The gradient of x, grad weight / sqrt(var + eps): the rest is not trained."""
    grad = checks.layers.feature_map("grad", grad)
    return grad * _frozen_scale(weight, var, eps, grad.shape[1])[:, None, None]


def group_norm(x: ArrayLike, groups: int, weight: ArrayLike, bias: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """Group normalisation: each image's channels in equal groups, each group standardised by itself.

    The formula of `batch_norm` with mean and var over the C H W / groups values of a group of one image, so that the
    other images do not matter (Wu and He, 2018). weight and bias are still the channel's.

    Args:
        x: (B, C, H, W), floating.
        groups: a divisor of C.
        weight, bias: (C,).
        eps: added to the variance, >= 0.

    Returns:
        (B, C, H, W).
    """
    x = checks.layers.feature_map("x", x)
    return _affine(_standardised(_grouped(x, groups), (2, 3, 4), eps)[0].reshape(x.shape), weight, bias)


def group_norm_grad(
    grad: ArrayLike, x: ArrayLike, groups: int, weight: ArrayLike, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x, weight and bias: as `batch_norm_grad` has them, the means in grad_x being the group's."""
    x = checks.layers.feature_map("x", x)
    z, s = _standardised(_grouped(x, groups), (2, 3, 4), eps)  # (B, groups, C / groups, H, W), (B, groups, 1, 1, 1)
    g, grad_weight, grad_bias = _affine_grad(grad, z.reshape(x.shape), weight)
    return _standardised_grad(g.reshape(z.shape), z, s, (2, 3, 4)).reshape(x.shape), grad_weight, grad_bias


def _standardised(x: np.ndarray, axes: tuple[int, ...], eps: float) -> tuple[np.ndarray, np.ndarray]:
    """(x - mean) / s and s = sqrt(var + eps), over some axes."""
    checks.number("eps", eps, low=0)
    difference = x - x.mean(axis=axes, keepdims=True)
    s = np.sqrt((difference * difference).mean(axis=axes, keepdims=True) + eps)
    return difference / s, s


def _standardised_grad(g: np.ndarray, z: np.ndarray, s: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return (g - g.mean(axis=axes, keepdims=True) - z * (g * z).mean(axis=axes, keepdims=True)) / s


def _affine(z: np.ndarray, weight: ArrayLike, bias: ArrayLike) -> np.ndarray:
    weight, bias = (checks.layers.vector(n, v, z.shape[1]) for n, v in (("weight", weight), ("bias", bias)))
    return z * weight[:, None, None] + bias[:, None, None]


def _affine_grad(grad: ArrayLike, z: np.ndarray, weight: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of z, weight and bias."""
    grad, weight = checks.layers.feature_map("grad", grad, z.shape), checks.layers.vector("weight", weight, z.shape[1])
    return grad * weight[:, None, None], (grad * z).sum(axis=(0, 2, 3)), grad.sum(axis=(0, 2, 3))


def _frozen_scale(weight: ArrayLike, var: ArrayLike, eps: float, channels: int) -> np.ndarray:
    checks.number("eps", eps, low=0)
    return checks.layers.vector("weight", weight, channels) / np.sqrt(checks.layers.vector("var", var, channels) + eps)


def _open_batch(x: ArrayLike) -> np.ndarray:
    x = checks.layers.feature_map("x", x)
    checks.layers.batch_values(x.shape)
    return x


def _grouped(x: np.ndarray, groups: int) -> np.ndarray:
    """(B, groups, C / groups, H, W)."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, checks.layers.channel_groups(groups, channels), channels // groups, height, width)
