"""Starting from another detector: what is taken, what is made new, and what is said about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from minidet.paths.tiles import detect_tiled
from minidet.pytorch.finetune import backbone_of, start_from
from minidet.pytorch.retinanet import RetinaNet
from minidet.structures import Detections
from tests.network.small import SMALL, fresh, weights_equal

NAMES = tuple("abcdef")


def test_equal_classes_take_everything():
    model, other = RetinaNet(SMALL), fresh()
    taken = start_from(model, other.state_dict(), NAMES, NAMES)
    assert weights_equal(model, other)
    assert taken.new == []
    assert "made new: nothing" in taken.says


@pytest.mark.parametrize("names", [("a", "b", "c"), ("f", "e", "d", "c", "b", "a")])
def test_other_classes_have_a_last_layer_of_their_own(names):
    """Also where there are as many of them."""
    config = replace(SMALL, num_classes=len(names))
    model, other = RetinaNet(config), fresh()
    first = {name: value.clone() for name, value in model.state_dict().items()}
    taken = start_from(model, other.state_dict(), names, NAMES)
    assert taken.new == ["class_subnet.output.weight", "class_subnet.output.bias"]
    assert taken.says.endswith("made new: class_subnet.output")
    for name, value in model.state_dict().items():
        assert torch.equal(value, first[name] if name in taken.new else other.state_dict()[name])


def test_a_backbone_alone():
    model, other = RetinaNet(SMALL), fresh()
    taken = start_from(model, backbone_of(other.state_dict()), NAMES, NAMES)
    assert {name.split(".")[0] for name in taken.taken} == {"backbone"}
    assert not any(name.startswith("backbone.") for name in taken.new)


def test_another_structure_is_refused():
    model = RetinaNet(replace(SMALL, width=16))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match="no layer of the backbone has the shape"):
        start_from(model, fresh().state_dict(), NAMES, NAMES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


class Finder:
    """Stands for a network that sees all bright rectangles in an image, and of larger images nothing."""

    def __init__(self, largest: int) -> None:
        self.largest = largest


@pytest.fixture
def rectangles(monkeypatch):
    def find(model, images, resize=None):
        found = []
        for image in images:
            boxes = []
            if max(image.shape[:2]) <= model.largest:
                for value in np.unique(image[..., 0])[1:]:
                    y, x = np.nonzero(image[..., 0] == value)
                    boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
            boxes = np.array(boxes, np.float64).reshape(-1, 4)
            found.append(Detections(boxes, np.full(len(boxes), 0.9), np.zeros(len(boxes), np.int64)))
        return found

    monkeypatch.setattr("minidet.paths.tiles.detect_images", find)


def test_objects_are_found_once_in_tiles(rectangles):
    """Whole ones, at any place and across borders, with the very boxes that they have."""
    rng = np.random.default_rng(0)
    image = np.zeros((300, 420, 3), np.uint8)
    boxes = []
    for i in range(24):  # one in each cell of 70 x 75 pixels, so that none touches another
        x, y = 70 * (i % 6) + rng.integers(3, 40), 75 * (i // 6) + rng.integers(3, 40)
        w, h = rng.integers(8, 25, 2)
        image[y : y + h, x : x + w] = i + 1
        boxes.append([x, y, x + w, y + h])
    model = Finder(largest=100)
    model.config = SMALL
    (found,) = detect_tiled(model, [image], 100)
    assert sorted(found.boxes.tolist()) == sorted(np.array(boxes, float).tolist())
    (whole,) = detect_tiled(Finder2(model, 420), [image], 1000)
    assert sorted(whole.boxes.tolist()) == sorted(found.boxes.tolist())


def Finder2(model, largest):
    other = Finder(largest)
    other.config = model.config
    return other


def test_an_object_larger_than_a_tile_comes_from_the_whole_image(rectangles):
    image = np.zeros((300, 300, 3), np.uint8)
    image[20:280, 30:290] = 9
    model = Finder(largest=300)
    model.config = SMALL
    (found,) = detect_tiled(model, [image], 100)
    assert found.boxes.tolist() == [[30, 20, 290, 280]]
