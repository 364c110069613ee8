"""How this path compiles: one decorator for all kernels, and the threads that they run on."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from numba import get_num_threads, njit
from numba.core.runtime.nrt import rtsys


def compiler(inner: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: `numba.njit` with what all kernels share: no GIL, division by zero as in NumPy, and kept on disk.

    Numba keeps its cache beside the source, or in the user's cache folder where that is read-only. Where neither can be
    written it refuses to compile at all; then the kernel is compiled anew in each process.

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
        try:
            return _loaded_alone(njit(cache=True, **settings)(function))
        except RuntimeError as error:
            if "cannot cache" not in str(error):
                raise
            return njit(**settings)(function)

    return decorate


def _loaded_alone(dispatcher: Any) -> Any:
    """Let machine code that is on disk be loaded without everything that Numba needs to compile.

    Before Numba looks into its cache it fills its tables of types and functions, for 0.3 s of a processor in every
    process. Machine code needs none of that, only the memory manager that arrays come from. When something has to be
    compiled, the compiler fills the tables itself.
    """
    cache: Any = getattr(dispatcher, "_cache", None)
    if not hasattr(cache, "_load_overload"):  # Python without the compiler, or another version of Numba
        return dispatcher

    def load(signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, context)

    cache.load_overload = load
    return dispatcher


kernel = compiler()
"""The decorator of kernels. IEEE arithmetic, no fast-math: what decides (IoU, order) decides as in the reference."""

helper = compiler(inner=True)
"""The decorator of functions that only kernels call."""

sums = compiler(inner=True, fastmath={"contract", "reassoc", "nsz"})
"""The same for sums, whose terms may be added in any order: LLVM then adds vectors, and multiplies and adds at once."""


def parallel_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` whose `prange` is spread over the cores.

    It takes longer to compile, so it is used only where it pays, and with little inside.
    """
    compiled = compiler(parallel=True)(function)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        _start_threads()
        return compiled(*arguments)

    return call


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
