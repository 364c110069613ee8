"""The command `minidet`; also `python -m minidet`.

Each command is a function that takes its parsed arguments; what it needs is imported when it runs, so that `--help`
is instant. A ValueError or an unreadable file is told in one line, without a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minidet

RUNS = Path("runs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 wrong arguments, 130 interrupted."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (ValueError, OSError) as error:
        print(f"minidet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("minidet: interrupted", file=sys.stderr)
        return 130
    return 0


def inspect(options: argparse.Namespace) -> None:
    """Look at a data set as a dense detector will."""
    from minidet.config import AssignmentConfig, ResizeConfig
    from minidet.data import doctor
    from minidet.plotting import inspection_page, save_figure

    dataset = _open(options)
    resize = None
    if options.source != "shapes" and not options.native:
        resize = ResizeConfig(options.shorter_side, options.longer_side)
    report = doctor.inspect(
        dataset,
        assignment=AssignmentConfig(options.positive_iou, options.negative_iou),
        resize=resize,
        check_images=not options.skip_images,
    )
    print(report.table())
    page = save_figure(inspection_page(report, dataset), options.out, f"inspect_{_slug(dataset.name)}", ("png",))[0]
    print(f"\npage: {page}")
    if options.json:
        print(f"data: {_write_json(options.json, report.to_dict())}")


def export_shapes(options: argparse.Namespace) -> None:
    """Write the synthetic data set as a COCO folder."""
    from minidet.data.shapes import Shapes, export_coco

    dataset = Shapes(images=options.images, seed=options.seed, image_size=(options.height, options.width))
    print(f"wrote {export_coco(dataset, options.out)}")


def reproduce(options: argparse.Namespace) -> None:
    """Everything that the project shows, in one go."""
    import io
    from contextlib import redirect_stdout

    from tqdm import tqdm

    figures = _figures()
    jobs: list[tuple[str, Any]] = [
        (
            "inspect shapes",
            lambda: main(
                ["inspect", "shapes", "--images", str(options.images), "--out", str(options.out)]
                + ["--json", str(options.out / "inspect_shapes.json")]
            ),
        )
    ]
    jobs += [(name, lambda figure=figure: figure(["--out", str(options.out)])) for name, figure in figures]
    options.out.mkdir(parents=True, exist_ok=True)
    with tqdm(jobs, unit="job") as progress:
        for name, job in progress:
            progress.set_description(name)
            with redirect_stdout(io.StringIO()):
                result = job()
            if result == 1:
                raise ValueError(f"{name} failed, see above")
    print(f"\nin {options.out}:")
    for path in sorted(options.out.iterdir()):
        print(f"  {path.name}")


def _figures() -> list[tuple[str, Any]]:
    """(name, main) of the figures' scripts, which lie beside the package in a checkout."""
    root = Path(minidet.__file__).resolve().parent.parent
    if not (root / "figures" / "figure1.py").is_file():
        raise ValueError(
            f"reproduce draws with the scripts in figures/, which are part of a checkout and not of the installed "
            f"package: clone the repository and run it there (looked in {root})"
        )
    sys.path.insert(0, str(root))
    from figures import figure1, figure5, figure6

    return [("figure 1", figure1.main), ("figure 5", figure5.main), ("figure 6", figure6.main)]


def _open(options: argparse.Namespace) -> Any:
    """The data set that the arguments name."""
    from minidet.data import open_dataset

    settings: dict[str, Any] = {}
    if options.source == "shapes":
        settings = {"images": options.images, "seed": options.seed}
    elif options.split:
        settings = {"split": options.split}
    elif options.image_folder:
        settings = {"images": options.image_folder}
    return open_dataset(options.source, **settings)


def _write_json(path: Path, data: Any) -> Path:
    """Write in one step, so that the file is never half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return temporary.replace(path)


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in Path(name).stem) or "data"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="minidet", description="Focal loss and RetinaNet, from scratch. Each command explains itself with --help."
    )
    parser.add_argument("--version", action="version", version=f"minidet {minidet.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Any, text: str, more: str = "", to: Any = commands) -> argparse.ArgumentParser:
        command = to.add_parser(
            name, help=text, description=f"{text}. {more}", formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        command.set_defaults(command=function)
        return command

    command = add(
        "inspect",
        inspect,
        "look at a data set as a dense detector will, before training on it",
        "Prints a table and writes a page of pictures: what is wrong with the annotations, how the boxes fit the "
        "anchors (a class that no anchor fits is never found), how many anchors are positive, and what the loss is "
        "made of when training starts.",
    )
    command.add_argument("source", metavar="DATA", help="a Pascal VOC folder, a COCO JSON file or folder, or: shapes")
    command.add_argument("--split", help="Pascal VOC: the list in ImageSets/Main to read (train, val, …)")
    command.add_argument("--image-folder", help="COCO: where the images are, if not beside the JSON file")
    command.add_argument("--images", type=int, default=200, help="shapes: how many images")
    command.add_argument("--seed", type=int, default=0, help="shapes: which images")
    command.add_argument(
        "--shorter-side", type=int, default=600, help="images are resized to this shorter side, pixels"
    )
    command.add_argument(
        "--longer-side", type=int, default=1333, help="unless the longer side would exceed this, pixels"
    )
    command.add_argument("--native", action="store_true", help="do not resize (shapes never are)")
    command.add_argument("--positive-iou", type=float, default=0.5, help="an anchor is assigned from this IoU on")
    command.add_argument("--negative-iou", type=float, default=0.4, help="and is background below this one")
    command.add_argument("--skip-images", action="store_true", help="do not try to decode every image")
    command.add_argument("--out", type=Path, default=RUNS / "inspect", help="folder for the page")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the same as data to this file")

    data = commands.add_parser("data", help="make data sets").add_subparsers(required=True, metavar="KIND")
    command = add("shapes", export_shapes, "write the synthetic data set of shapes as a COCO folder", to=data)
    command.add_argument(
        "--out", type=Path, required=True, help="folder to make; a finished or broken-off one is continued"
    )
    command.add_argument("--images", type=int, default=1000, help="how many images")
    command.add_argument("--seed", type=int, default=0, help="which images")
    command.add_argument("--height", type=int, default=256, help="of the images, pixels")
    command.add_argument("--width", type=int, default=256, help="of the images, pixels")

    command = add("reproduce", reproduce, "run everything that the project shows", "Needs a checkout.")
    command.add_argument("--out", type=Path, default=RUNS / "reproduce", help="folder for the results")
    command.add_argument("--images", type=int, default=200, help="images of shapes to inspect")
    return parser
