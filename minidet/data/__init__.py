"""Data sets: images with boxes, read from Pascal VOC and COCO files or drawn on the fly.

>>> dataset = open_dataset("shapes", images=100)      # or a VOC folder, a COCO folder, a COCO file
>>> sample = dataset[0]                               # sample.image (H, W, 3), sample.boxes (N, 4), sample.classes (N,)

Annotations are read once, when a data set is opened; pixels when a sample is asked for. Real annotations have faults.
Each is put down in ``dataset.faults`` with what was done about it, so that nothing is dropped silently; ``strict=True``
raises at the first one instead. What stays can be trained on as it is: boxes inside the image, of positive area, none
twice.
"""

from minidet.data.coco import Coco, write_coco
from minidet.data.faults import (
    DUPLICATE,
    FAULT_KINDS,
    MISSING_IMAGE,
    NO_AREA,
    OUTSIDE,
    UNKNOWN_CLASS,
    UNKNOWN_IMAGE,
    UNREADABLE_ANNOTATION,
    UNREADABLE_IMAGE,
    UNSAFE_PATH,
    WRONG_SIZE,
    DatasetError,
    Fault,
)
from minidet.data.folder import Annotation, ImageFolder, is_inside
from minidet.data.images import FORMATS, load_image
from minidet.data.layouts import open_dataset
from minidet.data.memory import InMemory
from minidet.data.records import Dataset, Record, Sample
from minidet.data.shapes import Shapes, export_coco
from minidet.data.voc import Voc

__all__ = [
    "open_dataset", "Dataset", "Sample", "Record",
    "Shapes", "Coco", "Voc", "InMemory", "export_coco", "write_coco",
    "Fault", "DatasetError", "FAULT_KINDS",
    "NO_AREA", "OUTSIDE", "DUPLICATE", "MISSING_IMAGE", "UNREADABLE_IMAGE", "UNREADABLE_ANNOTATION",
    "UNKNOWN_CLASS", "UNKNOWN_IMAGE", "WRONG_SIZE", "UNSAFE_PATH",
    "FORMATS", "load_image", "ImageFolder", "Annotation", "is_inside",
]  # fmt: skip
