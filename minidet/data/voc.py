"""Pascal VOC: one XML file an image.

    ROOT/Annotations/*.xml   ROOT/JPEGImages/*.jpg   ROOT/ImageSets/Main/train.txt …

VOC counts pixels from 1 and its corners are inclusive, so (xmin, ymin, xmax, ymax) covers the continuous box
(xmin - 1, ymin - 1, xmax, ymax).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from minidet.data.faults import (
    DUPLICATE,
    UNKNOWN_CLASS,
    UNREADABLE_ANNOTATION,
    UNSAFE_PATH,
    DatasetError,
    Fault,
)
from minidet.data.folder import Annotation, ImageFolder, is_inside
from minidet.data.records import numbered

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")
"""What an image's name may end with, in either case, to be found by its stem."""


class Voc(ImageFolder):
    """A Pascal VOC folder.

    ``split`` names a list in ImageSets/Main (``"train"``, ``"val"``, ``"trainval"``); without it every annotation is
    read, sorted by name. ``classes`` gives the names and their order; without it they are all names in the folder,
    sorted, whatever the split, so that a class has the same index in every split. The image id is the XML file's stem.

    An image is the file of JPEGImages with the annotation's stem, or else the one named in ``<filename>``. Left out, as
    faults: images that are missing or empty, XML that cannot be read or has a DOCTYPE (which may declare entities),
    boxes of no area or outside the image, duplicates. A box with xmax <= xmin or ymax <= ymin counts as one of no area:
    strictly, inclusive corners make xmin == xmax one pixel wide, but in practice it is what a click without a drag
    leaves in annotation tools. Boxes partly outside are clipped, as faults. ``difficult`` objects are kept and marked
    ``ignore``.

    Raises ValueError when the folder or the split is not there, and for a name that is not in the ``classes`` given;
    with ``strict`` for every fault.
    """

    first_pixel = 1

    def __init__(
        self, root: str | Path, split: str | None = None, classes: Sequence[str] | None = None, strict: bool = False
    ) -> None:
        root = Path(root)
        super().__init__(root.resolve().name, root / "JPEGImages", strict)
        for folder in (root / "Annotations", self.images):
            if not folder.is_dir():
                raise ValueError(f"{folder} is not a folder: root must hold Annotations/ and JPEGImages/")
        if isinstance(classes, str) or (classes is not None and len(set(classes)) != len(classes)):
            raise ValueError(f"classes = {classes!r} must be a list of different names")
        everything = {path.stem: path for path in sorted((root / "Annotations").glob("*.xml"))}
        wanted = list(everything) if split is None else self._read_split(root / "ImageSets" / "Main", split)
        files = [path for path in self.images.iterdir() if path.suffix.lower() in SUFFIXES]
        by_stem = {path.stem: path.name for path in sorted(files, reverse=True)}
        needed = everything if classes is None else everything.keys() & wanted  # all, to know the names in the folder
        parsed = {stem: _parse(everything[stem]) for stem in needed}
        if classes is None:
            roots = [tree for tree in parsed.values() if not isinstance(tree, str)]
            classes = sorted({_text(item, "name") for tree in roots for item in tree.findall("object")} - {""})
        self.classes = tuple(classes)
        self.category_ids = numbered(self.classes)
        for stem in wanted:
            tree = parsed.get(stem, "is not in Annotations, but in the list")
            where = f"{stem}.xml"
            if isinstance(tree, str):
                self._report(UNREADABLE_ANNOTATION, stem, where, f"{tree}: left out; repair or remove it")
                continue
            named = _text(tree, "filename")
            if named and not is_inside(named):
                remedy = "not followed" + ("" if stem in by_stem else ", image left out")
                problem = f"has <filename> {named!r}, outside the data set's folder: {remedy}; correct it in the file"
                self._report(UNSAFE_PATH, stem, where, problem)
                if stem not in by_stem:
                    continue
            self._add(
                stem, where, by_stem.get(stem, named or f"{stem}.jpg"), _image_size(tree), self._objects(stem, tree)
            )

    def _read_split(self, folder: Path, split: str) -> list[str]:
        """The stems in an image-set list; its lines are a name, in lists of one class followed by a flag."""
        known = sorted(path.stem for path in folder.glob("*.txt"))
        if split not in known:
            raise ValueError(f"split = {split!r} must be one of the lists in {folder}: {known}")
        names: dict[str, None] = {}
        for line in (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines():
            name = re.sub(r"\s+(-1|0|1)$", "", line.strip())
            if name in names:
                self._report(DUPLICATE, name, f"{split}.txt", f"holds {name} twice: kept once; remove a line")
            elif name:
                names[name] = None
        return list(names)

    def _objects(self, stem: str, tree: ElementTree.Element) -> list[Annotation]:
        """The objects of a file, those without a name or four finite numbers left out."""
        annotations = []
        for number, item in enumerate(tree.findall("object"), start=1):
            name = _text(item, "name")
            where = f"{stem}.xml: object {number} ({name})"
            texts = [_text(item, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
            x1, y1, x2, y2 = (_number(text) for text in texts)
            written = f"({', '.join(text or '?' for text in texts)})"
            if not name or not all(map(math.isfinite, (x1, y1, x2, y2))):
                problem = f"has no name or no box of four numbers, {written}: left out; fix or remove it in the file"
                self._report(UNREADABLE_ANNOTATION, stem, where, problem)
                continue
            if name not in self.classes:
                detail = f"{where} is of class {name!r}, which is not in classes = {self.classes}: add or rename it"
                raise DatasetError(Fault(UNKNOWN_CLASS, stem, where, detail))
            difficult = _number(_text(item, "difficult")) == 1
            annotations.append(
                Annotation(where, written, (x1, y1, x2, y2), self.classes.index(name), difficult, crowd=False)
            )
        return annotations


def _parse(path: Path) -> ElementTree.Element | str:
    """The root of an annotation file, or what is wrong with it."""
    data = path.read_bytes()
    if b"<!DOCTYPE" in data.replace(b"\0", b""):  # entities are declared there: a few lines could unpack to gigabytes
        return "has a DOCTYPE, which annotations do not need"
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two: an unknown encoding
        return f"is not XML ({error})" if data else "is empty"
    return root if root.tag == "annotation" else f"has root <{root.tag}> in place of <annotation>"


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _image_size(tree: ElementTree.Element) -> tuple[int, int] | None:
    """(height, width) as annotated; None where it is missing or 0, as some tools leave it."""
    height, width = _number(_text(tree, "size/height")), _number(_text(tree, "size/width"))
    return (int(height), int(width)) if 1 <= height < 2**31 and 1 <= width < 2**31 else None
