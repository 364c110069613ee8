"""As much of Triton as the package's kernels use, on PyTorch's CPU tensors: their arithmetic, where Triton is not."""

from __future__ import annotations

import sys
from functools import reduce
from itertools import product
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

PROGRAM = [0]
"""The place in the grid of the program that is running."""
GRID = [1]
"""How many programs there are."""


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

    def __getitem__(self, grid: tuple[int, ...]) -> Any:
        def launch(*arguments: Any, num_warps: int = 4, enable_fp_fusion: bool = True) -> None:
            arguments = tuple(Pointer(one) if isinstance(one, torch.Tensor) else one for one in arguments)
            GRID[:] = grid
            for PROGRAM[:] in product(*map(range, grid)):
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
        pointer.tensor[places[mask]] = value[mask].to(pointer.tensor.dtype)


def atomic_max(pointer: Pointer, value: torch.Tensor) -> None:
    """Keep the larger one."""
    pointer.tensor[pointer.places] = torch.maximum(pointer.tensor[pointer.places], value)


def cast(x: Any, dtype: torch.dtype, bitcast: bool = False) -> torch.Tensor:
    """The value in another type, or its bits read as one."""
    return torch.as_tensor(x).view(dtype) if bitcast else torch.as_tensor(x).to(dtype)


def larger(a: Any, b: Any, propagate_nan: Any = None) -> torch.Tensor:
    """The larger one of each pair."""
    return a.clamp(min=b) if isinstance(b, float) else torch.maximum(torch.as_tensor(a), torch.as_tensor(b))


def smaller(a: Any, b: Any, propagate_nan: Any = None) -> torch.Tensor:
    """The smaller one of each pair."""
    return a.clamp(max=b) if isinstance(b, float | int) else torch.minimum(torch.as_tensor(a), torch.as_tensor(b))


def modules() -> dict[str, ModuleType]:
    """`triton` and `triton.language`, for `sys.modules`."""
    triton, language = ModuleType("triton"), ModuleType("triton.language")
    triton.__spec__ = sys.__spec__
    triton.jit, triton.cdiv, triton.language = Kernel, lambda a, b: -(-a // b), language
    language.__dict__.update(
        constexpr=int, load=load, store=store, atomic_max=atomic_max, cast=cast, minimum=smaller, maximum=larger,
        program_id=lambda axis: torch.tensor(PROGRAM[axis]), num_programs=lambda axis: GRID[axis],
        arange=torch.arange, where=torch.where, abs=torch.abs, rsqrt=torch.rsqrt,
        zeros=lambda n, t: torch.zeros(n, dtype=t), full=lambda n, value, t: torch.full(n, value, dtype=t),
        sum=lambda x, axis: x.sum(axis), max=lambda x, axis: x.amax(axis),
        reduce=lambda x, axis, combine: reduce(combine, x.unbind(axis)), debug_barrier=lambda: None,
        PropagateNan=SimpleNamespace(ALL=True),
        int8=torch.int8, int32=torch.int32, int64=torch.int64, float32=torch.float32, float64=torch.float64,
    )  # fmt: skip
    return {"triton": triton, "triton.language": language}
