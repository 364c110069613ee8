"""Where, when and with what something was measured: of the experiments' runs, and of the benchmarks."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import minidet


def circumstances() -> dict[str, Any]:
    """The device, the threads, the commit, the versions and the time, as JSON types.

    Returns:
        ``gpu`` (whether there is one), ``device`` (its name, else the processor's), ``threads`` (PyTorch's), ``commit``
        (see `commit`), ``versions`` by package, and ``date`` (UTC, to the second).
    """
    import torch

    gpu = torch.cuda.is_available()
    return {
        "gpu": gpu,
        "device": torch.cuda.get_device_name() if gpu else processor(),
        "threads": torch.get_num_threads(),
        "commit": commit(Path(minidet.__file__).parent.parent),
        "versions": {
            "minidet": minidet.__version__, "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "numpy", "numba")},
        },
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip


def processor() -> str:
    """The name of the processor, as exactly as the operating system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit(root: Path) -> str | None:
    """The commit of a checkout.

    Args:
        root: the folder of the checkout.

    Returns:
        The commit's hash, with "-dirty" when the package differs from it; None outside of a checkout.
    """

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)

    try:
        head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", "minidet")
    except FileNotFoundError:  # there is no git
        return None
    return None if head.returncode else head.stdout.strip() + ("-dirty" if changed.stdout else "")
