"""The training objective (sections 3 and 4.1): from the network's outputs and the ground truth to two numbers.

Every anchor is assigned and its classes scored by the focal loss or one of those that the paper compares it with;
the offsets of the assigned ones by smooth L1.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    box: Tensor
    assigned: Tensor
    """Number of anchors assigned to a ground-truth box, by which the sums of both are divided (at least 1)."""


def detection_loss(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    ground_truth: Sequence[GroundTruth], model_config: RetinaNetConfig, training_config: TrainingConfig | None = None,
    assignments: Tensor | None = None,
) -> Losses:  # fmt: skip
    """The training loss of a batch (section 4.1): class losses of all anchors and smooth L1 of the assigned ones.

    ``logits``, ``deltas``, ``anchors``: lists over the levels of (B, N_level, K), (B, N_level, 4) and (N_level, 4);
    ``ground_truth``: one an image. ``model_config`` gives the rule of assignment, ``training_config`` (default: the
    paper's) the loss; ``assignments`` (B, N) int64 is what ``assign_anchors`` gives for each image, where
    that has been called before. An anchor assigned to a box to be ignored is ignored, and so are those between the two
    IoU thresholds. Both sums are divided by the number of assigned anchors, in a distributed run by that of all
    processes, so that their losses add up to the batch's. Half-width outputs are computed in float32. Raises ValueError
    for boxes, classes or logits that the operations refuse.
    """
    loss = (training_config or TrainingConfig()).loss
    x = tensors.working(torch.cat(list(logits), dim=1))  # (B, N, K)
    every_anchor = torch.cat(list(anchors))  # (N, 4)
    if assignments is None:
        assignments = torch.stack([_assignment(every_anchor, image, model_config) for image in ground_truth])
    pairs = zip(ground_truth, assignments.to(x.device), strict=True)
    targets = [_targets(every_anchor, image, assignment) for image, assignment in pairs]
    labels = torch.stack([labels for labels, _ in targets])  # (B, N)
    positive = labels >= 0
    assigned = positive.sum()
    own = assigned.clamp(min=1)
    if dist.is_initialized():
        dist.all_reduce(assigned)
    normaliser = assigned.clamp(min=1)
    predicted = tensors.working(torch.cat(list(deltas), dim=1)[positive])  # (P, 4)
    wanted = torch.cat([offsets for _, offsets in targets]).to(predicted)
    return Losses(
        _class_loss(x, labels, every_anchor, loss) * (own / normaliser),
        smooth_l1(predicted, wanted, loss.smooth_l1_beta).sum() / normaliser,
        assigned,
    )


def _assignment(anchors: Tensor, image: GroundTruth, config: RetinaNetConfig) -> Tensor:
    rule = config.assignment
    boxes = torch.as_tensor(image.boxes, device=anchors.device)
    return assign_anchors(anchors, boxes, rule.positive_iou, rule.negative_iou, rule.force_match)


def _targets(anchors: Tensor, image: GroundTruth, assignment: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) dense labels and, for the P anchors that have a class, (P, 4) offsets to their boxes."""
    boxes, classes, ignore = (torch.as_tensor(values, device=anchors.device) for values in image)
    if not len(boxes) == len(classes) == len(ignore):
        raise ValueError(f"{len(boxes)} boxes, {len(classes)} classes and {len(ignore)} ignore flags: give one a box")
    meaning = torch.where(ignore, IGNORED, classes.long())  # (M,)
    meaning = torch.cat([meaning, meaning.new_tensor([IGNORED, BACKGROUND])])  # found from the end as -2 and -1
    labels = meaning[assignment]
    positive = labels >= 0
    return labels, encode_boxes(boxes[assignment[positive]], anchors[positive])


def _class_loss(x: Tensor, labels: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    """The sum of the class losses of (B, N, K) logits, divided by the number of labels >= 0 or 1."""
    gamma, alpha = loss.gamma, loss.alpha
    match loss.kind:
        case "focal":
            return dense_focal_loss(x.flatten(0, 1), labels.flatten(), gamma, alpha)
        case "cross_entropy":
            return dense_focal_loss(x.flatten(0, 1), labels.flatten(), 0.0, None)
        case "balanced_cross_entropy":
            return dense_focal_loss(x.flatten(0, 1), labels.flatten(), 0.0, alpha)
    used = labels != IGNORED
    objects = labels[..., None] == torch.arange(x.shape[2], device=x.device)  # (B, N, K)
    match loss.kind:
        case "focal_star":
            total = focal_loss_star(x[used], objects[used], gamma, loss.beta, alpha).sum()
        case "hinge":
            total = hinge_loss(x[used], objects[used], loss.margin).sum()
        case _:
            per_image = zip(x, objects, labels, used, strict=True)
            hard = [_hard_examples(x[u], y[u], t[u] >= 0, anchors[u], loss) for x, y, t, u in per_image]
            total = torch.stack(hard).sum()
    return total / (labels >= 0).sum().clamp(min=1)


def _hard_examples(x: Tensor, objects: Tensor, positive: Tensor, anchors: Tensor, loss: LossConfig) -> Tensor:
    """Cross entropy of the anchors of one image that OHEM chooses (section 5.1), NMS being applied to the anchors."""
    losses = cross_entropy(x, objects).sum(1)  # (N,)
    ratio = (positive, 3) if loss.kind == "ohem_1_3" else (None, None)
    with torch.no_grad():
        chosen = ohem_sample(losses, anchors, loss.ohem_batch_size, loss.ohem_iou_threshold, *ratio)
    return losses[chosen].sum()
