"""What lies in a folder of YOLO text files: the classes, the splits, and which images they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from minidet.data.images import SUFFIXES
from minidet.data.paths import child, files_below, files_in, stem
from minidet.data.text import read_text
from minidet.data.yaml import parse_yaml

SPLIT_FOLDERS = ("train", "training", "valid", "val", "validation", "dev", "test", "testing")
"""Names of the folders in which tools put the parts of a data set, in lower case."""
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
        lines = read_text(names_file).splitlines() if names_file else []
        found = Description({k: name.strip() for k, name in enumerate(lines) if name.strip()}, names_file)
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


def images_of(source: Path) -> list[Path]:
    """The images of one entry of a split.

    Args:
        source: a folder, or a text file that lists images, one per line, relative to itself or to its folder.

    Raises:
        ValueError: it is neither.
    """
    if source.is_dir():
        return [source / name for name in files_below(source, SUFFIXES)]
    if not source.is_file():
        raise ValueError(f"{source} is neither a folder of images nor a file that lists them")
    lines = [line.strip().replace("\\", "/") for line in read_text(source).splitlines()]
    return [_listed(source.parent, line) for line in lines if line]


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
    return next((one for path in tried for one in (path, path.with_suffix(".TXT")) if one.is_file()), tried[0])


def image_id_of(name: str) -> str:
    """The id of an image: its relative path without the folder ``images`` and without its ending.

    Args:
        name: relative to the data set, with forward slashes.

    >>> image_id_of("images/train/a.jpg"), image_id_of("train/images/a.jpg")
    ('train/a', 'train/a')
    """
    parts = PurePosixPath(stem(name)).parts
    return "/".join([part for part in parts[:-1] if part.lower() != "images"] + [parts[-1]])


def _yaml(path: Path) -> Description:
    try:
        content = parse_yaml(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    names: Any = content.get("names")
    if isinstance(names, str):
        names = _lines(path.parent / names)
    names = dict(enumerate(names)) if isinstance(names, list) else names
    if isinstance(names, dict):  # numbers in quotes are numbers
        names = {int(k) if isinstance(k, str) and k.isdecimal() else k: name for k, name in names.items()}
    if not isinstance(names, dict) or not all(isinstance(k, int) and k >= 0 for k in names):
        raise ValueError(f"{path}: names = {names!r} must be a list of classes, or a table of them by number from 0")
    found = Description({k: str(name).strip() for k, name in names.items()}, path)
    found.with_keypoints = "kpt_shape" in content
    for split in ("train", "val", "test"):
        entry = content.get(split) or (content.get("valid") if split == "val" else None)
        sources = entry if isinstance(entry, list) else [entry] if entry else []
        places = [_place(path.parent, content.get("path"), str(source)) for source in sources]
        if places and (split != "test" or all(place.exists() for place in places)):  # exporters name tests they lack
            found.splits[split] = places
    return found


def _place(folder: Path, base: Any, source: str) -> Path:
    """Where a path in data.yaml leads: from ``path`` or from the file, with or without its leading ``..``."""
    source = source.replace("\\", "/")
    plain = PurePosixPath(source)
    inside = "/".join(part for part in plain.parts if part not in ("..", ".", "/"))
    bases = [folder / str(base).replace("\\", "/"), Path(str(base)), folder] if base else [folder]
    tried = [one / source for one in bases] + [folder / inside, folder / PurePosixPath(inside).name]
    return next((one for one in tried if one.exists()), tried[0])


def _darknet(path: Path) -> Description:
    pairs = [line.split("=", 1) for line in read_text(path).splitlines() if "=" in line]
    content = {key.strip(): value.strip() for key, value in pairs}
    if "names" not in content:
        raise ValueError(f"{path} has no line 'names = FILE': it must name the file that lists the classes")
    named = _place(path.parent, None, content["names"].removeprefix("data/"))
    found = Description(dict(enumerate(_lines(named))), named)
    for key, split in (("train", "train"), ("valid", "val"), ("val", "val"), ("test", "test")):
        if key in content:
            place = _place(path.parent, None, content[key].removeprefix("data/"))
            if place.exists():
                found.splits[split] = [place]
    return found


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


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


def _listed(folder: Path, line: str) -> Path:
    """The image that a line of a list names."""
    tried = [folder / line, Path(line)]
    parts = PurePosixPath(line).parts
    tried += [folder.joinpath(*parts[start:]) for start in range(1, len(parts))]
    return next((one for one in tried if one.is_file()), tried[0])
