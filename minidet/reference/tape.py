"""Layers in a row, and the way back: every layer that runs is noted on a tape, which is then read from its end.

A layer's gradient function turns the gradient of its output into those of its inputs. An output that several layers
read reaches the loss along several ways, and its gradient is the sum of what comes back along all of them. Read
backwards, the tape passes every layer that read an output before the one that made it, so that the sum is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minidet.reference import layers

Gradient = Callable[[np.ndarray], Sequence[np.ndarray | None]]
"""From the gradient of an output to those of the inputs; None for one that nobody wants."""

MOMENTUM = 0.1
"""Weight of the newest batch in the averages that batch normalisation keeps."""


class Value:
    """An array on its way through the network, and the gradient of the loss with respect to it."""

    def __init__(self, data: np.ndarray) -> None:
        self.data = data
        self.grad: np.ndarray | None = None  # nothing has come back yet
        self.wanted = True  # whether the gradient is: that of the images rarely is

    def collect(self, grad: np.ndarray) -> None:
        """Add what came back along one way."""
        self.grad = grad if self.grad is None else self.grad + grad


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
            for value, grad in zip(inputs, gradient(output.grad), strict=False):
                if grad is not None:
                    value.collect(grad)
        return {name: value.grad for name, value in self.parameters.items() if value.grad is not None}

    def conv(
        self, x: Value, name: str, channels: int, size: int, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> Value:
        """A convolution with a border of `size` // 2 zeros: (B, C, H, W) -> (B, channels, ceil(H / stride), ...)."""
        weight = self._parameter(f"{name}.weight", channels, x.data.shape[1] // groups, size, size)
        shift = self._parameter(f"{name}.bias", channels) if bias else None
        how = {"stride": stride, "padding": size // 2, "groups": groups}

        def gradient(grad: np.ndarray) -> Sequence[np.ndarray | None]:
            if x.wanted:
                return layers.conv2d_grad(grad, x.data, weight.data, **how)
            return None, layers.conv2d_grad_weight(grad, x.data, weight.data, **how), grad.sum(axis=(0, 2, 3))

        y = layers.conv2d(x.data, weight.data, shift.data if shift else None, **how)
        return self._note(y, gradient, x, weight, *([shift] if shift else []))

    def batch_norm(self, x: Value, name: str, eps: float) -> Value:
        """Batch normalisation: with the batch's statistics in training, with their averages otherwise."""
        channels = x.data.shape[1]
        weight, bias = (self._parameter(f"{name}.{of}", channels) for of in ("weight", "bias"))
        mean, var = (self._array(f"{name}.running_{of}", channels) for of in ("mean", "var"))
        batches = self._array(f"{name}.num_batches_tracked")
        if not self.training:
            return Value(layers.frozen_batch_norm(x.data, weight.data, bias.data, mean, var, eps))
        y = layers.batch_norm(x.data, weight.data, bias.data, eps)
        n = x.data.size // channels
        mean += MOMENTUM * (x.data.mean(axis=(0, 2, 3)) - mean)
        var += MOMENTUM * (x.data.var(axis=(0, 2, 3)) * (n / (n - 1)) - var)  # n - 1: without a sample's bias
        batches += 1
        return self._note(y, lambda grad: layers.batch_norm_grad(grad, x.data, weight.data, eps), x, weight, bias)

    def frozen_batch_norm(self, x: Value, name: str, eps: float) -> Value:
        """Batch normalisation as a fixed map: nothing of it is trained."""
        channels = x.data.shape[1]
        weight, bias, mean, var = (
            self._array(f"{name}.{of}", channels) for of in ("weight", "bias", "running_mean", "running_var")
        )
        y = layers.frozen_batch_norm(x.data, weight, bias, mean, var, eps)
        return self._note(y, lambda grad: (layers.frozen_batch_norm_grad(grad, weight, var, eps),), x)

    def group_norm(self, x: Value, name: str) -> Value:
        """Group normalisation with 8 channels per group."""
        channels = x.data.shape[1]
        weight, bias = (self._parameter(f"{name}.{of}", channels) for of in ("weight", "bias"))
        groups = channels // 8
        y = layers.group_norm(x.data, groups, weight.data, bias.data)
        return self._note(y, lambda grad: layers.group_norm_grad(grad, x.data, groups, weight.data), x, weight, bias)

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self._note(layers.relu(x.data), lambda grad: (layers.relu_grad(grad, x.data),), x)

    def max_pool(self, x: Value) -> Value:
        """The largest of every 3x3 window, two pixels apart."""
        return self._note(layers.max_pool2d(x.data), lambda grad: (layers.max_pool2d_grad(grad, x.data),), x)

    def upsample(self, x: Value, like: Value) -> Value:
        """A map at the size of another."""
        y = layers.upsample_nearest(x.data, like.data.shape[2:])
        return self._note(y, lambda grad: (layers.upsample_nearest_grad(grad, x.data),), x)

    def add(self, x: Value, y: Value) -> Value:
        """x + y: both get the whole gradient."""
        return self._note(x.data + y.data, lambda grad: (grad, grad), x, y)

    def rows(self, x: Value, numbers: int) -> Value:
        """One row per anchor, by y, x, anchor of the cell: (B, A * numbers, H, W) -> (B, H * W * A, numbers)."""
        batch, channels, height, width = x.data.shape
        y = x.data.transpose(0, 2, 3, 1).reshape(batch, height * width * channels // numbers, numbers)
        return self._note(y, lambda grad: (grad.reshape(batch, height, width, channels).transpose(0, 3, 1, 2),), x)

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
