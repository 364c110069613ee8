"""Training (section 4.1): the schedule and one loop, for one process or several.

Several processes are started by ``torchrun``; each sees its share of every batch. Sums of losses are divided by the
number of assigned anchors in the whole batch, so that they reach the same weights as one process would.
"""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from minidet.config import TrainingConfig
from minidet.pytorch import tensorboard
from minidet.pytorch.checkpoint import Run, load_metrics
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.winograd import use_winograd
from minidet.structures import GroundTruth


class Batch(NamedTuple):
    """What the network is trained with in one step."""

    images: Tensor
    """(B, 3, H, W) float32, normalised."""
    ground_truth: list[GroundTruth]
    """One an image."""
    image_ids: list[int | str]
    """One an image, to be named when something is wrong with it."""
    assignments: Tensor | None = None
    """(B, N) int64, the anchors' assignment where it has been made already (in the loader's processes)."""


class Data(Protocol):
    """Where batches come from: ``minidet.data.batches.TrainingData``, or anything like it."""

    def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Batch:
        """The part of step ``iteration``'s batch that process ``rank`` of so many gets; a function of these alone."""


def train(
    model: RetinaNet, data: Data, config: TrainingConfig, out: str | os.PathLike[str], resume: bool = False,
    about: Mapping[str, Any] | None = None, evaluate: Callable[[RetinaNet], Mapping[str, float]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Train a model in place and keep the run in the folder ``out`` (see ``minidet.pytorch.checkpoint``).

    >>> torch.manual_seed(config.seed)
    >>> model = RetinaNet(RetinaNetConfig.tiny(num_classes=6))
    >>> data = TrainingData(Shapes(20_000), model.config, config)
    >>> metrics = train(model, data, config, "runs/shapes")

    ``about`` is put into the run's settings beside "model" and "training" (JSON types). ``evaluate`` is given the model
    every ``config.evaluate_every`` steps and at the end; what it returns joins the metrics. ``resume`` goes on from the
    last checkpoint, or begins when there is none: on a CPU the weights become what they would have become undisturbed.
    The model runs on a GPU where there is one; under ``torchrun`` each process takes one GPU, or the CPU.

    Returns the metrics: every ``config.log_every`` steps a dict of iteration (steps done), classification and box
    (losses of that step's batch), assigned (anchors), learning_rate, gradient_norm (where it is clipped),
    images_per_second and seconds (of training); for every evaluation one of iteration, seconds and its numbers.

    Raises ValueError when ``out`` holds another run, when a batch cannot be shared evenly, when ``config.tensorboard``
    lacks its package and, naming the iteration and the images, when a loss is not finite or an annotation is wrong;
    OSError when a checkpoint cannot be written.
    """
    settings = {**(about or {}), "model": model.config.to_dict(), "training": config.to_dict()}
    with _processes() as (rank, processes, device):
        if config.batch_size % processes:
            raise ValueError(f"batch_size = {config.batch_size} must be a multiple of the {processes} processes")
        if config.tensorboard:
            tensorboard.summary_writer()  # raises before anything is written
        run = _open_run(out, settings, resume, rank, processes)
        half = in_bfloat16(config.precision, device)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        model.to(device=device, memory_format=layout).train()  # type: ignore[call-overload]
        parameters = trained_parameters(model, config.freeze_at)
        optimizer = _optimizer(parameters, config)
        start, seconds = _restore(run, model, optimizer)
        use_winograd(model, config.winograd and not config.compile)
        network: Any = DistributedDataParallel(model) if processes > 1 else model
        network = torch.compile(network) if config.compile else network
        batches: Any = DataLoader(
            range(start, config.iterations),  # type: ignore[arg-type]  # step numbers, each made a batch by a worker
            batch_size=None, collate_fn=partial(data.batch, rank=rank, processes=processes),
            num_workers=config.workers, pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # so that the loader leaves the global random state alone
        )  # fmt: skip
        if rank == 0:
            run.rewind(start)
            if config.tensorboard:
                run.mirror = tensorboard.scalars(run.folder / "tensorboard", load_metrics(run.folder))
            batches = tqdm(batches, "training", config.iterations, initial=start, unit="step", mininterval=1)
        began = time.perf_counter()
        for iteration, batch in enumerate(batches, start=start):
            optimizer.param_groups[0]["lr"] = learning_rate(iteration, config)
            images = batch.images.to(device, memory_format=layout, non_blocking=True)
            with naming(iteration, batch):
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    logits, deltas = network(images)
                anchors = model.anchors(images.shape[-2:])
                truth, assignments = batch.ground_truth, batch.assignments
                losses = detection_loss(logits, deltas, anchors, truth, model.config, config, assignments)
                loss = losses.classification + config.loss.box_weight * losses.box
                if not loss.isfinite():
                    raise ValueError(
                        f"the loss is not finite (classification {losses.classification:g}, box {losses.box:g}): lower "
                        "learning_rate, lengthen warmup or set gradient_clip"
                    )
            optimizer.zero_grad()
            (processes * loss).backward()  # DistributedDataParallel averages gradients: this makes it their sum
            norm = nn.utils.clip_grad_norm_(parameters, config.gradient_clip) if config.gradient_clip else None
            optimizer.step()

            done = iteration + 1
            now = time.perf_counter()
            seconds, speed, began = seconds + now - began, config.batch_size / (now - began), now
            if _due(done, config.log_every, config):
                record = {
                    "iteration": done, "classification": _total(losses.classification), "box": _total(losses.box),
                    "assigned": int(losses.assigned), "learning_rate": optimizer.param_groups[0]["lr"],
                    "images_per_second": speed, "seconds": seconds,
                } | ({} if norm is None else {"gradient_norm": float(norm)})  # fmt: skip
                if rank == 0:
                    run.log(record)
                    shown = {name: f"{record[name]:.3g}" for name in ("classification", "box")}
                    batches.set_postfix(shown | {"images/s": f"{speed:.1f}"}, refresh=False)
            if rank == 0 and evaluate and _due(done, config.evaluate_every, config):
                threads = torch.get_num_threads()
                run.log({"iteration": done, "seconds": seconds, **evaluate(model)})
                torch.set_num_threads(threads)  # another number would change the last bits of what follows
            if rank == 0 and _due(done, config.checkpoint_every, config):
                run.save({
                    "iteration": done, "seconds": seconds, "weights": model.state_dict(),
                    "optimizer": optimizer.state_dict(), "random": _random_state(),
                })  # fmt: skip
            began = time.perf_counter()
        if rank == 0:
            run.finish(model)
            print(f"trained for {config.iterations} steps: weights in {run.model}, metrics in {run.metrics}")
        return load_metrics(run.folder)


def learning_rate(iteration: int, config: TrainingConfig) -> float:
    """The learning rate of step ``iteration``, counted from 0: a linear warm-up, then the schedule.

    The paper's is 0.01, from step 60,000 on 0.001 and from 80,000 on 0.0001.
    """
    if iteration < config.warmup:
        return config.learning_rate * (iteration + 1) / config.warmup
    if config.schedule == "cosine":
        progress = (iteration - config.warmup) / (config.iterations - config.warmup)
        return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate / 10 ** sum(iteration >= round(step * config.iterations) for step in config.steps)


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether convolutions are computed in bfloat16 on this device, ``precision`` being "auto" or one of the two types.

    Warns where bfloat16 is asked for and the processor has to imitate it.
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
            stacklevel=3,
        )
    return fast if precision == "auto" else precision == "bfloat16"


def trained_parameters(model: RetinaNet, freeze_at: int = 0) -> list[nn.Parameter]:
    """The parameters of a model that learn; the first ``freeze_at`` parts of its backbone are made constant."""
    net = model.backbone
    parts = [nn.ModuleList([net.conv1, net.bn1]), net.layer1, net.layer2, net.layer3, net.layer4]
    for part in parts[:freeze_at]:
        part.requires_grad_(False)
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def _due(done: int, every: int | None, config: TrainingConfig) -> bool:
    """Whether something that happens every so many steps, and at the end, happens now."""
    return done == config.iterations or (every is not None and done % every == 0)


def _optimizer(parameters: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        betas = (config.momentum, 0.999)
        return torch.optim.AdamW(parameters, config.learning_rate, betas, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, config.learning_rate, config.momentum, weight_decay=config.weight_decay)


@contextmanager
def _processes() -> Iterator[tuple[int, int, torch.device]]:
    """The number of this process, how many there are, and its device; joined here when ``torchrun`` started them."""
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    joins = "WORLD_SIZE" in os.environ and not dist.is_initialized()
    if joins:
        dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield (dist.get_rank(), dist.get_world_size(), device) if dist.is_initialized() else (0, 1, device)
    finally:
        if joins:
            dist.destroy_process_group()


def _open_run(
    out: str | os.PathLike[str], settings: dict[str, Any], resume: bool, rank: int, processes: int
) -> Run:  # fmt: skip
    """The run's folder, made by the first process before the others look into it."""
    run = Run(out, settings, resume) if rank == 0 else None
    if processes > 1:
        dist.barrier()
    return run or Run(out, settings, resume=True)


def _restore(run: Run, model: RetinaNet, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    """Everything as it was at the last checkpoint; steps done and seconds spent."""
    state = run.load("iteration", "seconds", "weights", "optimizer", "random")
    if state is None:
        return 0, 0.0
    run.restore(model, state["weights"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"]["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["random"]["cuda"])
    return state["iteration"], state["seconds"]


def _random_state() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}


@contextmanager
def naming(iteration: int, batch: Batch) -> Iterator[None]:
    """Say in which iteration and images a value was refused."""
    try:
        yield
    except ValueError as error:
        images = ", ".join(map(str, batch.image_ids))
        raise ValueError(f"iteration {iteration}, images {images}: {error}") from error


def _total(loss: Tensor) -> float:
    """A loss of this process's part as that of the whole batch."""
    total = loss.detach().clone()
    if dist.is_initialized():
        dist.all_reduce(total)
    return float(total)
