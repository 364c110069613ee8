"""What COCO's evaluation is given: dicts or files, checked, as arrays."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Hashable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minidet import checks
from minidet.data.text import read_json, truth
from minidet.evaluation import quick


class Rows(NamedTuple):
    """Annotations or detections as columns."""

    image: np.ndarray
    """(N,) int64 index into the sorted image ids."""
    category: np.ndarray
    """(N,) int64 index into the sorted category ids."""
    box: np.ndarray
    """(N, 4) float64 (x, y, width, height), pixels."""
    area: np.ndarray
    """(N,) float64 pixels²."""
    crowd: np.ndarray
    """(N,) bool."""
    score: np.ndarray
    """(N,) float64; 0 for annotations."""

    def take(self, order: np.ndarray) -> Rows:
        """The rows in another order.

        Args:
            order: indices of rows.
        """
        return Rows(*(column[order] for column in self))


def read(ground_truth: Any, detections: Any) -> tuple[list[int | str], list[int], Rows, Rows]:
    """Check what is to be evaluated, and take it apart.

    Args:
        ground_truth: a COCO dict or the path of a JSON file.
        detections: a list of dicts or the path of a JSON file.

    Returns:
        The ids of the images and of the categories in ascending order, the annotations, the detections.

    Raises:
        ValueError: something is missing, unknown, twice there or no number; the message names the element.
    """
    if all(isinstance(source, (str, os.PathLike)) and Path(source).is_file() for source in (ground_truth, detections)):
        with contextlib.suppress(quick.UnusualError):  # then it is read again, with care
            return _quickly(Path(ground_truth), Path(detections))
    ground_truth, detections = _loaded(ground_truth), _loaded(detections)
    if not isinstance(ground_truth, dict):
        raise ValueError(f"ground_truth must be a dict or a path, not {type(ground_truth).__name__}")
    for key in ("images", "categories", "annotations"):
        if not isinstance(ground_truth.get(key), (list, tuple)):
            raise ValueError(f"ground_truth[{key!r}] must be a list, not {type(ground_truth.get(key)).__name__}")
    if not isinstance(detections, (list, tuple)):
        raise ValueError(f"detections must be a list or a path, not {type(detections).__name__}")
    images = sorted(_ids("images", ground_truth["images"]), key=lambda one: (isinstance(one, str), one))
    categories = sorted(_ids("categories", ground_truth["categories"]))
    places = {one: i for i, one in enumerate(images)}, {one: i for i, one in enumerate(categories)}
    gt = _rows("annotations", ground_truth["annotations"], *places, scored=False)
    return images, categories, gt, _rows("detections", detections, *places, scored=True)


def _quickly(ground_truth: Path, detections: Path) -> tuple[list[int | str], list[int], Rows, Rows]:
    images, categories, gt = quick.ground_truth(ground_truth)
    return images, categories, Rows(*gt), Rows(*quick.detections(detections, images, categories))


def _loaded(source: Any) -> Any:
    return read_json(source) if isinstance(source, (str, os.PathLike)) else source


def _ids(name: str, rows: Sequence[Any]) -> Iterable[Any]:
    """The id of every image (a whole number or text) or category (a whole number)."""
    ids: dict[int | str, int] = {}
    for i, row in enumerate(rows):
        if not isinstance(row, dict) or "id" not in row:
            raise ValueError(f"{name}[{i}] = {row!r} must be a dict with an 'id'")
        one = row["id"]
        if not (name == "images" and isinstance(one, str)):
            one = checks.integer(f"{name}[{i}]['id']", one)
        if one in ids:
            raise ValueError(f"{name}[{i}]['id'] = {one!r} is that of {name}[{ids[one]}] too: give each its own")
        ids[one] = i
    return ids


def _rows(name: str, rows: Any, images: dict[Any, int], categories: dict[Any, int], scored: bool) -> Rows:
    """Columns from dicts, at full speed; only when something is wrong, one by one in search of the first bad row."""
    n = len(rows)
    try:
        image = np.fromiter((images[row["image_id"]] for row in rows), np.int64, n)
        category = np.fromiter((categories[row["category_id"]] for row in rows), np.int64, n)
        boxes = [row["bbox"] for row in rows]
        valid = {*map(len, boxes)} <= {4}
        box = np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4)
        area, crowd, score = box[:, 2] * box[:, 3], np.zeros(n, np.bool_), np.zeros(n)
        if scored:
            score = np.fromiter((row["score"] for row in rows), np.float64, n)
        else:
            area = np.fromiter((row.get("area", wh) for row, wh in zip(rows, area, strict=True)), np.float64, n)
            crowd = np.fromiter((truth(row.get("iscrowd")) for row in rows), np.bool_, n)
    except (KeyError, TypeError, ValueError):
        _check_rows(name, rows, images, categories, scored)
        raise
    numbers = np.column_stack([box, area, score])  # (N, 6)
    if not (valid and np.isfinite(numbers).all() and (numbers[:, 2:5] >= 0).all()):
        _check_rows(name, rows, images, categories, scored)
    return Rows(image, category, box, area, crowd, score)


def _check_rows(name: str, rows: Any, images: dict[Any, int], categories: dict[Any, int], scored: bool) -> None:
    """Raise for the first bad row."""
    for i, row in enumerate(rows):
        at = f"{name}[{i}]"
        if not isinstance(row, dict):
            raise ValueError(f"{at} = {row!r} must be a dict")
        for key in ("image_id", "category_id", "bbox") + ("score",) * scored:
            if key not in row:
                raise ValueError(f"{at} has no {key!r}")
        for key, known, where in (("image_id", images, "images"), ("category_id", categories, "categories")):
            if not isinstance(row[key], Hashable) or row[key] not in known:
                raise ValueError(f"{at}[{key!r}] = {row[key]!r} is not the id of one of the ground truth's {where}")
        if not isinstance(row["bbox"], Collection) or len(row["bbox"]) != 4:
            raise ValueError(f"{at}['bbox'] = {row['bbox']!r} must be [x, y, width, height]")
        for j, (value, low) in enumerate(zip(row["bbox"], (None, None, 0, 0), strict=True)):
            checks.number(f"{at}['bbox'][{j}]", value, low=low)
        if scored:
            checks.number(f"{at}['score']", row["score"])
            continue
        if "area" in row:
            checks.number(f"{at}['area']", row["area"], low=0)
        try:
            truth(row.get("iscrowd"))
        except ValueError as error:
            raise ValueError(f"{at}['iscrowd'] = {error}") from None
