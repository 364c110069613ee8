"""The data set that is drawn on the fly."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from minidet.data import drawing, open_dataset, shapes
from minidet.data.shapes import CLASSES, Shapes, export_coco

SMALL = Shapes(images=60, seed=5, image_size=(96, 128))


def test_a_sample_is_a_function_of_seed_and_index() -> None:
    again = Shapes(images=9, seed=5, image_size=(96, 128))  # how many there are changes nothing
    for i in (8, 0, 3):  # nor does the order
        first, second = SMALL[i], again[i]
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.boxes, second.boxes)
        assert not np.array_equal(first.image, Shapes(seed=6, image_size=(96, 128))[i].image)
        assert not np.array_equal(first.image, SMALL[i + 1].image)


def test_known_values() -> None:
    """The same on every platform and in every version: trained models and tables rely on it."""
    sample = Shapes(seed=0)[0]
    names = "disk ring disk square cross star cross disk cross triangle square"
    assert " ".join(CLASSES[label] for label in sample.classes) == names
    box = [91.96683063530868, 40.44538946951832, 181.54720260019457, 131.1802026874947]
    np.testing.assert_allclose(sample.boxes[0], box, rtol=0, atol=1e-9)
    assert sample.image.mean() == pytest.approx(76.6322, abs=1e-3)


def test_records_are_those_of_the_samples() -> None:
    for i, sample in enumerate(SMALL):  # iteration ends by IndexError
        record = SMALL.record(i)
        for name in ("boxes", "classes", "ignore", "crowd", "image_id"):
            np.testing.assert_array_equal(getattr(sample, name), getattr(record, name))
        assert (sample.image.shape, sample.image.dtype) == ((96, 128, 3), np.uint8)
        assert (sample.boxes.dtype, sample.classes.dtype, sample.ignore.dtype) == (np.float64, np.int64, np.bool_)
    assert i == len(SMALL) - 1
    assert SMALL.record(-1).image_id == 59


def test_boxes_lie_inside_and_sizes_in_range() -> None:
    dataset = Shapes(images=200, image_size=(100, 150), min_size=10, max_size=60)
    boxes = np.concatenate([dataset.record(i).boxes for i in range(200)])
    assert boxes.min() >= 0
    assert boxes[:, [0, 2]].max() <= 150
    assert boxes[:, [1, 3]].max() <= 100
    inner = boxes[(boxes.min(axis=1) > 0) & (boxes[:, 2] < 150) & (boxes[:, 3] < 100)]  # whole
    sides = (inner[:, 2:] - inner[:, :2]).max(axis=1)
    assert 10 - 1e-9 <= sides.min() < 11
    assert 50 < sides.max() <= 60 + 1e-9
    assert (boxes[:, 2:] - boxes[:, :2]).min() > 0


def test_every_class_occurs_about_equally_often() -> None:
    labels = np.concatenate([Shapes().record(i).classes for i in range(300)])
    counts = np.bincount(labels, minlength=len(CLASSES))
    expected = len(labels) / len(CLASSES)
    assert abs(counts - expected).max() < 5 * math.sqrt(expected)
    subset = Shapes(classes=("ring", "cross"))
    assert {label for i in range(20) for label in subset.record(i).classes.tolist()} == {0, 1}
    assert subset.classes == ("ring", "cross")


def test_numbers_of_objects() -> None:
    counts = {len(Shapes(objects=(0, 3)).record(i).boxes) for i in range(60)}
    assert counts == {0, 1, 2, 3}
    empty = Shapes(objects=(0, 0), distractors=(0, 0))[0]
    assert (empty.boxes.shape, empty.classes.shape, empty.image.shape) == ((0, 4), (0,), (256, 256, 3))
    assert min(len(Shapes().record(i).boxes) for i in range(200)) >= 1


@pytest.mark.parametrize("name", CLASSES)
def test_boxes_are_tight_around_what_is_drawn(name: str) -> None:
    """Nothing is drawn outside the box, something within two pixels of each of its sides, and the areas agree."""
    dataset = Shapes(classes=(name,), objects=(1, 1), distractors=(0, 0))
    for i in range(40):
        (item,) = dataset._scene(dataset._generator(i))
        cover = drawing.coverage(item.edges + 128, 512, 512)  # with a margin, so that nothing is clipped
        assert cover.min() > -1e-6
        assert cover.max() < 1 + 1e-6
        rows, columns = (np.flatnonzero((cover > 1e-6).any(axis=axis)) for axis in (1, 0))
        x1, y1, x2, y2 = np.array(item.box) + 128
        found = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
        # two pixels: the tip of a star that is thinner than the distance of two scan lines can fall between them
        assert np.abs(found - [x1, y1, x2, y2]).max() < 2.3
        assert found[0] >= math.floor(x1)
        assert found[1] >= math.floor(y1)
        assert found[2] <= math.ceil(x2)
        assert found[3] <= math.ceil(y2)
        assert cover.sum() == pytest.approx(item.area, rel=0.03)


def test_distractors_are_drawn_whole() -> None:
    dataset = Shapes(objects=(0, 0), distractors=(1, 1))
    for i in range(40):
        (item,) = dataset._scene(dataset._generator(i))
        cover = drawing.coverage(item.edges + 128, 512, 512)
        assert -1e-6 < cover.min() < cover.max() < 1 + 1e-6
        assert cover.sum() == pytest.approx(item.area, rel=0.05)
        assert len(dataset.record(i).boxes) == 0


@pytest.mark.parametrize("name", CLASSES)
def test_coverage_agrees_with_another_rasteriser(name: str) -> None:
    dataset = Shapes(classes=(name,), objects=(1, 1), distractors=(0, 0), min_size=60)
    (item,) = dataset._scene(dataset._generator(1))
    canvas = Image.new("1", (256 * 8, 256 * 8))
    loops = np.split(item.edges[:, 0], [64]) if name == "ring" else [item.edges[:, 0]]
    for fill, loop in zip((1, 0), loops, strict=False):
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in loop * 8 - 0.5], fill=fill)
    expected = np.asarray(canvas, dtype=np.float64).reshape(256, 8, 256, 8).mean(axis=(1, 3))
    assert np.abs(drawing.coverage(item.edges, 256, 256) - expected).max() < 0.35  # an eighth of a pixel all around
    assert drawing.coverage(item.edges, 256, 256).sum() == pytest.approx(expected.sum(), rel=0.02)


def test_enough_of_every_item_shows() -> None:
    """Drawn from front to back, no object has more than 70 % hidden, no distractor more than 10 %."""
    dataset = Shapes(seed=1, objects=(10, 20), distractors=(4, 8))
    for i in range(15):
        items = dataset._scene(dataset._generator(i))
        free = np.ones((256, 256))
        for item in reversed(items):
            cover = drawing.coverage(item.edges, 256, 256)
            allowed = shapes.MAX_HIDDEN if item.label >= 0 else shapes.MAX_HIDDEN_DISTRACTOR
            assert (cover * free).sum() >= (1 - allowed - 0.03) * item.area  # 0.03: coverage is sampled
            free *= 1 - cover


def test_objects_differ_from_the_ground() -> None:
    """Where one object lies alone, its inside differs from its surroundings in some channel."""
    dataset = Shapes(classes=("disk",), objects=(1, 1), distractors=(0, 0), min_size=40)
    for sample in map(dataset.__getitem__, range(30)):
        x, y = (sample.boxes[0, :2] + sample.boxes[0, 2:]) / 2
        inside = sample.image[int(y) - 4 : int(y) + 4, int(x) - 4 : int(x) + 4].mean(axis=(0, 1))
        (item,) = dataset._scene(dataset._generator(int(sample.image_id)))
        outside = sample.image[drawing.coverage(item.edges, 256, 256) < 1e-6].mean(axis=0)
        assert np.abs(inside - outside).max() > 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": -1}, "images = -1"),
        ({"seed": 2**32}, "seed = 4294967296"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"image_size": 256}, "image_size = 256"),
        ({"objects": 3}, r"objects = 3 must be \(fewest, most\)"),
        ({"objects": (3, 2)}, r"objects\[1\] = 2 must be >= 3"),
        ({"distractors": (-1, 2)}, r"distractors\[0\] = -1"),
        ({"min_size": 1}, "min_size = 1"),
        ({"max_size": 8}, "max_size = 8 must be a finite number >= 12"),
        ({"image_size": (10, 10)}, "max_size = 7.5"),
        ({"classes": ("disk", "cat")}, r"classes\[1\] = 'cat' is not a shape"),
        ({"classes": ()}, "classes = "),
        ({"classes": "disk"}, "classes = 'disk'"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shapes(**changes)


def test_an_index_past_the_end() -> None:
    for index in (60, -61):
        with pytest.raises(IndexError):
            SMALL[index]
        with pytest.raises(IndexError):
            SMALL.record(index)


def test_small_and_flat_images() -> None:
    for size in ((16, 16), (40, 300), (17, 31)):
        sample = Shapes(image_size=size, min_size=4)[0]
        assert sample.image.shape == (*size, 3)


def test_export_and_read_back(tmp_path: Path) -> None:
    out = export_coco(SMALL, tmp_path / "out", images=5)
    coco = open_dataset(out, strict=True)
    assert (len(coco), coco.classes) == (5, CLASSES)
    for i in range(5):
        drawn, read = SMALL[i], coco[i]
        np.testing.assert_array_equal(read.image, drawn.image)
        np.testing.assert_allclose(read.boxes, drawn.boxes, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(read.classes, drawn.classes)
        assert (read.image_id, coco.record(i).file_name) == (i, SMALL.record(i).file_name)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {"annotations.json", "settings.json", *(f"images/{i:06d}.png" for i in range(5))}


def test_an_export_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out = export_coco(SMALL, tmp_path / "out", images=3)
    before = {path: path.stat().st_mtime_ns for path in (out / "images").iterdir()}
    lost = out / "images" / "000001.png"
    lost.unlink()
    (out / "annotations.json").unlink()
    assert export_coco(SMALL, out, images=3) == out
    assert {path for path, time in before.items() if path.stat().st_mtime_ns != time} == {lost}
    assert len(open_dataset(out, strict=True)) == 3


def test_an_export_overwrites_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds something else"):
        export_coco(SMALL, tmp_path, images=1)
    with pytest.raises(ValueError, match="is a file"):
        export_coco(SMALL, tmp_path / "thesis.txt", images=1)
    out = export_coco(SMALL, tmp_path / "out", images=1)
    with pytest.raises(ValueError, match="other settings"):
        export_coco(dataclasses.replace(SMALL, seed=6), out, images=1)
    with pytest.raises(ValueError, match="images = 61"):
        export_coco(SMALL, tmp_path / "new", images=61)
    assert not (tmp_path / "new").exists()
