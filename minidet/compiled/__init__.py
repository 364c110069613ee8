"""The path to run on a CPU: the same functions in Numba, to see how fast plain Python can be made.

Kernels are compiled at the first call and kept in Numba's cache on disk. `NUMBA_DISABLE_JIT=1` runs them as plain
Python, to step through them in a debugger. Arrays are float32 or float64 as given; other types go through float64.
"""

from minidet.compiled.anchors import cell_anchors, pyramid_anchors
from minidet.compiled.assignment import assign_anchors, assign_pyramid
from minidet.compiled.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from minidet.compiled.losses import (
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
from minidet.compiled.nms import batched_nms, nms
from minidet.compiled.overlap import (
    ciou_loss,
    ciou_loss_grad,
    diou_loss,
    diou_loss_grad,
    giou_loss,
    giou_loss_grad,
)
from minidet.compiled.postprocess import postprocess
from minidet.compiled.quality import (
    quality_focal_loss,
    quality_focal_loss_grad,
    quality_focal_loss_hess,
    varifocal_loss,
    varifocal_loss_grad,
    varifocal_loss_hess,
)
from minidet.compiled.regression import smooth_l1, smooth_l1_grad
from minidet.compiled.sampling import ohem_sample
from minidet.compiled.softmax import softmax_focal_loss, softmax_focal_loss_grad
from minidet.compiled.star import focal_loss_star, focal_loss_star_grad, focal_loss_star_hess

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
