"""What every data set offers, and the one that keeps its samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minidet.data import Coco, Dataset, InMemory, Shapes, Voc
from tests.datasets import write_image, write_json, write_voc


def voc(root: Path) -> Dataset:
    write_voc(root, "a", ("dog", (5, 5, 9, 9)), ("cat", (1, 1, 40, 30)))
    return Voc(root)


def coco(root: Path) -> Dataset:
    write_image(root / "a.png")
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    box = {"id": 1, "image_id": 1, "category_id": 17, "bbox": [1, 2, 3, 4]}
    return Coco(write_json(root / "a.json", [image], [box], [{"id": 17, "name": "cat"}, {"id": 90, "name": "dog"}]))


def shapes(root: Path) -> Dataset:
    return Shapes(3, image_size=(64, 64), classes=("disk", "ring", "cross"))


CATEGORY_IDS = {voc: (1, 2), coco: (17, 90), shapes: (1, 2, 3)}


@pytest.mark.parametrize("make", CATEGORY_IDS)
def test_every_class_has_a_category_id(tmp_path: Path, make) -> None:
    dataset = make(tmp_path)
    assert dataset.category_ids == CATEGORY_IDS[make]
    assert len(dataset.category_ids) == len(dataset.classes)


@pytest.mark.parametrize("make", CATEGORY_IDS)
def test_a_data_set_in_memory_is_the_same_data_set(tmp_path: Path, make) -> None:
    dataset = make(tmp_path)
    kept = InMemory(dataset)
    for name in ("name", "classes", "category_ids", "faults"):
        assert getattr(kept, name) == getattr(dataset, name), name
    assert len(kept) == len(dataset)
    for i in range(len(dataset)):
        np.testing.assert_array_equal(kept[i].image, dataset[i].image)
        np.testing.assert_array_equal(kept.record(i).boxes, dataset.record(i).boxes)
        assert kept[i] is kept[i]
    with pytest.raises(IndexError):
        kept[len(dataset)]
