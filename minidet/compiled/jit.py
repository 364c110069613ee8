"""How this path compiles: one decorator for all kernels, and the threads that they run on."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable
from types import FunctionType
from typing import Any

from numba import get_num_threads, njit

from minidet.compiled.cache import KernelCache

_one_at_a_time = threading.Lock()
_forked = threading.Event()
"""Whether this process was forked from another one after this module was loaded: then it has none of its threads."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.set)


def compiler(inner: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: `numba.njit` with what all kernels share: no GIL, division by zero as in NumPy, and kept on disk.

    Kernels are kept beside the source, or in the user's cache folder where that is read-only. Where neither can be
    written, the kernel is compiled anew in each process.

    Args:
        inner: whether only kernels call the function; without an entry from Python and from C it compiles faster.
        options: further arguments of `numba.njit`.

    Returns:
        A decorator for a function.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        settings = {"nogil": True, "error_model": "numpy", **options}
        if inner:
            settings |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        compiled = njit(**settings)(function)
        if isinstance(function, FunctionType) and hasattr(compiled, "_cache"):  # not with NUMBA_DISABLE_JIT=1
            try:
                compiled._cache = KernelCache(function)
            except RuntimeError as error:
                if "cannot cache" not in str(error):
                    raise
        return compiled

    return decorate


kernel = compiler()
"""The decorator of kernels. IEEE arithmetic, no fast-math: what decides (IoU, order) decides as in the reference."""

helper = compiler(inner=True)
"""The decorator of functions that only kernels call."""

sums = compiler(inner=True, fastmath={"contract", "reassoc", "nsz"})
"""The same for sums, whose terms may be added in any order: LLVM then adds vectors, and multiplies and adds at once."""


def parallel_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` whose `prange` is spread over the cores.

    It takes longer to compile, so it is used only where it pays, and with little inside. Threads of Python take turns,
    because not every threading layer of Numba serves several at once. A forked process, which a layer ends as soon as
    it asks for threads, computes alone: such processes are many, and share the cores already.
    """
    compiled = compiler(parallel=True)(function)

    @functools.cache
    def alone() -> Any:
        return compiler()(_renamed(function, "alone"))

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        if _forked.is_set():
            return alone()(*arguments)
        with _one_at_a_time:
            _start_threads()
            return compiled(*arguments)

    return call


def _renamed(function: Callable[..., Any], more: str) -> Callable[..., Any]:
    """The same function under another name, which Numba keeps apart in its cache."""
    assert isinstance(function, FunctionType)
    name = f"{function.__name__}_{more}"
    copy = FunctionType(function.__code__, function.__globals__, name, function.__defaults__, function.__closure__)
    copy.__qualname__ = name
    copy.__module__ = function.__module__
    return copy


@functools.cache
def _start_threads() -> None:
    """Let Numba start its threads without changing those of others.

    With GNU's OpenMP it sets the number of threads of the whole process, which PyTorch then uses too: put that back.
    """
    try:
        openmp = ctypes.CDLL("libgomp.so.1")
    except OSError:  # another system, another threading layer
        return
    before = openmp.omp_get_max_threads()
    get_num_threads()
    openmp.omp_set_num_threads(before)
