"""Run the notebooks of this folder and keep their outputs, or check that the kept ones are still what the code gives.

    python chapters/execute.py [--check] [--times] [NOTEBOOK ...]

Without names: all. A notebook runs in this folder, with the Python that runs this script, and is written back only
after every cell has run. A cell with the tag not-compared may say something else each time (a measured time).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent
INDEX = HERE / "README.md"

TIMEOUT = 900
"""Seconds a cell may take, on a machine that does other things too."""

THREADS = "1"
"""Of PyTorch: sums over more threads are rounded otherwise, and the tests run notebooks side by side."""


class OwnKernel(AsyncKernelManager):
    """The Python that runs this script, whatever kernels the user has installed, reached without the network."""

    def __init__(self, folder: str, **options: Any) -> None:
        # Without folders to look for kernels in, only the one that ipykernel makes of sys.executable is left.
        kernels = KernelSpecManager(kernel_dirs=[])
        if os.name == "posix":
            options |= {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        super().__init__(
            kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=kernels, **options
        )


def execute(path: Path) -> Any:
    """The notebook with the outputs that its code gives now; raises CellExecutionError where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="book") as folder:
        client = NotebookClient(
            notebook, OwnKernel(folder), timeout=TIMEOUT, record_timing=False, coalesce_streams=True,
            resources={"metadata": {"path": HERE}},
        )  # fmt: skip
        own = {"IPYTHONDIR": folder, "OMP_NUM_THREADS": THREADS}  # none of the user's
        client.execute(cleanup_kc=True, env=os.environ | own)
    notebook.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": NATIVE_KERNEL_NAME,
        },
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    return notebook


def texts(notebook: Any) -> list[str]:
    """What each code cell says, "" where that is not compared: printed and displayed text; images and widgets aside."""
    said = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compared = "not-compared" not in cell.metadata.get("tags", ())
            said.append("".join(map(_text, cell.outputs)) if compared else "")
    return said


def write(notebook: Any, path: Path) -> None:
    """In one step, so that the file is never half a notebook."""
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    temporary.replace(path)


def index_times(text: str, name: str, notebook: Any, seconds: float) -> str:
    """The index of the book with the minutes that a chapter itself names, and the seconds that running it took.

    Raises:
        ValueError: the chapter has no row in the index, or does not say how long it takes to read.
    """
    row = re.search(rf"^\|.*\]\({re.escape(name)}\).*$", text, re.MULTILINE)
    said = re.search(r"[Aa]bout\s+(\d+)\s+minutes", notebook.cells[0].source)
    if row is None or said is None:
        raise ValueError(
            f"{name}: no row in {INDEX.name}, or no 'about … minutes' in its first cell"
        )
    times = f"| {said[1]} min | {max(1, round(seconds))} s |"
    return text.replace(row[0], re.sub(r"\| \d+ min \| \d+ s \|$", times, row[0]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "notebooks", type=Path, nargs="*", help="default: every one in this folder"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; fail where printed outputs differ",
    )
    parser.add_argument(
        "--times",
        action="store_true",
        help="write minutes of reading and seconds of processor time into the index; on a quiet machine",
    )
    options = parser.parse_args(arguments)
    failed = False
    for path in options.notebooks or sorted(HERE.glob("*.ipynb")):
        began, before = time.perf_counter(), os.times()
        notebook = execute(path)
        seconds, after = time.perf_counter() - began, os.times()
        work = (
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        if options.check:
            kept = nbformat.read(path, as_version=4)
            pairs = enumerate(zip(texts(kept), texts(notebook), strict=True), start=1)
            different = [number for number, (old, new) in pairs if old != new]
            failed |= bool(different)
            state = (
                f"code cells {different} say something else now"
                if different
                else "as committed"
            )
        else:
            write(notebook, path)
            state = f"{path.stat().st_size / 1000:.0f} kB"
        if options.times:
            text = INDEX.read_text(encoding="utf-8")
            INDEX.write_text(
                index_times(text, path.name, notebook, work), encoding="utf-8"
            )
        print(
            f"{path.name}: {seconds:.0f} s ({work:.0f} s of processor time), {state}",
            flush=True,
        )
    return int(failed)


def _text(output: Any) -> str:
    if output.output_type == "stream":
        return output.text if output.name == "stdout" else ""
    data = output.get("data", {})
    return data.get("text/markdown", data.get("text/plain", ""))


if __name__ == "__main__":
    sys.exit(main())
