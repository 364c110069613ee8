"""Pascal VOC: one XML file per image.

    ROOT/Annotations/*.xml   ROOT/JPEGImages/*.jpg   ROOT/ImageSets/Main/train.txt …

VOC counts pixels from 1 and its corners are inclusive, so (xmin, ymin, xmax, ymax) covers the continuous box
(xmin - 1, ymin - 1, xmax, ymax). Some tools count from 0; then it covers (xmin, ymin, xmax, ymax).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from minidet.data.faults import (
    BAD_FLAG,
    DUPLICATE,
    NO_ANNOTATION,
    UNKNOWN_CLASS,
    UNREADABLE_ANNOTATION,
    UNSAFE_PATH,
    DatasetError,
    Fault,
)
from minidet.data.folder import Annotation, ImageFolder
from minidet.data.paths import child, files_below, is_inside, plain_name, stem
from minidet.data.records import numbered
from minidet.data.rotation import degrees_of
from minidet.data.text import read_text, truth
from minidet.data.voc_files import (
    IMAGE_FOLDERS,
    annotation_folder,
    attribute_in,
    image_lists,
    number_in,
    object_names,
    parse_annotation,
    size_in,
    text_in,
)


class Voc(ImageFolder):
    """A Pascal VOC folder, or one with the images and their XML files beside each other.

    The image id is the XML file's name without ``.xml``, with the folders below ``Annotations`` if there are any.
    Without ``classes``, they are those that ``classes.txt`` lists, or else all names in the folder, sorted, whatever
    the split, so that a class has the same index in every split.

    An image is the file of the image folder with the annotation's name, or else the one named in ``<filename>``. Left
    out, as faults: images that are missing or empty or have no annotation, XML that cannot be read or has a DOCTYPE
    (which may declare entities), boxes of no area or outside the image, duplicates. A box with xmax <= xmin or
    ymax <= ymin counts as one of no area: strictly, inclusive corners make xmin == xmax one pixel wide, but in practice
    it is what a click without a drag leaves in annotation tools. Boxes partly outside are clipped, as faults.
    ``difficult`` objects are kept and marked ``ignore``.

    Args:
        root: the folder.
        split: a list in ImageSets/Main (``"train"``, ``"val"``, ``"trainval"``); None: all annotations, sorted by name.
        classes: (K,) the names and their order.
        strict: raise at the first fault.
        oriented: read images as a viewer shows them (see `load_image`).
        first_pixel: the coordinate of the first pixel's left edge, 1 as VOC counts or 0.
        images: the folder of images; None: JPEGImages or another usual name, else where the XML files are.

    Raises:
        ValueError: there are no XML files or images, or no such split; a name is not in the ``classes`` given; with
            ``strict`` for every fault.
    """

    def __init__(
        self, root: str | Path, split: str | None = None, classes: Sequence[str] | None = None, strict: bool = False,
        oriented: bool = True, first_pixel: int = 1, images: str | Path | None = None,
    ) -> None:  # fmt: skip
        root = Path(root)
        if first_pixel not in (0, 1):
            raise ValueError(f"first_pixel = {first_pixel!r} must be 1, as VOC counts, or 0")
        if isinstance(classes, str) or (classes is not None and len(set(classes)) != len(classes)):
            raise ValueError(f"classes = {classes!r} must be a list of different names")
        self.annotations = annotation_folder(root)
        folder = Path(images) if images is not None else child(root, IMAGE_FOLDERS) or self.annotations
        if not folder.is_dir():
            raise ValueError(f"images = {str(folder)!r} is not a folder: give the one with the images")
        super().__init__(root.resolve().name, folder, strict, oriented, first_pixel)
        files: dict[str, Path] = {}
        for name in files_below(self.annotations, (".xml",)):
            first = files.setdefault(stem(name), self.annotations / name)
            if first.name != Path(name).name:  # .xml and .XML
                problem = f"is of the same image as {first.name}: not read; remove one of the two"
                self.report(DUPLICATE, stem(name), name, problem)
        if not files and not self.known_images.names:
            raise ValueError(f"{root} holds no XML files: a Pascal VOC folder has them in Annotations/")
        self.annotation_files = [*files.values(), *image_lists(root).values(), root / "classes.txt"]
        wanted = list(files) if split is None else self._read_split(root, split, files)
        needed = files.keys() if classes is None else files.keys() & wanted  # all, to know the names in the folder
        parsed = {name: parse_annotation(files[name]) for name in needed}
        self.classes = tuple(classes) if classes is not None else self._named(root, parsed.values())
        self.category_ids = numbered(self.classes)
        self._from_zero = 0
        for name in wanted:
            self._read_image(name, parsed.get(name, "is not in Annotations, but in the list"))
        if split is None:
            self._report_images_without_annotation()
        self.check_names(root.name)
        if self._from_zero and first_pixel == 1:
            self.notes.append(
                f"{self._from_zero} boxes begin at 0, where Pascal VOC begins at 1: if this data counts from 0, read "
                "it with first_pixel=0, or its boxes are one pixel off"
            )

    def _read_split(self, root: Path, split: str, files: dict[str, Path]) -> list[str]:
        """The names in an image-set list; its lines are a name, in lists of one class followed by a flag."""
        lists = image_lists(root)
        if split not in lists:
            raise ValueError(f"split = {split!r} must be one of the lists of {root}: {sorted(lists)}")
        known = {plain_name(name): name for name in files}
        names: dict[str, None] = {}
        for line in read_text(lists[split]).splitlines():
            whole = line.strip()
            if not whole:
                continue
            cut = re.sub(r"\s+(-1|0|1)$", "", whole)
            candidates = [form for one in (whole, cut) for form in (one, stem(one), stem(one).rpartition("/")[2])]
            name = next((known[plain_name(one)] for one in candidates if plain_name(one) in known), cut)
            if name in names:
                self.report(DUPLICATE, name, f"{split}.txt", f"holds {name} twice: kept once; remove a line")
            names[name] = None
        return list(names)

    def _named(self, root: Path, parsed: Iterable[ElementTree.Element | str]) -> tuple[str, ...]:
        """The classes that classes.txt lists if it has all that occur, and else these, sorted."""
        names = {name for tree in parsed if not isinstance(tree, str) for name in object_names(tree)}
        listed = root / "classes.txt"
        if not listed.is_file():
            return tuple(sorted(names))
        order = list(dict.fromkeys(line.strip() for line in read_text(listed).splitlines() if line.strip()))
        missing = sorted(names - set(order))
        if missing:
            problem = f"lacks {missing}: not followed, classes are sorted by name; add them or remove the file"
            self.report(UNKNOWN_CLASS, None, "classes.txt", problem)
        return tuple(sorted(names) if missing else order)

    def _read_image(self, name: str, tree: ElementTree.Element | str) -> None:
        where = f"{name}.xml"
        if isinstance(tree, str):
            self.report(UNREADABLE_ANNOTATION, name, where, f"{tree}: left out; repair or remove it")
            return
        named = text_in(tree, "filename")
        file_name = self._image_of(name, named)
        if named and not is_inside(named):
            remedy = "not followed" + ("" if file_name else ", image left out")
            problem = f"has <filename> {named!r}, outside the data set's folder: {remedy}; correct it in the file"
            self.report(UNSAFE_PATH, name, where, problem)
            if file_name is None:
                return
        objects = self._objects(name, tree)
        self.add_image(name, where, file_name or named or f"{name}.jpg", size_in(tree), objects)

    def _image_of(self, name: str, named: str) -> str | None:
        """The image of an annotation: the one of its name, of several the one that it names; or else that one."""
        own = self.known_images.by_stem.get(plain_name(name), [])
        if len(own) > 1:
            return (
                next((one for one in own if plain_name(one).endswith(plain_name(named))), own[0]) if named else own[0]
            )
        if own:
            return own[0]
        folder, _, last = name.rpartition("/")
        tried = [f"{folder}/{named}" if folder else named, named] if named and is_inside(named) else []
        found = next((found for one in tried if (found := self.known_images.find(one))), None)
        return found or (self.known_images.find_last_part(f"{last}.jpg") if folder else None)

    def _report_images_without_annotation(self) -> None:
        used = {record.file_name for record in self._records} | {fault.image_id for fault in self.faults}
        for name in self.known_images.names:
            if name not in used and stem(name) not in used:
                problem = "has no annotation: left out; if nothing is to be seen on it, give it one without objects"
                self.report(NO_ANNOTATION, stem(name), name, problem)

    def _objects(self, name: str, tree: ElementTree.Element) -> list[Annotation]:
        annotations = []
        for number, item in enumerate(tree.findall("object"), start=1):
            label = text_in(item, "name")
            where = f"{name}.xml: object {number} ({label})"
            texts = [text_in(item, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")]
            x1, y1, x2, y2 = (number_in(text) for text in texts)
            written = f"({', '.join(text or '?' for text in texts)})"
            if not label or not all(map(math.isfinite, (x1, y1, x2, y2))):
                problem = f"has no name or no box of four numbers, {written}: left out; fix or remove it in the file"
                self.report(UNREADABLE_ANNOTATION, name, where, problem)
                continue
            if label not in self.classes:
                detail = f"{where} is of class {label!r}, which is not in classes = {self.classes}: add or rename it"
                raise DatasetError(Fault(UNKNOWN_CLASS, name, where, detail))
            self._from_zero += 0 in (x1, y1)
            try:
                difficult = truth(text_in(item, "difficult"))
            except ValueError as error:
                difficult = False
                self.report(BAD_FLAG, name, where, f"has a bad <difficult>: {error}; taken as false")
            try:
                degrees = degrees_of(attribute_in(item, "rotation"))
            except ValueError as error:
                degrees = 0.0
                self.report(BAD_FLAG, name, where, f"has a bad rotation: {error}; taken as 0")
            place, corners = self.classes.index(label), (x1, y1, x2, y2)
            annotations.append(Annotation(where, written, corners, place, difficult, crowd=False, rotation=degrees))
        return annotations
