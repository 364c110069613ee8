"""Where the package's kernels are tested: on CUDA, and on a CPU by Triton's interpreter or by what stands for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from tests.device import pretend_triton

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def kernels_on(device: str, monkeypatch: pytest.MonkeyPatch, name: str, *functions: str) -> Iterator[Any]:
    """The module `minidet.pytorch.NAME`, imported for a device; its `calls` are those of these functions."""
    fresh = f"minidet.pytorch.{name}"
    if device == "cpu":
        monkeypatch.setenv("TRITON_INTERPRET", "1")
        if importlib.util.find_spec("triton") is None or torch.cuda.is_available():
            for module_name, module in pretend_triton.modules().items():
                monkeypatch.setitem(sys.modules, module_name, module)
        monkeypatch.delitem(sys.modules, fresh, raising=False)
    module = importlib.import_module(fresh)
    module.device, module.calls = device, []
    for function in functions:
        monkeypatch.setattr(module, function, _counted(module, getattr(module, function)))
    yield module
    sys.modules.pop(fresh, None)
    importlib.import_module("minidet.pytorch").__dict__.pop(name, None)


def _counted(module: Any, original: Any) -> Any:
    def counted(*arguments: Any) -> Any:
        module.calls.append(arguments)
        return original(*arguments)

    return counted
