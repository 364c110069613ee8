"""From the network's outputs to detections, in PyTorch. Contracts are those of `minidet.reference.postprocess`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minidet import checks
from minidet.config import PostprocessConfig
from minidet.pytorch import tensors, widths
from minidet.pytorch.batched import postprocess_batch
from minidet.pytorch.boxes import clip_boxes, decode_boxes
from minidet.pytorch.nms import batched_nms
from minidet.structures import Detections

_BLOCK = 256
"""How many logits form a block, of which only the highest is looked at first."""


def postprocess(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections[Tensor]:  # fmt: skip
    """Turn the outputs for one image into detections. See `minidet.reference.postprocess`."""
    checks.levels(logits, deltas, anchors)
    if logits[0].device.type != "cpu":
        found = _on_gpu(logits, deltas, anchors, image_size, config)
        if found is not None:
            return found
    candidates = [
        _best_of_level(i, *level, config) for i, level in enumerate(zip(logits, deltas, anchors, strict=True))
    ]
    x, boxes, classes = (torch.cat(parts) for parts in zip(*candidates, strict=True))
    boxes = clip_boxes(boxes, image_size)
    keep = _first_kept(boxes, x, classes, config)
    return Detections(boxes[keep], widths.wide(x[keep]).sigmoid().to(x), classes[keep])


def _on_gpu(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    image_size: tuple[int, int], config: PostprocessConfig,
) -> Detections[Tensor] | None:  # fmt: skip
    """The same for a batch of one image; None where an output is not finite, so that the checks below say which."""
    outputs = list(zip(logits, deltas, anchors, strict=True))
    x, t, corners = zip(
        *tensors.at_once(lambda: [tensors.level(i, *one) for i, one in enumerate(outputs)]), strict=True
    )
    size = checks.image_size(image_size)
    found = postprocess_batch([one[None] for one in x], [one[None] for one in t], corners, [size], config)
    return found[0] if found is not None else None


def _first_kept(boxes: Tensor, x: Tensor, classes: Tensor, config: PostprocessConfig) -> Tensor:
    """The indices of the `max_detections` best boxes that suppression keeps.

    A box is only ever dropped by a better one, so the best few can be settled among themselves.
    """
    order = x.argsort(descending=True, stable=True)
    count = 4 * config.max_detections
    while True:
        best = order[:count]
        keep = best[batched_nms(boxes[best], x[best], classes[best], config.iou_threshold)]
        if len(keep) >= config.max_detections or count >= len(x):
            return keep[: config.max_detections]
        count *= 4


def _best_of_level(
    level: int, logits: Tensor, deltas: Tensor, anchors: Tensor, config: PostprocessConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (C,), boxes (C, 4) and classes (C,) of the best scores above the threshold."""
    x, deltas, anchors = tensors.level(level, logits, deltas, anchors)
    flat = x.flatten()
    full = len(flat) - len(flat) % _BLOCK
    blocks, rest = flat[:full].reshape(-1, _BLOCK), flat[full:]
    highest = torch.cat([blocks.amax(1), rest])  # NaN where there is one
    if highest.isnan().any():
        tensors.class_scores(f"logits[{level}]", x)
    candidates = _high(blocks, highest, config.max_per_level)  # index = anchor * K + class
    above = widths.wide(flat[candidates]) > config.logit_threshold
    candidates = candidates[above.to(x.device)]
    order = flat[candidates].argsort(descending=True, stable=True)
    best = candidates[order[: config.max_per_level]]
    anchor, klass = best // max(1, x.shape[1]), best % max(1, x.shape[1])
    return flat[best], decode_boxes(deltas[anchor], anchors[anchor]), klass


def _high(blocks: Tensor, highest: Tensor, count: int) -> Tensor:
    """The indices, in order, of the `count` highest of all values and perhaps some more.

    `blocks` (B, 256) are the values but for a rest; `highest` (B + R,) is the highest of each block, then the R values
    of the rest. As many of these as are wanted give a bound: what is below the lowest of them is not among the best.
    Few blocks reach it.
    """
    rest = torch.arange(blocks.numel(), blocks.numel() + len(highest) - len(blocks), device=blocks.device)
    if len(highest) <= count:
        return torch.cat([torch.arange(blocks.numel(), device=blocks.device), rest])
    bound = highest.topk(count).values[-1]
    places = (highest[: len(blocks)] >= bound).nonzero()  # (b, 1)
    rows, columns = (blocks[places[:, 0]] >= bound).nonzero(as_tuple=True)
    return torch.cat([places[rows, 0] * _BLOCK + columns, rest])
