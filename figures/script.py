"""What every script of a figure does: take `--out`, measure if asked to, draw, save as SVG and PNG, print where."""

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
    name: str, description: str | None, draw: Callable[[], Figure], arguments: list[str] | None = None,
    measure: Callable[[], object] | None = None,
) -> list[Path]:  # fmt: skip
    """The body of a script's main: draw the figure and write it to the folder of `--out`.

    Args:
        name: name of the files, without extension.
        description: what `--help` says; the script's docstring.
        draw: makes the figure.
        arguments: words of the command line; None for those of the process.
        measure: what `--measure` does before the figure is drawn; None: there is no such option.

    Returns:
        The files written.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder for the picture (default: %(default)s)")
    if measure:
        parser.add_argument("--measure", action="store_true", help="measure first what is drawn, and keep it")
    options = parser.parse_args(arguments)
    if measure and options.measure:
        measure()
    with matplotlib.rc_context(STYLE):
        paths = save_figure(draw(), options.out, name)
    for path in paths:
        print(path)
    return paths
