"""The door of the PyTorch path: arguments as tensors, checked where they lie.

A value is tested in one go on its device. Only when the test fails is it brought to NumPy, where `minidet.checks` names
the element at fault, so that all three paths say the same. On a GPU the answer to a test makes the host wait, so the
tests of several arguments are answered together (`at_once`), and values that were tested before are `trusted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from minidet import checks
from minidet.pytorch import widths

Checked = TypeVar("Checked")
_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)
_UNANSWERED: ContextVar[list[Tensor] | None] = ContextVar("unanswered", default=None)


@contextmanager
def trusted() -> Iterator[None]:
    """Inside, values are not tested, only shapes and types are: for values that were tested where they came from."""
    token = _TRUSTED.set(True)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def at_once(check: Callable[[], Checked]) -> Checked:
    """What `check` returns, after the tests of all its arguments were answered together: a GPU's host waits once.

    Args:
        check: calls functions of this module; it is called again, test after test, where one of them fails.

    Raises:
        ValueError: what the first test that fails has to say.
    """
    if torch.compiler.is_compiling() or _UNANSWERED.get() is not None:
        return check()
    tests: list[Tensor] = []
    token = _UNANSWERED.set(tests)
    try:
        checked = check()
    except ValueError:  # of a shape, but the values before it are yet to be tested
        _UNANSWERED.set(None)
        check()
        raise
    finally:
        _UNANSWERED.reset(token)
    if tests and not torch.stack(tests).all():
        check()
    return checked


def afterwards(test: Callable[[], Tensor], check: Callable[[], object]) -> None:
    """A test that the result of an operation makes cheap: where it fails, `check` says what was wrong."""
    if not _passes(test):
        check()


def of_array(array: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory where PyTorch can: it knows one order of bytes, and no read-only one."""
    return torch.as_tensor(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))


def floats(name: str, value: Any) -> Tensor:
    """The value as a real tensor in its own floating type; integers become float64."""
    tensor = value if isinstance(value, Tensor) else of_array(checks.floats(name, value))
    if tensor.is_complex():
        raise ValueError(f"{name} has dtype {tensor.dtype}: give real numbers")
    return tensor if tensor.is_floating_point() else tensor.to(torch.float64)


def boxes(name: str, value: Any, with_area: bool = False) -> Tensor:
    """(N, 4) corners; see `checks.boxes`."""
    t = floats(name, value)
    if t.numel() == 0 and t.shape in ((0,), (0, 4), (1, 0)):
        return t.reshape(0, 4)
    if t.ndim == 2 and t.shape[1] == 4 and _passes(lambda: _are_boxes(t, with_area)):
        return t
    checks.boxes(name, _array(t), with_area)
    return t


def matching_boxes(name: str, value: Any, other_name: str, other: Any, with_area: bool = True) -> tuple[Tensor, Tensor]:
    """Two (N, 4) tensors of boxes, with area unless told otherwise, and of the same length."""
    t, partner = boxes(name, value, with_area), boxes(other_name, other, with_area)
    _same_length(name, t, other_name, partner)
    return t, partner


def deltas(name: str, value: Any, anchors: Tensor) -> Tensor:
    """(N, 4) finite offsets, one row per anchor."""
    t = floats(name, value)
    t = t.reshape(0, 4) if t.numel() == 0 and t.ndim == 1 else t
    if t.ndim != 2 or t.shape[1] != 4 or len(t) != len(anchors) or not _passes(lambda: t.isfinite().all()):
        checks.deltas(name, _array(t), _array(anchors))
    return t


def vector(name: str, value: Any, length: int, of: str) -> Tensor:
    """(length,) numbers without a NaN."""
    t = floats(name, value)
    t = t.reshape(0) if t.numel() == 0 else t
    if t.shape != (length,) or not _passes(lambda: _has_no_nan(t)):
        checks.vector(name, _array(t), length, of)
    return t


def integers(name: str, value: Any, length: int, of: str, low: int, high: int | None = None) -> Tensor:
    """(length,) whole numbers in [low, high], int64."""
    t = value if isinstance(value, Tensor) else of_array(checks.as_array(name, value))
    t = t.reshape(0).long() if t.numel() == 0 else t
    whole = not (t.is_floating_point() or t.is_complex() or t.dtype == torch.bool)
    top = torch.iinfo(torch.int64).max if high is None else high
    if t.shape != (length,) or not whole or not _passes(lambda: ((t >= low) & (t <= top)).all()):
        checks.integers(name, _array(t), length, of, low, high)
    return t.long()


def binary(logits: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Logits without NaN, and the mask of the objects, of the same shape."""
    x = floats("logits", logits)
    y = targets if isinstance(targets, Tensor) else of_array(checks.as_array("targets", targets)).to(x.device)
    y = y.reshape(x.shape) if y.numel() == 0 and x.numel() == 0 else y
    if x.shape != y.shape or not _passes(lambda: _has_no_nan(x) & ((y == 0) | (y == 1)).all()):
        checks.binary(_array(x), _array(y))
    return x, y == 1


def soft(logits: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Logits without NaN, and targets of the same shape in [0, 1]."""
    x, y = floats("logits", logits), floats("targets", targets)
    y = y.reshape(x.shape) if y.numel() == 0 and x.numel() == 0 else y
    if x.shape != y.shape or not _passes(lambda: _has_no_nan(x) & ((y >= 0) & (y <= 1)).all()):
        checks.soft(_array(x), _array(y))
    return x, y


def predictions(values: Any, targets: Any) -> tuple[Tensor, Tensor]:
    """Two floating tensors of one shape without NaN."""
    x, t = floats("predictions", values), floats("targets", targets)
    if x.shape != t.shape or not _passes(lambda: _has_no_nan(x) & _has_no_nan(t)):
        checks.predictions(_array(x), _array(t))
    return x, t


def class_scores(name: str, value: Any) -> Tensor:
    """(N, K) without NaN."""
    t = floats(name, value)
    if t.ndim != 2 or not _passes(lambda: _has_no_nan(t)):
        checks.class_scores(name, _array(t))
    return t


def softmax(logits: Any, labels: Any, alpha: Any) -> tuple[Tensor, Tensor, Tensor]:
    """(N, K) finite logits, (N,) labels and (K,) weights."""
    x = class_scores("logits", logits)
    n, k = x.shape
    y = labels if isinstance(labels, Tensor) else of_array(checks.as_array("labels", labels)).to(x.device)
    weight = floats("alpha", 1.0 if alpha is None else alpha).to(x.device, widths.working(x).dtype)
    y = y.reshape(0).long() if y.numel() == 0 else y
    good_shapes = k >= 1 and y.shape == (n,) and weight.shape in ((), (k,)) and not y.is_floating_point()
    if not good_shapes or not _passes(
        lambda: x.isfinite().all() & ((y >= 0) & (y < k)).all() & (weight.isfinite() & (weight >= 0)).all()
    ):
        checks.softmax(_array(x), _array(y), _array(weight))
    return x, y.long(), weight.expand(k)


def level(i: int, logits: Any, deltas_: Any, anchors: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs of pyramid level i: (N, K) logits, yet to be searched for a NaN, (N, 4) deltas and (N, 4) anchors."""
    x, corners = floats(f"logits[{i}]", logits), boxes(f"anchors[{i}]", anchors)
    x = x if x.ndim == 2 else class_scores(f"logits[{i}]", x)
    _same_length(f"logits[{i}]", x, f"anchors[{i}]", corners)
    return x, deltas(f"deltas[{i}]", deltas_, corners), corners


def images(value: Any) -> Tensor:
    """A batch of images, (B, 3, H, W), H and W of at least 1."""
    wanted = "(B, 3, H, W) with H and W of at least 1"
    if not isinstance(value, Tensor):
        raise ValueError(f"images is of class {type(value).__name__}: give a tensor {wanted}")
    if value.ndim != 4 or value.shape[1] != 3 or 0 in value.shape[2:]:
        raise ValueError(f"images has shape {tuple(value.shape)}: give {wanted}; one image is image[None]")
    return value


def finite_images(images: Tensor) -> None:
    """Refuse a batch (B, 3, H, W) in which an image is not finite, and say which one."""
    if images.isfinite().all():
        return
    for i, image in enumerate(images):
        if not image.isfinite().all():
            raise ValueError(f"images[{i}] holds NaN or infinity: check how it was read and normalised")


def ohem(
    losses: Tensor, boxes_: Tensor, batch_size: int, positives: Any, negatives_per_positive: Any
) -> tuple[Tensor | None, int]:
    """The mask of the positives (or None) and their ratio (or 0), on the device of the losses; see `checks.ohem`."""
    vector("losses", losses, len(boxes_), of="boxes")
    ratio = checks.mining(batch_size, positives is not None, negatives_per_positive)
    if positives is None:
        return None, ratio
    mask = positives if isinstance(positives, Tensor) else torch.tensor(positives)
    mask = mask.reshape(0).bool() if mask.numel() == 0 else mask
    if mask.shape != losses.shape or mask.dtype != torch.bool:
        checks.mask("positives", _array(mask), len(losses), of="losses")
    return mask.to(losses.device), ratio


def _has_no_nan(t: Tensor) -> Tensor:
    """Whether no element is NaN: the highest of all would be NaN, and finding it is faster than a mask."""
    return ~t.amax().isnan() if t.numel() else torch.ones((), dtype=torch.bool, device=t.device)


def _are_boxes(t: Tensor, with_area: bool) -> Tensor:
    ordered = (t[:, 2:] > t[:, :2]) if with_area else (t[:, 2:] >= t[:, :2])  # false for a NaN
    return ordered.all() & (t.abs() < 1e150).all()


def _same_length(name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    if len(tensor) != len(other):
        checks.same_length(name, _array(tensor), other_name, _array(other))


def _passes(test: Callable[[], Tensor]) -> bool:
    """The test's answer; it passes for now inside `at_once`, and always where values are trusted or, while a graph is
    being compiled, not known."""
    if torch.compiler.is_compiling() or _TRUSTED.get():
        return True
    unanswered = _UNANSWERED.get()
    if unanswered is None:
        return bool(test())
    unanswered.append(test())
    return True


def _array(tensor: Tensor) -> np.ndarray:
    t = tensor.detach().cpu()
    return t.float().numpy() if t.dtype == torch.bfloat16 else t.numpy()
