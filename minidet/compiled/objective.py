"""The training objective in Numba. Contracts are those of `minidet.reference.objective`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minidet import checks
from minidet.compiled.assignment import assign_anchors
from minidet.compiled.boxes import decode_boxes, encode_boxes
from minidet.compiled.losses import cross_entropy, cross_entropy_grad, dense_focal_loss, hinge_loss, hinge_loss_grad
from minidet.compiled.regression import smooth_l1, smooth_l1_grad
from minidet.compiled.sampling import ohem_sample
from minidet.compiled.star import focal_loss_star, focal_loss_star_grad
from minidet.config import LossConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import OHEM_RATIOS
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
    assignments: Sequence[np.ndarray] | None = None,
) -> tuple[Losses, list[np.ndarray], list[np.ndarray]]:  # fmt: skip
    """The training loss of a batch and its gradients. See `minidet.reference.objective.detection_loss`.

    Args:
        logits, deltas, anchors, ground_truth, model_config, training_config: as there.
        assignments: (N,) for each image, where `assign_pyramid` has been called before.
    """
    settings = (training_config or TrainingConfig()).loss
    x, t, every_anchor = np.concatenate(logits, axis=1), np.concatenate(deltas, axis=1), np.concatenate(anchors)
    if len(ground_truth) != len(x):
        raise ValueError(f"ground_truth has {len(ground_truth)} entries for {len(x)} images: give one for each image")
    if assignments is None:
        rule = model_config.assignment
        how = rule.positive_iou, rule.negative_iou, rule.force_match
        assignments = [assign_anchors(every_anchor, image[0], *how) for image in ground_truth]
    pairs = zip(ground_truth, assignments, strict=True)
    targets = [_targets(every_anchor, image, assignment, model_config) for image, assignment in pairs]
    labels = np.array([label for label, _ in targets], np.int64).reshape(x.shape[:2])  # (B, N)
    positive = labels >= 0
    divisor = max(1, int(positive.sum()))

    predicted = t[positive]  # (P, 4)
    wanted = np.concatenate([offsets for _, offsets in targets] or [predicted]).astype(t.dtype)  # (P, 4)
    box_losses = smooth_l1(predicted, wanted, settings.smooth_l1_beta)  # (P, 4)
    slope = settings.box_weight * smooth_l1_grad(predicted, wanted, settings.smooth_l1_beta)  # (P, 4)
    used = None
    if settings.kind in OHEM_RATIOS:
        used = _hard_examples(x, labels, box_losses, t, every_anchor, settings)
        if settings.ohem_box_loss == "chosen":
            box_losses, slope = (np.where(used[positive][:, None], values, 0) for values in (box_losses, slope))
        if settings.ohem_divisor == "batch":
            divisor = settings.ohem_batch_size * max(1, len(x))
    classification, grad_x = _class_loss(x, labels, settings, divisor, used)
    grad_t = np.zeros_like(t)
    grad_t[positive] = slope / divisor

    ends = np.cumsum([len(level) for level in anchors])[:-1]
    found = Losses(float(classification), float(box_losses.sum() / divisor), int(positive.sum()))
    return found, np.split(grad_x, ends, axis=1), np.split(grad_t, ends, axis=1)


def _targets(
    anchors: np.ndarray, image: GroundTruth, assignment: np.ndarray, config: RetinaNetConfig
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) dense labels and, for the P anchors that have a class, (P, 4) offsets to their boxes."""
    boxes, classes, ignore = (checks.as_array("ground_truth", values) for values in image)
    if not len(boxes) == len(classes) == len(ignore):
        raise ValueError(f"{len(boxes)} boxes, {len(classes)} classes and {len(ignore)} ignore flags: give one per box")
    classes = checks.integers("classes", classes, len(boxes), of="boxes", low=0, high=config.num_classes - 1)
    meaning = np.where(ignore.astype(bool), IGNORED, classes)  # (M,)
    labels = np.append(meaning, [IGNORED, BACKGROUND])[assignment]  # found from the end as -2 and -1
    positive = labels >= 0
    return labels, encode_boxes(boxes.reshape(-1, 4)[assignment[positive]], anchors[positive])


def _class_loss(
    x: np.ndarray, labels: np.ndarray, settings: LossConfig, divisor: int, used: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """The class losses of (B, N, K) logits, summed and divided, and their gradient; of all, or of the (B, N) used."""
    match settings.kind:
        case "focal":
            return _dense(x, labels, settings.gamma, settings.alpha)
        case "cross_entropy":
            return _dense(x, labels, 0.0, None)
        case "balanced_cross_entropy":
            return _dense(x, labels, 0.0, settings.alpha)
    objects = _objects(x, labels)
    used = labels != IGNORED if used is None else used
    loss, loss_grad, parameters = _elementwise(settings)
    grad = np.zeros_like(x)
    grad[used] = loss_grad(x[used], objects[used], *parameters) / divisor
    return loss(x[used], objects[used], *parameters).sum() / divisor, grad


def _objects(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(B, N, K) whether an anchor's label is that class."""
    return labels[..., None] == np.arange(x.shape[2])


def _dense(x: np.ndarray, labels: np.ndarray, gamma: float, alpha: float | None) -> tuple[float, np.ndarray]:
    loss, grad = dense_focal_loss(x.reshape(-1, x.shape[2]), labels.ravel(), gamma, alpha)
    return float(loss), grad.reshape(x.shape)


def _elementwise(settings: LossConfig) -> tuple[Any, Any, tuple[float | None, ...]]:
    """A loss that is not dense, its gradient and their parameters."""
    match settings.kind:
        case "focal_star":
            return focal_loss_star, focal_loss_star_grad, (settings.gamma, settings.beta, settings.alpha)
        case "hinge":
            return hinge_loss, hinge_loss_grad, (settings.margin,)
        case "ohem" | "ohem_1_3":  # of the anchors that it chooses
            return cross_entropy, cross_entropy_grad, (None,)
    raise ValueError(f"loss.kind = {settings.kind!r} is not known to minidet.compiled: give another path")


def _hard_examples(
    x: np.ndarray, labels: np.ndarray, box_losses: np.ndarray, t: np.ndarray, anchors: np.ndarray, settings: LossConfig
) -> np.ndarray:
    """(B, N) bool: the anchors that OHEM chooses in each image (section 5.1)."""
    chosen = np.zeros(labels.shape, bool)
    hardness = cross_entropy(x, _objects(x, labels)).sum(axis=2)  # (B, N)
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
