"""From the network's outputs to detections, in PyTorch. Contracts are those of `minidet.reference.postprocess`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minidet import checks
from minidet.config import Detections, PostprocessConfig
from minidet.pytorch import _tensors as tensors
from minidet.pytorch.boxes import clip_boxes, decode_boxes
from minidet.pytorch.nms import batched_nms


def postprocess(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections:  # fmt: skip
    """Detections(boxes, scores, classes) of one image. See `minidet.reference.postprocess`."""
    checks.levels(logits, deltas, anchors)
    candidates = [
        _best_of_level(i, *level, config) for i, level in enumerate(zip(logits, deltas, anchors, strict=True))
    ]
    x, boxes, classes = (torch.cat(parts) for parts in zip(*candidates, strict=True))
    boxes = clip_boxes(boxes, image_size)
    keep = batched_nms(boxes, x, classes, config.iou_threshold)[: config.max_detections]
    return Detections(boxes[keep], tensors.wide(x[keep]).sigmoid().to(x), classes[keep])


def _best_of_level(
    level: int, logits: Tensor, deltas: Tensor, anchors: Tensor, config: PostprocessConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (C,), boxes (C, 4) and classes (C,) of the best scores above the threshold."""
    x, deltas, anchors = tensors.level(level, logits, deltas, anchors)
    flat = x.flatten()
    candidates = (tensors.wide(flat) > checks.logit(config.score_threshold)).to(x.device).nonzero()[:, 0]
    values = flat[candidates]  # index = anchor * K + class
    if len(values) > config.max_per_level:  # select before sorting
        cut = values.topk(config.max_per_level).values[-1]
        candidates = candidates[values >= cut]
    order = flat[candidates].argsort(descending=True, stable=True)
    best = candidates[order[: config.max_per_level]]
    anchor, klass = best // max(1, x.shape[1]), best % max(1, x.shape[1])
    return flat[best], decode_boxes(deltas[anchor], anchors[anchor]), klass
