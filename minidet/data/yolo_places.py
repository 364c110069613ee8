"""Where a path leads that was written on another computer, or counts from another folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

ALIKE = {"train": ("train", "training"), "val": ("val", "valid", "validation", "dev"), "test": ("test", "testing")}
"""The words for each usual part of a data set."""
SPLIT_FOLDERS = tuple(word for words in ALIKE.values() for word in words)
"""Names of the folders in which tools put the parts of a data set, in lower case."""


class Place(NamedTuple):
    """Where a path leads."""

    written: str
    """The line, with forward slashes."""
    path: Path
    """The file or folder; where there is none, the path as it is written."""
    guessed: bool
    """Whether only the end of the path leads there."""


def split_place(folder: Path, key: str, source: str, base: Any = None) -> Place:
    """Where an entry of a description leads.

    Args:
        folder: that the description is in.
        key: of the entry, to be told.
        source: the path in the entry: of a folder or a file.
        base: the description's ``path``, from which its other paths count.

    Returns:
        The place: from ``base``, or from the folder, or what the longest end of the path leads to there.
    """
    source = source.replace("\\", "/")
    above = str(base).replace("\\", "/") if base else ""
    bases = [folder / above, Path(above), folder] if above else [folder]
    path, guessed = _led_to([one / source for one in bases], folder, f"{above}/{source}", os.path.exists)
    return Place(f"{key}: {source}", path, guessed)


def image_place(folder: Path, line: str) -> Place:
    """Where a line of a list of images leads.

    Args:
        folder: that the list is in.
        line: the path of an image.

    Returns:
        The place: from the folder, or from the current one, or what the longest end of the path leads to there.
    """
    path, guessed = _led_to([folder / line, Path(line)], folder, line, os.path.isfile)
    return Place(line, path, guessed)


def _led_to(direct: list[Path], folder: Path, whole: str, there: Callable[[Path], bool]) -> tuple[Path, bool]:
    """The first of the direct paths that is there, or else what the longest end of the whole path leads to."""
    for path in direct:
        if there(path):
            return path, False
    parts = [part for part in PurePosixPath(whole).parts if part not in ("..", ".", "/", "//")]
    for start in range(len(parts)):
        left_out = parts[:start]
        here = bool(left_out) and left_out[-1].lower() == folder.resolve().name.lower()
        if not here and any(part.lower() in SPLIT_FOLDERS for part in left_out):
            continue  # the rest would lead to the images of train and of val alike
        path = folder.joinpath(*parts[start:])
        if there(path):
            return path, True
    return direct[0], False


def refuse_one_place_for_two(file: Path, places: Iterable[Place]) -> None:
    """Refuse paths that differ and, for want of what they name, end in one place.

    Args:
        file: that the paths stand in.
        places: where they lead.

    Raises:
        ValueError: there are such; the message shows both lines.
    """
    known: dict[Path, Place] = {}
    for place in places:
        other = known.setdefault(place.path, place)
        if (place.guessed or other.guessed) and _end(place.written) != _end(other.written):
            raise ValueError(
                f"{file}: {other.written!r} and {place.written!r} both lead to {place.path}, because what they name is "
                "not on this computer: correct these lines"
            )


def _end(written: str) -> list[str]:
    source = written.partition(": ")[2] or written
    return [part for part in source.split("/") if part not in ("", ".", "..")]


def without_dots(path: Path) -> Path:
    """The same place without ``..``; links after the last of these stay links, for the names beside them count.

    Args:
        path: of a file or a folder.
    """
    parts = path.parts
    if ".." not in parts:
        return path
    last = len(parts) - parts[::-1].index("..")
    return Path(os.path.realpath(Path(*parts[:last])), *parts[last:])
