"""The receptive field: how much of the image an activation sees."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from minidet.pytorch.resnet import FrozenBatchNorm2d


def receptive_field(layers: Iterable[nn.Module]) -> tuple[int, int, float]:
    """What part of the image an activation after a chain of layers can depend on.

    >>> receptive_field([nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)])
    (7, 4, 0.5)

    Args:
        layers: convs and poolings with square kernels, nested in any way, in the order in which they are applied. ReLU
            and normalisation change nothing (group normalisation is ignored: through the mean and variance of its map
            an activation depends a little on everything).

    Returns:
        Size, stride and offset in pixels: activation i looks at a square of `size` pixels per side around
        `i * stride + offset`, and at padding where that is outside the image. After 3x3 convs of stride 2 the offset is
        0.5, the middle of the first pixel, and not that of the cell.

    Raises:
        ValueError: a layer is of another kind, for example linear.
    """
    size, stride, offset = 1, 1, 0.5
    for layer in nn.ModuleList(layers).modules():
        if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)):
            kernel, step, padding, dilation = (
                _square(layer, name) for name in ("kernel_size", "stride", "padding", "dilation")
            )
            reach = (kernel - 1) * dilation
            size += reach * stride
            offset += (reach / 2 - padding) * stride
            stride *= step
        elif not isinstance(layer, _CONTAINERS + _POINTWISE):
            raise ValueError(f"{type(layer).__name__} has no receptive field known here: give convs and poolings")
    return size, stride, offset


_CONTAINERS = (nn.Sequential, nn.ModuleList)
_POINTWISE = (nn.ReLU, nn.Identity, nn.BatchNorm2d, FrozenBatchNorm2d, nn.GroupNorm)


def _square(layer: nn.Module, name: str) -> int:
    value = getattr(layer, name, 1)  # an AvgPool2d has no dilation
    sides = set(value) if isinstance(value, tuple) else {value}
    if len(sides) != 1 or not isinstance(side := sides.pop(), int):
        raise ValueError(f"{name} = {value!r} of {type(layer).__name__} must be the same whole number both ways")
    return side
