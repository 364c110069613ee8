"""A network by the name of its path: a new one, or that of a run; and what it detects in images."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet import geometry
from minidet.config import ResizeConfig, RunSettings
from minidet.runs import load_settings
from minidet.structures import Detections
from minidet.weights import load_weights


def new_network(settings: RunSettings, tell: Callable[[str], None] | None = None) -> Any:
    """The network of a run before its first step.

    Args:
        settings: name the path, the architecture, the seed, and perhaps a detector or a backbone to start from.
        tell: given a sentence that says what of a detector was taken and what was not.

    Returns:
        The `RetinaNet` of that path; in float64 where `training.precision` says so, otherwise in float32.

    Raises:
        ValueError: the detector or the backbone does not fit.
    """
    config, training, file = settings.model, settings.training, settings.backbone_weights
    if settings.weights or (file and _is_detector(file)):
        return of_path(_started(settings, tell), settings.path, training.precision)
    if settings.path == "pytorch":
        import torch

        from minidet.pytorch.retinanet import RetinaNet
        from minidet.pytorch.weights import load_backbone

        torch.manual_seed(training.seed)
        model = RetinaNet(config)
        if file:
            load_backbone(model, file)
        return model
    net = _module(settings.path, "network").RetinaNet(config, training.seed, _type(training.precision))
    if file:
        given = _backbone(Path(file), settings)
        kept = {name: value for name, value in net.state.items() if not name.startswith("backbone.") or _counts(name)}
        net.load({**kept, **{name: value for name, value in given.items() if name in net.state or not _counts(name)}})
    return net


def load_network(run: str | os.PathLike[str], path: str | None = None) -> Any:
    """The trained network of a run.

    Args:
        run: the run's folder.
        path: which path is to compute; None is the one that has trained. Weights go from each path to each other.

    Returns:
        The `RetinaNet` of that path; PyTorch's on a GPU if there is one.

    Raises:
        ValueError: there is no finished run, or it is damaged.
    """
    settings = RunSettings.from_dict(load_settings(run))
    path = path or settings.path
    if settings.path != "pytorch" and not (Path(run) / "model.npz").is_file():
        raise ValueError(f"{Path(run) / 'model.npz'} does not exist: resume the run, which is not finished")
    if "pytorch" in (path, settings.path):
        from minidet.pytorch.checkpoint import load_model

        return of_path(load_model(run), path, settings.training.precision)
    net = _module(path, "network").RetinaNet(settings.model, dtype=_type(settings.training.precision))
    net.load(load_weights(Path(run) / "model.npz"))
    return net


def of_path(model: Any, path: str, precision: str) -> Any:
    """A network of PyTorch as one of any path, with the same weights.

    Args:
        model: the network, on the CPU.
        path: one of `minidet.config.PATHS`.
        precision: of `TrainingConfig`; "float64" for that type in the paths without PyTorch, any other for float32.

    Returns:
        The network of that path; PyTorch's is the model itself, on a GPU if there is one.
    """
    if path == "pytorch":
        import torch

        return model.to("cuda" if torch.cuda.is_available() else "cpu")
    net = _module(path, "network").RetinaNet(model.config, dtype=_type(precision))
    net.load({name: value.numpy() for name, value in model.state_dict().items()})
    return net


def _is_detector(file: str) -> bool:
    if Path(file).suffix != ".npz":
        return False
    from minidet.pytorch.archive import is_detector

    return is_detector(file)


def _started(settings: RunSettings, tell: Callable[[str], None] | None) -> Any:
    """PyTorch's network with the weights of another detector, or of its backbone, as far as they fit."""
    import torch

    from minidet.pytorch.finetune import backbone_of, load_weights, start_from
    from minidet.pytorch.retinanet import RetinaNet

    torch.manual_seed(settings.training.seed)
    model = RetinaNet(settings.model)
    source = settings.weights or settings.backbone_weights
    assert source is not None  # else this is not called
    weights, before = load_weights(source)
    taken = start_from(model, weights if settings.weights else backbone_of(weights), settings.classes, before.classes)
    if tell:
        tell(f"{source}: {taken.says}")
    return model


def detect_images(
    model: Any, images: Iterable[NDArray[np.uint8]], resize: ResizeConfig | None = None
) -> list[Detections[np.ndarray]]:
    """What a network of any path finds in images of any size, in their own pixels.

    Args:
        model: the network.
        images, resize: as `minidet.geometry.detect_images` takes them.

    Returns:
        The detections in each image, best score first.

    Raises:
        ValueError: an image is an array of another kind, or empty.
    """
    if isinstance(getattr(model, "state", None), dict):
        return geometry.detect_images(model.detect, images, model.config, resize)
    from minidet.pytorch.inference import detect_images as with_torch

    return with_torch(model, images, resize)


def _module(path: str, name: str) -> Any:
    return importlib.import_module(f"minidet.{path}.{name}")


def _type(precision: str) -> Any:
    return np.float64 if precision == "float64" else np.float32


def _counts(name: str) -> bool:
    """Whether an array only counts training steps: it may be missing, and is left out where nothing is counted."""
    return name.endswith("num_batches_tracked")


def _backbone(file: Path, settings: RunSettings) -> dict[str, np.ndarray]:
    """The arrays of a file of weights by their names in the network; what PyTorch has written is read by PyTorch."""
    if file.suffix == ".npz":
        return {f"backbone.{name}": value for name, value in load_weights(file).items() if not name.startswith("fc.")}
    state = new_network(replace(settings, path="pytorch")).state_dict()
    return {name: value.numpy() for name, value in state.items() if name.startswith("backbone.")}
