"""The path that trains: the same functions in PyTorch, on any device, and the detector built from them.

The losses are differentiable twice through the derivatives worked out by hand. Everything takes tensors of any floating
type on any device and gives results in that type and place; bfloat16 and float16 are computed in float32. Values are
checked as in the other paths, except inside ``torch.compile``, where only shapes are.
"""

from minidet.pytorch.anchors import cell_anchors, pyramid_anchors
from minidet.pytorch.assignment import assign_anchors, assign_pyramid
from minidet.pytorch.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from minidet.pytorch.losses import (
    cross_entropy,
    cross_entropy_grad,
    cross_entropy_hess,
    dense_focal_loss,
    focal_loss,
    focal_loss_grad,
    focal_loss_hess,
    focal_loss_star,
    focal_loss_star_grad,
    focal_loss_star_hess,
    hinge_loss,
    hinge_loss_grad,
    smooth_l1,
    smooth_l1_grad,
    softmax_focal_loss,
    softmax_focal_loss_grad,
)
from minidet.pytorch.nms import batched_nms, nms
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.sampling import ohem_sample

__all__ = [
    "box_area", "box_iou", "encode_boxes", "decode_boxes", "clip_boxes",
    "cell_anchors", "pyramid_anchors",
    "assign_anchors", "assign_pyramid",
    "cross_entropy", "cross_entropy_grad", "cross_entropy_hess",
    "focal_loss", "focal_loss_grad", "focal_loss_hess",
    "focal_loss_star", "focal_loss_star_grad", "focal_loss_star_hess",
    "hinge_loss", "hinge_loss_grad",
    "softmax_focal_loss", "softmax_focal_loss_grad",
    "smooth_l1", "smooth_l1_grad",
    "dense_focal_loss",
    "nms", "batched_nms", "postprocess", "ohem_sample",
]  # fmt: skip
