"""What lies in a Pascal VOC folder, and what stands in its XML files."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from minidet.data.paths import child, files_below, files_in
from minidet.data.text import parse_xml

ANNOTATION_FOLDERS = ("annotations", "annotation", "xml", "xmls", "labels", "ann")
"""Names of the folder with the XML files, in either case."""
IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img", "data")
"""Names of the folder with the images, in either case."""


def annotation_folder(root: Path) -> Path:
    """The folder with the XML files: one of ANNOTATION_FOLDERS that holds some, or the root itself.

    Args:
        root: of the data set.
    """
    folder = child(root, ANNOTATION_FOLDERS)
    return folder if folder is not None and (files_below(folder, (".xml",)) or not files_in(root, ".xml")) else root


def image_lists(root: Path) -> dict[str, Path]:
    """The lists of images in ImageSets/Main, or in the folders above where that has none, by name.

    Args:
        root: of the data set.
    """
    for folder in (root / "ImageSets" / "Main", root / "ImageSets", root):
        lists = {path.stem: path for path in files_in(folder, ".txt") if path.name != "classes.txt"}
        if lists:
            return lists
    return {}


def class_names(root: Path) -> set[str]:
    """All names of objects in a folder's XML files.

    Args:
        root: of the data set.
    """
    folder = annotation_folder(root)
    trees = [parse_annotation(folder / name) for name in files_below(folder, (".xml",))]
    return {name for tree in trees if not isinstance(tree, str) for name in object_names(tree)}


def parse_annotation(path: Path) -> ElementTree.Element | str:
    """The root element of an annotation file, or what is wrong with it.

    Args:
        path: the XML file.
    """
    try:
        root = parse_xml(path.read_bytes())
    except ValueError as error:
        return str(error)
    return root if root.tag == "annotation" else f"has root <{root.tag}> in place of <annotation>"


def object_names(tree: ElementTree.Element) -> set[str]:
    """The names of the objects in an annotation.

    Args:
        tree: its root.
    """
    return {text_in(item, "name") for item in tree.findall("object")} - {""}


def text_in(element: ElementTree.Element, path: str) -> str:
    """The text of an element below another one; empty where there is none.

    Args:
        element: where to start.
        path: such as ``size/height``.
    """
    return (element.findtext(path) or "").strip()


def attribute_in(item: ElementTree.Element, name: str) -> str:
    """The value of an attribute that CVAT gives an object, ``<attribute><name>…</name><value>…</value></attribute>``.

    Args:
        item: the object.
        name: of the attribute.

    Returns:
        The value; empty where there is none.
    """
    return next((text_in(one, "value") for one in item.iter("attribute") if text_in(one, "name") == name), "")


def number_in(text: str) -> float:
    """A number as it is written; NaN where it is none.

    Args:
        text: any.
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def size_in(tree: ElementTree.Element) -> tuple[int, int] | None:
    """(height, width) as annotated; None where it is missing or 0, as some tools leave it.

    Args:
        tree: the root of an annotation.
    """
    height, width = number_in(text_in(tree, "size/height")), number_in(text_in(tree, "size/width"))
    return (int(height), int(width)) if 1 <= height < 2**31 and 1 <= width < 2**31 else None
