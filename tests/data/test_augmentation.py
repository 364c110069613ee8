"""Random changes of images: the boxes stay around their objects, and batches stay what they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from minidet.data.augmentation import VISIBLE, crop, photometric
from minidet.data.batches import TrainingData
from minidet.data.records import Sample
from tests.network.small import QUICK, SMALL
from tests.network.small import data as small_data


def painted(rng, boxes, size=(60, 90)):
    """An image whose objects have the colours 1, 2, …; later ones lie above."""
    image = np.zeros((*size, 3), np.uint8)
    for i, (x1, y1, x2, y2) in enumerate(boxes, start=1):
        image[y1:y2, x1:x2] = i
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    no = np.zeros(len(boxes), bool)
    return Sample(image, boxes, np.arange(len(boxes)), "a", no, no.copy())


def test_a_part_keeps_boxes_around_their_pixels():
    rng = np.random.default_rng(0)
    whole = 0
    for _ in range(200):
        corners = [(15 * i, 5 * i, 15 * i + 12, 5 * i + 20) for i in range(5)]  # they do not touch
        sample = painted(rng, corners)
        part = crop(sample, rng)
        height, width = part.image.shape[:2]
        assert height >= 30
        assert width >= 45
        assert abs(width / height - 1.5) < 0.06  # of the same shape, but for whole pixels
        for box, k, ignored in zip(part.boxes, part.classes, part.ignore, strict=True):
            y, x = np.nonzero(part.image[..., 0] == k + 1)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            left = np.prod(box[2:] - box[:2]) / (12 * 20)
            assert ignored == (left < VISIBLE)
            whole += left == 1
        seen = set(np.unique(part.image[..., 0])) - {0}
        assert seen == {k + 1 for k in part.classes}
        assert any(np.prod(box[2:] - box[:2]) == 240 for box in part.boxes)
    assert whole > 200


def test_a_part_of_an_image_without_objects_and_of_one_full_of_an_object():
    rng = np.random.default_rng(0)
    assert len(crop(painted(rng, []), rng).boxes) == 0
    full = crop(painted(rng, [(0, 0, 90, 60)]), rng)
    assert full.image.shape == (60, 90, 3)
    assert full.boxes.tolist() == [[0, 0, 90, 60]]


def test_colours_change_within_bounds_and_not_without_strength():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(photometric(image, 0.0, rng), image)
    changed = [photometric(image, 0.5, rng) for _ in range(20)]
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in changed)
    assert len({one.tobytes() for one in changed}) == 20
    grey = np.full((4, 4, 3), 100, np.uint8)
    for _ in range(20):  # brightness alone acts on a grey
        one = photometric(grey, 1.0, rng)
        assert np.ptp(one.astype(int), axis=2).max() <= 1
        assert 49 <= one.mean() <= 201


@pytest.mark.parametrize("changes", [{"crop": 1.0}, {"photometric": 0.7}, {"crop": 0.5, "photometric": 0.3}])
def test_batches_are_functions_of_their_number(changes):
    config = replace(QUICK, **changes)
    plain, other = small_data(), TrainingData(small_data().dataset, SMALL, config)
    a, b = other.batch(3), other.batch(3)
    np.testing.assert_array_equal(a.images, b.images)
    assert a.images.shape == plain.batch(3).images.shape
    assert not np.array_equal(a.images, plain.batch(3).images)
    whole, left, right = other.batch(3), other.batch(3, 0, 2), other.batch(3, 1, 2)
    np.testing.assert_array_equal(np.concatenate([left.images, right.images]), whole.images)
