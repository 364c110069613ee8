"""The one way to write a file: at every moment the former one is there whole, or the new one is."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write a file in one step, so that neither a kill nor a loss of power leaves half of it.

    The data goes to a file beside it, is brought to the disk and only then renamed. Folders are made as needed.

    Args:
        path: the file to write or to replace.
        data: its whole content.

    Returns:
        The path.

    Raises:
        OSError: it could not be written (a full disk); the former file is then as it was.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        kept = "; the former file is as it was" if path.exists() else ""
        raise OSError(error.errno, f"{path} could not be written, {error.strerror}{kept}") from error
    return path


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file, UTF-8 with line feeds, in one step; see `write_bytes`."""
    return write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], content: Any) -> Path:
    """Write JSON in one step; see `write_bytes`.

    Raises:
        ValueError: the content holds a number that JSON does not have (NaN, infinity).
    """
    return write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
