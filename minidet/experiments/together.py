"""Runs experiments one after another in all processes that torchrun has started, each run over all of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from minidet.experiments.experiment import Experiment
from minidet.experiments.runner import run
from minidet.experiments.sources import Sources


def run_together(
    jobs: Sequence[tuple[Experiment, int]], results: Path, runs: Path, sources: Sources, keep: bool = False
) -> None:
    """Run experiments, data parallel; every process calls this with the same arguments.

    A loss that is not finite ends all processes; called again, it is recorded and the next run begins.

    Args:
        jobs: (experiment, seed) in the order in which they are run.
        results: folder for the results.
        runs: folder for the checkpoints, which all processes see.
        sources: where the images and the backbones are.
        keep: whether to keep the weights, see `run`.

    Raises:
        ValueError: a run cannot be run, or another call is running it.
    """
    from minidet.pytorch.processes import joined

    results.mkdir(parents=True, exist_ok=True)
    with joined() as process:
        for experiment, seed in jobs:
            path = run(experiment, seed, results, runs, keep, sources, process)
            if path is None:
                raise ValueError(f"{experiment.name}, seed {seed}: another call is running it")
            if process.rank == 0:
                found = json.loads(path.read_bytes())
                ap = "diverged" if found["diverged_at"] is not None else f"AP {100 * found['metrics']['AP']:.1f}"
                print(f"{experiment.name}, seed {seed}: {ap}, {found['seconds']:.0f} s", file=sys.stderr)
