"""YOLO text files: one per image, a line per object, in fractions of the image's width and height.

    data.yaml   images/train/a.jpg   labels/train/a.txt:   CLASS CENTRE_X CENTRE_Y WIDTH HEIGHT

A line with more numbers is an outline, CLASS X1 Y1 X2 Y2 X3 Y3 …; the bounds of its points are the box.

A fraction of six digits leaves a corner in doubt by less than a thousandth of a pixel. Within that doubt the shortest
number is taken, so that the whole pixels in which people draw boxes come back exactly.
"""

from __future__ import annotations

import math
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path

from minidet.data.faults import (
    DUPLICATE,
    MISSING_IMAGE,
    SAME_NAME,
    UNKNOWN_CLASS,
    UNREADABLE_ANNOTATION,
    UNREADABLE_IMAGE,
)
from minidet.data.folder import Annotation, ImageFolder
from minidet.data.images import image_size
from minidet.data.paths import files_below
from minidet.data.records import numbered
from minidet.data.text import read_text
from minidet.data.yolo_files import (
    NOT_LABELS,
    Description,
    describe,
    description_file,
    image_ids,
    images_of,
    labels_of,
)
from minidet.data.yolo_places import without_dots
from minidet.files import is_file

_DIGITS = 9
_FEWEST = 6
"""Digits after the point that tools write, of which some leave out zeros at the end."""
_LARGEST = 9_999
"""Without names, a class of a higher number is a slip: there would be as many classes."""
_OUTSIDE = 1.5
"""Fractions above this are no slip at the border: they are pixels."""


class Yolo(ImageFolder):
    """A folder of YOLO text files, as Ultralytics, Roboflow, CVAT, Label Studio, LabelImg and Darknet lay it out.

    Classes are those of data.yaml, obj.names or classes.txt; where none says, they are numbers. Classes of one name are
    one class, as a fault. Images are sorted by name; one without a text file, or with an empty one, has no objects. The
    image id is its path in the data set without ``images`` and, unless two would be one, without its ending.

    Left out, as faults: images that are missing or cannot be opened, text files without an image, lines that are no box
    or outline, unknown classes, boxes of no area or outside the image, duplicates. Boxes partly outside are clipped, as
    faults.

    Args:
        path: the folder, its data.yaml or its obj.data.
        split: one of the parts that data.yaml names or that lie in folders of their own; None: all of them.
        strict: raise at the first fault.
        oriented: read images as a viewer shows them (see `load_image`).

    Raises:
        ValueError: there are no images, no such split, or a description that cannot be read; with ``strict`` for every
            fault.
    """

    def __init__(self, path: str | Path, split: str | None = None, strict: bool = False, oriented: bool = True) -> None:
        path = Path(path)
        found = describe(path)
        if split is not None and split not in found.splits:
            raise ValueError(f"split = {split!r} must be one of the parts of {path}: {sorted(found.splits)}")
        described = description_file(path)
        chosen = [one for name, places in found.splits.items() if split in (None, name) for one in places]
        sources = [without_dots(one) for one in chosen]
        images = list(
            dict.fromkeys(without_dots(image) for source in sources for image in images_of(source, described))
        )
        if not images:
            raise ValueError(f"{path} holds no images in {', '.join(map(str, sources))}")
        root = without_dots(path if path.is_dir() else path.parent)
        if not all(image.is_relative_to(root) for image in images):  # links are not followed: labels are beside them
            images, sources = [image.absolute() for image in images], [source.absolute() for source in sources]
            root = root.absolute()
        if not all(image.is_relative_to(root) for image in images):
            root = Path(os.path.commonpath([image.parent for image in images]))
        super().__init__(root.resolve().name, root, strict, oriented)
        labels = {image: labels_of(image) for image in images}
        lists = [source for source in sources if is_file(source)]
        self.annotation_files = [*labels.values(), *filter(None, (described, found.named_in)), *lists]
        self.notes += found.notes
        self._with_keypoints = found.with_keypoints
        self._set_classes(found, list(labels.values()))
        without = sum(not is_file(file) for file in labels.values())
        if without:
            self.notes.append(f"{without} of {len(images)} images have no text file: taken as images without objects")
        names = [image.relative_to(root).as_posix() for image in labels]
        for (image, file), name, image_id in zip(labels.items(), names, image_ids(names), strict=True):
            self._read_image(image, file, name, image_id)
        self._report_labels_of_several_images(labels)
        self._report_labels_without_image(sources, set(labels.values()))

    def _set_classes(self, found: Description, files: list[Path]) -> None:
        """The classes, and the class of each number that lines begin with."""
        names, where = found.names, found.named_in.name if found.named_in else self.name
        self._named = bool(names)
        if not names:
            texts = [line for file in files if is_file(file) for line in _lines_if_readable(file)]
            numbers = {int(parsed[0]) for line in texts if (parsed := self._parse(line))}
            names = {k: str(k) for k in range(max((k for k in numbers if k <= _LARGEST), default=-1) + 1)}
            self.notes.append("no file names the classes: they are called by their numbers")
        self.classes = tuple(dict.fromkeys(names[k] for k in sorted(names)))
        self.category_ids = numbered(self.classes)
        place = {name: i for i, name in enumerate(self.classes)}
        self._labels = {k: place[name] for k, name in names.items()}
        groups: dict[str, list[int]] = {}
        for k in sorted(names):
            groups.setdefault(names[k], []).append(k)
        for name, same in groups.items():
            if len(same) > 1:
                problem = f"names classes {', '.join(map(str, same))} alike, {name!r}: taken as one; rename them if not"
                self.report(SAME_NAME, None, where, problem)
        self.check_names(where)

    def _read_image(self, image: Path, file: Path, name: str, image_id: str) -> None:
        if not is_file(image):
            self.report(MISSING_IMAGE, image_id, image_id, f"has no image {image}: left out; restore or remove it")
            return
        try:
            size = image_size(image, self.oriented)
        except ValueError as error:
            self.report(UNREADABLE_IMAGE, image_id, name, f"is left out: {error}")
            return
        annotations = []
        try:
            lines = _lines(file) if is_file(file) else []
        except ValueError as error:
            self.report(UNREADABLE_ANNOTATION, image_id, file.name, f"is not read: {error}")
            lines = []
        for number, line in enumerate(lines, start=1):
            if line:
                annotation = self._object(image_id, f"{file.name}: line {number}", line, size)
                annotations += [annotation] if annotation else []
        self.add_image(image_id, file.name, name, size, annotations)

    def _object(self, image_id: str, where: str, line: str, size: tuple[int, int]) -> Annotation | None:
        """A line as an object; None, as a fault, where it is none."""
        words = line.replace(",", " ").split()
        numbers = self._parse(line)
        if numbers is None:
            problem = f"= {line[:60]!r} is neither CLASS and 4 numbers nor CLASS and an outline of 3 or more points"
            self.report(UNREADABLE_ANNOTATION, image_id, where, f"{problem}: left out; fix it")
            return None
        values = [float(number) for number in numbers]
        if max(map(abs, values[1:])) > _OUTSIDE:
            problem = f"= {line[:60]!r} has numbers above 1: left out; write fractions of the image's width and height"
            self.report(UNREADABLE_ANNOTATION, image_id, where, problem)
            return None
        if int(values[0]) not in self._labels:
            named = f"{len(self._labels)} named" if self._named else "numbers up to 9999 that are taken without names"
            problem = f"is of class {words[0]}, which is not among the {named}: left out; add its name"
            self.report(UNKNOWN_CLASS, image_id, where, problem)
            return None
        label = self._labels[int(values[0])]
        corners = _corners(values[1:], _doubt(numbers[1:]), size)
        where = f"{where} ({self.classes[label]})"
        return Annotation(where, f"({' '.join(words[1:5])}{' …' * (len(words) > 5)})", corners, label, False, False)

    def _parse(self, line: str) -> list[Decimal] | None:
        """The numbers of a line: a class, and a box or an outline; None where it is neither."""
        try:
            numbers = [Decimal(word) for word in line.replace(",", " ").split()]
            numbers = numbers[:5] if self._with_keypoints else numbers
            values = [float(number) for number in numbers]
        except (InvalidOperation, ValueError, OverflowError):  # no number, or one that is not to be computed with
            return None
        usable = len(values) == 5 or (len(values) >= 7 and len(values) % 2)
        return numbers if usable and all(map(math.isfinite, values)) and values[0] == int(values[0]) else None

    def _report_labels_of_several_images(self, labels: dict[Path, Path]) -> None:
        """Images that differ in their ending alone have one text file, which can be true of one of them only."""
        groups: dict[Path, list[str]] = {}
        for image, file in labels.items():
            groups.setdefault(file, []).append(image.relative_to(self.images).as_posix())
        for file, names in groups.items():
            if len(names) > 1 and is_file(file):
                problem = f"is the text file of {len(names)} images, {', '.join(names)}: all kept; rename all but one"
                self.report(DUPLICATE, None, file.name, problem)

    def _report_labels_without_image(self, sources: list[Path], used: set[Path]) -> None:
        """Text files that belong to no image."""
        folders = {source: labels_of(source / "a.jpg").parent for source in sources if source.is_dir()}
        for folder in dict.fromkeys(folder for folder in folders.values() if folder.is_dir()):
            for name in files_below(folder, (".txt",)):
                if folder / name not in used and name.lower() not in NOT_LABELS:
                    self.report(MISSING_IMAGE, None, name, "has no image: left out; restore the image or remove it")


def _lines(file: Path) -> list[str]:
    return [line.strip() for line in read_text(file).splitlines()]


def _lines_if_readable(file: Path) -> list[str]:
    """Those of a file, none of one that cannot be read, which is told when its image is read."""
    try:
        return _lines(file)
    except ValueError:
        return []


def _doubt(numbers: list[Decimal]) -> float:
    """By how much the numbers of a line may differ from what they stand for: half of the last digit of the longest."""
    exponents = [number.as_tuple().exponent for number in numbers]
    return 0.5 * 10.0 ** min(-_FEWEST, *(int(exponent) for exponent in exponents))


def _corners(values: list[float], doubt: float, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box in pixels, of centre and sides or of an outline's points."""
    height, width = size
    if len(values) == 4:
        x, y, w, h = values
        xs, ys, doubt = [x - w / 2, x + w / 2], [y - h / 2, y + h / 2], 1.5 * doubt
    else:
        xs, ys = values[::2], values[1::2]
    across, down = ([_shortest(v * side, doubt * side) for v in vs] for vs, side in ((xs, width), (ys, height)))
    if len(values) == 4:  # a negative side stays one, to be told
        return across[0], down[0], across[1], down[1]
    return min(across), min(down), max(across), max(down)


def _shortest(value: float, doubt: float) -> float:
    """The number with the fewest decimals that is within the doubt."""
    for digits in range(_DIGITS):
        rounded = round(value, digits)
        if abs(rounded - value) <= doubt:
            return rounded
    return value
