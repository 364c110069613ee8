"""The one way to write a file: at every moment the former one is there whole, or the new one is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file in one step, so that neither a kill nor a loss of power leaves half of it.

    The data goes to a file beside it, is brought to the disk and only then renamed. Folders are made as needed. A link
    stays one, and the file that it leads to is replaced, which keeps its permissions. What is no file, such as
    ``/dev/null`` or a pipe, is never replaced but written to.

    Args:
        path: the file to write or to replace.
        data: its whole content.

    Returns:
        The path.

    Raises:
        OSError: it could not be written (a full disk); the former file is then as it was.
    """
    path = Path(path)
    target = Path(os.path.realpath(path))
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as stream:
                stream.write(data)
            return path
        target.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):  # where there is no such folder
            unfinished.unlink()
        kept = "; the former file is as it was" if path.exists() else ""
        raise OSError(error.errno, f"{path} could not be written, {error.strerror}{kept}") from error
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file, UTF-8 with line feeds, in one step; see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], content: Any, lists_on_one_line: bool = False) -> Path:
    """Write JSON in one step; see `write_bytes`.

    Args:
        path: the file to write or to replace.
        content: what JSON can hold.
        lists_on_one_line: whether a list that holds neither lists nor objects takes one line instead of one per entry.

    Returns:
        The path.

    Raises:
        ValueError: the content holds a number that JSON does not have (NaN, infinity).
    """
    if lists_on_one_line:
        return write_text(path, _short_lists(content, "\n") + "\n")
    text = json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False)
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # the name of a file that is not UTF-8
        text = json.dumps(content, indent=1, allow_nan=False)
    return write_text(path, text + "\n")


def _short_lists(value: Any, margin: str) -> str:
    """JSON with every list that holds neither lists nor objects on one line; ``margin``: a line feed and the indent."""
    inner = margin + " "
    if isinstance(value, dict) and value:
        entries = [
            f"{json.dumps(key, ensure_ascii=False)}: {_short_lists(entry, inner)}" for key, entry in value.items()
        ]
        return "{" + inner + f",{inner}".join(entries) + margin + "}"
    if isinstance(value, (list, tuple)) and any(isinstance(entry, (dict, list, tuple)) for entry in value):
        return "[" + inner + f",{inner}".join(_short_lists(entry, inner) for entry in value) + margin + "]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def is_file(path: Path) -> bool:
    """Whether there is such a file; a path that no file can have, such as one that is too long, is none.

    Args:
        path: any.
    """
    try:
        return path.is_file()
    except OSError:
        return False
