"""Data sets: images with boxes, read from Pascal VOC, COCO and YOLO files or drawn on the fly.

>>> dataset = open_dataset("shapes", images=100)      # or a folder or file of VOC, COCO or YOLO
>>> sample = dataset[0]                               # sample.image (H, W, 3), sample.boxes (N, 4), sample.classes (N,)

Annotations are read once, when a data set is opened; pixels when a sample is asked for. Real annotations have faults.
Each is put down in ``dataset.faults`` with what was done about it, so that nothing is dropped silently; ``strict=True``
raises at the first one instead. What stays can be trained on as it is: boxes inside the image, of positive area, none
twice.
"""

from minidet.data.coco import Coco
from minidet.data.convert import Converted, convert
from minidet.data.faults import (
    BAD_FLAG,
    DUPLICATE,
    FAULT_KINDS,
    MISSING_IMAGE,
    NO_ANNOTATION,
    NO_AREA,
    OUTSIDE,
    SAME_NAME,
    UNKNOWN_CLASS,
    UNKNOWN_IMAGE,
    UNREADABLE_ANNOTATION,
    UNREADABLE_IMAGE,
    UNSAFE_PATH,
    WRONG_SIZE,
    DatasetError,
    Fault,
)
from minidet.data.folder import Annotation, ImageFolder
from minidet.data.images import FORMATS, load_image
from minidet.data.layouts import Layout, open_dataset, recognise
from minidet.data.memory import InMemory
from minidet.data.parts import Part, hold_out
from minidet.data.paths import is_inside
from minidet.data.records import Dataset, Record, Sample, require_objects
from minidet.data.shapes import Shapes, export_coco
from minidet.data.voc import Voc
from minidet.data.writing import write_coco
from minidet.data.yolo import Yolo

__all__ = [
    "open_dataset", "recognise", "convert", "Dataset", "Sample", "Record", "Layout", "Converted",
    "Shapes", "Coco", "Voc", "Yolo", "InMemory", "Part", "hold_out", "export_coco", "write_coco", "require_objects",
    "Fault", "DatasetError", "FAULT_KINDS",
    "NO_AREA", "OUTSIDE", "DUPLICATE", "MISSING_IMAGE", "UNREADABLE_IMAGE", "UNREADABLE_ANNOTATION",
    "UNKNOWN_CLASS", "UNKNOWN_IMAGE", "WRONG_SIZE", "UNSAFE_PATH", "NO_ANNOTATION", "SAME_NAME", "BAD_FLAG",
    "FORMATS", "load_image", "ImageFolder", "Annotation", "is_inside",
]  # fmt: skip
