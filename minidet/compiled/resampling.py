"""Max pooling and nearest upsampling in Numba, of maps with their channels last: (B, H, W, C)."""

from __future__ import annotations

import numpy as np

from minidet.compiled.jit import helper, kernel, parallel_kernel


def max_pool(x: np.ndarray, size: int, stride: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest value of every window, (B, H', W', C), and where in its window it lies: row * size + column."""
    batch, height, width, channels = x.shape
    rows, columns = ((length + 2 * padding - size) // stride + 1 for length in (height, width))
    out = np.empty((batch, rows, columns, channels), x.dtype)
    winner = np.empty(out.shape, np.int32)
    _max_pool(batch * rows, out.size * size, x, size, stride, padding, out, winner)
    return out, winner


def max_pool_grad(
    grad: np.ndarray, winner: np.ndarray, shape: tuple[int, ...], size: int, stride: int, padding: int
) -> np.ndarray:  # fmt: skip
    """The gradient of the map, which has the shape `shape`: each pixel asks the windows over it whether it won."""
    out = np.zeros(shape, grad.dtype)
    _max_pool_grad(len(out) * out.shape[1], out.size * size, grad, winner, size, stride, padding, out)
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
def _max_pool(first, stop, x, size, stride, padding, out, winner):
    for row in range(first, stop):
        _max_pool_row(x, row // out.shape[1], row % out.shape[1], size, stride, padding, out, winner)


@helper
def _max_pool_row(x, image, row, size, stride, padding, out, winner):
    _, height, width, channels = x.shape
    top = row * stride - padding
    for column in range(out.shape[2]):
        left = column * stride - padding
        best, place = out[image, row, column], winner[image, row, column]
        first = True
        for u in range(max(0, -top), min(size, height - top)):
            for v in range(max(0, -left), min(size, width - left)):
                seen, here = x[image, top + u, left + v], np.int32(u * size + v)
                for c in range(channels):
                    larger = first or seen[c] > best[c] or seen[c] != seen[c]  # NaN wins
                    place[c] = here if larger else place[c]
                    best[c] = seen[c] if larger else best[c]
                first = False


@parallel_kernel
def _max_pool_grad(first, stop, grad, winner, size, stride, padding, out):
    for row in range(first, stop):
        _max_pool_grad_row(grad, winner, row // out.shape[1], row % out.shape[1], size, stride, padding, out)


@helper
def _max_pool_grad_row(grad, winner, image, row, size, stride, padding, out):
    _, rows, columns, channels = grad.shape
    y = row + padding
    for column in range(out.shape[2]):
        x, to = column + padding, out[image, row, column]
        for i in range(max(0, (y - size + stride) // stride), min(rows - 1, y // stride) + 1):
            for j in range(max(0, (x - size + stride) // stride), min(columns - 1, x // stride) + 1):
                g, place = grad[image, i, j], winner[image, i, j]
                here = (y - i * stride) * size + x - j * stride
                for c in range(channels):
                    to[c] += g[c] if place[c] == here else 0


@kernel
def _upsample(x, other, out):
    batch, height, width, channels = out.shape
    for image in range(batch):
        for row in range(height):
            for column in range(width):
                source = x[image, row * x.shape[1] // height, column * x.shape[2] // width]
                to = out[image, row, column]
                for c in range(channels):
                    to[c] = source[c]
                if other.size:
                    plus = other[image, row, column]
                    for c in range(channels):
                        to[c] += plus[c]


@kernel
def _upsample_grad(grad, out):
    batch, rows, columns, channels = grad.shape
    for image in range(batch):
        for row in range(rows):
            for column in range(columns):
                to = out[image, row * out.shape[1] // rows, column * out.shape[2] // columns]
                g = grad[image, row, column]
                for c in range(channels):
                    to[c] += g[c]
