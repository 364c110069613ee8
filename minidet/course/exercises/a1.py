"""a1: boxes and anchors."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

import numpy as np

from minidet import reference
from minidet.config import AnchorConfig
from minidet.course.check import Case, Check, Exercise, Mistake, case
from minidet.course.exercises.inputs import IN_THE_TYPE, NONE, boxes, usual

Rng = np.random.Generator
ONE = np.array([[0.0, 0, 2, 3]])


def _some(*pairs: tuple[int, int]) -> Any:
    return lambda rng: [case(boxes(rng, n), boxes(rng, m)) for n, m in pairs]


# ---- box_area

AREA = Exercise(
    reference.box_area,
    5,
    (
        Check(
            "areas",
            "an area is width times height, (x2 - x1) * (y2 - y1)",
            lambda rng: [case(ONE), case(np.array([[-3.0, 1, 1, 1.5]])), case(boxes(rng, 4))],
            essential=True,
        ),
        Check(
            "boxes of no area",
            "a line and a point are boxes too: their area is 0",
            lambda rng: [case(np.array([[1.0, 1, 1, 5]])), case(np.array([[2.0, 2, 2, 2], [0, 0, 3, 0]]))],
        ),
        *usual(lambda rng: case(boxes(rng, 3)), lambda: [case(NONE)]),
    ),
    (
        Mistake(
            "your width counts the last pixel: it is x2 - x1, without + 1 (coordinates are continuous)",
            lambda b: (b[:, 2] - b[:, 0] + 1) * (b[:, 3] - b[:, 1] + 1),
        ),
        Mistake(
            "you read the boxes as (x, y, width, height): they are corners (x1, y1, x2, y2)",
            lambda b: b[:, 2] * b[:, 3],
        ),
        Mistake(
            "you read the boxes as (y1, x1, y2, x2) or mix the axes: x1 and x2 are columns 0 and 2",
            lambda b: (b[:, 1] - b[:, 0]) * (b[:, 3] - b[:, 2]),
        ),
        Mistake("you add the sides: an area is their product", lambda b: b[:, 2] - b[:, 0] + b[:, 3] - b[:, 1]),
        Mistake("you multiply a side with itself: width times height", lambda b: (b[:, 2] - b[:, 0]) ** 2),
        Mistake("you multiply a side with itself: width times height", lambda b: (b[:, 3] - b[:, 1]) ** 2),
    ),
    example="my.box_area(np.array([[0.0, 0, 2, 3]]))",
    sample=lambda rng: case(boxes(rng, 3)),
    rows=((0,),),
)


# ---- box_iou


def _parts(a: np.ndarray, b: np.ndarray, clamp: bool = True, more: float = 0) -> Any:
    """Intersections (N, M) and the areas of both sets, by the formulas that a mistake changes."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = high - low + more
    sides = np.maximum(sides, 0) if clamp else sides
    area_a, area_b = (np.prod(c[:, 2:] - c[:, :2] + more, axis=1) for c in (a, b))
    return sides[..., 0] * sides[..., 1], area_a[:, None], area_b[None]


def _iou(a: np.ndarray, b: np.ndarray, clamp: bool = True, more: float = 0) -> np.ndarray:
    inside, area_a, area_b = _parts(a, b, clamp, more)
    return inside / (area_a + area_b - inside)


def _iou_of_sizes(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    corners = [np.concatenate([c[:, :2], c[:, :2] + c[:, 2:]], axis=1) for c in (a, b)]
    return _iou(corners[0], corners[1])


def _iou_twice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inside, area_a, area_b = _parts(a, b)
    return inside / (area_a + area_b)


def _overlap_of_smaller(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inside, area_a, area_b = _parts(a, b)
    return inside / np.minimum(area_a, area_b)


def _clamped_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inside, area_a, area_b = _parts(a, b, clamp=False)
    inside = np.maximum(inside, 0)
    return inside / (area_a + area_b - inside)


def _one_side(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = high - low
    sides[..., axis] = np.maximum(sides[..., axis], 0)
    inside = sides[..., 0] * sides[..., 1]
    _, area_a, area_b = _parts(a, b)
    return inside / (area_a + area_b - inside)


def _of_first(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inside, area_a, _ = _parts(a, b)
    return inside / area_a


def _dice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    inside, area_a, area_b = _parts(a, b)
    return 2 * inside / (area_a + area_b)


def _hull(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over the smallest box around both."""
    low, high = np.minimum(a[:, None, :2], b[None, :, :2]), np.maximum(a[:, None, 2:], b[None, :, 2:])
    return _parts(a, b)[0] / np.prod(high - low, axis=2)


PIXELS = "your IoU counts touching boxes as overlapping: a width is x2 - x1, without + 1"
UNCLAMPED = (
    "boxes that do not touch have negative sides in common: set each side to at least 0 before you multiply them"
)
IOU = Exercise(
    reference.box_iou,
    15,
    (
        Check(
            "overlapping boxes",
            "IoU is the area in both boxes over the area in either: intersection / (a + b - intersection)",
            lambda rng: [
                case(ONE, ONE),
                case(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]])),
                case(np.array([[0.0, 0, 4, 4]]), np.array([[2.0, 1, 4, 4]])),
                case(
                    np.array([[0.0, 0, 10, 10], [2, 2, 12, 12]]),
                    np.array([[1.0, 3, 9, 9], [0, 0, 10, 5], [3, 1, 11, 12]]),
                ),
                case(boxes(rng, 3, 2), boxes(rng, 4, 2)),
            ],
            essential=True,
        ),
        Check(
            "boxes that touch",
            "boxes that only touch share a line or a point, which has no area: their IoU is 0",
            lambda rng: [case(np.array([[0.0, 0, 2, 2]]), np.array([[2.0, 0, 4, 2], [2, 2, 4, 4]]))],
        ),
        Check(
            "boxes apart",
            "boxes that do not touch share nothing: their IoU is 0, whichever way they lie",
            lambda rng: [
                case(np.array([[0.0, 0, 1, 1]]), np.array([[3.0, 0, 4, 1]])),
                case(np.array([[0.0, 0, 1, 1]]), np.array([[3.0, 3, 5, 5]])),
                case(np.array([[10.0, 10, 12, 12]]), np.array([[3.0, 0, 4, 1], [0, 10, 2, 12], [10, 0, 12, 4]])),
                *_some((3, 4), (6, 5))(rng),
            ],
        ),
        Check(
            "boxes of no area",
            "0 / 0 is not a number: a box of no area has IoU 0 with every box, itself included",
            lambda rng: [
                case(np.array([[1.0, 1, 1, 1]]), np.array([[1.0, 1, 1, 1]])),
                case(np.array([[1.0, 1, 1, 4], [0, 0, 2, 2]]), np.array([[1.0, 1, 1, 4], [5, 5, 5, 5]])),
            ],
        ),
        *usual(
            lambda rng: case(boxes(rng, 3), boxes(rng, 2)),
            lambda: [case(NONE, NONE), case(NONE, ONE), case(ONE, NONE)],
            "N boxes with M boxes give (N, M), also where N or M is 0",
        ),
    ),
    (
        Mistake(PIXELS, lambda a, b: _iou(a, b, more=1)),
        Mistake(UNCLAMPED, lambda a, b: _iou(a, b, clamp=False)),
        Mistake(
            "you clamp the product of the sides: two negative sides make a positive one; clamp each side at 0",
            _clamped_product,
        ),
        Mistake(
            "you set one side in common to at least 0 and not the other: both may be negative",
            lambda a, b: _one_side(a, b, 0),
        ),
        Mistake(
            "you set one side in common to at least 0 and not the other: both may be negative",
            lambda a, b: _one_side(a, b, 1),
        ),
        Mistake("your union counts the intersection twice: a + b - intersection", _iou_twice),
        Mistake("you divide by the smaller box: the union of both is expected", _overlap_of_smaller),
        Mistake("your table is transposed: rows are boxes1, columns are boxes2", lambda a, b: _iou(b, a)),
        Mistake("you read the boxes as (x, y, width, height): they are corners (x1, y1, x2, y2)", _iou_of_sizes),
        Mistake("you divide by the area of one box only: the area in either box is expected", _of_first),
        Mistake(
            "you divide by the area of one box only: the area in either box is expected", lambda a, b: _of_first(b, a).T
        ),
        Mistake(
            "that is Dice's measure, 2 intersection / (a + b): IoU is intersection / (a + b - intersection)", _dice
        ),
        Mistake("the union is not the smallest box around both: a + b - intersection", _hull),
        Mistake(
            "that is the intersection alone: divide it by the union",
            lambda a, b: _parts(a, b)[0],
        ),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: case(boxes(rng, 3, 20), boxes(rng, 4, 20)),
    rows=((0,), (1,)),
    example="my.box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [5, 5, 6, 6]]))",
)


# ---- encode_boxes, decode_boxes


def _centre_size(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (b[:, :2] + b[:, 2:]) / 2, b[:, 2:] - b[:, :2]


def _encode(b: np.ndarray, a: np.ndarray, log: Any = np.log, corner: bool = False, by: str = "anchor") -> np.ndarray:
    (c, s), (ca, sa) = _centre_size(b), _centre_size(a)
    if corner:
        c, ca = b[:, :2], a[:, :2]
    unit = {"anchor": sa, "box": s, "pixel": 1.0}[by]
    return np.concatenate([(c - ca) / unit, log(s / sa)], axis=1)


SWAPPED = "you swap the roles of boxes and anchors: offsets start at the anchor and are measured in its size"
ENCODE = Exercise(
    reference.encode_boxes,
    10,
    (
        Check(
            "shifts (tx, ty)",
            "tx = (x - xa) / wa from centre to centre, in units of the anchor's size",
            lambda rng: [
                case(np.array([[1.0, 2, 5, 6]]), np.array([[0.0, 0, 4, 4]])),
                case(np.array([[4.0, 4, 12, 8]]), np.array([[0.0, 0, 8, 4]])),
                case((one := boxes(rng, 2)) + [[2.0, -3, 2, -3], [7, 1, 7, 1]], one),
            ],
            essential=True,
        ),
        Check(
            "sizes (tw, th)",
            "tw = log(w / wa), th = log(h / ha), natural logarithms; columns are (tx, ty, tw, th)",
            lambda rng: [case(np.array([[0.0, 1, 4, 3]]), np.array([[1.0, 0, 3, 4]])), *_some((1, 1), (4, 4))(rng)],
            essential=True,
        ),
        *usual(lambda rng: case(boxes(rng, 3), boxes(rng, 3)), lambda: [case(NONE, NONE)]),
    ),
    (
        Mistake(SWAPPED, lambda b, a: _encode(a, b)),
        Mistake(
            "divide the shift by the size of the anchor, not by that of the box", lambda b, a: _encode(b, a, by="box")
        ),
        Mistake(
            "the shift is measured in anchors, not in pixels: divide by the anchor's width and height",
            lambda b, a: _encode(b, a, by="pixel"),
        ),
        Mistake(
            "you measure from corner to corner: tx and ty go from centre to centre",
            lambda b, a: _encode(b, a, corner=True),
        ),
        Mistake("the sizes lack the logarithm: tw = log(w / wa)", lambda b, a: _encode(b, a, log=lambda r: r)),
        Mistake("take the natural logarithm", lambda b, a: _encode(b, a, log=np.log2)),
        Mistake("take the natural logarithm", lambda b, a: _encode(b, a, log=np.log10)),
        Mistake("the columns are in another order: (tx, ty, tw, th)", lambda b, a: _encode(b, a)[:, [0, 2, 1, 3]]),
        Mistake("x and y are swapped in the result: (tx, ty, tw, th)", lambda b, a: _encode(b, a)[:, [1, 0, 3, 2]]),
        Mistake("the ratio in the logarithm is upside down: log(w / wa)", lambda b, a: _encode(b, a) * [1, 1, -1, -1]),
        Mistake("the shift points the other way: box less anchor", lambda b, a: _encode(b, a) * [-1, -1, 1, 1]),
        Mistake(
            "the offsets are scaled by 10 and 5 (the variances 0.1 and 0.2 of other detectors): here they are not",
            lambda b, a: _encode(b, a) * [10, 10, 5, 5],
        ),
        Mistake("log1p(r) is log(1 + r): log(w / wa) is expected", lambda b, a: _encode(b, a, log=np.log1p)),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: case(boxes(rng, 3), boxes(rng, 3)),
    rows=((0, 1),),
    example="my.encode_boxes(np.array([[1.0, 2, 5, 6]]), np.array([[0.0, 0, 4, 4]]))",
)

LIMIT = float(np.log(1000 / 16))


def _decode(
    t: np.ndarray, a: np.ndarray, low: float = -np.inf, high: float = LIMIT, corner: bool = False, half: float = 0.5,
    exp: Any = np.exp,
) -> np.ndarray:  # fmt: skip
    c, s = _centre_size(a)
    c = t[:, :2] * s + (a[:, :2] if corner else c)
    s = exp(np.clip(t[:, 2:], low, high)) * s
    return np.concatenate([c, c + s], axis=1) if corner else np.concatenate([c - s * half, c + s * half], axis=1)


def _decode_pixels(t: np.ndarray, a: np.ndarray) -> np.ndarray:
    c, s = _centre_size(a)
    c, s = t[:, :2] * s + c, np.minimum(np.exp(t[:, 2:]) * s, 1000)
    return np.concatenate([c - s / 2, c + s / 2], axis=1)


DECODE = Exercise(
    reference.decode_boxes,
    15,
    (
        Check(
            "boxes from offsets",
            "undo encode_boxes: x = tx wa + xa, w = exp(tw) wa, and corners are half a size from the centre",
            lambda rng: [
                case(np.zeros((1, 4)), np.array([[0.0, 0, 4, 2]])),
                case(np.array([[0.5, 0, 0, 0]]), np.array([[0.0, 0, 4, 2]])),
                case(np.array([[0, 0, np.log(2), 0]]), np.array([[0.0, 0, 4, 2]])),
                case(rng.normal(0, 0.5, (4, 4)).round(2), boxes(rng, 4)),
            ],
            essential=True,
        ),
        Check(
            "large tw, th",
            "clamp tw and th from above at log(1000 / 16), so that exp cannot overflow",
            lambda rng: [
                case(np.array([[0.0, 0, 10, 0]]), np.array([[0.0, 0, 16, 16]])),
                case(np.array([[0.0, 0, 5, 800]]), np.array([[0.0, 0, 16, 16]])),
                case(np.array([[0.0, 0, 4.5, 3]]), np.array([[0.0, 0, 32, 8]])),
            ],
        ),
        Check(
            "small tw, th",
            "clamp tw and th from above only: a very small box stays what it is",
            lambda rng: [case(np.array([[0.0, 0, -6, -5]]), np.array([[0.0, 0, 16000, 16000]]))],
        ),
        Check(
            "large tx, ty",
            "only tw and th are clamped: a shift may be large",
            lambda rng: [case(np.array([[9.0, -7, 0, 0]]), np.array([[0.0, 0, 4, 4]]))],
        ),
        *usual(
            lambda rng: case(np.array([[0.3, -0.2, 6, 0.1], [0, 0, 0, 0]]), boxes(rng, 2)),
            lambda: [case(NONE, NONE)],
            type_hint="give the result back in the floating type of the input; a NumPy number such as np.log(1000 / "
            "16) makes float64 of everything that it meets, float(np.log(1000 / 16)) does not",
        ),
    ),
    (
        Mistake(
            "nothing clamps tw and th from above: at log(1000 / 16) they stop", lambda t, a: _decode(t, a, high=np.inf)
        ),
        Mistake(
            "tw and th are clamped at 1000 / 16 itself: its logarithm is meant",
            lambda t, a: _decode(t, a, high=1000 / 16),
        ),
        Mistake(
            "tw and th are clamped from below as well: only large ones are dangerous",
            lambda t, a: _decode(t, a, low=-LIMIT),
        ),
        Mistake(
            "you clamp all four offsets: only tw and th may overflow", lambda t, a: _decode(np.minimum(t, LIMIT), a)
        ),
        Mistake(
            "you start at the anchor's corner: the offsets move its centre", lambda t, a: _decode(t, a, corner=True)
        ),
        Mistake("a corner is half a size away from the centre", lambda t, a: _decode(t, a, half=1.0)),
        Mistake("the sizes lack the exponential: w = exp(tw) wa", lambda t, a: _decode(t, a, exp=lambda x: x)),
        Mistake("the sizes lack the exponential: w = exp(tw) wa", lambda t, a: _decode(t, a, exp=lambda x: 1 + x)),
        Mistake(
            "nothing multiplies the shift by the anchor's size: x = tx wa + xa",
            lambda t, a: _decode(np.concatenate([t[:, :2] / _centre_size(a)[1], t[:, 2:]], axis=1), a),
        ),
        Mistake(
            "the shift is measured in the anchor's size, not in that of the new box: x = tx wa + xa",
            lambda t, a: _decode(np.concatenate([t[:, :2] * np.exp(np.minimum(t[:, 2:], LIMIT)), t[:, 2:]], axis=1), a),
        ),
        Mistake(
            "the offsets are scaled by 0.1 and 0.2 (the variances of other detectors): RetinaNet has none here",
            lambda t, a: _decode(t * [0.1, 0.1, 0.2, 0.2], a),
        ),
        Mistake(
            "the result is (centre, size): corners are expected, half a size to either side of the centre",
            lambda t, a: np.concatenate(_centre_size(_decode(t, a)), axis=1),
        ),
        Mistake(
            "the limit is for tw and th, before exp, and is the same for every anchor: you limit the size in pixels",
            _decode_pixels,
        ),
        Mistake("th and tw are swapped: the third column is the width", lambda t, a: _decode(t[:, [0, 1, 3, 2]], a)),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: case(rng.normal(0, 0.5, (3, 4)).round(2), boxes(rng, 3)),
    rows=((0, 1),),
    example="my.decode_boxes(np.array([[0.5, 0, 0, 0]]), np.array([[0.0, 0, 4, 2]]))",
)


# ---- clip_boxes


def _clip(b: np.ndarray, size: Any, less: float = 0, low: float = 0) -> np.ndarray:
    height, width = size
    return np.clip(b, low, np.array([width, height, width, height]) - less)


def _clip_ends(b: np.ndarray, size: Any) -> np.ndarray:
    """The first corner at least 0, the second at most the image."""
    return np.concatenate([np.maximum(b[:, :2], 0), np.minimum(b[:, 2:], [size[1], size[0]])], axis=1)


def _clip_and_drop(b: np.ndarray, size: Any) -> np.ndarray:
    clipped = _clip(b, size)
    return clipped[(clipped[:, 2:] > clipped[:, :2]).all(axis=1)]


CLIP = Exercise(
    reference.clip_boxes,
    10,
    (
        Check(
            "boxes across the border",
            "0 <= x <= width and 0 <= y <= height",
            lambda rng: [
                case(np.array([[1.0, 1, 3, 3]]), (10, 10)),
                case(np.array([[-2.0, 3, 4, 5]]), (10, 10)),
                case(np.array([[5.0, 5, 12, 15]]), (10, 10)),
                case(boxes(rng, 4) - 20, (40, 40)),
            ],
            essential=True,
        ),
        Check(
            "images that are not square",
            "image_size is (height, width): x is clipped at its second number",
            lambda rng: [case(np.array([[0.0, 0, 30, 30]]), (10, 20)), case(boxes(rng, 5), (25, 45))],
            essential=True,
        ),
        Check(
            "boxes outside the image",
            "both corners are clipped to both borders: a box outside becomes one of no area, not an inverted one",
            lambda rng: [case(np.array([[12.0, 3, 15, 5]]), (10, 10)), case(np.array([[-9.0, -5, -3, 5]]), (10, 10))],
        ),
        *usual(lambda rng: case(boxes(rng, 3) - 10, (30, 20)), lambda: [case(NONE, (8, 8))]),
    ),
    (
        Mistake("image_size is (height, width): you clip x at the height", lambda b, size: _clip(b, size[::-1])),
        Mistake(
            "you clip at width - 1: coordinates are continuous, and the image ends at its width",
            lambda b, size: _clip(b, size, less=1),
        ),
        Mistake("negative coordinates are left: clip at 0 too", lambda b, size: _clip(b, size, low=-np.inf)),
        Mistake("a box outside the image is inverted now: clip both corners to both borders", _clip_ends),
        Mistake("x and y are clipped at their lower border only", lambda b, size: np.maximum(b, 0)),
        Mistake("boxes outside the image are expected too, as boxes of no area: you drop them", _clip_and_drop),
        Mistake(
            "only x is clipped",
            lambda b, size: np.stack([_clip(b, size)[:, i] if i % 2 == 0 else b[:, i] for i in range(4)], axis=1),
        ),
        Mistake(
            "only y is clipped",
            lambda b, size: np.stack([_clip(b, size)[:, i] if i % 2 else b[:, i] for i in range(4)], axis=1),
        ),
    ),
    note=IN_THE_TYPE,
    sample=lambda rng: case(boxes(rng, 4) - 20, (int(rng.integers(20, 60)), int(rng.integers(20, 60)))),
    rows=((0,),),
    example="my.clip_boxes(np.array([[-2.0, 3, 14, 5]]), (10, 12))",
)


# ---- cell_anchors, pyramid_anchors


def _cell(
    size: float, scales: Any, ratios: Any, inner: str = "scale", inverse: bool = False, root: Any = np.sqrt,
    power: float = 1, centred: bool = True,
) -> np.ndarray:  # fmt: skip
    pairs = product(ratios, scales) if inner == "scale" else ((r, s) for s, r in product(scales, ratios))
    rows = []
    for ratio, scale in pairs:
        q, side = root(1 / ratio if inverse else ratio), size * scale**power
        w, h = side / q, side * q
        rows.append([-w / 2, -h / 2, w / 2, h / 2] if centred else [0, 0, w, h])
    return np.array(rows, float).reshape(-1, 4)


def _cell_height_only(size: float, scales: Any, ratios: Any) -> np.ndarray:
    return np.array(
        [[-size * s / 2, -size * s * r / 2, size * s / 2, size * s * r / 2] for r in ratios for s in scales]
    )


CELL = Exercise(
    reference.cell_anchors,
    20,
    (
        Check(
            "squares",
            "an anchor of ratio 1 has sides size * scale and is centred on the origin",
            lambda rng: [case(2, [1], [1]), case(32, [1, 1.5], [1])],
            essential=True,
        ),
        Check(
            "aspect ratios",
            "ratio = height / width at the same area: width = side / sqrt(ratio), height = side * sqrt(ratio)",
            lambda rng: [case(4, [1], [4]), case(32, [1], [0.5, 1, 2])],
            essential=True,
        ),
        Check(
            "order",
            "the aspect ratio is the outer loop and the scale the inner one",
            lambda rng: [case(8, [1, 2], [1, 4]), case(32, [1, 2 ** (1 / 3), 2 ** (2 / 3)], [0.5, 1, 2])],
        ),
        Check(
            "type of the result", "an array (A, 4) of float64 is expected", lambda rng: [case(8, [1], [1, 2])], "type"
        ),
    ),
    (
        Mistake(
            "the order of the anchors: the ratio is the outer loop and the scale the inner one",
            lambda size, scales, ratios: _cell(size, scales, ratios, inner="ratio"),
        ),
        Mistake(
            "the aspect ratio is height / width: yours is width / height",
            lambda size, scales, ratios: _cell(size, scales, ratios, inverse=True),
        ),
        Mistake(
            "the area must not change with the ratio: multiply and divide by its square root",
            lambda size, scales, ratios: _cell(size, scales, ratios, root=lambda r: r),
        ),
        Mistake(
            "the area must not change with the ratio: your width stays the same; it is side / sqrt(ratio)",
            _cell_height_only,
        ),
        Mistake(
            "anchors are centred on the origin: yours begin there",
            lambda size, scales, ratios: _cell(size, scales, ratios, centred=False),
        ),
        Mistake(
            "you use whole sides as half sides: an anchor reaches half a side from the centre",
            lambda size, scales, ratios: 2 * _cell(size, scales, ratios),
        ),
        Mistake(
            "a scale multiplies the side, not the area: (size * scale)**2 is the area",
            lambda size, scales, ratios: _cell(size, scales, ratios, power=0.5),
        ),
        Mistake(
            "the corners are rounded: nothing is rounded here",
            lambda size, scales, ratios: np.round(_cell(size, scales, ratios)),
        ),
        Mistake(
            "an anchor for each pair of a ratio and a scale: you pair them off one by one",
            lambda size, scales, ratios: np.concatenate(
                [_cell(size, [s], [r]) for s, r in zip(scales, ratios, strict=False)]
            ),
        ),
    ),
    sample=lambda rng: case(
        int(rng.integers(8, 64)), rng.uniform(1, 2, 3).round(2).tolist(), rng.uniform(0.3, 3, 2).round(2).tolist()
    ),
    order="the aspect ratio is the outer loop and the scale the inner one",
    example="my.cell_anchors(32, scales=[1], aspect_ratios=[1, 4])",
)


def _pyramid(
    image_size: Any, config: AnchorConfig, dtype: Any = np.float64, *, offset: float | None = None, order: str = "yxa",
    floor: bool = False, axes: int = 1, pixels: bool = False, by_size: bool = False,
) -> list[np.ndarray]:  # fmt: skip
    levels = []
    for grid, stride in zip(config.grids(image_size[::axes]), config.strides, strict=True):
        cell = reference.cell_anchors(grid.size, grid.scales, config.aspect_ratios)
        cell = np.round(cell) if config.round_cells else cell
        shift = config.offset if offset is None else offset
        rows, columns = (image_size[0] // stride, image_size[1] // stride) if floor else (grid.rows, grid.columns)
        steps = (grid.size, grid.size) if by_size else (grid.stride_y, grid.stride_x)
        y, x = (np.arange(rows) + shift) * steps[0], (np.arange(columns) + shift) * steps[1]
        if pixels:
            y, x = np.arange(rows) * steps[0] + shift, np.arange(columns) * steps[1] + shift
        table = np.zeros((len(y), len(x), len(cell), 4)) + cell
        table += np.stack([*np.meshgrid(x, y)] * 2, axis=-1)[:, :, None]
        levels.append(table.transpose(*("yxa".index(axis) for axis in order), 3).reshape(-1, 4).astype(dtype))
    return levels


SMALL = AnchorConfig(levels=(3,), sizes=(8,), scales=(1,), aspect_ratios=(1,))
TWO = AnchorConfig(levels=(3, 4), sizes=(10, 20), scales=(1, 1.5), aspect_ratios=(0.5, 2))


def _pyramids(*calls: tuple[tuple[int, int], AnchorConfig]) -> Any:
    def cases(rng: Rng) -> Iterable[Case]:
        return [case(*call) for call in calls]

    return cases


PYRAMID = Exercise(
    reference.pyramid_anchors,
    25,
    (
        Check(
            "centres of the cells",
            "cell i is centred at (i + offset) * stride; config.grids(image_size) gives rows, columns and strides",
            _pyramids(((8, 8), SMALL), ((16, 16), SMALL)),
            essential=True,
        ),
        Check(
            "order and levels",
            "a level's order is y, then x, then the anchor of the cell; one array per level, in a list",
            _pyramids(((8, 16), SMALL), ((16, 8), SMALL), ((16, 16), TWO), ((32, 48), TWO)),
            essential=True,
        ),
        Check(
            "images that are no multiple of the stride",
            "there are ceil(image / stride) cells: the last one may reach outside",
            _pyramids(((9, 8), SMALL), ((20, 37), TWO)),
        ),
        Check(
            "other conventions",
            "use what the configuration says: offset, round_cells, and the strides and scales of config.grids",
            _pyramids(
                ((16, 16), AnchorConfig(levels=(3,), sizes=(8,), scales=(1,), aspect_ratios=(1,), offset=0.0)),
                ((50, 70), AnchorConfig.torchvision(levels=(4, 5), sizes=(20, 40))),
                (
                    (16, 24),
                    AnchorConfig(levels=(3,), sizes=(9,), scales=(1.2,), aspect_ratios=(0.5, 2), round_cells=True),
                ),
            ),
        ),
        Check(
            "type of the result",
            "a list of arrays of the type that dtype names",
            lambda rng: [case((16, 8), SMALL), case((16, 8), TWO, np.float32)],
            "type",
        ),
    ),
    (
        Mistake(
            "x runs faster than y: the order within a level is y, then x, then anchor",
            lambda *a: _pyramid(*a, order="xya"),
        ),
        Mistake(
            "the anchors of one cell lie side by side: the order is y, then x, then anchor",
            lambda *a: _pyramid(*a, order="ayx"),
        ),
        Mistake(
            "a cell's centre is at (index + offset) * stride: yours is at index * stride",
            lambda *a: _pyramid(*a, offset=0.0),
        ),
        Mistake("image_size is (height, width): you swap rows and columns", lambda *a: _pyramid(*a, axes=-1)),
        Mistake(
            "a part of a cell at the border is a cell too: ceil(image / stride), not floor",
            lambda *a: _pyramid(*a, floor=True),
        ),
        Mistake(
            "the cell's centre is always at 0.5: config.offset says where it is", lambda *a: _pyramid(*a, offset=0.5)
        ),
        Mistake(
            "the offset is a part of a cell: (index + offset) * stride, not index * stride + offset",
            lambda *a: _pyramid(*a, pixels=True),
        ),
        Mistake("the levels come in the order of config.levels", lambda *a: _pyramid(*a)[::-1]),
        Mistake(
            "the stride of a level is 2**level, not its anchors' size: config.grids gives it",
            lambda *a: _pyramid(*a, by_size=True),
        ),
    ),
    sample=lambda rng: case((int(rng.integers(8, 60)), int(rng.integers(8, 60))), TWO),
    note="`config.grids(image_size)` gives for each level its Grid: size and scales of the anchors, rows and columns, "
    "stride_y and stride_x. Cell i of a row or column is centred at (i + config.offset) * stride. Where "
    "config.round_cells is set, the anchors of a cell are rounded with np.round before they are moved to it.",
    order="y, then x, then the anchor of the cell",
    example="my.pyramid_anchors((8, 16), AnchorConfig(levels=(3,), sizes=(8,), scales=(1,), aspect_ratios=(1,)))",
)

EXERCISES = (AREA, IOU, ENCODE, DECODE, CLIP, CELL, PYRAMID)
