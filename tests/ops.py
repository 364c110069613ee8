"""The paths under test behind one face: functions that take and give NumPy arrays."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from minidet import reference
from minidet.structures import Detections

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("reference", "compiled", "pytorch")


class Ops:
    """One path. Attributes are its functions; a function that a student's module lacks skips the test."""

    def __init__(self, name: str, module: ModuleType, uses_tensors: bool, device: str = "cpu"):
        self.name, self.module, self.uses_tensors, self.device = name, module, uses_tensors, device

    def __repr__(self) -> str:
        return self.name

    def __getattr__(self, function: str) -> Any:
        if function not in reference.__all__:
            raise AttributeError(function)
        if not hasattr(self.module, function):
            pytest.skip(f"{self.name} has no {function}")
        call = getattr(self.module, function)
        if not self.uses_tensors:
            return call
        if function == "dense_focal_loss":
            call = functools.partial(_loss_and_gradient, call)
        return lambda *args, **kwargs: self._back(
            call(*map(self._in, args), **{name: self._in(value) for name, value in kwargs.items()})
        )

    def _in(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return torch.from_numpy(value.copy()).to(self.device)
        if isinstance(value, type) and issubclass(value, np.floating):
            return {np.float32: torch.float32, np.float64: torch.float64}[value]
        return [self._in(v) for v in value] if isinstance(value, list) and _holds_arrays(value) else value

    def _back(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.detach().cpu().numpy()
        if isinstance(value, Detections):
            return Detections(*map(self._back, value))
        return type(value)(map(self._back, value)) if isinstance(value, (list, tuple)) else value


def _holds_arrays(values: list) -> bool:
    return any(isinstance(v, np.ndarray) for v in values)


def _loss_and_gradient(loss: Any, logits: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """A loss that differentiates itself, as the pair that the other paths return."""
    if not isinstance(logits, torch.Tensor):
        return loss(logits, *args, **kwargs)
    logits = logits.requires_grad_(logits.is_floating_point())
    value = loss(logits, *args, **kwargs)
    value.backward()
    return value, logits.grad


def load(path: str) -> ModuleType:
    """A student's module from its file."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise pytest.UsageError(f"--ops {path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_boxes(rng: np.random.Generator, n: int, extent: float = 200.0, dtype: Any = np.float64) -> np.ndarray:
    """(n, 4) boxes of 3 to 90 pixels a side."""
    centre, size = rng.uniform(0, extent, (n, 2)), np.exp(rng.uniform(1.1, 4.5, (n, 2)))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(dtype)
