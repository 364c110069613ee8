"""How this path compiles: one decorator for all kernels, and the threads that they run on."""

from __future__ import annotations

import functools
import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType
from typing import Any

from numba import config, get_num_threads, njit
from numba.np.ufunc import threading_layer

from minidet.compiled.cache import KernelCache

_MOST: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
"""Threads: what the variable NUMBA_NUM_THREADS says, or the number of cores."""
_WORTH_A_THREAD = 50_000
"""Steps of an inner loop that take about as long as it takes to wake a thread."""
_PARTS = 4
"""Into how many parts the share of a thread is cut, so that one that is held up leaves its last ones to the others."""
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

inlined = njit(nogil=True, error_model="numpy", inline="always")
"""The same for those that a loop must have in it before it is optimised, or it would not turn into vectors."""

sums = compiler(inner=True, fastmath={"contract", "reassoc", "nsz"})
"""The same for sums, whose terms may be added in any order: LLVM then adds vectors, and multiplies and adds at once."""


def parallel_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` whose tasks are shared out among the cores.

    The function does the tasks from `first` to `stop`, its first two arguments, and tasks may not depend on one
    another. It is called with the number of tasks and the work in them, in steps of an inner loop, instead; where that
    is little, no other thread is woken. The threads are Python's: Numba's own would make the kernel take half as long
    again to compile, spin while they wait, and end a process that was forked. Such a process computes alone, because
    forked processes are many and share the cores already.
    """
    compiled = kernel(function)

    @functools.wraps(function)
    def call(tasks: int, work: int, *arguments: Any) -> None:
        cores = min(tasks, work // _WORTH_A_THREAD, threads())
        if cores < 2:
            compiled(0, tasks, *arguments)
            return
        parts = cores * _PARTS
        bounds = [tasks * part // parts for part in range(parts + 1)]
        ranges = itertools.pairwise(bounds)

        def share() -> None:
            for first, stop in ranges:  # whoever is free takes the next
                compiled(first, stop, *arguments)

        others = [_pool().submit(share) for _ in range(cores - 1)]
        share()
        for other in others:
            if not other.cancel():  # it has begun
                other.result()

    return call


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, _MOST - 1), "minidet")


def threads() -> int:
    """How many threads may compute: `_MOST`, or what `numba.set_num_threads` has set in this thread."""
    if _forked.is_set():
        return 1
    try:
        threading_layer()
    except ValueError:  # nobody has asked Numba for threads, so nobody has set their number
        return _MOST
    return int(get_num_threads())
