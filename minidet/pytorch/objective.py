"""The training objective (sections 3 and 4.1): from the network's outputs and the ground truth to two numbers.

Every anchor is assigned to an object or to the background. The focal loss, or one of those that the paper compares it
with, compares its class logits with that; smooth L1 compares the deltas of the anchors that are assigned to an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from minidet.config import LossConfig, RetinaNetConfig, TrainingConfig
from minidet.pytorch import tensors
from minidet.pytorch.assignment import assign_anchors
from minidet.pytorch.boxes import encode_boxes
from minidet.pytorch.losses import cross_entropy, dense_focal_loss, hinge_loss
from minidet.pytorch.regression import smooth_l1
from minidet.pytorch.sampling import ohem_sample
from minidet.pytorch.star import focal_loss_star
from minidet.structures import BACKGROUND, IGNORED, GroundTruth


class Losses(NamedTuple):
    """The two parts of the training loss, scalars that gradients flow through."""

    classification: Tensor
    """Of the classes of all anchors that are not ignored."""
    box: Tensor
    """Of the deltas of the anchors assigned to a ground-truth box."""
    assigned: Tensor
    """How many anchors are assigned to a ground-truth box; both sums are divided by that number, or by 1."""


def detection_loss(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    ground_truth: Sequence[GroundTruth], model_config: RetinaNetConfig, training_config: TrainingConfig | None = None,
    assignments: Tensor | None = None,
) -> Losses:  # fmt: skip
    """The training loss of a batch (section 4.1): the class losses of all anchors, smooth L1 of the assigned ones.

    An anchor assigned to a box that is to be ignored is ignored, and so are the anchors between the two IoU thresholds.
    Both sums are divided by the number of assigned anchors; in a distributed run by that of all processes, so that
    their losses add up to that of the whole batch. Half-width outputs are computed in float32.

    Args:
        logits: (B, N_level, K) for each level.
        deltas: (B, N_level, 4) for each level, (tx, ty, tw, th).
        anchors: (N_level, 4) for each level, pixels.
        ground_truth: the objects of each image; boxes in pixels of the network's input.
        model_config: the rule of assignment.
        training_config: the loss; None is the paper's.
        assignments: (B, N) int64, what `assign_anchors` gives for each image; None: it is called here.

    Returns:
        Both losses and the number of assigned anchors.

    Raises:
        ValueError: boxes, classes or logits that the operations refuse, or columns of unequal length.
    """
    loss = (training_config or TrainingConfig()).loss
    x = tensors.working(torch.cat(list(logits), dim=1))  # (B, N, K)
    every_anchor = torch.cat(list(anchors))  # (N, 4)
    if assignments is None:
        assignments = torch.stack([_assignment(every_anchor, image, model_config) for image in ground_truth])
    pairs = zip(ground_truth, torch.as_tensor(assignments, device=x.device), strict=True)
    targets = [_targets(every_anchor, image, assignment) for image, assignment in pairs]
    labels = torch.stack([labels for labels, _ in targets])  # (B, N)
    positive = labels >= 0
    assigned = positive.sum()
    own = assigned.clamp(min=1)
    if dist.is_initialized():
        dist.all_reduce(assigned)
    normaliser = assigned.clamp(min=1)
    predicted = tensors.working(torch.cat(list(deltas), dim=1)[positive])  # (P, 4)
    wanted = torch.cat([wanted for _, wanted in targets]).to(predicted)
    return Losses(
        CLASS_LOSSES[loss.kind](x, labels, every_anchor, loss) * (own / normaliser),
        smooth_l1(predicted, wanted, loss.smooth_l1_beta).sum() / normaliser,
        assigned,
    )


def _assignment(anchors: Tensor, image: GroundTruth, config: RetinaNetConfig) -> Tensor:
    rule = config.assignment
    boxes = torch.as_tensor(image.boxes, device=anchors.device)
    return assign_anchors(anchors, boxes, rule.positive_iou, rule.negative_iou, rule.force_match)


def _targets(anchors: Tensor, image: GroundTruth, assignment: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) dense labels and, for the P anchors that have a class, (P, 4) deltas to their boxes."""
    boxes, classes, ignore = (torch.as_tensor(values, device=anchors.device) for values in image)
    if not len(boxes) == len(classes) == len(ignore):
        raise ValueError(f"{len(boxes)} boxes, {len(classes)} classes and {len(ignore)} ignore flags: give one per box")
    meaning = torch.where(ignore, IGNORED, classes.long())  # (M,)
    meaning = torch.cat([meaning, meaning.new_tensor([IGNORED, BACKGROUND])])  # found from the end as -2 and -1
    labels = meaning[assignment]
    positive = labels >= 0
    return labels, encode_boxes(boxes[assignment[positive]], anchors[positive])


def _focal(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), loss.gamma, loss.alpha)


def _cross_entropy(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), gamma=0.0, alpha=None)


def _balanced_cross_entropy(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), gamma=0.0, alpha=loss.alpha)


def _focal_star(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    used = labels != IGNORED
    total = focal_loss_star(x[used], _objects(x, labels)[used], loss.gamma, loss.beta, loss.alpha).sum()
    return total / _count(labels)


def _hinge(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    used = labels != IGNORED
    return hinge_loss(x[used], _objects(x, labels)[used], loss.margin).sum() / _count(labels)


def _ohem(
    x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig, negatives_per_positive: int | None = None
) -> Tensor:
    """Cross entropy of the anchors that OHEM chooses in each image (section 5.1), NMS being applied to the anchors."""
    total = []
    for logits, objects, label in zip(x, _objects(x, labels), labels, strict=True):
        used = label != IGNORED
        losses = cross_entropy(logits[used], objects[used]).sum(1)  # (N,)
        positives = None if negatives_per_positive is None else label[used] >= 0
        with torch.no_grad():
            limits = loss.ohem_batch_size, loss.ohem_iou_threshold
            chosen = ohem_sample(losses, anchors[used], *limits, positives, negatives_per_positive)
        total.append(losses[chosen].sum())
    return torch.stack(total).sum() / _count(labels)


def _objects(x: Tensor, labels: Tensor) -> Tensor:
    """(B, N, K) whether an anchor's label is that class."""
    return labels[..., None] == torch.arange(x.shape[2], device=x.device)


def _count(labels: Tensor) -> Tensor:
    """The divisor of a sum over anchors: the number of those with a class, or 1."""
    return (labels >= 0).sum().clamp(min=1)


ClassLoss = Callable[[Tensor, Tensor, Tensor, LossConfig], Tensor]
CLASS_LOSSES: dict[str, ClassLoss] = {
    "focal": _focal,
    "cross_entropy": _cross_entropy,
    "balanced_cross_entropy": _balanced_cross_entropy,
    "focal_star": _focal_star,
    "hinge": _hinge,
    "ohem": _ohem,
    "ohem_1_3": partial(_ohem, negatives_per_positive=3),
}
"""For each kind of `LossConfig` a function of the logits (B, N, K), the labels (B, N), the anchors (N, 4) and the
settings: the sum of the class losses over the anchors that are not ignored, divided by the number of labels >= 0 or 1.
"""
