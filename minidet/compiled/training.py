"""Training in Numba: one step, and one loop over the steps. Contracts are those of `minidet.reference.training`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks
from minidet.compiled.anchors import pyramid_anchors
from minidet.compiled.assignment import assign_pyramid
from minidet.compiled.jit import kernel
from minidet.compiled.network import RetinaNet
from minidet.compiled.objective import Losses, detection_loss
from minidet.config import TrainingConfig
from minidet.structures import Batch, Diverged, GroundTruth

ADVICE = "lower learning_rate, lengthen warmup or set gradient_clip"
"""What helps against a training that diverges."""


def train_step(
    net: RetinaNet, images: ArrayLike, ground_truth: Sequence[GroundTruth], training: TrainingConfig,
    learning_rate: float, velocity: dict[str, np.ndarray],
) -> Losses:  # fmt: skip
    """One step, which changes the network in place. See `minidet.reference.training.train_step`."""
    logits, deltas = net.forward(images)
    if any(np.isnan(level).any() for level in logits + deltas):
        checks.layers.images(images, finite=True)
        raise Diverged(f"the network's outputs are not finite: {ADVICE}", 0)
    size, config, rule = np.shape(images)[2:], net.config, net.config.assignment
    anchors = pyramid_anchors(size, config.anchors, net.dtype)
    how = config.anchors, rule.positive_iou, rule.negative_iou, rule.force_match
    assignments = [assign_pyramid(size, image[0], *how) for image in ground_truth]
    losses, grad_logits, grad_deltas = detection_loss(
        logits, deltas, anchors, ground_truth, config, training, assignments
    )
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
    """v = momentum v + (g + weight_decay w), then w = w - learning_rate v. See `minidet.reference.training.sgd`."""
    for name, grad in grads.items():
        w, v = state[name].ravel(), _memory(velocity, name, grad)
        _sgd(w, grad.ravel(), v, learning_rate, momentum, weight_decay)


def adamw(
    state: dict[str, np.ndarray], grads: dict[str, np.ndarray], learning_rate: float, momentum: float,
    weight_decay: float, velocity: dict[str, np.ndarray],
) -> None:  # fmt: skip
    """Steps measured by the gradients' usual size. See `minidet.reference.training.adamw`."""
    velocity["steps"] = np.asarray(velocity.get("steps", 0) + 1, np.int64)
    n, square = int(velocity["steps"]), 0.999
    for name, grad in grads.items():
        m, s = _memory(velocity, name, grad), _memory(velocity, f"{name}.square", grad)
        how = momentum, square, 1 - momentum**n, 1 - square**n
        _adamw(state[name].ravel(), grad.ravel(), m, s, learning_rate, weight_decay, *how)


def clip(grads: dict[str, np.ndarray], longest: float) -> float:
    """Scale all gradients down together. See `minidet.reference.training.clip`."""
    norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads.values()))
    for grad in grads.values():
        grad *= min(1.0, longest / (norm + 1e-6))
    return norm


def frozen_parts(freeze_at: int) -> tuple[str, ...]:
    """How the names begin that stay as they are: of the stem and the stages of the backbone, the first so many."""
    parts = (("backbone.conv1", "backbone.bn1"), *((f"backbone.layer{stage}",) for stage in (1, 2, 3, 4)))
    return sum(parts[:freeze_at], ())


def learning_rate(iteration: int, training_config: TrainingConfig) -> float:
    """The learning rate of step `iteration`, counted from 0. See `minidet.reference.training.learning_rate`."""
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
    """Train a network in place, a step for each record asked for. See `minidet.reference.training.train`."""
    velocity = {} if velocity is None else velocity
    for iteration, batch in zip(range(start, training_config.iterations), batches, strict=False):
        rate = learning_rate(iteration, training_config)
        with batch.naming(iteration):
            losses = train_step(net, batch.images, batch.ground_truth, training_config, rate, velocity)
        yield {"iteration": iteration + 1, **losses._asdict(), "learning_rate": rate}


def _memory(velocity: dict[str, np.ndarray], name: str, like: np.ndarray) -> np.ndarray:
    """What the optimizer remembers of a weight, flat; at first zeros. Changing it changes `velocity`."""
    kept = velocity.get(name)
    if kept is None:
        velocity[name] = np.zeros(like.shape, like.dtype)
    elif kept.dtype != like.dtype or not kept.flags.c_contiguous or not kept.flags.writeable:
        velocity[name] = np.array(kept, like.dtype, order="C")
    return velocity[name].reshape(-1)


@kernel
def _sgd(w, grad, v, learning_rate, momentum, weight_decay):
    for i in range(len(w)):
        v[i] = momentum * v[i] + (grad[i] + weight_decay * w[i])
        w[i] -= learning_rate * v[i]


@kernel
def _adamw(w, grad, m, s, learning_rate, weight_decay, momentum, square, of_m, of_s):
    for i in range(len(w)):
        m[i] = momentum * m[i] + (1 - momentum) * grad[i]
        s[i] = square * s[i] + (1 - square) * grad[i] * grad[i]
        w[i] -= learning_rate * (weight_decay * w[i] + m[i] / of_m / (math.sqrt(s[i] / of_s) + 1e-8))
