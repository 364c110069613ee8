"""What every script of a figure does: take `--out`, draw, save as SVG and PNG, and print where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from minidet.plotting import STYLE, save_figure

DEFAULT_OUT = Path("runs/figures")
"""Folder for pictures where no other is given."""


def run(
    name: str, description: str | None, draw: Callable[[], Figure], arguments: list[str] | None = None
) -> list[Path]:
    """The body of a script's main: draw the figure and write it to the folder of `--out`.

    Args:
        name: name of the files, without extension.
        description: what `--help` says; the script's docstring.
        draw: makes the figure.
        arguments: words of the command line; None for those of the process.

    Returns:
        The files written.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder for the picture (default: %(default)s)")
    options = parser.parse_args(arguments)
    with matplotlib.rc_context(STYLE):
        paths = save_figure(draw(), options.out, name)
    for path in paths:
        print(path)
    return paths
