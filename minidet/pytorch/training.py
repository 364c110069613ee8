"""Training (section 4.1): one step, and one loop over the steps, for one process or several.

Several processes are started by `torchrun`; each sees its share of every batch. Sums of losses are divided by the
number of assigned anchors in the whole batch, so that all processes together reach the weights that one would reach.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sized
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from minidet.config import RunSettings, TrainingConfig
from minidet.pytorch import tensorboard, tensors
from minidet.pytorch.best import Best
from minidet.pytorch.checkpoint import Run
from minidet.pytorch.learner import ADVICE, Learner
from minidet.pytorch.loader import Data
from minidet.pytorch.objective import Losses, count_assigned, targets_loss
from minidet.pytorch.optimization import learning_rate, set_rate
from minidet.pytorch.processes import Process, joined
from minidet.pytorch.reporting import Reporter
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.schedule import Schedule
from minidet.pytorch.targets import make_targets
from minidet.runs import load_metrics
from minidet.structures import Batch, Diverged


def train(
    model: RetinaNet, data: Data, training_config: TrainingConfig, out: str | os.PathLike[str], resume: bool = False,
    settings: RunSettings | None = None, evaluate: Callable[[RetinaNet], Mapping[str, float]] | None = None,
    began: float | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train a model in place and keep the run in a folder (see `minidet.runs`).

    The model is trained on a GPU where there is one; under `torchrun` each process takes one GPU, or the CPU.

        if __name__ == "__main__":  # see below
            config = TrainingConfig.tiny(workers=1)
            torch.manual_seed(config.seed)
            model = RetinaNet(RetinaNetConfig.tiny(num_classes=6))
            data = TrainingData(Shapes(20_000), model.config, config)
            metrics = train(model, data, config, "runs/shapes")

    With `workers` above 0, a script has to begin with that `if`: where processes are not forked (macOS, Windows,
    Python 3.14), a process that makes batches imports the script, and would train too.

    Args:
        model: changed in place. Its first weights are as `torch.manual_seed` was set when it was made.
        data: `batch(iteration)` gives the images and objects of a step.
        training_config: the loss, the optimizer, the schedule, and how often to report and to save.
        out: the run's folder, a new one unless `resume`.
        resume: go on from the last checkpoint, or begin where there is none. On a CPU the weights become, to the bit,
            what they would have become without the interruption.
        settings: what the run keeps beside the two configurations: where its data is, and the names of its classes.
        evaluate: given the model every `evaluate_every` steps and at the end; what it returns joins the metrics. A
            training for minutes asks it for the number of its images, ``len(evaluate)``, if it has one.
        began: when the minutes of a training for minutes began, as `time.monotonic` counts; None for now.

    Returns:
        The run's metrics. Every `log_every` steps a dict of "iteration" (steps done), "classification" and "box" (the
        losses of that step's batch), "assigned" (anchors), "learning_rate", "gradient_norm" (where it is clipped),
        "images_per_second" and "seconds" (of training); for each evaluation "iteration", "seconds" and its numbers.

    Raises:
        Diverged: a loss or a weight is not finite; the message names the iteration and what to change.
        ValueError: `out` holds another run; a batch cannot be shared evenly; `tensorboard` lacks its package; or,
            naming the iteration and the images, an annotation is wrong.
        OSError: a checkpoint cannot be written.
    """
    settings = replace(settings or RunSettings(), model=model.config, training=training_config)
    with joined() as process:
        _check(training_config, process)
        run = _open_run(out, settings.to_dict(), resume, process)
        learner = Learner(model, training_config, process)
        start, seconds, spent = learner.restore(run)
        first = process.rank == 0
        reporter = Reporter(run if first else None, training_config, start, seconds)
        images = len(evaluate) if isinstance(evaluate, Sized) else 0
        before = 0.0 if began is None else time.monotonic() - began
        schedule = Schedule(training_config, start, spent, images, before)
        best = Best(run, load_metrics(run.folder))
        if evaluate and first and schedule.evaluation_missing(load_metrics(run.folder)):
            schedule.evaluated(_evaluate(learner, evaluate, reporter, best, start))
        schedule.stop_without_progress(load_metrics(run.folder))
        for iteration, batch in enumerate(reporter.progress(learner.batches(data, schedule.steps)), start):
            done = iteration + 1
            learner.config = schedule.config
            with batch.naming(iteration):
                losses, norm = train_step(learner, batch, iteration)
            schedule.step(done)
            reporter.step(done, losses, learning_rate(iteration, learner.config), norm, schedule.iterations)
            evaluates = evaluate is not None and schedule.evaluation_due()
            if first and (evaluates or schedule.checkpoint_due()):  # first: what is measured on may be unreadable
                run.save(learner.state(done, reporter.seconds, schedule.spent))
            if evaluate and evaluates:
                if first:
                    schedule.evaluated(_evaluate(learner, evaluate, reporter, best, done))
                schedule.stop_without_progress(load_metrics(run.folder))
            reporter.start_clock()
            if schedule.ended:
                break
        if first:
            run.finish(model)
            why = f" ({schedule.stopped})" if schedule.stopped else ""
            print(f"trained for {schedule.done} steps{why}: weights in {run.model}, metrics in {run.metrics}")
        return load_metrics(run.folder)


def train_step(learner: Learner, batch: Batch[Tensor], iteration: int) -> tuple[Losses, Tensor | None]:
    """One step: the outputs for a batch, their loss, its gradient, and a small change of every weight against it.

    Args:
        learner: the network and its optimizer, changed in place.
        batch: images (B, 3, H, W), their objects, and perhaps the assignment of the anchors.
        iteration: the step, counted from 0.

    Returns:
        The losses before the step, and the norm of the gradient before it was clipped (None where it is not).

    Raises:
        Diverged: the outputs or the loss are not finite.
        ValueError: an image or an annotation is wrong.
    """
    model, config, optimizer = learner.model, learner.config, learner.optimizer
    set_rate(optimizer, learning_rate(iteration, config))
    anchors = torch.cat(model.anchors((batch.images.shape[2], batch.images.shape[3])))  # (N, 4)
    parts = batch.parts(config.accumulate)
    targets = [make_targets(anchors, part.ground_truth, model.config, part.assignments) for part in parts]
    assigned = count_assigned(targets)  # in all parts and processes: both losses of each part are divided by it
    count = len(batch.images) * learner.process.count  # of the images, likewise
    optimizer.zero_grad()
    losses, outputs = [], []
    for i, (part, target) in enumerate(zip(parts, targets, strict=True)):
        images = part.images.to(learner.device, memory_format=learner.layout, non_blocking=True)  # (B, 3, H, W)
        with learner.gradients_stay_here(i < len(parts) - 1):
            with torch.autocast(images.device.type, torch.bfloat16, enabled=learner.half):
                logits, deltas = learner.network(images)  # for each level (B, N_level, K) and (B, N_level, 4)
            with tensors.trusted():  # the targets are checked, and the outputs will be
                classification, box, _ = targets_loss(logits, deltas, anchors, target, config.loss, assigned, count)
            loss = classification + config.loss.box_weight * box
            (learner.process.count * loss).backward()  # DistributedDataParallel averages gradients: this sums them
        losses.append(torch.stack([classification, box]).detach())
        outputs.append(_has_nan(logits + deltas))
    classification, box = torch.stack(losses).sum(0)
    total = Losses(classification, box, assigned)
    norm = nn.utils.clip_grad_norm_(learner.parameters, config.gradient_clip) if config.gradient_clip else None
    _stop_if_lost(iteration, batch.images, outputs, total)
    optimizer.step()
    return total, norm


def _has_nan(outputs: list[Tensor]) -> Tensor:
    """Whether an output is NaN, a scalar: the highest of all would be."""
    return torch.stack([output.detach().amax() for output in outputs if output.numel()]).isnan().any()


def _stop_if_lost(iteration: int, images: Tensor, outputs: list[Tensor], losses: Losses) -> None:
    """Raise where an output is NaN, for the images if they are the reason, or the loss not finite. On a GPU this is
    where the host waits, once: a step that is lost must not reach the weights."""
    nan = torch.stack(outputs).any()
    if (losses.classification + losses.box).isfinite() & ~nan:
        return
    if nan:
        tensors.finite_images(images)
        raise Diverged(f"the network's outputs are not finite: {ADVICE}", iteration)
    both = f"classification {losses.classification:g}, box {losses.box:g}"
    raise Diverged(f"the loss is not finite ({both}): {ADVICE}", iteration)


def _evaluate(
    learner: Learner, evaluate: Callable[[RetinaNet], Mapping[str, float]], reporter: Reporter, best: Best, done: int
) -> float:
    """Evaluate the model, write the numbers down and keep the best weights; the seconds that it took."""
    began = time.monotonic()
    numbers = learner.evaluated(evaluate, done)
    reporter.evaluation(done, numbers)
    best.keep(learner.model, numbers)
    return time.monotonic() - began


def _check(config: TrainingConfig, process: Process) -> None:
    """What can be refused before anything is written."""
    if config.precision == "float64":
        raise ValueError('precision = "float64" is for the reference and the compiled path: give another one')
    if config.batch_size % (process.count * config.accumulate):
        raise ValueError(
            f"batch_size = {config.batch_size} must be a multiple of the {process.count} processes times "
            f"accumulate = {config.accumulate}"
        )
    if config.tensorboard:
        tensorboard.summary_writer()


def _open_run(out: str | os.PathLike[str], settings: dict[str, Any], resume: bool, process: Process) -> Run:
    """The run's folder, made by the first process before the others look into it."""
    run = Run(out, settings, resume) if process.rank == 0 else None
    if process.count > 1:
        dist.barrier()
    return run or Run(out, settings, resume=True)
