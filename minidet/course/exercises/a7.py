"""a7: layers of the network and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minidet.course.check import Case, Check, Exercise, Mistake, case
from minidet.course.exercises.inputs import IN_THE_TYPE, defaults, usual
from minidet.reference import layers

Array = np.ndarray

MAP = np.arange(1.0, 17).reshape(1, 1, 4, 4)
ALL = (0, 2, 3)
"""The axes over which a channel's statistics are taken."""


def _map(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(0, 1, shape).round(1)


def _unlike(rng: np.random.Generator, *shape: int) -> Array:
    """A map of which no two values are the same."""
    return (rng.permutation(int(np.prod(shape))).reshape(shape) - np.prod(shape) // 2) / 4


def _full(sample: Callable[[np.random.Generator], Case]) -> tuple[Check, ...]:
    """The checks that every layer has that cannot take an empty batch: type, and that the arguments stay."""
    return usual(sample, lambda: ())[1:]


def _none(sample: Callable[[np.random.Generator], Case], *which: int) -> tuple[Check, ...]:
    """The checks that every layer has; without images are the arguments at the places `which`."""

    def empty() -> list[Case]:
        one = sample(np.random.default_rng(0))
        return [Case(tuple(value[:0] if i in which else value for i, value in enumerate(one.args)), one.kwargs)]

    return usual(sample, empty, "a batch without images gives a result without images, and gradients of 0")


# ---- conv2d


def _conv(
    x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 0, groups: int = 1,
    *, border: str = "constant", turn: bool = False, swap: bool = False, channels: str = "sum", fewer: int = 0,
    strides: tuple[bool, bool] = (True, True), after: bool = False, interleaved: bool = False, images: str = "each",
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    w = weight[:, :, ::-1, ::-1] if turn else weight.swapaxes(2, 3) if swap else weight
    k, p, count = weight.shape[2], padding, len(weight) // groups
    sides = (0, 2 * p) if after else (p, p)
    mode: Any = border
    inside = np.pad(x, ((0, 0), (0, 0), sides, sides), mode=mode)
    rows, columns = ((n - k) // stride + 1 - fewer for n in inside.shape[2:])
    y = np.zeros((len(x), len(weight), rows, columns), x.dtype)
    for o in range(len(weight)):
        group = o % groups if interleaved else o // count
        own = inside[:, group::groups] if interleaved else inside[:, group * w.shape[1] : (group + 1) * w.shape[1]]
        for i in range(rows):
            for j in range(columns):
                top, left = i * (stride if strides[0] else 1), j * (stride if strides[1] else 1)
                product = own[:, :, top : top + k, left : left + k] * w[o]
                y[:, o, i, j] = product.sum(axis=(1, 2, 3)) / (w.shape[1] if channels == "mean" else 1)
    return y if bias is None else y + bias[:, None, None]


def _conv_case(rng: np.random.Generator, b: int, c: int, side: tuple[int, int], o: int, k: int, *rest: Any) -> Case:
    kept: tuple[Any, ...] = (None, 1, 0, 1)
    bias, stride, padding, groups = (*rest, *kept[len(rest) :])
    shift = _map(rng, o) if bias else None
    return case(_map(rng, b, c, *side), _map(rng, o, c // groups, k, k), shift, stride, padding, groups)


CONV = Exercise(
    layers.conv2d,
    20,
    (
        Check(
            "one filter",
            "at every place, the sum of the products of the filter with the window of the map that lies there; the "
            "filter is laid on as it is",
            lambda rng: [
                case(MAP[:, :, :2, :2], np.ones((1, 1, 1, 1)) * 2, None, 1, 0, 1),
                case(MAP, np.array([[[[1.0, 2], [3, 4]]]]), None, 1, 0, 1),
                _conv_case(rng, 1, 1, (5, 4), 1, 3),
            ],
            essential=True,
        ),
        Check(
            "channels, filters and images",
            "a filter sums over all channels of its image; every filter makes one channel of the result",
            lambda rng: [
                _conv_case(rng, 1, 2, (3, 3), 1, 2),
                _conv_case(rng, 1, 1, (3, 4), 2, 2),
                _conv_case(rng, 2, 3, (4, 5), 2, 3),
            ],
            essential=True,
        ),
        Check(
            "bias",
            "bias[o] is added to every number of channel o",
            lambda rng: [_conv_case(rng, 1, 1, (3, 3), 1, 2, True), _conv_case(rng, 2, 2, (4, 3), 3, 2, True)],
        ),
        Check(
            "padding",
            "`padding` zeros are on all four sides of the map",
            lambda rng: [
                case(MAP, np.ones((1, 1, 3, 3)), None, 1, 1, 1),
                _conv_case(rng, 1, 2, (3, 4), 2, 3, False, 1, 2),
                _conv_case(rng, 1, 1, (2, 2), 1, 1, True, 1, 1),
            ],
        ),
        Check(
            "stride",
            "windows are `stride` pixels apart, down and across; H' = (H + 2 padding - k) // stride + 1",
            lambda rng: [
                case(MAP, np.array([[[[1.0, 2], [3, 4]]]]), None, 2, 0, 1),
                _conv_case(rng, 1, 1, (7, 6), 1, 3, False, 2, 1),
                _conv_case(rng, 2, 2, (8, 7), 2, 3, True, 3, 1),
            ],
        ),
        Check(
            "groups",
            "the filters fall into `groups` equal parts in a row, each of which sees its own part of the channels",
            lambda rng: [
                _conv_case(rng, 1, 4, (3, 3), 2, 2, False, 1, 0, 2),
                _conv_case(rng, 2, 4, (4, 4), 4, 3, True, 2, 1, 2),
                _conv_case(rng, 1, 3, (3, 3), 6, 1, False, 1, 0, 3),
            ],
            apart=True,
        ),
        *_none(lambda rng: _conv_case(rng, 2, 2, (4, 4), 3, 3, True, 1, 1), 0),
        defaults(lambda rng: [case(_map(rng, 1, 2, 4, 4), _map(rng, 2, 2, 3, 3))]),
    ),
    (
        Mistake("the filter is laid on as it is: you turn it round", lambda *a: _conv(*a, turn=True)),
        Mistake("rows of the filter lie on rows of the map: yours is transposed", lambda *a: _conv(*a, swap=True)),
        Mistake(
            "the products are added up over the channels: you take their mean", lambda *a: _conv(*a, channels="mean")
        ),
        Mistake("outside the map x is 0: you repeat its border", lambda *a: _conv(*a, border="edge")),
        Mistake("outside the map x is 0: you mirror it at its border", lambda *a: _conv(*a, border="symmetric")),
        Mistake(
            "`padding` zeros are on all four sides: yours are all below and at the right",
            lambda *a: _conv(*a, after=True),
        ),
        Mistake(
            "H' = (H + 2 padding - k) // stride + 1: you have one row and one column fewer",
            lambda *a: _conv(*a, fewer=1),
        ),
        Mistake(
            "windows are `stride` pixels apart in rows and columns: yours are in rows only",
            lambda *a: _conv(*a, strides=(True, False)),
        ),
        Mistake(
            "windows are `stride` pixels apart in rows and columns: yours are in columns only",
            lambda *a: _conv(*a, strides=(False, True)),
        ),
        Mistake(
            "a group has channels that follow one another: yours takes every groups-th one",
            lambda *a: _conv(*a, interleaved=True),
        ),
        Mistake(
            "the bias belongs to a filter and is added once: you add it in every channel of the map",
            lambda x, w, b=None, s=1, p=0, g=1: _conv(x, w, None if b is None else b * w.shape[1], s, p, g),
        ),
        Mistake(
            "the bias is added: you subtract it",
            lambda x, w, b=None, s=1, p=0, g=1: _conv(x, w, None if b is None else -b, s, p, g),
        ),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: _conv_case(rng, 2, 2, (5, 4), 3, 3, True, 2, 1),
    example="my.conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))",
)


# ---- conv2d_grad


def _conv_back(
    grad: Array, x: Array, weight: Array, stride: int = 1, padding: int = 0, groups: int = 1,
    *, turned: bool = False, overwrite: bool = False, weight_over: str = "sum", bias_over: str = "sum",
    weight_turned: bool = False, order: tuple[int, int, int] = (0, 1, 2), first: bool = False, shift: int = 0,
    padded: bool = False,
) -> Any:  # fmt: skip
    """The rule as the loops of the convolution run it backwards, with the choices that a mistake changes."""
    k, p, count, c = weight.shape[2], padding, len(weight) // groups, weight.shape[1]
    inside = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    grad_x, grad_weight = np.zeros_like(inside), np.zeros_like(weight)
    for o in range(len(weight)):
        own = slice(o // count * c, o // count * c + c)
        filter_back = weight[o][:, ::-1, ::-1] if turned else weight[o]
        for i in range(grad.shape[2]):
            for j in range(grad.shape[3]):
                window = (slice(None), own, slice(i * stride, i * stride + k), slice(j * stride, j * stride + k))
                came = grad[:, o, i, j][:, None, None, None]
                back = came * filter_back
                grad_x[window] = back if overwrite else grad_x[window] + back * (o == 0 if first else 1)
                grad_weight[o] += (came * inside[window]).sum(axis=0)
    grad_weight = grad_weight[:, :, ::-1, ::-1] if weight_turned else grad_weight
    grad_weight = grad_weight / (len(x) if weight_over == "mean" else 1)
    if not padded:
        grad_x = grad_x[:, :, p + shift : p + shift + x.shape[2], p + shift : p + shift + x.shape[3]]
    grad_bias = {"sum": grad.sum(axis=ALL), "mean": grad.mean(axis=ALL), "image": grad.sum(axis=ALL) / len(x)}[
        bias_over
    ]
    found = (grad_x, grad_weight, grad_bias)
    return tuple(found[i] for i in order)


def _back_case(rng: np.random.Generator, b: int, c: int, side: tuple[int, int], o: int, k: int, *rest: int) -> Case:
    stride, padding, groups = (*rest, *(1, 0, 1)[len(rest) :])
    x, weight = _map(rng, b, c, *side), _map(rng, o, c // groups, k, k)
    return case(
        _map(rng, *layers.conv2d(x, weight, None, stride, padding, groups).shape), x, weight, stride, padding, groups
    )


CONV_GRAD = Exercise(
    layers.conv2d_grad,
    25,
    (
        Check(
            "one window",
            "the upstream number times the filter for x, times the window for the weight, itself for the bias; a tuple "
            "(grad_x, grad_weight, grad_bias)",
            lambda rng: [
                case(np.full((1, 1, 1, 1), 2.0), np.full((1, 1, 1, 1), 3.0), np.full((1, 1, 1, 1), 5.0), 1, 0, 1),
                case(np.full((1, 1, 1, 1), 2.0), MAP[:, :, :2, :2], np.array([[[[1.0, 2], [3, 5]]]]), 1, 0, 1),
            ],
            essential=True,
        ),
        Check(
            "windows that overlap",
            "a pixel lies in several windows and collects from all of them; a weight is used at every place",
            lambda rng: [
                _back_case(rng, 1, 1, (2, 3), 1, 2),
                _back_case(rng, 1, 1, (4, 4), 1, 3),
                _back_case(rng, 1, 1, (5, 3), 1, 2),
            ],
            essential=True,
        ),
        Check(
            "channels, filters and images",
            "x collects from all filters; the gradients of weight and bias are sums over the images of the batch",
            lambda rng: [
                _back_case(rng, 1, 2, (3, 3), 1, 2),
                _back_case(rng, 1, 1, (3, 3), 2, 2),
                _back_case(rng, 2, 1, (3, 3), 1, 2),
                _back_case(rng, 2, 3, (4, 5), 2, 3),
            ],
        ),
        Check(
            "padding",
            "what would flow into the zeros around the map is lost: grad_x has the shape of x",
            lambda rng: [_back_case(rng, 1, 1, (3, 3), 1, 3, 1, 1), _back_case(rng, 2, 2, (3, 4), 2, 3, 1, 2)],
        ),
        Check(
            "stride",
            "with a stride, the windows of two upstream numbers are `stride` pixels apart; pixels that no window "
            "reaches have a gradient of 0",
            lambda rng: [
                _back_case(rng, 1, 1, (4, 4), 1, 2, 2),
                _back_case(rng, 1, 1, (6, 5), 1, 3, 2, 1),
                _back_case(rng, 1, 1, (5, 5), 1, 1, 2),
                _back_case(rng, 2, 2, (7, 8), 2, 3, 3, 1),
            ],
        ),
        Check(
            "groups",
            "a filter gives back to the channels of its own group alone",
            lambda rng: [_back_case(rng, 1, 4, (3, 3), 2, 2, 1, 0, 2), _back_case(rng, 2, 4, (4, 4), 4, 3, 2, 1, 2)],
            apart=True,
        ),
        *_none(lambda rng: _back_case(rng, 2, 2, (4, 4), 3, 3, 1, 1), 0, 1),
        defaults(lambda rng: [Case(_back_case(rng, 1, 2, (4, 4), 2, 3).args[:3])]),
    ),
    (
        Mistake(
            "each number of the window came through its own weight: in grad_x you read the filter from its end",
            lambda *a: _conv_back(*a, turned=True),
        ),
        Mistake(
            "a pixel collects from all windows that it lies in: you keep the last one",
            lambda *a: _conv_back(*a, overwrite=True),
        ),
        Mistake("x collects from all filters: yours from the first one only", lambda *a: _conv_back(*a, first=True)),
        Mistake(
            "grad_weight is a sum over the images: you take their mean", lambda *a: _conv_back(*a, weight_over="mean")
        ),
        Mistake(
            "grad_weight[u, v] belongs to weight[u, v]: yours is turned round",
            lambda *a: _conv_back(*a, weight_turned=True),
        ),
        Mistake(
            "grad_bias is the sum of grad over images, rows and columns: you take the mean",
            lambda *a: _conv_back(*a, bias_over="mean"),
        ),
        Mistake(
            "grad_bias is a sum over the images too: you divide by their number",
            lambda *a: _conv_back(*a, bias_over="image"),
        ),
        Mistake(
            "a tuple (grad_x, grad_weight, grad_bias) is expected, in this order",
            lambda *a: _conv_back(*a, order=(1, 0, 2)),
        ),
        Mistake("grad_x has the shape of x: yours has the padding around it", lambda *a: _conv_back(*a, padded=True)),
        Mistake(
            "weight and bias have a sum over the images of the batch: you divide both by their number",
            lambda *a: _conv_back(*a, weight_over="mean", bias_over="image"),
        ),
        Mistake(
            "the way back through the filters starts at grad: yours starts at 1, whatever comes from above",
            lambda g, *a: _conv_back(np.ones_like(g), *a),
        ),
    ),
    doc="""The gradients of x, of the weight and of the bias: what the loss does as each of them grows.

    Derive them from the formula of `conv2d`: which numbers of x and of the weight go into y[b, o, i, j], and with which
    factor? Each collects grad[b, o, i, j], times that factor, from everywhere that it went.

    Args:
        grad: (B, O, H', W'), d loss / d y.
        x, weight, stride, padding, groups: what `conv2d` was given.

    Returns:
        Gradients of the shapes of x and weight, and (O,) for the bias.
    """,
    note=IN_THE_TYPE,
    sample=lambda rng: _back_case(rng, 2, 2, (5, 4), 2, 3, 2, 1),
    example="my.conv2d_grad(np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2)))",
)


# ---- batch_norm


def _norm(
    x: Array, weight: Array, bias: Array, eps: float = 1e-5, *, axes: tuple[int, ...] = ALL, sample: int = 0,
    root: str = "inside", affine: bool = True, centre: bool = True,
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True, ddof=sample)
    s = {"inside": np.sqrt(var + eps), "outside": np.sqrt(var) + eps, "none": np.sqrt(var), "var": var + eps}[root]
    z = (x - mean * centre) / s
    return (
        z * weight[:, None, None] + bias[:, None, None] if affine else (z + bias[:, None, None]) * weight[:, None, None]
    )


def _norm_case(rng: np.random.Generator, b: int, c: int, h: int, w: int, eps: float = 1e-5) -> Case:
    return case(_map(rng, b, c, h, w) * 2 + 1, _map(rng, c), _map(rng, c), eps)


NORM = Exercise(
    layers.batch_norm,
    10,
    (
        Check(
            "one channel",
            "(x - mean) / sqrt(var + eps), then times weight, plus bias",
            lambda rng: [
                case(np.array([1.0, 3]).reshape(1, 1, 1, 2), np.ones(1), np.zeros(1), 1e-5),
                case(np.array([1.0, 3]).reshape(1, 1, 1, 2), np.full(1, 2.0), np.full(1, 5.0), 1e-5),
                _norm_case(rng, 1, 1, 2, 3),
            ],
            essential=True,
        ),
        Check(
            "several channels and images",
            "every channel has its own mean and variance, taken over all images, rows and columns",
            lambda rng: [_norm_case(rng, 1, 2, 2, 2), _norm_case(rng, 2, 1, 2, 2), _norm_case(rng, 3, 2, 3, 2)],
            essential=True,
        ),
        Check(
            "eps",
            "eps is added to the variance, inside the square root; it keeps a channel "
            "that is the same everywhere from 0 / 0",
            lambda rng: [_norm_case(rng, 2, 2, 2, 2, 0.5), case(np.ones((2, 1, 1, 2)), np.ones(1), np.ones(1), 1e-5)],
            apart=True,
        ),
        *_full(lambda rng: _norm_case(rng, 2, 3, 2, 2)),
        defaults(
            lambda rng: [
                Case(_norm_case(rng, 2, 2, 2, 2).args[:3]),
                Case((_map(rng, 2, 1, 1, 2) / 100, np.ones(1), np.zeros(1))),
            ]
        ),
    ),
    (
        Mistake("the variance of the batch is divided by n: yours by n - 1", lambda *a: _norm(*a, sample=1)),
        Mistake(
            "mean and variance are taken over the images too: yours are of each image",
            lambda *a: _norm(*a, axes=(2, 3)),
        ),
        Mistake(
            "every channel has its own mean and variance: yours are of all channels together",
            lambda *a: _norm(*a, axes=(0, 1, 2, 3)),
        ),
        Mistake(
            "mean and variance are of a channel over the batch: yours are of each image over its channels",
            lambda *a: _norm(*a, axes=(1, 2, 3)),
        ),
        Mistake(
            "mean and variance are taken over rows and columns too: yours are over the images only",
            lambda *a: _norm(*a, axes=(0,)),
        ),
        Mistake(
            "eps is added to the variance: you add it to the standard deviation", lambda *a: _norm(*a, root="outside")
        ),
        Mistake("divide by the standard deviation: you divide by the variance", lambda *a: _norm(*a, root="var")),
        Mistake("weight times z, plus bias: you add the bias first", lambda *a: _norm(*a, affine=False)),
        Mistake("the mean is taken away from x: you only divide", lambda *a: _norm(*a, centre=False)),
        Mistake("weight and bias are exchanged", lambda x, w, b, *e: _norm(x, b, w, *e)),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: _norm_case(rng, 2, 2, 3, 2),
    example="my.batch_norm(np.arange(8.0).reshape(2, 1, 2, 2), np.ones(1), np.zeros(1))",
)


# ---- batch_norm_grad


def _norm_back(
    grad: Array, x: Array, weight: Array, eps: float = 1e-5,
    *, mean_part: bool = True, var_part: bool = True, scale: bool = True, divide: bool = True, of: str = "z",
    over: str = "sum", order: tuple[int, int, int] = (0, 1, 2), twice: float = 1.0,
) -> Any:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    mean, s = x.mean(axis=ALL, keepdims=True), np.sqrt(x.var(axis=ALL, keepdims=True) + eps)
    z = (x - mean) / s
    g = grad * weight[:, None, None] if scale else grad
    left = g - g.mean(axis=ALL, keepdims=True) * mean_part
    left = left - twice * z * (g * z).mean(axis=ALL, keepdims=True) * var_part
    total = np.mean if over == "mean" else np.sum
    grad_weight, grad_bias = total(grad * (z if of == "z" else x), axis=ALL), total(grad, axis=ALL)
    found = (left / s if divide else left, grad_weight, grad_bias)
    return tuple(found[i] for i in order)


def _norm_back_case(rng: np.random.Generator, b: int, c: int, h: int, w: int, eps: float = 1e-5) -> Case:
    return case(_map(rng, b, c, h, w), _map(rng, b, c, h, w) * 2 + 1, _map(rng, c) + 2, eps)


NORM_GRAD = Exercise(
    layers.batch_norm_grad,
    20,
    (
        Check(
            "one channel",
            "every x moves its own output and, through mean and variance, all others: differentiate all three",
            lambda rng: [
                case(
                    np.array([1.0, 0, 0]).reshape(1, 1, 1, 3),
                    np.array([1.0, 2, 4]).reshape(1, 1, 1, 3),
                    np.ones(1),
                    1e-5,
                ),
                _norm_back_case(rng, 1, 1, 2, 3),
            ],
            essential=True,
        ),
        Check(
            "several channels and images",
            "channels do not meet; within a channel, all images do. The gradients of weight and bias are "
            "sums over the channel",
            lambda rng: [
                _norm_back_case(rng, 1, 2, 2, 2),
                _norm_back_case(rng, 2, 1, 2, 2),
                _norm_back_case(rng, 3, 2, 3, 2),
            ],
            essential=True,
        ),
        Check(
            "what only shifts",
            "the same upstream number everywhere in a channel shifts it, which batch_norm takes out: grad_x is 0",
            lambda rng: [case(np.ones((2, 1, 2, 2)), _map(rng, 2, 1, 2, 2), np.ones(1), 1e-5)],
        ),
        Check(
            "eps",
            "s is sqrt(var + eps) in the gradient as well",
            lambda rng: [_norm_back_case(rng, 2, 2, 2, 2, 0.5)],
        ),
        *_full(lambda rng: _norm_back_case(rng, 2, 3, 2, 2)),
        defaults(lambda rng: [Case(_norm_back_case(rng, 2, 2, 2, 2).args[:3])]),
    ),
    (
        Mistake(
            "mean and variance depend on x too: you take them for constants",
            lambda *a: _norm_back(*a, mean_part=False, var_part=False),
        ),
        Mistake("the variance depends on x too: you take it for a constant", lambda *a: _norm_back(*a, var_part=False)),
        Mistake("the mean depends on x too: you take it for a constant", lambda *a: _norm_back(*a, mean_part=False)),
        Mistake(
            "grad goes back through y = weight z + bias first: the weight is missing in grad_x",
            lambda *a: _norm_back(*a, scale=False),
        ),
        Mistake("z = (x - mean) / s: the division by s is missing in grad_x", lambda *a: _norm_back(*a, divide=False)),
        Mistake(
            "d y / d weight is z, the standardised x: in grad_weight you have x itself",
            lambda *a: _norm_back(*a, of="x"),
        ),
        Mistake(
            "the gradients of weight and bias are sums over the channel: you take means",
            lambda *a: _norm_back(*a, over="mean"),
        ),
        Mistake(
            "a tuple (grad_x, grad_weight, grad_bias) is expected, in this order",
            lambda *a: _norm_back(*a, order=(0, 2, 1)),
        ),
        Mistake(
            "d s / d x[j] = z[j] / n, since s is a root: your part of the variance is twice as large",
            lambda *a: _norm_back(*a, twice=2.0),
        ),
        Mistake("the part of the variance is taken away: you add it", lambda *a: _norm_back(*a, twice=-1.0)),
    ),
    doc="""The gradients of x, weight and bias.

    Derive them from y = weight z + bias with z = (x - mean) / s and s = sqrt(var + eps). Mean and s depend on every x
    of the channel, so that each x moves all outputs of its channel.

    Args:
        grad: (B, C, H, W), d loss / d y.
        x, weight, eps: what `batch_norm` was given.

    Returns:
        (B, C, H, W), (C,) and (C,).
    """,
    note=IN_THE_TYPE,
    sample=lambda rng: _norm_back_case(rng, 2, 2, 3, 2),
    example="my.batch_norm_grad(np.array([[[[1.0, 0], [0, 0]]]]), np.arange(4.0).reshape(1, 1, 2, 2), np.ones(1))",
)


# ---- max_pool2d


def _pool(
    x: Array, size: int = 3, stride: int = 2, padding: int = 1, *, border: float = -np.inf, take: Any = np.max,
    fewer: int = 0, after: bool = False,
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    sides = (0, 2 * padding) if after else (padding, padding)
    inside = np.pad(x, ((0, 0), (0, 0), sides, sides), constant_values=border)
    rows, columns = ((n - size) // stride + 1 - fewer for n in inside.shape[2:])
    y = np.zeros((*x.shape[:2], rows, columns), x.dtype)
    for i in range(rows):
        for j in range(columns):
            window = inside[:, :, i * stride : i * stride + size, j * stride : j * stride + size]
            y[:, :, i, j] = take(window, axis=(2, 3))
    return y


def _pool_case(rng: np.random.Generator, *shape: int, rule: tuple[int, int, int] = (3, 2, 1)) -> Case:
    return case(_unlike(rng, *shape), *rule)


POOL = Exercise(
    layers.max_pool2d,
    5,
    (
        Check(
            "windows side by side",
            "the largest value of every window",
            lambda rng: [
                case(MAP, 2, 2, 0),
                _pool_case(rng, 1, 1, 4, 6, rule=(2, 2, 0)),
                _pool_case(rng, 2, 2, 4, 4, rule=(2, 2, 0)),
            ],
            essential=True,
        ),
        Check(
            "windows that overlap",
            "windows of `size` pixels are `stride` pixels apart; H' = (H + 2 padding - size) // stride + 1",
            lambda rng: [
                case(MAP, 2, 1, 0),
                _pool_case(rng, 1, 1, 5, 6, rule=(3, 2, 0)),
                _pool_case(rng, 1, 2, 7, 5, rule=(3, 1, 0)),
            ],
        ),
        Check(
            "padding",
            "the border is never the largest, not even where all values are negative",
            lambda rng: [case(MAP, 3, 2, 1), case(-MAP, 3, 2, 1), _pool_case(rng, 2, 2, 5, 4)],
        ),
        *_none(lambda rng: _pool_case(rng, 2, 2, 4, 4), 0),
        defaults(lambda rng: [case(_unlike(rng, 1, 1, 6, 5))]),
    ),
    (
        Mistake(
            "the border is never the largest: yours is 0, which is larger than a negative value",
            lambda *a: _pool(*a, border=0.0),
        ),
        Mistake("the largest value of a window is expected: you take the mean", lambda *a: _pool(*a, take=np.mean)),
        Mistake(
            "the largest value of a window is expected: you take the smallest",
            lambda *a: _pool(*a, take=np.min, border=np.inf),
        ),
        Mistake(
            "H' = (H + 2 padding - size) // stride + 1: you have one row and one column fewer",
            lambda *a: _pool(*a, fewer=1),
        ),
        Mistake("the border is on all four sides: yours is below and at the right", lambda *a: _pool(*a, after=True)),
        Mistake(
            "windows are `stride` pixels apart: yours are `size` pixels apart",
            lambda x, k=3, s=2, p=1: _pool(x, k, k, p),
        ),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: _pool_case(rng, 2, 2, 6, 5),
    example="my.max_pool2d(np.arange(16.0).reshape(1, 1, 4, 4))",
)


# ---- max_pool2d_grad


def _pool_back(
    grad: Array, x: Array, size: int = 3, stride: int = 2, padding: int = 1,
    *, ties: str = "first", add: bool = True, border: float = -np.inf, shift: int = 0,
) -> Array:  # fmt: skip
    """The rule with the choices that a mistake changes."""
    p = padding
    inside = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)), constant_values=border)
    grad_x = np.zeros_like(inside)
    for b, c, i, j in np.ndindex(*grad.shape):
        place = (b, c, slice(i * stride, i * stride + size), slice(j * stride, j * stride + size))
        flat = inside[place].ravel()
        share = (flat == flat.max()).astype(x.dtype)
        if ties in ("first", "last"):
            best = int(flat.argmax()) if ties == "first" else len(flat) - 1 - int(flat[::-1].argmax())
            share = (np.arange(len(flat)) == best).astype(x.dtype)
        share = share / share.sum() if ties == "shared" else share
        share = np.full(len(flat), 1 / len(flat)) if ties == "mean" else share
        back = grad[b, c, i, j] * share.reshape(size, size)
        grad_x[place] = grad_x[place] + back if add else np.where(back != 0, back, grad_x[place])
    p += shift
    return grad_x[:, :, p : p + x.shape[2], p : p + x.shape[3]]


def _pool_back_case(rng: np.random.Generator, *shape: int, rule: tuple[int, int, int] = (3, 2, 1)) -> Case:
    x = _unlike(rng, *shape)
    return case(_map(rng, *layers.max_pool2d(x, *rule).shape), x, *rule)


SAME = np.ones((1, 1, 4, 4))
POOL_GRAD = Exercise(
    layers.max_pool2d_grad,
    10,
    (
        Check(
            "windows side by side",
            "the upstream number of a window goes to its largest value, all others get 0",
            lambda rng: [
                case(np.ones((1, 1, 1, 1)) * 3, MAP[:, :, :2, :2], 2, 2, 0),
                _pool_back_case(rng, 2, 2, 4, 4, rule=(2, 2, 0)),
            ],
            essential=True,
        ),
        Check(
            "windows that overlap",
            "a pixel that is the largest of several windows collects from all of them",
            lambda rng: [
                case(np.arange(1.0, 5).reshape(1, 1, 2, 2), np.where(MAP[:, :, :3, :3] == 6, 99.0, 0), 2, 1, 0),
                _pool_back_case(rng, 1, 1, 5, 5, rule=(3, 1, 0)),
            ],
            essential=True,
        ),
        Check(
            "padding",
            "the border is never the largest; grad_x has the shape of x",
            lambda rng: [
                _pool_back_case(rng, 1, 1, 4, 4),
                case(np.ones((1, 1, 2, 2)), -MAP, 3, 2, 1),
                _pool_back_case(rng, 2, 2, 6, 5),
            ],
        ),
        Check(
            "equal values",
            "of equal values the first one, row by row, is the largest",
            lambda rng: [
                case(np.arange(1.0, 5).reshape(1, 1, 2, 2), SAME, 2, 2, 0),
                case(np.arange(1.0, 5).reshape(1, 1, 2, 2), SAME, 3, 2, 1),
            ],
            apart=True,
        ),
        *_none(lambda rng: _pool_back_case(rng, 2, 2, 4, 4), 0, 1),
        defaults(lambda rng: [Case(_pool_back_case(rng, 1, 1, 6, 5).args[:2])]),
    ),
    (
        Mistake(
            "windows overlap: a pixel collects from all windows whose largest it is, you keep the last one",
            lambda *a: _pool_back(*a, add=False),
        ),
        Mistake(
            "of equal values only the first one gets the gradient: yours goes to all of them",
            lambda *a: _pool_back(*a, ties="all"),
        ),
        Mistake(
            "of equal values only the first one gets the gradient: you share it among them",
            lambda *a: _pool_back(*a, ties="shared"),
        ),
        Mistake("of equal values the first one is meant: you take the last", lambda *a: _pool_back(*a, ties="last")),
        Mistake(
            "only the largest value of a window gets its gradient: you spread it over the whole window",
            lambda *a: _pool_back(*a, ties="mean"),
        ),
        Mistake(
            "the border is never the largest: yours is 0 and takes gradients away where values are negative",
            lambda *a: _pool_back(*a, border=0.0),
        ),
        Mistake(
            "grad_x begins where the map begins, `padding` pixels into the padded one: yours begins too early",
            lambda *a: _pool_back(*a, shift=-1) if a[-1] else _pool_back(*a),
        ),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: _pool_back_case(rng, 2, 1, 6, 5),
    example="my.max_pool2d_grad(np.ones((1, 1, 2, 2)), np.arange(16.0).reshape(1, 1, 4, 4))",
)


# ---- upsample_nearest


def _places(old: int, new: int, rule: str) -> Array:
    """Which pixel each of the new ones copies, by the rule or by a mistake."""
    i = np.arange(new)
    factor = max(1, new // old)
    places = {
        "floor": i * old // new, "round": np.floor(i * old / new + 0.5).astype(int),
        "even": np.round(i * old / new).astype(int), "whole": i // factor,
        "corners": np.floor(i * (old - 1) / max(1, new - 1) + 0.5).astype(int), "tile": i % old,
    }  # fmt: skip
    found: Array = np.minimum(places[rule], old - 1)
    return found


def _up(x: Array, size: Any, *, rule: str = "floor", swap: bool = False) -> Array:
    height, width = size[::-1] if swap else size
    rows, columns = _places(x.shape[2], int(height), rule), _places(x.shape[3], int(width), rule)
    return x[:, :, rows[:, None], columns]


UP = Exercise(
    layers.upsample_nearest,
    5,
    (
        Check(
            "twice the size",
            "every pixel is copied into a square of four",
            lambda rng: [
                case(MAP[:, :, :1, :2], (2, 4)),
                case(MAP[:, :, :2, :2], (4, 4)),
                case(_map(rng, 2, 2, 3, 2), (6, 4)),
            ],
            essential=True,
        ),
        Check(
            "any size",
            "size is (H', W'), and pixel i of H' copies pixel floor(i H / H'): the pyramid's maps are "
            "not always of twice the size",
            lambda rng: [
                case(MAP[:, :, :2, :2], (3, 3)),
                case(_map(rng, 1, 1, 3, 4), (5, 7)),
                case(_map(rng, 1, 2, 4, 3), (7, 5)),
                case(_map(rng, 1, 1, 2, 3), (7, 3)),
            ],
        ),
        Check(
            "a smaller size",
            "the same rule makes maps smaller",
            lambda rng: [case(MAP, (2, 2)), case(MAP, (3, 1))],
            apart=True,
        ),
        *_none(lambda rng: case(_map(rng, 2, 2, 2, 3), (4, 5)), 0),
    ),
    (
        Mistake("pixel i copies pixel floor(i H / H'): you round to the nearest", lambda *a: _up(*a, rule="round")),
        Mistake("pixel i copies pixel floor(i H / H'): you round to the nearest", lambda *a: _up(*a, rule="even")),
        Mistake(
            "pixel i copies pixel floor(i H / H'): a whole factor H' // H is right only where H' is a multiple of H",
            lambda *a: _up(*a, rule="whole"),
        ),
        Mistake(
            "pixel i copies pixel floor(i H / H'): you lay the first pixels and the last ones on each other",
            lambda *a: _up(*a, rule="corners"),
        ),
        Mistake("every pixel is repeated beside itself: you repeat the whole map", lambda *a: _up(*a, rule="tile")),
        Mistake("size is (H', W'), height first: you have exchanged them", lambda *a: _up(*a, swap=True)),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: case(_map(rng, 2, 1, 3, 4), (5, 7)),
    example="my.upsample_nearest(np.arange(4.0).reshape(1, 1, 2, 2), (4, 4))",
)


# ---- upsample_nearest_grad


def _up_back(grad: Array, x: Array, *, over: str = "sum", rule: str = "floor") -> Array:
    """The rule with the choices that a mistake changes."""
    grad_x, copies = np.zeros_like(x), np.zeros(x.shape[2:])
    rows, columns = (_places(old, new, rule) for old, new in zip(x.shape[2:], grad.shape[2:], strict=True))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            here, came = (slice(None), slice(None), row, column), grad[:, :, i, j]
            first = copies[row, column] == 0
            copies[row, column] += 1
            grad_x[here] = came if over == "last" else grad_x[here] + came * (first if over == "first" else 1)
    return grad_x / np.maximum(copies, 1) if over == "mean" else grad_x


UP_GRAD = Exercise(
    layers.upsample_nearest_grad,
    5,
    (
        Check(
            "twice the size",
            "a pixel was copied four times and collects from all its copies",
            lambda rng: [
                case(MAP[:, :, :2, :2], MAP[:, :, :1, :1]),
                case(MAP, MAP[:, :, :2, :2]),
                case(_map(rng, 2, 2, 4, 6), _map(rng, 2, 2, 2, 3)),
            ],
            essential=True,
        ),
        Check(
            "any size",
            "the copies are those of `upsample_nearest`, of which a pixel may have more than its neighbour, or none",
            lambda rng: [
                case(_map(rng, 1, 1, 3, 3), MAP[:, :, :2, :2]),
                case(_map(rng, 1, 1, 5, 7), _map(rng, 1, 1, 3, 4)),
                case(_map(rng, 1, 1, 2, 3), MAP),
            ],
        ),
        *_none(lambda rng: case(_map(rng, 2, 2, 4, 5), _map(rng, 2, 2, 2, 3)), 0, 1),
    ),
    (
        Mistake(
            "a pixel's gradient is the sum over its copies: you take their mean", lambda *a: _up_back(*a, over="mean")
        ),
        Mistake("a pixel collects from all its copies: you keep the last one", lambda *a: _up_back(*a, over="last")),
        Mistake(
            "a pixel collects from all its copies: you take the first one only", lambda *a: _up_back(*a, over="first")
        ),
        Mistake(
            "the copies are those of floor(i H / H'): you round to the nearest", lambda *a: _up_back(*a, rule="round")
        ),
        Mistake(
            "the copies are those of floor(i H / H'): a whole factor is right only where H' is a multiple of H",
            lambda *a: _up_back(*a, rule="whole"),
        ),
        Mistake(
            "the copies of a pixel lie beside each other: you take the map as if it were repeated as a whole",
            lambda *a: _up_back(*a, rule="tile"),
        ),
    ),
    doc="""The gradient of x: what each pixel collects from its copies.

    Args:
        grad: (B, C, H', W'), d loss / d y.
        x: (B, C, H, W), what `upsample_nearest` was given.

    Returns:
        (B, C, H, W).
    """,
    note=IN_THE_TYPE,
    sample=lambda rng: case(_map(rng, 2, 1, 5, 7), _map(rng, 2, 1, 3, 4)),
    example="my.upsample_nearest_grad(np.ones((1, 1, 4, 4)), np.zeros((1, 1, 2, 2)))",
)


EXERCISES = (CONV, CONV_GRAD, NORM, NORM_GRAD, POOL, POOL_GRAD, UP, UP_GRAD)
