"""The main job, `python -m figures`: look at a data set, train the small detector, draw the paper's figures."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minidet import cli

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
    jobs: dict[str, Callable[[], Any]] = {name: partial(cli.main, words) for name, words in commands.items()}
    if options.full:
        jobs["run the experiments"] = partial(cli.main, ["experiments", "run", "--seeds", SEEDS])
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"), help="folder for the results")
    parser.add_argument("--images", type=int, default=200, help="images of shapes to inspect, and as many unseen ones")
    parser.add_argument("--steps", type=int, default=500, help="training steps of the detector, of 8 images each")
    parser.add_argument(
        "--full", action="store_true",
        help="train for the whole schedule of the tiny preset, run every experiment that has no result yet (hours), "
        "and measure what figures 2 and 4 show",
    )  # fmt: skip
    try:
        reproduce(parser.parse_args(arguments))
    except (ValueError, OSError) as error:
        print(f"figures: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("figures: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
