"""What every figure's script does: take `--out`, draw, save as SVG and PNG, say where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from minidet.plotting import STYLE, save_figure

DEFAULT_OUT = Path("runs/figures")


def run(
    name: str, description: str | None, draw: Callable[[], Figure], arguments: list[str] | None = None
) -> list[Path]:
    """The body of a script's main: draw the figure called `name` and write it to the folder of `--out`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder for the picture (default: %(default)s)")
    options = parser.parse_args(arguments)
    with matplotlib.rc_context(STYLE):
        paths = save_figure(draw(), options.out, name)
    for path in paths:
        print(path)
    return paths


def write_text(path: Path, text: str) -> Path:
    """Write a file in one step and say where it is."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    print(temporary.replace(path))
    return path
