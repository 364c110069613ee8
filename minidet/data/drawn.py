"""Which pictures minidet itself has drawn, so that they are not taken for images of a data set."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from minidet import files
from minidet.data.text import read_json

DETECTIONS = "detections.json"
"""What `minidet detect` writes beside its pictures."""
LIST = ".minidet_pictures"
"""A hidden file that names, one per line, the pictures beside it that `minidet inspect` and `minidet evaluate` drew."""
_RUN = {"config.json", "metrics.jsonl"}
"""Files that are together in the folder of a run alone."""
_OF_RUNS = re.compile(r"(curves|detections|(confusion|mistakes)(_.*)?)\.png")
"""The pictures that training and evaluation leave there."""


def drawn_in(folder: Path, names: Collection[str] | None = None) -> set[str]:
    """The names of the pictures in a folder, not in those below, that minidet has drawn.

    They are known by the files beside them: the list of detections, the files of a run, or LIST.

    Args:
        folder: any folder.
        names: of the files in it; None: they are looked for.
    """
    names = {path.name for path in folder.iterdir()} if names is None else set(names)
    found: set[str] = set()
    if DETECTIONS in names:
        found |= detected_pictures(folder / DETECTIONS) or set()
    if LIST in names:
        found |= set(_listed(folder))
    if names >= _RUN:
        found |= {name for name in names if _OF_RUNS.fullmatch(name)}
    return found & names


def detected_pictures(path: Path) -> set[str] | None:
    """The names of the pictures that `minidet detect` drew when it wrote a file; None where it did not write it.

    Args:
        path: of a COCO file. That every image in it names its picture tells that detect wrote it.
    """
    if path.name != DETECTIONS and not _names_pictures(path):  # quick, where it is a large file of annotations
        return None
    try:
        found = {image["picture"] for image in read_json(path)["images"]}
    except (ValueError, KeyError, TypeError):
        return None
    return found if all(isinstance(name, str) for name in found) else None


def list_pictures(paths: Iterable[Path]) -> None:
    """Add pictures to the lists of their folders, so that `drawn_in` knows those that it would not know otherwise.

    Args:
        paths: of the pictures, which may be written later.
    """
    for path in paths:
        before = _listed(path.parent)
        in_a_run = _OF_RUNS.fullmatch(path.name) and all((path.parent / name).exists() for name in _RUN)
        if path.name not in before and not in_a_run:
            files.write_bytes(path.parent / LIST, os.fsencode("".join(f"{name}\n" for name in [*before, path.name])))


def _listed(folder: Path) -> list[str]:
    listed = folder / LIST
    return os.fsdecode(listed.read_bytes()).splitlines() if listed.is_file() else []


def _names_pictures(path: Path) -> bool:
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return re.search(rb'"picture"\s*:', content) is not None
