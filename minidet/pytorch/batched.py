"""Post-processing of a whole batch on a GPU, in steps whose sizes depend on no value: its host waits once.

The detections are those of `minidet.pytorch.postprocess`, image by image, to the last bit. Where that one takes the
scores above the threshold, this one takes as many as there may be at most and remembers which of them count.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minidet.config import PostprocessConfig
from minidet.pytorch import tensors, widths
from minidet.pytorch.boxes import decode_boxes, iou_matrix
from minidet.pytorch.nms import settle
from minidet.structures import Detections

_BLOCK = 256
"""How many logits form a block, of which only the highest is looked at first."""


def postprocess_batch(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]], config: PostprocessConfig,
) -> list[Detections[Tensor]] | None:  # fmt: skip
    """The detections in each image of a batch.

    Args:
        logits: (B, N_level, K) for each level, float32 or float64.
        deltas: (B, N_level, 4) for each level, of the same type.
        anchors: (N_level, 4) for each level, of that type, checked before.
        image_sizes: (height, width) of each image, to which boxes are clipped.
        config: the thresholds and numbers.

    Returns:
        Detections for each image, best score first; None where a logit is NaN or a delta not finite.
    """
    x, boxes, classes, counts = _candidates(logits, deltas, anchors, image_sizes, config)  # (B, C), (B, C, 4), ...
    finite = torch.stack(
        [~level.amax().isnan() for level in logits if level.numel()] + [level.isfinite().all() for level in deltas]
    ).all()
    order = x.masked_fill(~counts, -torch.inf).argsort(dim=1, descending=True, stable=True)
    order = order.gather(
        1, (~counts.gather(1, order)).to(torch.uint8).argsort(dim=1, stable=True)
    )  # what counts, first
    x, boxes, classes, counts = (_rows(values, order) for values in (x, boxes, classes, counts))
    most, number, rounds = config.max_detections, 4 * config.max_detections, 8
    while True:  # what is kept of the best depends on nothing below: look at more only as long as needed
        b, c = widths.wide(boxes[:, :number]), classes[:, :number]
        conflicts = (iou_matrix(b, b) > config.iou_threshold) & (c[:, :, None] == c[:, None, :]).to(b.device)
        kept, settled = settle(conflicts.triu(diagonal=1), counts[:, :number].to(b.device), rounds)
        ranks = (~kept).to(x.device, torch.uint8).argsort(dim=1, stable=True)[:, :most]
        facts = [finite.long()[None], settled.to(x.device).long()[None], kept.to(x.device).sum(1), counts.sum(1)]
        good, done, *numbers = torch.cat(facts).tolist()  # the only wait
        if not good:
            return None
        found, candidates = numbers[: len(x)], numbers[len(x) :]
        if not done:
            rounds *= 4
        elif any(f < most and n > number for f, n in zip(found, candidates, strict=True)):
            number *= 4
        else:
            break
    x, boxes, classes = (_rows(values, ranks) for values in (x, boxes, classes))
    scores = widths.wide(x).sigmoid().to(x)
    return [
        Detections(boxes[i, : min(n, most)], scores[i, : min(n, most)], classes[i, : min(n, most)])
        for i, n in enumerate(found)
    ]


def _candidates(
    logits: Sequence[Tensor], deltas: Sequence[Tensor], anchors: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]], config: PostprocessConfig,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The best of all levels: logits (B, C), boxes (B, C, 4), classes (B, C), and which are above the threshold."""
    parts = []
    for x, delta, corners in zip(logits, deltas, anchors, strict=True):
        k, flat = max(1, x.shape[2]), x.flatten(1)  # (B, N * K): index = anchor * K + class
        best = _best(flat, config.max_per_level)  # (B, C)
        anchor = best // k
        with tensors.trusted():
            boxes = decode_boxes(_rows(delta, anchor).flatten(0, 1), corners[anchor.flatten()])
        parts.append((flat.gather(1, best), boxes.unflatten(0, anchor.shape), best % k))
    values, boxes, classes = (torch.cat(columns, dim=1) for columns in zip(*parts, strict=True))
    limits = torch.tensor([(w, h, w, h) for h, w in image_sizes], dtype=boxes.dtype).to(boxes.device)  # (B, 4)
    boxes = boxes.clamp(min=0).minimum(limits[:, None])
    return values, boxes, classes, (widths.wide(values) > config.logit_threshold).to(values.device)


def _best(flat: Tensor, count: int) -> Tensor:
    """(B, count) the indices of each row's highest values, highest first, of equal ones the first.

    Whoever is among the `count` best lies in one of the `count` blocks with the highest values, of equal blocks in one
    of the first: only these are sorted.
    """
    length = flat.shape[1]
    if length > _BLOCK * count:
        rest = -length % _BLOCK
        padded = torch.nn.functional.pad(flat, (0, rest), value=-torch.inf).unflatten(1, (-1, _BLOCK))
        blocks = padded.amax(2).argsort(dim=1, descending=True, stable=True)[:, :count].sort(dim=1).values
        places = (blocks[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=flat.device)).flatten(1)  # ascending
        ranks = padded.flatten(1).gather(1, places).argsort(dim=1, descending=True, stable=True)[:, :count]
        return places.gather(1, ranks).clamp(max=length - 1)
    return flat.argsort(dim=1, descending=True, stable=True)[:, :count]


def _rows(values: Tensor, places: Tensor) -> Tensor:
    """Of (B, N) or (B, N, 4) values those at (B, C) places of each image."""
    if values.ndim == 2:
        return values.gather(1, places)
    return values.gather(1, places[:, :, None].expand(-1, -1, values.shape[2]))
