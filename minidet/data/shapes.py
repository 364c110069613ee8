"""Shapes: a data set drawn on the fly, without limit of size, without download, every box exact.

Classes are shapes; colour, size, rotation, stretch and background say nothing about them. Among the objects lie
distractors that are like them and are not: open rings, frames, half disks, blobs, pentagons, lines.

A shape is a polygon (a disk one of 64 corners), so its box is the bounds of its corners. Random numbers come from PCG64
as plain uniform ones, and pixels are made with + - * / alone, so that a sample does not depend on the platform's vector
library.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from minidet import checks, files
from minidet.data.drawing import DISTRACTORS, OBJECTS, Item, clip, overlap, paint
from minidet.data.faults import Fault
from minidet.data.records import Record, Sample, numbered
from minidet.data.writing import write_coco
from minidet.progress import Progress

CLASSES = tuple(OBJECTS)

MAX_HIDDEN = 0.7
"""At most this part of an object's area is behind others or past the border (a bound from boxes: in fact less is)."""
MAX_HIDDEN_DISTRACTOR = 0.1
"""At most this part of a distractor's area is hidden, so that a ring with a hidden gap is not taken for a whole one."""
_TRIES = 20  # draws of an item until it fits; then it is left out


@dataclass(frozen=True)
class Shapes:
    """Images of shapes, each a pure function of (settings, seed, index).

    A sample takes a few milliseconds to draw; ``record`` leaves out the pixels and takes a fraction of that. An
    object's box is that of its whole shape, hidden parts included, clipped to the image; at most a quarter of its width
    and height is past the border. An item for which no place is found where it leaves enough of the earlier ones
    visible is left out, so a crowded image may hold fewer than were drawn. For a validation set take another ``seed``.

    Raises:
        ValueError: settings contradict each other.
    """

    images: int = 1000
    """How many images there are."""
    seed: int = 0
    """Another seed gives other images."""
    image_size: tuple[int, int] = (256, 256)
    """(height, width)."""
    objects: tuple[int, int] = (1, 12)
    """Fewest and most objects per image; (0, n) makes images without any."""
    distractors: tuple[int, int] = (0, 6)
    """Fewest and most distractors per image."""
    min_size: float = 12
    """Longer side of the smallest whole shape's box, in pixels; of the smallest distractor twice that."""
    max_size: float | None = None
    """Longer side of the largest whole shape's box, in pixels; None for three quarters of the image's shorter side.
    Sizes are log-uniform in between."""
    classes: tuple[str, ...] = CLASSES
    """Which of CLASSES occur, in the order of the labels."""

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
            if name not in OBJECTS:
                raise ValueError(f"classes[{i}] = {name!r} is not a shape: choose from {CLASSES}")
        object.__setattr__(self, "classes", tuple(self.classes))

    @property
    def category_ids(self) -> tuple[int, ...]:
        """(K,) 1 … K."""
        return numbered(self.classes)

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
        return self._record(index, items).with_image(paint(rng, items, self.image_size))

    def _generator(self, index: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, index])

    def _record(self, index: int, items: Sequence[Item]) -> Record:
        items = [item for item in items if item.label >= 0]
        boxes = np.array([clip(item.box, self.image_size) for item in items]).reshape(-1, 4)
        classes = np.array([item.label for item in items], dtype=np.int64)
        no = np.zeros(len(items), dtype=bool)
        return Record(index, f"{index:06d}.png", self.image_size, boxes, classes, no, no.copy())

    def _scene(self, rng: np.random.Generator) -> list[Item]:
        """The items of an image, from back to front."""
        counts = [int(rng.integers(low, high + 1)) for low, high in (self.objects, self.distractors)]
        kinds = rng.permutation(np.repeat([0, -1], counts))  # 0: an object
        items: list[Item] = []
        budgets: list[float] = []  # the area of each item that may still be hidden
        for kind in kinds.tolist():
            for _ in range(_TRIES):
                item = self._draw(rng, distractor=kind == -1)
                budget = (MAX_HIDDEN if kind == 0 else MAX_HIDDEN_DISTRACTOR) * item.area
                budget -= _area(item.box) - _area(clip(item.box, self.image_size))
                left = self._left(item, items, budgets) if budget >= 0 else None
                if left is not None:
                    items.append(item)
                    budgets = [*left, budget]
                    break
        return items

    def _left(self, item: Item, items: Sequence[Item], budgets: Sequence[float]) -> list[float] | None:
        """How much of each item may still be hidden once another one lies on them; None if that is too much of one."""
        left = []
        for rest, other in zip(budgets, items, strict=True):
            rest -= min(overlap(item.box, other.box), item.area)
            if rest < 0:
                return None
            left.append(rest)
        return left

    def _draw(self, rng: np.random.Generator, distractor: bool) -> Item:
        """A shape of random kind, size, stretch, rotation and place."""
        kind, size, stretch, turn, across, down, a, b = rng.random(8).tolist()
        if distractor:
            label, edges = -1, DISTRACTORS[int(kind * len(DISTRACTORS))](a, b)
        else:
            label = int(kind * len(self.classes))
            edges = OBJECTS[self.classes[label]]
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
        return Item(label, edges, (left, top, left + width, top + height), area)


def export_coco(dataset: Shapes, out: str | Path, images: int | None = None) -> Path:
    """Write samples as a COCO folder, from which Coco reads the same records and pixels.

    It holds annotations.json, images/000000.png … and settings.json. Every file appears whole or not at all,
    annotations.json last: an export that was interrupted goes on where it stopped when it is started again with the
    same settings.

    Args:
        dataset: what to write.
        out: a new or empty folder, or one that an earlier export left unfinished.
        images: how many, from the first one on; None: all.

    Returns:
        The folder.

    Raises:
        ValueError: ``out`` already holds something else or other settings; nothing is written then.
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
    files.write_text(marker, settings)
    for i in Progress(range(count), desc=f"drawing {out.name}", unit="image"):
        path = out / "images" / f"{i:06d}.png"
        if not path.exists():
            png = io.BytesIO()
            Image.fromarray(dataset[i].image).save(png, format="PNG")
            files.write_bytes(path, png.getvalue())
    write_coco(out / "annotations.json", map(dataset.record, range(count)), dataset.classes)
    return out


def _area(box: Sequence[float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    try:
        low, high = value
    except (TypeError, ValueError):
        raise ValueError(f"{name} = {value!r} must be (fewest, most)") from None
    return low, high
