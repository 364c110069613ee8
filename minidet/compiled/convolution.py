"""The convolution of the compiled path: windows as rows, and products of matrices that stay in the registers.

A convolution is a product of matrices: a row for each output pixel, its window of K = k * k * C inputs laid out one
after the other, times a row for each output channel, its filter laid out in the same way. Its two gradients are
products of the same kind: that of the input is a convolution of the upstream gradient with the filters turned round,
and that of the filters multiplies inputs and upstream gradients over all pixels.

All three go through `_multiply`, whose innermost loop reads seven rows and adds to twelve sums. LLVM makes each sum a
vector register (all sixteen of AVX2 are in use), so that a number that is read serves almost two multiplications on
average. That is what a BLAS does, and why none is needed here, nor its threads beside Numba's. Work is divided by
outputs, never within a sum: the result does not depend on the number of threads.

Maps have their channels last, (B, H, W, C); filters are (O, C / groups, k, k).
"""

from __future__ import annotations

import numpy as np
from numba import prange

from minidet.compiled.jit import parallel_kernel, sums

_PIXELS = 24
"""Output pixels whose windows are laid out at a time: with K = 576 they fill a tenth of the second-level cache."""
_WEIGHTS = 36
"""Weights of every filter whose gradient is one task."""
_CHUNK = 1024
"""Pixels over which a gradient of the filters is summed at a time: seven rows of them fill the first-level cache."""


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
            _windows_times(grad, ky, kx, 1, top, left, filters, nothing, out, y, x, stride)
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
    _inputs_times_upstream(inputs, upstream, length, k, stride, width, out, -(-per_filter // _WEIGHTS))
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
    _move_channels(x, share, stride, padding, height, width, out)
    return out


def _windows_times(
    source: np.ndarray, ky: int, kx: int, stride: int, top: int, left: int, filters: np.ndarray, bias: np.ndarray,
    out: np.ndarray, first_y: int, first_x: int, step: int,
) -> None:  # fmt: skip
    """Products of windows and filters, plus the bias, to every `step`-th row and column of `out` from the first on.

    The first window begins at (top, left) of `source`, the next ones `stride` further; outside the map it is 0.
    """
    rows, columns = -(-(out.shape[1] - first_y) // step), -(-(out.shape[2] - first_x) // step)
    places = np.array([ky, kx, stride, top, left, first_y, first_x, step, rows, columns])
    _all_tiles(source, filters, bias, out, places, -(-len(out) * rows * columns // _PIXELS))


@parallel_kernel
def _move_channels(x, share, stride, padding, height, width, out):
    for row in prange(x.shape[0] * x.shape[1]):
        _move_channels_of_row(x, np.int64(row), share, stride, padding, height, width, out)


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


@parallel_kernel
def _all_tiles(source, filters, bias, out, places, tiles):
    for task in prange(len(filters) * tiles):
        _tile(source, filters, bias, out, places, task // tiles, task % tiles * _PIXELS)


@sums
def _tile(source, filters, bias, out, places, group, start):
    """The products of some pixels that follow one another."""
    length = filters.shape[2]
    count = min(_PIXELS, len(out) * places[8] * places[9] - start)
    patches = np.zeros(_PIXELS * length, out.dtype)
    products = np.zeros((_PIXELS, filters.shape[1]), out.dtype)
    starts = np.empty(_PIXELS, np.int64)
    for i in range(_PIXELS):
        starts[i] = i * length
    _lay_out(source, places, group, len(filters), start, count, patches, length)
    _multiply(patches, starts, filters[group], 0, length, products)
    _hand_out(products, places, group, len(filters), start, count, bias, out)


@sums
def _lay_out(source, places, group, groups, start, count, out, length):
    """The windows of `count` pixels, a row each: filter row by filter row, pixel by pixel, all channels together."""
    ky, kx, stride, top, left = places[0], places[1], places[2], places[3], places[4]
    rows, columns = places[8], places[9]
    _, height, width, channels = source.shape
    share, values = channels // groups, source.reshape(-1)
    image, row, column = start // (rows * columns), start // columns % rows, start % columns
    for i in range(count):
        y, x = top + stride * row, left + stride * column
        low, high = max(0, -x), min(kx, width - x)
        for r in range(max(0, -y), min(ky, height - y)):
            begin = ((image * height + y + r) * width + x + low) * channels + group * share
            to = i * length + (r * kx + low) * share
            if groups == 1:
                _copy(values, begin, (high - low) * channels, out, to)
            else:
                for j in range(high - low):
                    _copy(values, begin + j * channels, share, out, to + j * share)
        column += 1
        if column == columns:
            column, row = 0, row + 1
        if row == rows:
            row, image = 0, image + 1


@sums
def _copy(source, begin, count, out, to):
    """Through slices, because LLVM makes vectors only of what is indexed from 0 on."""
    read, written = source[begin : begin + count], out[to : to + count]
    for j in range(len(written)):
        written[j] = read[j]


@sums
def _hand_out(products, places, group, groups, start, count, bias, out):
    """Products and bias to their pixels."""
    first_y, first_x, step, rows, columns = places[5], places[6], places[7], places[8], places[9]
    _, height, width, channels = out.shape
    share, values = channels // groups, out.reshape(-1)
    shift = bias[group * share : (group + 1) * share]
    image, row, column = start // (rows * columns), start // columns % rows, start % columns
    for i in range(count):
        pixel = (image * height + first_y + step * row) * width + first_x + step * column
        written, product = values[pixel * channels + group * share :], products[i]
        for o in range(share):
            written[o] = product[o] + shift[o]
        column += 1
        if column == columns:
            column, row = 0, row + 1
        if row == rows:
            row, image = 0, image + 1


@sums
def _multiply(a, starts, b, begin, length, out):
    """out += A @ B.T over `length` columns from `begin` on: row i of A begins at `starts[i]` of `a`, B is `b`.

    For multiples of 3 rows of A and of 4 of B.
    """
    for j in range(0, len(b), 4):
        b0 = b[j, begin:]
        b1 = b[j + 1, begin:]
        b2 = b[j + 2, begin:]
        b3 = b[j + 3, begin:]
        for i in range(0, len(starts), 3):
            a0 = a[starts[i] + begin :]
            a1 = a[starts[i + 1] + begin :]
            a2 = a[starts[i + 2] + begin :]
            s00 = out[i, j]
            s01 = out[i, j + 1]
            s02 = out[i, j + 2]
            s03 = out[i, j + 3]
            s10 = out[i + 1, j]
            s11 = out[i + 1, j + 1]
            s12 = out[i + 1, j + 2]
            s13 = out[i + 1, j + 3]
            s20 = out[i + 2, j]
            s21 = out[i + 2, j + 1]
            s22 = out[i + 2, j + 2]
            s23 = out[i + 2, j + 3]
            for k in range(length):
                x0 = a0[k]
                x1 = a1[k]
                x2 = a2[k]
                y = b0[k]
                s00 += x0 * y
                s10 += x1 * y
                s20 += x2 * y
                y = b1[k]
                s01 += x0 * y
                s11 += x1 * y
                s21 += x2 * y
                y = b2[k]
                s02 += x0 * y
                s12 += x1 * y
                s22 += x2 * y
                y = b3[k]
                s03 += x0 * y
                s13 += x1 * y
                s23 += x2 * y
            out[i, j] = s00
            out[i, j + 1] = s01
            out[i, j + 2] = s02
            out[i, j + 3] = s03
            out[i + 1, j] = s10
            out[i + 1, j + 1] = s11
            out[i + 1, j + 2] = s12
            out[i + 1, j + 3] = s13
            out[i + 2, j] = s20
            out[i + 2, j + 1] = s21
            out[i + 2, j + 2] = s22
            out[i + 2, j + 3] = s23


@parallel_kernel
def _inputs_times_upstream(inputs, upstream, length, k, stride, width, out, tasks):
    for task in prange(len(upstream) * tasks):
        _some_weights(inputs, upstream, length, k, stride, width, out, task // tasks, task % tasks * _WEIGHTS)


@sums
def _some_weights(inputs, upstream, length, k, stride, width, out, group, first):
    """The gradient of weight (c, ky, kx) of every filter: the inputs that it met, times the upstream gradient there."""
    count = min(_WEIGHTS, out.shape[1] - first)
    starts = np.zeros((count + 2) // 3 * 3, np.int64)
    for i in range(count):
        c, ky, kx = (first + i) // (k * k), (first + i) // k % k, (first + i) % k
        line = ((group * inputs.shape[1] + c) * stride + ky % stride) * stride + kx % stride
        starts[i] = line * inputs.shape[3] + ky // stride * width + kx // stride
    lines, values = upstream[group], inputs.reshape(-1)
    products = np.zeros((len(starts), len(lines)), out.dtype)
    for begin in range(0, length, _CHUNK):
        _multiply(values, starts, lines, begin, min(_CHUNK, length - begin), products)
    share = len(out) // len(upstream)
    for o in range(share):
        for i in range(count):
            out[group * share + o, first + i] = products[i, o]
