"""From pixels to the network's input, and from what it detects back to the pixels of the original image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.pytorch.retinanet import RetinaNet
from minidet.structures import Detections


def detect_images(
    model: RetinaNet, images: Iterable[NDArray[np.uint8]], resize: ResizeConfig | None = None
) -> list[Detections]:
    """What a model finds in images of any size, in their own pixels (section 4.1, "Inference").

    >>> image = np.asarray(Image.open("a.jpg").convert("RGB"))
    >>> boxes, scores, classes = detect_images(load_model("runs/shapes"), [image], ResizeConfig(256, 512))[0]

    ``images``: (H, W, 3) uint8 RGB arrays; ``resize``: how each is brought to the network's size, by default as in the
    paper (give what the model was trained with: ``load_settings(run)``). One image is in the network at a time. Returns
    Detections of NumPy arrays an image, best score first: boxes (D, 4) float64, scores (D,), classes (D,) int64. Raises
    ValueError for an array of another kind.
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
    detections: Iterable[Detections], image_ids: Iterable[int | str], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """Detections as COCO writes them: a list of {"image_id", "category_id", "bbox" (x, y, width, height), "score"}.

    One entry of ``image_ids`` an image; ``category_ids[k]`` is the category of class k.
    """
    return [
        {"image_id": image_id, "category_id": category_ids[k], "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
        for found, image_id in zip(detections, image_ids, strict=True)
        for (x1, y1, x2, y2), score, k in zip(*(column.tolist() for column in found), strict=True)
    ]


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) pixels brought to ``size`` = (height, width): bilinear, averaged where they become fewer."""
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))


def scale_boxes(
    boxes: NDArray[np.float64], from_size: tuple[int, int], to_size: tuple[int, int]
) -> NDArray[np.float64]:
    """(N, 4) boxes of an image of ``from_size`` = (height, width) after it is resized to ``to_size``.

    Width and height have each their own exact ratio; with the sizes exchanged, the inverse.
    """
    return boxes * (to_size[::-1] * 2) / (from_size[::-1] * 2)


def batch_images(
    images: Sequence[NDArray[np.uint8]], config: RetinaNetConfig, sizes: Iterable[tuple[int, int]] = ()
) -> Tensor:
    """(B, 3, H, W) float32: RGB in [0, 1] less the configuration's mean, divided by its std, zeros where there is none.

    ``images``: (h, w, 3) uint8, put at the top left. H and W are the largest h and w, here and in ``sizes``, rounded up
    to a multiple of the coarsest stride.
    """
    every = [*(image.shape[:2] for image in images), *sizes]
    stride = config.anchors.strides[-1]
    height, width = (-(-max(sides) // stride) * stride for sides in zip(*every, strict=True))
    mean, std = (torch.tensor(values)[:, None, None] for values in (config.mean, config.std))
    batch = torch.zeros(len(images), 3, height, width)
    for i, image in enumerate(images):
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))  # (3, h, w)
        batch[i, :, : image.shape[0], : image.shape[1]] = (pixels / 255 - mean) / std
    return batch


def _checked(image: Any) -> NDArray[np.uint8]:
    kind = (getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__))
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"an image has shape {kind[0]} and dtype {kind[1]}: give (H, W, 3) uint8 arrays, RGB")
    if image.size == 0:
        raise ValueError(f"an image has shape {image.shape}: it has no pixels")
    return image
