"""What is timed beside suppression, assignment and the dense loss: box losses, box coding, anchors, post-processing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from minidet import compiled, reference
from minidet.config import AnchorConfig, PostprocessConfig
from tests.benchmarks import peers
from tests.benchmarks.peers import Ways

SIZE = (800, 1344)
"""Height and width of the image, pixels: 201,600 anchors."""


def box_loss(name: str) -> Ways:
    """Value and gradient of the giou, diou or ciou loss of 100,000 pairs of boxes, float32."""
    rng = np.random.default_rng(6)
    corner, side = rng.uniform(0, 1000, (100_000, 2)), rng.uniform(10, 100, (100_000, 2))
    gt = np.concatenate([corner, corner + side], axis=1).astype(np.float32)
    found = (gt + rng.uniform(-3, 3, gt.shape)).astype(np.float32)
    loss, slope = getattr(compiled, f"{name}_loss"), getattr(compiled, f"{name}_loss_grad")
    ways: Ways = {"compiled": lambda: (loss(found, gt), slope(found, gt))}
    if peers.there("torchvision"):
        from torchvision import ops

        full = {"giou": "generalized_box_iou_loss", "diou": "distance_box_iou_loss", "ciou": "complete_box_iou_loss"}
        tensor, target = torch.from_numpy(found).requires_grad_(), torch.from_numpy(gt)
        theirs = getattr(ops, full[name])

        def both() -> None:
            tensor.grad = None
            theirs(tensor, target, reduction="sum").backward()

        ways["torchvision"] = both
    return ways


def smooth_l1() -> Ways:
    """Value and gradient of the smooth L1 loss of 201,600 x 4 differences, float32; the peer is PyTorch's own."""
    rng = np.random.default_rng(7)
    x, y = (rng.normal(0, 1, (201_600, 4)).astype(np.float32) for _ in range(2))
    tensor, target = torch.from_numpy(x).requires_grad_(), torch.from_numpy(y)

    def torchs() -> None:
        tensor.grad = None
        torch.nn.functional.smooth_l1_loss(tensor, target, beta=0.11, reduction="sum").backward()  # type: ignore[no-untyped-call]

    return {
        "compiled": lambda: (compiled.smooth_l1(x, y, 0.11), compiled.smooth_l1_grad(x, y, 0.11)),
        "torch.nn.functional": torchs,
    }


def coding(direction: str) -> Ways:
    """encode_boxes or decode_boxes of 201,600 boxes, float32."""
    rng = np.random.default_rng(8)
    anchors = np.concatenate(reference.pyramid_anchors(SIZE, AnchorConfig())).astype(np.float32)
    deltas = rng.normal(0, 0.3, anchors.shape).astype(np.float32)
    boxes = compiled.decode_boxes(deltas, anchors)
    ways: Ways = {
        "compiled": (lambda: compiled.encode_boxes(boxes, anchors)) if direction == "encode"
        else lambda: compiled.decode_boxes(deltas, anchors),
    }  # fmt: skip
    if peers.there("torchvision"):
        from torchvision.models.detection._utils import BoxCoder

        coder = BoxCoder((1.0, 1.0, 1.0, 1.0))
        from_boxes, from_deltas, around = (torch.from_numpy(array) for array in (boxes, deltas, anchors))
        ways["torchvision"] = (
            (lambda: coder.encode_single(from_boxes, around)) if direction == "encode"
            else lambda: coder.decode_single(from_deltas, around)
        )  # fmt: skip
    return ways


def anchors() -> Ways:
    """pyramid_anchors of an image, all 201,600."""
    config = AnchorConfig()
    ways: Ways = {"compiled": lambda: compiled.pyramid_anchors(SIZE, config)}
    if peers.there("torchvision"):
        from torchvision.models.detection.anchor_utils import AnchorGenerator

        sizes = tuple(tuple(size * scale for scale in config.scales) for size in config.sizes)
        generator = AnchorGenerator(sizes, (tuple(config.aspect_ratios),) * len(sizes))
        generator.set_cell_anchors(torch.float32, torch.device("cpu"))
        grids = config.grids(SIZE)
        cells = [[grid.rows, grid.columns] for grid in grids]
        strides = [[torch.tensor(grid.stride_y), torch.tensor(grid.stride_x)] for grid in grids]
        ways["torchvision"] = lambda: generator.grid_anchors(cells, strides)
    return ways


def softmax() -> Ways:
    """Value and gradient of softmax_focal_loss, 100,000 x 81, float32."""
    rng = np.random.default_rng(9)
    x = rng.normal(0, 2, (100_000, 81)).astype(np.float32)
    labels = rng.integers(0, 81, 100_000)
    ways: Ways = {
        "compiled": lambda: (compiled.softmax_focal_loss(x, labels), compiled.softmax_focal_loss_grad(x, labels))
    }
    if peers.there("kornia"):
        from kornia.losses import focal_loss

        tensor, target = torch.from_numpy(x).requires_grad_(), torch.from_numpy(labels)

        def both() -> None:
            tensor.grad = None
            focal_loss(tensor, target, None, 2.0, "sum").backward()

        ways["kornia"] = both
    return ways


def postprocessing() -> Ways:
    """postprocess of the outputs for one image, 80 classes, logits from N(-6.3, 2), float32."""
    config, rng = AnchorConfig.torchvision(), np.random.default_rng(10)
    boxes = [level.astype(np.float32) for level in reference.pyramid_anchors(SIZE, config)]
    logits = [(rng.normal(-6.3, 2, (len(level), 80))).astype(np.float32) for level in boxes]
    deltas = [rng.normal(0, 0.3, level.shape).astype(np.float32) for level in boxes]
    chosen = PostprocessConfig()
    ways: Ways = {"compiled": lambda: compiled.postprocess(logits, deltas, boxes, SIZE, chosen)}
    if peers.there("torchvision"):
        from torchvision.models.detection.retinanet import retinanet_resnet50_fpn

        peer = retinanet_resnet50_fpn(weights=None, weights_backbone=None, detections_per_img=100).eval()
        outputs = {
            "cls_logits": [torch.from_numpy(x)[None] for x in logits],
            "bbox_regression": [torch.from_numpy(x)[None] for x in deltas],
        }
        around = [[torch.from_numpy(level) for level in boxes]]

        def theirs() -> Any:
            with torch.inference_mode():
                return peer.postprocess_detections(outputs, around, [SIZE])[0]

        ways["torchvision"] = theirs
    return ways


CASES: dict[str, Callable[[], Ways]] = {
    "softmax_focal_loss, 100000 x 81": softmax,
    "smooth_l1, 201600 x 4": smooth_l1,
    "giou_loss, 100000 pairs": lambda: box_loss("giou"),
    "diou_loss, 100000 pairs": lambda: box_loss("diou"),
    "ciou_loss, 100000 pairs": lambda: box_loss("ciou"),
    "encode_boxes, 201600": lambda: coding("encode"),
    "decode_boxes, 201600": lambda: coding("decode"),
    "pyramid_anchors, 800 x 1344": anchors,
    "postprocess, 800 x 1344": postprocessing,
}
