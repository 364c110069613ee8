"""Numba's cache on disk whatever happens to its files, and kernels in forked processes and in threads."""

from __future__ import annotations

import errno
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidet.compiled import cache

ROOT = Path(__file__).parents[2]
HELPER = """
from minidet.compiled.jit import helper

FACTOR = {factor}

@helper
def twice(x):
    return {factor} * x
"""
KERNEL = """
from minidet.compiled.jit import kernel
from a_helper import FACTOR, twice

@kernel
def multiple(x):
    return twice(x) + {more}
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch) -> Callable[[], float]:
    """A kernel of 21 that calls a helper of another file, loaded anew, as in a new process."""
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path, 2)

    def in_a_new_process() -> float:
        monkeypatch.setattr(cache, "_told", [])
        for name in ("a_helper", "a_kernel"):
            monkeypatch.delitem(sys.modules, name, raising=False)
            importlib.invalidate_caches()
        module: Any = importlib.import_module("a_kernel")
        return float(module.multiple(21))

    return in_a_new_process


def write(folder: Path, factor: int, more: str = "0") -> None:
    (folder / "a_helper.py").write_text(HELPER.format(factor=factor))
    if more != "0" or not (folder / "a_kernel.py").exists():
        (folder / "a_kernel.py").write_text(KERNEL.format(more=more))


def cached(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / "__pycache__").glob(f"a_kernel*.{suffix}"))


def emptied(content: bytes) -> bytes:
    return b""


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def zeros_in_the_middle(content: bytes) -> bytes:
    """As many bytes as before, of which a power cut has lost a few."""
    half = len(content) // 2
    return content[:half] + bytes(len(content) // 8) + content[half + len(content) // 8 :]


@pytest.mark.parametrize(("suffix", "damage"), [("nbi", emptied), ("nbc", halved), ("nbc", zeros_in_the_middle)])
def test_what_is_damaged_is_compiled_anew(tmp_path: Path, call, suffix: str, damage) -> None:
    assert call() == 42
    for path in cached(tmp_path, suffix):
        path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(RuntimeWarning, match="holds a damaged file .*: kernels in it are compiled anew") as told:
        assert call() == 42
    assert len(told) == 1
    assert call() == 42  # without a word: it was kept again


def test_a_full_disk_is_told_once(tmp_path: Path, call, monkeypatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(cache.IndexDataCacheFile, "_save_index", full)
        with pytest.warns(RuntimeWarning, match="cannot be written .*No space left") as told:
            assert call() == 42
    assert len(told) == 1
    assert cached(tmp_path, "nbc") == []
    assert call() == 42
    assert len(cached(tmp_path, "nbc")) == 1


@pytest.mark.parametrize("more", ["0", "FACTOR"])
def test_a_change_in_another_file_counts(tmp_path: Path, call, more: str) -> None:
    """Helpers are compiled into the kernel, and numbers of other modules too."""
    write(tmp_path, 2, more)
    assert call() == 42 + (2 if more == "FACTOR" else 0)
    write(tmp_path, 300, more)
    assert call() == 6300 + (300 if more == "FACTOR" else 0)


SHARED = """
import os, threading
import numpy as np
from minidet import compiled
corner = np.random.default_rng(0).uniform(0, 60, (200, 2))
boxes = np.concatenate([corner, corner + 20], axis=1)
wanted = compiled.box_iou(boxes, boxes)  # starts the threads
child = os.fork()
if not child:
    os._exit(0 if np.array_equal(compiled.box_iou(boxes, boxes), wanted) else 3)
print("child", os.waitpid(child, 0)[1])
same = []
work = lambda: same.extend(np.array_equal(compiled.box_iou(boxes, boxes), wanted) for _ in range(20))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("threads", len(same), all(same))
"""


@pytest.mark.subprocess
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
@pytest.mark.parametrize("layer", ["omp", "workqueue"])
def test_forked_processes_and_threads(layer: str) -> None:
    """OpenMP ends a process that was forked and asks for threads, the work queue one that two threads ask at once."""
    environment = os.environ | {"NUMBA_THREADING_LAYER": layer, "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-c", SHARED]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["child 0", "threads 160 True"], done.stderr
