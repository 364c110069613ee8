"""Layers in a row, and the way back, as in `minidet.reference.tape`; maps have their channels last, (B, H, W, C).

A gradient has one owner: whoever gets one from the tape may change it in place, as the normalisations do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minidet import checks
from minidet.compiled import convolution, normalisation, resampling

Gradient = Callable[[np.ndarray], Sequence[np.ndarray | None]]
"""From the gradient of an output to those of the inputs; None for one that nobody wants."""

_MOMENTUM = 0.1
"""Weight of the newest batch in the averages that batch normalisation keeps."""


class Value:
    """An array on its way through the network, and the gradient of the loss with respect to it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.grad: np.ndarray | None = None  # nothing has come back yet
        self.wanted = True  # whether the gradient is: that of the images rarely is

    def collect(self, grad: np.ndarray) -> None:
        """Add what came back along one way."""
        if self.grad is None:
            self.grad = grad
        else:
            self.grad += grad


class Tape:
    """The layers by name: each computes its output and notes how its gradient goes back.

    Args:
        state: name -> array, parameters and buffers; in training, batch normalisation changes its buffers.
        training: whether batch normalisation uses the batch's own statistics, and whether anything is noted.
        create: makes the first value, given name and shape, of an array that `state` lacks; by default there is none.
    """

    def __init__(
        self, state: dict[str, np.ndarray], training: bool,
        create: Callable[[str, tuple[int, ...]], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.state, self.training, self.create = state, training, create
        self.parameters: dict[str, Value] = {}
        self.entries: list[tuple[Value, tuple[Value, ...], Gradient]] = []

    def backward(self) -> dict[str, np.ndarray]:
        """The gradient of every parameter, once the last outputs have theirs. The tape is used up."""
        while self.entries:
            output, inputs, gradient = self.entries.pop()
            assert output.grad is not None, "an output that leads nowhere"
            for value, grad in zip(inputs, gradient(output.grad), strict=True):
                if grad is not None:
                    value.collect(grad)
            output.grad = None
        return {name: value.grad for name, value in self.parameters.items() if value.grad is not None}

    def conv(
        self, x: Value, name: str, channels: int, size: int, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> Value:
        """A convolution with a border of `size` // 2 zeros: (B, H, W, C) -> (B, ceil(H / stride), ..., channels)."""
        weight = self._parameter(f"{name}.weight", channels, x.data.shape[3] // groups, size, size)
        shift = self._parameter(f"{name}.bias", channels) if bias else None
        how = stride, size // 2, groups

        def gradient(grad: np.ndarray) -> Sequence[np.ndarray | None]:
            of_weight, of_bias = convolution.grad_filters(grad, x.data, size, *how)
            of_x = convolution.grad_input(grad, weight.data, x.data.shape, *how) if x.wanted else None
            return (of_x, of_weight, of_bias) if bias else (of_x, of_weight)

        y = convolution.correlate(x.data, weight.data, shift.data if shift else None, *how)
        return self._note(y, gradient, x, weight, *([shift] if shift else []))

    def norm(
        self, x: Value, name: str, kind: str, eps: float = 1e-5, shortcut: Callable[[], Value] | None = None,
        relu: bool = True,
    ) -> Value:  # fmt: skip
        """A normalisation ("batch", "frozen" or "group", 8 channels per group), plus a shortcut, and ReLU.

        `shortcut` is called after the parameters of this layer have been created, for they precede its own.
        """
        batch, height, width, channels = x.data.shape
        parameters = [self._parameter(f"{name}.{of}", channels) for of in ("weight", "bias")]
        running, given = [], kind == "frozen"
        if kind != "group":
            running = [self._array(f"{name}.running_{of}", channels) for of in ("mean", "var")]
        if kind == "batch":
            given, batches = not self.training, self._array(f"{name}.num_batches_tracked")
        other = shortcut() if shortcut else None

        groups = channels // 8 if kind == "group" else channels
        sets = (batch, height * width) if kind == "group" else (1, batch * height * width)
        values = x.data.reshape(*sets, channels)
        if kind == "batch" and not given:
            checks.layers.batch_values((batch, channels, height, width))
        mean, var = [value[None] for value in running] if given else normalisation.statistics(values, groups)
        if kind == "batch" and not given:
            _follow(running, mean[0], var[0], len(values[0]))
            batches += 1
        weight, bias = (parameter.data for parameter in parameters)
        s = np.sqrt(var.astype(np.float64) + eps)
        added = other.data.reshape(values.shape) if other else None
        y = normalisation.normalise(values, mean, weight / s, bias, added, relu)

        def gradient(grad: np.ndarray) -> Sequence[np.ndarray | None]:
            g, out = grad.reshape(values.shape), y if relu else None
            if given:
                found: tuple[np.ndarray, ...] = (normalisation.scale_grad(g, weight / s[0], out),)
            else:
                found = normalisation.normalise_grad(g, values, mean, s, weight, groups, out)
            of_x, *rest = found
            return of_x.reshape(x.data.shape), *rest, *([grad] if other else [])

        inputs = [x, *(parameters if not given else []), *([other] if other else [])]
        return self._note(y.reshape(x.data.shape), gradient, *inputs)

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        y = np.maximum(x.data, 0)
        return self._note(y, lambda grad: (grad * (y > 0),), x)

    def max_pool(self, x: Value) -> Value:
        """The largest of every 3x3 window, two pixels apart."""
        y, winner = resampling.max_pool(x.data, 3, 2, 1)
        return self._note(y, lambda grad: (resampling.max_pool_grad(grad, winner, x.data.shape, 3, 2, 1),), x)

    def upsample_and_add(self, x: Value, to: Value) -> Value:
        """`to` plus x enlarged to its size."""
        y = resampling.upsample(x.data, to.data.shape[1], to.data.shape[2], to.data)
        return self._note(y, lambda grad: (resampling.upsample_grad(grad, *x.data.shape[1:3]), grad), x, to)

    def rows(self, x: Value, numbers: int) -> Value:
        """One row per anchor, by y, x, anchor of the cell: (B, H, W, A * numbers) -> (B, H * W * A, numbers)."""
        batch, height, width, channels = x.data.shape
        y = x.data.reshape(batch, height * width * channels // numbers, numbers)
        return self._note(y, lambda grad: (np.ascontiguousarray(grad).reshape(x.data.shape),), x)

    def _note(self, y: np.ndarray, gradient: Gradient, *inputs: Value) -> Value:
        """An output, and in training how its gradient goes back to the inputs."""
        output = Value(y)
        if self.training:
            self.entries.append((output, inputs, gradient))
        return output

    def _array(self, name: str, *shape: int) -> np.ndarray:
        """An array of the state."""
        if name not in self.state and self.create is not None:
            self.state[name] = self.create(name, shape)
        return self.state[name]

    def _parameter(self, name: str, *shape: int) -> Value:
        """A trained array of the state. A layer that runs several times, such as a subnet's, has one."""
        if name not in self.parameters:
            self.parameters[name] = Value(self._array(name, *shape))
        return self.parameters[name]


def _follow(running: Sequence[np.ndarray], mean: np.ndarray, var: np.ndarray, n: int) -> None:
    """Move the averages that batch normalisation keeps towards the mean and variance of n values, in place."""
    running[0][...] += _MOMENTUM * (mean - running[0])
    running[1][...] += _MOMENTUM * (var * (n / (n - 1)) - running[1])  # n - 1: without a sample's bias
