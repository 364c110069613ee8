"""From pixels to the network's input, and from what it detects back to the pixels of the original image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minidet import geometry
from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.geometry import resize_image, scale_boxes
from minidet.pytorch.retinanet import RetinaNet
from minidet.structures import Detections


def detect_images(
    model: RetinaNet, images: Iterable[NDArray[np.uint8]], resize: ResizeConfig | None = None
) -> list[Detections[np.ndarray]]:
    """What a model finds in images of any size, in their own pixels (section 4.1, "Inference").

    >>> model = RetinaNet(RetinaNetConfig.tiny(num_classes=3))  # or load_model("runs/shapes")
    >>> image = np.zeros((90, 200, 3), np.uint8)  # or np.asarray(Image.open("a.jpg").convert("RGB"))
    >>> boxes, scores, classes = detect_images(model, [image], ResizeConfig(64, 128))[0]
    >>> boxes.shape[1]
    4

    Args:
        model: a trained network, on any device. One image is in it at a time.
        images: (H, W, 3) uint8 arrays, RGB.
        resize: how each image is brought to the network's size: give what the model was trained with, the run's
            settings have it (`load_settings`). None is the paper's.

    Returns:
        The detections in each image, best score first: boxes (D, 4) float64, scores (D,), classes (D,) int64.

    Raises:
        ValueError: an image is an array of another kind, or empty.
    """
    parameter = next(model.parameters())
    found = []
    for image in images:
        size = (resize or ResizeConfig()).resized(_checked(image).shape[:2])
        batch = batch_images([resize_image(image, size)], model.config).to(parameter)
        boxes, scores, classes = model.detect(batch, [size])[0]
        original = scale_boxes(boxes.double().cpu().numpy(), size, image.shape[:2])
        found.append(Detections(original, scores.cpu().numpy(), classes.cpu().numpy()))
    return found


def coco_results(
    detections: Iterable[Detections[np.ndarray]], image_ids: Iterable[int | str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Detections as COCO writes them.

    Args:
        detections: of each image, NumPy arrays.
        image_ids: one for each image.
        category_ids: `category_ids[k]` is the category of class k.

    Returns:
        For each detection {"image_id", "category_id", "bbox": [x, y, width, height], "score"}.
    """
    return [
        {"image_id": image_id, "category_id": category_ids[k], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for found, image_id in zip(detections, image_ids, strict=True)
        for (x1, y1, x2, y2), score, k in zip(*(column.tolist() for column in found), strict=True)
    ]


def batch_images(
    images: Sequence[NDArray[np.uint8]], config: RetinaNetConfig, sizes: Iterable[tuple[int, int]] = ()
) -> Tensor:
    """Images as the network takes them, (B, 3, H, W) float32: `minidet.geometry.batch_images` as a tensor."""
    return torch.from_numpy(geometry.batch_images(images, config, sizes))


def _checked(image: Any) -> NDArray[np.uint8]:
    kind = (getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__))
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image has shape {kind[0]} and dtype {kind[1]}: give (H, W, 3) uint8 arrays, RGB")
    if image.size == 0:
        raise ValueError(f"an image has shape {image.shape}: it has no pixels")
    return image
