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
        ours: files that are not taken from folders and patterns; pictures that minidet has drawn never are.

    Returns:
        The paths.

    Raises:
        ValueError: a file does not exist or a pattern matches none (all of them are named), or a folder holds no image.
    """
    from minidet.data.drawn import drawn_in
    from minidet.data.images import SUFFIXES
    from minidet.data.paths import files_below

    words = list(words)
    _check_there(words)
    left_out = {path.resolve() for path in ours}
    found: dict[Path, None] = {}
    for word in words:
        if word.is_dir():
            inside = [word / name for name in files_below(word, SUFFIXES)]
        elif not word.exists() and _WILD & set(str(word)):
            inside = sorted(_fitting(word))
            drawn = {folder: drawn_in(folder) for folder in {path.parent for path in inside}}
            inside = [path for path in inside if path.name not in drawn[path.parent]]
        else:
            found[word] = None
            continue
        images = [path for path in inside if path.resolve() not in left_out and not path.name.startswith(".")]
        if not images:
            raise ValueError(
                f"{word}: no image is there (pictures that minidet drew do not count): give image files, a folder that "
                "holds some, or a pattern"
            )
        found |= dict.fromkeys(images)
    return list(found)


def _check_there(words: Iterable[Path]) -> None:
    """Refuse words that stand for nothing, all at once."""
    missing = [word for word in words if not word.exists()]
    patterns = [word for word in missing if _WILD & set(str(word))]
    files = [word for word in missing if word not in patterns]
    unmatched = [word for word in patterns if next(_fitting(word), None) is None]
    problems = [f"{_listed(files)} {'does' if len(files) == 1 else 'do'} not exist"] if files else []
    problems += [f"{_listed(unmatched)} {'matches' if len(unmatched) == 1 else 'match'} no file"] if unmatched else []
    if problems:
        raise ValueError(f"{'; '.join(problems)}: give a picture, a folder or a pattern")


def _listed(words: Iterable[Path]) -> str:
    return ", ".join(map(str, words))


def _fitting(pattern: Path) -> Iterator[Path]:
    """The files that fit a pattern, looked for from the last folder before its first wild part."""
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if _WILD & set(part))
    return (path for path in Path(*parts[:first]).glob(str(Path(*parts[first:]))) if path.is_file())
