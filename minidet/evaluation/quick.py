"""COCO's files as columns at full speed: msgspec reads the few fields that count, and no dict is made.

Of a long list of detections, the pieces that have the usual form are read by `minidet.evaluation.scan`. Whatever is
unusual in a file, be it wrong or only rare, is left to `minidet.evaluation.reading`, which reads it with Python's own
parser, accepts what can be understood, and otherwise says which element is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from minidet.evaluation.scan import scan

try:
    import msgspec
except ImportError:  # where it cannot be installed, the other reader does everything
    msgspec = None  # type: ignore[assignment, unused-ignore]

PIECE = 1 << 17
"""Bytes of a list that are decoded at once: so few that what they become stays in a core's own cache."""
PIECES = 16
"""How many of them are in memory at once, to be shared out among the cores."""
LONG = 32
"""How many of them make a list worth the scanner's first call."""

_SHORTEST = '{"image_id":1,"category_id":1,"bbox":[1,1,1,1],"score":1}'
_SPACE = b" \t\r\n"  # what JSON has between its words

if msgspec:

    class _Row(msgspec.Struct, gc=False):  # type: ignore[call-arg, unused-ignore]
        """No cycle can go through a row, so that the garbage collector need not look."""

    class _Image(_Row):
        id: int | str

    class _Category(_Row):
        id: int

    class _Annotation(_Row):
        image_id: int | str
        category_id: int
        bbox: tuple[float, float, float, float]
        area: float | msgspec.UnsetType = msgspec.UNSET
        iscrowd: int | bool | None = None

    class _Truth(_Row):
        images: list[_Image]
        categories: list[_Category]
        annotations: list[_Annotation]

    class _Detection(_Row):
        image_id: int | str
        category_id: int
        bbox: tuple[float, float, float, float]
        score: float

    _TRUTH, _DETECTIONS = msgspec.json.Decoder(_Truth), msgspec.json.Decoder(list[_Detection])


class UnusualError(Exception):
    """A file holds something that only the careful reader can judge."""


def ground_truth(path: Path) -> tuple[list[int | str], list[int], tuple[np.ndarray, ...]]:
    """A COCO data set.

    Args:
        path: a JSON file.

    Returns:
        The ids of the images and of the categories, ascending, and the columns of the annotations: indices of image and
        category, (N,) int64; boxes, (N, 4) float64; areas, (N,) float64; whether it is a crowd, (N,) bool.

    Raises:
        UnusualError: there is something that only the careful reader can judge.
    """
    if not msgspec:
        raise UnusualError("msgspec is missing")
    truth = _decoded(_TRUTH, path.read_bytes())
    images = sorted({row.id for row in truth.images}, key=lambda one: (isinstance(one, str), one))
    categories = sorted({row.id for row in truth.categories})
    if (len(images), len(categories)) != (len(truth.images), len(truth.categories)):
        raise UnusualError("an id is given twice")
    rows = truth.annotations
    image, category, box = _columns(rows, _places(images), _places(categories))
    with np.errstate(over="ignore"):
        area = box[:, 2] * box[:, 3]
    for i, row in enumerate(rows):
        if row.area is not msgspec.UNSET:
            area[i] = row.area
    crowd = np.fromiter((bool(row.iscrowd) for row in rows), np.bool_, len(rows))
    _check(box, area)
    return images, categories, (image, category, box, area, crowd)


def detections(path: Path, images: list[int | str], categories: list[int]) -> tuple[np.ndarray, ...]:
    """A list of detections.

    Args:
        path: a JSON file.
        images: the ids of the images, ascending.
        categories: the ids of the categories, ascending.

    Returns:
        Their columns: indices of image and category, (N,) int32; boxes, (N, 4) float64; scores, (N,) float64.

    Raises:
        UnusualError: there is something that only the careful reader can judge.
    """
    places, whole = (_places(images), _places(categories)), (_whole(images), _whole(categories))
    room = path.stat().st_size // len(_SHORTEST) + 1  # more than there can be; what is not written to takes no memory
    image, category, box, score = _empty(room)
    long, n = path.stat().st_size > LONG * PIECE, 0
    for block in _blocks(path):
        bounds = np.array([*_pieces(block)], np.int64).reshape(-1, 2)
        first = bounds[:, 0] // len(_SHORTEST) + np.arange(len(bounds))
        columns = _empty(len(block) // len(_SHORTEST) + len(bounds))
        counts = scan(block, bounds, *whole, *columns, first) if long else np.full(len(bounds), -1)
        for (start, stop), at, count in zip(bounds, first, counts, strict=True):
            if count >= 0:
                found = [column[at : at + count] for column in columns]
            else:  # another form
                rows = _decoded(_DETECTIONS, b"[%b]" % block[start:stop])
                count = len(rows)
                found = [*_columns(rows, *places), np.fromiter(map(attrgetter("score"), rows), np.float64, count)]
            for column, part in zip((image, category, box, score), found, strict=True):
                column[n : n + count] = part
            n += count
    box = box[:n]
    with np.errstate(over="ignore"):
        _check(box, box[:, 2] * box[:, 3], score[:n])
    return image[:n], category[:n], box, score[:n]


def _empty(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Room for indices of image and category, boxes and scores."""
    image, category = np.empty((2, rows), np.int32)
    return image, category, np.empty((rows, 4)), np.empty(rows)


def _blocks(path: Path) -> Iterator[bytes]:
    """The elements of a JSON list in several parts of whole elements, and a byte 0 behind each.

    It is divided at commas behind braces. If such a comma stands inside an element or inside a text, then the parts to
    the left and right of it are not JSON, which is found when they are read.
    """
    with path.open("rb") as file:
        rest, first = file.read(PIECE).lstrip(_SPACE), True
        if rest[:1] != b"[":
            raise UnusualError("not a list")
        rest = rest[1:]
        while block := file.read(PIECES * PIECE):
            rest += block
            end = rest.rfind(b"},") + 1
            if end:
                yield rest[:end] + b"\0"
                rest, first = rest[end + 1 :], False
    rest = rest.rstrip(_SPACE)
    if rest[-1:] != b"]" or not (first or rest[:-1].strip(_SPACE)):  # no end, or a comma before it
        raise UnusualError("not a list")
    if rest[:-1].strip(_SPACE):
        yield rest[:-1] + b"\0"


def _pieces(block: bytes) -> Iterator[tuple[int, int]]:
    """Where whole elements of a block begin and end, about PIECE bytes at once."""
    start, last = 0, len(block) - 1
    while start < last:
        stop = block.find(b"},", start + PIECE) + 1 or last
        yield start, stop
        start = stop + 1


def _whole(ids: list[Any]) -> np.ndarray:
    """Ids as whole numbers; none where there are others, so that none is found."""
    return np.array(ids if all(isinstance(one, int) and abs(one) < 2**62 for one in ids) else [], np.int64)


def _decoded(decoder: Any, data: bytes) -> Any:
    try:
        if not data.isascii():
            data.decode()  # msgspec does not look at the text that it leaves out
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusualError(str(error)) from error


def _places(ids: list[Any]) -> dict[Any, int]:
    return {one: i for i, one in enumerate(ids)}


def _columns(rows: list[Any], images: dict[Any, int], categories: dict[Any, int]) -> tuple[np.ndarray, ...]:
    """Indices of image and category, and boxes."""
    n = len(rows)
    try:
        image = np.fromiter(map(images.__getitem__, map(attrgetter("image_id"), rows)), np.int32, n)
        category = np.fromiter(map(categories.__getitem__, map(attrgetter("category_id"), rows)), np.int32, n)
    except KeyError as error:
        raise UnusualError(f"an unknown id, {error}") from error
    box = np.fromiter(chain.from_iterable(map(attrgetter("bbox"), rows)), np.float64, 4 * n).reshape(-1, 4)
    return image, category, box


def _check(box: np.ndarray, area: np.ndarray, *scores: np.ndarray) -> None:
    fine = all(np.isfinite(column).all() for column in (box, area, *scores))
    if not (fine and (box[:, 2:] >= 0).all() and (area >= 0).all()):
        raise UnusualError("a number outside its range")
