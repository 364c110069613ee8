"""What a folder or a file is: which data set it holds, and who reads it."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minidet.data.coco import Coco
from minidet.data.coco_choice import coco_file_of_its_own, only_coco_file
from minidet.data.coco_files import instances
from minidet.data.images import SUFFIXES
from minidet.data.parts import Part
from minidet.data.paths import child, files_below, files_in, nearest
from minidet.data.records import Dataset
from minidet.data.shapes import Shapes
from minidet.data.voc import Voc
from minidet.data.voc_files import annotation_folder, class_names, image_lists
from minidet.data.yolo import Yolo
from minidet.data.yolo_files import NAME_FILES, describe, description_file
from minidet.data.yolo_places import ALIKE, SPLIT_FOLDERS
from minidet.wording import counted, did_you_mean

READERS: dict[str, Callable[..., Dataset]] = {"shapes": Shapes, "coco": Coco, "voc": Voc, "yolo": Yolo}
"""Who reads which kind."""
_ARCHIVES = (".zip", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True)
class Layout:
    """What a folder or a file was found to be."""

    kind: str
    """One of READERS."""
    path: Path
    """The folder or the file that the reader is given."""
    says: str
    """A sentence: what was found, and where."""
    splits: tuple[str, ...] = ()
    """The parts that the data set is divided into; none where it is whole."""
    files: dict[str, Path] = field(default_factory=dict)
    """For each split that is a data set of its own, its annotation file or its folder."""

    def split_like(self, name: str) -> str | None:
        """The split that is meant by a usual name: ``val`` is also valid, validation or val2017.

        Where nothing is set apart for val, ``train`` is also trainval.

        Args:
            name: such as ``train``, ``val`` or ``test``.

        Returns:
            One of the splits, or None.
        """
        if name in self.splits:
            return name
        words = next((words for words in ALIKE.values() if name.lower() in words), (name.lower(),))
        for years in ("", r"[-_]?\d+"):  # and nothing else may follow: trainval holds the images of val too
            form = re.compile(f"({'|'.join(map(re.escape, words))}){years}")
            found = [split for split in self.splits if form.fullmatch(split.lower())]
            if len(found) == 1:
                return found[0]
        both = [split for split in self.splits if re.fullmatch(r"trainval([-_]?\d+)?", split.lower())]
        apart = any(split.lower().startswith(ALIKE["val"]) for split in self.splits)
        return both[0] if "train" in words and len(both) == 1 and not found and not apart else None

    def open(self, split: str | None = None, **options: Any) -> Dataset:
        """The data set, or one part of it.

        Args:
            split: one of ``splits`` or what `split_like` takes for one; None: everything.
            options: what the reader takes.

        Raises:
            ValueError: there is no such split or option; or no split is given and the parts are data sets of their own.
        """
        known = [name for name in inspect.signature(READERS[self.kind]).parameters if name not in ("path", "root")]
        for name in options:
            if name not in known:
                told = did_you_mean(name, known, f"it has {known}")
                raise ValueError(
                    f"{name} is not an option of {self.path}, which is read by {READERS[self.kind].__name__}: {told}"
                )
        if split is not None and not self.splits:
            raise ValueError(f"split = {split!r}: {self.says} has no parts; leave split out")
        found = split and self.split_like(split)
        if split is not None and found is None:
            raise ValueError(f"split = {split!r} must be one of {list(self.splits)}: {self.says}")
        if self.kind == "shapes":
            return Shapes(**options)
        if not self.files:
            return READERS[self.kind](self.path, **({"split": found} if found else {}), **options)
        if found is None:
            raise ValueError(f"{self.says}: each part is a data set of its own; choose one with split")
        if self.kind == "voc" and options.get("classes") is None:
            options["classes"] = sorted(set().union(*map(class_names, self.files.values())))
        return READERS[self.kind](self.files[found], **options)


def open_dataset(
    source: str | Path, split: str | None = None, only: Iterable[int | str] | None = None,
    without: Iterable[int | str] = (), **options: Any,
) -> Dataset:  # fmt: skip
    """The data set that a name stands for.

    Args:
        source: ``"shapes"``, drawn on the fly (``./shapes`` is a folder of that name), or a folder or a file, of which
            `recognise` finds out what it is.
        split: a part of the data set, such as ``"train"`` or ``"val"``; None: everything.
        only: ids of the images to keep; None: all.
        without: ids of images to leave out.
        options: what Shapes, Coco (``images``, ``strict``, ``oriented``), Voc (these, ``classes``, ``first_pixel``) or
            Yolo (``strict``, ``oriented``) takes.

    Returns:
        The data set; what is wrong with it is told in ``faults``.

    Raises:
        ValueError: the source is no data set, or has no such split or option.

    >>> dataset = open_dataset("shapes", images=100)
    >>> dataset[0].image.shape, dataset.record(0).boxes.shape
    ((256, 256, 3), (11, 4))
    """
    dataset = recognise(source).open(split, **options)
    return dataset if only is None and not without else Part(dataset, only, without)


def recognise(source: str | Path) -> Layout:
    """Find out what a folder or a file is.

    Known are Pascal VOC (also with the XML files beside the images, or in folders named annotations and images), COCO
    as COCO itself, CVAT, Label Studio, FiftyOne and Roboflow lay it out, and YOLO text files. Where a folder holds more
    than one kind, COCO is taken before VOC and VOC before YOLO.

    Args:
        source: ``"shapes"``, a folder, a COCO JSON file, a YOLO data.yaml or obj.data.

    Returns:
        What it is.

    Raises:
        ValueError: it does not exist or is none of these; the message says what was found.

    >>> recognise("shapes").says
    'synthetic shapes, drawn on the fly'
    """
    path = Path(source)
    if source == "shapes":
        return Layout("shapes", path, "synthetic shapes, drawn on the fly")
    if path.is_file():
        return _file(path)
    if not path.is_dir():
        raise ValueError(f"source = {str(source)!r} does not exist: give 'shapes', or a file or folder of a data set")
    for look in (_coco, _voc, _yolo):
        found = look(path)
        if found is not None:
            return found
    below = [one for one in path.iterdir() if one.is_dir() and not one.name.startswith((".", "__MACOSX"))]
    if len(below) == 1 and files_below(below[0], ("",)):
        with contextlib.suppress(ValueError):  # then it is this folder of which is told what it holds
            return recognise(below[0])
    images, tables = len(files_below(path, SUFFIXES)), files_below(path, (".json", ".xml", ".txt", ".csv"))
    more = f", such as {tables[0]}" if tables else ""
    raise ValueError(
        f"source = {str(source)!r} holds no data set that is known, but {counted(images, 'image')} and "
        f"{counted(len(tables), 'text file')}{more}: give a folder with annotations.json (COCO), Annotations/ (Pascal "
        "VOC) or data.yaml (YOLO), or a COCO JSON file"
    )


def _file(path: Path) -> Layout:
    """A single file that is a data set or describes one."""
    if path.suffix.lower() in (".yaml", ".yml", ".data"):
        splits = tuple(name for name in describe(path).splits if name)
        return Layout("yolo", path, f"YOLO text files, described by {nearest(path)}{_parts(splits)}", splits)
    if path.suffix.lower() == ".xml":
        raise ValueError(f"source = {str(path)!r} is the annotation of one image: give the folder of the data set")
    if path.suffix.lower() in _ARCHIVES:
        raise ValueError(f"source = {str(path)!r} is an archive: unpack it, and give the folder or the file inside")
    if path.suffix.lower() in SUFFIXES:
        raise ValueError(f"source = {str(path)!r} is an image: give the folder of the data set")
    return Layout("coco", path, f"COCO annotations in {nearest(path)}")


def _coco(root: Path) -> Layout | None:
    """COCO JSON files in a folder, in its annotations/, or in its train/, valid/ and test/."""
    found = coco_file_of_its_own(root) or instances(root)
    folder = child(root, ("annotations", "annotation"))
    if not found and folder is not None:
        found = instances(folder)
    if len(found) == 1:
        return Layout("coco", found[0], f"COCO annotations in {nearest(found[0])}")
    files = {path.stem.removeprefix("instances_"): path for path in found}
    if not files:
        below = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in SPLIT_FOLDERS]
        files = {folder.name: path for folder in below if (path := only_coco_file(folder))}
    if not files:
        return None
    return Layout("coco", root, f"COCO annotations in {nearest(root)}{_parts(tuple(files))}", tuple(files), files)


def _voc(root: Path) -> Layout | None:
    """XML files in Annotations/, beside the images, or in train/, valid/ and test/."""
    folder = annotation_folder(root)
    if folder != root or files_in(root, ".xml") or child(root, ("annotations",)):
        count = len(files_below(folder, (".xml",)))
        if count:  # else it is a folder that was left empty, and the parts may hold them
            splits = tuple(image_lists(root)) if (root / "ImageSets").is_dir() else ()
            place = "beside the images" if folder == root else f"in {folder.name}/"
            says = f"Pascal VOC in {nearest(root)}, {counted(count, 'XML file')} {place}{_parts(splits, 'lists')}"
            return Layout("voc", root, says, splits)
    below = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name.lower() in SPLIT_FOLDERS]
    files = {path.name: path for path in below if files_below(annotation_folder(path), (".xml",))}
    says = f"Pascal VOC in {nearest(root)}{_parts(tuple(files))}"
    return Layout("voc", root, says, tuple(files), files) if files else None


def _yolo(root: Path) -> Layout | None:
    """A description of classes, or text files in labels/ or beside images."""
    described = description_file(root)
    names = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    labels = child(root, ("labels",))
    has_labels = labels is not None and files_below(labels, (".txt",))
    if described is None and names is None and not has_labels and not _text_beside_images(root):
        return None
    splits = tuple(name for name in describe(root).splits if name)
    how = (
        f"described by {described.name}" if described else f"classes in {names.name}" if names else "classes not named"
    )
    return Layout("yolo", root, f"YOLO text files in {nearest(root)}, {how}{_parts(splits)}", splits)


def _text_beside_images(root: Path) -> bool:
    """Whether some image has a text file of its own name beside it or in a folder labels/ beside its own."""
    for name in files_below(root, SUFFIXES)[:20]:
        path = root / name
        for text in (f"{path.stem}.txt", f"{path.stem}.TXT"):
            if (path.parent / text).is_file() or (path.parent.parent / "labels" / text).is_file():
                return True
    return False


def _parts(splits: tuple[str, ...], word: str = "parts") -> str:
    return f"; {word} {', '.join(splits)}" if splits else ""
