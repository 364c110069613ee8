"""The convolution of the compiled path and its two gradients, as three products of matrices.

A convolution is a product of matrices: a row for each output pixel, its window of K = k * k * C inputs laid out one
after the other, times a row for each output channel, its filter laid out in the same way. Its two gradients are
products of the same kind: that of the input is a convolution of the upstream gradient with the filters turned round,
and that of the filters multiplies inputs and upstream gradients over all pixels. `products` multiplies.

Maps have their channels last, (B, H, W, C); filters are (O, C / groups, k, k).
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import parallel_kernel, sums
from minidet.compiled.products import inputs_times_upstream, windows_times_filters


def correlate(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int, padding: int, groups: int
) -> np.ndarray:  # fmt: skip
    """The convolution of (B, H, W, C) with (O, C / groups, k, k): (B, H', W', O)."""
    batch, height, width, _ = x.shape
    channels, _, k, _ = weight.shape
    rows, columns = (height + 2 * padding - k) // stride + 1, (width + 2 * padding - k) // stride + 1
    out = np.empty((batch, rows, columns, channels), x.dtype)
    added = np.zeros(channels, x.dtype) if bias is None else bias
    windows_times_filters(x, k, k, stride, -padding, -padding, _filters(weight, groups), added, out)
    return out


def grad_input(
    grad: np.ndarray, weight: np.ndarray, shape: tuple[int, ...], stride: int, padding: int, groups: int
) -> np.ndarray:
    """The gradient of a convolution's input, which has the shape `shape`.

    Input row y was seen by output row r through filter row ky where y + padding = stride * r + ky. So the input rows of
    one remainder by the stride see the same filter rows, every stride-th one, and with ky the stride larger, r is one
    smaller: for each remainder it is a convolution of stride 1 with those filter rows in reverse order.
    """
    out = np.zeros(shape, grad.dtype)
    channels = shape[3]
    turned = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)  # (G, C / G, O / G, k, k)
    nothing = np.zeros(channels, grad.dtype)
    for y, x in np.ndindex(min(stride, shape[1]), min(stride, shape[2])):
        from_y, from_x = ((i + padding) % stride for i in (y, x))  # the first filter row and column that they see
        part = turned[..., from_y::stride, from_x::stride][..., ::-1, ::-1]
        ky, kx = part.shape[3:]
        if ky and kx:
            top, left = (y + padding) // stride - ky + 1, (x + padding) // stride - kx + 1
            filters = _filters(part.reshape(channels, -1, ky, kx), groups)
            windows_times_filters(grad, ky, kx, 1, top, left, filters, nothing, out, y, x, stride)
    return out


def grad_filters(
    grad: np.ndarray, x: np.ndarray, k: int, stride: int, padding: int, groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of a convolution's filters (O, C / groups, k, k) and of its bias (O,).

    Weight (o, c, ky, kx) met input (stride * y + ky, stride * x + kx) of the padded map wherever output (y, x) was
    made. With the map split by the remainders of its rows and columns by the stride, and each part written as one long
    line with its border of zeros, the inputs that a weight met are that line from some place on: nothing is laid out.
    """
    _, rows, columns, channels = grad.shape
    height = max(rows, _up(x.shape[1] + padding, stride) // stride)  # a row's last zeros are the next one's first
    width = max(columns, _up(x.shape[2] + padding, stride) // stride)
    upstream = _lines(grad, groups, 1, 0, height, width, 0)[:, :, 0]  # (G, O / G, pixels)
    beyond = (k - 1) // stride * (width + 1)
    inputs = _lines(x, groups, stride, padding, height, width, beyond)
    per_filter = x.shape[3] // groups * k * k
    out = np.empty((channels, per_filter), x.dtype)
    length = _up(len(x) * height * width, 8)
    inputs_times_upstream(inputs, upstream, length, k, stride, width, out)
    return out.reshape(channels, -1, k, k), upstream[:, : channels // groups].sum(axis=2).ravel()


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _filters(weight: np.ndarray, groups: int) -> np.ndarray:
    """(O, C / G, ky, kx) -> (G, O / G, K): each filter as a row, like a window; zeros up to multiples of 4 and 8."""
    channels_out, channels, ky, kx = weight.shape
    out = np.zeros((groups, _up(channels_out // groups, 4), _up(ky * kx * channels, 8)), weight.dtype)
    rows = weight.transpose(0, 2, 3, 1).reshape(groups, channels_out // groups, -1)
    out[:, : rows.shape[1], : rows.shape[2]] = rows
    return out


def _lines(
    x: np.ndarray, groups: int, stride: int, padding: int, height: int, width: int, beyond: int
) -> np.ndarray:  # fmt: skip
    """(B, H, W, C) -> (G, C / G, stride * stride, B * height * width and more), channels up to a multiple of 4.

    A line holds the rows and columns of one remainder by the stride, counted in the padded map, then zeros: `beyond`
    of them are read, and a few more keep lines from being a power of 2 apart, where they would share places in the
    cache.
    """
    share = x.shape[3] // groups
    out = np.zeros((groups, _up(share, 4), stride * stride, _up(len(x) * height * width, 8) + beyond + 16), x.dtype)
    _move_channels(len(x) * x.shape[1], x.size, x, share, stride, padding, height, width, out)
    return out


@parallel_kernel
def _move_channels(first, stop, x, share, stride, padding, height, width, out):
    for row in range(first, stop):
        _move_channels_of_row(x, row, share, stride, padding, height, width, out)


@sums
def _move_channels_of_row(x, row, share, stride, padding, height, width, out):
    image, y = row // x.shape[1], row % x.shape[1]
    to_row, part_row = (y + padding) // stride, (y + padding) % stride
    for first in range(min(stride, x.shape[2])):
        to = (image * height + to_row) * width + (first + padding) // stride
        part = part_row * stride + (first + padding) % stride
        count = (x.shape[2] - first + stride - 1) // stride
        for c in range(x.shape[3]):
            line = out[c // share, c % share, part, to : to + count]
            for i in range(len(line)):
                line[i] = x[image, y, first + stride * i, c]
