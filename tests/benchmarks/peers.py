"""What other libraries offer for the same operations: those that are installed, each called as its authors mean it.

`make peers` makes an environment that has all of them. Arrays are given in the layout and type that a library asks
for, so that no conversion is timed.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

Ways = dict[str, Callable[[], Any]]
Pair = tuple[np.ndarray, np.ndarray]

os.environ.setdefault("KERAS_BACKEND", "jax")  # the fastest of Keras' three on a CPU
os.environ.setdefault("JAX_PLATFORMS", "cpu")

PACKAGES = (
    "torchvision", "lsnms", "powerboxes", "fastbbox", "opencv-python-headless", "supervision", "optax", "keras",
    "kornia", "segmentation-models-pytorch", "monai", "transformers", "fvcore",
)  # fmt: skip
"""The names under which they are installed."""

ALL_PAIRS = 5000
"""Boxes up to which libraries are called that look at every pair of boxes."""


def there(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def iou(a: np.ndarray, b: np.ndarray) -> Ways:
    """The IoU of every box of one set with every box of another.

    Args:
        a: (N, 4) float32 boxes, pixels.
        b: (M, 4) float32 boxes, pixels.
    """
    ways: Ways = {}
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    if there("torchvision"):
        from torchvision.ops import box_iou

        ta, tb = torch.from_numpy(a), torch.from_numpy(b)
        ways["torchvision"] = lambda: box_iou(ta, tb)
    if there("powerboxes"):
        import powerboxes

        ways["powerboxes"] = lambda: powerboxes.parallel_iou_distance(a, b)
    if there("fastbbox"):
        import fastbbox

        ways["fastbbox"] = lambda: fastbbox.bbox_overlaps(wide_a, wide_b)
    if there("supervision"):
        from supervision.detection.utils.iou_and_nms import box_iou_batch

        ways["supervision"] = lambda: box_iou_batch(a, b)
    return ways


def nms(boxes: np.ndarray, scores: np.ndarray) -> Ways:
    """The indices of the boxes that are kept at a threshold of 0.5.

    Args:
        boxes: (N, 4) float32, pixels.
        scores: (N,) float32, above 0.
    """
    ways: Ways = {}
    wide, wide_scores = boxes.astype(np.float64), scores.astype(np.float64)
    if there("torchvision"):
        from torchvision.ops import nms as theirs

        tb, ts = torch.from_numpy(boxes), torch.from_numpy(scores)
        ways["torchvision"] = lambda: theirs(tb, ts, 0.5)
    if there("lsnms"):
        import lsnms

        ways["lsnms"] = lambda: lsnms.nms(wide, wide_scores, 0.5)
    if there("powerboxes"):
        import powerboxes

        ways["powerboxes"] = lambda: powerboxes.nms(boxes, wide_scores, 0.5, 0.0)
        ways["powerboxes (tree)"] = lambda: powerboxes.rtree_nms(boxes, wide_scores, 0.5, 0.0)
    if there("cv2") and len(boxes) <= ALL_PAIRS:
        import cv2

        corners = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)
        ways["OpenCV"] = lambda: cv2.dnn.NMSBoxes(corners, scores, 0.0, 0.5)
    if there("supervision") and len(boxes) <= ALL_PAIRS:
        from supervision.detection.utils.iou_and_nms import box_non_max_suppression

        rows = np.concatenate([boxes, scores[:, None]], axis=1)
        ways["supervision"] = lambda: np.flatnonzero(box_non_max_suppression(rows, 0.5))
    return ways


def batched_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Ways:
    """The same, class by class.

    Args:
        boxes: (N, 4) float32, pixels.
        scores: (N,) float32, above 0.
        classes: (N,) int64.
    """
    ways: Ways = {}
    wide, wide_scores = boxes.astype(np.float64), scores.astype(np.float64)
    if there("torchvision"):
        from torchvision.ops import batched_nms as theirs

        tensors = [torch.from_numpy(array) for array in (boxes, scores, classes)]
        ways["torchvision"] = lambda: theirs(*tensors, 0.5)
    if there("lsnms"):
        import lsnms

        ways["lsnms"] = lambda: lsnms.nms(wide, wide_scores, 0.5, class_ids=classes)
    if there("cv2") and len(boxes) <= ALL_PAIRS:
        import cv2

        corners = np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)
        own = classes.astype(np.int32)
        ways["OpenCV"] = lambda: cv2.dnn.NMSBoxesBatched(corners, scores, own, 0.0, 0.5)
    return ways


Loss = Callable[[Any, Any, float, float | None], Any]
"""(logits, targets, gamma, alpha or None) -> a loss for each logit."""


def torch_losses() -> dict[str, Loss]:
    """The focal losses over PyTorch's tensors."""
    found: dict[str, Loss] = {}
    if there("torchvision"):
        from torchvision.ops import sigmoid_focal_loss as theirs

        found["torchvision"] = lambda x, y, gamma, alpha: theirs(x, y, -1 if alpha is None else alpha, gamma)
    if there("fvcore"):
        from fvcore.nn import sigmoid_focal_loss as fvcores

        found["fvcore"] = lambda x, y, gamma, alpha: fvcores(x, y, -1 if alpha is None else alpha, gamma)
    if there("kornia"):
        from kornia.losses import binary_focal_loss_with_logits as kornias

        # it wants a batch of at least two dimensions
        found["kornia"] = lambda x, y, gamma, alpha: kornias(x[None], y[None], alpha, gamma)[0]
    if there("segmentation_models_pytorch"):
        from segmentation_models_pytorch.losses._functional import focal_loss_with_logits as models

        found["segmentation-models-pytorch"] = lambda x, y, gamma, alpha: models(x, y, gamma, alpha, reduction="none")
    if there("monai"):
        from monai.losses.focal_loss import sigmoid_focal_loss as monais

        found["monai"] = monais
    if there("transformers"):
        from transformers.loss.loss_for_object_detection import sigmoid_focal_loss as transformer

        def one_by_one(x: torch.Tensor, y: torch.Tensor, gamma: float, alpha: float | None) -> torch.Tensor:
            """Theirs is the sum over rows of the mean of a row."""
            weight = -1 if alpha is None else alpha
            if x.ndim == 2:
                return transformer(x, y, 1 / x.shape[1], weight, gamma)
            pairs = zip(x.reshape(-1, 1, 1), y.reshape(-1, 1, 1), strict=True)
            return torch.stack([transformer(a, b, 1, weight, gamma) for a, b in pairs])

        found["transformers"] = one_by_one
    return found


def jax_losses() -> dict[str, Loss]:
    """The focal losses over JAX's arrays."""
    found: dict[str, Loss] = {}
    if there("optax"):
        import optax

        found["optax"] = lambda x, y, gamma, alpha: optax.losses.sigmoid_focal_loss(x, y, alpha=alpha, gamma=gamma)
    if there("keras") and there("jax"):
        import keras

        def with_type(x: Any, y: Any, gamma: float, alpha: float | None) -> Any:
            keras.config.set_floatx(str(x.dtype))  # the type that it computes in
            return keras.losses.binary_focal_crossentropy(
                y[..., None], x[..., None], alpha is not None, alpha or 0.25, gamma, from_logits=True
            )

        found["keras"] = with_type
    return found


def focal(x: np.ndarray, one_hot: np.ndarray, gamma: float, scale: float) -> Ways:
    """The focal loss with alpha 0.25, summed and scaled, and its gradient.

    Args:
        x: (N, K) float32 logits.
        one_hot: (N, K) float32 targets.
        gamma: the focusing parameter.
        scale: what the sum is multiplied by.
    """
    ways: Ways = {}
    tensor, targets = torch.from_numpy(x).requires_grad_(), torch.from_numpy(one_hot)

    def both(loss: Loss) -> torch.Tensor:
        tensor.grad = None
        total = loss(tensor, targets, gamma, 0.25).sum() * scale
        total.backward()
        return total.detach()

    for name, loss in torch_losses().items():
        ways[name] = lambda loss=loss: both(loss)  # type: ignore[misc]
    if "torchvision" in ways:
        traced = torch.compile(torch_losses()["torchvision"])
        ways["torchvision (torch.compile)"] = lambda: both(traced)
    if there("jax"):
        import jax

        array, others = jax.numpy.asarray(x), jax.numpy.asarray(one_hot)
        for name, loss in jax_losses().items():
            step = jax.jit(jax.value_and_grad(lambda x, y, loss=loss: loss(x, y, gamma, 0.25).sum() * scale))
            ways[f"{name} (jax.jit)"] = lambda step=step: jax.block_until_ready(step(array, others))  # type: ignore[misc]
    return ways
