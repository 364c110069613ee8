"""From samples to batches: boxes follow their pixels, and a batch depends on nothing but its number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from minidet.config import ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data import DatasetError, Fault, Record, Sample
from minidet.data.batches import TrainingData, flip_sample, resize_sample
from minidet.data.memory import InMemory
from minidet.data.shapes import Shapes
from minidet.evaluation.detector import coco_results
from minidet.geometry import batch_images, resize_image, scale_boxes
from minidet.pytorch.inference import detect_images
from minidet.pytorch.loader import load_batches
from minidet.pytorch.retinanet import RetinaNet
from minidet.reference import assign_anchors, pyramid_anchors
from minidet.structures import Batch, Detections

TINY = RetinaNetConfig.tiny(num_classes=6)


def painted(height, width, box, image_id=0):
    """A black image with a white rectangle whose corners are whole pixels, and its box."""
    x1, y1, x2, y2 = box
    image = np.zeros((height, width, 3), np.uint8)
    image[y1:y2, x1:x2] = 255
    no = np.zeros(1, bool)
    return Sample(image, np.array([box], float), np.array([0]), image_id, no, no.copy())


def bounds(image):
    """The box of a painted rectangle to half a pixel: where it is brighter than half."""
    bright = np.asarray(image, float)[..., 0] / 255
    sides = []
    for axis in (0, 1):
        profile = bright.max(axis=axis)
        inside = np.flatnonzero(profile > 0.5)
        sides.append((inside[0], inside[-1] + 1))
    return np.array([sides[0][0], sides[1][0], sides[0][1], sides[1][1]], float)


class Pictures:
    """A data set of samples held in memory."""

    name, classes, faults = "pictures", ("object",), ()

    def __init__(self, *samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]

    def record(self, index):
        s = self.samples[index]
        return Record(s.image_id, "", s.image.shape[:2], s.boxes, s.classes, s.ignore, s.crowd)


@pytest.mark.parametrize("size", [(60, 90), (37, 201), (200, 100), (1, 1)])
def test_a_box_follows_its_pixels_when_resized(size):
    sample = painted(100, 150, (30, 20, 90, 70))
    resized = resize_sample(sample, size)
    assert resized.image.shape == (*size, 3)
    assert resized.image.dtype == np.uint8
    ratio = np.array([size[1] / 150, size[0] / 100] * 2)
    np.testing.assert_allclose(resized.boxes, sample.boxes * ratio, rtol=1e-15)
    if min(size) > 1:
        assert np.abs(bounds(resized.image) - resized.boxes[0]).max() <= 0.5 + 1e-9  # a border lies within its pixel


def test_resizing_has_an_inverse_and_stays_inside():
    rng = np.random.default_rng(0)
    for _ in range(200):
        before, after = (tuple(map(int, rng.integers(1, 2000, 2))) for _ in range(2))
        corners = np.sort(rng.random((20, 2, 2)), axis=1).reshape(-1, 4) * (before[::-1] * 2)
        boxes = np.concatenate([corners, [[0, 0, before[1], before[0]]]])
        there = scale_boxes(boxes, before, after)
        assert (there <= np.array(after[::-1] * 2)).all()  # not even by rounding outside
        np.testing.assert_allclose(scale_boxes(there, after, before), boxes, rtol=1e-14, atol=0)


def test_flip_is_its_own_inverse_and_boxes_follow():
    sample = painted(40, 50, (10, 5, 20, 30))
    flipped = flip_sample(sample)
    assert flipped.boxes.tolist() == [[30, 5, 40, 30]]
    assert bounds(flipped.image).tolist() == [30, 5, 40, 30]
    below = flip_sample(sample, vertical=True)
    assert bounds(below.image).tolist() == below.boxes[0].tolist()
    assert flip_sample(below, vertical=True).boxes.tolist() == sample.boxes.tolist()
    again = flip_sample(flipped)
    assert again.boxes.tolist() == sample.boxes.tolist()
    np.testing.assert_array_equal(again.image, sample.image)


def test_no_boxes_is_ordinary():
    empty = replace(painted(8, 8, (0, 0, 4, 4)), boxes=np.zeros((0, 4)))
    assert flip_sample(resize_sample(empty, (16, 4))).boxes.shape == (0, 4)


def test_batches_are_normalised_and_padded_at_right_and_bottom():
    images = [np.full((30, 100, 3), 255, np.uint8), np.full((70, 20, 3), 0, np.uint8)]
    batch = batch_images(images, TINY)
    assert batch.shape == (2, 3, 128, 128)  # the coarsest stride of the tiny preset is 64
    assert batch.dtype == np.float32
    mean, std = np.array(TINY.mean), np.array(TINY.std)
    white, black = batch[0, :, :30, :100].reshape(3, -1), batch[1, :, :70, :20].reshape(3, -1)
    np.testing.assert_allclose(white.T, np.tile((1 - mean) / std, (3000, 1)), rtol=1e-6)
    np.testing.assert_allclose(black.T, np.tile(-mean / std, (1400, 1)), rtol=1e-6)
    assert (batch[0, :, 30:] == 0).all()
    assert (batch[0, :, :, 100:] == 0).all()


def test_a_batch_holds_what_the_settings_say():
    data = Pictures(painted(100, 200, (20, 10, 60, 50), "a"), painted(300, 100, (10, 30, 50, 90), "b"))
    config = TrainingConfig(batch_size=2, resize=ResizeConfig(50, 120), flip=0.0)
    batch = TrainingData(data, TINY, config).batch(0)
    assert sorted(batch.image_ids) == ["a", "b"]
    boxes = dict(zip(batch.image_ids, (truth.boxes.tolist() for truth in batch.ground_truth), strict=True))
    assert boxes == {"a": [[10, 5, 30, 25]], "b": [[4, 12, 20, 36]]}  # 100 x 50, and 40 x 120: the longer side decides
    assert batch.images.shape == (2, 3, 128, 128)
    flipped = TrainingData(data, TINY, replace(config, flip=1.0)).batch(0)
    boxes = dict(zip(flipped.image_ids, (truth.boxes.tolist() for truth in flipped.ground_truth), strict=True))
    assert boxes == {"a": [[70, 5, 90, 25]], "b": [[20, 12, 36, 36]]}


def test_a_batch_brings_the_assignment_of_its_anchors():
    data = TrainingData(Shapes(8, image_size=(100, 150)), TINY, TrainingConfig(batch_size=4, resize=ResizeConfig(128)))
    batch = data.batch(0)
    anchors = np.concatenate(pyramid_anchors(batch.images.shape[-2:], TINY.anchors))
    rule = TINY.assignment
    for row, image in zip(batch.assignments, batch.ground_truth, strict=True):
        wanted = assign_anchors(anchors, image.boxes, rule.positive_iou, rule.negative_iou, rule.force_match)
        assert (row == wanted).all()
    assert (batch.assignments >= 0).any()


def test_jitter_draws_the_shorter_side():
    data = Pictures(painted(100, 100, (20, 10, 60, 50)))
    config = TrainingConfig(batch_size=1, resize=ResizeConfig(60, 100), jitter=(40, 44))
    made = TrainingData(data, TINY, config)
    sides = [made.sample(place).image.shape[0] for place in range(200)]
    assert set(sides) == {40, 41, 42, 43, 44}


def test_every_image_once_an_epoch_in_new_orders():
    config = TrainingConfig(batch_size=4, resize=ResizeConfig(32))
    data = TrainingData(Shapes(10, image_size=(32, 32), max_size=16), TINY, config)
    seen = [data.sample(place).image_id for place in range(30)]
    epochs = [seen[0:10], seen[10:20], seen[20:30]]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    flips = [np.array_equal(data.sample(p).image, data.sample(p + 10).image) for p in range(10)]
    assert not all(flips)


def same(a, b):
    return (
        np.array_equal(a.images, b.images)
        and np.array_equal(a.assignments, b.assignments)
        and a.image_ids == b.image_ids
        and all(
            np.array_equal(x, y)
            for one, other in zip(a.ground_truth, b.ground_truth, strict=True)
            for x, y in zip(one, other, strict=True)
        )
    )


@pytest.fixture(scope="module")
def shapes():
    dataset = Shapes(7, image_size=(48, 64), max_size=24)
    config = TrainingConfig(batch_size=4, resize=ResizeConfig(64, 96), jitter=(40, 64), seed=3)
    return TrainingData(dataset, TINY, config)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_the_number_of_workers_changes_nothing(shapes, workers):
    batches = list(load_batches(shapes, range(2, 8), workers))
    assert len(batches) == 6
    for number, batch in enumerate(batches, start=2):  # from the middle of an epoch, as after a resume
        assert (batch.images.dtype, batch.assignments.dtype) == (torch.float32, torch.int64)
        assert same(batch, shapes.batch(number))


def test_no_worker_disturbs_the_random_numbers(shapes):
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    list(load_batches(shapes, range(2), workers=1))
    assert torch.equal(torch.rand(3), wanted)


def test_batches_of_tensors_may_be_given_too():
    class Tensors:
        def batch(self, iteration, rank=0, processes=1):
            return Batch(torch.full((1, 3, 2, 2), float(iteration)), [], [iteration + 10 * rank + 100 * processes])

    batches = list(load_batches(Tensors(), range(3, 5), rank=1, processes=2))
    assert [batch.image_ids for batch in batches] == [[213], [214]]
    assert [float(batch.images.mean()) for batch in batches] == [3, 4]
    assert [batch.assignments for batch in batches] == [None, None]


def test_every_pixel_value_is_normalised_as_in_double_precision():
    """Three operations in single precision on numbers of at most 3 and 256: within 3 ulp of the largest."""
    values = np.arange(256, dtype=np.uint8)
    image = np.repeat(values.reshape(16, 16, 1), 3, axis=2)
    exact = (values[:, None] / 255 - np.array(TINY.mean)) / np.array(TINY.std)  # (256, 3)
    found = batch_images([image], TINY)[0, :, :16, :16].reshape(3, 256).T
    assert np.abs(found - exact).max() <= 3 * np.spacing(np.float32(np.abs(exact).max()))


def test_the_parts_of_a_batch_are_the_batch(shapes):
    for number in range(4):
        whole = shapes.batch(number)
        parts = [shapes.batch(number, rank, 2) for rank in range(2)]
        assert np.array_equal(np.concatenate([part.images for part in parts]), whole.images)
        assert [image_id for part in parts for image_id in part.image_ids] == whole.image_ids
    with pytest.raises(ValueError, match="batch_size = 4 cannot be shared evenly"):
        shapes.batch(0, 0, 3)


def test_another_seed_is_another_order():
    dataset = Shapes(50, image_size=(32, 32), max_size=16)
    configs = [TrainingConfig(seed=seed, resize=ResizeConfig(32)) for seed in (0, 1)]
    ids = [TrainingData(dataset, TINY, config).batch(0).image_ids for config in configs]
    assert ids[0] != ids[1]


class Broken(Pictures):
    """Pictures that cannot be read. A worker that is not forked has to find the class in its module."""

    def __getitem__(self, index):
        raise DatasetError(Fault("unreadable image", 5, "a.png", "a.png is truncated: replace it"))


def test_bad_data_is_named():
    with pytest.raises(ValueError, match="holds no images"):
        TrainingData(Shapes(0), TINY, TrainingConfig())
    with pytest.raises(ValueError, match="num_classes = 2 is too few for shapes, which has 6"):
        TrainingData(Shapes(1), RetinaNetConfig.tiny(2), TrainingConfig())

    data = TrainingData(Broken(painted(8, 8, (0, 0, 4, 4))), TINY, TrainingConfig(batch_size=1))
    for workers in (0, 1):
        with pytest.raises(ValueError, match=r"iteration 3: a\.png is truncated"):
            list(load_batches(data, range(3, 4), workers))

    inverted = painted(8, 8, (0, 0, 4, 4), "a")
    inverted.boxes[:, 0] = 6
    with pytest.raises(ValueError, match=r"^iteration 3, images a: gt_boxes\[0\] = .* is inverted"):
        TrainingData(Pictures(inverted), TINY, TrainingConfig(batch_size=1, flip=0.0)).batch(3)


@pytest.mark.slow
def test_detections_come_back_in_pixels_of_the_original():
    """A network that sees the whole input as one object gives the whole original image, whatever its size."""
    model = RetinaNet(replace(TINY, num_classes=1))
    sizes = []

    def detect(images, image_sizes):
        sizes.append(tuple(images.shape[-2:]))
        height, width = image_sizes[0]
        return [Detections(torch.tensor([[0.0, 0.0, width, height]]), torch.tensor([0.5]), torch.tensor([0]))]

    model.detect = detect
    images = [np.zeros((90, 200, 3), np.uint8), np.zeros((33, 20, 3), np.uint8)]
    found = detect_images(model, images, ResizeConfig(40, 80))
    assert sizes == [(64, 128), (128, 64)]
    np.testing.assert_allclose(found[0].boxes, [[0, 0, 200, 90]], rtol=1e-15)
    np.testing.assert_allclose(found[1].boxes, [[0, 0, 20, 33]], rtol=1e-15)
    assert coco_results(found, ["a", 7], [11]) == [
        {"image_id": "a", "category_id": 11, "bbox": [0, 0, 200, 90], "score": 0.5},
        {"image_id": 7, "category_id": 11, "bbox": [0, 0, 20, 33], "score": 0.5},
    ]


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3)), np.zeros((0, 8, 3), np.uint8), 3])
def test_an_array_that_is_no_image_is_refused(image):
    with pytest.raises(ValueError, match="an image has shape"):
        detect_images(RetinaNet(TINY), [image])


def test_the_same_size_leaves_pixels_alone():
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    assert resize_image(image, (9, 7)) is image


def test_samples_in_memory_are_made_once():
    class Counted(Pictures):
        asked = 0

        def __getitem__(self, index):
            self.asked += 1
            return super().__getitem__(index)

    source = Counted(painted(8, 8, (0, 0, 4, 4), "a"), painted(8, 8, (0, 0, 4, 4), "b"))
    kept = InMemory(source)
    assert [sample.image_id for sample in kept] == ["a", "b"]
    assert kept[1] is kept[1]
    assert source.asked == 2 + 1  # and one to see where it ends
    assert (kept.name, kept.classes, len(kept), kept.record(0).image_id) == ("pictures", ("object",), 2, "a")
