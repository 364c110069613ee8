"""ReLU, max pooling and nearest upsampling in Numba, of maps with their channels last: (B, H, W, C)."""

from __future__ import annotations

import numpy as np
from numba import prange

from minidet.compiled.jit import helper, parallel_kernel

_PIECE = 8192
"""Numbers that are one task."""


def relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), of any shape."""
    out = np.empty_like(x)
    _relu(x.reshape(-1), out.reshape(-1))
    return out


def relu_grad(grad: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`grad` where x > 0, else 0."""
    out = np.empty_like(grad)
    _relu_grad(grad.reshape(-1), x.reshape(-1), out.reshape(-1))
    return out


def max_pool(x: np.ndarray, size: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of every window, (B, H', W', C), and where in its window it lies: row * size + column."""
    batch, height, width, channels = x.shape
    rows, columns = ((length + 2 * padding - size) // stride + 1 for length in (height, width))
    out = np.empty((batch, rows, columns, channels), x.dtype)
    winner = np.empty(out.shape, np.int32)
    _max_pool(x, size, stride, padding, out, winner)
    return out, winner


def max_pool_grad(
    grad: np.ndarray, winner: np.ndarray, shape: tuple[int, ...], size: int, stride: int, padding: int
) -> np.ndarray:  # fmt: skip
    """The gradient of the map, which has the shape `shape`: each pixel asks the windows over it whether it won."""
    out = np.zeros(shape, grad.dtype)
    _max_pool_grad(grad, winner, size, stride, padding, out)
    return out


def upsample(x: np.ndarray, height: int, width: int, other: np.ndarray | None = None) -> np.ndarray:
    """(B, height, width, C): row i copies row floor(i H / height), columns likewise; `other` is added to it."""
    out = np.empty((len(x), height, width, x.shape[3]), x.dtype)
    _upsample(x, np.empty((0, 0, 0, 0), x.dtype) if other is None else other, out)
    return out


def upsample_grad(grad: np.ndarray, height: int, width: int) -> np.ndarray:
    """(B, height, width, C), each pixel the sum over its copies."""
    out = np.zeros((len(grad), height, width, grad.shape[3]), grad.dtype)
    _upsample_grad(grad, out)
    return out


@parallel_kernel
def _relu(x, out):
    for task in prange((len(x) + _PIECE - 1) // _PIECE):
        part = slice(task * _PIECE, (task + 1) * _PIECE)
        _relu_piece(x[part], out[part])


@helper
def _relu_piece(x, out):
    for i in range(len(out)):
        out[i] = x[i] if not x[i] < 0 else 0  # NaN stays


@parallel_kernel
def _relu_grad(grad, x, out):
    for task in prange((len(x) + _PIECE - 1) // _PIECE):
        part = slice(task * _PIECE, (task + 1) * _PIECE)
        _relu_grad_piece(grad[part], x[part], out[part])


@helper
def _relu_grad_piece(grad, x, out):
    for i in range(len(out)):
        out[i] = grad[i] if x[i] > 0 else 0


@parallel_kernel
def _max_pool(x, size, stride, padding, out, winner):
    rows = out.shape[1]
    for task in prange(len(x) * rows):
        image, row = task // rows, task % rows
        _max_pool_row(x[image], row, size, stride, padding, out[image, row], winner[image, row])


@helper
def _max_pool_row(x, row, size, stride, padding, out, winner):
    height, width, _ = x.shape
    top = row * stride - padding
    for column in range(len(out)):
        left = column * stride - padding
        best, place = out[column], winner[column]
        first = True
        for u in range(max(0, -top), min(size, height - top)):
            for v in range(max(0, -left), min(size, width - left)):
                seen = x[top + u, left + v]
                if first:
                    best[:] = seen
                    place[:] = u * size + v
                    first = False
                else:
                    for c in range(len(best)):
                        larger = seen[c] > best[c] or seen[c] != seen[c]  # NaN wins
                        place[c] = u * size + v if larger else place[c]
                        best[c] = seen[c] if larger else best[c]


@parallel_kernel
def _max_pool_grad(grad, winner, size, stride, padding, out):
    height = out.shape[1]
    for task in prange(len(out) * height):
        image, row = task // height, task % height
        _max_pool_grad_row(grad[image], winner[image], row, size, stride, padding, out[image, row])


@helper
def _max_pool_grad_row(grad, winner, row, size, stride, padding, out):
    rows, columns, _ = grad.shape
    y = row + padding
    for column in range(len(out)):
        x, to = column + padding, out[column]
        for i in range(max(0, (y - size + stride) // stride), min(rows - 1, y // stride) + 1):
            for j in range(max(0, (x - size + stride) // stride), min(columns - 1, x // stride) + 1):
                g, place = grad[i, j], winner[i, j]
                here = (y - i * stride) * size + x - j * stride
                for c in range(len(to)):
                    to[c] += g[c] if place[c] == here else 0


@parallel_kernel
def _upsample(x, other, out):
    height = out.shape[1]
    for task in prange(len(out) * height):
        image, row = task // height, task % height
        source = x[image, row * x.shape[1] // height]
        _upsample_row(source, other[image, row] if other.size else source, other.size > 0, out[image, row])


@helper
def _upsample_row(x, other, add, out):
    for column in range(len(out)):
        source, to = x[column * len(x) // len(out)], out[column]
        if add:
            plus = other[column]
            for c in range(len(to)):
                to[c] = source[c] + plus[c]
        else:
            for c in range(len(to)):
                to[c] = source[c]


@parallel_kernel
def _upsample_grad(grad, out):
    height, rows = out.shape[1], grad.shape[1]
    for task in prange(len(out) * height):
        image, y = task // height, task % height
        for row in range((y * rows + height - 1) // height, ((y + 1) * rows + height - 1) // height):
            _upsample_grad_row(grad[image, row], out[image, y])


@helper
def _upsample_grad_row(grad, out):
    for column in range(len(grad)):
        to, g = out[column * len(out) // len(grad)], grad[column]
        for c in range(len(to)):
            to[c] += g[c]
