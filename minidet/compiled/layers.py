"""The layers of the network and their gradients in Numba. Contracts are those of `minidet.reference.layers`.

Inside, a map has its channels last, (B, H, W, C): then the channels of a pixel, which every layer reads together,
follow one another in memory. What goes in and comes out is (B, C, H, W) as everywhere, and what comes out is a view of
the other order, so that layers called one after the other copy nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled import convolution, normalisation, resampling
from minidet.compiled.arrays import native, wide

__all__ = [
    "conv2d", "conv2d_grad", "conv2d_grad_x", "conv2d_grad_weight",
    "relu", "relu_grad", "max_pool2d", "max_pool2d_grad", "upsample_nearest", "upsample_nearest_grad",
    "batch_norm", "batch_norm_grad", "frozen_batch_norm", "frozen_batch_norm_grad", "group_norm", "group_norm_grad",
]  # fmt: skip


def conv2d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """(B, O, H', W'). See `minidet.reference.layers.conv2d`."""
    x, filters, _ = _open_convolution(x, weight, stride, padding, groups)
    shift = None if bias is None else _vector("bias", bias, len(filters), x)
    return _first(convolution.correlate(_last(x), filters, shift, stride, padding, groups), x)


def conv2d_grad(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, weight and bias. See `minidet.reference.layers.conv2d_grad`."""
    x, filters, shape = _open_convolution(x, weight, stride, padding, groups)
    g, how = _last(checks.layers.feature_map("grad", grad, shape), x), (stride, padding, groups)
    inputs = _last(x)
    of_weight, of_bias = convolution.grad_filters(g, inputs, filters.shape[2], *how)
    of_x = convolution.grad_input(g, filters, inputs.shape, *how)
    return _first(of_x, x), of_weight.astype(x.dtype, copy=False), of_bias.astype(x.dtype, copy=False)


def conv2d_grad_x(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """The gradient of x alone. See `minidet.reference.layers.conv2d_grad_x`."""
    x, filters, shape = _open_convolution(x, weight, stride, padding, groups)
    g = _last(checks.layers.feature_map("grad", grad, shape), x)
    size = (len(x), *x.shape[2:], x.shape[1])
    return _first(convolution.grad_input(g, filters, size, stride, padding, groups), x)


def conv2d_grad_weight(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """The gradient of the weight alone. See `minidet.reference.layers.conv2d_grad_weight`."""
    x, filters, shape = _open_convolution(x, weight, stride, padding, groups)
    g = _last(checks.layers.feature_map("grad", grad, shape), x)
    of_weight, _ = convolution.grad_filters(g, _last(x), filters.shape[2], stride, padding, groups)
    return of_weight.astype(x.dtype, copy=False)


def relu(x: ArrayLike) -> np.ndarray:
    """max(x, 0). See `minidet.reference.layers.relu`."""
    x = checks.floats("x", x)
    return np.maximum(x, 0)  # one pass in NumPy too


def relu_grad(grad: ArrayLike, x: ArrayLike) -> np.ndarray:
    """grad where x > 0, else 0. See `minidet.reference.layers.relu_grad`."""
    x = checks.floats("x", x)
    return np.where(x > 0, checks.layers.gradient("grad", grad, x), 0)


def max_pool2d(x: ArrayLike, size: int = 3, stride: int = 2, padding: int = 1) -> np.ndarray:
    """The largest value of every window. See `minidet.reference.layers.max_pool2d`."""
    x, _ = _open_pooling(x, size, stride, padding)
    return _first(resampling.max_pool(_last(x), size, stride, padding)[0], x)


def max_pool2d_grad(grad: ArrayLike, x: ArrayLike, size: int = 3, stride: int = 2, padding: int = 1) -> np.ndarray:
    """Each grad to the largest value of its window. See `minidet.reference.layers.max_pool2d_grad`."""
    x, shape = _open_pooling(x, size, stride, padding)
    g, inputs = _last(checks.layers.feature_map("grad", grad, shape), x), _last(x)
    _, winner = resampling.max_pool(inputs, size, stride, padding)
    return _first(resampling.max_pool_grad(g, winner, inputs.shape, size, stride, padding), x)


def upsample_nearest(x: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """(B, C, H', W'). See `minidet.reference.layers.upsample_nearest`."""
    x = checks.layers.feature_map("x", x)
    return _first(resampling.upsample(_last(x), *checks.image_size(size)), x)


def upsample_nearest_grad(grad: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Each pixel's sum over its copies. See `minidet.reference.layers.upsample_nearest_grad`."""
    x, grad = checks.layers.feature_map("x", x), checks.layers.feature_map("grad", grad)
    checks.layers.feature_map("grad", grad, (*x.shape[:2], *grad.shape[2:]))
    return _first(resampling.upsample_grad(_last(grad, x), *x.shape[2:]), x)


def batch_norm(x: ArrayLike, weight: ArrayLike, bias: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """Every channel standardised over the batch. See `minidet.reference.layers.batch_norm`."""
    x = checks.layers.feature_map("x", x)
    checks.layers.batch_values(x.shape)
    return _normalised(x, 1, x.shape[1], weight, bias, eps)


def batch_norm_grad(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, weight and bias. See `minidet.reference.layers.batch_norm_grad`."""
    x = checks.layers.feature_map("x", x)
    checks.layers.batch_values(x.shape)
    return _normalised_grad(grad, x, 1, x.shape[1], weight, eps)


def frozen_batch_norm(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike, mean: ArrayLike, var: ArrayLike, eps: float = 1e-5
) -> np.ndarray:
    """The fixed map. See `minidet.reference.layers.frozen_batch_norm`."""
    x = checks.layers.feature_map("x", x)
    centre, shift = _vector("mean", mean, x.shape[1], x), _vector("bias", bias, x.shape[1], x)
    scale = _frozen_scale(weight, var, eps, x.shape[1])
    inputs = _last(x)
    y = normalisation.normalise(inputs.reshape(1, -1, x.shape[1]), centre[None], scale[None], shift)
    return _first(y.reshape(inputs.shape), x)


def frozen_batch_norm_grad(grad: ArrayLike, weight: ArrayLike, var: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """The gradient of x. See `minidet.reference.layers.frozen_batch_norm_grad`."""
    grad = checks.layers.feature_map("grad", grad)
    g = _last(grad)
    scale = _frozen_scale(weight, var, eps, grad.shape[1])
    return _first(normalisation.scale_grad(g.reshape(1, -1, grad.shape[1]), scale).reshape(g.shape), grad)


def group_norm(x: ArrayLike, groups: int, weight: ArrayLike, bias: ArrayLike, eps: float = 1e-5) -> np.ndarray:
    """Each image's groups of channels standardised. See `minidet.reference.layers.group_norm`."""
    x = checks.layers.feature_map("x", x)
    return _normalised(x, len(x), checks.layers.channel_groups(groups, x.shape[1]), weight, bias, eps)


def group_norm_grad(
    grad: ArrayLike, x: ArrayLike, groups: int, weight: ArrayLike, eps: float = 1e-5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of x, weight and bias. See `minidet.reference.layers.group_norm_grad`."""
    x = checks.layers.feature_map("x", x)
    return _normalised_grad(grad, x, len(x), checks.layers.channel_groups(groups, x.shape[1]), weight, eps)


def _normalised(x: np.ndarray, sets: int, groups: int, weight: ArrayLike, bias: ArrayLike, eps: float) -> np.ndarray:
    checks.number("eps", eps, low=0)
    scale, shift = (_vector(name, value, x.shape[1], x) for name, value in (("weight", weight), ("bias", bias)))
    inputs = _last(x)
    values = inputs.reshape(sets, _pixels(x, sets), x.shape[1])
    mean, var = normalisation.statistics(values, groups)
    return _first(normalisation.normalise(values, mean, scale / np.sqrt(var + eps), shift).reshape(inputs.shape), x)


def _normalised_grad(
    grad: ArrayLike, x: np.ndarray, sets: int, groups: int, weight: ArrayLike, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    checks.number("eps", eps, low=0)
    g, scale = _last(checks.layers.feature_map("grad", grad, x.shape), x), _vector("weight", weight, x.shape[1], x)
    shape = sets, _pixels(x, sets), x.shape[1]
    values = _last(x).reshape(shape)
    mean, var = normalisation.statistics(values, groups)
    of_x, *rest = normalisation.normalise_grad(g.reshape(shape), values, mean, np.sqrt(var + eps), scale, groups)
    of_weight, of_bias = (value.astype(x.dtype, copy=False) for value in rest)
    return _first(of_x.reshape(g.shape), x), of_weight, of_bias


def _pixels(x: np.ndarray, sets: int) -> int:
    """In each of the sets that share statistics: the batch, or every image."""
    return x.shape[2] * x.shape[3] * (len(x) if sets == 1 else 1)


def _frozen_scale(weight: ArrayLike, var: ArrayLike, eps: float, channels: int) -> np.ndarray:
    checks.number("eps", eps, low=0)
    return wide(checks.layers.vector("weight", weight, channels)) / np.sqrt(
        wide(checks.layers.vector("var", var, channels)) + eps
    )


def _vector(name: str, value: ArrayLike, count: int, x: np.ndarray) -> np.ndarray:
    """(count,), of the type in which the map is computed."""
    return checks.layers.vector(name, value, count).astype(native(x[:0]).dtype)


def _last(x: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """(B, C, H, W) -> (B, H, W, C), float32 or float64; of the type in which another map is computed."""
    return native((x if like is None else x.astype(like.dtype, copy=False)).transpose(0, 2, 3, 1))


def _first(x: np.ndarray, like: np.ndarray) -> np.ndarray:
    """(B, H, W, C) -> (B, C, H, W), a view, of the type of another map."""
    return x.transpose(0, 3, 1, 2).astype(like.dtype, copy=False)


def _open_pooling(
    x: ArrayLike, size: int, stride: int, padding: int
) -> tuple[np.ndarray, tuple[int, int, int, int]]:  # fmt: skip
    """The checked map, and the shape of the result."""
    x = checks.layers.feature_map("x", x)
    checks.integer("padding", padding, low=0, high=checks.integer("size", size, low=1) // 2)
    return x, (*x.shape[:2], *checks.layers.window(size, stride, padding, *x.shape[2:]))


def _open_convolution(
    x: ArrayLike, weight: ArrayLike, stride: int, padding: int, groups: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """The checked map and weight, and the shape of the result."""
    x = checks.layers.feature_map("x", x)
    filters = checks.layers.filters(weight, x.shape[1], groups).astype(native(x[:0]).dtype, copy=False)
    rows, columns = checks.layers.window(filters.shape[2], stride, padding, *x.shape[2:])
    return x, filters, (len(x), len(filters), rows, columns)
