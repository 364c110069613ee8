"""What changes the weights: the learning rate's schedule, the optimizer, what is trained and in which precision
(section 4.1, "Optimization")."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import torch
from torch import nn

from minidet.config import TrainingConfig
from minidet.pytorch.retinanet import RetinaNet


def learning_rate(iteration: int, training_config: TrainingConfig) -> float:
    """The learning rate of one step: a linear warm-up, then the schedule.

    >>> [learning_rate(i, TrainingConfig()) for i in (499, 59_999, 60_000, 80_000)]
    [0.01, 0.01, 0.001, 0.0001]

    Args:
        iteration: the step, counted from 0.
        training_config: has the rate, the warm-up and the schedule; the defaults are the paper's.
    """
    config = training_config
    if iteration < config.warmup:
        return config.learning_rate * (iteration + 1) / config.warmup
    if config.schedule == "cosine":
        progress = (iteration - config.warmup) / (config.iterations - config.warmup)
        return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate / 10 ** sum(iteration >= round(step * config.iterations) for step in config.steps)


def optimizer(parameters: Mapping[str, nn.Parameter], training_config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum, the paper's, or AdamW.

    Args:
        parameters: the weights to be trained, by name.
        training_config: names the optimizer and has its momentum, its weight decay and how biases are treated.

    Returns:
        The optimizer; `set_rate` gives its groups their learning rates.
    """
    rate, momentum = training_config.learning_rate, training_config.momentum
    groups = [
        {"params": [parameters[name] for name in names], "weight_decay": decay, "factor": factor}
        for names, factor, decay in training_config.groups(parameters)
    ]
    if training_config.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, (momentum, 0.999))
    return torch.optim.SGD(groups, rate, momentum)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group of parameters.

    Args:
        optimizer: one that `optimizer` made.
        rate: that of the weights; biases may have a multiple of it.
    """
    for group in optimizer.param_groups:
        group["lr"] = group.get("factor", 1.0) * rate  # a checkpoint of an earlier version names no factor


def trained_parameters(model: RetinaNet, freeze_at: int = 0) -> dict[str, nn.Parameter]:
    """The parameters of a model that are trained, by name; the leading parts of its backbone are made constant.

    Args:
        model: changed in place.
        freeze_at: how many parts stay as they are, 0 … 5: the stem is the first, then come the four stages.
    """
    net = model.backbone
    parts = [nn.ModuleList([net.conv1, net.bn1]), net.layer1, net.layer2, net.layer3, net.layer4]
    for part in parts[:freeze_at]:
        part.requires_grad_(False)
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether convolutions are computed in bfloat16; warns where that is asked for and the processor must imitate it.

    Args:
        precision: "float32", "bfloat16", or "auto" for bfloat16 where the device has instructions for it.
        device: where they are computed.
    """
    able = torch.cpu.get_capabilities()
    fast = (
        torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda"
        else any(able.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    )  # fmt: skip
    if precision == "bfloat16" and not fast:
        warnings.warn(
            f'precision = "bfloat16" is many times slower than "float32" on this {device.type}, which has no '
            'instructions for it: "auto" takes the faster one',
            stacklevel=4,
        )
    return fast if precision == "auto" else precision == "bfloat16"
