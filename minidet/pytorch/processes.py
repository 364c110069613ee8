"""The processes of a training: one, or several that `torchrun` has started, each with its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Process:
    """This process among those that train one model."""

    rank: int
    """Its number, from 0; the first one writes and reports."""
    count: int
    """How many there are, this one included."""
    device: torch.device
    """Where it computes."""


@contextmanager
def joined() -> Iterator[Process]:
    """This process, joined with the others that `torchrun` started while the context lasts.

    Returns:
        Its number, how many there are, and its device: a GPU of its own where there are GPUs, otherwise the CPU.
    """
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    joins = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if joins:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        several = dist.is_initialized()
        yield Process(dist.get_rank(), dist.get_world_size(), device) if several else Process(0, 1, device)
    finally:
        if joins:
            dist.destroy_process_group()


def summed(value: Tensor) -> Tensor:
    """A number of this process added to those of all others, without a gradient; every process has to call it."""
    total = value.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return total


def agreed(number: float) -> float:
    """The first process's number, in all processes, where clocks may differ; every process has to call it."""
    if not dist.is_initialized():
        return number
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    value = torch.tensor([float(number)], dtype=torch.float64, device=device)
    dist.broadcast(value, 0)
    return float(value)
