"""What every script of a figure does: take `--out`, measure if asked to, draw, save as SVG and PNG, print where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minidet.experiments.results import RESULTS, load_results
from minidet.plotting import STYLE, save_figure

DEFAULT_OUT = Path("runs/figures")
"""Folder for pictures where no other is given."""


def run(
    name: str, description: str | None, draw: Callable[..., Figure], arguments: list[str] | None = None,
    measure: Callable[[], object] | None = None, of_runs: bool = False,
) -> list[Path]:  # fmt: skip
    """The body of a script's main: draw the figure and write it to the folder of `--out`.

    Args:
        name: name of the files, without extension.
        description: what `--help` says; the script's docstring.
        draw: makes the figure.
        arguments: words of the command line; None for those of the process.
        measure: what `--measure` does before the figure is drawn; None: there is no such option.
        of_runs: whether there is an option `--results`, the folder of the runs that are given to `draw`.

    Returns:
        The files written.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder for the picture (default: %(default)s)")
    if measure:
        parser.add_argument("--measure", action="store_true", help="measure first what is drawn, and keep it")
    if of_runs:
        parser.add_argument(
            "--results", type=Path, default=RESULTS, help="folder of the runs, if not the committed ones"
        )
    options = parser.parse_args(arguments)
    if measure and options.measure:
        measure()
    with matplotlib.rc_context(STYLE):
        figure = draw(load_results(options.results)) if of_runs else draw()
        paths = save_figure(figure, options.out, name)
    for path in paths:
        print(path)
    return paths


def not_run_yet(ax: Axes, names: str) -> None:
    """Say in an empty panel how to get its runs.

    Args:
        ax: the panel.
        names: the tables to run, as words of the command line.
    """
    ax.text(0.5, 0.5, f"not run yet:\nminidet experiments run {names}", transform=ax.transAxes, ha="center")
