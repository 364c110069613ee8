"""What a folder or a file is: which data set it holds, and who reads it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minidet.data.coco import Coco
from minidet.data.records import Dataset
from minidet.data.shapes import Shapes
from minidet.data.voc import Voc


def open_dataset(source: str | Path, **options: Any) -> Dataset:
    """The data set that a name stands for.

    Args:
        source: ``"shapes"``, drawn on the fly (``./shapes`` is a folder of that name); a COCO JSON file; a folder with
            ``annotations.json``, which is COCO with its images in ``images/``; or one with ``Annotations/``, which is
            Pascal VOC.
        options: what Shapes, Coco (``images``, ``strict``) or Voc (``split``, ``classes``, ``strict``) takes.

    Returns:
        The data set; its faults are told in ``faults``.

    Raises:
        ValueError: the source is none of these, or has no such option.

    >>> dataset = open_dataset("shapes", images=100)
    >>> dataset[0].image.shape, dataset.record(0).boxes.shape
    ((256, 256, 3), (11, 4))
    """
    path = Path(source)
    kind: Callable[..., Dataset] | None = None
    if source == "shapes":
        kind = Shapes
    elif path.is_file():
        kind = Coco
    elif (path / "annotations.json").is_file():
        path, kind = path / "annotations.json", Coco
    elif (path / "Annotations").is_dir():
        kind = Voc
    if kind is None:
        state = (
            "holds neither annotations.json (COCO) nor Annotations/ (Pascal VOC)" if path.is_dir() else "does not exist"
        )
        raise ValueError(f"source = {str(source)!r} {state}: give 'shapes', a COCO JSON file, or a COCO or VOC folder")
    known = [name for name in inspect.signature(kind).parameters if name not in ("path", "root")]
    for name in options:
        if name not in known:
            raise ValueError(f"{name} is not an option of {source}, which is read by {kind.__name__}: it has {known}")
    return kind(**options) if source == "shapes" else kind(path, **options)
