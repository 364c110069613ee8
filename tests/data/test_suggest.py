"""Suggested anchors: they fit, cheaply, at the size of the training, and the estimate behind them is exact."""

from __future__ import annotations

import numpy as np
import pytest

from minidet import inspection
from minidet.config import AnchorConfig, AssignmentConfig, ResizeConfig, RetinaNetConfig
from minidet.data.shapes import Shapes
from minidet.inspection import compared
from minidet.inspection.suggest import MOST_BOXES, _fits, suggest_anchors
from minidet.reference import assign_pyramid, box_iou, pyramid_anchors
from tests.data.test_inspection import Memory, record

pytestmark = pytest.mark.slow

SMALL = Shapes(40, image_size=(96, 128), objects=(6, 12), min_size=6, max_size=20)


def coverage(dataset, anchors, rule=AssignmentConfig(), resize=None):  # noqa: B008
    """Share of the boxes that an anchor is assigned to, by the reference."""
    covered = boxes = 0
    for i in range(len(dataset)):
        size, truth = inspection.network_boxes(dataset.record(i), resize)
        assignment = assign_pyramid(size, truth, anchors, rule.positive_iou, rule.negative_iou)
        covered, boxes = covered + len(set(assignment[assignment >= 0].tolist())), boxes + len(truth)
    return covered / boxes


def scattered(width, height, images=60, each=3, size=(256, 256)):
    """Boxes of these sides, anywhere in the images."""
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, (size[1] - width, size[0] - height), (images, each, 2))
    objects = np.concatenate([corners, corners + (width, height)], axis=2)
    return Memory([record(i, *((0, box) for box in boxes), size=size) for i, boxes in enumerate(objects)], ("a",))


def test_small_objects_are_covered_where_the_papers_anchors_cover_none():
    anchors = suggest_anchors(SMALL, resize=None)
    assert coverage(SMALL, AnchorConfig()) < 0.2
    assert coverage(SMALL, anchors) >= 0.99
    assert anchors.anchors_per_cell <= 4
    RetinaNetConfig.tiny(6, anchors=anchors)  # can be trained
    assert suggest_anchors(SMALL, resize=None) == anchors


def test_shapes_of_all_sizes_are_covered_by_a_whole_pyramid():
    dataset = Shapes(60)
    anchors = suggest_anchors(dataset, resize=None)
    assert coverage(dataset, anchors) >= 0.99
    assert len(anchors.levels) >= 3
    assert anchors.anchors_per_cell < 9


@pytest.mark.parametrize("factor", [1, 2])
def test_boxes_are_those_of_the_resized_images(factor):
    """Twice as large images have anchors twice as large, one level up."""
    anchors = suggest_anchors(scattered(20, 20), resize=ResizeConfig(256 * factor, 256 * factor))
    at_256 = suggest_anchors(scattered(20, 20), resize=None)
    assert anchors.levels == tuple(level + factor - 1 for level in at_256.levels)
    assert anchors.sizes == pytest.approx([size * factor for size in at_256.sizes], rel=0.01)


def test_one_shape_needs_one_anchor_per_cell():
    anchors = suggest_anchors(scattered(100, 100))
    assert anchors.anchors_per_cell == 1
    assert len(anchors.levels) == 1
    tall = suggest_anchors(scattered(40, 120), resize=None)
    assert len(tall.aspect_ratios) == 1  # not 1/3, 1 and 3
    assert 2 < tall.aspect_ratios[0] < 4
    assert coverage(scattered(40, 120), tall) >= 0.99


def test_a_stricter_rule_or_a_higher_target_costs_more():
    def cells(anchors):
        return sum(grid.rows * grid.columns for grid in anchors.grids((256, 256))) * (25 + anchors.anchors_per_cell)

    dataset = scattered(50, 60)
    usual, strict = suggest_anchors(dataset, resize=None), AssignmentConfig(0.75, 0.4)
    stricter = suggest_anchors(dataset, strict, resize=None)
    assert coverage(dataset, stricter, strict) >= 0.99
    assert cells(stricter) > cells(usual) > cells(suggest_anchors(dataset, resize=None, target=0.5))


def test_what_cannot_be_reached_is_approached():
    """Of two boxes in one place one has all anchors; boxes of 2 pixels are smaller than any anchor fits."""
    box = (20, 20, 52, 52)
    pairs = Memory([record(0, (0, box), (0, box))], ("a",))
    assert coverage(pairs, suggest_anchors(pairs, resize=None)) == 0.5
    specks = scattered(1.2, 1.2)
    reached = coverage(specks, suggest_anchors(specks, resize=None))
    assert reached < 0.99
    assert reached >= coverage(specks, AnchorConfig((1,), (2,), (1,), (1,))) - 0.01


@pytest.mark.parametrize(("level", "ratio"), [(1, 0.0), (3, 1.0), (5, -1.5)])
def test_the_nearest_anchor_is_the_best_one(level, ratio):
    """Against the IoU with all anchors of the level, for boxes within and across the border cells."""
    rng = np.random.default_rng(2)
    size = (90, 150)
    corners = rng.uniform(0, (150, 90), (300, 2)) * rng.integers(0, 2, (300, 2))  # some in a corner of the image
    boxes = np.hstack([corners, corners + np.exp(rng.uniform(1, 5, (300, 2)))])
    fits = _fits(level, ratio, boxes, np.tile(size, (300, 1)), 0.5)
    for twelfth in (0, 7, 24, 40):
        config = AnchorConfig((level,), (2 ** (level + twelfth / 12),), (1,), (2**ratio,))
        best = box_iou(pyramid_anchors(size, config)[0], boxes).max(axis=0)
        sure = np.abs(best - 0.5) > 1e-9
        np.testing.assert_array_equal(fits[twelfth][sure], (best >= 0.5)[sure])
    assert fits.any()


def test_of_a_large_data_set_some_images_stand_for_all():
    class Counting(Memory):
        read = 0

        def record(self, index):
            self.read += 1
            return super().record(index)

    few = scattered(20, 20, images=10, each=20)
    many = Counting(few.records * 2000, ("a",))
    assert coverage(few, suggest_anchors(many, resize=None)) >= 0.98
    assert many.read == MOST_BOXES // 20


@pytest.mark.slow
def test_the_table_before_and_after():
    before = inspection.inspect(SMALL, resize=None, check_images=False, progress=False)
    after = inspection.inspect(
        SMALL, suggest_anchors(SMALL, resize=None), resize=None, check_images=False, progress=False
    )
    lines = compared(before, after).splitlines()
    rows = {line[:18].strip(): line.split() for line in lines if "%" in line}
    assert list(rows)[:2] == ["all boxes", "4 to 8 pixels"]
    assert rows["all boxes"][-4:] == ["0.0", "%", "100.0", "%"]
    assert "class ring" in rows
    assert any(line.startswith("after: levels 1 to 2") for line in lines)
    assert max(map(len, lines)) <= 100
    with pytest.raises(ValueError, match="different boxes"):
        compared(before, inspection.inspect(Shapes(3), check_images=False, progress=False))


@pytest.mark.parametrize(("dataset", "settings", "message"), [
    (Memory([], ("a",)), {}, "memory holds no boxes"),
    (Memory([record(0)], ("a",)), {}, "memory holds no boxes"),
    (SMALL, {"target": 0}, "target = 0 must be"),
    (Memory([record(7, (0, (5, 5, 5, 9)))], ("a",)), {}, r"boxes of image 7\[0\]"),
])  # fmt: skip
def test_what_nothing_can_be_suggested_for(dataset, settings, message):
    with pytest.raises(ValueError, match=message):
        suggest_anchors(dataset, **settings)
