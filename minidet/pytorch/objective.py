"""The training objective (sections 3 and 4.1): from the network's outputs and the ground truth to two numbers.

Every anchor is assigned to an object or to the background. The focal loss, or one of those that the paper compares it
with, compares its class logits with that; smooth L1 compares the deltas of the anchors that are assigned to an object.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

from minidet.config import LossConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import OHEM_RATIOS
from minidet.pytorch import tensors, widths
from minidet.pytorch.losses import cross_entropy, dense_focal_loss, hinge_loss
from minidet.pytorch.mining import among, hard_examples
from minidet.pytorch.regression import smooth_l1
from minidet.pytorch.star import focal_loss_star
from minidet.pytorch.targets import Targets, make_targets
from minidet.structures import IGNORED, GroundTruth


class Losses(NamedTuple):
    """The two parts of the training loss, scalars that gradients flow through."""

    classification: Tensor
    """Of the classes of all anchors that are not ignored."""
    box: Tensor
    """Of the deltas of the anchors assigned to a ground-truth box."""
    assigned: Tensor
    """How many anchors are assigned to a ground-truth box; both sums are divided by that number, or by 1, unless OHEM
    divides by its batch (`LossConfig.ohem_divisor`)."""


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
    every_anchor = tensors.boxes("anchors", torch.cat(list(anchors)))  # (N, 4)
    targets = make_targets(every_anchor, ground_truth, model_config, assignments)
    return targets_loss(logits, deltas, every_anchor, targets, (training_config or TrainingConfig()).loss)


def targets_loss(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Tensor, targets: Targets, loss: LossConfig,
    assigned: Tensor | None = None, images: int | None = None,
) -> Losses:  # fmt: skip
    """The training loss where the targets are known: that of a batch, or of a part of one.

    Args:
        logits: (B, N_level, K) for each level.
        deltas: (B, N_level, 4) for each level.
        anchors: (N, 4), pixels.
        targets: what they are to learn.
        loss: which losses.
        assigned: the number of assigned anchors that both sums are divided by, a scalar tensor: that of the whole
            batch, if this is a part of it. None: that of these targets, in all processes (`count_assigned`).
        images: how many the whole batch has, by which OHEM can divide; None: these, in all processes.

    Returns:
        Both losses and the number of assigned anchors.
    """
    x = widths.working(torch.cat(list(logits), dim=1))  # (B, N, K)
    t = widths.working(torch.cat(list(deltas), dim=1))  # (B, N, 4)
    own = _count(targets.labels)
    assigned = count_assigned([targets]) if assigned is None else assigned
    divisor: Tensor | int = assigned.clamp(min=1)
    predicted = t.flatten(0, 1)[targets.positive]  # (P, 4)
    box = smooth_l1(predicted, targets.deltas.to(predicted), loss.smooth_l1_beta)  # (P, 4)
    if loss.kind in OHEM_RATIOS:
        every = cross_entropy(x, _objects(x, targets.labels)).sum(2)  # (B, N)
        every = every.masked_fill(targets.labels == IGNORED, 0.0)
        chosen = hard_examples(every, box.sum(1), t, anchors, targets, loss)
        rows = [losses[those].sum() for losses, those in zip(every, chosen, strict=True)]
        classification = torch.stack(rows or [every.sum()]).sum() / own
        if loss.ohem_box_loss == "chosen":
            box = box.masked_fill(~among(chosen, targets)[:, None], 0.0)
        if loss.ohem_divisor == "batch":
            divisor = loss.ohem_batch_size * max(1, _images(len(x)) if images is None else images)
    else:
        classification = CLASS_LOSSES[loss.kind](x, targets.labels, loss)
    return Losses(classification * (own.to(classification) / divisor), box.sum() / divisor, assigned)


def count_assigned(parts: Sequence[Targets]) -> Tensor:
    """How many anchors are assigned to a ground-truth box in the parts of a batch, those of all processes included."""
    assigned = torch.stack([(targets.labels >= 0).sum() for targets in parts]).sum()
    if dist.is_initialized():
        dist.all_reduce(assigned)
    return assigned


def _images(own: int) -> int:
    """How many images all processes have, of which each has as many as this one."""
    return own * (dist.get_world_size() if dist.is_initialized() else 1)


def _focal(x: Tensor, labels: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), loss.gamma, loss.alpha)


def _cross_entropy(x: Tensor, labels: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), gamma=0.0, alpha=None)


def _balanced_cross_entropy(x: Tensor, labels: Tensor, loss: LossConfig) -> Tensor:
    return dense_focal_loss(x.flatten(0, 1), labels.flatten(), gamma=0.0, alpha=loss.alpha)


def _focal_star(x: Tensor, labels: Tensor, loss: LossConfig) -> Tensor:
    values = focal_loss_star(x, _objects(x, labels), loss.gamma, loss.beta, loss.alpha)
    return _used(values, labels).sum() / _count(labels)


def _hinge(x: Tensor, labels: Tensor, loss: LossConfig) -> Tensor:
    return _used(hinge_loss(x, _objects(x, labels), loss.margin), labels).sum() / _count(labels)


def _used(values: Tensor, labels: Tensor) -> Tensor:
    """(B, N, K) losses, 0 for ignored anchors: a sum over those that are left would make a GPU's host wait."""
    return values.masked_fill((labels == IGNORED)[..., None], 0.0)


def _objects(x: Tensor, labels: Tensor) -> Tensor:
    """(B, N, K) whether an anchor's label is that class."""
    return labels[..., None] == torch.arange(x.shape[2], device=x.device)


def _count(labels: Tensor) -> Tensor:
    """The divisor of a sum over anchors: the number of those with a class, or 1."""
    return (labels >= 0).sum().clamp(min=1)


ClassLoss = Callable[[Tensor, Tensor, LossConfig], Tensor]
CLASS_LOSSES: dict[str, ClassLoss] = {
    "focal": _focal,
    "cross_entropy": _cross_entropy,
    "balanced_cross_entropy": _balanced_cross_entropy,
    "focal_star": _focal_star,
    "hinge": _hinge,
}
"""For each kind of `LossConfig` that does not sample a function of the logits (B, N, K), the labels (B, N) and the
settings: the sum of the class losses over the anchors that are not ignored, divided by the number of labels >= 0 or 1.
"""
