"""Where commands write: never over what they read, and never two things to one place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minidet.data import Dataset


def check_outputs(
    outputs: Iterable[Path | None], data: Iterable[Dataset] = (), files: Iterable[Path | None] = ()
) -> None:  # fmt: skip
    """Refuse to write over an input, twice to one file, or where nothing can be written, before any work is done.

    Args:
        outputs: the files that will be written; None stands for one that is not asked for.
        data: data sets that are read.
        files: other files that are read; None stands for one that is not given.

    Raises:
        ValueError: an output is an input, is given twice, is a folder, or lies where it cannot be written.
    """
    paths = [path for path in outputs if path is not None]
    places: set[str] = set()
    for path in paths:
        _check_writable(path)
        place = os.path.normcase(path.resolve())
        if place in places:
            raise ValueError(f"{path} would be written twice: give each output a path of its own")
        places.add(place)
    there = {identity: path for path in paths if (identity := file_identity(path))}
    if not there:
        return
    inputs = [*filter(None, files), *(file for dataset in data for file in _files_of(dataset))]
    for file in inputs:
        if (identity := file_identity(file)) in there:
            raise ValueError(f"{there[identity]} is read by this command and would be overwritten: give another path")


def _check_writable(path: Path) -> None:
    """Refuse a path that no file can be written to; what is missing of its folders will be made."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the path of a file, such as {path / 'result.json'}")
    place = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # a device or a pipe, which is written to
        if not os.access(path, os.W_OK):
            raise ValueError(f"{path} cannot be written to: give another path")
        return
    above = next(folder for folder in place.parents if folder.exists())
    if not above.is_dir():
        raise ValueError(f"{path} cannot be written: {above} is a file and not a folder; give another path")
    if not os.access(above, os.W_OK | os.X_OK):
        raise ValueError(f"{path} cannot be written: {above} is not writable; give another path, or change its rights")


def file_identity(path: Path) -> tuple[int, int] | None:
    """What two names of one file have in common; None for a file that does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def training_lock(out: Path) -> Path:
    """The file that is locked while a run is trained: beside its folder, or in it where nothing can be written beside.

    Args:
        out: the folder of the run; it need not exist where it can be made.
    """
    out = out.resolve()
    beside = not out.parent.is_dir() or os.access(out.parent, os.W_OK | os.X_OK)
    return out.with_name(f".{out.name}.training") if beside else out / ".training"


def tell_notes(data: Iterable[Dataset]) -> None:
    """Print on stderr what the readers of data sets decided, each note once.

    Args:
        data: what is trained or measured on.
    """
    from minidet.data.summary import notes

    for note in dict.fromkeys(note for dataset in data for note in notes(dataset)):
        print(note, file=sys.stderr)


def slug(name: str) -> str:
    """A name as a part of a file's name."""
    return "".join(c if c.isalnum() else "_" for c in Path(name).stem) or "data"


def _files_of(dataset: Dataset) -> Iterator[Path]:
    """The annotation files and the images of a data set."""
    from minidet.data import ImageFolder, Part

    dataset = dataset.dataset if isinstance(dataset, Part) else dataset
    if not isinstance(dataset, ImageFolder):
        return
    yield from dataset.annotation_files
    yield from (dataset.images / dataset.record(i).file_name for i in range(len(dataset)))
