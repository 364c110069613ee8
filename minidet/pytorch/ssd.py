"""A toy SSD (Liu et al., 2016): what the single-object detector does for an image, done for every default box.

Grids of cells over the image, by default 4x4, 2x2 and 1x1, each cell with a default box of its own size. For every
default box the network gives 4 offsets and n + 1 class logits: the classes 0 … n-1, and the background last. Default
boxes are anchors; their order is that of `minidet.pytorch.pyramid_anchors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidet import checks
from minidet.config import AnchorConfig, PostprocessConfig, RetinaNetConfig
from minidet.pytorch import tensors
from minidet.pytorch.anchors import pyramid_anchors
from minidet.pytorch.assignment import assign_anchors
from minidet.pytorch.boxes import box_area, box_iou, encode_boxes
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.regression import smooth_l1
from minidet.pytorch.resnet import FrozenBatchNorm2d
from minidet.pytorch.single import Losses, Samples, check_images, conv_block, fit, images_of, truncated_backbone
from minidet.pytorch.softmax import softmax_focal_loss
from minidet.structures import BACKGROUND, Detections

SQUARES = AnchorConfig(levels=(4, 5, 6), sizes=(16, 32, 64), scales=(1.0,), aspect_ratios=(1.0,))
"""One square a cell, as large as the cell: 16 + 4 + 1 = 21 default boxes for an image of 64x64 pixels."""


class SSD(nn.Module):
    """Three grids on top of a truncated classifier, and two convs on each grid.

    >>> model = SSD(num_classes=6)
    >>> boxes, scores, classes = model.detect(batch_images([image], model.config))[0]

    ``anchors``: the default boxes; its levels follow one another from 3 or more, and a grid has a cell for every
    2**level pixels. ``width``: channels of the first conv, a multiple of 8. ``postprocess``: thresholds of ``detect``.
    ``config`` holds the normalisation for ``minidet.pytorch.inference.batch_images``. Raises ValueError for others.
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
        self.offsets, self.classes = (
            nn.ModuleList(nn.Conv2d(channels, outputs * anchors.anchors_per_cell, 3, padding=1) for _ in range(count))
            for outputs in (4, num_classes + 1)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) normalised -> logits (B, N, n + 1) and offsets (B, N, 4) of the N default boxes of all grids.

        Raises ValueError for images of another shape.
        """
        check_images(images)
        x, logits, offsets = self.backbone(images), [], []
        for grid, classes, boxes in zip(self.grids, self.classes, self.offsets, strict=True):
            x = grid(x)  # (B, C, rows, columns), half as many as before
            logits.append(_by_box(classes(x), self.config.num_classes + 1))
            offsets.append(_by_box(boxes(x), 4))
        return torch.cat(logits, dim=1), torch.cat(offsets, dim=1)

    def default_boxes(self, image_size: tuple[int, int]) -> Tensor:
        """(N, 4) corners in pixels for an image of (height, width), on the parameters' device."""
        weight = next(self.parameters())
        return torch.cat(pyramid_anchors(image_size, self.anchors, weight.dtype, weight.device))

    def layers(self, grid: int) -> nn.Sequential:
        """The layers between the image and a grid, 0 being the finest; for ``receptive_field``."""
        return nn.Sequential(self.backbone, *self.grids[: grid + 1])

    @torch.inference_mode()
    def detect(self, images: Tensor) -> list[Detections]:
        """(B, 3, H, W) normalised -> Detections an image, best score first.

        A score is the softmax probability of a class. It is the sigmoid of its own log odds, so that RetinaNet's
        postprocessing does the rest: threshold, decode, clip, suppress class by class. Boxes (D, 4) in pixels, scores
        (D,), classes (D,) int64 in 0 … n-1. Raises ValueError for images of another shape or not finite.
        """
        logits, offsets = self(images)
        tensors.finite_images(images)
        size = (images.shape[2], images.shape[3])
        odds = tensors.wide(logits).softmax(2).logit().to(logits)[:, :, :-1]  # (B, N, n)
        boxes = self.default_boxes(size)
        return [postprocess([o], [t], [boxes], size, self.postprocess) for o, t in zip(odds, offsets, strict=True)]


def match_boxes(default_boxes: Tensor, gt_boxes: Tensor, iou_threshold: float = 0.5) -> Tensor:
    """Which ground-truth box each default box learns: its index, or -1 for the background (section 2.2 of SSD).

    First a default box is matched with the ground-truth box it overlaps most, if by ``iou_threshold`` or more. Then
    every ground-truth box gets one default box for itself, even one that does not reach the threshold or, when nothing
    better is left, does not touch it: of all pairs the one with the largest IoU is matched, both leave, and so on
    (of equal ones the first default box, then the first ground-truth box). So where two have the same best default box,
    the one that overlaps it more has it, and the other the best of the rest.

    Args:
        default_boxes: (N, 4) corners, pixels.
        gt_boxes: (M, 4) corners, pixels; one of no area is not matched. When M > N, M - N of them may go without.
        iou_threshold: in (0, 1].

    Returns:
        (N,) int64.

    Raises:
        ValueError: a box is inverted or not finite, or the threshold out of range.
    """
    checks.number("iou_threshold", iou_threshold, above=0, high=1)
    assignment = assign_anchors(default_boxes, gt_boxes, iou_threshold, iou_threshold)  # (N,)
    gt_boxes = tensors.boxes("gt_boxes", gt_boxes)
    left = box_iou(default_boxes, gt_boxes)  # (N, M); -1: gone
    real = box_area(gt_boxes) > 0  # (M,)
    left[:, ~real] = -1
    for _ in range(min(len(left), int(real.sum()))):
        box, gt = divmod(int(left.argmax()), left.shape[1])
        assignment[box] = gt
        left[box, :] = left[:, gt] = -1
    return assignment


def hard_negatives(losses: Tensor, positive: Tensor, ratio: int = 3) -> Tensor:
    """The negatives with the highest losses, ``ratio`` for each positive of the image (section 2.2 of SSD).

    ``losses``: (N,); ``positive``: (N,) bool, matched default boxes. Returns (N,) bool: all negatives when there are
    not enough, none when there is no positive; of equal losses the first. Raises ValueError for a loss that is NaN,
    for other lengths and for a ratio below 1.
    """
    checks.integer("ratio", ratio, low=1)
    losses = tensors.vector("losses", losses, len(positive), of="default boxes")
    order = losses.argsort(descending=True, stable=True)
    order = order[~positive[order]]  # negatives alone
    chosen = torch.zeros_like(positive)
    chosen[order[: ratio * int(positive.sum())]] = True
    return chosen


def ssd_loss(
    logits: Tensor, offsets: Tensor, default_boxes: Tensor, ground_truth: Sequence[Any],
    iou_threshold: float = 0.5, gamma: float | None = None,
) -> Losses:  # fmt: skip
    """The loss of a batch: smooth L1 of the matched default boxes' offsets, softmax cross entropy of the classes.

    ``logits``: (B, N, n + 1), background last; ``offsets``: (B, N, 4); ``default_boxes``: (N, 4); ``ground_truth``:
    one an image, with ``boxes`` (M, 4) in pixels and ``classes`` (M,) in 0 … n-1. The cross entropy is that of the
    matched default boxes and of three hard negatives for each; with a ``gamma``, the focal loss of all default boxes.
    Both sums are divided by the number of matched default boxes in the batch, or by 1. Raises ValueError for other
    shapes and classes, and for boxes that are inverted or not finite.
    """
    images, count, outputs = logits.shape
    if len(ground_truth) != images or offsets.shape != (images, count, 4):
        raise ValueError(
            f"logits has shape {tuple(logits.shape)}, offsets {tuple(offsets.shape)}, and there are "
            f"{len(ground_truth)} images: give (B, N, n + 1), (B, N, 4) and B"
        )
    targets = [_targets(default_boxes, image, outputs - 1, iou_threshold) for image in ground_truth]
    labels = torch.stack([labels for labels, _ in targets])  # (B, N)
    positive = labels < outputs - 1
    wanted = torch.cat([right for _, right in targets]).to(offsets)  # (P, 4)
    if gamma is None:
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(images, count)
        pairs = zip(losses.detach(), positive, strict=True)
        losses = losses[positive | torch.stack([hard_negatives(*pair) for pair in pairs])]
    else:
        losses = softmax_focal_loss(logits.flatten(0, 1), labels.flatten(), gamma)
    normaliser = positive.sum().clamp(min=1)
    return Losses(smooth_l1(offsets[positive], wanted).sum() / normaliser, losses.sum() / normaliser)


def train_ssd(
    model: SSD, samples: Samples, steps: int = 500, batch_size: int = 64, learning_rate: float = 5e-3,
    iou_threshold: float = 0.5, gamma: float | None = None, seed: int = 0,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a model in place to find the objects of each image, any number of them.

    >>> torch.manual_seed(0)
    >>> classes = ("disk", "triangle", "star")
    >>> few = Shapes(10_000, 0, (64, 64), objects=(1, 3), distractors=(0, 0), min_size=20, classes=classes)
    >>> model = SSD(num_classes=3)
    >>> history = train_ssd(model, list(few))  # a list, so that each image is drawn once

    The loss is ``ssd_loss`` with ``iou_threshold`` and ``gamma``, both its parts weighing the same; the rest, and the
    history that is returned, are as in ``minidet.pytorch.single.fit``.
    """

    def losses(batch: list[Any]) -> Losses:
        images = images_of(batch, model)
        boxes = model.default_boxes((images.shape[2], images.shape[3]))
        logits, offsets = model(images)
        return ssd_loss(logits, offsets, boxes, batch, iou_threshold, gamma)

    return fit(model, samples, losses, 1.0, steps, batch_size, learning_rate, seed)


def receptive_field(layers: Iterable[nn.Module]) -> tuple[int, int, float]:
    """What part of the image an activation after a chain of layers can depend on.

    >>> receptive_field([nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)])
    (7, 4, 0.5)

    ``layers``: convs and poolings with square kernels, nested as one likes, in the order in which they are applied;
    ReLU and normalisation change nothing (group normalisation is left out of account: through the mean and variance of
    its map an activation depends a little on everything). Returns size, stride and offset in pixels: activation i looks
    at ``size`` pixels a side around ``i * stride + offset``, and at padding where that is outside the image. After 3x3
    convs of stride 2 the offset is 0.5, the middle of the first pixel, and not that of the cell. Raises ValueError for
    other layers, linear ones among them.
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


def _by_box(output: Tensor, numbers: int) -> Tensor:
    """(B, A * numbers, rows, columns) -> (B, rows * columns * A, numbers)."""
    return output.permute(0, 2, 3, 1).unflatten(3, (-1, numbers)).flatten(1, 3)


def _targets(default_boxes: Tensor, image: Any, background: int, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """(N,) labels of the default boxes and, for the P matched ones, (P, 4) offsets to their ground-truth boxes."""
    boxes = torch.as_tensor(image.boxes, device=default_boxes.device)
    classes = tensors.integers("classes", image.classes, len(boxes), of="boxes", low=0, high=background - 1)
    assignment = match_boxes(default_boxes, boxes, iou_threshold)
    labels = F.pad(classes.to(boxes.device), (0, 1), value=background)[assignment]  # -1: the last
    matched = assignment != BACKGROUND
    return labels, encode_boxes(boxes[assignment[matched]], default_boxes[matched])
