"""The path that trains: the same functions in PyTorch, on any device, and the detector built from them.

The losses are differentiable twice through the derivatives worked out by hand. Everything takes tensors of any floating
type on any device and gives results in that type and place; bfloat16 and float16 are computed in float32. Values are
checked as in the other paths, except inside `torch.compile`, where only shapes are.
"""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ImportError(
        "minidet.pytorch needs PyTorch, which is not installed: pip install 'minidet[train]'", name="torch"
    )

from minidet.pytorch.anchors import cell_anchors, pyramid_anchors
from minidet.pytorch.assignment import assign_anchors, assign_pyramid
from minidet.pytorch.boxes import box_area, box_iou, clip_boxes, decode_boxes, encode_boxes
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.inference import detect_images
from minidet.pytorch.losses import (
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
from minidet.pytorch.nms import batched_nms, nms
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.overlap import (
    ciou_loss,
    ciou_loss_grad,
    diou_loss,
    diou_loss_grad,
    giou_loss,
    giou_loss_grad,
)
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.quality import (
    quality_focal_loss,
    quality_focal_loss_grad,
    quality_focal_loss_hess,
    varifocal_loss,
    varifocal_loss_grad,
    varifocal_loss_hess,
)
from minidet.pytorch.regression import smooth_l1, smooth_l1_grad
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.sampling import ohem_sample
from minidet.pytorch.softmax import softmax_focal_loss, softmax_focal_loss_grad
from minidet.pytorch.star import focal_loss_star, focal_loss_star_grad, focal_loss_star_hess
from minidet.pytorch.training import train
from minidet.runs import load_settings
from minidet.structures import GroundTruth

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
    "RetinaNet", "GroundTruth", "detection_loss", "train", "load_model", "load_settings", "detect_images",
]  # fmt: skip
