"""`minidet data`: make data sets, and write one in the form of another."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minidet.cli.arguments import add_command, add_pixel_limit
from minidet.cli.sources import SHAPES, SOURCES, add_sizes, add_source_options, source_options

KINDS = ("coco", "voc", "yolo")
"""The forms that can be written."""


def add(commands: Any) -> None:
    """Add the commands and their arguments."""
    kinds = commands.add_parser("data", help="make data sets").add_subparsers(required=True, metavar="shapes|convert")
    command = add_command(kinds, "shapes", write_shapes, "write the synthetic data set of shapes as a COCO folder")
    command.add_argument(
        "--out", type=Path, required=True, help="folder to make; a finished or broken-off one is continued"
    )
    command.add_argument("--images", type=int, default=1000, help="how many images")
    command.add_argument("--seed", type=int, default=0, help="which images")
    command.add_argument("--height", type=int, default=256, help="of the images, pixels")
    command.add_argument("--width", type=int, default=256, help="of the images, pixels")
    add_sizes(command)

    command = add_command(
        kinds, "convert", write_converted, "write a data set in the form of another, with a copy of its images",
        "The boxes stay the same to the bit; what a form has no words for, and what was wrong in the data, is told.",
    )  # fmt: skip
    command.add_argument("source", metavar="DATA", help=SOURCES)
    command.add_argument("--to", choices=KINDS, required=True, help="the form to write")
    command.add_argument("--out", type=Path, required=True, help="folder to make")
    add_source_options(command, "DATA")
    add_pixel_limit(command)


def write_shapes(options: argparse.Namespace) -> None:
    """Write shapes as a COCO folder."""
    from minidet.data.shapes import Shapes, export_coco

    given = {known: getattr(options, name) for name, known in SHAPES.items() if getattr(options, name) is not None}
    dataset = Shapes(image_size=(options.height, options.width), **given)
    print(f"wrote {export_coco(dataset, options.out)}")


def write_converted(options: argparse.Namespace) -> None:
    """Write a data set in another form."""
    from minidet import wording
    from minidet.data.convert import convert

    done = convert(options.source, options.out, options.to, **source_options(options, options.source))
    for line in done.told:
        print(line)
    print(f"wrote {done.path}: {wording.counted(done.images, 'image')}, {wording.counted(done.boxes, 'box', 'boxes')}")
