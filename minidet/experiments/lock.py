"""A lock that one process holds at a time, by a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

OPEN_FILES_STAY = os.name == "nt"
"""Whether the operating system refuses to delete a file that a process has open."""


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock while the block runs, unless somebody else holds it.

    Where there is ``fcntl``, the system frees the lock when its process dies. Elsewhere the file's existence is the
    lock. There, Windows refuses to delete a file that a process has open, so a file that can be deleted was left by a
    process that died.

    Args:
        path: the file; its folder is made as needed, and the file is deleted at the end.

    Yields:
        Whether the lock is held: False where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _existing(path) if fcntl is None else _flocked(path)
    if descriptor is None:
        yield False
        return
    try:
        yield True
    finally:
        if fcntl is None:  # an open file cannot be deleted
            os.close(descriptor)
            path.unlink(missing_ok=True)
        else:
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _flocked(path: Path) -> int | None:
    """The descriptor of the locked file, or None if it is locked already."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):  # locked by another process, or deleted by it since it was opened
        pass
    os.close(descriptor)
    return None


def _existing(path: Path) -> int | None:
    """The descriptor of the file, which this process has created, or None if it was there already."""
    for _ in range(2):
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            if not OPEN_FILES_STAY:
                return None
        try:
            path.unlink(missing_ok=True)
        except PermissionError:
            return None
    return None
