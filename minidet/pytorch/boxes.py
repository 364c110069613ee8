"""Boxes in PyTorch. Contracts and equations are those of `minidet.reference.boxes`.

Computed in float64 and rounded once to the type of the input: an IoU then decides alike in every path, and the cost is
small beside the network's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import tensors, widths
from minidet.structures import MAX_LOG_SCALE


def box_area(boxes: Tensor) -> Tensor:
    """The area of each box. See `minidet.reference.box_area`."""
    boxes = tensors.boxes("boxes", boxes)
    return _area(widths.wide(boxes)).to(boxes)


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """The intersection over union of every box of one set with every box of another.

    See `minidet.reference.box_iou`.
    """
    boxes1, boxes2 = tensors.at_once(lambda: (tensors.boxes("boxes1", boxes1), tensors.boxes("boxes2", boxes2)))
    iou = iou_matrix(widths.wide(boxes1), widths.wide(boxes2))
    return iou.to(boxes1.device, torch.result_type(boxes1, boxes2))


def encode_boxes(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The offsets that carry each anchor to its box. See `minidet.reference.encode_boxes`."""
    boxes, anchors = tensors.at_once(lambda: tensors.matching_boxes("boxes", boxes, "anchors", anchors))
    centre, size = _centre_size(boxes)
    anchor_centre, anchor_size = _centre_size(anchors)
    deltas = torch.cat([(centre - anchor_centre) / anchor_size, torch.log(size / anchor_size)], dim=1)
    return deltas.to(boxes.device, torch.result_type(boxes, anchors))


def decode_boxes(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that the offsets make of the anchors. See `minidet.reference.decode_boxes`."""

    def checked() -> tuple[Tensor, Tensor]:
        corners = tensors.boxes("anchors", anchors)
        return corners, tensors.deltas("deltas", deltas, corners)

    anchors, deltas = tensors.at_once(checked)
    t = widths.wide(deltas)
    anchor_centre, anchor_size = _centre_size(anchors)
    centre = t[:, :2] * anchor_size + anchor_centre  # (N, 2)
    size = torch.exp(t[:, 2:].clamp(max=MAX_LOG_SCALE)) * anchor_size  # (N, 2)
    return torch.cat([centre - size / 2, centre + size / 2], dim=1).to(
        deltas.device, torch.result_type(deltas, anchors)
    )


def clip_boxes(boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """The part of each box that lies in the image. See `minidet.reference.clip_boxes`."""
    boxes = tensors.boxes("boxes", boxes)
    height, width = checks.image_size(image_size)
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)
    return torch.stack([x, y], dim=2).reshape(-1, 4)  # (N, 2, 2): corner, then x and y


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """(..., N, M) IoU of checked float64 corners (..., N, 4) and (..., M, 4), operation for operation as in the
    reference."""
    ax1, ay1, ax2, ay2 = a[..., None].unbind(-2)  # (..., N, 1) each
    bx1, by1, bx2, by2 = b.mT.contiguous()[..., None, :].unbind(-3)  # (..., 1, M), dense: they are the inner loop
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp(min=0)  # (N, M)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp(min=0)
    intersection = width * height
    union = _area(a)[..., :, None] + _area(b)[..., None, :] - intersection  # (N, M)
    if union.requires_grad:  # the derivative of 0 / 0 would be NaN, that of the constant 0 is 0
        some = union > 0
        return torch.where(some, intersection / torch.where(some, union, 1), 0)
    return intersection / union.clamp(min=5e-324)  # where there is no union there is no intersection either


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _centre_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    corners = widths.wide(boxes)
    size = corners[:, 2:] - corners[:, :2]
    return corners[:, :2] + size / 2, size
