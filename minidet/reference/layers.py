"""The layers of the network, each beside its gradient, derived by hand.

Notation. A layer turns x into y, and the loss is a number that depends on y. A gradient function takes
grad = d loss / d y, of the shape of y, and returns d loss / d (each input), of the input's shape. It is the chain rule,

    d loss / d x[j] = sum over i of  grad[i]  d y[i] / d x[j],

read backwards: every x collects grad from all the y that it went into, times the factor with which it did.

Gradient functions take the other arguments as the layer got them. Maps are (B, C, H, W): image, channel, row, column.
Results have the floating type of the maps; integers become float64. All raise ValueError for arguments whose shapes do
not fit. NaN and infinity pass through.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from minidet import checks
from minidet.reference.normalisation import (
    batch_norm,
    batch_norm_grad,
    frozen_batch_norm,
    frozen_batch_norm_grad,
    group_norm,
    group_norm_grad,
)

__all__ = [
    "conv2d", "conv2d_grad", "conv2d_grad_x", "conv2d_grad_weight",
    "relu", "relu_grad", "max_pool2d", "max_pool2d_grad", "upsample_nearest", "upsample_nearest_grad",
    "batch_norm", "batch_norm_grad", "frozen_batch_norm", "frozen_batch_norm_grad", "group_norm", "group_norm_grad",
]  # fmt: skip


def conv2d(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """A convolution: at every place, the scalar product of each filter with the window of the map that lies there.

    y[b, o, i, j] = bias[o] + sum over c, u, v of  weight[o, c, u, v] x[b, c, stride i + u - padding, stride j + v -
    padding], x being 0 outside. With a window as a column of numbers and a filter as a row, that is one product of
    matrices per image: filters times windows. With groups, the filters fall into as many equal parts, each of which
    sees its own part of the channels only.

    Args:
        x: (B, C, H, W), floating.
        weight: (O, C / groups, k, k).
        bias: (O,) or None.
        stride: pixels from one window to the next, >= 1.
        padding: zeros around the map on every side, >= 0.
        groups: >= 1; C and O are multiples of it.

    Returns:
        (B, O, H', W') with H' = (H + 2 padding - k) // stride + 1, and W' likewise.

    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    x, weight, shape = _open_convolution(x, weight, stride, padding, groups)
    y = _rows(weight, groups) @ _columns(x, weight.shape[2], stride, padding, groups)  # (B, groups, O / groups, H' W')
    y = y.reshape(shape)
    return y if bias is None else y + checks.layers.vector("bias", bias, len(weight))[:, None, None]


def conv2d_grad(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x, of the weight and of the bias, which is added at every place: d y / d bias[o] = 1.

    Returns:
        (B, C, H, W), (O, C / groups, k, k) and (O,).
    """
    x, weight, shape = _open_convolution(x, weight, stride, padding, groups)
    grad = checks.layers.feature_map("grad", grad, shape)
    how = (stride, padding, groups)
    return conv2d_grad_x(grad, x, weight, *how), conv2d_grad_weight(grad, x, weight, *how), grad.sum(axis=(0, 2, 3))


def conv2d_grad_x(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """The gradient of x alone: a convolution again, of grad with the filters turned round.

    In `conv2d`, x[p] went into y[i] with the weight u = p + padding - stride i. So it collects, along one axis,
    grad_x[p] = sum over i of  weight[p + padding - stride i] grad[i]. Write spread[q] for grad with stride - 1 zeros
    between its elements, spread[stride i] = grad[i], and u' = k - 1 - u for the filter read from its end:
    grad_x[p] = sum over u' of  weight[k - 1 - u'] spread[p + u' + padding - (k - 1)],
    a convolution of stride 1 in which inputs and outputs have changed places.
    """
    x, weight, shape = _open_convolution(x, weight, stride, padding, groups)
    (batch, channels, height, width), (filters, _, k, _) = x.shape, weight.shape
    spread = np.zeros((batch, filters, height + 2 * padding + k - 1, width + 2 * padding + k - 1), x.dtype)
    rows, columns = (slice(k - 1, k - 1 + stride * n, stride) for n in shape[2:])
    spread[:, :, rows, columns] = checks.layers.feature_map("grad", grad, shape)
    spread = spread[:, :, padding : padding + height + k - 1, padding : padding + width + k - 1]
    parts = weight.reshape(groups, filters // groups, channels // groups, k, k).swapaxes(1, 2)
    return conv2d(spread, parts.reshape(channels, -1, k, k)[:, :, ::-1, ::-1], groups=groups)


def conv2d_grad_weight(
    grad: ArrayLike, x: ArrayLike, weight: ArrayLike, stride: int = 1, padding: int = 0, groups: int = 1
) -> np.ndarray:
    """The gradient of the weight alone: a convolution too, of x with grad as the filter.

    weight[o, c, u, v] met x[b, c, stride i + u - padding, ...] at every place i and gave it to y[b, o, i, j], so
    grad_weight[o, c, u, v] = sum over b, i, j of  grad[b, o, i, j] x[b, c, stride i + u - padding, stride j + v -
    padding]: the windows of `conv2d` again, summed over the places instead of over the window.
    """
    x, weight, shape = _open_convolution(x, weight, stride, padding, groups)
    grad = checks.layers.feature_map("grad", grad, shape)
    grad = grad.reshape(len(x), groups, len(weight) // groups, shape[2] * shape[3])
    windows = _columns(x, weight.shape[2], stride, padding, groups)  # (B, groups, C / groups k k, H' W')
    return (grad @ windows.swapaxes(2, 3)).sum(axis=0).reshape(weight.shape)


def relu(x: ArrayLike) -> np.ndarray:
    """max(x, 0).

    Args:
        x: any shape, floating.
    """
    x = checks.floats("x", x)
    return np.maximum(x, 0)


def relu_grad(grad: ArrayLike, x: ArrayLike) -> np.ndarray:
    """grad where x > 0, else 0; x may be the layer's output, which is positive at the same places."""
    x = checks.floats("x", x)
    return np.where(x > 0, checks.layers.gradient("grad", grad, x), 0)


def max_pool2d(x: ArrayLike, size: int = 3, stride: int = 2, padding: int = 1) -> np.ndarray:
    """The largest value of every window; the defaults are ResNet's.

    Args:
        x: (B, C, H, W), floating.
        size: side of the window, pixels.
        stride: pixels from one window to the next, >= 1.
        padding: pixels around the map that are never the largest; at most size / 2, so that every window sees the map.

    Returns:
        (B, C, H', W') with H' = (H + 2 padding - size) // stride + 1, and W' likewise.
    """
    return _pooling_windows(x, size, stride, padding).max(axis=(2, 3))


def max_pool2d_grad(grad: ArrayLike, x: ArrayLike, size: int = 3, stride: int = 2, padding: int = 1) -> np.ndarray:
    """Each grad goes to the largest value of its window, the only one that the output follows.

    Of equal values it is the first, row by row (PyTorch's choice). Windows overlap, so a pixel may collect several.
    """
    windows = _pooling_windows(x, size, stride, padding)  # (B, C, size, size, H', W')
    batch, channels, _, _, rows, columns = windows.shape
    grad = checks.layers.feature_map("grad", grad, (batch, channels, rows, columns))
    winner = windows.reshape(batch, channels, size * size, rows, columns).argmax(axis=2)  # u size + v of the largest
    height, width = np.shape(x)[2:]
    grad_x = np.zeros((batch, channels, height + 2 * padding, width + 2 * padding), windows.dtype)
    for u, v in np.ndindex(size, size):
        to = (..., slice(u, u + stride * rows, stride), slice(v, v + stride * columns, stride))
        grad_x[to] += np.where(winner == u * size + v, grad, 0)
    return grad_x[:, :, padding : padding + height, padding : padding + width]


def upsample_nearest(x: ArrayLike, size: tuple[int, int]) -> np.ndarray:
    """A map read at another size: pixel i of H' copies pixel floor(i H / H').

    Args:
        x: (B, C, H, W), floating.
        size: (H', W'), any, each at least 1.

    Returns:
        (B, C, H', W').
    """
    x = checks.layers.feature_map("x", x)
    rows, columns = _sources(x, size)
    return x[:, :, rows[:, None], columns]


def upsample_nearest_grad(grad: ArrayLike, x: ArrayLike) -> np.ndarray:
    """Each pixel collects grad from all its copies.

    Copying is linear, y = R x C' with matrices R (H', H) and C (W', W) of zeros and ones, one 1 in each row; so
    grad_x = R' grad C.
    """
    x, grad = checks.layers.feature_map("x", x), checks.layers.feature_map("grad", grad)
    checks.layers.feature_map("grad", grad, (*x.shape[:2], *grad.shape[2:]))
    rows, columns = _sources(x, grad.shape[2:])
    r = (rows[:, None] == np.arange(x.shape[2])).astype(grad.dtype)  # (H', H)
    c = (columns[:, None] == np.arange(x.shape[3])).astype(grad.dtype)  # (W', W)
    return r.T @ grad @ c


def _windows(x: np.ndarray, size: int, stride: int, padding: int, border: float) -> np.ndarray:
    """(B, C, size, size, H', W'): pixel (u, v) of the window at (i, j), a view of the padded map."""
    batch, channels, height, width = x.shape
    checks.layers.window(size, stride, padding, height, width)
    padded = np.full((batch, channels, height + 2 * padding, width + 2 * padding), border, x.dtype)
    padded[:, :, padding : padding + height, padding : padding + width] = x
    windows = sliding_window_view(padded, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return windows.transpose(0, 1, 4, 5, 2, 3)


def _columns(x: np.ndarray, size: int, stride: int, padding: int, groups: int) -> np.ndarray:
    """(B, groups, C / groups size size, H' W'): every window as a column. The one copy that a convolution makes."""
    windows = _windows(x, size, stride, padding, 0)
    rows, columns = windows.shape[4:]
    return windows.reshape(len(x), groups, x.shape[1] // groups * size * size, rows * columns)


def _rows(weight: np.ndarray, groups: int) -> np.ndarray:
    """(groups, O / groups, C / groups k k): every filter as a row."""
    return weight.reshape(groups, len(weight) // groups, -1)


def _pooling_windows(x: ArrayLike, size: int, stride: int, padding: int) -> np.ndarray:
    x = checks.layers.feature_map("x", x)
    checks.integer("padding", padding, low=0, high=checks.integer("size", size, low=1) // 2)
    return _windows(x, size, stride, padding, -np.inf)


def _sources(x: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns that the pixels of the new size copy; in whole numbers, so that none is off by rounding."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(checks.image_size(size), x.shape[2:], strict=True))
    return rows, columns


def _open_convolution(
    x: ArrayLike, weight: ArrayLike, stride: int, padding: int, groups: int
) -> tuple[np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    """The checked map and weight, and the shape of the result."""
    x = checks.layers.feature_map("x", x)
    weight = checks.layers.filters(weight, x.shape[1], groups)
    rows, columns = checks.layers.window(weight.shape[2], stride, padding, *x.shape[2:])
    return x, weight, (len(x), len(weight), rows, columns)
