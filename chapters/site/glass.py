"""What the glass detector's page holds: the package's detector and pictures that it has not seen, as JavaScript.

Browsers refuse to fetch a file for a page that is opened from the file system, so the weights are text in a script.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

import minidet
from minidet.data.shapes import Shapes
from minidet.weights import load_weights

DETECTOR = Path(minidet.__file__).parent / "detectors" / "shapes.npz"
UNSEEN = Shapes(images=12, seed=2024, image_size=(128, 128), objects=(2, 6), distractors=(0, 3), min_size=18)
"""Images of the size that the detector was trained with, and of another seed."""
SHOWN = (1, 0, 4, 8, 10, 11)
"""Those that the page offers, the first one first."""


def detector() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The package's detector.

    Returns:
        The settings of its run, and name -> array: float16 weights and float32 numbers of the normalisations.
    """
    arrays = load_weights(DETECTOR)
    settings = json.loads(arrays.pop("settings.json").tobytes())
    return settings, arrays


def script() -> str:
    """The detector and the pictures as JavaScript.

    Returns:
        A script that defines `glass`: configuration, loss, names of the classes, the arrays' names, types and shapes,
        their bytes, little-endian and in a row, and the pictures with their objects.
    """
    settings, arrays = detector()
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)  # the wide ones first, so that all are aligned
    stored = [array.astype(array.dtype.newbyteorder("<")).tobytes() for _, array in ordered]
    found = {
        "config": settings["model"],
        "loss": settings["training"]["loss"],
        "classes": settings["classes"],
        "pictures": [picture(i) for i in SHOWN],
        "arrays": [[name, array.dtype.name, *array.shape] for name, array in ordered],
        "weights": text(b"".join(stored)),
    }
    return f"// Written by chapters/site/glass.py.\nconst glass = {json.dumps(found, allow_nan=False)};\n"


def picture(index: int) -> dict[str, Any]:
    """One of the unseen images: pixels as red, green, blue bytes, boxes and classes."""
    sample = UNSEEN[index]
    height, width = sample.image.shape[:2]
    boxes, classes = sample.boxes.tolist(), sample.classes.tolist()
    return {"size": [height, width], "boxes": boxes, "classes": classes, "pixels": text(sample.image.tobytes())}


def text(data: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(data).decode("ascii")
