"""A toy SSD (Liu et al., 2016): what the single-object detector does for an image, done for every default box.

Grids of cells lie over the image, by default 4x4, 2x2 and 1x1, each cell with a default box of its own size. For every
default box the network gives 4 deltas and n + 1 class logits: the classes 0 … n-1, and the background last. Default
boxes are anchors; their order is that of `minidet.pytorch.pyramid_anchors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidet.config import AnchorConfig, PostprocessConfig, RetinaNetConfig
from minidet.pytorch import tensors, widths
from minidet.pytorch.anchors import pyramid_anchors
from minidet.pytorch.boxes import encode_boxes
from minidet.pytorch.fit import Losses, Samples, fit, images_of
from minidet.pytorch.matching import hard_negatives, match_boxes
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.regression import smooth_l1
from minidet.pytorch.single import conv_block, truncated_backbone
from minidet.pytorch.softmax import softmax_focal_loss
from minidet.structures import BACKGROUND, Detections

SQUARES = AnchorConfig(levels=(4, 5, 6), sizes=(16, 32, 64), scales=(1.0,), aspect_ratios=(1.0,))
"""One square per cell, as large as the cell: 16 + 4 + 1 = 21 default boxes for an image of 64x64 pixels."""


class SSD(nn.Module):
    """Three grids on top of a truncated classifier, and two convs on each grid.

    >>> model = SSD(num_classes=6)
    >>> logits, deltas = model(torch.zeros(1, 3, 64, 64))
    >>> tuple(logits.shape), tuple(deltas.shape)
    ((1, 21, 7), (1, 21, 4))

    Its `config` has the normalisation that `minidet.pytorch.inference.batch_images` applies.

    Args:
        num_classes: n.
        anchors: the default boxes. Levels follow one another from 3 or more; a grid has a cell per 2**level pixels.
        width: channels of the first conv, a multiple of 8.
        postprocess: the thresholds of `detect`.

    Raises:
        ValueError: the levels do not follow one another from 3 or more, or a count is out of range.
    """

    def __init__(
        self, num_classes: int, anchors: AnchorConfig = SQUARES, width: int = 16,
        postprocess: PostprocessConfig = PostprocessConfig(),  # noqa: B008  # frozen
    ) -> None:  # fmt: skip
        super().__init__()
        first, count = anchors.levels[0], len(anchors.levels)
        if first < 3 or anchors.levels != tuple(range(first, first + count)):
            raise ValueError(
                f"anchors.levels = {anchors.levels} must follow one another, the first one being 3 or more"
            )
        self.config = RetinaNetConfig.tiny(num_classes, width=width, norm="group")
        self.anchors, self.postprocess = anchors, postprocess
        self.backbone = truncated_backbone(width, first - 1)
        channels = width * 2 ** min(first - 2, 3)
        self.grids = nn.ModuleList(conv_block(channels, channels) for _ in range(count))
        self.deltas, self.classes = (
            nn.ModuleList(nn.Conv2d(channels, outputs * anchors.anchors_per_cell, 3, padding=1) for _ in range(count))
            for outputs in (4, num_classes + 1)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs for the N default boxes of all grids.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Logits (B, N, n + 1) and deltas (B, N, 4).

        Raises:
            ValueError: the images have another shape.
        """
        tensors.images(images)
        x, logits, deltas = self.backbone(images), [], []
        for grid, classes, boxes in zip(self.grids, self.classes, self.deltas, strict=True):
            x = grid(x)  # (B, C, rows, columns), half as many as before
            logits.append(_by_box(classes(x), self.config.num_classes + 1))
            deltas.append(_by_box(boxes(x), 4))
        return torch.cat(logits, dim=1), torch.cat(deltas, dim=1)

    def default_boxes(self, image_size: tuple[int, int]) -> Tensor:
        """The default boxes for an image of (height, width): (N, 4) corners in pixels, on the parameters' device."""
        weight = next(self.parameters())
        return torch.cat(pyramid_anchors(image_size, self.anchors, weight.dtype, weight.device))

    def layers(self, grid: int) -> nn.Sequential:
        """The layers between the image and a grid, of which 0 is the finest; `receptive_field` takes them."""
        return nn.Sequential(self.backbone, *self.grids[: grid + 1])

    @torch.inference_mode()
    def detect(self, images: Tensor) -> list[Detections]:
        """What the network finds in each image.

        A score is the softmax probability of a class. It is the sigmoid of its own log odds, so that RetinaNet's
        postprocessing does the rest: threshold, decode, clip, suppress class by class.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Detections for each image, best score first: boxes (D, 4) in pixels, scores (D,), classes (D,) int64.

        Raises:
            ValueError: the images have another shape, or are not finite.
        """
        logits, deltas = self(images)
        tensors.finite_images(images)
        size = (images.shape[2], images.shape[3])
        odds = widths.wide(logits).softmax(2).logit().to(logits)[:, :, :-1]  # (B, N, n)
        boxes = self.default_boxes(size)
        return [postprocess([o], [t], [boxes], size, self.postprocess) for o, t in zip(odds, deltas, strict=True)]


def ssd_loss(
    logits: Tensor, deltas: Tensor, default_boxes: Tensor, ground_truth: Sequence[Any],
    iou_threshold: float = 0.5, gamma: float | None = None,
) -> Losses:  # fmt: skip
    """The loss of a batch: softmax cross entropy of the classes, smooth L1 of the matched default boxes' deltas.

    The cross entropy is that of the matched default boxes and of three hard negatives for each. Both sums are divided
    by the number of matched default boxes in the batch, or by 1.

    Args:
        logits: (B, N, n + 1), background last.
        deltas: (B, N, 4).
        default_boxes: (N, 4), pixels.
        ground_truth: for each image, `boxes` (M, 4) in pixels and `classes` (M,) in 0 … n-1.
        iou_threshold: from which on a default box is matched.
        gamma: take the focal loss of all default boxes instead of the cross entropy of some; None: do not.

    Raises:
        ValueError: the shapes do not fit, a class is out of range, or a box is inverted or not finite.
    """
    images, count, outputs = logits.shape
    if len(ground_truth) != images or deltas.shape != (images, count, 4):
        raise ValueError(
            f"logits has shape {tuple(logits.shape)}, deltas {tuple(deltas.shape)}, and there are "
            f"{len(ground_truth)} images: give (B, N, n + 1), (B, N, 4) and B"
        )
    targets = [_targets(default_boxes, image, outputs - 1, iou_threshold) for image in ground_truth]
    labels = torch.stack([labels for labels, _ in targets])  # (B, N)
    positive = labels < outputs - 1
    wanted = torch.cat([right for _, right in targets]).to(deltas)  # (P, 4)
    if gamma is None:
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(images, count)
        pairs = zip(losses.detach(), positive, strict=True)
        losses = losses[positive | torch.stack([hard_negatives(*pair) for pair in pairs])]
    else:
        losses = softmax_focal_loss(logits.flatten(0, 1), labels.flatten(), gamma)
    normaliser = positive.sum().clamp(min=1)
    return Losses(losses.sum() / normaliser, smooth_l1(deltas[positive], wanted).sum() / normaliser)


def train_ssd(
    model: SSD, samples: Samples, steps: int = 500, batch_size: int = 64, learning_rate: float = 5e-3,
    iou_threshold: float = 0.5, gamma: float | None = None, seed: int = 0,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a model in place to find the objects of each image, any number of them.

        torch.manual_seed(0)
        classes = ("disk", "triangle", "star")
        few = Shapes(10_000, 0, (64, 64), objects=(1, 3), distractors=(0, 0), min_size=20, classes=classes)
        model = SSD(num_classes=3)
        history = train_ssd(model, list(few))  # a list, so that each image is drawn once

    Args:
        model: changed in place.
        samples: images with their objects.
        steps, batch_size, learning_rate, seed: as in `minidet.pytorch.single.fit`.
        iou_threshold, gamma: as in `ssd_loss`, whose two parts have the same weight.

    Returns:
        The history, as `minidet.pytorch.single.fit` returns it.

    Raises:
        ValueError: as `ssd_loss` and `minidet.pytorch.single.fit`.
    """

    def losses(batch: list[Any]) -> Losses:
        images = images_of(batch, model)
        boxes = model.default_boxes((images.shape[2], images.shape[3]))
        logits, deltas = model(images)
        return ssd_loss(logits, deltas, boxes, batch, iou_threshold, gamma)

    return fit(model, samples, losses, 1.0, steps, batch_size, learning_rate, seed)


def _by_box(output: Tensor, numbers: int) -> Tensor:
    """(B, A * numbers, rows, columns) -> (B, rows * columns * A, numbers)."""
    return output.permute(0, 2, 3, 1).unflatten(3, (-1, numbers)).flatten(1, 3)


def _targets(default_boxes: Tensor, image: Any, background: int, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """(N,) labels of the default boxes and, for the P matched ones, (P, 4) deltas to their ground-truth boxes."""
    boxes = torch.as_tensor(image.boxes, device=default_boxes.device)
    classes = tensors.integers("classes", image.classes, len(boxes), of="boxes", low=0, high=background - 1)
    assignment = match_boxes(default_boxes, boxes, iou_threshold)
    labels = F.pad(classes.to(boxes.device), (0, 1), value=background)[assignment]  # -1: the last
    matched = assignment != BACKGROUND
    return labels, encode_boxes(boxes[assignment[matched]], default_boxes[matched])
