"""Small data sets that tests write, with the faults of real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

BCCD = Path(__file__).parents[2] / "shared" / "data" / "bccd"
"""A real data set, outside the project: tests that use it are skipped where it is missing."""


def write_image(path: Path, size: tuple[int, int] = (30, 40), seed: int = 0) -> Path:
    """Random pixels, of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)).save(path)
    return path


def write_voc(
    root: Path, stem: str, *objects: tuple[str, tuple[Any, ...]], size: tuple[int, int] | None = (30, 40),
    filename: str | None = None, image: bool = True, difficult: Any = 0,
    annotations: str = "Annotations", images: str = "JPEGImages",
) -> Path:  # fmt: skip
    """One annotation of a VOC folder, its objects as (name, corners), and its image."""
    (root / annotations / stem).parent.mkdir(parents=True, exist_ok=True)
    (root / images).mkdir(exist_ok=True)
    text = f"<annotation><filename>{stem + '.jpg' if filename is None else filename}</filename>"
    if size is not None:
        text += f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>"
    for name, corners in objects:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        text += f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{box}</bndbox></object>"
    path = root / annotations / f"{stem}.xml"
    path.write_text(text + "</annotation>")
    if image:
        write_image(root / images / f"{stem}.jpg")
    return path


def write_json(path: Path, images: list[Any], annotations: list[Any], categories: list[Any]) -> Path:
    """A COCO file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path
