"""Training with the reference or the compiled path, kept in a folder as `minidet.pytorch.training` keeps its runs."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from minidet.config import RunSettings, TrainingConfig
from minidet.progress import Progress
from minidet.runs import ArrayRun, due, load_metrics
from minidet.structures import Batch, Diverged


class Data(Protocol):
    """Where batches come from: `minidet.data.batches.TrainingData`, or anything like it."""

    def batch(self, iteration: int, /) -> Batch[np.ndarray]:
        """One step's batch; a function of its number alone."""


def train(
    net: Any, data: Data, training_config: TrainingConfig, out: str | os.PathLike[str], resume: bool = False,
    settings: RunSettings | None = None, evaluate: Callable[[Any], Mapping[str, float]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train a network of the reference or of the compiled path in place, and keep the run in a folder.

        config = TrainingConfig.tiny()
        net = minidet.compiled.network.RetinaNet(RetinaNetConfig.tiny(num_classes=6), config.seed, np.float32)
        metrics = train(net, TrainingData(Shapes(20_000), net.config, config), config, "runs/shapes")

    It takes one process and makes its batches between the steps, whatever `workers` is.

    Args:
        net: changed in place.
        data: `batch(iteration)` gives the images and objects of a step.
        training_config: the loss, the optimizer, the schedule, and how often to report and to save.
        out: the run's folder, a new one unless `resume`.
        resume: go on from the last checkpoint, or begin where there is none; the weights become, to the bit, what they
            would have become without the interruption.
        settings: what the run keeps beside the two configurations: where its data is, and the names of its classes.
        evaluate: given the network every `evaluate_every` steps and at the end; what it returns joins the metrics.

    Returns:
        The run's metrics, as `minidet.pytorch.training.train` gives them, without "gradient_norm".

    Raises:
        Diverged: a loss or a weight is not finite; the message names the iteration and what to change.
        ValueError: `out` holds another run, a setting needs PyTorch; or, naming the iteration and the images, an
            annotation is wrong.
        OSError: a checkpoint cannot be written.
    """
    config, path = training_config, type(net).__module__.split(".")[1]
    _check(config, path)
    settings = replace(settings or RunSettings(), model=net.config, training=config, path=path)
    steps = importlib.import_module(f"minidet.{path}.training")
    run = ArrayRun(out, settings.to_dict(), resume)
    start, seconds, weights, velocity = run.load() or (0, 0.0, net.state, {})
    net.load(weights)
    run.rewind(start)
    measured = any(record["iteration"] == start and "box" not in record for record in load_metrics(run.folder))
    if evaluate and start and not measured and due(start, config.evaluate_every, config.iterations):
        run.log({"iteration": start, "seconds": seconds, **evaluate(net)})  # it was stopped before
    records = steps.train(net, map(data.batch, range(start, config.iterations)), config, velocity, start)
    bar = Progress(records, "training", config.iterations, initial=start, unit="step", mininterval=1)
    began = time.perf_counter()
    for record in bar:
        done, now = record["iteration"], time.perf_counter()
        seconds += now - began
        if due(done, config.log_every, config.iterations):
            speed = config.batch_size / (now - began)
            run.log({**record, "images_per_second": speed, "seconds": seconds})
            shown = {name: f"{record[name]:.3g}" for name in ("classification", "box")}
            bar.set_postfix(shown | {"images/s": f"{speed:.1f}"}, refresh=False)
        evaluates = evaluate is not None and due(done, config.evaluate_every, config.iterations)
        if evaluates or due(done, config.checkpoint_every, config.iterations):
            _check_weights(net, done, steps.ADVICE)
            run.save(done, seconds, net.state, velocity)  # first: what is measured on may be unreadable
        if evaluate and evaluates:
            run.log({"iteration": done, "seconds": seconds, **evaluate(net)})
        began = time.perf_counter()
    run.finish(net.state)
    print(f"trained for {config.iterations} steps: weights in {run.model}, metrics in {run.metrics}")
    return load_metrics(run.folder)


def _check(config: TrainingConfig, path: str) -> None:
    """What needs PyTorch is refused before anything is written."""
    if config.precision not in ("float32", "float64"):
        raise ValueError(f'precision = "{config.precision}": the {path} path computes in "float32" or "float64"')
    for name in ("compile", "tensorboard"):
        if getattr(config, name):
            raise ValueError(f"{name} = true needs PyTorch: leave it out, or train with the path pytorch")
    for name in ("minutes", "patience"):
        if getattr(config, name) is not None:
            raise ValueError(
                f"{name} = {getattr(config, name)} needs PyTorch: give a number of steps to the {path} path"
            )
    if config.accumulate > 1:
        raise ValueError(f"accumulate = {config.accumulate}: the {path} path takes a batch as a whole, leave it at 1")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(f"the {path} path trains in one process: start it without torchrun")


def _check_weights(net: Any, done: int, advice: str) -> None:
    """Raise rather than keep or measure weights that are lost."""
    lost = [name for name, value in net.state.items() if not np.isfinite(value).all()]
    if lost:
        text = f"after {done} steps {len(lost)} weights are not finite ({lost[0]} is the first): {advice}"
        raise Diverged(text, done)
