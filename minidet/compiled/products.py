"""Products of matrices for the convolution, at a speed that is otherwise left to a BLAS.

`_multiply` does all the work: its innermost loop reads seven rows and adds to twelve sums. LLVM makes each sum a vector
register (with the numbers read, all sixteen of AVX2 are in use), so that a number that is read serves almost two
multiplications on average, and memory keeps up. A BLAS is fast for the same reason; none is needed here, nor are its
threads beside Numba's. Work is divided by outputs, never within a sum: the result does not depend on the number of
threads.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import parallel_kernel, sums

_PIXELS = 24
"""Output pixels whose windows are laid out at a time: with K = 576 they fill a tenth of the second-level cache."""
_WEIGHTS = 36
"""Weights of every filter whose gradient is one task."""
_AT_ONCE = 16
"""Products that take about as long as a step of an ordinary loop."""
_CHUNK = 1024
"""Pixels over which a gradient of the filters is summed at a time: seven rows of them fill the first-level cache."""


def windows_times_filters(
    source: np.ndarray, ky: int, kx: int, stride: int, top: int, left: int, filters: np.ndarray, bias: np.ndarray,
    out: np.ndarray, first_y: int = 0, first_x: int = 0, step: int = 1,
) -> None:  # fmt: skip
    """Products of windows and filters, plus the bias, to every `step`-th row and column of `out` from the first on.

    Args:
        source: (B, H, W, C).
        ky, kx: size of a window.
        stride: pixels from one window to the next.
        top, left: where the first window begins in `source`; what lies outside the map is 0.
        filters: (G, O / G, K), in the order of a window (row, column, channel of the group), then zeros; O / G up to a
            multiple of 4, K to one of 8.
        bias: (O,).
        out: (B, H', W', O).
        first_y, first_x, step: which pixels of `out` are written.
    """
    rows, columns = -(-(out.shape[1] - first_y) // step), -(-(out.shape[2] - first_x) // step)
    places = np.array([ky, kx, stride, top, left, first_y, first_x, step, rows, columns])
    tiles = -(-len(out) * rows * columns // _PIXELS)
    work = len(out) * rows * columns * filters.size // _AT_ONCE
    _all_tiles(len(filters) * tiles, work, source, filters, bias, out, places, tiles)


def inputs_times_upstream(
    inputs: np.ndarray, upstream: np.ndarray, length: int, k: int, stride: int, width: int, out: np.ndarray
) -> None:  # fmt: skip
    """The gradient of weight (c, ky, kx) of every filter: the inputs that it met, times the upstream gradient there.

    Args:
        inputs: (G, C / G, stride * stride, L): lines as `convolution.grad_filters` makes them.
        upstream: (G, O / G, L'), likewise.
        length: pixels to be summed over, a multiple of 8.
        k, stride: of the convolution.
        width: pixels from one row of a line to the next.
        out: (O, C / G * k * k), is overwritten.
    """
    tasks, work = -(-out.shape[1] // _WEIGHTS), out.size * length // _AT_ONCE
    _all_weights(len(upstream) * tasks, work, inputs, upstream, length, k, stride, width, out, tasks)


@parallel_kernel
def _all_tiles(first, stop, source, filters, bias, out, places, tiles):
    for task in range(first, stop):
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
        low = max(0, -x)
        high = max(low, min(kx, width - x))  # a window may lie outside altogether
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
def _all_weights(first, stop, inputs, upstream, length, k, stride, width, out, tasks):
    for task in range(first, stop):
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
