"""A small detector, from images to detections in two functions, written to be broken line by line (see museum.py).

Everything that a line of it can get wrong is written out here, although `minidet` has it: the grid of anchors, the
targets, the divisor of the loss, the flip, the warm-up. The images are easy, so that half a minute suffices to learn
them: 64 pixels high and 96 wide, with disks, rectangles and triangles, a colour for each class.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from minidet.config import AnchorConfig, RetinaNetConfig
from minidet.data.faults import Fault
from minidet.data.records import Record, Sample
from minidet.pytorch import (
    RetinaNet,
    assign_anchors,
    batched_nms,
    cell_anchors,
    clip_boxes,
    decode_boxes,
    encode_boxes,
    focal_loss,
    nms,  # noqa: F401  # what an exhibit calls
    smooth_l1,
)
from minidet.reference import box_iou
from minidet.structures import IGNORED, Detections

HEIGHT, WIDTH = 64, 96
CLASSES = ("disk", "square", "triangle")
COLOURS = ((200, 70, 60), (80, 170, 90), (80, 110, 210))
CONFIG = RetinaNetConfig.tiny(
    3, width=8, fpn_channels=32, head_channels=32, head_convs=1, anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32))
)
STEPS, BATCH = 240, 8
RATE, WARMUP = 0.02, 40
PRIOR = 0.01
RATIOS = CONFIG.anchors.aspect_ratios
OFFSET_SCALE = torch.tensor([0.1, 0.1, 0.2, 0.2])
"""Offsets are divided by these before they are learnt, so that their spread is about 1 (a habit from Fast R-CNN)."""


def make_anchors(ratios: tuple[float, ...] = RATIOS) -> Tensor:
    """(N, 4) float32 anchors of all levels, in the order level, y, x, anchor of the cell."""
    levels = []
    for level, size in zip(CONFIG.anchors.levels, CONFIG.anchors.sizes, strict=True):
        stride = 2**level
        rows, columns = math.ceil(HEIGHT / stride), math.ceil(WIDTH / stride)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        centres = (torch.stack([x, y, x, y], dim=-1) + 0.5) * stride  # (rows, columns, 4)
        cell = torch.as_tensor(cell_anchors(size, CONFIG.anchors.scales, ratios))  # (A, 4)
        levels.append((centres[:, :, None] + cell).reshape(-1, 4))
    return torch.cat(levels).float()


def normalise(images: Tensor) -> Tensor:
    """(B, H, W, 3) bytes or (B, 3, H, W) numbers in [0, 1] to what the network reads."""
    if images.dtype == torch.uint8:
        images = images.permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (CONFIG.mean, CONFIG.std))
    return (images - mean) / std


class Scenes:
    """A data set of such images, each a function of the seed and its index.

    Objects lie apart, except that one of another class may lie across an object, as the bars of a cross do.

    Args:
        images: how many there are.
        seed: another one gives other images.
        noise: standard deviation of what is added to each pixel of the background, of 255.
    """

    name = "museum"
    classes = CLASSES
    category_ids = (1, 2, 3)
    faults: ClassVar[list[Fault]] = []

    def __init__(self, images: int, seed: int = 0, noise: float = 8) -> None:
        self.images, self.seed, self.noise = images, seed, noise

    def __len__(self) -> int:
        return self.images

    def record(self, index: int, /) -> Record:
        """The objects of one image."""
        return self._draw(index)[0]

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects."""
        record, image = self._draw(index)
        return record.with_image(image)

    def _draw(self, index: int) -> tuple[Record, np.ndarray]:
        rng = np.random.default_rng([self.seed, index])
        image = rng.integers(70, 130) + rng.normal(0, self.noise, (HEIGHT, WIDTH, 3))
        y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        boxes: list[tuple[float, ...]] = []
        classes: list[int] = []
        for _ in range(rng.integers(1, 5)):
            size, ratio = np.exp(rng.uniform(np.log(15), np.log(34))), np.exp(rng.uniform(-0.6, 0.6))
            w, h = size / ratio, size * ratio
            x1, y1 = rng.uniform(0, WIDTH - w), rng.uniform(0, HEIGHT - h)
            k, cross = int(rng.integers(3)), rng.random() < 0.5 and len(boxes) == 1
            if cross and k != classes[-1]:
                x1, y1, x2, y2 = _across(boxes[-1])
                w, h = x2 - x1, y2 - y1
            elif boxes and box_iou([(x1, y1, x1 + w, y1 + h)], boxes).max() > 0.1:
                continue
            box = (x1, y1, x1 + w, y1 + h)
            u, v = (x - x1) / w, (y - y1) / h  # 0 … 1 within the box
            inside = (
                (2 * u - 1) ** 2 + (2 * v - 1) ** 2 < 1,
                (abs(2 * u - 1) < 1) & (abs(2 * v - 1) < 1),
                (v < 1) & (abs(2 * u - 1) < v),
            )[k]
            image[inside] = np.array(COLOURS[k]) + rng.normal(0, 15, 3)
            boxes.append(box)
            classes.append(k)
        no = np.zeros(len(boxes), bool)
        record = Record(index, f"{index}.png", (HEIGHT, WIDTH), np.array(boxes), np.array(classes), no, no)
        return record, image.clip(0, 255).astype(np.uint8)


def _across(box: tuple[float, ...]) -> tuple[float, float, float, float]:
    """A box of the same middle and area, wider if that one is tall and taller if it is wide; their IoU is 0.59."""
    x1, y1, x2, y2 = box
    stretch = 1.8 ** (0.5 if x2 - x1 < y2 - y1 else -0.5)
    x, y, w, h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) * stretch, (y2 - y1) / stretch
    return max(0.0, x - w / 2), max(0.0, y - h / 2), min(WIDTH, x + w / 2), min(HEIGHT, y + h / 2)


def training_image(index: int) -> tuple[np.ndarray, Tensor, Tensor]:
    """An image (H, W, 3), its boxes (M, 4) and its classes (M,); every other image is flipped from left to right."""
    sample = Scenes(STEPS * BATCH)[index]
    image, boxes = sample.image, torch.tensor(sample.boxes, dtype=torch.float32)
    if index % 2:
        image = image[:, ::-1]
        boxes[:, [0, 2]] = WIDTH - boxes[:, [2, 0]]
    return image.copy(), boxes, torch.tensor(sample.classes)


def losses(model: RetinaNet, anchors: Tensor, indices: range) -> tuple[Tensor, Tensor]:
    """The two losses of a batch: focal loss of the classes, smooth L1 of the offsets."""
    images, boxes, classes = zip(*map(training_image, indices), strict=True)
    levels = model(normalise(torch.as_tensor(np.stack(images))))
    logits, deltas = (torch.cat(level, dim=1) for level in levels)  # (B, N, K), (B, N, 4)
    labels, targets = [], []
    for gt_boxes, gt_classes in zip(boxes, classes, strict=True):
        assigned = assign_anchors(anchors, gt_boxes)  # (N,)
        labels.append(torch.where(assigned >= 0, gt_classes[assigned.clamp(min=0)], assigned))
        targets.append(encode_boxes(gt_boxes[assigned.clamp(min=0)], anchors) / OFFSET_SCALE)
    label, target = torch.stack(labels), torch.stack(targets)
    positive = label >= 0
    count = positive.sum().clamp(min=1)
    one_hot = (label[..., None] == torch.arange(CONFIG.num_classes)).float()  # (B, N, K)
    used = label != IGNORED
    classification = focal_loss(logits[used], one_hot[used]).sum() / count
    box = smooth_l1(deltas[positive], target[positive]).sum() / count
    return classification, box


def train(
    steps: int = STEPS, every: int = 0, look: Callable[[int, nn.Module], None] | None = None
) -> tuple[RetinaNet, list[tuple[float, float]]]:
    """Train from random weights; returns the network and the two losses before each step.

    Args:
        steps: of 8 images each.
        every: so many steps apart, `look` is called with the number of steps done and the network; also at the end.
        look: it changes nothing.
    """
    torch.manual_seed(0)
    model, anchors = RetinaNet(CONFIG).train(), make_anchors()
    bias = model.class_subnet.output.bias
    assert bias is not None
    nn.init.constant_(bias, -math.log((1 - PRIOR) / PRIOR))
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    curve = []
    for step in range(steps):
        if look and step % every == 0:
            look(step, model)
        warm = min(1.0, (step + 1) / WARMUP)
        optimizer.param_groups[0]["lr"] = RATE * warm * (1 + math.cos(math.pi * step / steps)) / 2
        classification, box = losses(model, anchors, range(step * BATCH, (step + 1) * BATCH))
        curve.append((classification.item(), box.item()))
        optimizer.zero_grad()
        (classification + box).backward()
        optimizer.step()
    if look:
        look(steps, model)
    return model, curve


@torch.no_grad()
def outputs(model: nn.Module, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """The logits (B, N, K) and offsets (B, N, 4) of images (B, H, W, 3); the network is left in training mode."""
    pixels = normalise(torch.as_tensor(images))
    logits, deltas = model.eval()(pixels)
    model.train()
    return torch.cat(logits, dim=1), torch.cat(deltas, dim=1)


def detect(model: nn.Module, image: np.ndarray) -> Detections[np.ndarray]:
    """What the network finds in an image (H, W, 3), best score first."""
    logits, deltas = (part[0] for part in outputs(model, image[None]))
    anchors = make_anchors()
    scores, classes = torch.sigmoid(logits).max(dim=1)
    sure = scores > 0.05
    boxes = decode_boxes(deltas[sure] * OFFSET_SCALE, anchors[sure])
    boxes = clip_boxes(boxes, (HEIGHT, WIDTH))
    scores, classes = scores[sure], classes[sure]
    kept = batched_nms(boxes, scores, classes, 0.5)[:100]
    return Detections(boxes[kept].numpy(), scores[kept].numpy(), classes[kept].numpy())
