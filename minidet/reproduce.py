"""The main job, `minidet reproduce`: look at a data set, train the small detector, draw the paper's figures."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

import minidet
from minidet.cli import main

FIGURES = (
    "figure1", "figure2", "figure3", "figure4", "figure5", "figure6", "figure7",
    "ablations", "imbalance", "prior", "tables", "summary",
)  # fmt: skip
"""Scripts of figures/, each with a ``main`` that takes ``--out``, in the order in which they are drawn. Those about
experiments draw what the runs in figures/results say."""
SEEDS = "3"
"""Of every experiment, where all are run."""


def reproduce(options: argparse.Namespace) -> None:
    """Do everything, one job after another, with one bar; a detector that is there is not trained again.

    ``options``: ``out``, the folder for the results; ``images``, how many to inspect and to evaluate on; ``steps`` of
    training, or ``full`` for the whole schedule, every experiment that has no result yet and what figures 2 and 4
    measure. Raises ValueError for a job that fails and outside a checkout.
    """
    run = options.out / ("detector_full" if options.full else f"detector_{options.steps}")
    settings = [f"val.images={options.images}"]
    if not options.full:
        settings += [f"training.iterations={options.steps}", f"training.warmup={min(100, options.steps // 5)}"]
    commands = {
        "inspect shapes": ["inspect", "shapes", "--images", str(options.images), "--out", str(options.out)]
        + ["--json", str(options.out / "inspect_shapes.json")],
        "train the detector": ["train", "--data", "shapes", "--out", str(run), "--resume"]
        + [word for setting in settings for word in ("--set", setting)],
    }
    checkout()
    jobs: dict[str, Callable[[], Any]] = {name: partial(main, words) for name, words in commands.items()}
    if options.full:
        jobs["run the experiments"] = partial(main, ["experiments", "run", "--seeds", SEEDS])
        for name in ("figure2", "figure4"):
            measure = importlib.import_module(f"figures.{name}").main
            jobs[f"measure {name}"] = partial(measure, ["--measure", "--out", str(options.out)])
    for name in FIGURES:
        jobs[name] = partial(importlib.import_module(f"figures.{name}").main, ["--out", str(options.out)])
    options.out.mkdir(parents=True, exist_ok=True)
    told = {}
    with tqdm(jobs.items(), unit="job") as progress:
        for name, job in progress:
            progress.set_description(name)
            with redirect_stdout(io.StringIO()) as text:
                result = job()
            if result == 130:
                raise KeyboardInterrupt
            if result == 1:
                raise ValueError(f"{name} failed, see above")
            told[name] = text.getvalue()
    print(f"\n{told['train the detector']}\nin {options.out}:")
    for path in sorted(options.out.iterdir()):
        print(f"  {path.name}")


def checkout() -> Path:
    """The folder of the checkout, made importable: ``figures`` lies there, beside the package."""
    root = Path(minidet.__file__).resolve().parent.parent
    if not (root / "figures" / "figure1.py").is_file():
        raise ValueError(
            f"this needs the scripts in figures/, which are part of a checkout and not of the installed package: clone "
            f"the repository and run it there (looked in {root})"
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return root
