"""Runs one experiment: once, and from where it was interrupted."""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.config import RunSettings
from minidet.data import InMemory, open_dataset
from minidet.data.view import WithObjects
from minidet.experiments import backbones
from minidet.experiments.circumstances import circumstances
from minidet.experiments.experiment import Experiment
from minidet.experiments.lock import locked
from minidet.experiments.results import DETECTIONS, file_name, recorded
from minidet.experiments.setting import BACKBONE
from minidet.experiments.sources import Sources
from minidet.files import write_json
from minidet.structures import Categories, Diverged

if TYPE_CHECKING:
    from minidet.pytorch.processes import Process

RUNS = Path("runs") / "experiments"
"""Folder of the runs while they are trained."""
CURVE = 100
"""Most points of a loss curve that are kept."""
IN_MEMORY = 10_000
"""Most images that are kept in memory, by each process."""
DIVERGED = "diverged.json"
"""What one of several processes leaves behind where its loss is not finite."""


def run(
    experiment: Experiment, seed: int, results: Path, runs: Path = RUNS, keep: bool = False,
    sources: Sources | None = None, process: Process | None = None,
) -> Path | None:  # fmt: skip
    """Train, measure and write the result, unless it is there.

    It is trained in a folder of its own, from its last checkpoint if there is one. A loss that is not finite is a
    result as well: the iteration is recorded, and the AP is 0.

    Args:
        experiment: what to train.
        seed: seed of the weights, of the order of the images and of their random changes.
        results: folder for the JSON file.
        runs: folder in which the run has its own folder, which is deleted when the result is written.
        keep: whether the run's folder keeps the weights, ``model.pt``, and the settings.
        sources: where an experiment at full scale finds its images and its backbone; None for the small setting.
        process: this one among those that torchrun started, all of which call this; None where it is alone. The first
            one writes.

    Returns:
        The JSON file; None if another process is running this.

    Raises:
        ValueError: the experiment cannot be run (its data is missing, its settings do not fit), or its precision
            depends on the machine.
    """
    if experiment.training.precision == "auto":
        raise ValueError('precision = "auto" is another one on another machine: give "float32" or "bfloat16"')
    path = results / f"{file_name(experiment.name, seed)}.json"
    first = process is None or process.rank == 0
    with locked(runs / f"{path.stem}.lock") if first else nullcontext(True) as free:
        if not free:
            return None
        is_backbone, weights = experiment.name == BACKBONE.name, path.with_suffix(".npz")
        there = path.exists() and (weights.exists() or not is_backbone)
        if there and recorded(json.loads(path.read_bytes())).identity == experiment.identity:
            return path  # another process has been faster
        folder = runs / path.stem
        resumed = (folder / "checkpoint.pt").exists()
        began, began_cpu = time.perf_counter(), time.process_time()
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            outcome = _train(experiment, seed, folder, results, sources, process)
        if not first:
            return path
        content = {
            "name": experiment.name, "seed": seed, **outcome,
            "seconds": round(time.perf_counter() - began, 1),
            "cpu_seconds": round(time.process_time() - began_cpu, 1),
            "resumed": resumed, **(where := circumstances()),
            "processes": 1 if process is None else process.count,
            "command": command(experiment.name, seed, where["threads"], sources is not None),
            "config": experiment.settings(),
        }  # fmt: skip
        if is_backbone:
            from minidet.pytorch.checkpoint import load_model

            backbones.save(weights, load_model(folder).backbone.state_dict())
        write_json(path, content, lists_on_one_line=True)
        if keep and (folder / "model.pt").exists():
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        else:
            shutil.rmtree(folder)
    return path


def command(name: str, seed: int, threads: int, full_scale: bool = False) -> str:
    """The command that repeats a run exactly, on a machine of the same kind, and compares the two.

    Args:
        name: of the experiment.
        seed: of the run.
        threads: of the run.
        full_scale: whether it is one of the paper's own, which is repeated into a folder of another name.
    """
    if full_scale:
        places = "--data COCO --backbone-weights FILE --results DIR"
        return f"minidet experiments run '{name}' --preset paper {places} --seed {seed}"
    return f"minidet experiments run '{name}' --again --seed {seed} --threads {threads}"


def _train(
    experiment: Experiment, seed: int, folder: Path, results: Path, sources: Sources | None, process: Process | None
) -> dict[str, Any]:
    """What is recorded of the training: precision, hash of the backbone, metrics, diverged_at and curve."""
    import torch

    from minidet.data.batches import TrainingData
    from minidet.experiments import measuring
    from minidet.pytorch.checkpoint import load_model
    from minidet.pytorch.retinanet import RetinaNet
    from minidet.pytorch.training import train
    from minidet.pytorch.weights import load_backbone
    from minidet.runs import load_metrics

    config = replace(experiment.training, seed=seed)
    dataset, val = _images(experiment, sources)
    categories = Categories(dataset.classes, dataset.category_ids)
    settings = RunSettings(classes=dataset.classes, category_ids=dataset.category_ids)
    torch.manual_seed(seed)
    model = RetinaNet(experiment.model)
    weights, backbone = backbones.load(experiment, seed, results, folder.parent, run, sources)
    if weights is not None:
        load_backbone(model, weights)

    def measured(model: Any) -> dict[str, float]:
        return measuring.metrics(measuring.detections(model, val, config.resize, folder), val, categories)

    diverged_at = _diverged(folder)
    if not (folder / "model.pt").exists() and diverged_at is None:
        watched = measured if config.evaluate_every and not sources else None
        try:
            data = TrainingData(dataset, experiment.model, config)
            train(model, data, config, folder, True, settings, watched)
        except Diverged as error:
            diverged_at = error.iteration
            if process is not None:  # the others wait for this one: all end, and the next call records it
                write_json(folder / DIVERGED, {"iteration": diverged_at})
                raise
    elif diverged_at is None:  # it was trained before and not measured yet
        model = load_model(folder).to("cuda" if torch.cuda.is_available() else "cpu")
    entries = load_metrics(folder)
    curve = [entry for entry in entries if "classification" in entry]
    if diverged_at is None and not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        diverged_at = config.iterations
    metrics = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), 0.0)
    more: dict[str, Any] = {} if sources else {"metrics_at_0": metrics, "resampled_AP": []}
    if diverged_at is None:
        found = measuring.detections(model.eval(), val, config.resize, folder, process)
        first = process is None or process.rank == 0
        metrics = measuring.metrics(found, val, categories) if first else metrics
        if sources is None:
            more["resampled_AP"] = measuring.resampled(found, val, categories)
            with measuring.every_score(model):
                found = measuring.detections(model, val, config.resize, folder)
            more["metrics_at_0"] = measuring.metrics(found, val, categories)
            more["precision_at_recall"] = measuring.precision(found, val, categories)
        elif sources.test:
            test = open_dataset(sources.test)
            found = measuring.detections(model, test, config.resize, folder, process)
            if first:
                kind = f"{test.name.removeprefix('image_info_')}_{folder.name}"
                measuring.write_results(results / DETECTIONS.replace("*", kind), found, test, categories)
    every = -(-len(curve) // CURVE) or 1
    return {
        "precision": config.precision,
        "backbone": backbone,
        "seconds_per_step": round(curve[-1]["seconds"] / curve[-1]["iteration"], 4) if curve else None,
        "metrics": metrics,
        **more,
        "diverged_at": diverged_at,
        "curve": {
            "iteration": [entry["iteration"] for entry in curve[every - 1 :: every]],
            **{
                name: [float(f"{entry[name]:.4g}") for entry in curve[every - 1 :: every]]
                for name in ("classification", "box")
            },
        },
        **({"evaluations": told} if (told := _evaluations(entries)) else {}),
    }


def _images(experiment: Experiment, sources: Sources | None) -> tuple[Any, Any]:
    """What is learnt from and what is measured on; few images are kept in memory, many such as COCO's are not."""
    if sources is None:
        dataset = open_dataset(**experiment.data)
        kept = InMemory(dataset) if len(dataset) <= IN_MEMORY else dataset
        return kept, open_dataset(**experiment.val)
    return WithObjects(sources.opened(experiment.data)), sources.opened(experiment.val)


def _diverged(folder: Path) -> int | None:
    """Where one of several processes found a loss that was not finite, before all of them ended."""
    path = folder / DIVERGED
    return int(json.loads(path.read_bytes())["iteration"]) if path.exists() else None


def _evaluations(entries: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The evaluations while it was trained: steps done, AP and AR."""
    return [{name: entry[name] for name in ("iteration", "AP", "AR1", "AR100")} for entry in entries if "AP" in entry]
