"""RetinaNet: a backbone, a feature pyramid and two small subnets that look at every anchor (section 4, figure 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor, nn

from minidet import checks
from minidet.config import AnchorConfig, RetinaNetConfig
from minidet.pytorch import tensors
from minidet.pytorch.anchors import pyramid_anchors
from minidet.pytorch.batched import postprocess_batch
from minidet.pytorch.fpn import FPN
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.resnet import ResNet, group_norm
from minidet.pytorch.winograd import Conv3x3
from minidet.structures import Detections


class RetinaNet(nn.Module):
    """The network of figure 3, initialised as section 4.1 says.

    Its `backbone` computes C3 … C5, its `fpn` the pyramid, its `class_subnet` and `box_subnet` the outputs for the
    N_level = rows * columns * A anchors of each level, in the order of `anchors`.

    >>> model = RetinaNet(RetinaNetConfig.tiny(num_classes=3))
    >>> logits, deltas = model(torch.zeros(2, 3, 64, 128))
    >>> [tuple(level.shape) for level in logits]
    [(2, 1152, 3), (2, 288, 3), (2, 72, 3), (2, 18, 3)]

    Args:
        config: the backbone, the pyramid, the subnets, and what their outputs mean.
    """

    def __init__(self, config: RetinaNetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = ResNet(config)
        self.fpn = FPN(self.backbone.out_channels, config)
        self.class_subnet = Subnet(config.num_classes, config)
        self.box_subnet = Subnet(4, config)
        assert self.class_subnet.output.bias is not None
        nn.init.constant_(self.class_subnet.output.bias, config.prior_logit)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The logits and box deltas of every anchor.

        Args:
            images: (B, 3, H, W), RGB normalised with the configuration's mean and std, of the parameters' dtype (any
                floating one under autocast); any H and W from 1 on.

        Returns:
            Two lists over the levels: logits (B, N_level, K) and deltas (B, N_level, 4), anchors in the order y, x,
            anchor of the cell. NaN and infinity in an image pass through to them.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        self._check(images)
        pyramid = self.fpn(self.backbone(images))
        return [self.class_subnet(p) for p in pyramid], [self.box_subnet(p) for p in pyramid]

    @torch.inference_mode()
    def detect(self, images: Tensor, image_sizes: Sequence[tuple[int, int]] | None = None) -> list[Detections]:
        """What the network finds in each image (section 4.1, "Inference"), in eval mode whatever mode it is in.

        Args:
            images: as for `forward`, and finite.
            image_sizes: (height, width) of each image, in a batch that was padded at the right and the bottom; boxes
                are clipped to it. None is (H, W).

        Returns:
            Detections for each image, best score first: boxes (D, 4) in pixels of the input, scores (D,) and classes
            (D,) int64.

        Raises:
            ValueError: an image is not finite or of another shape or dtype, or a size does not fit its image.
        """
        self._check(images)
        height, width = images.shape[-2:]
        sizes = [(height, width)] * len(images) if image_sizes is None else [checks.image_size(s) for s in image_sizes]
        if len(sizes) != len(images):
            raise ValueError(f"image_sizes has {len(sizes)} entries for {len(images)} images: give one per image")
        for i, size in enumerate(sizes):
            if size[0] > height or size[1] > width:
                raise ValueError(f"image_sizes[{i}] = {size} is larger than the padded image, {(height, width)}")
        tensors.finite_images(images)
        with _evaluating(self):
            logits, deltas = self(images)
        anchors = self.anchors((height, width))
        logits, deltas = ([level.to(anchors[0].dtype) for level in levels] for levels in (logits, deltas))
        if images.device.type != "cpu":
            found = postprocess_batch(logits, deltas, anchors, sizes, self.config.postprocess)
            if found is not None:
                return found
        return [
            postprocess([x[i] for x in logits], [t[i] for t in deltas], anchors, size, self.config.postprocess)
            for i, size in enumerate(sizes)
        ]

    def anchors(self, image_size: tuple[int, int]) -> list[Tensor]:
        """The anchors for an image, on the parameters' device.

        Args:
            image_size: (height, width), pixels.

        Returns:
            For each level (N_level, 4), float64 if the parameters are, otherwise float32. The tensors are kept for the
            next call: change none in place.
        """
        weight = self.class_subnet.output.weight
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return list(_anchors(checks.image_size(image_size), self.config.anchors, dtype, weight.device))

    def _check(self, images: Tensor) -> None:
        tensors.images(images)
        dtype = self.class_subnet.output.weight.dtype
        casts = torch.is_autocast_enabled(images.device.type) and images.is_floating_point()
        if images.dtype != dtype and not casts:
            raise ValueError(
                f"images has dtype {images.dtype}: give {dtype}, the network's; of bytes (images / 255 - mean) / std"
            )


class Subnet(nn.Module):
    """The classification or the box regression subnet: a few 3x3 convs with ReLU, then one that predicts.

    One subnet reads all levels of the pyramid; the two subnets share nothing. Weights start Gaussian with a standard
    deviation of 0.01, biases at 0 (section 4.1).

    Args:
        outputs: numbers per anchor, K or 4.
        config: has the number of convs, their channels, and the anchors per cell.
    """

    def __init__(self, outputs: int, config: RetinaNetConfig) -> None:
        super().__init__()
        self.outputs = outputs
        blocks, channels = [], config.fpn_channels
        for _ in range(config.head_convs):
            conv = Conv3x3(channels, config.head_channels, bias=config.head_norm is None)
            norm = [group_norm(config.head_channels)] if config.head_norm == "group" else []
            blocks.append(nn.Sequential(conv, *norm, nn.ReLU(inplace=True)))
            channels = config.head_channels
        self.convs = nn.Sequential(*blocks)
        self.output = Conv3x3(channels, config.anchors.anchors_per_cell * outputs)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 4:
                nn.init.normal_(parameter, std=0.01)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, features: Tensor) -> Tensor:
        """The outputs for a level's map.

        Args:
            features: (B, C, H, W).

        Returns:
            (B, H * W * A, outputs), in the order y, x, anchor of the cell.
        """
        predictions = self.output(self.convs(features)).permute(0, 2, 3, 1)  # (B, H, W, A * outputs)
        return predictions.unflatten(3, (-1, self.outputs)).flatten(1, 3)


@lru_cache(maxsize=8)
def _anchors(
    image_size: tuple[int, int], config: AnchorConfig, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    with torch.inference_mode(False):  # made during detect, they must still be fit for training
        return tuple(pyramid_anchors(image_size, config, dtype=dtype, device=device))


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """A context in which the model is in eval mode; after it every module is in its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
