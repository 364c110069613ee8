"""The feature pyramid (section 4, "Feature Pyramid Network Backbone"; Lin et al., 2017, Feature Pyramid Networks)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from minidet.config import RetinaNetConfig
from minidet.pytorch.winograd import Conv3x3


class FPN(nn.Module):
    """From the backbone's maps to the levels of the pyramid, by default P3 to P7.

    From coarse to fine, a map is enlarged to the next finer one's size and added to that one's 1x1 conv; a 3x3 conv of
    the sum is the level. P6 is a 3x3 conv of stride 2 on C5 (or on P5, see `RetinaNetConfig.p6_from`), P7 one on
    ReLU(P6), and so on for coarser levels. Weights start uniform with variance 1 / fan_in, biases at 0, as in the FPN
    paper's code.

    Args:
        in_channels: channels of the maps, C5 last; maps finer than the first level are not used.
        config: has the levels, in its anchors, and their number of channels.
    """

    def __init__(self, in_channels: tuple[int, ...], config: RetinaNetConfig) -> None:
        super().__init__()
        channels, levels = config.fpn_channels, config.anchors.levels
        self.p6_from = config.p6_from
        merged = in_channels[levels[0] - 6 :]  # C5 is the last: from the finest level's map to C5
        self.lateral = nn.ModuleList(nn.Conv2d(c, channels, 1) for c in merged)
        self.output = nn.ModuleList(Conv3x3(channels, channels) for level in levels if level <= 5)
        self.extra = nn.ModuleDict()
        for level in levels:
            if level > 5:
                c = in_channels[-1] if level == 6 and config.p6_from == "C5" else channels
                self.extra[f"p{level}"] = Conv3x3(c, channels, stride=2)
        for parameter in self.parameters():
            if parameter.ndim == 1:
                nn.init.zeros_(parameter)
            else:
                nn.init.kaiming_uniform_(parameter, a=1)

    def forward(self, features: tuple[Tensor, ...]) -> list[Tensor]:
        """The pyramid over the backbone's maps.

        Args:
            features: maps of any size, C5 last.

        Returns:
            For each level a map (B, fpn_channels, ceil(H / 2**level), ceil(W / 2**level)) of an image (H, W).
        """
        laterals = [conv(c) for conv, c in zip(self.lateral, features[-len(self.lateral) :], strict=True)]
        for i in reversed(range(len(laterals) - 1)):
            size = laterals[i].shape[-2:]
            laterals[i] = laterals[i] + F.interpolate(laterals[i + 1], size=size, mode="nearest")
        pyramid = [conv(x) for conv, x in zip(self.output, laterals, strict=False)]
        x = features[-1] if self.p6_from == "C5" else pyramid[-1]
        for name, conv in self.extra.items():
            x = conv(x if name == "p6" else F.relu(x))
            pyramid.append(x)
        return pyramid
