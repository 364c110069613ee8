"""`minidet data`: make data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minidet.cli.arguments import add_command
from minidet.cli.sources import SHAPES, add_sizes


def add(commands: Any) -> None:
    """Add the commands and their arguments."""
    kinds = commands.add_parser("data", help="make data sets").add_subparsers(required=True, metavar="KIND")
    command = add_command(kinds, "shapes", run, "write the synthetic data set of shapes as a COCO folder")
    command.add_argument(
        "--out", type=Path, required=True, help="folder to make; a finished or broken-off one is continued"
    )
    command.add_argument("--images", type=int, default=1000, help="how many images")
    command.add_argument("--seed", type=int, default=0, help="which images")
    command.add_argument("--height", type=int, default=256, help="of the images, pixels")
    command.add_argument("--width", type=int, default=256, help="of the images, pixels")
    add_sizes(command)


def run(options: argparse.Namespace) -> None:
    """Write shapes as a COCO folder."""
    from minidet.data.shapes import Shapes, export_coco

    given = {known: getattr(options, name) for name, known in SHAPES.items() if getattr(options, name) is not None}
    dataset = Shapes(image_size=(options.height, options.width), **given)
    print(f"wrote {export_coco(dataset, options.out)}")
