"""The detector for other programs: a graph from pixels to boxes and scores, as ONNX or as a program of torch.export.

What is left to the program that runs it is to bring an image to the input's size and to suppress what is not the best
(boxes of one class that overlap): both are in every toolbox, and in none of them the same.
"""

from __future__ import annotations

import io
import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from minidet import checks
from minidet.files import write_bytes, write_json
from minidet.pytorch.boxes import clip_boxes, decode_boxes
from minidet.pytorch.retinanet import RetinaNet
from minidet.structures import Categories


class Pixels(nn.Module):
    """A detector from pixels to the box and the scores of every anchor, for images of one size.

    >>> from minidet.config import RetinaNetConfig
    >>> boxes, scores = Pixels(RetinaNet(RetinaNetConfig.tiny(num_classes=3)), (64, 128))(torch.zeros(1, 3, 64, 128))
    >>> tuple(boxes.shape), tuple(scores.shape)
    ((1530, 4), (1530, 3))

    Args:
        model: the network, which is put into eval mode.
        image_size: (height, width) of the images, pixels.
    """

    mean: Tensor
    std: Tensor
    anchors: Tensor

    def __init__(self, model: RetinaNet, image_size: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.image_size = model.eval(), checks.image_size(image_size)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.tensor(getattr(model.config, name)).view(3, 1, 1))
        self.register_buffer("anchors", torch.cat(model.anchors(self.image_size)).clone())  # (N, 4)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The box of every anchor and its score for every class.

        Args:
            images: (1, 3, H, W) float32, red, green and blue in 0 … 255.

        Returns:
            Boxes (N, 4), in pixels of the input and clipped to it, and scores (N, K) in [0, 1].
        """
        logits, deltas = self.model((images / 255 - self.mean) / self.std)
        boxes = decode_boxes(torch.cat(deltas, 1)[0], self.anchors)
        return clip_boxes(boxes, self.image_size), torch.cat(logits, 1)[0].sigmoid()


def export_onnx(
    model: RetinaNet, image_size: tuple[int, int], path: str | os.PathLike[str], categories: Categories
) -> Path:
    """Write `Pixels` as ONNX, and beside it (.json) what a program needs to know about it.

    Args:
        model: the network, on the CPU; it is put in eval mode.
        image_size: (height, width) of the images that it will be given, pixels.
        path: the file, by custom *.onnx. It holds the weights too.
        categories: names and numbers of the classes.

    Returns:
        The path.

    Raises:
        ValueError: the packages onnx and onnxscript are missing.
        OSError: a file cannot be written.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(f"ONNX takes the package {error.name}: pip install 'minidet[export]'") from None
    pixels = Pixels(model, image_size).eval()
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["boxes", "scores"]}
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)  # what it has to say of packages that are not needed here
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch's, of itself
            warnings.simplefilter("ignore", FutureWarning)
            program: Any = torch.onnx.export(pixels, _example(pixels), dynamo=True, verbose=False, **names)
    finally:
        log.setLevel(level)
    file = io.BytesIO()
    program.save(file)
    return _written(path, file, pixels, categories)


def export_torch(
    model: RetinaNet, image_size: tuple[int, int], path: str | os.PathLike[str], categories: Categories
) -> Path:
    """Write `Pixels` as a program of torch.export, which `torch.export.load` reads; the rest as `export_onnx`."""
    pixels = Pixels(model, image_size).eval()
    file = io.BytesIO()
    with torch.no_grad():
        torch.export.save(torch.export.export(pixels, _example(pixels)), file)
    return _written(path, file, pixels, categories)


def _example(pixels: Pixels) -> tuple[Tensor]:
    return (torch.zeros(1, 3, *pixels.image_size),)


def _written(path: str | os.PathLike[str], file: io.BytesIO, pixels: Pixels, categories: Categories) -> Path:
    """The file and, beside it, a description."""
    written = write_bytes(path, file.getvalue())
    config = pixels.model.config.postprocess
    description = {
        "input": "images (1, 3, height, width) float32: red, green, blue in 0 … 255; resize, then pad at the right "
        "and the bottom with padding",
        "padding": [255 * value for value in pixels.model.config.mean],
        "height": pixels.image_size[0],
        "width": pixels.image_size[1],
        "outputs": "boxes (N, 4) as x1, y1, x2, y2 in pixels of the input; scores (N, K): one column per class",
        "score_threshold": config.score_threshold,
        "iou_threshold": config.iou_threshold,
        "max_detections": config.max_detections,
        "classes": categories.entries(),
    }
    write_json(written.with_suffix(".json"), description)
    return written
