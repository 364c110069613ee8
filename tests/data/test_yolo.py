"""YOLO text files, as Ultralytics, Roboflow, CVAT, Label Studio, LabelImg and Darknet write them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import data
from minidet.data import Dataset, Yolo, open_dataset
from minidet.data.writing import yolo_labels
from minidet.data.yolo import _corners, _doubt
from minidet.data.yolo_files import image_ids
from tests.datasets import write_image

NAMES = "cat\ndog\n"


def write(root: Path, name: str, *lines: str, size: tuple[int, int] = (30, 40), names: str = NAMES) -> Path:
    """An image and its lines in images/ and labels/, and the classes."""
    write_image(root / "images" / f"{name}.png", size)
    if lines:
        (root / "labels").mkdir(exist_ok=True)
        (root / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")
    if names:
        (root / "classes.txt").write_text(names)
    return root


def kinds(dataset: Dataset) -> list[str]:
    return [fault.kind for fault in dataset.faults]


def test_boxes_are_fractions_of_the_image(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 1 1", "1 0.25 0.5 0.1 0.2", "")
    dataset = Yolo(tmp_path, strict=True)
    assert (dataset.classes, dataset.category_ids, dataset.name) == (("cat", "dog"), (1, 2), tmp_path.name)
    sample = dataset[0]
    assert sample.boxes.tolist() == [[0, 0, 40, 30], [8, 12, 12, 18]]
    assert sample.classes.tolist() == [0, 1]
    assert (sample.image_id, sample.ignore.any(), sample.crowd.any()) == ("a", False, False)
    assert sample.image.shape == (30, 40, 3)


@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.tuples(*[st.floats(0, 1)] * 4),
    st.integers(6, 9),
    st.booleans(),
)
def test_whole_pixels_come_back_from_six_digits(size, fractions, digits: int, without_zeros: bool) -> None:
    """What LabelImg and others write of a box that was drawn in whole pixels."""
    height, width = size
    x1, x2 = sorted(round(v * width) for v in fractions[:2])
    y1, y2 = sorted(round(v * height) for v in fractions[2:])
    numbers = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
    words = [f"{number:.{digits}f}" for number in numbers]
    words = [word.rstrip("0").rstrip(".") if without_zeros else word for word in words]
    assert _corners(list(map(float, words)), _doubt(list(map(Decimal, words))), size) == (x1, y1, x2, y2)


@given(st.lists(st.tuples(*[st.integers(0, 100_000)] * 4), max_size=5), st.sampled_from([1, 7, 100, 3000]))
def test_what_is_written_comes_back_to_the_bit(tmp_path_factory, boxes, divisor: int) -> None:
    """Boxes in parts of pixels, with all digits."""
    root = tmp_path_factory.mktemp("yolo")
    side = 100_000 // divisor + 1
    sides = np.array([[round(v / divisor, 9) for v in box] for box in boxes]).reshape(-1, 4)
    good = np.unique(sides[(sides[:, 2] > sides[:, 0]) & (sides[:, 3] > sides[:, 1])], axis=0)
    none = np.zeros(len(good), bool)
    record = data.Record("a", "a.png", (side, side), good, np.zeros(len(good), np.int64), none, none)
    (root / "a.txt").write_text(yolo_labels(record))
    (root / "classes.txt").write_text("cat\n")
    (root / "a.png").write_bytes(b"too large to be drawn here")
    with patch("minidet.data.yolo.image_size", return_value=(side, side)):
        read = Yolo(root).record(0)
    np.testing.assert_array_equal(read.boxes, good)


def test_numbers_with_fewer_digits_are_taken_as_they_are(tmp_path: Path) -> None:
    """0.3 of 41 pixels is 12.3, not 12: tools leave out zeros."""
    write(tmp_path, "a", "0 0.5 0.5 0.3 0.5", size=(30, 41))
    assert Yolo(tmp_path).record(0).boxes.tolist() == [[14.35, 7.5, 26.65, 22.5]]


def test_an_outline_becomes_its_bounds(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.1 0.2 0.5 0.2 0.3 0.9", "1 0 0 0.5 0.1 0.5 0.5 0.1 0.9")
    dataset = Yolo(tmp_path, strict=True)
    assert dataset.record(0).boxes.tolist() == [[4, 6, 20, 27], [0, 0, 20, 27]]


def test_keypoints_follow_a_box(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 1", names="")
    (tmp_path / "data.yaml").write_text("train: images\nnames: [cat]\nkpt_shape: [2, 3]\n")
    assert Yolo(tmp_path, strict=True).record(0).boxes.tolist() == [[10, 7.5, 30, 22.5]]


def test_images_without_objects(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.5")
    write(tmp_path, "empty", "")
    write(tmp_path, "none")
    dataset = Yolo(tmp_path, strict=True)
    assert [len(dataset.record(i).boxes) for i in range(3)] == [1, 0, 0]
    assert dataset.notes == ["1 of 3 images have no text file: taken as images without objects"]


@pytest.mark.parametrize(
    ("line", "kind", "detail"),
    [
        ("0 0.5 0.5 0.5", data.UNREADABLE_ANNOTATION, "is neither CLASS and 4 numbers nor CLASS and an outline"),
        ("0 0.5 0.5 0.5 0.5 0.9", data.UNREADABLE_ANNOTATION, "is neither"),  # with a score
        ("cat 0.5 0.5 0.5 0.5", data.UNREADABLE_ANNOTATION, "is neither"),
        ("0.5 0.5 0.5 0.5 0.5", data.UNREADABLE_ANNOTATION, "is neither"),
        ("0 nan 0.5 0.5 0.5", data.UNREADABLE_ANNOTATION, "is neither"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", data.UNREADABLE_ANNOTATION, "is neither"),
        ("0 20 15 10 10", data.UNREADABLE_ANNOTATION, "has numbers above 1: left out; write fractions"),
        ("2 0.5 0.5 0.5 0.5", data.UNKNOWN_CLASS, "is of class 2, which is not among the 2 named"),
        ("-1 0.5 0.5 0.5 0.5", data.UNKNOWN_CLASS, "class -1"),
        ("0 0.5 0.5 0 0.5", data.NO_AREA, "a.txt: line 2 (cat) has box (0.5 0.5 0 0.5) of no area"),
        ("0 0.5 0.5 -0.2 0.2", data.NO_AREA, "(0.5 0.5 -0.2 0.2) of no area"),
        ("0 1.3 0.5 0.2 0.5", data.OUTSIDE, "outside the image of 40 x 30 pixels: left out"),
        ("0 0.25 0.5 0.1 0.2", data.DUPLICATE, "a second time"),
    ],
)
def test_faulty_lines_are_left_out(tmp_path: Path, line: str, kind: str, detail: str) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", line)
    dataset = Yolo(tmp_path)
    assert dataset.record(0).boxes.tolist() == [[8, 12, 12, 18]]
    assert kinds(dataset) == [kind]
    assert detail in dataset.faults[0].detail
    with pytest.raises(data.DatasetError, match=r"a\.txt: line 2"):
        Yolo(tmp_path, strict=True)


def test_boxes_partly_outside_are_clipped(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.05 0.5 0.2 1")
    dataset = Yolo(tmp_path)
    assert (dataset.record(0).boxes.tolist(), kinds(dataset)) == ([[0, 0, 6, 30]], [data.OUTSIDE])


def test_files_that_do_not_fit_are_told(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.5 0.5 0.5 0.5")
    write(tmp_path, "broken", "0 0.5 0.5 0.5 0.5")
    write(tmp_path, "odd", "0 0.5 0.5 0.5 0.5")
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    (tmp_path / "labels" / "odd.txt").write_bytes(b"\xff0 0.5")
    (tmp_path / "labels" / "orphan.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    dataset = Yolo(tmp_path)
    assert [(fault.kind, fault.image_id) for fault in dataset.faults] == [
        (data.UNREADABLE_IMAGE, "broken"), (data.UNREADABLE_ANNOTATION, "odd"), (data.MISSING_IMAGE, None),
    ]  # fmt: skip
    assert dataset.faults[2].where == "orphan.txt"
    assert [dataset.record(i).image_id for i in range(len(dataset))] == ["a", "odd"]


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        ("names: [cat, dog, cow]", ("cat", "dog", "cow"), [0, 2]),
        ("names:\n  0: cat\n  2: cow", ("cat", "cow"), [0, 1]),
        ("names:\n  - cat\n  - 'big dog'\n  - cow\nnc: 3", ("cat", "big dog", "cow"), [0, 2]),
        ("names: {2: cow, 0: cat}", ("cat", "cow"), [0, 1]),
        ("names:\n  '2': cow\n  '0': cat", ("cat", "cow"), [0, 1]),
        ("names: names.txt", ("cat", "dog", "cow"), [0, 2]),
    ],
)
def test_classes_of_data_yaml(tmp_path: Path, names: str, classes: tuple[str, ...], labels: list[int]) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", "2 0.25 0.5 0.1 0.2", names="")
    (tmp_path / "names.txt").write_text("cat\ndog\ncow\n")
    (tmp_path / "data.yaml").write_text(f"train: images\nval: images\n{names}\n")
    dataset = open_dataset(tmp_path, split="train", strict=True)
    assert (dataset.classes, dataset.record(0).classes.tolist()) == (classes, labels)
    assert open_dataset(tmp_path / "data.yaml", split="val", strict=True).classes == classes


def test_classes_of_one_name_are_one_class(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", "2 0.5 0.5 0.1 0.2", names="cat\ndog\ncat\n")
    dataset = Yolo(tmp_path)
    assert (dataset.classes, dataset.record(0).classes.tolist()) == (("cat", "dog"), [0, 0])
    assert kinds(dataset) == [data.SAME_NAME]


def test_classes_that_no_file_names_are_numbers(tmp_path: Path) -> None:
    write(tmp_path, "a", "3 0.25 0.5 0.1 0.2", names="")
    dataset = open_dataset(tmp_path, strict=True)
    assert (dataset.classes, dataset.record(0).classes.tolist()) == (("0", "1", "2", "3"), [3])


def test_text_files_beside_the_images(tmp_path: Path) -> None:
    """As LabelImg leaves them."""
    write_image(tmp_path / "b.jpg")
    write_image(tmp_path / "A.JPG")
    (tmp_path / "b.txt").write_text("1 0.25 0.5 0.1 0.2\n")
    write_image(tmp_path / "C.JPG")
    (tmp_path / "C.TXT").write_text("0 0.25 0.5 0.1 0.2\n")
    (tmp_path / "classes.txt").write_text(NAMES)
    dataset = open_dataset(tmp_path, strict=True)
    records = map(dataset.record, range(3))
    assert [(record.image_id, len(record.boxes)) for record in records] == [("A", 0), ("C", 1), ("b", 1)]
    assert kinds(dataset) == []


def test_a_list_of_images_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "data", "a", "0 0.25 0.5 0.1 0.2")
    write(tmp_path / "data", "b", "1 0.25 0.5 0.1 0.2")
    lines = {"train": str(tmp_path / "data" / "images" / "b.png"), "val": "./../data/images/a.png", "test": "gone.png"}
    (tmp_path / "lists").mkdir()
    for name, line in lines.items():
        (tmp_path / "lists" / f"{name}.txt").write_text(f"{line}\n")
    (tmp_path / "lists" / "x.yaml").write_text("train: train.txt\nval: val.txt\ntest: test.txt\nnames: [cat, dog]\n")
    for split, label in (("train", 1), ("val", 0)):
        dataset = Yolo(tmp_path / "lists", split=split, strict=True)
        assert dataset.record(0).classes.tolist() == [label]
        assert dataset[0].image.shape == (30, 40, 3)
    assert kinds(Yolo(tmp_path / "lists", split="test")) == [data.MISSING_IMAGE]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("names: cat.txt", r"cat\.txt cannot be read"), ("names: 7", r"data\.yaml: names = 7 must be a list"),
        ("names: [cat", r"data\.yaml: line 1"), ("names: {cat: 1}", r"data\.yaml: names = .* by number from 0"),
        ("train: nowhere\nnames: [cat]", "nowhere is neither a folder of images nor a file that lists them"),
    ],
)  # fmt: skip
def test_descriptions_that_lead_nowhere(tmp_path: Path, content: str, message: str) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", names="")
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        Yolo(tmp_path)


def test_a_folder_without_images(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text(NAMES)
    with pytest.raises(ValueError, match="holds no images in"):
        Yolo(tmp_path)
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2")
    with pytest.raises(ValueError, match=r"split = 'train' must be one of the parts"):
        Yolo(tmp_path, split="train")


@pytest.mark.parametrize("ids", [["images/train/a.jpg", "images/a.png"], ["a.png", "a.jpg", "a.png.jpg"], ["images"]])
def test_every_image_has_an_id_of_its_own(ids: list[str]) -> None:
    assert len(set(image_ids(ids))) == len(ids)


def test_images_that_differ_in_their_ending_alone(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2")
    write_image(tmp_path / "images" / "a.jpg", seed=1)
    dataset = Yolo(tmp_path)
    assert [dataset.record(i).image_id for i in range(2)] == ["a.jpg", "a.png"]
    assert kinds(dataset) == [data.DUPLICATE]
    assert "a.txt is the text file of 2 images, images/a.jpg, images/a.png" in dataset.faults[0].detail


@pytest.mark.parametrize("line", ["400000 is the number", "400000 0.5 0.5 0.1 0.1", "1e300 0.5 0.5 0.1 0.1"])
def test_a_large_number_is_no_list_of_classes(tmp_path: Path, line: str) -> None:
    write(tmp_path, "a", "2 0.25 0.5 0.1 0.2", line, names="")
    dataset = Yolo(tmp_path)
    assert (dataset.classes, dataset.record(0).classes.tolist(), len(dataset.faults)) == (("0", "1", "2"), [2], 1)


def test_many_classes_are_no_long_wait(tmp_path: Path) -> None:
    """The number of steps grows with that of the classes, not with its square: 10,000 classes would be 1e8 steps."""
    write(tmp_path, "a", "9999 0.25 0.5 0.1 0.2", names="")
    assert len(Yolo(tmp_path).classes) == 10_000
    (tmp_path / "classes.txt").write_text("".join(f"class {k % 5000}\n" for k in range(10_000)))
    dataset = Yolo(tmp_path)
    assert (len(dataset.classes), len(dataset.faults)) == (5000, 5000)
    assert dataset.record(0).classes.tolist() == [4999]


@pytest.mark.parametrize(
    ("line", "label"), [("1.0 0.25 0.5 0.1 0.2", 1), ("1e0,0.25,0.5,0.1,0.2", 1), ("-0 0.25 0.5 0.1 0.2", 0)]
)
@pytest.mark.parametrize("names", ["", NAMES])
def test_class_numbers_are_read_alike_with_and_without_names(tmp_path: Path, line: str, label: int, names: str) -> None:
    write(tmp_path, "a", line, names=names)
    dataset = Yolo(tmp_path, strict=True)
    assert dataset.record(0).classes.tolist() == [label]


@pytest.mark.parametrize("line", ["sNaN 0.5 0.5 0.1 0.1", "0 sNaN 0.5 0.1 0.1", "0 Infinity 0.5 0.1 0.1", "9" * 5000])
@pytest.mark.parametrize("names", ["", NAMES])
def test_numbers_that_are_none_are_faults(tmp_path: Path, line: str, names: str) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", line, names=names)
    dataset = Yolo(tmp_path)
    assert kinds(dataset) == [data.UNREADABLE_ANNOTATION]
    assert dataset.faults[0].where == "a.txt: line 2"


def test_a_text_file_that_cannot_be_read_is_a_fault_without_names_too(tmp_path: Path) -> None:
    write(tmp_path, "a", "0 0.25 0.5 0.1 0.2", names="")
    (tmp_path / "labels" / "a.txt").write_bytes(b"\xff0 0.5")
    assert kinds(Yolo(tmp_path)) == [data.UNREADABLE_ANNOTATION]
