"""What the paper's experiments cost: seconds per step of each row, from its operations, and so GPU-hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.experiments import published as paper
from minidet.experiments.experiment import Experiment
from minidet.experiments.full_scale import BASE, scaled

PHOTO = (480, 640)
"""(height, width) of COCO's usual image."""
PADDED = 128
"""Sides are padded to multiples of this."""


class Cost(NamedTuple):
    """What one run takes."""

    name: str
    steps: int
    seconds_per_step: float
    gpu_hours: float


class Rate(NamedTuple):
    """How fast a machine trains BASE, RetinaNet-50 at 600 pixels, 16 images per step."""

    seconds_per_step: float
    gpus: int
    says: str
    """Where the number is from."""


def published() -> Rate:
    """The speed that follows from the paper, of eight GPUs: 10 to 35 hours for the models of Table 1e (section 4.1).

    The time is taken to be linear in the operations between the fastest of these models and the slowest.
    """
    fastest, slowest = min(paper.TABLE_1E), max(paper.TABLE_1E)
    least, most = (_operations(RetinaNetConfig(depth=d), scaled(side)) for d, side in (fastest, slowest))
    low, high = paper.TRAINING_HOURS
    own = operations(BASE)
    hours = low + (high - low) * (own - least) / (most - least)
    seconds = 3600 * hours / BASE.training.iterations
    return Rate(seconds, 8, f"from the paper's {low:g} to {high:g} hours on eight GPUs")


def costs(experiments: Iterable[Experiment], rate: Rate) -> list[Cost]:
    """What each experiment takes at that speed, in proportion to its operations and its images per step.

    Args:
        experiments: those at full scale.
        rate: the speed of BASE.

    Returns:
        One per experiment; evaluation is not counted.
    """
    found = []
    for experiment in experiments:
        training = experiment.training
        factor = operations(experiment) / operations(BASE) * training.batch_size / BASE.training.batch_size
        seconds = rate.seconds_per_step * factor
        found.append(
            Cost(experiment.name, training.iterations, seconds, rate.gpus * training.iterations * seconds / 3600)
        )
    return found


def operations(experiment: Experiment) -> float:
    """Multiply-adds of the convolutions for one image, forward: COCO's usual one at the size of the training."""
    training = experiment.training
    resize = training.resize
    if training.jitter:
        resize = ResizeConfig(sum(training.jitter) // 2, resize.longer_side)
    return _operations(experiment.model, resize)


@cache
def _operations(config: RetinaNetConfig, resize: ResizeConfig) -> float:
    """Counted by torch on tensors without contents, so in no time and no memory."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from minidet.pytorch.retinanet import RetinaNet

    height, width = (-(-side // PADDED) * PADDED for side in resize.resized(PHOTO))
    with torch.device("meta"):
        model, image = RetinaNet(config), torch.empty(1, 3, height, width)
        counter = FlopCounterMode(display=False)
        with counter:
            pyramid = model.fpn(model.backbone(image))
            for level in pyramid:
                model.class_subnet(level)
                model.box_subnet(level)
    return counter.get_total_flops() / 2


def in_words(found: Sequence[Cost], rate: Rate) -> str:
    """The costs as a table, and their sum."""
    width = max(len(cost.name) for cost in found)
    lines = [
        f"{cost.name:{width}}  {cost.steps:>8,} steps  {cost.seconds_per_step:6.2f} s per step  "
        f"{cost.gpu_hours:8,.0f} GPU-hours" for cost in found
    ]  # fmt: skip
    total = sum(cost.gpu_hours for cost in found)
    told = (
        f"{len(found)} runs, {total:,.0f} GPU-hours: {total / rate.gpus / 24:,.1f} days on {rate.gpus} "
        f"GPU{'s' * (rate.gpus > 1)}, {rate.says}; evaluation is not counted"
    )
    return "\n".join([*lines, "", told])
