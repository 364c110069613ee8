"""From the names in annotation files to files in a folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from minidet.data.drawn import drawn_in
from minidet.data.images import SUFFIXES
from minidet.files import is_file

_SYSTEM = (".", "__MACOSX", "lost+found", "System Volume Information", "$RECYCLE.BIN")  # folders of no data set
_LOOKED_FOR = 50  # images, to find out which folder holds them


def is_inside(file_name: str) -> bool:
    """Whether a data set's file name stays in its folder on every platform: relative, without ``..``.

    Args:
        file_name: as an annotation file gives it.

    >>> is_inside("a/b.jpg"), is_inside("../b.jpg"), is_inside("C:\\\\b.jpg")
    (True, False, False)
    """
    kinds = (PurePosixPath(file_name), PureWindowsPath(file_name))
    plain = all(not path.drive and not path.root and ".." not in path.parts for path in kinds)
    return plain and kinds[0].name != "" and "\0" not in file_name


def plain_name(name: str) -> str:
    """A file name in the form in which names are compared: forward slashes, one case, one form of accents.

    Args:
        name: of a file or a folder, relative.
    """
    return unicodedata.normalize("NFC", name.replace("\\", "/")).casefold()


def stem(name: str) -> str:
    """A relative file name without its ending, with forward slashes.

    Args:
        name: such as ``sub/a.jpg``.

    >>> stem("sub/a.b.jpg")
    'sub/a.b'
    """
    folder, slash, last = PurePosixPath(name.replace("\\", "/")).as_posix().rpartition("/")
    return folder + slash + (last.rpartition(".")[0] or last)


def nearest(path: str | Path) -> Path:
    """A path as it is best shown: from the current folder, if it lies in there.

    Args:
        path: of a file or a folder.

    >>> nearest(Path.cwd() / "data" / "train").as_posix()
    'data/train'
    """
    shown = Path(path)
    return shown.relative_to(Path.cwd()) if shown.is_absolute() and shown.is_relative_to(Path.cwd()) else shown


def child(root: Path, names: Iterable[str]) -> Path | None:
    """The folder in another one that has one of these names, in either case.

    Args:
        root: where to look; it need not exist.
        names: in lower case, the preferred one first.

    Returns:
        The folder, or None.
    """
    if not root.is_dir():
        return None
    found = {path.name.casefold(): path for path in sorted(root.iterdir(), reverse=True) if path.is_dir()}
    return next((found[name] for name in names if name in found), None)


def files_below(root: Path, suffixes: Sequence[str]) -> list[str]:
    """The files in a folder and in those below it but hidden ones and pictures of minidet's own; links are followed.

    Args:
        root: the folder.
        suffixes: what names end with, in lower case; files are found in either case.

    Returns:
        Names relative to the folder with forward slashes, sorted by their stem.

    Raises:
        ValueError: a folder cannot be looked into, so that what it holds would be missing.
    """
    found, linked = [], set[Path]()
    for folder, below, names in os.walk(root, followlinks=True, onerror=_closed):
        below[:] = [
            name for name in below if not name.startswith(_SYSTEM) and _leads_on(Path(folder) / name, root, linked)
        ]
        drawn = drawn_in(Path(folder), names)
        chosen = [name for name in names if name.lower().endswith(tuple(suffixes)) and not name.startswith(".")]
        found += [(Path(folder) / name).relative_to(root).as_posix() for name in chosen if name not in drawn]
    return sorted(found, key=lambda name: (stem(name), name))


def _closed(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # removed since it was listed
        told = f"{error.filename} cannot be looked into ({error.strerror})"
        raise ValueError(f"{told}: make the folder readable, or move it elsewhere") from error


def _leads_on(folder: Path, root: Path, linked: set[Path]) -> bool:
    """Whether a folder is to be looked into: not a link to what is looked at anyway, or to a folder above."""
    if not folder.is_symlink():
        return True
    target, base = folder.resolve(), root.resolve()
    if target in linked or target.is_relative_to(base) or base.is_relative_to(target):
        return False
    linked.add(target)
    return True


def files_in(folder: Path, *suffixes: str) -> list[Path]:
    """The files in a folder, hidden ones and those in folders below left out.

    Args:
        folder: where to look; it need not exist.
        suffixes: endings in lower case; files are found in either case.

    Returns:
        Paths, sorted by name.
    """
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    return sorted(path for path in found if path.is_file())


class Images:
    """The image files in a folder, to be found by what annotation files call them.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def names(self) -> list[str]:
        """All image files, relative to the folder, sorted by stem."""
        return files_below(self.root, SUFFIXES)

    @cached_property
    def by_stem(self) -> dict[str, list[str]]:
        """Image files by their relative name without its ending, in comparable form."""
        return _grouped(self.names, lambda name: plain_name(stem(name)))

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _grouped(self.names, plain_name)

    @cached_property
    def _by_last_part(self) -> dict[str, list[str]]:
        return _grouped(self.names, lambda name: plain_name(name).rpartition("/")[2])

    def find(self, file_name: str) -> str | None:
        """The file that an annotation names.

        Args:
            file_name: relative to the folder or to one above it (``images/a.jpg`` in the folder ``images``), or an
                absolute path into the folder; slashes, case and the form of accents may differ from the file's, and an
                ending may be missing.

        Returns:
            The name relative to the folder, with forward slashes; None where there is no such file or more than one.
        """
        if "\0" in file_name:
            return None
        if Path(file_name).is_absolute():
            path, root = Path(file_name).resolve(), self.root.resolve()
            return path.relative_to(root).as_posix() if path.is_relative_to(root) and is_file(path) else None
        name = PurePosixPath(file_name.replace("\\", "/")).as_posix()
        for candidate in (name, self._below(name)):
            if is_inside(candidate):
                if is_file(self.root / candidate):
                    return candidate
                for known in (self._by_name, self.by_stem):
                    found = known.get(plain_name(candidate), [])
                    if len(found) == 1:
                        return found[0]
        return None

    def find_last_part(self, file_name: str) -> str | None:
        """The only file in the folder, at any depth, whose own name is the last part of a path from elsewhere.

        Args:
            file_name: such as ``C:\\\\Users\\\\me\\\\a.jpg``.

        Returns:
            The name relative to the folder; None where there is none or more than one.
        """
        found = self._by_last_part.get(plain_name(file_name).rpartition("/")[2], [])
        return found[0] if len(found) == 1 else None

    def _below(self, name: str) -> str:
        """The name without the folders that lead to this one, which it may begin with."""
        parts, above = plain_name(name).split("/"), plain_name(self.root.resolve().as_posix()).split("/")
        for length in range(len(parts) - 1, 0, -1):
            if above[-length:] == parts[:length]:
                return "/".join(PurePosixPath(name).parts[length:])
        return name


def folder_of_images(path: Path, names: Sequence[object], own: bool = False) -> Path:
    """The folder that an annotation file's images lie in, out of those where tools put them.

    Args:
        path: the annotation file.
        names: of its images, as the file gives them; the first ones are looked for.
        own: whether `minidet detect` wrote the file, whose names count from where it was started or are absolute.

    Returns:
        The folder that holds most of them; of several, the one that is nearest to the file.
    """
    parent, above = path.parent, path.parent.parent
    split = path.stem.rpartition("_")[2]  # instances_train2017.json
    split = split.replace("test-dev", "test")  # image_info_test-dev2017.json is of some of the images of test2017
    folders = [parent / "images", parent, parent / split, parent / "data"]
    if parent.name.lower() in ("annotations", "annotation", "labels"):
        folders += [above / "images" / split, above / split, above / "images", above / "data", above]
    folders = [folder for folder in folders if folder.is_dir()]
    wanted = [name for name in names[:_LOOKED_FOR] if isinstance(name, str)]
    if own and wanted and all(is_file(Path(name)) for name in wanted):
        folders.insert(0, Path(os.path.commonpath([Path(name).resolve().parent for name in wanted])))

    def held(folder: Path) -> int:
        images = Images(folder)
        return sum(images.find(name) is not None for name in wanted)

    return max(folders, key=held, default=parent)


def _grouped(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(key(name), []).append(name)
    return groups
