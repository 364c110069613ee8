"""Where the package's own kernels run: on a GPU for which Triton is installed."""

from __future__ import annotations

import os
from importlib.util import find_spec

import torch
from torch import Tensor


def has_kernels(x: Tensor) -> bool:
    """Whether operations on this tensor are computed by kernels in Triton.

    The environment variable TRITON_INTERPRET=1 has them computed so on the CPU too, slowly, for tests.

    Args:
        x: on the device in question.
    """
    there = x.device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
    return there and not torch.compiler.is_compiling() and find_spec("triton") is not None
