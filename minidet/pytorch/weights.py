"""Trained weights of torchvision: a whole RetinaNet, or an ImageNet classifier as its backbone.

Weights are a state dict (names to tensors or NumPy arrays) or the path of one, written by `torch.save` or, as `.npz`,
by `numpy.savez`. Only tensors are read from a file: pickled Python code is refused, not run. Some detectors are
published that way (Detectron2's `.pkl`). Where you trust the file, turn it into plain tensors once:

    import pickle, torch
    with open("model_final.pkl", "rb") as file:
        arrays = pickle.load(file)["model"]
    torch.save({name: torch.as_tensor(array) for name, array in arrays.items()}, "model_final.pth")

and give its entries torchvision's names. Nothing is changed unless everything fits: then a ValueError lists the missing
keys, the unknown ones and those of another shape.
"""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minidet.pytorch.retinanet import RetinaNet

Weights = Mapping[str, Any] | str | os.PathLike[str]


def load_torchvision(model: RetinaNet, weights: Weights) -> None:
    """Copy the weights of torchvision's `retinanet_resnet50_fpn` (or `_v2`) into a model of the same structure.

    >>> model = RetinaNet(RetinaNetConfig.torchvision(91, norm_eps=0.0))  # doctest: +SKIP
    >>> load_torchvision(model, "retinanet_resnet50_fpn_coco-eeacb38b.pth")  # doctest: +SKIP

    Class 0 of torchvision's COCO models stands for the background and is never detected.

    Args:
        model: changed in place; `RetinaNetConfig.torchvision` says which settings each of torchvision's models needs.
        weights: a state dict or a file. Files from before torchvision 0.13, such as the one above, name some layers
            differently and are read too.

    Raises:
        ValueError: a key is missing, unknown or of another shape, or the file does not hold plain tensors. The model is
            then unchanged.
    """
    targets = {_torchvision_name(name): tensor for name, tensor in model.state_dict().items()}
    _copy({_current_name(name): value for name, value in read_weights(weights).items()}, targets)


def load_backbone(model: RetinaNet, weights: Weights) -> None:
    """Copy the weights of a torchvision ImageNet classifier into the backbone; its linear layer `fc` is left out.

    >>> model = RetinaNet(RetinaNetConfig(num_classes=20))  # doctest: +SKIP
    >>> load_backbone(model, "resnet50-0676ba61.pth")  # doctest: +SKIP

    Args:
        model: changed in place; its `norm` is "frozen" or "batch".
        weights: of ResNet-18 to 152 or ResNeXt, with the model's depth and groups: a state dict or a file.

    Raises:
        ValueError: as `load_torchvision`; the model is then unchanged.
    """
    state = {name: value for name, value in read_weights(weights).items() if not name.startswith("fc.")}
    _copy(state, model.backbone.state_dict())


_PREFIXES = {
    r"backbone\.": "backbone.body.",
    r"fpn\.lateral\.(\d)\.": r"backbone.fpn.inner_blocks.\1.0.",
    r"fpn\.output\.(\d)\.": r"backbone.fpn.layer_blocks.\1.0.",
    r"fpn\.extra\.": "backbone.fpn.extra_blocks.",
    r"class_subnet\.convs\.": "head.classification_head.conv.",
    r"class_subnet\.output\.": "head.classification_head.cls_logits.",
    r"box_subnet\.convs\.": "head.regression_head.conv.",
    r"box_subnet\.output\.": "head.regression_head.bbox_reg.",
}
"""How a name begins in this project, and how in torchvision."""


def _torchvision_name(name: str) -> str:
    """The name that torchvision gives one of our tensors."""
    for ours, theirs in _PREFIXES.items():
        if re.match(ours, name):
            return re.sub(f"^{ours}", theirs, name)
    raise KeyError(name)


def _current_name(name: str) -> str:
    """The name that torchvision has given a tensor since 0.13, when a conv became the first part of a block."""
    name = re.sub(r"((?:inner|layer)_blocks\.\d)\.(weight|bias)$", r"\1.0.\2", name)
    return re.sub(r"(_head\.conv)\.(\d)\.(weight|bias)$", lambda m: f"{m[1]}.{int(m[2]) // 2}.0.{m[3]}", name)


_MAGIC = (b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")
"""The first bytes of a file of `torch.save`, since PyTorch 1.6 and before."""


def read_weights(weights: Weights) -> dict[str, Tensor]:
    """The tensors of a state dict or of a file.

    Args:
        weights: a state dict, or the path of one (see the top of this module).

    Returns:
        Names to tensors, on the CPU if read from a file.

    Raises:
        ValueError: it holds anything but tensors.
    """
    state: Any = weights
    if not isinstance(weights, Mapping):
        path = Path(weights)
        state = _read_npz(path) if path.suffix == ".npz" else _read_pth(path)
    if not isinstance(state, Mapping):
        raise ValueError(f"weights hold a {type(state).__name__}: give a state dict, names to tensors")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, (Tensor, np.ndarray)):
            raise ValueError(
                f"weights[{name!r}] is a {type(value).__name__}, not a tensor: give the state dict itself; a "
                f'checkpoint often keeps it as checkpoint["model"] or checkpoint["state_dict"]'
            )
    return {name: torch.as_tensor(value) for name, value in state.items()}


def _read_pth(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(16)
    if not start.startswith(_MAGIC):
        raise ValueError(
            f"{path} was not written by torch.save. Pickled objects and .safetensors are not read: turn the file into "
            f"a dict of tensors (how: help({__name__!r})) and pass that dict, or save it with torch.save"
        )
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds Python objects that would have to be run to be read. If you trust it, load it yourself and "
            f"save its tensors alone with torch.save (how: help({__name__!r}))"
        ) from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged: fetch or write it again ({error})") from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold plain arrays alone, write it with numpy.savez ({error})") from error


def _copy(state: dict[str, Tensor], targets: dict[str, Tensor]) -> None:
    """Copy each tensor into the target of its name, or raise and copy none.

    `num_batches_tracked` counts training steps and has no part in the outputs: it may be missing, and is left out where
    the model has frozen statistics and does not count.
    """

    def counts(name: str) -> bool:
        return name.endswith("num_batches_tracked")

    state = {name: value for name, value in state.items() if name in targets or not counts(name)}
    missing = [name for name in targets if name not in state and not counts(name)]
    unknown = [name for name in state if name not in targets]
    misshapen = [
        f"{name} {tuple(value.shape)} instead of {tuple(targets[name].shape)}"
        for name, value in state.items()
        if name in targets and value.shape != targets[name].shape
    ]
    faults = {"missing": missing, "unknown": unknown, "of another shape": misshapen}
    if any(faults.values()):
        raise ValueError(
            "the weights do not fit the model, check its configuration; "
            + "; ".join(f"{len(names)} {fault}: {', '.join(names)}" for fault, names in faults.items() if names)
        )
    with torch.no_grad():
        for name, value in state.items():
            targets[name].copy_(value)
