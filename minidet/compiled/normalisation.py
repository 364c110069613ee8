"""Normalisations in Numba, with what follows them in a network: the sum with a shortcut, and ReLU.

Maps have their channels last and are handed over as (S, P, C): S sets of P pixels, each set with statistics of its own.
For batch normalisation that is one set, for group normalisation a set per image. A pass over memory costs more than what
is computed in it, so one pass takes all sums, and one does all that is done to an element.

Sums of float32 are taken in float64, pixel after pixel in pieces of fixed length, so that they do not depend on the
number of threads. Squares are of differences from the set's first pixel: those of the values themselves would leave
little of a small variance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from minidet.compiled.jit import parallel_kernel, sums

_PIECE = 512
"""Pixels that are one task."""


def statistics(x: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (divided by their number) of each group of channels of each set: twice (S, C) float64."""
    sets, pixels, channels = x.shape
    first = x[:, 0].astype(np.float64)
    totals = np.zeros((sets, -(-pixels // _PIECE), 2, channels))
    _sum_differences(x, first, totals)
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
    _normalise(x, *(value.astype(x.dtype) for value in (mean, scale, bias)), added, relu, out)
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
    _sum_gradients(grad, grad if out is None else out, out is not None, x, centre, r, totals)
    of_bias, of_weight = np.moveaxis(totals.sum(axis=1), 1, 0)  # (S, C) each
    means = (_of_groups(weight * total / pixels, groups).astype(x.dtype) for total in (of_bias, of_weight))
    result = np.empty_like(x)
    _normalise_grad(grad, x, centre, r, w, *means, result)
    return result, of_weight.sum(axis=0).astype(x.dtype), of_bias.sum(axis=0).astype(x.dtype)


def scale_grad(grad: np.ndarray, scale: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The gradient of x in `normalise` with a given mean and scale (C,); `out` as in `normalise_grad`."""
    result = np.empty_like(grad)
    _scale_grad(grad, grad if out is None else out, out is not None, scale.astype(grad.dtype), result)
    return result


def _of_groups(values: np.ndarray, groups: int) -> np.ndarray:
    """(S, C) -> the mean of each group of channels, at each of its channels."""
    each = values.shape[1] // groups
    return np.repeat(values.reshape(len(values), groups, each).mean(axis=2), each, axis=1)


@parallel_kernel
def _sum_differences(x, first, out):
    pieces = out.shape[1]
    for task in prange(len(x) * pieces):
        s, piece = task // pieces, task % pieces
        _sum_differences_of(x[s, piece * _PIECE : (piece + 1) * _PIECE], first[s], out[s, piece, 0], out[s, piece, 1])


@sums
def _sum_differences_of(x, first, total, squares):
    for i in range(len(x)):
        row = x[i]
        for c in range(len(row)):
            difference = row[c] - first[c]
            total[c] += difference
            squares[c] += difference * difference


@parallel_kernel
def _normalise(x, mean, scale, bias, other, relu, out):
    pieces = (x.shape[1] + _PIECE - 1) // _PIECE
    for task in prange(len(x) * pieces):
        s, part = task // pieces, slice(task % pieces * _PIECE, (task % pieces + 1) * _PIECE)
        _normalise_piece(x[s, part], mean[s], scale[s], bias, other[s, part] if other.size else x[s, part],
                         other.size > 0, relu, out[s, part])


@sums
def _normalise_piece(x, mean, scale, bias, other, add, relu, out):
    for i in range(len(x)):
        row, plus, y = x[i], other[i], out[i]
        if add:
            for c in range(len(y)):
                value = (row[c] - mean[c]) * scale[c] + bias[c] + plus[c]
                y[c] = value if not relu or not value < 0 else 0  # NaN stays
        else:
            for c in range(len(y)):
                value = (row[c] - mean[c]) * scale[c] + bias[c]
                y[c] = value if not relu or not value < 0 else 0


@parallel_kernel
def _sum_gradients(grad, y, relu, x, mean, r, out):
    pieces = out.shape[1]
    for task in prange(len(x) * pieces):
        s, piece = task // pieces, task % pieces
        part = slice(piece * _PIECE, (piece + 1) * _PIECE)
        _sum_gradients_of(
            grad[s, part], y[s, part], relu, x[s, part], mean[s], r[s], out[s, piece, 0], out[s, piece, 1]
        )


@sums
def _sum_gradients_of(grad, y, relu, x, mean, r, total, products):
    for i in range(len(x)):
        g, seen, row = grad[i], y[i], x[i]
        if relu:
            for c in range(len(g)):
                g[c] = g[c] if seen[c] > 0 else 0
        for c in range(len(g)):
            total[c] += g[c]
            products[c] += g[c] * ((row[c] - mean[c]) * r[c])


@parallel_kernel
def _normalise_grad(grad, x, mean, r, weight, mean_g, mean_gz, out):
    pieces = (x.shape[1] + _PIECE - 1) // _PIECE
    for task in prange(len(x) * pieces):
        s, part = task // pieces, slice(task % pieces * _PIECE, (task % pieces + 1) * _PIECE)
        _normalise_grad_piece(grad[s, part], x[s, part], mean[s], r[s], weight, mean_g[s], mean_gz[s], out[s, part])


@sums
def _normalise_grad_piece(grad, x, mean, r, weight, mean_g, mean_gz, out):
    for i in range(len(x)):
        g, row, to = grad[i], x[i], out[i]
        for c in range(len(to)):
            z = (row[c] - mean[c]) * r[c]
            to[c] = (weight[c] * g[c] - mean_g[c] - z * mean_gz[c]) * r[c]


@parallel_kernel
def _scale_grad(grad, y, relu, scale, out):
    pieces = (grad.shape[1] + _PIECE - 1) // _PIECE
    for task in prange(len(grad) * pieces):
        s, part = task // pieces, slice(task % pieces * _PIECE, (task % pieces + 1) * _PIECE)
        _scale_grad_piece(grad[s, part], y[s, part], relu, scale, out[s, part])


@sums
def _scale_grad_piece(grad, y, relu, scale, out):
    for i in range(len(grad)):
        g, seen, to = grad[i], y[i], out[i]
        if relu:
            for c in range(len(g)):
                g[c] = g[c] if seen[c] > 0 else 0
        for c in range(len(g)):
            to[c] = g[c] * scale[c]
