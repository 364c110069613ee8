"""Weights in a file of plain arrays (.npz), which every path can read and nothing in which is ever run."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from minidet import checks, files


def save_weights(path: str | os.PathLike[str], state: Mapping[str, ArrayLike]) -> None:
    """Write arrays by name, whole or not at all (see ``minidet.files``).

    Args:
        path: the file, by custom *.npz.
        state: name -> array of numbers.

    Raises:
        ValueError: a value is not an array of numbers.
        OSError: the file cannot be written.
    """
    arrays = {name: checks.layers.numbers(f"state[{name!r}]", value) for name, value in state.items()}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]  # any name but "file" is free
    files.write_bytes(path, file.getvalue())


def load_weights(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what `save_weights` wrote.

    Args:
        path: the file.

    Returns:
        name -> array.

    Raises:
        ValueError: the file is damaged, or holds anything but plain arrays.
        OSError: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} does not hold plain arrays alone: write it with save_weights ({error})") from error
