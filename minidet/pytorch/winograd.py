"""3x3 convolutions in a quarter of the multiplications: Winograd's F(4x4, 3x3) (Lavin and Gray, 2016).

A subnet of RetinaNet is nothing but 3x3 convolutions; on a CPU they take nearly all the time of a training step. A tile
of 6x6 inputs d and a filter g give 4x4 outputs, which takes 144 multiplications per channel. Winograd's transforms (A,
B and G below, of small constants) reach the same outputs with 36, those of the elementwise product in

    Y = A [(G g G^T) * (B d B^T)] A^T

Over many channels and tiles that product is 36 products of matrices. The rest is additions, so the algorithm pays with
enough channels and tiles. Autograd knows every step except the cutting into tiles, whose gradient is written here.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution with a border of zeros, which in training may be computed by Winograd's algorithm.

    Args:
        in_channels: C.
        channels: of the result.
        stride: 1 or 2.
        groups: in which the channels are convolved apart.
        bias: whether a number is added per channel.
    """

    winograd = False
    """Whether to use the algorithm in float32 on a CPU, where it pays; training sets this for the model it trains."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, groups: int = 1, bias: bool = True) -> None:
        super().__init__(in_channels, channels, 3, stride, padding=1, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of (B, in_channels, H, W): (B, channels, ceil(H / stride), ceil(W / stride))."""
        return conv3x3(x, self.weight, self.bias) if self.winograd and self._pays(x) else super().forward(x)

    def _pays(self, x: Tensor) -> bool:
        """Whether the algorithm is the faster way: above these bounds it takes 0.3 to 0.85 of the time.

        Measured with 32 to 720 channels and 5 to 80 rows.
        """
        tiles = len(x) * -(-x.shape[2] // 4) * -(-x.shape[3] // 4)
        return (
            self.training and x.dtype == torch.float32 and x.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu") and self.stride == (1, 1) and self.groups == 1
            and self.in_channels * self.out_channels >= 64 * 64 and tiles >= 100
        )  # fmt: skip


def use_winograd(model: nn.Module, use: bool) -> None:
    """Let all 3x3 convolutions of a model use Winograd's algorithm in training, or none.

    Args:
        model: changed in place.
        use: whether they use it, where it pays.
    """
    for module in model.modules():
        if isinstance(module, Conv3x3):
            module.winograd = use


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The result of `F.conv2d(x, weight, bias, padding=1)`, by F(4x4, 3x3).

    In float32 the largest errors, of the result and of all gradients, are about 1e-5 of the largest value. It keeps
    2.25 numbers for every input until the backward pass.

    Args:
        x: (B, C, H, W).
        weight: (O, C, 3, 3), of the same floating dtype.
        bias: (O,), of that dtype.

    Returns:
        (B, O, H, W), in memory with the channels last.
    """
    height, width = x.shape[2:]
    channels_out, channels = weight.shape[:2]
    a, b, g = (matrix.to(x) for matrix in _TRANSFORMS)
    tiles = _Tiles.apply(x)  # (B, rows, columns, 6, 6, C)
    batch, rows, columns = tiles.shape[:3]
    data = b @ tiles.view(-1, 36, channels)
    filters = (g @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, channels, channels_out)
    y = a @ (data.transpose(0, 1) @ filters).transpose(0, 1)  # (tiles, 16, O)
    y = y.view(batch, rows, columns, 4, 4, channels_out).transpose(2, 3)
    y = y.reshape(batch, 4 * rows, 4 * columns, channels_out)[:, :height, :width]
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)


class _Tiles(torch.autograd.Function):
    """(B, C, H, W) -> (B, rows, columns, 6, 6, C): tiles of 6x6 pixels, 4 apart, of the map with a border of zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        height, width = ctx.size = x.shape[2:]
        bottom, right = 1 + -height % 4, 1 + -width % 4
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, bottom))
        return padded.unfold(1, 6, 4).unfold(2, 6, 4).permute(0, 1, 2, 4, 5, 3).contiguous()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        height, width = ctx.size
        batch, rows, columns, _, _, channels = grad.shape
        total = grad.new_zeros(batch, rows + 1, 4, columns + 1, 4, channels)
        cells = total.transpose(2, 3)
        cells[:, :-1, :-1] = grad[..., :4, :4, :]  # a tile's last two rows and columns are the next tile's first
        cells[:, 1:, :-1, :2] += grad[..., 4:, :4, :]
        cells[:, :-1, 1:, :, :2] += grad[..., :4, 4:, :]
        cells[:, 1:, 1:, :2, :2] += grad[..., 4:, 4:, :]
        total = total.view(batch, 4 * rows + 4, 4 * columns + 4, channels)
        return total[:, 1 : height + 1, 1 : width + 1].permute(0, 3, 1, 2)


_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
_B = [
    [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
]  # fmt: skip
_G = [
    [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
]  # fmt: skip
_TRANSFORMS = [torch.kron(m, m) for m in (torch.tensor(m, dtype=torch.float64) for m in (_A, _B, _G))]
"""A, B and G applied to both sides of a matrix whose entries are one column: (16, 36), (36, 36) and (36, 9)."""
