"""Anchors for a data set: the cheapest pyramid that fits its boxes, at the size at which the network sees them.

>>> from minidet.data import Shapes
>>> small = Shapes(images=20, image_size=(96, 128), objects=(6, 12), min_size=6, max_size=20)
>>> suggest_anchors(small, resize=None).levels[0]  # small objects ask for fine levels: the paper's begin at 3
1

Whether an anchor fits a box depends on both shapes and on where the box lies between the cells: one of 8 x 8 pixels in
the middle between anchors of 8 x 8 pixels, 8 pixels apart, has an IoU of 1/7 with each. So small boxes ask for fine
levels as much as for small anchors, and boxes are looked at where they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from minidet import checks
from minidet.config import AnchorConfig, AssignmentConfig, ResizeConfig
from minidet.data import Dataset
from minidet.inspection.numbers import network_boxes
from minidet.inspection.operations import assign_pyramid

MOST_BOXES = 4000
"""In a larger data set, images drawn at random that hold about this many boxes stand for all."""

LEVELS = range(1, 6)
"""Where a pyramid may begin: at any map of the backbone."""
_TRIES = 12  # candidates that are assigned, at most
_MOST_LEVELS, _MOST_SCALES, _MOST_RATIOS = 6, 4, 5
_OCTAVE = 12  # sides are compared in twelfths of an octave, which 1, 2, 3 and 4 scales divide
_SIDES = np.arange(0, 3 * _OCTAVE + 1, 3)  # of a cell's smallest anchor: 1 to 8 strides (the paper's: 4)
_RATIO_STEPS = (0.5, 1.0, 1.5)  # octaves from one aspect ratio to the next
_CELL = 25
"""What a cell costs, in anchors: in the paper 2 x 4 convolutions of 256 channels against 84 outputs per anchor."""

Image = tuple[tuple[int, int], np.ndarray]  # (height, width) and boxes (M, 4)


class _Candidate(NamedTuple):
    cost: float
    covered: float
    """Share of the boxes that some anchor fits."""
    levels: range
    side: int
    """Of a cell's smallest anchor, in twelfths of an octave above the stride."""
    scales: int
    ratios: tuple[float, ...]
    """Octaves."""

    def config(self) -> AnchorConfig:
        return AnchorConfig(
            levels=tuple(self.levels),
            sizes=tuple(_rounded(2 ** (level + self.side / _OCTAVE)) for level in self.levels),
            scales=tuple(_rounded(2 ** (i / self.scales)) for i in range(self.scales)),
            aspect_ratios=tuple(_rounded(2**ratio) for ratio in self.ratios),
        )


def suggest_anchors(
    dataset: Dataset,
    assignment: AssignmentConfig = AssignmentConfig(),  # noqa: B008  these are frozen
    resize: ResizeConfig | None = ResizeConfig(),  # noqa: B008
    target: float = 0.99,
    seed: int = 0,
) -> AnchorConfig:
    """The cheapest anchors of which at least one is assigned to a share of ``target`` of the boxes, by IoU alone.

    The candidates: up to 6 levels, of which the first is one of LEVELS, each with anchors twice as large as those of
    the one before; 1 to 4 scales that divide an octave evenly; and 1 to 5 aspect ratios, evenly spaced around 1 or
    around the boxes' median. The cost is what the two subnets have to compute in an image: of two that serve, the one
    with fewer cells is chosen, or with fewer anchors per cell. Where some seem to serve, the boxes are assigned to
    them, as in training, before they are suggested.

    Args:
        dataset: boxes in pixels of the stored images; where there are more than MOST_BOXES, some images stand for all.
        assignment: from which IoU on an anchor is positive.
        resize: how images are brought to the network's size; None: they keep their stored size.
        target: share of the boxes, in (0, 1]. Where nothing reaches it, the aim is what can be reached, minus
            1 - target.
        seed: of the choice of images.

    Returns:
        The anchors.

    Raises:
        ValueError: there are no boxes, one has no area, or the target is out of range.
    """
    checks.number("target", target, above=0, high=1)
    images = _sampled(dataset, resize, seed)
    if not any(len(boxes) for _, boxes in images):
        raise ValueError(f"{dataset.name} holds no boxes: there is nothing that anchors could fit")
    candidates = sorted(_candidates(images, assignment.positive_iou), key=lambda of: (of.cost, -of.covered))
    possible = max(candidate.covered for candidate in candidates)
    aim = target if possible >= target else possible - (1 - target)
    best, most, wanted, ahead = AnchorConfig(), -1.0, aim, iter(candidates)
    for _ in range(_TRIES):
        candidate = next((one for one in ahead if one.covered >= wanted), None)
        if candidate is None or most >= aim:
            break
        config = candidate.config()
        share = _assigned(images, config, assignment)
        if share > most:
            best, most = config, share
        wanted = min(candidate.covered + aim - share, possible)  # boxes lose anchors to others, which overlap them more
    return best


def _sampled(dataset: Dataset, resize: ResizeConfig | None, seed: int) -> list[Image]:
    """Images in random order, until there are enough boxes."""
    images, boxes = [], 0
    for i in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        images.append(network_boxes(dataset.record(i), resize))
        boxes += len(images[-1][1])
        if boxes >= MOST_BOXES:
            break
    return images


def _assigned(images: Sequence[Image], config: AnchorConfig, rule: AssignmentConfig) -> float:
    """The share of all boxes that an anchor is assigned to."""
    covered = 0
    for image_size, boxes in images:
        assignment = assign_pyramid(image_size, boxes, config, rule.positive_iou, rule.negative_iou)
        covered += len(np.unique(assignment[assignment >= 0]))
    return covered / sum(len(boxes) for _, boxes in images)


def _candidates(images: Sequence[Image], positive_iou: float) -> Iterator[_Candidate]:
    """All that there is to choose from, with what it costs and covers."""
    sizes = np.array([size for size, _ in images])  # (I, 2)
    boxes = np.concatenate([boxes for _, boxes in images])  # (B, 4)
    image_sizes = np.repeat(sizes, [len(boxes) for _, boxes in images], axis=0)  # (B, 2)
    coarsest = int(np.log2(np.median(sizes.min(axis=1))))  # images are padded to a multiple of the coarsest stride
    levels = range(LEVELS[0], max(LEVELS[0], min(coarsest, LEVELS[-1] + _MOST_LEVELS - 1)) + 1)
    cells = np.array([np.ceil(sizes / 2**level).prod(axis=1).mean() for level in levels])  # (L,)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    median = round(float(np.median(np.log2(height / width))) * 4) / 4

    @cache
    def fitted(ratio: float) -> np.ndarray:
        return np.stack([_fits(level, ratio, boxes, image_sizes, positive_iou) for level in levels])  # (L, S, B)

    for ratios in _ratio_sets({0.0, median}):
        of_ratios = np.logical_or.reduce([fitted(ratio) for ratio in ratios])
        for scales in range(1, _MOST_SCALES + 1):
            steps = [i * _OCTAVE // scales for i in range(scales)]
            of_cells = np.logical_or.reduce([of_ratios[:, _SIDES + step] for step in steps])
            for first in range(min(len(levels), len(LEVELS))):
                pyramid = slice(first, first + _MOST_LEVELS)
                covered = np.logical_or.accumulate(of_cells[pyramid]).sum(axis=2) / len(boxes)  # (levels, sides)
                cost = cells[pyramid].cumsum() * (_CELL + scales * len(ratios))
                for (last, side), share in np.ndenumerate(covered):
                    some = levels[first : first + last + 1]
                    yield _Candidate(float(cost[last]), float(share), some, int(_SIDES[side]), scales, ratios)


def _ratio_sets(middles: Iterable[float]) -> list[tuple[float, ...]]:
    """Aspect ratios, in octaves: 1 to 5 at equal steps around each of these."""
    sets = itertools.product(sorted(middles, key=abs), range(1, _MOST_RATIOS + 1), _RATIO_STEPS)
    return list(dict.fromkeys(tuple(middle + step * (i - (n - 1) / 2) for i in range(n)) for middle, n, step in sets))


def _fits(level: int, ratio: float, boxes: np.ndarray, image_sizes: np.ndarray, positive_iou: float) -> np.ndarray:
    """(S, B) bool: whether the anchor nearest to a box, which overlaps it most, has the IoU with it.

    S: sides from one stride on, in twelfths of an octave. ``ratio`` is in octaves.
    """
    stride = 2**level
    sides = stride * 2 ** (np.arange(_SIDES[-1] + _OCTAVE)[:, None] / _OCTAVE)  # (S, 1)
    overlap = np.ones(())
    for axis, side in ((0, sides / 2 ** (ratio / 2)), (1, sides * 2 ** (ratio / 2))):
        length, centre = boxes[:, axis + 2] - boxes[:, axis], (boxes[:, axis + 2] + boxes[:, axis]) / 2
        cell = np.clip(centre // stride, 0, np.ceil(image_sizes[:, 1 - axis] / stride) - 1)
        distance = np.abs(centre - (cell + 0.5) * stride)
        overlap = overlap * np.clip(np.minimum(np.minimum(side, length), (side + length) / 2 - distance), 0, None)
    areas = sides**2 + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return overlap >= positive_iou * (areas - overlap)


def _rounded(value: float) -> float:
    """Four digits, to be read and written."""
    return float(f"{value:.4g}")
