"""What the anchors of a batch are to learn (section 4.1): made where the assignment is, so that a GPU need not wait.

`TrainingData` assigns the anchors on the CPU, in the processes that make batches. Which anchors learn a box, and which
box, is then looked up on the CPU too, and copied: sizes that depend on values are known there. The ground truth is
checked on the CPU in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from minidet import checks
from minidet.config import RetinaNetConfig
from minidet.pytorch import tensors
from minidet.pytorch.assignment import assign_anchors
from minidet.pytorch.boxes import encode_boxes
from minidet.structures import BACKGROUND, IGNORED, GroundTruth


class Targets(NamedTuple):
    """What the N anchors of B images are to learn, on the device of the anchors."""

    labels: Tensor
    """(B, N) int64: a class, or BACKGROUND, or IGNORED."""
    positive: Tensor
    """(P,) int64: the anchors that have a class, as places in (B * N)."""
    deltas: Tensor
    """(P, 4): what each of them is to predict, in the wider of the boxes' and the anchors' types."""


def make_targets(
    anchors: Tensor, ground_truth: Sequence[GroundTruth], config: RetinaNetConfig, assignments: Any = None
) -> Targets:
    """The targets of a batch.

    Args:
        anchors: (N, 4) corners, pixels, checked before.
        ground_truth: the objects of each image, arrays or tensors; boxes in pixels.
        config: the rule of assignment and the number of classes.
        assignments: (B, N) int64, what `assign_anchors` gives for each image; None: it is called here.

    Raises:
        ValueError: a box is inverted or not finite, a class is none of the network's, the columns of an image have
            unequal lengths, or an assignment names a box that is not there.
    """
    images = [_checked(image, config.num_classes) for image in ground_truth]
    counts = [len(boxes) for boxes, _ in images]
    device, n = anchors.device, len(anchors)
    every_box = torch.as_tensor(np.concatenate([boxes for boxes, _ in images] or [np.zeros((0, 4))]))  # (M, 4)
    meaning = torch.full((len(images), 2 + max(counts, default=0)), BACKGROUND)  # column of an assignment: it plus 2
    meaning[:, 0] = IGNORED
    for row, (_, classes) in zip(meaning, images, strict=True):
        row[2 : 2 + len(classes)] = torch.as_tensor(classes)
    first_box = torch.tensor([sum(counts[:i]) for i in range(len(counts))], dtype=torch.int64)
    if assignments is None:
        rule, boxes = config.assignment, every_box.to(device).split(counts)
        thresholds = rule.positive_iou, rule.negative_iou, rule.force_match
        with tensors.trusted():
            parts = [assign_anchors(anchors, one, *thresholds) for one in boxes]
        assigned = torch.stack(parts) if parts else torch.zeros((0, n), dtype=torch.int64, device=device)
    else:
        assigned = torch.as_tensor(assignments)
        _check_assignments(assigned, counts, n)
    if assigned.device.type != "cpu":
        meaning, first_box, every_box = (table.to(assigned.device) for table in (meaning, first_box, every_box))
    on_device = assigned.to(device, non_blocking=True)
    labels = meaning.to(device).gather(1, on_device + 2)  # (B, N)
    where = assigned if assigned.device.type == "cpu" else labels
    positive = (where >= 0).flatten().nonzero()[:, 0]  # (P,); on a GPU the host waits for P
    box = first_box[positive // max(1, n)] + assigned.flatten()[positive]  # (P,)
    if assigned.device.type == "cpu":  # some are assigned to a box that is to be ignored
        learnt = meaning[positive // max(1, n), assigned.flatten()[positive] + 2] >= 0
        positive, box = positive[learnt], box[learnt]
    matched = every_box[box].to(device)
    positive = positive.to(device)
    with tensors.trusted():
        return Targets(labels, positive, encode_boxes(matched, anchors[positive % max(1, n)]))


def _checked(image: GroundTruth, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(M, 4) boxes and (M,) what the anchors assigned to each are to learn, IGNORED included; NumPy arrays."""
    boxes, classes, ignore = (
        value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value) for value in image
    )
    if not len(boxes) == len(classes) == len(ignore):
        raise ValueError(f"{len(boxes)} boxes, {len(classes)} classes and {len(ignore)} ignore flags: give one per box")
    boxes, ignore = checks.boxes("gt_boxes", boxes), ignore.astype(bool)
    used = np.where(ignore, 0, classes)
    checks.integers("classes", used, len(used), of="boxes", low=0, high=num_classes - 1)
    return boxes, np.where(ignore, IGNORED, classes).astype(np.int64)


def _check_assignments(assigned: Tensor, counts: list[int], n: int) -> None:
    """(B, N) indices of an image's boxes, or BACKGROUND, or IGNORED."""
    if assigned.shape != (len(counts), n):
        raise ValueError(
            f"assignments has shape {tuple(assigned.shape)}: give ({len(counts)}, {n}), one for each anchor of an image"
        )
    if assigned.device.type == "cpu" and n:
        for i, (row, count) in enumerate(zip(assigned, counts, strict=True)):
            low, high = row.aminmax()
            if low < IGNORED or high >= count:
                checks.integers(f"assignments[{i}]", row.numpy(), n, of="anchors", low=IGNORED, high=count - 1)
