"""A detector in one small file of plain arrays: its settings and its weights in half the bytes, to be handed on.

A run's folder holds what training needs; this file holds what detecting needs. It is an .npz archive, nothing in which
is ever run. Convolution weights are float16 with 8 significant bits; the rest, which is small, is float32.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import numpy as np
import torch

from minidet.config import RunSettings
from minidet.files import write_bytes
from minidet.pytorch.retinanet import RetinaNet
from minidet.weights import load_weights

SETTINGS = "settings.json"
"""The array of the archive that holds the settings, as the bytes of a JSON text."""
_DROPPED_BITS = 3  # of the 10 of float16's fraction; zeros are what makes the file small


def save_detector(path: str | os.PathLike[str], model: RetinaNet, settings: RunSettings) -> Path:
    """Write a detector, whole or not at all.

    Args:
        path: the file, by custom *.npz.
        model: the trained network.
        settings: of its run; the names of the classes and the size of images are kept, its data is not.

    Returns:
        The path.

    Raises:
        ValueError: a weight is not finite, or too large for float16.
        OSError: the file cannot be written.
    """
    kept = RunSettings(
        classes=settings.classes, category_ids=settings.category_ids, model=model.config, training=settings.training
    )
    text = json.dumps(kept.to_dict()).encode()
    arrays = {SETTINGS: np.frombuffer(text, np.uint8)}
    for name, value in model.state_dict().items():
        if value.is_floating_point():  # the count of batches has no part in detecting
            arrays[name] = _small(name, value.detach().float().cpu().numpy())
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # any name but "file" is free
    return write_bytes(path, file.getvalue())


def load_detector(path: str | os.PathLike[str]) -> tuple[RetinaNet, RunSettings]:
    """Read what `save_detector` wrote.

    Args:
        path: the file.

    Returns:
        The network in eval mode, on the CPU, and the settings of its run, without data.

    Raises:
        ValueError: the file is damaged, or holds anything but a detector as plain arrays.
        OSError: it cannot be read.
    """
    settings, arrays = read_detector(path)
    model = RetinaNet(settings.model)
    state = model.state_dict()
    weights = {name: torch.as_tensor(array) for name, array in arrays.items()}
    missing = [name for name in state if name not in weights and not name.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"{path} lacks {len(missing)} weights ({missing[0]} is the first): write it again")
    try:
        model.load_state_dict({**state, **weights})
    except RuntimeError as error:
        raise ValueError(f"{path} does not fit its own settings: {error}") from error
    return model.eval(), settings


def read_detector(path: str | os.PathLike[str]) -> tuple[RunSettings, dict[str, np.ndarray]]:
    """The settings and the float32 weights, by name, of a file that `save_detector` wrote.

    Args:
        path: the file.

    Raises:
        ValueError: the file is damaged, or holds anything but a detector as plain arrays.
        OSError: it cannot be read.
    """
    arrays = load_weights(path)
    if SETTINGS not in arrays:
        raise ValueError(f"{path} holds arrays but no settings: it is not a detector of minidet export --npz")
    try:
        content = json.loads(arrays.pop(SETTINGS).tobytes())
        settings = RunSettings.from_dict(content)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds settings that cannot be read ({error}): write it again") from error
    return settings, {name: array.astype(np.float32) for name, array in arrays.items()}


def is_detector(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of `save_detector`; raises ValueError for an .npz that holds more than plain arrays."""
    return Path(path).suffix == ".npz" and Path(path).exists() and SETTINGS in load_weights(path)


def _small(name: str, values: np.ndarray) -> np.ndarray:
    """The values in half the bytes where there are many of them."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} is not finite: the training has diverged")
    if values.ndim < 4:
        return values
    if np.abs(values).max(initial=0) > 6e4:
        raise ValueError(f"{name} holds {np.abs(values).max():g}, which is too large for float16")
    half = values.astype(np.float16).view(np.uint16).astype(np.uint32)
    step = 1 << _DROPPED_BITS
    rounded = (half + step // 2 - 1 + ((half >> _DROPPED_BITS) & 1)) & ~np.uint32(step - 1)  # ties to even
    return rounded.astype(np.uint16).view(np.float16)
