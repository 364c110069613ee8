"""A device that is not there: tensors that compute on the CPU and behave as if they lay on an accelerator.

A tensor of the device "pretend" holds a CPU tensor and says that it is elsewhere. Like CUDA's it refuses to be combined
with a tensor of the CPU, numbers without dimensions aside, and like CUDA's it makes the host wait whenever a value, or
a size that depends on values, is asked for. `Waits` counts these waits. So a tensor that was left on the CPU, and a
synchronisation that crept into a training step, are found without a GPU.

    with Pretend() as device, Waits() as waits:
        model.to(device)(images.to(device))
    print(waits.count, waits.places)
"""

from __future__ import annotations

import traceback
from collections import Counter
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

NAME = "pretend"
aten = torch.ops.aten

WAITS = {
    aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default, aten.equal.default,
    aten._unique2.default, aten.unique_dim.default, aten.unique_consecutive.default, aten.repeat_interleave.Tensor,
    aten.bincount.default, aten.item.default, aten.is_nonzero.default, aten.where.default, aten.argwhere.default,
    aten.nonzero_numpy.default,
}  # fmt: skip
"""What a GPU cannot answer without its host waiting: a value, or a result whose size depends on values."""
KEY, LIBRARIES = "AutocastPrivateUse1", list[Any]()
"""Under which PyTorch asks how autocast runs an operator here, and what holds the answers."""
COPIES = {aten._to_copy.default, aten.copy_.default, *(getattr(aten.to, name) for name in aten.to.overloads())}


class PretendTensor(torch.Tensor):
    """A tensor that says it is on the pretend device and keeps its numbers in `held`, on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, real: torch.Tensor, requires_grad: bool = False) -> PretendTensor:
        with torch.inference_mode(False):  # a wrapper has a version counter of its own, wherever it is made
            wrapper = torch.Tensor._make_wrapper_subclass(
                cls, real.shape, strides=real.stride(), storage_offset=real.storage_offset(), dtype=real.dtype,
                device=torch.device(NAME, 0), requires_grad=requires_grad,
            )  # fmt: skip
        wrapper.held = real.detach()
        return wrapper

    def __repr__(self, **_: Any) -> str:
        return f"pretend({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(function, args, kwargs or {})

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.tolist:  # reads memory without any operator
            Waits.note("tolist")
            return args[0].held.tolist()
        if function is torch.Tensor.new_tensor:  # makes its tensor in memory, then copies it to the device
            values, options = args[1], {"dtype": args[0].dtype, **(kwargs or {})}
            return torch.tensor(values, **{**options, "device": "cpu"}).to(args[0].device)
        if function is torch.Tensor.numpy:
            raise TypeError("can't convert a tensor on the pretend device to numpy: bring it to the CPU first")
        with torch._C.DisableTorchFunctionSubclass():
            return function(*args, **(kwargs or {}))


def is_pretend(device: Any) -> bool:
    """Whether a device argument means this device."""
    return device is not None and torch.device(device).type == NAME


def run(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operator on the numbers behind the tensors, refused where the operands lie on different devices."""
    flat, _ = pytree.tree_flatten((args, kwargs))
    pretended = [value for value in flat if isinstance(value, PretendTensor)]
    devices = [value for value in flat if isinstance(value, torch.device)]
    device = kwargs.get("device") or (devices[0] if devices else None)
    copies = function in COPIES
    if not copies:
        strangers = [
            value for value in flat
            if isinstance(value, torch.Tensor) and not isinstance(value, PretendTensor) and value.ndim > 0
        ]  # fmt: skip
        if pretended and strangers:
            raise RuntimeError(
                f"{function}: expected all tensors to be on the same device, but found pretend:0 and cpu "
                f"{[tuple(value.shape) for value in strangers]}"
            )
    wait = function in WAITS and bool(pretended)
    if function is aten.index.Tensor and pretended:
        wait = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    if function in (aten.index_put.default, aten.index_put_.default) and pretended:
        wait = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    there = bool(pretended)
    if function in COPIES and function is not aten.copy_.default:
        others = [value for value in flat if isinstance(value, torch.Tensor)]
        if device is not None:
            there = is_pretend(device)
        elif function is aten.to.other:
            there = isinstance(others[1], PretendTensor)
        wait = bool(pretended) and not there
    elif function is aten.copy_.default:
        there = isinstance(args[0], PretendTensor)
        wait = not there
    elif device is not None:
        there = is_pretend(device)
    if wait:
        Waits.note(str(function))
    args, kwargs = pytree.tree_map(_held, (args, kwargs))
    if kwargs.get("pin_memory"):
        kwargs = {**kwargs, "pin_memory": False}
    result = function(*args, **kwargs)
    if function._schema.name.endswith("_") and there:  # in place: the wrapper goes on
        return _original(function, flat, result)
    return pytree.tree_map(
        lambda value: PretendTensor(value) if there and type(value) is torch.Tensor else value, result
    )


def _held(value: Any) -> Any:
    """The CPU's tensor behind one of the device, and the CPU for the device itself."""
    if isinstance(value, PretendTensor):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == NAME else value


def _original(function: Any, flat: list[Any], result: Any) -> Any:
    first = flat[0]
    return first if isinstance(first, PretendTensor) else result


class Pretend:
    """Inside, `torch.zeros(..., device=device)` and its like make tensors of the device; gives the device."""

    def __enter__(self) -> torch.device:
        self.modes = ExitStack()
        self.modes.enter_context(_Functions())
        self.modes.enter_context(_Operators())
        return torch.device(NAME, 0)

    def __exit__(self, *_: object) -> None:
        self.modes.close()


class _Operators(TorchDispatchMode):
    """Sends the operators that make or take tensors of the device to `run`."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        flat, _ = pytree.tree_flatten((args, kwargs))
        if any(isinstance(value, PretendTensor) for value in flat) or is_pretend(kwargs.get("device")):
            return run(function, args, kwargs)
        return function(*args, **kwargs)


class _Functions(TorchFunctionMode):
    """Catches the functions that reach into memory without an operator."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and is_pretend(kwargs.get("device")):
            values = args[0]
            if isinstance(values, PretendTensor):
                return values if kwargs.get("dtype") in (None, values.dtype) else values.to(kwargs["dtype"])
            return function(*args, **{**kwargs, "device": "cpu"}).to(kwargs["device"])
        return function(*args, **kwargs)


class Waits:
    """Counts how often the host would have waited for the device, and where in the package it was."""

    active: Waits | None = None

    def __init__(self) -> None:
        self.places: Counter[str] = Counter()

    @property
    def count(self) -> int:
        return sum(self.places.values())

    def __enter__(self) -> Waits:
        self.before, Waits.active = Waits.active, self
        return self

    def __exit__(self, *_: object) -> None:
        Waits.active = self.before

    @staticmethod
    def note(what: str) -> None:
        if Waits.active is None:
            return
        frames = [f for f in traceback.extract_stack() if f"{'minidet'}/pytorch" in Path(f.filename).as_posix()]
        where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
        Waits.active.places[f"{where} {what}"] += 1


class _Module:
    """What torch asks a device's module for."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """It has no random numbers of its own."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


@cache
def enable() -> None:
    """Make the device known to PyTorch, once per process."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    every, one = torch.library.Library("_", "IMPL"), torch.library.Library("aten", "IMPL")
    every.fallback(torch.library.fallthrough_kernel, KEY)
    one.impl("conv2d", _conv2d_in_half, KEY)
    LIBRARIES.extend([every, one])


def _conv2d_in_half(x: Any, weight: Any, bias: Any = None, *others: Any) -> Any:
    """What autocast makes of a convolution; other operators take what they get."""
    with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, KEY))):
        dtype = torch.get_autocast_dtype(NAME)
        return aten.conv2d.default(*(None if one is None else one.to(dtype) for one in (x, weight, bias)), *others)


enable()  # when the tests are collected: the first backward pass of a process counts the devices that there are
