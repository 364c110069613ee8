"""Numba's cache of kernels on disk, safe against what happens to files.

Numba compiles a kernel once and keeps it beside the source. But it passes on whatever its files raise, an empty one
after a power cut or a full disk, so that every later call fails; and it looks at the date of the kernel's own source
file alone, so that a kernel goes on with the former version of a helper that was changed in another file.

Before Numba looks into its cache it also fills its tables of types and functions, for 0.3 s of a processor in every
process. Machine code needs none of that, only the memory manager that arrays come from; when something has to be
compiled, the compiler fills the tables itself.
"""

from __future__ import annotations

import hashlib
import pickle
import warnings
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher
from numba.core.runtime.nrt import rtsys

_told: list[str] = []  # of this process


class KernelCache(FunctionCache):
    """The cache of one kernel. What cannot be read is compiled anew, what cannot be written is not kept; told once.

    Args:
        function: the kernel in Python.

    Raises:
        RuntimeError: there is no folder that can be written to.
    """

    def __init__(self, function: FunctionType) -> None:
        super().__init__(function)
        own = self._cache_file
        self._cache_file = _CheckedFile(own._cache_path, self._impl.filename_base, own._source_stamp)
        self._function, self._dated = function, False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel for these types; None where there is none that can be used."""
        if not self._dated:  # not before the first call: helpers may be defined further down
            self._cache_file._source_stamp = (self._cache_file._source_stamp, *_compiled_in(self._function))
            self._dated = True
        try:
            rtsys.initialize(target_context)  # all that machine code needs, see above
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception as error:  # noqa: BLE001  # damaged bytes can raise anything when they are unpickled
            _warn_once(f"{self.cache_path} holds a damaged file ({error!r}): kernels in it are compiled anew")
        try:
            self.flush()
        except OSError:  # neither read nor written
            self.disable()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled kernel for these types, where that is possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _warn_once(f"{self.cache_path} cannot be written ({error}): kernels are compiled in each process")
            self.disable()


class _CheckedFile(IndexDataCacheFile):
    """Numba's files with a checksum, without which damaged machine code would be run."""

    def _save_data(self, name: str, data: Any) -> None:
        content = self._dump(data)
        super()._save_data(name, (_checksum(content), content))

    def _load_data(self, name: str) -> Any:
        checksum, content = super()._load_data(name)
        if checksum != _checksum(content):
            raise ValueError(f"the checksum of {name} is another")
        return pickle.loads(content)


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _compiled_in(function: FunctionType) -> list[Any]:
    """What a kernel takes from elsewhere: dates of the sources of helpers, and the numbers that it knows by name."""
    found: dict[str, Any] = {}
    todo, done = [function], set()
    while todo:
        one = todo.pop()
        if one in done:
            continue
        done.add(one)
        source = Path(one.__code__.co_filename)
        if source.is_file():  # not where it was typed in
            found[str(source)] = (source.stat().st_mtime_ns, source.stat().st_size)
        for name in _names(one.__code__):
            value = one.__globals__.get(name)
            if isinstance(value, Dispatcher):
                todo.append(value.py_func)
            elif isinstance(value, (bool, int, float, str, tuple, np.generic, np.ndarray)):
                found[f"{one.__module__}.{name}"] = repr(value)
    return sorted(found.items())


def _names(code: CodeType) -> set[str]:
    """The names of globals and attributes in a function, and in those that are defined inside it."""
    return set(code.co_names).union(*(_names(one) for one in code.co_consts if isinstance(one, CodeType)))


def _warn_once(text: str) -> None:
    """The first trouble of a process is enough: there are many kernels."""
    if not _told:
        _told.append(text)
        warnings.warn(text, RuntimeWarning, stacklevel=2)
