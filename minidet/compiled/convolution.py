"""The convolution of the compiled path: windows as rows, and products of matrices that stay in the registers.

A convolution is a product of matrices: a row per output pixel, its window of K = k * k * C inputs laid out one after
the other, times a row per output channel, its filter laid out in the same way. Its two gradients are products of the
same kind: that of the input is a convolution of the upstream gradient with the filters turned round, and that of the
filters multiplies windows and upstream gradients over all pixels.

All three go through `_multiply`, whose innermost loop reads seven rows and adds to twelve sums. LLVM makes each sum a
vector register (all sixteen of AVX2 are in use), so that one load serves almost two multiplications; that is what a BLAS
does, and why none is needed here. Work is divided by outputs, never within a sum: the result does not depend on the
number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minidet.compiled.jit import parallel_kernel, sums

_PIXELS = 24
"""Output pixels whose windows are laid out at a time: with K = 576 they fill a tenth of the second-level cache."""
_WEIGHTS = 36
"""Weights per filter whose gradient is one task."""
_CHUNK = 512
"""Pixels, about, over which a gradient of the filters is summed at a time."""

def correlate(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: int, padding: int, groups: int
) -> np.ndarray:  # fmt: skip
    """The convolution of (B, H, W, C) with (O, C / groups, k, k): (B, H', W', O)."""
    batch, height, width, _ = x.shape
    channels, _, k, _ = weight.shape
    rows, columns = (height + 2 * padding - k) // stride + 1, (width + 2 * padding - k) // stride + 1
    out = np.empty((batch, rows, columns, channels), x.dtype)
    added = np.zeros(channels, x.dtype) if bias is None else bias
    _windows_times(x, k, k, stride, -padding, -padding, _filters(weight, groups), added, out, 0, 0, 1)
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
    k, channels = weight.shape[2], shape[3]
    turned = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)  # (G, C / G, O / G, k, k)
    for y, x in np.ndindex(min(stride, shape[1]), min(stride, shape[2])):
        from_y, from_x = ((i + padding) % stride for i in (y, x))  # the first filter row and column that they see
        part = turned[..., from_y::stride, from_x::stride][..., ::-1, ::-1]
        ky, kx = part.shape[3:]
        if ky and kx:
            top, left = (y + padding) // stride - ky + 1, (x + padding) // stride - kx + 1
            filters = _filters(part.reshape(channels, -1, ky, kx), groups)
            _windows_times(grad, ky, kx, 1, top, left, filters, np.zeros(channels, grad.dtype), out, y, x, stride)
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
    upstream = _lines(grad, groups, 1, 0, height, width, 0)
    beyond = (k - 1) // stride * (width + 1)
    inputs = _lines(x, groups, stride, padding, height, width, beyond)
    out = np.empty((channels, x.shape[3] // groups * k * k), x.dtype)
    _inputs_times_upstream(inputs, upstream, k, stride, width, out)
    return out.reshape(channels, -1, k, k), upstream[:, : channels // groups].sum(3).ravel()


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


def _filters(weight: np.ndarray, groups: int) -> np.ndarray:
    """(O, C / G, ky, kx) -> (G, O / G, K), a filter a row in the order of a window, zeros up to multiples of 4 and 8."""
    channels_out, channels, ky, kx = weight.shape
    out = np.zeros((groups, _up(channels_out // groups, 4), _up(ky * kx * channels, 8)), weight.dtype)
    rows = weight.transpose(0, 2, 3, 1).reshape(groups, channels_out // groups, -1)
    out[:, : rows.shape[1], : rows.shape[2]] = rows
    return out


def _lines(
    x: np.ndarray, groups: int, stride: int, padding: int, height: int, width: int, beyond: int
) -> np.ndarray:  # fmt: skip
    """(B, H, W, C) -> (G, C / G, stride * stride, B * height * width + beyond), channels up to a multiple of 4.

    A line holds the rows and columns of one remainder by the stride, counted in the padded map.
    """
    share = x.shape[3] // groups
    out = np.zeros((groups, _up(share, 4), stride * stride, _up(len(x) * height * width + beyond, 8) + 16), x.dtype)
    _move_channels(x, share, stride, padding, height, width, out)
    return out


@parallel_kernel
def _move_channels(x, share, stride, padding, height, width, out):
    for row in prange(x.shape[0] * x.shape[1]):
        _move_channels_of_row(x, row // x.shape[1], row % x.shape[1], share, stride, padding, height, width, out)


@sums
def _move_channels_of_row(x, image, row, share, stride, padding, height, width, out):
    y = row + padding
    for first in range(min(stride, x.shape[2])):
        to = (image * height + y // stride) * width + (first + padding) // stride
        part = y % stride * stride + (first + padding) % stride
        count = (x.shape[2] - first + stride - 1) // stride
        for c in range(x.shape[3]):
            line = out[c // share, c % share, part, to : to + count]
            for i in range(len(line)):
                line[i] = x[image, row, first + stride * i, c]


@parallel_kernel
def _windows_times(source, ky, kx, stride, top, left, filters, bias, out, first_y, first_x, step):
    """Products of the windows of `source` with `filters`, to every `step`-th row and column of `out`."""
    rows = (out.shape[1] - first_y + step - 1) // step
    columns = (out.shape[2] - first_x + step - 1) // step
    pixels = len(out) * rows * columns
    tiles = (pixels + _PIXELS - 1) // _PIXELS
    starts = np.arange(_PIXELS) * filters.shape[2]
    for task in prange(len(filters) * tiles):
        group, start = task // tiles, task % tiles * _PIXELS
        patches = np.zeros((_PIXELS, filters.shape[2]), out.dtype)
        products = np.zeros((_PIXELS, filters.shape[1]), out.dtype)
        count = min(_PIXELS, pixels - start)
        _lay_out(source, ky, kx, stride, top, left, rows, columns, group, len(filters), start, count, patches)
        _multiply(patches.reshape(-1), starts, filters[group], 0, filters.shape[2], products)
        _hand_out(products, rows, columns, group, len(filters), start, count, bias, out, first_y, first_x, step)


@sums
def _lay_out(source, ky, kx, stride, top, left, rows, columns, group, groups, start, count, out):
    """The windows of `count` pixels, a row each: filter row by filter row, pixel by pixel, all channels together.

    What lies outside the map stays 0.
    """
    _, height, width, channels = source.shape
    share = channels // groups
    values, patches = source.reshape(-1), out.reshape(-1)
    for i in range(count):
        image, pixel = (start + i) // (rows * columns), (start + i) % (rows * columns)
        y, x = top + stride * (pixel // columns), left + stride * (pixel % columns)
        low, high = max(0, -x), min(kx, width - x)
        for r in range(max(0, -y), min(ky, height - y)):
            begin = ((image * height + y + r) * width + x + low) * channels + group * share
            to = i * out.shape[1] + (r * kx + low) * share
            if groups == 1:
                _copy(values, begin, (high - low) * channels, patches, to)
            else:
                for j in range(high - low):
                    _copy(values, begin + j * channels, share, patches, to + j * share)


@sums
def _copy(source, begin, count, out, to):
    """Through slices, because LLVM makes vectors only of what is indexed from 0 on."""
    read, written = source[begin : begin + count], out[to : to + count]
    for j in range(len(written)):
        written[j] = read[j]


@sums
def _hand_out(products, rows, columns, group, groups, start, count, bias, out, first_y, first_x, step):
    """A tile's products and the bias, to their pixels."""
    _, height, width, channels = out.shape
    share = channels // groups
    shift, values = bias[group * share : (group + 1) * share], out.reshape(-1)
    for i in range(count):
        image, pixel = (start + i) // (rows * columns), (start + i) % (rows * columns)
        y, x = first_y + step * (pixel // columns), first_x + step * (pixel % columns)
        to = ((image * height + y) * width + x) * channels + group * share
        written, product = values[to : to + share], products[i]
        for o in range(share):
            written[o] = product[o] + shift[o]


@sums
def _multiply(a, starts, b, begin, length, out):
    """out += A @ B.T over `length` columns from `begin` on: row i of A begins at `starts[i]` of `a`, B is `b`.

    For multiples of 3 rows of A and of 4 of B.
    """
    for j in range(0, len(b), 4):
        b0, b1, b2, b3 = b[j, begin:], b[j + 1, begin:], b[j + 2, begin:], b[j + 3, begin:]
        for i in range(0, len(starts), 3):
            a0, a1, a2 = a[starts[i] + begin :], a[starts[i + 1] + begin :], a[starts[i + 2] + begin :]
            s00, s01, s02, s03 = out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3]
            s10, s11, s12, s13 = out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3]
            s20, s21, s22, s23 = out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3]
            for k in range(length):
                x0, x1, x2 = a0[k], a1[k], a2[k]
                y0, y1, y2, y3 = b0[k], b1[k], b2[k], b3[k]
                s00, s10, s20 = s00 + x0 * y0, s10 + x1 * y0, s20 + x2 * y0
                s01, s11, s21 = s01 + x0 * y1, s11 + x1 * y1, s21 + x2 * y1
                s02, s12, s22 = s02 + x0 * y2, s12 + x1 * y2, s22 + x2 * y2
                s03, s13, s23 = s03 + x0 * y3, s13 + x1 * y3, s23 + x2 * y3
            out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = s00, s01, s02, s03
            out[i + 1, j], out[i + 1, j + 1], out[i + 1, j + 2], out[i + 1, j + 3] = s10, s11, s12, s13
            out[i + 2, j], out[i + 2, j + 1], out[i + 2, j + 2], out[i + 2, j + 3] = s20, s21, s22, s23


@parallel_kernel
def _inputs_times_upstream(inputs, upstream, k, stride, width, out):
    """The gradient of weight (c, ky, kx) of each filter: the inputs that it met, times the upstream gradient there."""
    weights = out.shape[1]
    tasks = (weights + _WEIGHTS - 1) // _WEIGHTS
    for task in prange(len(upstream) * tasks):
        group, first = task // tasks, task % tasks * _WEIGHTS
        count = min(_WEIGHTS, weights - first)
        starts = np.zeros((count + 2) // 3 * 3, np.int64)
        for i in range(count):
            c, ky, kx = (first + i) // (k * k), (first + i) // k % k, (first + i) % k
            line = (c * stride + ky % stride) * stride + kx % stride
            starts[i] = line * inputs.shape[3] + ky // stride * width + kx // stride
        products = np.zeros((len(starts), upstream.shape[1]), out.dtype)
        lines = upstream[group].reshape(upstream.shape[1], upstream.shape[3])
        for begin in range(0, upstream.shape[3] - 16, _CHUNK):
            length = min(_CHUNK, upstream.shape[3] - 16 - begin)
            _multiply(inputs[group].reshape(-1), starts, lines, begin, length, products)
        share = len(out) // len(upstream)
        for o in range(share):
            for i in range(count):
                out[group * share + o, first + i] = products[i, o]
