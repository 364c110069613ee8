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

from minidet import checks
from minidet.config import TrainingConfig
from minidet.reference.anchors import pyramid_anchors
from minidet.reference.network import RetinaNet
from minidet.reference.objective import Losses, detection_loss
from minidet.structures import Batch, Diverged, GroundTruth

ADVICE = "lower learning_rate, lengthen warmup or set gradient_clip"
"""What helps against a training that diverges."""


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
        Diverged: the outputs or the loss are not finite.
        ValueError: an image or an annotation is wrong. In both cases the weights are as they were, but the averages
            that batch normalisation keeps may have moved.
    """
    logits, deltas = net.forward(images)
    if any(np.isnan(level).any() for level in logits + deltas):
        checks.layers.images(images, finite=True)
        raise Diverged(f"the network's outputs are not finite: {ADVICE}", 0)
    anchors = pyramid_anchors(np.shape(images)[2:], net.config.anchors, net.dtype)
    losses, grad_logits, grad_deltas = detection_loss(logits, deltas, anchors, ground_truth, net.config, training)
    if not math.isfinite(losses.classification + losses.box):
        parts = f"classification {losses.classification:g}, box {losses.box:g}"
        raise Diverged(f"the loss is not finite ({parts}): {ADVICE}", 0)
    grads = net.backward(grad_logits, grad_deltas)
    grads = {name: grad for name, grad in grads.items() if not name.startswith(frozen_parts(training.freeze_at))}
    if training.gradient_clip is not None:
        clip(grads, training.gradient_clip)
    optimize = adamw if training.optimizer == "adamw" else sgd
    for names, factor, decay in training.groups(grads):
        part = {name: grads[name] for name in names}
        optimize(net.state, part, factor * learning_rate, training.momentum, decay, velocity)
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


def train(
    net: RetinaNet, batches: Iterable[Batch[Any]], training_config: TrainingConfig,
    velocity: dict[str, np.ndarray] | None = None, start: int = 0,
) -> Iterator[dict[str, float]]:  # fmt: skip
    """Train a network in place, one step for each record that is asked for.

        for record in train(net, map(data.batch, range(config.iterations)), config):
            print(record["iteration"], record["classification"])

    Args:
        net: the network.
        batches: those of the steps from `start` on.
        training_config: the loss, the optimizer and the schedule; training ends after its `iterations`.
        velocity: what the optimizer remembers; to go on with a training, give what its last step left.
        start: steps done before.

    Yields:
        After each step: "iteration" (steps done), "classification" and "box" (its losses), "assigned" (anchors),
        "learning_rate".

    Raises:
        Diverged, ValueError: as `train_step`, naming the iteration and the images.
    """
    velocity = {} if velocity is None else velocity
    for iteration, batch in zip(range(start, training_config.iterations), batches, strict=False):
        rate = learning_rate(iteration, training_config)
        with batch.naming(iteration):
            losses = train_step(net, batch.images, batch.ground_truth, training_config, rate, velocity)
        yield {"iteration": iteration + 1, **losses._asdict(), "learning_rate": rate}
