"""The floating types in which the PyTorch path computes and decides."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float64, in which every path decides; on the CPU where the device has no float64."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).to(torch.float64)


def working(tensor: Tensor) -> Tensor:
    """The tensor in the type its formulas are computed in: float32 for the half-width types."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def for_differences(tensor: Tensor) -> Tensor:
    """The tensor in the type for formulas with a small difference: float64 for half width, where the device has it."""
    half = tensor.dtype in (torch.bfloat16, torch.float16)
    return tensor.double() if half and tensor.device.type != "mps" else tensor
