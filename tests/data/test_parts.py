"""A part of a data set, and the division into one to learn from and one to measure on."""

from __future__ import annotations

import numpy as np
import pytest

from minidet.data import Part, hold_out, open_dataset
from minidet.data.records import Record
from tests.datasets import write_image, write_json, write_voc


class Labels:
    """A data set of which the classes of the objects alone matter."""

    name, faults = "labels", ()

    def __init__(self, labels, classes) -> None:
        self.labels, self.classes = labels, tuple("abcdefgh"[:classes])

    def __len__(self) -> int:
        return len(self.labels)

    def record(self, index):
        own = np.array(self.labels[index], np.int64)
        no = np.zeros(len(own), bool)
        return Record(index, f"{index}.png", (9, 9), np.tile([1.0, 1, 5, 5], (len(own), 1)), own, no, no)


def of_classes(*labels, classes=None):
    """A data set whose images hold objects of these classes."""
    return Labels(labels, classes or 1 + max((k for image in labels for k in image), default=0))


def test_every_class_is_divided_alike():
    rng = np.random.default_rng(0)
    labels = [rng.choice(4, rng.integers(1, 6), p=[0.7, 0.2, 0.07, 0.03]).tolist() for _ in range(200)]
    dataset = of_classes(*labels, classes=4)
    held = hold_out(dataset, 0.2)
    assert len(held) == 40
    assert held == hold_out(dataset, 0.2)
    assert held != hold_out(dataset, 0.2, seed=1)
    parts = [Part(dataset, only=held), Part(dataset, without=held)]
    counts = np.array([
        np.bincount(np.concatenate([part.record(i).classes for i in range(len(part))]), minlength=4) for part in parts
    ])  # fmt: skip
    assert len(parts[0]) + len(parts[1]) == 200
    share = counts[0] / counts.sum(0)
    assert (abs(share - 0.2) <= np.maximum(0.06, 1.5 / counts.sum(0))).all(), share


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
def test_small_and_odd_data(fraction):
    for labels in ([[0], [0]], [[0], [], []], [[0], [1], [1], [0, 1]], [[0]] + [[1]] * 9, [[]] * 5):
        dataset = of_classes(*labels, classes=2)
        held = hold_out(dataset, fraction)
        assert 1 <= len(held) <= len(dataset) - 1
    single = of_classes(*([[0]] + [[1]] * 9))
    if fraction <= 0.5:
        assert single.record(0).image_id not in hold_out(single, fraction)  # the only image of its class is learnt from


def test_what_cannot_be_divided():
    with pytest.raises(ValueError, match="fewer than two images"):
        hold_out(of_classes([0]), 0.2)
    for fraction in (0, 1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="val_fraction"):
            hold_out(of_classes([0], [0]), fraction)


def test_a_part_has_its_own_faults_and_those_of_none(tmp_path):
    for i in range(4):
        write_voc(tmp_path, f"a{i}", ("cat", (1, 1, 9, 9)), ("cat", (5, 5, 5, 9)) if i == 2 else ("dog", (3, 3, 9, 9)))
    (tmp_path / "Annotations/broken.xml").write_text("<annotation>")
    whole = open_dataset(tmp_path)
    assert len(whole.faults) == 2
    without = open_dataset(tmp_path, without=["a2"])
    only = open_dataset(tmp_path, only=["a2"])
    assert [without.record(i).image_id for i in range(len(without))] == ["a0", "a1", "a3"]
    assert [only.record(i).image_id for i in range(len(only))] == ["a2"]
    assert (len(without.faults), len(only.faults)) == (1, 2)
    assert only.classes == without.classes == whole.classes
    assert only[0].image_id == only[-1].image_id == "a2"
    with pytest.raises(IndexError):
        only[1]
    with pytest.raises(ValueError, match="has none of the 1 images"):
        open_dataset(tmp_path, only=["elsewhere"])


def test_images_that_are_added_later_are_learnt_from(tmp_path):
    images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 30} for i in range(6)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [4, 5, 6, 7]} for i in range(6)]
    for i in range(6):
        write_image(tmp_path / f"images/{i}.png")
    category = [{"id": 1, "name": "cat"}]
    write_json(tmp_path / "annotations.json", images[:5], boxes[:5], category)
    held = hold_out(open_dataset(tmp_path), 0.4)
    write_json(tmp_path / "annotations.json", images, boxes, category)
    assert len(open_dataset(tmp_path, only=held)) == 2
    assert len(open_dataset(tmp_path, without=held)) == 4
