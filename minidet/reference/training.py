"""Training (section 4.1, "Optimization"): one step, and one loop over the steps.

A step is what the whole project is about: the network's outputs for a batch, their loss, its gradient with respect to
every weight, and a small change of the weights against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidet.config import TrainingConfig
from minidet.reference.anchors import pyramid_anchors
from minidet.reference.network import RetinaNet
from minidet.reference.objective import Losses, detection_loss
from minidet.structures import GroundTruth


def train_step(
    net: RetinaNet, images: ArrayLike, ground_truth: Sequence[GroundTruth], training: TrainingConfig,
    learning_rate: float, velocity: dict[str, np.ndarray],
) -> Losses:  # fmt: skip
    """Assignment, losses, backward, and one step of the optimizer, which changes the network in place.

    Args:
        net: the network.
        images: (B, 3, H, W), floating, normalised.
        ground_truth: (boxes (M, 4), classes (M,), ignore (M,) bool) for each image, pixels of the network's input.
        training: the loss, the optimizer, and how much of the backbone stays frozen.
        learning_rate: of this step.
        velocity: what the optimizer remembers, by name; begin with {}. Changed in place.

    Returns:
        The losses before the step.

    Raises:
        ValueError: the loss is not finite, or an argument is refused. The weights are then as they were, but the
            averages that batch normalisation keeps may have moved.
    """
    logits, deltas = net.forward(images)
    anchors = pyramid_anchors(np.shape(images)[2:], net.config.anchors, net.dtype)
    losses, grad_logits, grad_deltas = detection_loss(logits, deltas, anchors, ground_truth, net.config, training)
    if not math.isfinite(losses.classification + losses.box):
        raise ValueError(
            f"the loss is not finite (classification {losses.classification:g}, box {losses.box:g}): lower "
            "learning_rate, lengthen warmup or set gradient_clip"
        )
    grads = net.backward(grad_logits, grad_deltas)
    grads = {name: grad for name, grad in grads.items() if not name.startswith(frozen_parts(training.freeze_at))}
    if training.gradient_clip is not None:
        clip(grads, training.gradient_clip)
    optimize = adamw if training.optimizer == "adamw" else sgd
    optimize(net.state, grads, learning_rate, training.momentum, training.weight_decay, velocity)
    return losses


def sgd(
    state: dict[str, np.ndarray], grads: dict[str, np.ndarray], learning_rate: float, momentum: float,
    weight_decay: float, velocity: dict[str, np.ndarray],
) -> None:  # fmt: skip
    """Stochastic gradient descent: v = momentum v + (g + weight_decay w), then w = w - learning_rate v.

    Args:
        state: name -> w, changed in place; other names are left alone.
        grads: name -> g, for the weights to be trained.
        learning_rate: step size.
        momentum: part of the velocity that is kept, in [0, 1).
        weight_decay: gradient of weight_decay |w|**2 / 2, which pulls weights to 0.
        velocity: name -> v, changed in place; a missing one is 0.
    """
    for name, grad in grads.items():
        velocity[name] = momentum * velocity.get(name, 0) + (grad + weight_decay * state[name])
        state[name] -= learning_rate * velocity[name]


def adamw(
    state: dict[str, np.ndarray], grads: dict[str, np.ndarray], learning_rate: float, momentum: float,
    weight_decay: float, velocity: dict[str, np.ndarray],
) -> None:  # fmt: skip
    """AdamW: every weight's steps are measured by its own gradients' usual size (Loshchilov and Hutter, 2019).

    m = momentum m + (1 - momentum) g and s = 0.999 s + 0.001 g**2 are averages; both begin at 0, which after n steps
    leaves them too small by the factors 1 - momentum**n and 1 - 0.999**n. Divided by these,
    w = (1 - learning_rate weight_decay) w - learning_rate m / (sqrt(s) + 1e-8).

    Args:
        state, grads, learning_rate, momentum, weight_decay: as in `sgd`.
        velocity: name -> m, name + ".square" -> s, "steps" -> n; changed in place, missing ones are 0.
    """
    velocity["steps"] = velocity.get("steps", np.zeros((), np.int64)) + 1
    n, square = int(velocity["steps"]), 0.999
    for name, grad in grads.items():
        m = velocity[name] = momentum * velocity.get(name, 0) + (1 - momentum) * grad
        s = velocity[f"{name}.square"] = square * velocity.get(f"{name}.square", 0) + (1 - square) * grad * grad
        size = np.sqrt(s / (1 - square**n)) + 1e-8
        state[name] -= learning_rate * (weight_decay * state[name] + m / (1 - momentum**n) / size)


def clip(grads: dict[str, np.ndarray], longest: float) -> float:
    """Scale all gradients down together, in place, where their norm as one vector exceeds `longest`; that norm."""
    norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
    for grad in grads.values():
        grad *= min(1.0, longest / (norm + 1e-6))
    return norm


def frozen_parts(freeze_at: int) -> tuple[str, ...]:
    """How the names begin that stay as they are: of the stem and the stages of the backbone, the first so many."""
    parts = (("backbone.conv1", "backbone.bn1"), *((f"backbone.layer{stage}",) for stage in (1, 2, 3, 4)))
    return sum(parts[:freeze_at], ())


def learning_rate(iteration: int, config: TrainingConfig) -> float:
    """The learning rate of step `iteration`, counted from 0: a linear warm-up, then the schedule.

    The paper's is 0.01, from step 60,000 on 0.001 and from 80,000 on 0.0001.
    """
    if iteration < config.warmup:
        return config.learning_rate * (iteration + 1) / config.warmup
    if config.schedule == "cosine":
        progress = (iteration - config.warmup) / (config.iterations - config.warmup)
        return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate / 10 ** sum(iteration >= round(step * config.iterations) for step in config.steps)


def train(
    net: RetinaNet, batches: Iterable[Any], config: TrainingConfig, velocity: dict[str, np.ndarray] | None = None,
    start: int = 0,
) -> Iterator[dict[str, float]]:  # fmt: skip
    """Train a network in place, one step for each record that is asked for.

    The caller decides what to do with each record:

        for record in train(net, (data.batch(i) for i in range(config.iterations)), config):
            print(record["iteration"], record["classification"])

    Args:
        net: the network.
        batches: of each step from `start` on, images and ground truth as for `train_step` (a longer tuple will do).
        config: the schedule, the loss and the optimizer; training ends after `config.iterations` steps.
        velocity: what the optimizer remembers; to go on with a training, give what its last step left.
        start: steps done before.

    Yields:
        After each step: "iteration" (steps done), "classification" and "box" (its losses), "assigned" (anchors),
        "learning_rate".

    Raises:
        ValueError: as `train_step`, naming the iteration.
    """
    velocity = {} if velocity is None else velocity
    for iteration, (images, ground_truth, *_) in zip(range(start, config.iterations), batches, strict=False):
        rate = learning_rate(iteration, config)
        try:
            losses = train_step(net, images, ground_truth, config, rate, velocity)
        except ValueError as error:
            raise ValueError(f"iteration {iteration}: {error}") from error
        yield {"iteration": iteration + 1, **losses._asdict(), "learning_rate": rate}
