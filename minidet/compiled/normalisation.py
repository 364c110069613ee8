"""Normalisations in Numba, with what follows them in a network: the sum with a shortcut, and ReLU.

Maps have their channels last and are handed over as (S, P, C): S sets of P pixels, each set with statistics of its own.
For batch normalisation that is one set, for group normalisation a set per image. A pass over memory costs more than
what is computed in it, so one pass takes all sums, and one does all that is done to an element.

Sums of float32 are taken in float64, pixel after pixel in pieces of fixed length, so that they do not depend on the
number of threads. Squares are of differences from the set's first pixel: those of the values themselves would leave
little of a small variance.
"""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import parallel_kernel, sums

_PIECE = 512
"""Pixels that are one task."""


def statistics(x: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (divided by their number) of each group of channels of each set: twice (S, C) float64."""
    sets, pixels, channels = x.shape
    first = x[:, 0].astype(np.float64)
    totals = np.zeros((sets, -(-pixels // _PIECE), 2, channels))
    _sum_differences(sets * totals.shape[1], x.size, x, first, totals)
    total, squares = np.moveaxis(totals.sum(axis=1) / pixels, 1, 0)
    mean, var = first + total, squares - total * total  # of each channel
    centre = _of_groups(mean, groups)
    return centre, _of_groups(var + (mean - centre) ** 2, groups)


def normalise(
    x: np.ndarray, mean: np.ndarray, scale: np.ndarray, bias: np.ndarray, other: np.ndarray | None = None,
    relu: bool = False,
) -> np.ndarray:  # fmt: skip
    """(x - mean) * scale + bias, plus `other`, at least 0 with `relu`; mean and scale are (S, C), bias is (C,)."""
    out = np.empty_like(x)
    added = np.empty((0, 0, 0), x.dtype) if other is None else other
    pieces = -(-x.shape[1] // _PIECE)
    as_x = (value.astype(x.dtype) for value in (mean, scale, bias))
    _normalise(len(x) * pieces, x.size, x, *as_x, added, relu, out, pieces)
    return out


def normalise_grad(
    grad: np.ndarray, x: np.ndarray, mean: np.ndarray, s: np.ndarray, weight: np.ndarray, groups: int,
    out: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Gradients of x, weight and bias, where y = weight z + bias with z = (x - mean) / s and the set's own statistics.

    Of what `normalise` returned with `relu`, give `out`: `grad` is set to 0 where that is 0, and is then the gradient
    of `other` too. The equations are those of the reference.
    """
    sets, pixels, channels = x.shape
    totals = np.zeros((sets, -(-pixels // _PIECE), 2, channels))
    centre, r, w = mean.astype(x.dtype), (1 / s).astype(x.dtype), weight.astype(x.dtype)
    _sum_gradients(
        sets * totals.shape[1], x.size, grad, grad if out is None else out, out is not None, x, centre, r, totals
    )
    of_bias, of_weight = np.moveaxis(totals.sum(axis=1), 1, 0)  # (S, C) each
    means = (_of_groups(weight * total / pixels, groups).astype(x.dtype) for total in (of_bias, of_weight))
    result = np.empty_like(x)
    _normalise_grad(sets * totals.shape[1], x.size, grad, x, centre, r, w, *means, result, totals.shape[1])
    return result, of_weight.sum(axis=0).astype(x.dtype), of_bias.sum(axis=0).astype(x.dtype)


def scale_grad(grad: np.ndarray, scale: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The gradient of x in `normalise` with a given mean and scale (C,); `out` as in `normalise_grad`."""
    if out is not None:
        grad *= out > 0
    nothing = np.zeros(len(scale))
    return normalise(grad, nothing[None], scale[None], nothing)


def _of_groups(values: np.ndarray, groups: int) -> np.ndarray:
    """(S, C) -> the mean of each group of channels, at each of its channels."""
    each = values.shape[1] // groups
    return np.repeat(values.reshape(len(values), groups, each).mean(axis=2), each, axis=1)


@parallel_kernel
def _sum_differences(first, stop, x, near, out):
    for task in range(first, stop):
        _sum_differences_of(x, near, task // out.shape[1], task % out.shape[1], out)


@sums
def _sum_differences_of(x, first, s, piece, out):
    start, total, squares, shift = piece * _PIECE, out[s, piece, 0], out[s, piece, 1], first[s]
    for i in range(start, min(start + _PIECE, x.shape[1])):
        row = x[s, i]
        for c in range(len(row)):
            difference = row[c] - shift[c]
            total[c] += difference
            squares[c] += difference * difference


@parallel_kernel
def _normalise(first, stop, x, mean, scale, bias, other, relu, out, pieces):
    for task in range(first, stop):
        _normalise_piece(x, mean, scale, bias, other, relu, out, task // pieces, task % pieces * _PIECE)


@sums
def _normalise_piece(x, mean, scale, bias, other, relu, out, s, start):
    centre, factor, low = mean[s], scale[s], 0 if relu else -np.inf
    for i in range(start, min(start + _PIECE, x.shape[1])):
        row, y = x[s, i], out[s, i]
        if other.size:
            plus = other[s, i]
            for c in range(len(y)):
                value = (row[c] - centre[c]) * factor[c] + bias[c] + plus[c]
                y[c] = low if value < low else value  # NaN stays
        else:
            for c in range(len(y)):
                value = (row[c] - centre[c]) * factor[c] + bias[c]
                y[c] = low if value < low else value


@parallel_kernel
def _sum_gradients(first, stop, grad, y, relu, x, mean, r, out):
    for task in range(first, stop):
        _sum_gradients_of(grad, y, relu, x, mean, r, task // out.shape[1], task % out.shape[1], out)


@sums
def _sum_gradients_of(grad, y, relu, x, mean, r, s, piece, out):
    start, total, products, centre, factor = piece * _PIECE, out[s, piece, 0], out[s, piece, 1], mean[s], r[s]
    for i in range(start, min(start + _PIECE, x.shape[1])):
        g, seen, row = grad[s, i], y[s, i], x[s, i]
        if relu:
            _only_where_positive(g, seen)
        for c in range(len(g)):
            total[c] += g[c]
            products[c] += g[c] * ((row[c] - centre[c]) * factor[c])


@sums
def _only_where_positive(grad, y):
    for c in range(len(grad)):
        grad[c] = grad[c] if y[c] > 0 else 0


@parallel_kernel
def _normalise_grad(first, stop, grad, x, mean, r, weight, mean_g, mean_gz, out, pieces):
    for task in range(first, stop):
        _normalise_grad_piece(grad, x, mean, r, weight, mean_g, mean_gz, out, task // pieces, task % pieces * _PIECE)


@sums
def _normalise_grad_piece(grad, x, mean, r, weight, mean_g, mean_gz, out, s, start):
    centre, factor, shift, slope = mean[s], r[s], mean_g[s], mean_gz[s]
    for i in range(start, min(start + _PIECE, x.shape[1])):
        g, row, to = grad[s, i], x[s, i], out[s, i]
        for c in range(len(to)):
            z = (row[c] - centre[c]) * factor[c]
            to[c] = (weight[c] * g[c] - shift[c] - z * slope[c]) * factor[c]
