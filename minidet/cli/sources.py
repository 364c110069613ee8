"""The data set that a command's arguments name: one function adds the options, another reads them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SOURCES = "a data set in Pascal VOC, COCO or YOLO form (a folder or a file), or: shapes"
"""What can be given as a data set."""
FILES = {"split": "split", "image_folder": "images", "first_pixel": "first_pixel", "as_stored": "oriented"}
"""Options of data sets that are read from files, and what `open_dataset` calls them."""
_OF_A_PART = ("split", "only", "without")
"""What `open_dataset` takes that says which images are meant, not how they are read."""
SHAPES = {"images": "images", "seed": "seed", "min_size": "min_size", "max_size": "max_size"}
"""Options of the synthetic data set, and what `open_dataset` calls them."""


def add_source_options(command: argparse.ArgumentParser, of: str, prefix: str = "") -> None:
    """Add the options of a data set, the same for every command that reads one.

    Args:
        command: the parser.
        of: the argument that names the data set, for the help.
        prefix: put before the name of each option; "val-" makes --val-split.
    """
    group = command.add_argument_group(f"options of {of}")
    name = f"--{prefix}"
    group.add_argument(
        f"{name}split",
        metavar="LIST",
        help="the part to read (train, val, …); of Pascal VOC, the list in ImageSets/Main",
    )
    group.add_argument(
        f"{name}image-folder", metavar="DIR", help="COCO, VOC: where the images are, if not beside the annotations"
    )
    group.add_argument(
        f"{name}first-pixel", type=int, choices=(0, 1),
        help="Pascal VOC: what the first pixel is counted as; 0 for the files of some tools (if not 1)",
    )  # fmt: skip
    group.add_argument(
        f"{name}as-stored", action="store_const", const=False,
        help="leave images as they are stored, without turning them as their EXIF orientation asks",
    )  # fmt: skip
    group.add_argument(f"{name}images", type=int, metavar="N", help="shapes: how many images")
    group.add_argument(f"{name}seed", type=int, metavar="N", help="shapes: which images")
    add_sizes(group, "shapes: ", prefix)


def add_sizes(to: Any, which: str = "", prefix: str = "") -> None:
    """Add the options for the sizes of the objects of shapes."""
    to.add_argument(
        f"--{prefix}min-size", type=float, metavar="PIXELS", help=f"{which}size of the smallest object (if not 12)"
    )
    to.add_argument(
        f"--{prefix}max-size", type=float, metavar="PIXELS",
        help=f"{which}size of the largest object (if not three quarters of the image's shorter side)",
    )  # fmt: skip


def source_options(options: argparse.Namespace, source: str, prefix: str = "") -> dict[str, Any]:
    """The options of a data set that were given, as `open_dataset` takes them.

    Args:
        options: the parsed arguments.
        source: the data set that they belong to, "shapes" or a path.
        prefix: that of `add_source_options`.

    Returns:
        The values by name, those alone that were given.

    Raises:
        ValueError: an option was given that this kind of data set does not have.
    """
    own, other = (SHAPES, FILES) if source == "shapes" else (FILES, SHAPES)
    for name in other:
        if _given(options, prefix, name) is not None:
            kind = "shapes, which is drawn" if source == "shapes" else "data that is read from files"
            raise ValueError(f"--{prefix}{name.replace('_', '-')} is not an option of {kind}: leave it out")
    values = {known: _given(options, prefix, name) for name, known in own.items()}
    return {known: value for known, value in values.items() if value is not None}


def absolute(source: str) -> str:
    """A source that means the same from any folder, so that a run finds its data from anywhere."""
    return source if source == "shapes" else str(Path(source).resolve())


def from_anywhere(source: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `open_dataset` with paths that mean the same from any folder; shapes' ``images`` is a number."""
    paths = {name: source[name] for name in ("source", "images") if isinstance(source.get(name), str)}
    return {**source, **{name: absolute(path) for name, path in paths.items()}}


def read_alike(source: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
    """Read one part of a data set as another part of it is read: from where pixels are counted, where images lie.

    Args:
        source: arguments of `open_dataset` for the one.
        known: those for the other, if there are any.

    Returns:
        The arguments, with those that are not given taken from the other, if both are of one data set that comes from
        files.
    """
    if known is None or source["source"] == "shapes" or source["source"] != known["source"]:
        return source
    return {name: value for name, value in known.items() if name not in _OF_A_PART} | source


def _given(options: argparse.Namespace, prefix: str, name: str) -> Any:
    return getattr(options, f"{prefix.replace('-', '_')}{name}")
