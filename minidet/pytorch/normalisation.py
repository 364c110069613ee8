"""Batch normalisation over the images of all processes (Ioffe and Szegedy, 2015), on a CPU as on a GPU.

A process of several sees a part of the batch. With statistics of that part alone, two processes would train another
network than one; PyTorch's SyncBatchNorm helps on GPUs only.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's layer, with the mean and the variance of the maps in all processes where several train together.

    Args:
        channels: of the maps.
        eps: what is added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """The map (B, channels, H, W), normalised: the same shape and dtype."""
        together = self.training and dist.is_initialized() and dist.get_world_size() > 1
        return self._over_processes(x) if together else super().forward(x)

    def _over_processes(self, x: Tensor) -> Tensor:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
            count = _total(wide.new_tensor(float(x.numel() // x.shape[1])))  # values per channel, in all processes
            mean = _total(wide.sum((0, 2, 3))) / count  # (channels,)
            centred = wide - mean[:, None, None]
            variance = _total(centred.square().sum((0, 2, 3))) / count  # (channels,): in two passes, nothing cancels
            scale = self.weight * torch.rsqrt(variance + self.eps)
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
                unbiased = variance * (count / (count - 1).clamp(min=1))
                self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
            return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class _Total(torch.autograd.Function):
    """A sum over processes. Each value adds to the loss of every process, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total


def _total(x: Tensor) -> Tensor:
    return _Total.apply(x)
