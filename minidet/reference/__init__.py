"""The path to read: every function is its equation, in NumPy and float64, with no tricks.

Results come back in the floating type of the input; whatever decides (an IoU against a threshold, an order of scores)
is computed in float64, so that all three paths decide alike.
"""

from minidet.reference.anchors import cell_anchors, pyramid_anchors
from minidet.reference.assignment import assign_anchors, assign_pyramid
from minidet.reference.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from minidet.reference.losses import (
    cross_entropy,
    cross_entropy_grad,
    cross_entropy_hess,
    dense_focal_loss,
    focal_loss,
    focal_loss_grad,
    focal_loss_hess,
    hinge_loss,
    hinge_loss_grad,
)
from minidet.reference.nms import batched_nms, nms
from minidet.reference.overlap import (
    ciou_loss,
    ciou_loss_grad,
    diou_loss,
    diou_loss_grad,
    giou_loss,
    giou_loss_grad,
)
from minidet.reference.postprocess import postprocess
from minidet.reference.quality import (
    quality_focal_loss,
    quality_focal_loss_grad,
    quality_focal_loss_hess,
    varifocal_loss,
    varifocal_loss_grad,
    varifocal_loss_hess,
)
from minidet.reference.regression import smooth_l1, smooth_l1_grad
from minidet.reference.sampling import ohem_sample
from minidet.reference.softmax import softmax_focal_loss, softmax_focal_loss_grad
from minidet.reference.star import focal_loss_star, focal_loss_star_grad, focal_loss_star_hess

__all__ = [
    "box_area", "box_iou", "encode_boxes", "decode_boxes", "clip_boxes",
    "cell_anchors", "pyramid_anchors",
    "assign_anchors", "assign_pyramid",
    "cross_entropy", "cross_entropy_grad", "cross_entropy_hess",
    "focal_loss", "focal_loss_grad", "focal_loss_hess",
    "focal_loss_star", "focal_loss_star_grad", "focal_loss_star_hess",
    "hinge_loss", "hinge_loss_grad",
    "softmax_focal_loss", "softmax_focal_loss_grad",
    "quality_focal_loss", "quality_focal_loss_grad", "quality_focal_loss_hess",
    "varifocal_loss", "varifocal_loss_grad", "varifocal_loss_hess",
    "smooth_l1", "smooth_l1_grad",
    "giou_loss", "giou_loss_grad", "diou_loss", "diou_loss_grad", "ciou_loss", "ciou_loss_grad",
    "dense_focal_loss",
    "nms", "batched_nms", "postprocess", "ohem_sample",
]  # fmt: skip
