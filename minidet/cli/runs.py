"""A finished run, or a detector in a file, as `evaluate`, `detect` and `export` open it, and which path computes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minidet
from minidet.cli.arguments import RUN, from_home
from minidet.config import PATHS, RunSettings

FILES = (
    "config.json", "images.json", "images_val.json", "faults.json", "metrics.jsonl", "checkpoint.pt", "model.pt",
    "best.pt", "checkpoint.npz", "model.npz", "curves.png", "detections.png", "evaluation.json",
)  # fmt: skip
"""What training leaves in the folder of a run; checkpoint and model are there once, as the path writes them."""
DETECTORS = Path(minidet.__file__).parent / "detectors"
"""The detectors that come with the package, a file each."""
_NAMED = "\0"  # stands before a name that is not a path, which no path can


def add_run(command: argparse.ArgumentParser) -> None:
    """Add the argument that names a run, the option that names a detector of the package instead, and ``--best``."""
    command.add_argument(
        RUN, type=_run, metavar="RUN",
        help="folder of the run, or the file of a detector (export --npz); left out where --model names one",
    )  # fmt: skip
    command.add_argument(
        "--model", metavar="NAME",
        help=f"a detector that comes with the package, in place of RUN: {', '.join(packaged())}",
    )  # fmt: skip
    command.add_argument(
        "--best", action="store_true", help="the weights with the best AP of the run (RUN/best.pt), not the last ones"
    )


def add_path(command: argparse.ArgumentParser) -> None:
    """Add ``--path`` to a command that reads a run."""
    command.add_argument(
        "--path", choices=PATHS, help="compute with this path, whichever has trained; by default with that one"
    )


def named_model_first(words: Sequence[str]) -> list[str]:
    """A command's words with the name after ``--model`` where the run is expected: right after the command.

    >>> named_model_first(["detect", "a.png", "--model", "shapes"])
    ['detect', '\\x00shapes', 'a.png']

    Args:
        words: what follows ``minidet``.
    """
    given = list(words)
    for i, word in enumerate(given):
        option, equals, name = word.partition("=")
        if option == "--model" and (equals or i + 1 < len(given)):
            rest = given[:i] + given[i + (1 if equals else 2) :]
            return [*rest[:1], _NAMED + (name if equals else given[i + 1]), *rest[1:]]
    return given


def _run(text: str) -> Path:
    """The path of a run, or of the detector of the package that `named_model_first` has marked."""
    if not text.startswith(_NAMED):
        return Path(from_home(text))
    name = text.removeprefix(_NAMED)
    if name not in packaged():
        raise argparse.ArgumentTypeError(f"--model {name}: the package has {', '.join(packaged())}")
    return DETECTORS / f"{name}.npz"


def packaged() -> list[str]:
    """The names of the detectors that come with the package."""
    return sorted(path.stem for path in DETECTORS.glob("*.npz"))


def weights_of(name: str) -> Path:
    """The detector to start from: the folder of a run or a file; or, by its name, one of the package.

    Args:
        name: ``shapes`` is the package's, ``./shapes`` a folder of that name.
    """
    return DETECTORS / f"{name}.npz" if name in packaged() else Path(name).resolve()


def load_run(run: Path, path: str | None = None, best: bool = False) -> tuple[Any, RunSettings]:
    """The trained network of a run and its settings.

    Args:
        run: the folder, or the file of a detector.
        path: which path is to compute; None is the one that has trained.
        best: take the weights that had the best AP while it was trained.

    Returns:
        The network in eval mode, PyTorch's on a GPU if there is one, and the settings.

    Raises:
        ValueError: there is no finished run, it is damaged, or it has no best weights.
    """
    from minidet.paths import load_network, of_path

    if run.is_file():
        from minidet.pytorch.archive import load_detector

        if best:
            raise ValueError(f"--best: {run} is one detector: leave this out, or give the folder of a run")
        model, settings = load_detector(run)
        return of_path(model, path or "pytorch", settings.training.precision), settings
    from minidet.runs import load_settings

    settings = RunSettings.from_dict(load_settings(run))
    if not best:
        return load_network(run, path), settings
    from minidet.pytorch.checkpoint import load_model

    if not (run / "best.pt").exists():
        raise ValueError(f"--best: {run} has no best weights: PyTorch keeps them where there is data to evaluate on")
    return of_path(load_model(run / "best.pt"), path or "pytorch", settings.training.precision), settings


def written_beside(run: Path, otherwise: Path) -> Path:
    """Where what is measured of a run is written: its folder, or another one for a detector that is a file."""
    return otherwise if run.is_file() else run
