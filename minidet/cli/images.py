"""The image files that a command's words stand for: files, folders and patterns."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

_WILD = frozenset("*?[")


def image_files(words: Iterable[Path], ours: Collection[Path] = ()) -> list[Path]:
    """Every image once, in the order of the words; within a folder or a pattern by name.

    Args:
        words: files, which are taken as they are; folders, of which all images are taken, those in folders below too;
            patterns such as ``photos/*.jpg``, for terminals that leave them as they are.
        ours: pictures that are not taken from folders and patterns: those that the command itself once wrote.

    Returns:
        The paths.

    Raises:
        ValueError: a folder holds no image, or a pattern fits none.
    """
    from minidet.data.images import SUFFIXES
    from minidet.data.paths import files_below

    left_out = {path.resolve() for path in ours}
    found: dict[Path, None] = {}
    for word in words:
        if word.is_dir():
            inside = [word / name for name in files_below(word, SUFFIXES)]
        elif not word.exists() and _WILD & set(str(word)):
            inside = [path for path in sorted(_fitting(word)) if path.is_file()]
        else:
            found[word] = None
            continue
        images = [path for path in inside if path.resolve() not in left_out and not path.name.startswith(".")]
        if not images:
            raise ValueError(f"{word}: no image is there, give image files, a folder that holds some, or a pattern")
        found |= dict.fromkeys(images)
    return list(found)


def _fitting(pattern: Path) -> Iterator[Path]:
    """What fits a pattern, looked for from the last folder before its first wild part."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if _WILD & set(part))
    return Path(*parts[:first]).glob(str(Path(*parts[first:])))
