"""What changes the weights: the learning rate's schedule, the optimizer, what is trained and in which precision
(section 4.1, "Optimization")."""

from __future__ import annotations

import math
import warnings

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


def optimizer(parameters: list[nn.Parameter], training_config: TrainingConfig) -> torch.optim.Optimizer:
    """SGD with momentum, the paper's, or AdamW.

    Args:
        parameters: the weights to be trained.
        training_config: names the optimizer and has its momentum and weight decay.
    """
    rate, momentum, decay = (getattr(training_config, name) for name in ("learning_rate", "momentum", "weight_decay"))
    if training_config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, rate, (momentum, 0.999), weight_decay=decay)
    return torch.optim.SGD(parameters, rate, momentum, weight_decay=decay)


def trained_parameters(model: RetinaNet, freeze_at: int = 0) -> list[nn.Parameter]:
    """The parameters of a model that are trained; the leading parts of its backbone are made constant.

    Args:
        model: changed in place.
        freeze_at: how many parts stay as they are, 0 … 5: the stem is the first, then come the four stages.
    """
    net = model.backbone
    parts = [nn.ModuleList([net.conv1, net.bn1]), net.layer1, net.layer2, net.layer3, net.layer4]
    for part in parts[:freeze_at]:
        part.requires_grad_(False)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


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
