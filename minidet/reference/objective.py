"""The training objective (sections 3 and 4.1): from the network's outputs and the ground truth to two numbers.

Every anchor is assigned and its classes scored by the focal loss or one of those that the paper compares it with; the
offsets of the assigned ones by smooth L1. With the gradients of the two the way back through the network begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidet import checks
from minidet.config import LossConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import OHEM_RATIOS
from minidet.reference.assignment import assign_anchors
from minidet.reference.boxes import decode_boxes, encode_boxes
from minidet.reference.losses import (
    cross_entropy,
    cross_entropy_grad,
    focal_loss,
    focal_loss_grad,
    hinge_loss,
    hinge_loss_grad,
)
from minidet.reference.regression import smooth_l1, smooth_l1_grad
from minidet.reference.sampling import ohem_sample
from minidet.reference.star import focal_loss_star, focal_loss_star_grad
from minidet.structures import BACKGROUND, IGNORED, GroundTruth


class Losses(NamedTuple):
    """The two parts of the training loss."""

    classification: float
    box: float
    assigned: int
    """Number of anchors assigned to a ground-truth box, by which the sums of both are divided (at least by 1)."""


def detection_loss(
    logits: Sequence[np.ndarray], deltas: Sequence[np.ndarray], anchors: Sequence[np.ndarray],
    ground_truth: Sequence[GroundTruth], model_config: RetinaNetConfig, training_config: TrainingConfig | None = None,
) -> tuple[Losses, list[np.ndarray], list[np.ndarray]]:  # fmt: skip
    """The training loss of a batch (section 4.1), and its gradients: class losses of all anchors, box losses of some.

    An anchor assigned to a box to be ignored is ignored, and so are those between the two IoU thresholds.

    Args:
        logits, deltas: one (B, N_level, K) and one (B, N_level, 4) array per level.
        anchors: one (N_level, 4) array per level, pixels.
        ground_truth: (boxes (M, 4), classes (M,), ignore (M,) bool) for each image, pixels of the network's input.
        model_config: gives the rule of assignment.
        training_config: gives the loss; by default the paper's.

    Returns:
        The losses, and the gradients of classification + box_weight * box with respect to logits and deltas, in
        lists over the levels like theirs.

    Raises:
        ValueError: boxes, classes or logits that the operations refuse, or not one ground truth per image.
    """
    settings = (training_config or TrainingConfig()).loss
    x, t, every_anchor = np.concatenate(logits, axis=1), np.concatenate(deltas, axis=1), np.concatenate(anchors)
    if len(ground_truth) != len(x):
        raise ValueError(f"ground_truth has {len(ground_truth)} entries for {len(x)} images: give one for each image")
    targets = [_targets(every_anchor, image, model_config) for image in ground_truth]
    labels = np.array([label for label, _ in targets]).reshape(x.shape[:2])  # (B, N)
    positive = labels >= 0

    predicted = t[positive]  # (P, 4)
    wanted = np.concatenate([offsets for _, offsets in targets] or [predicted]).astype(t.dtype)  # (P, 4)
    box_losses = smooth_l1(predicted, wanted, settings.smooth_l1_beta)  # (P, 4)
    slope = settings.box_weight * smooth_l1_grad(predicted, wanted, settings.smooth_l1_beta)  # (P, 4)

    loss, loss_grad, parameters = _class_loss(settings)
    objects = labels[..., None] == np.arange(x.shape[2])  # (B, N, K)
    used = labels != IGNORED
    divisor = max(1, int(positive.sum()))
    if settings.kind in OHEM_RATIOS:
        used = _hard_examples(x, objects, labels, box_losses, t, every_anchor, settings)
        if settings.ohem_box_loss == "chosen":
            box_losses, slope = (np.where(used[positive][:, None], values, 0) for values in (box_losses, slope))
        if settings.ohem_divisor == "batch":
            divisor = settings.ohem_batch_size * max(1, len(x))
    grad_x, grad_t = np.zeros_like(x), np.zeros_like(t)
    grad_x[used] = loss_grad(x[used], objects[used], *parameters) / divisor
    grad_t[positive] = slope / divisor
    classification = loss(x[used], objects[used], *parameters).sum() / divisor

    ends = np.cumsum([len(level) for level in anchors])[:-1]
    found = Losses(float(classification), float(box_losses.sum() / divisor), int(positive.sum()))
    return found, np.split(grad_x, ends, axis=1), np.split(grad_t, ends, axis=1)


def _targets(anchors: np.ndarray, image: GroundTruth, config: RetinaNetConfig) -> tuple[np.ndarray, np.ndarray]:
    """(N,) dense labels and, for the P anchors that have a class, (P, 4) offsets to their boxes."""
    boxes, classes, ignore = (checks.as_array("ground_truth", values) for values in image)
    if not len(boxes) == len(classes) == len(ignore):
        raise ValueError(f"{len(boxes)} boxes, {len(classes)} classes and {len(ignore)} ignore flags: give one per box")
    rule = config.assignment
    classes = checks.integers("classes", classes, len(boxes), of="boxes", low=0, high=config.num_classes - 1)
    assignment = assign_anchors(anchors, boxes, rule.positive_iou, rule.negative_iou, rule.force_match)
    meaning = np.where(ignore.astype(bool), IGNORED, classes)  # (M,)
    labels = np.append(meaning, [IGNORED, BACKGROUND])[assignment]  # found from the end as -2 and -1
    positive = labels >= 0
    return labels, encode_boxes(boxes.reshape(-1, 4)[assignment[positive]], anchors[positive])


def _class_loss(settings: LossConfig) -> tuple[Any, Any, tuple[float | None, ...]]:
    """The elementwise loss of the configuration, its gradient and their parameters."""
    gamma, alpha = settings.gamma, settings.alpha
    match settings.kind:
        case "focal":
            return focal_loss, focal_loss_grad, (gamma, alpha)
        case "focal_star":
            return focal_loss_star, focal_loss_star_grad, (gamma, settings.beta, alpha)
        case "hinge":
            return hinge_loss, hinge_loss_grad, (settings.margin,)
        case "balanced_cross_entropy":
            return cross_entropy, cross_entropy_grad, (alpha,)
        case "cross_entropy" | "ohem" | "ohem_1_3":
            return cross_entropy, cross_entropy_grad, (None,)
    raise ValueError(f"loss.kind = {settings.kind!r} is not known to minidet.reference: give another path")


def _hard_examples(
    x: np.ndarray, objects: np.ndarray, labels: np.ndarray, box_losses: np.ndarray, t: np.ndarray,
    anchors: np.ndarray, settings: LossConfig,
) -> np.ndarray:  # fmt: skip
    """(B, N) bool: the anchors that OHEM chooses in each image (section 5.1)."""
    chosen = np.zeros(labels.shape, bool)
    hardness = cross_entropy(x, objects).sum(axis=2)  # (B, N)
    if settings.ohem_hardness == "sum":
        hardness[labels >= 0] += settings.box_weight * box_losses.sum(axis=1)
    for i, candidates in enumerate(map(np.flatnonzero, labels != IGNORED)):
        boxes = anchors[candidates]
        if settings.ohem_suppresses == "predictions":
            boxes = decode_boxes(t[i, candidates], boxes)
        ratio = OHEM_RATIOS[settings.kind]
        limits = settings.ohem_batch_size, settings.ohem_iou_threshold
        sampling = (None, None) if ratio is None else (labels[i, candidates] >= 0, ratio)
        chosen[i, candidates[ohem_sample(hardness[i, candidates], boxes, *limits, *sampling)]] = True
    return chosen
