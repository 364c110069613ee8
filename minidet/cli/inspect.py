"""`minidet inspect`: look at a data set as a dense detector will."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli.arguments import PRESETS, RUNS, add_command, add_pixel_limit, preset
from minidet.cli.outputs import check_outputs, slug
from minidet.cli.sources import SOURCES, add_source_options, source_options
from minidet.config import AssignmentConfig, ResizeConfig

if TYPE_CHECKING:
    from minidet.config import AnchorConfig


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    paper, rule = ResizeConfig(), AssignmentConfig()
    command = add_command(
        commands, "inspect", run, "look at a data set as a dense detector will, before training on it",
        "Prints a table and writes a page of pictures: what is wrong with the annotations, how the boxes fit the "
        "anchors (a class that no anchor fits is never found), how many anchors are positive, and what the loss is "
        "made of when training starts.",
    )  # fmt: skip
    command.add_argument("source", metavar="DATA", help=SOURCES)
    add_source_options(command, "DATA")
    add_pixel_limit(command)
    command.add_argument(
        "--suggest", action="store_true",
        help="also find the cheapest anchors that fit 99 in 100 boxes at this size, and show the coverage with them",
    )  # fmt: skip
    command.add_argument("--anchors", choices=PRESETS, default="paper", help="whose anchors to look at the data with")
    command.add_argument(
        "--shorter-side", type=int, default=paper.shorter_side, help="images are resized to this shorter side, pixels"
    )
    command.add_argument(
        "--longer-side", type=int, default=paper.longer_side, help="unless the longer side would exceed this, pixels"
    )
    command.add_argument("--native", action="store_true", help="do not resize (shapes never are)")
    command.add_argument(
        "--positive-iou", type=float, default=rule.positive_iou, help="an anchor is assigned from this IoU on"
    )
    command.add_argument(
        "--negative-iou", type=float, default=rule.negative_iou, help="and is background below this one"
    )
    command.add_argument("--skip-images", action="store_true", help="do not try to decode every image")
    command.add_argument("--out", type=Path, default=RUNS / "inspect", help="folder for the page")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the same as data to this file")


def run(options: argparse.Namespace) -> None:
    """Print the table and write the page, and the anchors that fit better where they are asked for."""
    from minidet.data import open_dataset, recognise
    from minidet.data.drawn import list_pictures
    from minidet.files import write_json
    from minidet.inspection import compared, inspect
    from minidet.inspection.page import inspection_page
    from minidet.inspection.suggest import suggest_anchors
    from minidet.plotting import save_figure

    given = source_options(options, options.source)
    if options.source == "shapes":
        given = {"images": 200, **given}
    dataset = open_dataset(options.source, **given)
    resize = None
    if options.source != "shapes" and not options.native:
        resize = ResizeConfig(options.shorter_side, options.longer_side)
    rule = AssignmentConfig(options.positive_iou, options.negative_iou)
    anchors = preset(options.anchors, max(1, len(dataset.classes))).anchors
    name = f"inspect_{slug(dataset.name)}"
    names = [name, f"{name}_suggested"] if options.suggest else [name]
    outputs = [options.out / f"{page}.png" for page in names] + [options.json]
    check_outputs(outputs, data=[dataset])

    print(recognise(options.source).says)
    report = inspect(dataset, anchors, rule, resize=resize, check_images=not options.skip_images)
    print(report.table())
    list_pictures(options.out / f"{page}.png" for page in names)
    pages = save_figure(inspection_page(report, dataset), options.out, name, ("png",))
    content = report.to_dict()
    if options.suggest:
        better = suggest_anchors(dataset, rule, resize)
        suggested = inspect(dataset, better, rule, resize=resize, check_images=False)
        print(f"\n{compared(report, suggested)}\n\n{_how_to_use(better)}")
        pages += save_figure(inspection_page(suggested, dataset), options.out, f"{name}_suggested", ("png",))
        content["suggested"] = suggested.to_dict()
    print("\n" + "\n".join(f"page: {page}" for page in pages))
    if options.json:
        print(f"data: {write_json(options.json, content)}")


def _how_to_use(anchors: AnchorConfig) -> str:
    """How to train with these anchors: the short way, and the one that names each number."""
    default = asdict(type(anchors)())
    changed = {name: value for name, value in asdict(anchors).items() if value != default[name]}
    return (
        "minidet train --anchors suggested finds the same for the training data and size; these very anchors are\n"
        f"  --set 'model.anchors={json.dumps(changed)}'"
    )
