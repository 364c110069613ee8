"""The main job, `python -m figures`: show a detector, draw the paper's figures, look at a data set, train on it."""

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

from minidet import cli
from minidet.progress import Progress

FIGURES = (
    "figure1", "figure2", "figure3", "figure4", "figure5", "figure6", "figure7",
    "ablations", "imbalance", "questions", "recall", "minutes", "prior", "lockstep", "tables", "summary",
)  # fmt: skip
"""The scripts of this folder in the order in which they are drawn; each has a ``main`` that takes ``--out``."""
MEASURED = ("figure2", "figure4", "imbalance", "minutes")
"""The scripts that can measure what they show, with ``--measure``."""
FIRST = "the package's detector"
"""What is shown first: the page of a detector that is trained already."""
SMALL = (
    "data.image_size=[128,128]", "data.min_size=16", "data.objects=[3,10]", "data.distractors=[1,4]",
    "val.objects=[1,6]", "val.distractors=[0,3]",
)  # fmt: skip
"""The data set of the detector that is trained: images of a quarter of the usual area, in which a step takes a quarter
of the time. With the backbone of the package's detector to start from, a few minutes then suffice for all six classes;
the pyramid and the subnets start from random weights."""
SEEDS = 3
"""Seeds of every experiment, where all are run."""


def reproduce(options: argparse.Namespace) -> None:
    """Do everything, one job after another, with one bar.

    The page of the package's detector comes first, then the figures, which show the committed runs: all this takes
    seconds. Then a detector is trained. One that is there is not trained again, and one whose training was interrupted
    goes on from its last checkpoint.

    Args:
        options: ``out``, the folder for the results; ``images``, how many to inspect and how many to evaluate on;
            ``steps`` of training; ``full`` for the whole schedule, every experiment that has no result yet, and what
            some figures measure, after which all figures are drawn once more.

    Raises:
        ValueError: a job failed.
        KeyboardInterrupt: a job was interrupted.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    told = {}
    with Progress(jobs(options).items(), unit="job") as progress:
        for name, job in progress:
            progress.set_description(name)
            with redirect_stdout(io.StringIO()) as text:
                result = job()
            if result == 130:
                raise KeyboardInterrupt
            if result == 1:
                raise ValueError(f"{name} failed, see above")
            told[name] = text.getvalue()
            if name == FIRST:
                picture = options.out / "detector.png"
                Progress.write(f"look at {picture}: what a trained detector finds. Ours is trained after the figures")
    print(f"\n{told['train the detector']}\nin {options.out}:")
    for path in sorted(options.out.iterdir()):
        print(f"  {path.name}")


def jobs(options: argparse.Namespace) -> dict[str, Callable[[], Any]]:
    """What `reproduce` does, by what its bar says, in order; a command returns its exit status."""
    out = ["--out", str(options.out)]
    run = options.out / ("detector_full" if options.full else f"detector_{options.steps}")
    settings = [f"val.images={options.images}"]
    if not options.full:
        settings += [*SMALL, f"training.iterations={options.steps}", f"training.warmup={min(100, options.steps // 5)}"]
    inspect = ["inspect", "shapes", "--images", str(options.images), *out]
    train = ["train", "--data", "shapes", "--out", str(run), "--resume"]
    train += [] if options.full else ["--shorter-side", "128", "--backbone-weights", "shapes"]
    todo: dict[str, Callable[[], Any]] = {FIRST: partial(_script("detector"), out)}
    todo |= {name: partial(_script(name), out) for name in FIGURES}
    todo["inspect shapes"] = partial(cli.main, [*inspect, "--json", str(options.out / "inspect_shapes.json")])
    todo["train the detector"] = partial(cli.main, train + [word for entry in settings for word in ("--set", entry)])
    if options.full:
        todo["run the experiments"] = partial(cli.main, ["experiments", "run", "--seeds", str(SEEDS)])
        todo |= {f"measure {name}": partial(_script(name), ["--measure", *out]) for name in MEASURED}
        todo |= {f"{name}, once more": todo[name] for name in FIGURES}
    return todo


def _script(name: str) -> Callable[[list[str]], Any]:
    """The ``main`` of a script of this folder."""
    main: Callable[[list[str]], Any] = importlib.import_module(f"figures.{name}").main
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m figures", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce"), help="folder for the results")
    parser.add_argument("--images", type=int, default=200, help="images of shapes to inspect, and as many unseen ones")
    parser.add_argument("--steps", type=int, default=600, help="training steps of the detector, of 8 images each")
    parser.add_argument(
        "--full", action="store_true",
        help="train for the whole schedule of the tiny preset, run every experiment that has no result yet (hours), "
        "measure what some figures show, and draw all figures once more",
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
