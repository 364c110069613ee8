"""One object in one image: the smallest detector, and what every later one does for each of its boxes.

A classifier without its last layers is followed by two linear ones that give 4 coordinates and n class logits. No
pooling comes before them: an average over the image knows what is in it and has forgotten where.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from minidet import checks
from minidet.config import RetinaNetConfig
from minidet.pytorch import tensors
from minidet.pytorch.boxes import clip_boxes
from minidet.pytorch.inference import batch_images
from minidet.pytorch.resnet import group_norm


class Samples(Protocol):
    """A data set of minidet, or a list of its samples.

    A sample has ``image``: (H, W, 3) uint8 array, RGB; ``boxes``: (M, 4) in pixels; ``classes``: (M,) in 0 … n-1.
    """

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class Losses(NamedTuple):
    """The two parts of a detector's loss, scalars that gradients flow through."""

    localisation: Tensor
    confidence: Tensor


class SingleDetector(nn.Module):
    """Where the one object is and what it is.

    >>> model = SingleDetector(num_classes=6)
    >>> boxes, probabilities = model.predict(batch_images([image], model.config))

    ``image_size``: (height, width) of its images, multiples of 64, fixed because a linear layer looks at every place.
    ``width``: channels of the first conv, a multiple of 8. ``config`` holds the normalisation for
    ``minidet.pytorch.inference.batch_images``. Raises ValueError for other sizes and counts.
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
        """(B, 3, H, W) normalised -> corners (B, 4), where the image's sides are 1, and class logits (B, n).

        Raises ValueError for images of another shape.
        """
        check_images(images)
        if images.shape[2:] != self.image_size:
            raise ValueError(
                f"images has shape {tuple(images.shape)}: this network is made for (B, 3, {self.image_size[0]}, "
                f"{self.image_size[1]}); resize the images or give it another image_size"
            )
        corners, logits = self.head(self.backbone(images)).split([4, self.config.num_classes], dim=1)
        return corners, logits

    @torch.inference_mode()
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) normalised -> boxes (B, 4) in pixels, clipped to the image, and class probabilities (B, n).

        Corners that come out in the wrong order are swapped. Raises ValueError for images of another shape or with
        numbers that are not finite.
        """
        corners, logits = self(images)
        tensors.finite_images(images)
        first, second = (corners * _extent(self.image_size, corners)).reshape(-1, 2, 2).unbind(1)  # (B, 2) each
        boxes = torch.cat([torch.minimum(first, second), torch.maximum(first, second)], dim=1)
        return clip_boxes(boxes, self.image_size), logits.softmax(1)


def single_loss(corners: Tensor, logits: Tensor, gt_boxes: Any, classes: Any, image_size: tuple[int, int]) -> Losses:
    """L1 of the coordinates, summed over the four, and cross entropy of the classes; both averaged over the images.

    ``corners``: (B, 4) in units of the image's sides; ``logits``: (B, n); ``gt_boxes``: (B, 4) in pixels; ``classes``:
    (B,) in 0 … n-1; ``image_size``: (height, width), pixels. Raises ValueError for other lengths and classes.
    """
    count = len(corners)
    wanted = tensors.boxes("gt_boxes", gt_boxes).to(corners)
    if len(wanted) != count:
        raise ValueError(f"gt_boxes has {len(wanted)} rows for {count} images: give one box an image")
    label = tensors.integers("classes", classes, count, of="images", low=0, high=logits.shape[1] - 1).to(logits.device)
    localisation = (corners - wanted / _extent(image_size, corners)).abs().sum(1).mean()
    return Losses(localisation, F.cross_entropy(logits, label))


def balance(localisation: float, confidence: float) -> float:
    """The power of ten a that brings a * confidence to the order of magnitude of the localisation loss.

    >>> balance(localisation=130.0, confidence=1.8)  # coordinates in pixels: the classes would not be learnt
    100.0

    Without it the larger loss is the only one to be learnt. Raises ValueError unless both are finite and above 0.
    """
    ratio = checks.number("localisation", localisation, above=0) / checks.number("confidence", confidence, above=0)
    return 10.0 ** round(math.log10(ratio))


def train_single(
    model: SingleDetector, samples: Samples, steps: int = 1000, batch_size: int = 64, learning_rate: float = 5e-3,
    confidence_weight: float | None = None, seed: int = 0,
) -> list[dict[str, float]]:  # fmt: skip
    """Train a model in place to localise and classify the one object of each image.

    >>> torch.manual_seed(0)
    >>> classes = ("disk", "triangle", "star")
    >>> one = Shapes(10_000, 0, (64, 64), objects=(1, 1), distractors=(0, 0), min_size=32, classes=classes)
    >>> model = SingleDetector(num_classes=3)
    >>> history = train_single(model, list(one))  # a list, so that each image is drawn once

    The loss is localisation + a * confidence. ``confidence_weight`` is a; None: what ``balance`` makes of both losses
    of the first images, before training. The rest, and the history that is returned, are as in ``fit``. Raises
    ValueError for a sample that does not hold exactly one object.
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

    if confidence_weight is None:
        with torch.no_grad():
            first = losses([samples[i] for i in range(min(batch_size, len(samples)))])
        confidence_weight = balance(float(first.localisation), float(first.confidence))
    return fit(model, samples, losses, confidence_weight, steps, batch_size, learning_rate, seed)


def fit(
    model: nn.Module, samples: Samples, losses: Callable[[list[Any]], Losses], confidence_weight: float,
    steps: int, batch_size: int, learning_rate: float, seed: int,
) -> list[dict[str, float]]:  # fmt: skip
    """Minimise localisation + confidence_weight * confidence by AdamW; the rate rises to its peak and falls to 0.

    ``losses`` gives both of a batch of samples; ``learning_rate`` is the peak, after three tenths of the ``steps``.
    Samples are drawn in an order that ``seed`` gives, each once before any comes again. Returns one dict a step: step
    (from 1), localisation, confidence, confidence_weight and loss. Raises ValueError for settings out of range, when
    there are no samples and when the loss is not finite.
    """
    checks.integer("steps", steps, low=1)
    checks.integer("batch_size", batch_size, low=1)
    checks.number("learning_rate", learning_rate, above=0)
    checks.number("confidence_weight", confidence_weight, low=0)
    if len(samples) == 0:
        raise ValueError("samples is empty: give at least one image")
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps + 1)
    history = []
    indices = _endless(len(samples), torch.Generator().manual_seed(seed))
    bar = tqdm(range(1, steps + 1), "training", unit="step", mininterval=1)
    for step in bar:
        found = losses([samples[next(indices)] for _ in range(batch_size)])
        loss = found.localisation + confidence_weight * found.confidence
        if not loss.isfinite():
            raise ValueError(f"the loss of step {step} is not finite: lower learning_rate = {learning_rate:g}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        shown = {name: float(value.detach()) for name, value in found._asdict().items()}
        bar.set_postfix(shown, refresh=False)
        history.append({"step": step, **shown, "confidence_weight": confidence_weight, "loss": float(loss.detach())})
    return history


def truncated_backbone(width: int, level: int) -> nn.Sequential:
    """A plain classifier's first ``level`` blocks: (B, 3, H, W) -> (B, C, ceil(H / 2**level), ceil(W / 2**level)).

    The first has ``width`` channels, a multiple of 8, each next one twice as many, up to 8 ``width``. Blocks as
    cheap as these see many images in a minute on a CPU.
    """
    channels = [3, *(width * 2 ** min(i, 3) for i in range(level))]
    return nn.Sequential(*map(conv_block, channels[:-1], channels[1:]))


def conv_block(in_channels: int, channels: int) -> nn.Sequential:
    """A 3x3 conv of stride 2, group normalisation and ReLU: half as many rows and columns, rounded up."""
    conv = nn.Conv2d(in_channels, channels, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, group_norm(channels), nn.ReLU())


def images_of(batch: list[Any], model: Any) -> Tensor:
    """(B, 3, H, W): the samples' images, normalised as the model's ``config`` says, on its device."""
    return batch_images([sample.image for sample in batch], model.config).to(next(model.parameters()))


def check_images(images: Tensor) -> None:
    """Refuse anything but (B, 3, H, W)."""
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise ValueError(f"images has shape {tuple(images.shape)}: give (B, 3, H, W); one image is image[None]")


def _endless(count: int, generator: torch.Generator) -> Iterator[int]:
    """0 … count - 1 in random order, then again in another."""
    while True:
        yield from torch.randperm(count, generator=generator).tolist()


def _extent(image_size: tuple[int, int], like: Tensor) -> Tensor:
    """(4,): what corners in units of the image's sides are multiplied by to be in pixels."""
    height, width = image_size
    return like.new_tensor([width, height, width, height])
