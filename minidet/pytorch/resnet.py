"""ResNet and ResNeXt as a backbone: the maps C3, C4, C5 of an image (He et al., 2016; Xie et al., 2017).

The modules have torchvision's names, so its ImageNet weights load as they are.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidet.config import RetinaNetConfig
from minidet.pytorch.normalisation import BatchNorm2d
from minidet.pytorch.winograd import Conv3x3


class ResNet(nn.Module):
    """An ImageNet classifier's convolutions, without the pooling and the linear layer at the end.

    The weights start as in He et al. (2015): Gaussian, with the variance that keeps that of the gradients.

    Args:
        config: has depth, width, groups, width_per_group, norm and norm_eps, and in its anchors the finest level: the
            maps begin with C3, or with C2 or C1 where the pyramid does.
    """

    out_channels: tuple[int, ...]
    """Channels of the maps, C5 last."""

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        block, repeats = _STAGES[config.depth]
        width, expansion = config.width, block.expansion
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = _norm(width, config)
        self.layer1 = _stage(block, width, width, repeats[0], 1, config)
        self.layer2 = _stage(block, width * expansion, width * 2, repeats[1], 2, config)
        self.layer3 = _stage(block, width * 2 * expansion, width * 4, repeats[2], 2, config)
        self.layer4 = _stage(block, width * 4 * expansion, width * 8, repeats[3], 2, config)
        self.finest = min(3, config.anchors.levels[0])
        self.out_channels = (width, *(width * 2**stage * expansion for stage in range(4)))[self.finest - 1 :]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of a batch of images.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            C3, C4, C5, and before them C2 and C1 where the pyramid begins there; map l is (B, its out_channels,
            ceil(H / 2**l), ceil(W / 2**l)).
        """
        c1 = F.relu(normalised(self.conv1, self.bn1, images))  # (B, width, H / 2, W / 2)
        c2 = self.layer1(F.max_pool2d(c1, 3, stride=2, padding=1))
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        return (c1, c2, c3, c4, self.layer4(c4))[self.finest - 1 :]


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics, scale and shift: (x - mean) / sqrt(var + eps) * weight + bias.

    Batches of a detector hold one or two images per GPU, too few for statistics of their own, so fine-tuning keeps
    those of ImageNet. All four are buffers of shape (channels,): nothing here is trained, in train mode or not.

    Args:
        channels: of the maps.
        eps: what is added to the variance.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """The map (B, channels, H, W), normalised: the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)

    def scale_shift(self) -> tuple[Tensor, Tensor]:
        """What the map is multiplied by, and what is added to that; (channels,) each."""
        scale = self.weight * torch.rsqrt(self.running_var + self.eps)
        return scale, self.bias - self.running_mean * scale

    def extra_repr(self) -> str:
        return f"{len(self.weight)}, eps={self.eps}"


def normalised(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """A convolution and the normalisation of its result.

    On a GPU a constant normalisation is a part of the convolution, with scaled weights and a shift: one pass less over
    the map in each direction, and the map between the two is not kept for the gradient.

    Args:
        conv: without a bias.
        norm: of its channels.
        x: (B, C, H, W).

    Returns:
        (B, the channels of conv, H / stride, W / stride).
    """
    if x.device.type == "cpu" or not isinstance(norm, FrozenBatchNorm2d):
        return norm(conv(x))
    scale, shift = norm.scale_shift()
    weight = conv.weight * scale[:, None, None, None]
    return F.conv2d(x, weight, shift, conv.stride, conv.padding, conv.dilation, conv.groups)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 8 channels per group, for a multiple of 8 channels (Wu and He, 2018)."""
    return nn.GroupNorm(channels // 8, channels)


class _BasicBlock(nn.Module):
    """Two 3x3 convs, to whose result the input is added: the block of ResNet-18 and 34."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int, config: RetinaNetConfig) -> None:
        super().__init__()
        self.conv1 = Conv3x3(in_channels, channels, stride, bias=False)
        self.bn1 = _norm(channels, config)
        self.conv2 = Conv3x3(channels, channels, bias=False)
        self.bn2 = _norm(channels, config)
        self.downsample = _shortcut(in_channels, channels, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(normalised(self.conv1, self.bn1, x))
        return F.relu(normalised(self.conv2, self.bn2, y) + self.downsample(x))


class _Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 conv, to whose result the input is added: the block of ResNet-50 and deeper.

    The 3x3 conv works on fewer channels, in groups for ResNeXt, and has the stride ("v1.5").
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int, config: RetinaNetConfig) -> None:
        super().__init__()
        inner = config.bottleneck_width * (channels // config.width)
        outer = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = _norm(inner, config)
        self.conv2 = Conv3x3(inner, inner, stride, config.groups, bias=False)
        self.bn2 = _norm(inner, config)
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = _norm(outer, config)
        self.downsample = _shortcut(in_channels, outer, stride, config)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(normalised(self.conv1, self.bn1, x))
        y = F.relu(normalised(self.conv2, self.bn2, y))
        return F.relu(normalised(self.conv3, self.bn3, y) + self.downsample(x))


class _Projection(nn.Sequential):
    """A convolution and its normalisation."""

    def forward(self, x: Tensor) -> Tensor:
        conv, norm = self
        return normalised(cast(nn.Conv2d, conv), norm, x)


_STAGES: dict[int, tuple[type[_BasicBlock] | type[_Bottleneck], tuple[int, int, int, int]]] = {
    18: (_BasicBlock, (2, 2, 2, 2)),
    34: (_BasicBlock, (3, 4, 6, 3)),
    50: (_Bottleneck, (3, 4, 6, 3)),
    101: (_Bottleneck, (3, 4, 23, 3)),
    152: (_Bottleneck, (3, 8, 36, 3)),
}
"""The residual block and how often each of the four stages repeats it, by depth (He et al., 2016, table 1)."""


def _stage(
    block: type[_BasicBlock] | type[_Bottleneck], in_channels: int, channels: int, repeats: int, stride: int,
    config: RetinaNetConfig,
) -> nn.Sequential:  # fmt: skip
    """Blocks in a row, the first of which changes resolution and channels."""
    first = block(in_channels, channels, stride, config)
    rest = (block(channels * block.expansion, channels, 1, config) for _ in range(repeats - 1))
    return nn.Sequential(first, *rest)


def _shortcut(in_channels: int, channels: int, stride: int, config: RetinaNetConfig) -> nn.Module:
    """The identity where the shapes allow it, else a 1x1 conv."""
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return _Projection(nn.Conv2d(in_channels, channels, 1, stride=stride, bias=False), _norm(channels, config))


def _norm(channels: int, config: RetinaNetConfig) -> nn.Module:
    """The normalisation layer that the configuration names ("bn" in the modules' names is torchvision's, for any)."""
    if config.norm == "group":
        return group_norm(channels)
    return (BatchNorm2d if config.norm == "batch" else FrozenBatchNorm2d)(channels, eps=config.norm_eps)
