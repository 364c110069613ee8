"""From pixels to the network's input, and from what it detects back to the pixels of the original image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minidet import geometry
from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.pytorch import widths
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

    def detect(batch: NDArray[np.float32], sizes: list[tuple[int, int]]) -> list[Detections[np.ndarray]]:
        found = model.detect(torch.from_numpy(batch).to(parameter), sizes)
        return [_arrays(detections) for detections in found]

    return geometry.detect_images(detect, images, model.config, resize)


def batch_images(
    images: Sequence[NDArray[np.uint8]], config: RetinaNetConfig, sizes: Iterable[tuple[int, int]] = ()
) -> Tensor:
    """Images as the network takes them, (B, 3, H, W) float32: `minidet.geometry.batch_images` as a tensor."""
    return torch.from_numpy(geometry.batch_images(images, config, sizes))


def _arrays(detections: Detections[Tensor]) -> Detections[np.ndarray]:
    """The detections as arrays, brought from the device in one copy."""
    columns = torch.column_stack([widths.wide(column) for column in detections]).cpu().numpy()  # (D, 6)
    boxes, scores = (
        columns[:, part].astype(str(tensor.dtype).removeprefix("torch."))
        for part, tensor in ((slice(0, 4), detections.boxes), (4, detections.scores))
    )
    return Detections(np.ascontiguousarray(boxes), scores, columns[:, 5].astype(np.int64))
