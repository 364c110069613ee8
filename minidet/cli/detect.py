"""`minidet detect`: draw what a finished run detects in images, and write it down."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli.arguments import RUNS, add_command, add_pixel_limit, add_tiles
from minidet.cli.images import image_files
from minidet.cli.outputs import file_identity
from minidet.cli.runs import add_path, add_run, load_run
from minidet.cli.scores import above, drawn_from
from minidet.wording import counted

if TYPE_CHECKING:
    from minidet.structures import Categories, Detections

NAME = "detections.json"
"""What is written beside the pictures."""


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    command = add_command(
        commands, "detect", run, "detect objects in images with a finished run",
        "Writes for each image a picture with boxes, classes and scores, and detections.json, a COCO data set whose "
        "annotations have a score: all detections above 0.05 (model.postprocess.score_threshold), drawn or not. An "
        "image that cannot be read is told and left out; the others are done, and the exit status is 1. No file is "
        "overwritten but those that an earlier detect wrote into the same folder.",
    )  # fmt: skip
    add_run(command)
    command.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE",
        help="image files of any size, folders of them (with those below), or patterns such as 'photos/*.jpg'",
    )  # fmt: skip
    command.add_argument("--out", type=Path, default=RUNS / "detect", help="folder for pictures and detections.json")
    command.add_argument(
        "--score", default="0.3",
        help="draw detections from this score on, 0 to 1; or: best, for each class the score with the best F1 on the "
        "images that the run was evaluated on",
    )  # fmt: skip
    command.add_argument(
        "--as-stored", action="store_true",
        help="leave images as they are stored, without turning them as their EXIF orientation asks; so is a run that "
        "was trained with --as-stored",
    )  # fmt: skip
    add_tiles(command)
    add_path(command)
    add_pixel_limit(command)


def run(options: argparse.Namespace) -> None:
    """Detect in one image after another; raises ValueError at the end if some could not be read."""
    from minidet.data import load_image
    from minidet.evaluation.detector import coco_results
    from minidet.files import write_json
    from minidet.paths.tiles import detect_with
    from minidet.plotting import detections_picture, save_figure
    from minidet.progress import Progress

    paths = image_files(options.images, [options.out / name for name in earlier_pictures(options.out)])
    names = PictureNames(options.out, paths)
    model, settings = load_run(options.run_folder, options.path, options.best)
    categories = settings.categories
    oriented = not options.as_stored and (settings.data or {}).get("oriented", True)
    thresholds = drawn_from(options.score, options.run_folder, categories)
    images: list[dict[str, Any]] = []
    found: list[Detections] = []
    failed, drawn = [], 0
    with _known_as_drawn(options.out, names.ours, images):
        for path in Progress(paths, unit="image"):
            try:
                image = load_image(path, oriented)
            except ValueError as error:
                Progress.write(f"minidet: left out: {error}", file=sys.stderr)
                failed.append(path.name)
                continue
            found += detect_with(model, [image], settings.training.resize, options.tiles)
            shown = above(found[-1], thresholds)
            drawn += len(shown.scores)
            picture = detections_picture(image, shown, categories.names, 0.0)
            (saved,) = save_figure(picture, options.out, names.of(path), ("png",))
            size = {"height": image.shape[0], "width": image.shape[1]}
            name = str(path if ".." not in path.parts else path.resolve())
            images.append({"id": len(images) + 1, "file_name": name, **size, "picture": saved.name})
    entries = coco_results(found, [image["id"] for image in images], categories.ids)
    file = write_json(options.out / NAME, _content(images, entries, categories))
    what = f"{counted(len(entries), 'detection')} in {counted(len(images), 'image')}"
    from_score = "the one with the best F1, for each class" if options.score == "best" else options.score
    why = f"scores of at least {from_score}; --score changes it"
    print(f"{what}, {drawn} of them drawn ({why})\n{file} and the pictures beside it")
    if failed:
        raise ValueError(f"{len(failed)} of {len(paths)} images could not be read, see above: {', '.join(failed)}")


class PictureNames:
    """Names for pictures in a folder, so that none takes the place of another or of a file that was there before.

    Pictures that an earlier run of the command wrote into the folder, by the word of its detections.json, are replaced.

    Args:
        out: the folder.
        images: the images that are read; none of them is ever overwritten.

    Raises:
        ValueError: the folder holds a detections.json that this command did not write.
    """

    def __init__(self, out: Path, images: Sequence[Path]) -> None:
        self.out = out
        self.inputs = {file_identity(path) for path in images}
        self.ours = earlier_pictures(out)
        self.taken: set[str] = set()

    def of(self, image: Path) -> str:
        """The name, without extension, of the picture of an image: its own, or with the first number that is free."""
        for number in itertools.count(1):
            name = image.stem if number == 1 else f"{image.stem}_{number}"
            if self._is_free(f"{name}.png"):
                break
        self.taken.add(f"{name}.png".casefold())
        return name

    def _is_free(self, file_name: str) -> bool:
        if file_name.casefold() in self.taken:  # some file systems do not tell cases apart
            return False
        identity = file_identity(self.out / file_name)
        return identity is None or (file_name in self.ours and identity not in self.inputs)


def earlier_pictures(out: Path) -> set[str]:
    """The names of the pictures that an earlier run of the command wrote into a folder.

    Args:
        out: the folder.

    Raises:
        ValueError: the folder holds a detections.json that this command did not write.
    """
    from minidet.data.drawn import detected_pictures

    path = out / NAME
    if not path.exists():
        return set()
    pictures = detected_pictures(path)
    if pictures is None:
        raise ValueError(f"{path} is another file and would be overwritten: move it, or give another --out")
    return pictures


@contextmanager
def _known_as_drawn(out: Path, earlier: set[str], images: Sequence[dict[str, Any]]) -> Iterator[None]:
    """List the pictures that no detections.json names: those of a command that is stopped, and of earlier commands."""
    from minidet.data.drawn import list_pictures

    try:
        yield
    except BaseException:
        list_pictures(out / image["picture"] for image in images)
        raise
    list_pictures(out / name for name in sorted(earlier - {image["picture"] for image in images}))


def _content(images: list[dict[str, Any]], entries: list[dict[str, Any]], categories: Categories) -> dict[str, Any]:
    """The detections as a COCO data set."""
    annotations = [
        {"id": i, **entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
        for i, entry in enumerate(entries, start=1)
    ]
    return {"images": images, "categories": categories.entries(), "annotations": annotations}
