"""Shapes: a data set drawn on the fly, without limit of size, without download, every box exact.

Classes are shapes; colour, size, rotation, stretch and background say nothing about them. Among the objects lie
distractors that are like them and are not: open rings, frames, half disks, blobs, pentagons, lines.

A shape is a polygon (a disk one of 64 corners), so its box is the bounds of its corners. It is drawn by scan lines,
four a pixel row; along each the covered part of every pixel is exact. Random numbers come from PCG64 as plain uniform
ones, and pixels are made with + - * / alone, so that a sample does not depend on the platform's vector library.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from minidet import checks
from minidet.data import Fault, Record, Sample
from minidet.data.coco import atomic_write, write_coco

Array = NDArray[Any]

MAX_HIDDEN = 0.7
"""At most this part of an object's area is behind others or past the border (a bound from boxes: in fact less is)."""
MAX_HIDDEN_DISTRACTOR = 0.1
"""Of a distractor, so that a ring with a hidden gap cannot be taken for a whole one."""
_TRIES = 20  # draws of an item until it fits; then it is left out
_SUBROWS = 4  # scan lines a pixel row


def _corners(radii: Sequence[float]) -> Array:
    """(N, 2) corners at equal angles and these distances from the origin."""
    angles = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return np.array([(r * math.cos(angle), r * math.sin(angle)) for r, angle in zip(radii, angles, strict=True)])


def _arc(turns: float) -> Array:
    """(24, 2) points of a part of the unit circle."""
    angles = [2 * math.pi * turns * i / 23 for i in range(24)]
    return np.array([(math.cos(angle), math.sin(angle)) for angle in angles])


def _outline(*loops: Array) -> Array:
    """(E, 2, 2) the edges of loops of corners, start and end; a hole is a loop that runs the other way round."""
    return np.concatenate([np.stack([loop, np.roll(loop, -1, axis=0)], axis=1) for loop in loops])


_CIRCLE = _corners([1.0] * 64)
_SQUARE = np.array([(1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0)])
_TRIANGLE = _corners([1.0] * 3)
_PLUS = np.array([
    (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1), (-1, -1), (-1, -3), (1, -3), (1, -1), (3, -1),
])  # fmt: skip
_OBJECTS = {
    "disk": _outline(_CIRCLE),
    "square": _outline(_SQUARE),
    "triangle": _outline(_TRIANGLE),
    "star": _outline(_corners([1.0, 0.42] * 5)),
    "cross": _outline(_PLUS),
    "ring": _outline(_CIRCLE, 0.55 * _CIRCLE[::-1]),
}


def _open_ring(a: float, b: float) -> Array:
    arc = _arc(0.5 + 0.25 * a)
    return _outline(np.concatenate([arc, (0.5 + 0.1 * b) * arc[::-1]]))


def _half_disk(a: float, b: float) -> Array:
    return _outline(_arc(0.5))


def _frame(a: float, b: float) -> Array:
    shape = _SQUARE if a < 0.5 else _TRIANGLE
    return _outline(shape, (0.55 + 0.2 * b) * shape[::-1])


def _blob(a: float, b: float) -> Array:
    bulges, depth = (2, 0.45) if a < 0.5 else (3, 0.35)
    depth *= 0.8 + 0.4 * b
    return _outline(_corners([1 + depth * math.cos(2 * math.pi * bulges * i / 64) for i in range(64)]))


def _pentagon(a: float, b: float) -> Array:
    return _outline(_corners([1.0] * 5))


def _line(a: float, b: float) -> Array:
    return _outline(_SQUARE * (1, 0.05 + 0.07 * a))


_DISTRACTORS = (_open_ring, _half_disk, _frame, _blob, _pentagon, _line)  # each varies with two numbers in [0, 1)
CLASSES = tuple(_OBJECTS)


class _Item(NamedTuple):
    """An object or, with label -1, a distractor."""

    label: int
    edges: Array
    """(E, 2, 2) the outline in pixels: start and end as (x, y), the inside always on the same hand."""
    box: tuple[float, float, float, float]
    """Bounds of the whole shape."""
    area: float


@dataclass(frozen=True)
class Shapes:
    """Images of shapes, each a pure function of (settings, seed, index); ``images`` only says how many there are.

    A sample takes a few milliseconds to draw; ``record`` leaves out the pixels and takes a fraction of that. An
    object's box is that of its whole shape, hidden parts included, clipped to the image; at most a quarter of its width
    and height is past the border. An item for which no place is found where it leaves enough of the earlier ones
    visible is left out, so a crowded image may hold fewer than were drawn. For a validation set take another ``seed``.

    Raises ValueError for settings that contradict each other.
    """

    images: int = 1000
    seed: int = 0
    image_size: tuple[int, int] = (256, 256)
    """(height, width)."""
    objects: tuple[int, int] = (1, 12)
    """Fewest and most objects an image; (0, n) makes images without any."""
    distractors: tuple[int, int] = (0, 6)
    """Fewest and most distractors an image."""
    min_size: float = 12
    """Longer side of the smallest whole shape's box, in pixels; of the smallest distractor twice that."""
    max_size: float | None = None
    """Of the largest; None: three quarters of the image's shorter side. Sizes are log-uniform in between."""
    classes: tuple[str, ...] = CLASSES
    """Those of CLASSES that occur; their order is that of the labels."""

    name: ClassVar[str] = "shapes"

    def __post_init__(self) -> None:
        for name in ("images", "seed"):
            object.__setattr__(self, name, checks.integer(name, getattr(self, name), low=0, high=2**32 - 1))
        object.__setattr__(self, "image_size", checks.image_size(self.image_size))
        for name in ("objects", "distractors"):
            low, high = _pair(name, getattr(self, name))
            checks.integer(f"{name}[1]", high, low=checks.integer(f"{name}[0]", low, low=0))
            object.__setattr__(self, name, (int(low), int(high)))
        object.__setattr__(self, "min_size", checks.number("min_size", self.min_size, low=4))
        largest = 0.75 * min(self.image_size) if self.max_size is None else self.max_size
        largest = checks.number("max_size", largest, low=self.min_size, high=min(self.image_size))
        object.__setattr__(self, "max_size", largest)
        if isinstance(self.classes, str) or not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes = {self.classes!r} must be different names out of {CLASSES}")
        for i, name in enumerate(self.classes):
            if name not in _OBJECTS:
                raise ValueError(f"classes[{i}] = {name!r} is not a shape: choose from {CLASSES}")
        object.__setattr__(self, "classes", tuple(self.classes))

    @property
    def faults(self) -> list[Fault]:
        """None, ever."""
        return []

    def __len__(self) -> int:
        return self.images

    def record(self, index: int, /) -> Record:
        """The objects of one image, nothing drawn: the same as those of the sample."""
        index = range(self.images)[index]
        return self._record(index, self._scene(self._generator(index)))

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its objects."""
        index = range(self.images)[index]
        rng = self._generator(index)
        items = self._scene(rng)
        return self._record(index, items).with_image(_paint(rng, items, self.image_size))

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, index])

    def _record(self, index: int, items: Sequence[_Item]) -> Record:
        items = [item for item in items if item.label >= 0]
        boxes = np.array([_clip(item.box, self.image_size) for item in items]).reshape(-1, 4)
        classes = np.array([item.label for item in items], dtype=np.int64)
        no = np.zeros(len(items), dtype=bool)
        return Record(index, f"{index:06d}.png", self.image_size, boxes, classes, no, no.copy())

    def _scene(self, rng: np.random.Generator) -> list[_Item]:
        """The items of an image, from back to front."""
        counts = [int(rng.integers(low, high + 1)) for low, high in (self.objects, self.distractors)]
        kinds = rng.permutation(np.repeat([0, -1], counts))  # 0: an object
        items: list[_Item] = []
        budgets: list[float] = []  # the area of each item that may still be hidden
        for kind in kinds.tolist():
            for _ in range(_TRIES):
                item = self._draw(rng, distractor=kind == -1)
                budget = (MAX_HIDDEN if kind == 0 else MAX_HIDDEN_DISTRACTOR) * item.area
                budget -= _area(item.box) - _area(_clip(item.box, self.image_size))
                left = [
                    rest - min(_overlap(item.box, other.box), item.area)
                    for rest, other in zip(budgets, items, strict=True)
                ]
                if min(left, default=0.0) >= 0 and budget >= 0:
                    items.append(item)
                    budgets = left + [budget]
                    break
        return items

    def _draw(self, rng: np.random.Generator, distractor: bool) -> _Item:
        """A shape of random kind, size, stretch, rotation and place."""
        kind, size, stretch, turn, across, down, a, b = rng.random(8).tolist()
        if distractor:
            label, edges = -1, _DISTRACTORS[int(kind * len(_DISTRACTORS))](a, b)
        else:
            label = int(kind * len(self.classes))
            edges = _OBJECTS[self.classes[label]]
        cos, sin = math.cos(2 * math.pi * turn), math.sin(2 * math.pi * turn)
        x, y = edges[..., 0] * (1 + 0.5 * stretch), edges[..., 1]
        x, y = cos * x - sin * y, sin * x + cos * y  # (E, 2)
        area = abs(float((x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum())) / 2
        x, y = x - x.min(), y - y.min()
        largest = float(self.max_size)  # type: ignore[arg-type]  # set when made
        smallest = min(self.min_size * (2 if distractor else 1), largest)
        scale = smallest * math.exp(size * math.log(largest / smallest)) / max(x.max(), y.max())
        x, y, area = scale * x, scale * y, scale * scale * area
        width, height = float(x.max()), float(y.max())
        left = across * (self.image_size[1] - width / 2) - width / 4
        top = down * (self.image_size[0] - height / 2) - height / 4
        edges = np.stack([x + left, y + top], axis=2)
        return _Item(label, edges, (left, top, left + width, top + height), area)


def export_coco(dataset: Shapes, out: str | Path, images: int | None = None) -> Path:
    """Write the first ``images`` samples (None: all) as a COCO folder and return its path.

    It holds annotations.json, images/000000.png … and settings.json. Coco reads the same records and pixels from it.
    Every file appears whole or not at all, annotations.json last: an export that was interrupted goes on where it
    stopped when it is started again with the same settings.

    Raises ValueError, before anything is written, when ``out`` already holds something else or other settings.
    """
    out = Path(out)
    count = len(dataset) if images is None else checks.integer("images", images, low=0, high=len(dataset))
    settings = json.dumps({"generator": "minidet shapes, version 1", **asdict(dataset), "images": count}, indent=1)
    marker = out / "settings.json"
    if out.exists() and not out.is_dir():
        raise ValueError(f"out = {str(out)!r} is a file: give a new folder")
    if marker.is_file():
        if marker.read_text(encoding="utf-8") != settings:
            raise ValueError(
                f"{out} holds shapes of other settings, see {marker}: use those, give a new folder or delete it"
            )
    elif out.is_dir() and any(out.iterdir()):
        raise ValueError(f"out = {str(out)!r} holds something else: give a new or empty folder")
    (out / "images").mkdir(parents=True, exist_ok=True)
    atomic_write(marker, settings.encode())
    for i in tqdm(range(count), desc=f"drawing {out.name}", unit="image"):
        path = out / "images" / f"{i:06d}.png"
        if not path.exists():
            png = io.BytesIO()
            Image.fromarray(dataset[i].image).save(png, format="PNG")
            atomic_write(path, png.getvalue())
    write_coco(out / "annotations.json", map(dataset.record, range(count)), dataset.classes)
    return out


def _paint(rng: np.random.Generator, items: Sequence[_Item], image_size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3): the items, back to front, on a textured background, with noise."""
    image, ground = _background(rng, image_size)
    colours: list[Array] = []
    for item in items:
        below = [colour for other, colour in zip(items, colours, strict=False) if _overlap(item.box, other.box) > 0]
        candidates = (rng.random((16, 3)) * 255).astype(np.float32)
        distances = np.abs(candidates[:, None] - np.stack(ground + below)).max(axis=2).min(axis=1)  # (16,)
        enough = distances >= 30 + 80 * rng.random()
        colours.append(candidates[enough.argmax() if enough.any() else distances.argmax()])
        x1, y1, x2, y2 = _clip(item.box, image_size)
        left, top, right, bottom = int(x1), int(y1), math.ceil(x2), math.ceil(y2)
        cover = _coverage(item.edges - np.array([left, top]), bottom - top, right - left)
        shade = np.arange(right - left, dtype=np.float32) * np.float32(2 / (right - left)) - 1
        shade *= np.float32(50 * rng.random() - 25)
        window = image[:, top:bottom, left:right]
        window += cover * (colours[-1][:, None, None] + shade - window)
    noise = np.frombuffer(rng.bytes(image.size), dtype=np.uint8).reshape(image.shape)
    strength = np.float32(0.15 * rng.random())
    image += noise * strength - 127.5 * strength
    np.rint(np.clip(image, 0, 255, out=image), out=image)
    return np.ascontiguousarray(image.astype(np.uint8).transpose(1, 2, 0))


def _coverage(edges: Array, height: int, width: int) -> Array:
    """(height, width) float32 in [0, 1]: how much of each pixel an outline (E, 2, 2) covers.

    Where a scan line meets an edge, everything to the right of that point enters or leaves the shape. Put down at the
    points and summed along the rows, those changes are the coverage.
    """
    (x1, y1), (x2, y2) = edges[:, 0].T, edges[:, 1].T
    lines = (np.arange(height * _SUBROWS) + 0.5) / _SUBROWS
    edge, line = np.nonzero((y1[:, None] <= lines) != (y2[:, None] <= lines))  # half open: a shared corner counts once
    x = x1[edge] + (lines[line] - y1[edge]) * ((x2 - x1)[edge] / (y2 - y1)[edge])
    x = np.clip(x, 0, width)
    column = x.astype(np.int64)
    change = np.where(y1 > y2, 1.0, -1.0)[edge] / _SUBROWS
    place = line // _SUBROWS * (width + 2) + column
    total = height * (width + 2)
    changes = np.bincount(place, change * (1 - (x - column)), total) + np.bincount(
        place + 1, change * (x - column), total
    )
    return changes.reshape(height, width + 2).cumsum(axis=1)[:, :width].astype(np.float32)


def _background(rng: np.random.Generator, image_size: tuple[int, int]) -> tuple[Array, list[Array]]:
    """(3, H, W) float32, a texture between two colours, and those colours."""
    height, width = image_size
    kind, angle, scale, sharpness = rng.random(4).tolist()
    first = (255 * (0.35 * rng.random(3) + 0.65 * rng.random())).astype(np.float32)  # greyish
    second = np.clip(first + (120 * rng.random(3) - 60).astype(np.float32), 0, 255)
    if kind < 0.3:  # low-frequency noise: a coarse grid, interpolated
        cells = 3 + int(6 * scale)
        grid = rng.random((cells + 1, cells + 1)).astype(np.float32)
        mix = _stretch(_stretch(grid, height).T, width).T
    else:
        period = 2.0 * (height + width) if kind < 0.5 else 10 * math.exp(scale * 2)
        cos, sin = math.cos(2 * math.pi * angle) / period, math.sin(2 * math.pi * angle) / period
        x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
        mix = _wave(np.float32(cos) * x + np.float32(sin) * y)  # gradient, stripes
        if kind >= 0.8:  # checker
            mix = 0.5 + 2 * (mix - 0.5) * (_wave(np.float32(cos) * y - np.float32(sin) * x) - 0.5)
        mix = np.clip((mix - 0.5) * np.float32(1 + 5 * sharpness) + 0.5, 0, 1)
    return first[:, None, None] + mix * (second - first)[:, None, None], [first, second]


def _wave(t: Array) -> Array:
    """The triangle wave of period 1 between 0 and 1."""
    return np.abs(2 * (t - np.floor(t)) - 1)


def _stretch(grid: Array, length: int) -> Array:
    """Rows (n, m) interpolated linearly to (length, m)."""
    place = (np.arange(length, dtype=np.float32) + np.float32(0.5)) * np.float32((len(grid) - 1) / length)
    row = place.astype(np.int64)
    part = (place - row)[:, None]
    return grid[row] * (1 - part) + grid[row + 1] * part


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(box1: Sequence[float], box2: Sequence[float]) -> float:
    """Area of the intersection."""
    width = min(box1[2], box2[2]) - max(box1[0], box2[0])
    height = min(box1[3], box2[3]) - max(box1[1], box2[1])
    return max(width, 0.0) * max(height, 0.0)


def _clip(box: Sequence[float], image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    height, width = image_size
    return max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    try:
        low, high = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {value!r} must be (fewest, most)") from None
    return low, high
