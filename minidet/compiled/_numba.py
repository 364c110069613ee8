"""How this path compiles: one decorator for all kernels, and the array types that they take."""

from __future__ import annotations

import numpy as np
from numba import njit

kernel = njit(cache=True, nogil=True, error_model="numpy")
"""Compiled without the GIL, kept on disk; a division by zero gives inf as in NumPy. IEEE arithmetic: no fast-math, so
that what decides (IoU, order) decides as in the reference."""

parallel_kernel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)
"""The same, with `prange` spread over the cores; compiles longer, so only where it pays."""


def native(array: np.ndarray) -> np.ndarray:
    """The array as contiguous float32 or float64: float64 for any other floating type."""
    dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
    return np.ascontiguousarray(array, dtype)


def wide(array: np.ndarray) -> np.ndarray:
    """The array as contiguous float64."""
    return np.ascontiguousarray(array, np.float64)
