"""Runs many experiments, several at a time."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from minidet import checks
from minidet.experiments.experiment import Experiment
from minidet.experiments.results import file_name
from minidet.experiments.runner import RUNS, run
from minidet.experiments.sources import Sources
from minidet.progress import Progress


def run_all(
    jobs: Sequence[tuple[Experiment, int]], results: Path, runs: Path = RUNS, minutes: float | None = None,
    processes: int = 1, keep: bool = False, threads: int = 1, sources: Sources | None = None,
) -> list[str]:  # fmt: skip
    """Run experiments one after another, several at a time, with a bar over their steps.

    Where there are GPUs, there is one process per GPU. A process that is killed loses the steps since its last
    checkpoint.

    Args:
        jobs: (experiment, seed) in the order in which they are begun.
        results: folder for the results.
        runs: folder for the checkpoints.
        minutes: time after which no other run is begun, above 0; None for no limit.
        processes: runs at a time, 1 or more.
        keep: whether to keep the weights, see `run`.
        threads: threads of each run, 1 or more; another number rounds otherwise, so that a run is not the same.
        sources: where experiments at full scale find their images and backbones; None for the small setting.

    Returns:
        The names of those that another process is running.

    Raises:
        ValueError: some failed, which is said when all the others are done; or an argument is out of its range.
    """
    import torch

    checks.integer("processes", processes, low=1)
    checks.integer("threads", threads, low=1)
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes = {minutes} must be above 0")
    gpus = torch.cuda.device_count()
    processes = gpus or processes
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    context = multiprocessing.get_context("spawn")
    devices = context.SimpleQueue()
    for device in range(processes):
        devices.put(device)
    waiting, active = list(reversed(jobs)), dict[Future[Path | None], tuple[Experiment, int]]()
    failed, elsewhere = [], []
    steps = sum(experiment.training.iterations for experiment, _ in jobs)
    runs.mkdir(parents=True, exist_ok=True)
    results.mkdir(parents=True, exist_ok=True)
    pool = ProcessPoolExecutor(processes, context, _prepare, (devices, threads, gpus > 0))
    with Progress(total=steps, unit="step", smoothing=0.02) as bar:
        try:
            while active or (waiting and time.monotonic() < end):
                while waiting and len(active) < processes and time.monotonic() < end:
                    experiment, seed = job = waiting.pop()
                    active[pool.submit(run, experiment, seed, results, runs, keep, sources)] = job
                ready, _ = wait(active, timeout=1, return_when=FIRST_COMPLETED)
                for future in ready:
                    experiment, seed = active.pop(future)
                    told = _told(future, experiment, seed)
                    if future.exception():
                        failed.append(f"{experiment.name}, seed {seed}: {future.exception()}")
                    elif future.result() is None:
                        elsewhere.append(experiment.name)
                    Progress.write(told, file=sys.stderr)
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


def _prepare(devices: Any, threads: int, gpus: bool) -> None:
    """Set up a process of the pool before it runs anything: its device and its threads."""
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
    """Wait for the parent process to end, and end this one then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _steps_done(folder: Path) -> int:
    """Steps that a run has done so far, according to its metrics."""
    from minidet.runs import load_metrics

    return max((entry["iteration"] for entry in load_metrics(folder)), default=0)


def _told(future: Future[Path | None], experiment: Experiment, seed: int) -> str:
    """One line on a run that has ended."""
    what = f"{experiment.name}, seed {seed}: "
    if error := future.exception():
        return f"{what}failed: {error}"
    path = future.result()
    if path is None:
        return f"{what}another process is running it"
    run = json.loads(path.read_bytes())
    if run["diverged_at"] is not None:
        return f"{what}diverged in iteration {run['diverged_at']}"
    return f"{what}AP {100 * run['metrics']['AP']:.1f}, {run['seconds']:.0f} s"
