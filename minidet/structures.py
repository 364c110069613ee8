"""What all paths hand around: detections, ground truth, and the numbers with which an assignment speaks."""

from __future__ import annotations

import math
from typing import Any, Generic, NamedTuple, TypeVar

Array = TypeVar("Array")
"""A NumPy array or a PyTorch tensor."""

BACKGROUND = -1
"""An anchor or a label of no object."""
IGNORED = -2
"""An anchor or a label that is neither learnt as an object nor as background."""
MAX_LOG_SCALE = math.log(1000 / 16)
"""Largest tw, th that is decoded: a 16-pixel anchor grows to at most 1000 pixels (Detectron's convention)."""


class Detections(NamedTuple, Generic[Array]):
    """What a detector found in one image, best score first."""

    boxes: Array
    """(D, 4) in pixels of the network's input."""
    scores: Array
    """(D,) in [0, 1]."""
    classes: Array
    """(D,) int64 in 0 … K-1."""


class GroundTruth(NamedTuple):
    """The objects of one image; arrays or tensors."""

    boxes: Any
    """(M, 4) in pixels of the network's input."""
    classes: Any
    """(M,) integers in 0 … K-1."""
    ignore: Any
    """(M,) bool: not to be learnt, neither as an object nor as background (VOC difficult, COCO crowd)."""
