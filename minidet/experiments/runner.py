"""Runs one experiment: once, and from where it was interrupted."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minidet.config import RunSettings
from minidet.experiments.circumstances import circumstances
from minidet.experiments.experiment import Experiment
from minidet.experiments.lock import locked
from minidet.experiments.results import RESULTS, file_name, recorded
from minidet.experiments.setting import BACKBONE
from minidet.files import write_bytes, write_json
from minidet.structures import Categories, Diverged

RUNS = Path("runs") / "experiments"
"""Folder of the runs while they are trained."""
CURVE = 100
"""Most points of a loss curve that are kept."""


def run(experiment: Experiment, seed: int, results: Path, runs: Path = RUNS, keep: bool = False) -> Path | None:
    """Train, measure and write the result, unless it is there.

    It is trained in a folder of its own, from its last checkpoint if there is one. A loss that is not finite is a
    result as well: the iteration is recorded, and the AP is 0.

    Args:
        experiment: what to train.
        seed: seed of the weights, of the order of the images and of their random changes.
        results: folder for the JSON file.
        runs: folder in which the run has its own folder, which is deleted when the result is written.
        keep: whether the run's folder keeps the weights, ``model.pt``, and the settings.

    Returns:
        The JSON file; None if another process is running this.

    Raises:
        ValueError: the experiment cannot be run (its data is missing, its settings do not fit), or its precision
            depends on the machine.
    """
    if experiment.training.precision == "auto":
        raise ValueError('precision = "auto" is another one on another machine: give "float32" or "bfloat16"')
    path = results / f"{file_name(experiment.name, seed)}.json"
    with locked(runs / f"{path.stem}.lock") as free:
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
            outcome = _train(experiment, seed, folder, results)
        content = {
            "name": experiment.name, "seed": seed, **outcome,
            "seconds": round(time.perf_counter() - began, 1),
            "cpu_seconds": round(time.process_time() - began_cpu, 1),
            "resumed": resumed, **(where := circumstances()),
            "command": command(experiment.name, seed, where["threads"]),
            "config": experiment.settings(),
        }  # fmt: skip
        if is_backbone:
            _save_backbone(weights, folder)
        write_json(path, content, lists_on_one_line=True)
        if keep and (folder / "model.pt").exists():
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        else:
            shutil.rmtree(folder)
    return path


def command(name: str, seed: int, threads: int) -> str:
    """The command that repeats a run exactly, on a machine of the same kind, and compares the two."""
    return f"minidet experiments run '{name}' --again --seed {seed} --threads {threads}"


def _train(experiment: Experiment, seed: int, folder: Path, results: Path) -> dict[str, Any]:
    """What is recorded of the training: precision, hash of the backbone, metrics, diverged_at and curve."""
    import torch

    from minidet.data import open_dataset
    from minidet.data.batches import TrainingData
    from minidet.data.memory import InMemory
    from minidet.evaluation.detector import evaluate_model
    from minidet.pytorch.checkpoint import load_model
    from minidet.pytorch.retinanet import RetinaNet
    from minidet.pytorch.training import train
    from minidet.pytorch.weights import load_backbone
    from minidet.runs import load_metrics

    config = replace(experiment.training, seed=seed)
    dataset, val = InMemory(open_dataset(**experiment.data)), open_dataset(**experiment.val)
    categories, settings = Categories.numbered(dataset.classes), RunSettings(classes=dataset.classes)
    torch.manual_seed(seed)
    model = RetinaNet(experiment.model)
    backbone = None
    if experiment.backbone:
        weights, backbone = _backbone(results, folder.parent)
        load_backbone(model, weights)
    diverged_at = None
    if not (folder / "model.pt").exists():
        try:
            train(model, TrainingData(dataset, experiment.model, config), config, folder, True, settings)
        except Diverged as error:
            diverged_at = error.iteration
    else:  # it was trained before and not measured yet
        model = load_model(folder)
    curve = [entry for entry in load_metrics(folder) if "classification" in entry]
    if diverged_at is None and not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        diverged_at = config.iterations
    if diverged_at is None:
        metrics = evaluate_model(model.eval(), val, categories, config.resize)[0].metrics
    else:
        metrics = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), 0.0)
    every = -(-len(curve) // CURVE) or 1
    return {
        "precision": config.precision,
        "backbone": backbone,
        "metrics": {name: round(value, 5) for name, value in metrics.items()},
        "diverged_at": diverged_at,
        "curve": {
            "iteration": [entry["iteration"] for entry in curve[every - 1 :: every]],
            **{
                name: [float(f"{entry[name]:.4g}") for entry in curve[every - 1 :: every]]
                for name in ("classification", "box")
            },
        },
    }


def _backbone(results: Path, runs: Path) -> tuple[dict[str, Any], str]:
    """The weights that BACKBONE's run has reached, by name, and their fingerprint.

    They are those in ``results``, else the committed ones. Where neither are of BACKBONE as it is defined today, the
    first process that asks for them trains it.
    """
    import torch

    name = file_name(BACKBONE.name, 0)
    while True:
        for folder in (results, RESULTS):
            path, weights = folder / f"{name}.json", folder / f"{name}.npz"
            if not (path.exists() and weights.exists()):
                continue
            if recorded(json.loads(path.read_bytes())).identity == BACKBONE.identity:
                with np.load(weights, allow_pickle=False) as arrays:
                    state = {key: arrays[key] for key in arrays.files}
                return {key: torch.from_numpy(array) for key, array in state.items()}, fingerprint(state)
        if run(BACKBONE, 0, results, runs) is None:
            time.sleep(2)  # another process is at it


def fingerprint(arrays: Mapping[str, NDArray[Any]]) -> str:
    """12 hexadecimal digits of a hash of arrays, their names and their types."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        found.update(arrays[name].tobytes())
    return found.hexdigest()[:12]


def _save_backbone(path: Path, folder: Path) -> None:
    """Write the backbone of a run as arrays of half precision, from which all others begin; a file of about 1 MB."""
    from minidet.pytorch.checkpoint import load_model

    state = load_model(folder).backbone.state_dict()
    arrays = {name: (t.half() if t.is_floating_point() else t).cpu().numpy() for name, t in state.items()}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(path, content.getvalue())
