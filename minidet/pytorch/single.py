"""One object in one image: the smallest detector, and what every later one does for each of its boxes.

A classifier without its last layers is followed by two linear ones that give 4 coordinates and n class logits. No
pooling comes before them: an average over the image knows what is in it and has forgotten where.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minidet import checks
from minidet.config import RetinaNetConfig
from minidet.pytorch import tensors
from minidet.pytorch.boxes import clip_boxes
from minidet.pytorch.fit import Losses, Samples, fit, images_of
from minidet.pytorch.resnet import group_norm


class SingleDetector(nn.Module):
    """A network that finds the one object of an image, and its class.

    >>> model = SingleDetector(num_classes=6)
    >>> boxes, probabilities = model.predict(torch.zeros(1, 3, 64, 64))
    >>> tuple(boxes.shape), tuple(probabilities.shape)
    ((1, 4), (1, 6))

    Its `config` has the normalisation that `minidet.pytorch.inference.batch_images` applies.

    Args:
        num_classes: n.
        image_size: (height, width) of its images, multiples of 64; fixed, because a linear layer looks at every place.
        width: channels of the first conv, a multiple of 8.

    Raises:
        ValueError: a side is not a multiple of 64, or a count is out of range.
    """

    def __init__(self, num_classes: int, image_size: tuple[int, int] = (64, 64), width: int = 16) -> None:
        super().__init__()
        self.config = RetinaNetConfig.tiny(num_classes, width=width, norm="group")
        self.image_size = height, columns = checks.image_size(image_size)
        step = self.config.anchors.strides[-1]
        if height % step or columns % step:
            raise ValueError(f"image_size = {image_size} must be multiples of {step}, to which images are padded")
        self.backbone = truncated_backbone(width, level=4)
        activations = 8 * width * (height // 16) * (columns // 16)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(activations, 256), nn.ReLU(), nn.Linear(256, 4 + num_classes))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs for a batch of images.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Corners (B, 4) in units of the image's sides, and class logits (B, n).

        Raises:
            ValueError: the images have another shape.
        """
        tensors.images(images)
        if images.shape[2:] != self.image_size:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: this network is made for (B, 3, {self.image_size[0]}, "
                f"{self.image_size[1]}); resize the images or give it another image_size"
            )
        corners, logits = self.head(self.backbone(images)).split([4, self.config.num_classes], dim=1)
        return corners, logits

    @torch.inference_mode()
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Where the object of each image is, and what it is.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Boxes (B, 4) in pixels, clipped to the image, and class probabilities (B, n). Corners that come out in the
            wrong order are swapped.

        Raises:
            ValueError: the images have another shape, or are not finite.
        """
        corners, logits = self(images)
        tensors.finite_images(images)
        first, second = (corners * _extent(self.image_size, corners)).reshape(-1, 2, 2).unbind(1)  # (B, 2) each
        boxes = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=1)
        return clip_boxes(boxes, self.image_size), logits.softmax(1)


def single_loss(corners: Tensor, logits: Tensor, gt_boxes: Any, classes: Any, image_size: tuple[int, int]) -> Losses:
    """Cross entropy of the classes and L1 of the coordinates, summed over the four; both averaged over the images.

    Args:
        corners: (B, 4) in units of the image's sides.
        logits: (B, n).
        gt_boxes: (B, 4), pixels.
        classes: (B,) in 0 … n-1.
        image_size: (height, width), pixels.

    Raises:
        ValueError: the lengths differ, a class is out of range, or a box is inverted or not finite.
    """
    count = len(corners)
    wanted = tensors.boxes("gt_boxes", gt_boxes).to(corners)
    if len(wanted) != count:
        raise ValueError(f"gt_boxes has {len(wanted)} rows for {count} images: give one box per image")
    label = tensors.integers("classes", classes, count, of="images", low=0, high=logits.shape[1] - 1).to(logits.device)
    box = (corners - wanted / _extent(image_size, corners)).abs().sum(1).mean()
    return Losses(F.cross_entropy(logits, label), box)


def balance(box: float, classification: float) -> float:
    """The power of ten a that brings a * classification to the order of magnitude of the box loss.

    Without it the larger loss is the only one to be learnt.

    >>> balance(box=130.0, classification=1.8)  # coordinates in pixels: the classes would not be learnt
    100.0

    Args:
        box: the loss of the coordinates before training, above 0.
        classification: the loss of the classes then, above 0.

    Raises:
        ValueError: one of them is not finite or not above 0.
    """
    ratio = checks.number("box", box, above=0) / checks.number("classification", classification, above=0)
    return 10.0 ** round(math.log10(ratio))


def train_single(
    model: SingleDetector, samples: Samples, steps: int = 1000, batch_size: int = 64, learning_rate: float = 5e-3,
    classification_weight: float | None = None, seed: int = 0,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a model in place to localise and classify the one object of each image.

    The loss is box + a * classification.

        torch.manual_seed(0)
        classes = ("disk", "triangle", "star")
        one = Shapes(10_000, 0, (64, 64), objects=(1, 1), distractors=(0, 0), min_size=32, classes=classes)
        model = SingleDetector(num_classes=3)
        history = train_single(model, list(one))  # a list, so that each image is drawn once

    Args:
        model: changed in place.
        samples: images with exactly one object each.
        steps, batch_size, learning_rate, seed: as in `fit`.
        classification_weight: a; None is what `balance` makes of both losses of the first images, before training.

    Returns:
        The history, as `fit` returns it.

    Raises:
        ValueError: a sample does not hold exactly one object, or a setting is out of range.
    """

    def losses(batch: list[Any]) -> Losses:
        for i, sample in enumerate(batch):
            if len(sample.boxes) != 1:
                raise ValueError(
                    f"image {i} of a batch holds {len(sample.boxes)} objects: this network finds exactly one; leave "
                    "the image out, or train an SSD"
                )
        boxes = torch.cat([torch.as_tensor(sample.boxes) for sample in batch])
        classes = torch.cat([torch.as_tensor(sample.classes) for sample in batch])
        corners, logits = model(images_of(batch, model))
        return single_loss(corners, logits, boxes, classes, model.image_size)

    if classification_weight is None:
        with torch.no_grad():
            first = losses([samples[i] for i in range(min(batch_size, len(samples)))])
        classification_weight = balance(float(first.box), float(first.classification))
    return fit(model, samples, losses, classification_weight, steps, batch_size, learning_rate, seed)


def truncated_backbone(width: int, level: int) -> nn.Sequential:
    """The first blocks of a plain classifier, cheap enough to see many images per minute on a CPU.

    Args:
        width: channels of the first block, a multiple of 8; each next one has twice as many, up to 8 times the width.
        level: how many blocks.

    Returns:
        A network (B, 3, H, W) -> (B, C, ceil(H / 2**level), ceil(W / 2**level)).
    """
    channels = [3, *(width * 2 ** min(i, 3) for i in range(level))]
    return nn.Sequential(*map(conv_block, channels[:-1], channels[1:]))


def conv_block(in_channels: int, channels: int) -> nn.Sequential:
    """A 3x3 conv of stride 2, group normalisation and ReLU: half as many rows and columns, rounded up."""
    conv = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, group_norm(channels), nn.ReLU())


def _extent(image_size: tuple[int, int], like: Tensor) -> Tensor:
    """(4,): what corners in units of the image's sides are multiplied by to be in pixels."""
    height, width = image_size
    return like.new_tensor([width, height, width, height])
