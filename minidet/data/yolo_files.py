"""What lies in a folder of YOLO text files: the classes, the splits, and which images they hold."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from minidet.data.images import SUFFIXES
from minidet.data.paths import child, files_below, files_in, nearest, stem
from minidet.data.text import read_text
from minidet.data.yaml import parse_yaml
from minidet.data.yolo_places import (
    ALIKE,
    SPLIT_FOLDERS,
    Place,
    image_place,
    refuse_one_place_for_two,
    split_place,
)
from minidet.files import is_file
from minidet.wording import counted

NAME_FILES = ("classes.txt", "obj.names", "predefined_classes.txt")
"""Names of files with one class per line."""
NOT_LABELS = (*NAME_FILES, "train.txt", "val.txt", "valid.txt", "test.txt", "readme.txt", "notes.txt")
"""Text files that are not an image's annotation."""


@dataclass
class Description:
    """What a folder of YOLO text files holds."""

    names: dict[int, str]
    """Class by index; empty where no file says."""
    named_in: Path | None
    """The file that names the classes."""
    splits: dict[str, list[Path]] = field(default_factory=dict)
    """For each split, folders of images and files that list images."""
    with_keypoints: bool = False
    """Whether a line goes on with keypoints after the box."""
    notes: list[str] = field(default_factory=list)
    """What does not fit together in the description; one sentence each."""


def describe(path: Path) -> Description:
    """Find out what a YOLO folder, data.yaml or obj.data describes.

    Args:
        path: of the folder or the file.

    Returns:
        Its classes, and its splits: those that the file names, or else those of the folders.

    Raises:
        ValueError: a file cannot be read, or names no classes or images in a form that is known.
    """
    root = path if path.is_dir() else path.parent
    listed = description_file(path)
    if listed is None:
        names_file = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
        found = Description(names_in(names_file) if names_file else {}, names_file)
    elif listed.suffix.lower() == ".data":
        found = _darknet(listed)
    else:
        found = _yaml(listed)
    if not found.splits:
        found.splits = _split_folders(root)
    return found


def description_file(path: Path) -> Path | None:
    """The file that describes a YOLO folder: data.yaml, another YAML file with ``names:``, or Darknet's obj.data.

    Args:
        path: the folder, or the file itself.
    """
    if path.is_file():
        return path if path.suffix.lower() in (".yaml", ".yml", ".data") else None
    candidates = sorted(
        files_in(path, ".yaml", ".yml"), key=lambda one: (one.stem.lower() not in ("data", "dataset"), one.name)
    )
    for one in candidates:
        if any(line.startswith("names:") for line in read_text(one).splitlines()):
            return one
    return path / "obj.data" if (path / "obj.data").is_file() else None


def images_of(source: Path, described: Path | None = None) -> list[Path]:
    """The images of one entry of a split.

    Args:
        source: a folder, or a text file that lists images, one per line, relative to itself or to its folder.

        described: the file that names the source, to be told.

    Raises:
        ValueError: it is neither, or two lines that differ lead to one file.
    """
    if not is_file(source):
        with contextlib.suppress(OSError):  # of a path that no folder can have
            if source.is_dir():
                return [source / name for name in files_below(source, SUFFIXES)]
        where = f" in {nearest(described)}" if described else ""
        raise ValueError(
            f"{source} is neither a folder of images nor a file that lists them: correct the path that names it{where}"
        )
    lines = [line.strip().replace("\\", "/") for line in read_text(source).splitlines()]
    found = [image_place(source.parent, line) for line in lines if line]
    refuse_one_place_for_two(source, found)
    return [place.path for place in found]


def labels_of(image: Path) -> Path:
    """Where the text file of an image is: ``labels`` in place of the last ``images`` on its way, or beside it.

    Args:
        image: path of the image.
    """
    beside = image.with_suffix(".txt")
    tried = [beside]
    parts = list(beside.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            folders = ["labels", *(name for name in ("Labels", "LABELS") if Path(*parts[:place], name).is_dir())]
            tried = [Path(*parts[:place], name, *parts[place + 1 :]) for name in folders] + tried
            break
    return next((one for path in tried for one in (path, path.with_suffix(".TXT")) if is_file(one)), tried[0])


def image_ids(names: Sequence[str]) -> list[str]:
    """The ids of images: their relative paths without the folder ``images``, and without the ending unless needed.

    Args:
        names: relative to the data set, with forward slashes, all different.

    Returns:
        An id of its own for each.

    >>> image_ids(["images/train/a.jpg", "val/images/a.jpg", "b.jpg", "b.png"])
    ['train/a', 'val/a', 'b.jpg', 'b.png']
    """
    paths = [PurePosixPath(name) for name in names]
    short = ["/".join([*(part for part in path.parts[:-1] if part.lower() != "images"), path.name]) for path in paths]
    plain = [stem(name) for name in short]
    counts = Counter(plain)
    ids = [whole if counts[one] > 1 else one for whole, one in zip(short, plain, strict=True)]
    return ids if len(set(ids)) == len(ids) else list(names)


def _yaml(path: Path) -> Description:
    try:
        content = parse_yaml(read_text(path), as_written=("names",))
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    names: Any = content.get("names")
    if isinstance(names, str):
        names = names_in(split_place(path.parent, "names", names).path)
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(names, dict):
        raise ValueError(f"{path}: names = {names!r} must be a list of classes, or a table of them by number from 0")
    found = Description({}, path)
    for key, name in names.items():
        k = int(key) if isinstance(key, str) and key.isdecimal() else key  # numbers in quotes are numbers
        if not isinstance(k, int) or isinstance(k, bool) or k < 0 or not isinstance(name, str):
            told = f"{path}: names = {names!r} must be a list of classes, or a table of them by number from 0"
            raise ValueError(f"{told}: {key!r}: {name!r} is no class")
        if k in found.names:
            raise ValueError(
                f"{path}: names has number {k} twice, {found.names[k]!r} and {name!r}: keep one of the two"
            )
        if name.strip():
            found.names[k] = name.strip()
    found.with_keypoints = "kpt_shape" in content
    entries = {key: value if isinstance(value, list) else [value] for key, value in content.items() if value}
    found.splits = _splits(path, entries, content.get("path"), missing=("test",))  # exporters name tests they lack
    _note_count(found, "nc", content.get("nc"))
    return found


def names_in(path: Path) -> dict[int, str]:
    """The classes that a file lists, one per line, by number; a blank line has a number too, and no name.

    Args:
        path: the file.

    Raises:
        ValueError: it cannot be read.
    """
    return {k: name.strip() for k, name in enumerate(read_text(path).splitlines()) if name.strip()}


def _splits(path: Path, entries: dict[Any, list[Any]], base: Any, missing: Sequence[str]) -> dict[str, list[Path]]:
    """Where the images of each part are, out of the entries of a description; those of ``missing`` may be elsewhere."""
    found = {}
    known: list[Place] = []
    entries = {str(key).lower(): sources for key, sources in entries.items()}
    for split, words in ALIKE.items():
        named = {word: entries[word] for word in words if word in entries}
        if len(named) > 1 and any(sources != next(iter(named.values())) for sources in named.values()):
            raise ValueError(f"{path}: the lines {' and '.join(named)} name the same part: keep one of them")
        for word, sources in list(named.items())[:1]:
            places = [split_place(path.parent, word, str(source), base) for source in sources]
            if split not in missing or all(place.path.exists() for place in places):
                found[split] = [place.path for place in places]
                known += places
    refuse_one_place_for_two(path, known)
    return found


def _note_count(found: Description, key: str, count: Any) -> None:
    """A number of classes beside the names that is another one."""
    number = count if isinstance(count, int) else int(count) if str(count).isdecimal() else None
    if number is not None and found.named_in and number not in (len(found.names), max(found.names, default=-1) + 1):
        named = counted(len(found.names), "class is", "classes are")
        told = f"{key} is {number}, but {named} named: the names are followed"
        found.notes.append(f"{told}; correct {found.named_in.name} if some are missing")


def _darknet(path: Path) -> Description:
    pairs = [line.split("=", 1) for line in read_text(path).splitlines() if "=" in line]
    content = {key.strip(): value.strip() for key, value in pairs}
    if "names" not in content:
        raise ValueError(f"{path} has no line 'names = FILE': it must name the file that lists the classes")
    named = split_place(path.parent, "names", content["names"]).path
    found = Description(names_in(named), named)
    found.splits = _splits(path, {key: [value] for key, value in content.items() if value}, None, missing=tuple(ALIKE))
    _note_count(found, "classes", content.get("classes"))
    return found


def _split_folders(root: Path) -> dict[str, list[Path]]:
    """The folders train, val … in images/, or those that hold images; else one part without a name."""
    images = child(root, ("images",))
    for above in [images, root] if images else [root]:
        folders = {folder.name: folder for folder in sorted(above.iterdir()) if folder.name.lower() in SPLIT_FOLDERS}
        found = {name: [child(one, ("images",)) or one] for name, one in folders.items() if one.is_dir()}
        if found:
            return found
    data = child(root, ("images", "obj_train_data"))
    return {"": [data or root]}
