"""`minidet detect`: draw what a finished run detects in images, and write it down."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli.arguments import RUNS, add_command, add_pixel_limit
from minidet.cli.outputs import file_identity
from minidet.cli.runs import add_path
from minidet.config import RunSettings

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
    command.add_argument("run_folder", type=Path, metavar="RUN", help="folder of the run")
    command.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files of any size")
    command.add_argument("--out", type=Path, default=RUNS / "detect", help="folder for pictures and detections.json")
    command.add_argument("--score", type=float, default=0.3, help="draw detections from this score on, 0 to 1")
    add_path(command)
    add_pixel_limit(command)


def run(options: argparse.Namespace) -> None:
    """Detect in one image after another; raises ValueError at the end if some could not be read."""
    from minidet.data import load_image
    from minidet.evaluation.detector import coco_results
    from minidet.files import write_json
    from minidet.paths import detect_images, load_network
    from minidet.plotting import detections_picture, save_figure
    from minidet.progress import Progress
    from minidet.runs import load_settings

    if not 0 <= options.score <= 1:
        raise ValueError(f"score = {options.score} must be in 0 … 1")
    names = PictureNames(options.out, options.images)
    settings = RunSettings.from_dict(load_settings(options.run_folder))
    model = load_network(options.run_folder, options.path)
    categories = settings.categories
    images: list[dict[str, Any]] = []
    found: list[Detections] = []
    failed = []
    for path in Progress(options.images, unit="image"):
        try:
            image = load_image(path)
        except ValueError as error:
            Progress.write(f"minidet: left out: {error}", file=sys.stderr)
            failed.append(path.name)
            continue
        found += detect_images(model, [image], settings.training.resize)
        picture = detections_picture(image, found[-1], categories.names, options.score)
        (saved,) = save_figure(picture, options.out, names.of(path), ("png",))
        size = {"height": image.shape[0], "width": image.shape[1]}
        images.append({"id": len(images) + 1, "file_name": str(path), **size, "picture": saved.name})
    entries = coco_results(found, [image["id"] for image in images], categories.ids)
    file = write_json(options.out / NAME, _content(images, entries, categories))
    drawn = sum(entry["score"] >= options.score for entry in entries)
    print(
        f"{len(entries)} detections in {len(images)} images, {drawn} of them drawn: {file} and the pictures beside it"
    )
    if failed:
        raise ValueError(
            f"{len(failed)} of {len(options.images)} images could not be read, see above: {', '.join(failed)}"
        )


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
        self.ours = self._earlier()
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

    def _earlier(self) -> set[str]:
        """The pictures that an earlier run wrote here."""
        path = self.out / NAME
        if not path.exists():
            return set()
        try:
            return {image["picture"] for image in json.loads(path.read_bytes())["images"]}
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} is another file and would be overwritten: move it, or give another --out"
            ) from None


def _content(images: list[dict[str, Any]], entries: list[dict[str, Any]], categories: Categories) -> dict[str, Any]:
    """The detections as a COCO data set."""
    annotations = [
        {"id": i, **entry, "area": entry["bbox"][2] * entry["bbox"][3], "iscrowd": 0}
        for i, entry in enumerate(entries, start=1)
    ]
    return {"images": images, "categories": categories.entries(), "annotations": annotations}
