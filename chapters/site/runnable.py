"""Chapters that run in the reader's browser: which they are, the button, and the archive of what their cells import."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from minidet.files import write_text

ROOT = Path(__file__).resolve().parents[2]
RUNNABLE = ("02", "05", "06")
"""The numbers of the chapters whose cells need NumPy and Matplotlib alone; a test runs them with nothing else.

Chapter 12 evaluates with COCO's metrics, which need Numba."""
PACKAGED = ("minidet", "figures")
BUTTON = '<span id="run-here"></span><script src="../play/run.js" defer></script>'


def archive() -> bytes:
    """The sources of the package as a zip file, the same for the same sources.

    Returns:
        The bytes; here.py lies beside the packages.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(path for name in PACKAGED for path in (ROOT / name).rglob("*.py")):
            zipped.writestr(zipfile.ZipInfo(path.relative_to(ROOT).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED)
        here = Path(__file__).with_name("here.py").read_bytes()
        zipped.writestr(zipfile.ZipInfo("here.py"), here, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def write(folder: Path) -> None:
    """Write the archive as a script, which a page from the file system can load.

    Args:
        folder: of the pages to play with.
    """
    text = base64.b64encode(archive()).decode("ascii")
    write_text(folder / "run_data.js", f'// Written by chapters/site/runnable.py.\nconst bookArchive = "{text}";\n')
