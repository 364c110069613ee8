"""Runs experiments: each once, several at a time, and goes on where it was interrupted."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import math
import multiprocessing
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import minidet
from minidet.experiments.definitions import BACKBONE, Experiment
from minidet.experiments.results import RESULTS, file_name, recorded
from minidet.files import write_bytes

RUNS = Path("runs") / "experiments"
"""Where the runs are kept while they are trained."""
CURVE = 100
"""At most so many points of a loss curve are kept."""

_NOT_FINITE = re.compile(r"iteration (\d+), .*(?:the loss is not finite|the network has diverged)", re.DOTALL)


def run(experiment: Experiment, seed: int, results: Path, runs: Path = RUNS, keep: bool = False) -> Path | None:
    """Train, measure and write the result, unless it is there; None if another process is just at it.

    It is trained in a folder of its own below ``runs``, from its last checkpoint if there is one. The folder is deleted
    when the result is written, or with ``keep`` loses all but the weights, ``model.pt``, and the settings. A loss that
    is not finite is a result as well: the iteration is recorded, and the AP is 0.
    """
    path = results / f"{file_name(experiment.name, seed)}.json"
    with _lock(runs / f"{path.stem}.lock") as free:
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
            "resumed": resumed, **circumstances(),
            "command": f"minidet experiments run '{experiment.name}' --again --seed {seed}",
            "config": experiment.settings(),
        }  # fmt: skip
        if is_backbone:
            _save_backbone(weights, folder, experiment.identity)
        write_json(path, content)
        if keep and (folder / "model.pt").exists():
            (folder / "checkpoint.pt").unlink(missing_ok=True)
        else:
            shutil.rmtree(folder)
    return path


def run_all(
    jobs: Sequence[tuple[Experiment, int]], results: Path, runs: Path = RUNS, minutes: float | None = None,
    processes: int = 1, keep: bool = False,
) -> list[str]:  # fmt: skip
    """Run (experiment, seed) in this order, so many at a time, and return the names of those that another run has.

    After ``minutes`` no new one is begun. Each process has its share of the cores; where there are GPUs, there is a
    process for each of them instead. Raises ValueError, when all the others are done, if some failed.
    """
    import torch

    if processes < 1:
        raise ValueError(f"processes = {processes} must be 1 or more")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes = {minutes} must be above 0")
    gpus = torch.cuda.device_count()
    processes = gpus or processes
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    context = multiprocessing.get_context("spawn")
    devices = context.SimpleQueue()
    for device in range(processes):
        devices.put(device)
    threads = max(1, (os.cpu_count() or 1) // processes)
    waiting, active = list(reversed(jobs)), dict[Future[Path | None], tuple[Experiment, int]]()
    failed, elsewhere = [], []
    steps = sum(experiment.training.iterations for experiment, _ in jobs)
    runs.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    pool = ProcessPoolExecutor(processes, context, _prepare, (devices, threads, gpus > 0))
    with tqdm(total=steps, unit="step", smoothing=0.02) as bar:
        try:
            while active or (waiting and time.monotonic() < end):
                while waiting and len(active) < processes and time.monotonic() < end:
                    experiment, seed = job = waiting.pop()
                    active[pool.submit(run, experiment, seed, results, runs, keep)] = job
                ready, _ = wait(active, timeout=1, return_when=FIRST_COMPLETED)
                for future in ready:
                    experiment, seed = active.pop(future)
                    told = _told(future, experiment, seed)
                    if future.exception():
                        failed.append(f"{experiment.name}, seed {seed}: {future.exception()}")
                    elif future.result() is None:
                        elsewhere.append(experiment.name)
                    tqdm.write(told, file=sys.stderr)
                    steps -= experiment.training.iterations
                under_way = sum(_steps_done(runs / file_name(e.name, seed)) for e, seed in active.values())
                bar.n = bar.total - steps + under_way
                bar.set_description(f"{len(waiting)} waiting, {len(active)} running", refresh=False)
                bar.refresh()
        except BaseException:
            for process in multiprocessing.active_children():  # its run goes on from the last checkpoint
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
    if waiting:
        print(f"the time is up: {len(waiting)} of {len(jobs)} runs were not begun", file=sys.stderr)
    if failed:
        raise ValueError("\n".join([f"{len(failed)} of {len(jobs)} runs failed:", *failed]))
    return elsewhere


def circumstances() -> dict[str, Any]:
    """Where, when and with what."""
    import torch

    root = Path(minidet.__file__).parent.parent
    return {
        "gpu": torch.cuda.is_available(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else _processor(),
        "threads": torch.get_num_threads(),
        "commit": _commit(root),
        "versions": {
            "minidet": minidet.__version__, "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "numba")},
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write in one step; a list of numbers on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, allow_nan=False)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    write_bytes(path, f"{text}\n".encode())


def _train(experiment: Experiment, seed: int, folder: Path, results: Path) -> dict[str, Any]:
    """Precision, hash of the backbone it began with, metrics, diverged_at, curve."""
    import torch

    from minidet.data import open_dataset
    from minidet.data.batches import TrainingData
    from minidet.data.memory import InMemory
    from minidet.evaluation.detector import evaluate_model
    from minidet.pytorch.checkpoint import load_metrics, load_model
    from minidet.pytorch.retinanet import RetinaNet
    from minidet.pytorch.training import in_bfloat16, train
    from minidet.pytorch.weights import load_backbone

    config = replace(experiment.training, seed=seed)
    dataset, val = InMemory(open_dataset(**experiment.data)), open_dataset(**experiment.val)
    about = {"classes": list(dataset.classes), "category_ids": list(range(1, len(dataset.classes) + 1))}
    torch.manual_seed(seed)
    model = RetinaNet(experiment.model)
    backbone = None
    if experiment.backbone:
        weights, backbone = _backbone(results, folder.parent)
        load_backbone(model, weights)
    diverged_at = None
    if not (folder / "model.pt").exists():
        try:
            train(model, TrainingData(dataset, experiment.model, config), config, folder, resume=True, about=about)
        except ValueError as error:
            told = _NOT_FINITE.search(str(error))
            if told is None:
                raise
            diverged_at = int(told[1])
    else:  # it was trained before and not measured yet
        model = load_model(folder)
    curve = [entry for entry in load_metrics(folder) if "classification" in entry]
    if diverged_at is None and not all(tensor.isfinite().all() for tensor in model.state_dict().values()):
        diverged_at = config.iterations
    if diverged_at is None:
        metrics = evaluate_model(model.eval(), val, about, config.resize)[0].metrics
    else:
        metrics = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), 0.0)
    every = -(-len(curve) // CURVE) or 1
    half = in_bfloat16(config.precision, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return {
        "precision": "bfloat16" if half else "float32",
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
    """The weights that BACKBONE's run has reached, by name, and the beginning of their hash.

    Those in ``results``, else the committed ones. Where neither are of BACKBONE as it is defined today, the first
    process that asks for them trains it.
    """
    import torch

    name = f"{file_name(BACKBONE.name, 0)}.npz"
    while True:
        for folder in (results, RESULTS):
            if (folder / name).exists():
                content = (folder / name).read_bytes()
                with np.load(io.BytesIO(content)) as arrays:
                    if str(arrays["identity"]) == BACKBONE.identity:
                        state = {key: torch.from_numpy(arrays[key]) for key in arrays.files if key != "identity"}
                        return state, hashlib.sha256(content).hexdigest()[:12]
        if run(BACKBONE, 0, results, runs) is None:
            time.sleep(2)  # another process is at it


def _save_backbone(path: Path, folder: Path, identity: str) -> None:
    """The backbone of a run as arrays of half precision, from which all others begin: a small file to be committed."""
    from minidet.pytorch.checkpoint import load_model

    state = load_model(folder).backbone.state_dict()
    arrays = {name: (t.half() if t.is_floating_point() else t).cpu().numpy() for name, t in state.items()}
    content = io.BytesIO()
    np.savez_compressed(content, identity=np.array(identity), **arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit(root: Path) -> str | None:
    """Of the checkout, with "-dirty" when the package differs from it; None outside of one."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)

    try:
        head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", "minidet")
    except FileNotFoundError:
        return None
    return None if head.returncode else head.stdout.strip() + ("-dirty" if changed.stdout else "")


def _prepare(devices: Any, threads: int, gpus: bool) -> None:
    """Set up a process of the pool, before it runs anything."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted, and ends this process
    device = devices.get()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
    import torch

    from minidet.pytorch.memory import keep_freed_memory

    torch.set_num_threads(threads)
    keep_freed_memory()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _lock(path: Path) -> Iterator[bool]:
    """Whether nobody else holds it; freed at the end, also when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)


def _steps_done(folder: Path) -> int:
    """Of a run under way, as its metrics tell."""
    from minidet.pytorch.checkpoint import load_metrics

    return max((entry["iteration"] for entry in load_metrics(folder)), default=0)


def _told(future: Future[Path | None], experiment: Experiment, seed: int) -> str:
    """One line about a run that has ended."""
    what = f"{experiment.name}, seed {seed}: "
    if error := future.exception():
        return f"{what}failed: {error}"
    path = future.result()
    if path is None:
        return f"{what}another process is at it"
    run = json.loads(path.read_bytes())
    if run["diverged_at"] is not None:
        return f"{what}diverged in iteration {run['diverged_at']}"
    return f"{what}AP {100 * run['metrics']['AP']:.1f}, {run['seconds']:.0f} s"
