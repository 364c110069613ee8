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


class Objects(NamedTuple):
    """Annotations as columns."""

    image: np.ndarray
    """(N,) int32 index into the sorted image ids."""
    category: np.ndarray
    """(N,) int32 index into the sorted category ids."""
    box: np.ndarray
    """(N, 4) float64 (x, y, width, height), pixels."""
    area: np.ndarray
    """(N,) float64 pixels²."""
    crowd: np.ndarray
    """(N,) bool."""

    def take(self, order: np.ndarray) -> Objects:
        """The rows in another order.

        Args:
            order: indices of rows.
        """
        return Objects(*(column[order] for column in self))


class Found(NamedTuple):
    """Detections as columns."""

    image: np.ndarray
    """(N,) int32 index into the sorted image ids."""
    category: np.ndarray
    """(N,) int32 index into the sorted category ids."""
    box: np.ndarray
    """(N, 4) float64 (x, y, width, height), pixels."""
    score: np.ndarray
    """(N,) float64."""


def read_ground_truth(source: Any) -> tuple[list[int | str], list[int], Objects]:
    """Check a COCO data set, and take it apart.

    Args:
        source: a COCO dict or the path of a JSON file.

    Returns:
        The ids of the images and of the categories in ascending order, and the annotations.

    Raises:
        ValueError: something is missing, twice there or no number; the message names the element.
    """
    if _is_file(source):
        with contextlib.suppress(quick.UnusualError):  # then it is read again, with care
            images, categories, columns = quick.ground_truth(Path(source))
            return images, categories, Objects(*columns)
    truth = _loaded(source)
    if not isinstance(truth, dict):
        raise ValueError(f"ground_truth must be a dict or a path, not {type(truth).__name__}")
    for key in ("images", "categories", "annotations"):
        if not isinstance(truth.get(key), (list, tuple)):
            raise ValueError(f"ground_truth[{key!r}] must be a list, not {type(truth.get(key)).__name__}")
    images = sorted(_ids("images", truth["images"]), key=lambda one: (isinstance(one, str), one))
    categories = sorted(_ids("categories", truth["categories"]))
    places = _places(images), _places(categories)
    image, category, box, area, crowd, _ = _rows("annotations", truth["annotations"], *places, scored=False)
    return images, categories, Objects(image, category, box, area, crowd)


def read_detections(source: Any, images: list[int | str], categories: list[int]) -> Found:
    """Check detections, and take them apart.

    Args:
        source: a list of dicts or the path of a JSON file.
        images: the ids of the images, ascending.
        categories: the ids of the categories, ascending.

    Returns:
        The detections.

    Raises:
        ValueError: something is missing, unknown or no number; the message names the element.
    """
    if _is_file(source):
        with contextlib.suppress(quick.UnusualError):
            return Found(*quick.detections(Path(source), images, categories))
    rows = _loaded(source)
    if not isinstance(rows, (list, tuple)):
        raise ValueError(f"detections must be a list or a path, not {type(rows).__name__}")
    places = _places(images), _places(categories)
    image, category, box, _, _, score = _rows("detections", rows, *places, scored=True)
    return Found(image, category, box, score)


def _is_file(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike)) and Path(source).is_file()


def _loaded(source: Any) -> Any:
    return read_json(source) if isinstance(source, (str, os.PathLike)) else source


def _places(ids: list[Any]) -> dict[Any, int]:
    return {one: i for i, one in enumerate(ids)}


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


def _rows(
    name: str, rows: Any, images: dict[Any, int], categories: dict[Any, int], scored: bool
) -> tuple[np.ndarray, ...]:
    """Columns from dicts, at full speed; only when something is wrong, one by one in search of the first bad row."""
    n = len(rows)
    try:
        image = np.fromiter((images[row["image_id"]] for row in rows), np.int32, n)
        category = np.fromiter((categories[row["category_id"]] for row in rows), np.int32, n)
        boxes = [row["bbox"] for row in rows]
        valid = {*map(len, boxes)} <= {4}
        box = np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4)
        area, crowd, score = box[:, 2] * box[:, 3], np.zeros(n, np.bool_), np.zeros(n)
        if scored:
            score = np.fromiter((row["score"] for row in rows), np.float64, n)
        else:
            area = np.fromiter((row.get("area", wh) for row, wh in zip(rows, area, strict=True)), np.float64, n)
            crowd = np.fromiter((truth(row.get("iscrowd")) for row in rows), np.bool_, n)
    except (KeyError, TypeError, ValueError, OverflowError):
        _check_rows(name, rows, images, categories, scored)
        raise
    numbers = np.column_stack([box, area, score])  # (N, 6)
    if not (valid and np.isfinite(numbers).all() and (numbers[:, 2:5] >= 0).all()):
        _check_rows(name, rows, images, categories, scored)
    return image, category, box, area, crowd, score


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
