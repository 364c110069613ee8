"""What a process that trains on a CPU asks of the system's memory allocator."""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory(limit: int = 2**30) -> bool:
    """Let the allocator keep memory that tensors have freed, for the tensors of the next step.

    glibc gives large blocks back to the system at once and gets them again page by page, each page zeroed: a sixth of a
    training step's time on a CPU. The setting is that of the whole process, so it is for commands, not for functions.

    Args:
        limit: bytes that are kept at most, >= 0.

    Returns:
        Whether the system has this setting (Linux with glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(mallopt(option, limit) for option in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
