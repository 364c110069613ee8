"""Boxes that CVAT has turned are read as the boxes around them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import data
from minidet.data import Dataset, open_dataset
from minidet.data.rotation import degrees_of, turned_bounds
from tests.datasets import write_image, write_json, write_voc


def coco(root: Path, rotation: Any, **more: Any) -> Dataset:
    write_image(root / "images" / "a.png", (64, 64))
    image = {"id": 1, "file_name": "a.png", "width": 64, "height": 64}
    item = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 25, 50, 6], "attributes": {"rotation": rotation}}
    write_json(root / "annotations.json", [image], [item | more], [{"id": 1, "name": "cat"}])
    return open_dataset(root)


def voc(root: Path, rotation: Any, nested: bool = True, first_pixel: int = 1) -> Dataset:
    corners = (5 + first_pixel, 25 + first_pixel, 55, 31)
    path = write_voc(root, "a", ("cat", corners), size=(64, 64), image=False)
    write_image(root / "JPEGImages" / "a.jpg", (64, 64))
    element = f"<attribute><name>rotation</name><value>{rotation}</value></attribute>"
    element = f"<attributes>{element}</attributes>" if nested else element
    path.write_text(path.read_text().replace("</object>", f"{element}</object>"))
    return open_dataset(root, first_pixel=first_pixel)


@pytest.mark.parametrize("rotation", [90, 90.0, "90.0", -90, 270, 450])
@pytest.mark.parametrize("read", [coco, voc, lambda *a: voc(*a, nested=False), lambda *a: voc(*a, first_pixel=0)])
def test_a_turned_box_is_read_as_its_bounds(tmp_path: Path, read, rotation: Any) -> None:
    dataset = read(tmp_path, rotation)
    assert dataset.record(0).boxes.tolist() == [[27, 3, 33, 53]]
    assert [fault.kind for fault in dataset.faults] == [data.UNREADABLE_ANNOTATION]
    assert f"turned by {float(rotation):g} degrees: the bounds of the turned box are taken" in dataset.faults[0].detail


@pytest.mark.parametrize("rotation", [0, 0.0, "0.0", 180, 360, "", None])
@pytest.mark.parametrize("read", [coco, voc])
def test_a_box_that_is_not_turned_is_read_as_it_is(tmp_path: Path, read, rotation: Any) -> None:
    dataset = read(tmp_path, "" if rotation is None and read is voc else rotation)
    assert (dataset.record(0).boxes.tolist(), dataset.faults) == ([[5, 25, 55, 31]], [])


@pytest.mark.parametrize("rotation", ["left", "nan", "1e999"])
@pytest.mark.parametrize("read", [coco, voc])
def test_an_angle_that_is_none_is_told(tmp_path: Path, read, rotation: str) -> None:
    dataset = read(tmp_path, rotation)
    assert (dataset.record(0).boxes.tolist(), dataset.faults[0].kind) == ([[5, 25, 55, 31]], data.BAD_FLAG)
    assert f"has a bad rotation: '{rotation}' is no number of degrees; taken as 0" in dataset.faults[0].detail
    with pytest.raises(ValueError, match="no number of degrees"):
        degrees_of([90])


def test_what_a_turned_box_leaves_of_the_image_is_clipped(tmp_path: Path) -> None:
    dataset = coco(tmp_path, 90, bbox=[0, 0, 64, 10])
    assert dataset.record(0).boxes.tolist() == [[27, 0, 37, 37]]
    assert [fault.kind for fault in dataset.faults] == [data.UNREADABLE_ANNOTATION, data.OUTSIDE]


def test_an_outline_is_drawn_as_it_is(tmp_path: Path) -> None:
    coco(tmp_path, 90, segmentation=[[5, 25, 55, 25, 55, 31, 5, 31]])
    path = tmp_path / "annotations.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = []
    path.write_text(json.dumps(content))
    assert open_dataset(tmp_path).record(0).boxes.tolist() == [[5, 25, 55, 31]]


sides = st.floats(0.5, 200)


@given(st.floats(-100, 100), st.floats(-100, 100), sides, sides, st.floats(-720, 720))
def test_the_bounds_are_those_of_the_turned_corners(
    x: float, y: float, width: float, height: float, angle: float
) -> None:
    """By complex numbers: the corners less the centre, times exp(i angle)."""
    across, down = np.array([-1, 1, 1, -1]) * width / 2, np.array([-1, -1, 1, 1]) * height / 2
    corners = complex(x, y) + (across + 1j * down) * np.exp(1j * math.radians(angle))
    wanted = corners.real.min(), corners.imag.min(), corners.real.max(), corners.imag.max()
    found = turned_bounds((x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-9)  # half of it for rounding to 9 digits
