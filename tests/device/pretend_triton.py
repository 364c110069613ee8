"""As much of Triton as the package's kernels use, on PyTorch's CPU tensors: their arithmetic, where Triton is not."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

PROGRAM = [0]
"""The number of the program that is running."""


class Pointer:
    """Where a tensor begins, plus places in it."""

    def __init__(self, tensor: torch.Tensor, places: Any = 0) -> None:
        self.tensor, self.places = tensor.view(-1), places
        self.dtype = SimpleNamespace(element_ty=tensor.dtype)

    def __add__(self, places: Any) -> Pointer:
        return Pointer(self.tensor, self.places + places)


class Kernel:
    """A function that is compiled; `kernel[grid](...)` runs it once per program."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __getitem__(self, grid: tuple[int]) -> Any:
        def launch(*arguments: Any) -> None:
            arguments = tuple(Pointer(one) if isinstance(one, torch.Tensor) else one for one in arguments)
            for PROGRAM[0] in range(grid[0]):
                self.function(*arguments)

        return launch


def load(pointer: Pointer, mask: Any = None, other: float = 0.0) -> torch.Tensor:
    """The values at the places, `other` where the mask is false."""
    places = torch.as_tensor(pointer.places)
    if mask is None:
        return pointer.tensor[places]
    return torch.where(mask, pointer.tensor[places.clamp(max=len(pointer.tensor) - 1)], other)


def store(pointer: Pointer, value: Any, mask: Any = None) -> None:
    """Put the values in their places, where the mask is true."""
    places = torch.as_tensor(pointer.places)
    if mask is None:
        pointer.tensor[places] = value
    else:
        pointer.tensor[places[mask]] = value[mask]


def modules() -> dict[str, ModuleType]:
    """`triton` and `triton.language`, for `sys.modules`."""
    triton, language = ModuleType("triton"), ModuleType("triton.language")
    triton.__spec__ = sys.__spec__
    triton.jit, triton.cdiv, triton.language = Kernel, lambda a, b: -(-a // b), language
    language.__dict__.update(
        constexpr=int, load=load, store=store, program_id=lambda axis: torch.tensor(PROGRAM[axis]),
        arange=torch.arange, where=torch.where, floor=torch.floor, abs=torch.abs,
        minimum=lambda x, high: x.clamp(max=high), maximum=lambda x, low: x.clamp(min=low),
        sum=lambda x, axis: x.sum(axis), int32=torch.int32, int64=torch.int64, float32=torch.float32,
        cast=lambda x, dtype, bitcast: x.view(dtype) if bitcast else x.to(dtype),
    )  # fmt: skip
    return {"triton": triton, "triton.language": language}
