"""Pascal VOC folders, image files, and the way from a name to a data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from minidet import data
from minidet.data import DatasetError
from minidet.data.voc import Voc
from tests.datasets import BCCD, write_image, write_voc


def kinds(dataset: data.Dataset) -> list[str]:
    assert {fault.kind for fault in dataset.faults} <= set(data.FAULT_KINDS)
    return [fault.kind for fault in dataset.faults]


def test_boxes_are_counted_from_one_and_inclusive(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (1, 1, 40, 30)), ("dog", (2, 3, 4, 6)), ("cat", ("2.5", "3.5", "4.25", "6")))
    dataset = Voc(tmp_path)
    assert dataset.classes == ("cat", "dog")
    sample = dataset[0]
    np.testing.assert_array_equal(sample.boxes, [[0, 0, 40, 30], [1, 2, 4, 6], [1.5, 2.5, 4.25, 6]])
    np.testing.assert_array_equal(sample.classes, [0, 1, 0])
    assert sample.image.shape == (30, 40, 3)
    assert (sample.image.dtype, sample.boxes.dtype, sample.classes.dtype) == (np.uint8, np.float64, np.int64)
    assert (sample.image_id, dataset.record(0).file_name, dataset.faults) == ("a", "a.jpg", [])


def test_a_sample_does_not_share_memory_with_its_record(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (1, 1, 40, 30)))
    dataset = Voc(tmp_path)
    dataset[0].boxes[:] = 7
    assert dataset.record(0).boxes[0, 2] == 40


def test_faulty_boxes_are_reported(tmp_path: Path) -> None:
    write_voc(
        tmp_path, "a",
        ("cat", (5, 5, 9, 9)),
        ("cat", (5, 5, 5, 5)),  # a click
        ("cat", (9, 5, 5, 9)),  # inverted
        ("cat", (0, 5, 44, 9)),  # partly outside
        ("cat", (41, 5, 44, 9)),  # wholly: VOC's last column is 40
        ("cat", (5, 5, 9, 9)),  # again
        ("dog", (5, 5, 9, 9)),  # not the same class
        ("cat", (5, 5, "nan", 9)),
        ("cat", (5, 5, "", 9)),
    )  # fmt: skip
    dataset = Voc(tmp_path)
    np.testing.assert_array_equal(dataset.record(0).boxes, [[4, 4, 9, 9], [0, 4, 40, 9], [4, 4, 9, 9]])
    unreadable = [data.UNREADABLE_ANNOTATION] * 2
    expected = [data.NO_AREA, data.NO_AREA, data.OUTSIDE, data.OUTSIDE, data.DUPLICATE]
    assert sorted(kinds(dataset)) == sorted(unreadable + expected)
    fault = next(fault for fault in dataset.faults if fault.kind == data.NO_AREA)
    assert (fault.image_id, fault.where) == ("a", "a.xml: object 2 (cat)")
    assert fault.detail == (
        "a.xml: object 2 (cat) has box (5, 5, 5, 5) of no area: left out; fix or remove it in the file"
    )
    with pytest.raises(DatasetError, match="no name or no box"):
        Voc(tmp_path, strict=True)


def test_an_image_without_objects_is_ordinary(tmp_path: Path) -> None:
    write_voc(tmp_path, "a")
    dataset = Voc(tmp_path)
    assert (len(dataset), dataset.faults, dataset.classes) == (1, [], ())
    assert dataset[0].boxes.shape == (0, 4)
    assert dataset[0].classes.dtype == np.int64


def test_difficult_objects_are_marked(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)), difficult=1)
    record = Voc(tmp_path).record(0)
    assert (record.ignore.tolist(), record.crowd.tolist()) == ([True], [False])


def test_images_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    write_voc(tmp_path, "good", ("cat", (5, 5, 9, 9)))
    write_voc(tmp_path, "gone", ("cat", (5, 5, 9, 9)), image=False)
    write_voc(tmp_path, "hollow", ("cat", (5, 5, 9, 9)), image=False)
    (tmp_path / "JPEGImages" / "hollow.jpg").touch()
    dataset = Voc(tmp_path)
    assert [fault.image_id for fault in dataset.faults] == ["gone", "hollow"]
    assert kinds(dataset) == [data.MISSING_IMAGE, data.UNREADABLE_IMAGE]
    assert [record.image_id for record in map(dataset.record, range(len(dataset)))] == ["good"]
    with pytest.raises(DatasetError, match=r"gone\.xml has no image") as error:
        Voc(tmp_path, strict=True)
    assert error.value.fault.kind == data.MISSING_IMAGE


LAUGHS = '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;&b;">]><annotation><filename>&c;</filename></annotation>'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is empty"),
        (b"<annotation><object>", "is not XML"),
        (b"<html/>", "root <html>"),
        (b'<?xml version="1.0" encoding="none"?><annotation>\xb0</annotation>', "is not UTF-8"),
        (LAUGHS.encode(), "DOCTYPE"),
        (LAUGHS.encode("utf-16"), "DOCTYPE"),
    ],
)
def test_annotations_that_cannot_be_read_are_left_out(tmp_path: Path, text: bytes, problem: str) -> None:
    write_voc(tmp_path, "a").write_bytes(text)
    write_voc(tmp_path, "b")
    dataset = Voc(tmp_path)
    assert (len(dataset), kinds(dataset)) == (1, [data.UNREADABLE_ANNOTATION])
    assert problem in dataset.faults[0].detail


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "C:\\a.jpg", "..\\secret.jpg", "\\a.jpg"])
def test_a_file_name_that_leads_outside_is_not_followed(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / "secret.jpg")
    write_voc(tmp_path / "voc", "a", filename=name, image=False)
    write_voc(tmp_path / "voc", "b", filename=name)
    dataset = Voc(tmp_path / "voc")
    assert kinds(dataset) == [data.UNSAFE_PATH, data.UNSAFE_PATH]
    assert [record.file_name for record in map(dataset.record, range(len(dataset)))] == ["b.jpg"]  # has one of its own


def test_the_file_name_is_the_second_choice(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", filename="other.png", image=False)
    write_image(tmp_path / "JPEGImages" / "other.png")
    assert Voc(tmp_path).record(0).file_name == "other.png"
    write_image(tmp_path / "JPEGImages" / "a.png")
    (tmp_path / "JPEGImages" / "a.json").touch()  # some tools leave their own files there
    assert Voc(tmp_path).record(0).file_name == "a.png"


def test_a_size_that_is_not_given_comes_from_the_image(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", size=None)
    write_voc(tmp_path, "b", size=(0, 0))
    dataset = Voc(tmp_path)
    assert kinds(dataset) == [data.WRONG_SIZE, data.WRONG_SIZE]
    assert dataset.record(0).image_size == dataset.record(1).image_size == (30, 40)


def test_splits(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)))
    write_voc(tmp_path, "b", ("dog", (5, 5, 9, 9)))
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("b\n\nb  1\nc d -1\n")
    dataset = Voc(tmp_path, split="train")
    assert dataset.classes == ("cat", "dog")  # of the folder: an index means the same in every split
    assert (len(dataset), dataset.record(0).classes.tolist()) == (1, [1])
    assert kinds(dataset) == [data.DUPLICATE, data.UNREADABLE_ANNOTATION]
    with pytest.raises(ValueError, match=r"split = 'test' must be one of .*'train'"):
        Voc(tmp_path, split="test")


def test_given_classes(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)))
    assert Voc(tmp_path, classes=["dog", "cat"]).record(0).classes.tolist() == [1]
    with pytest.raises(DatasetError, match=r"a\.xml: object 1 \(cat\) is of class 'cat'"):
        Voc(tmp_path, classes=["dog"])
    with pytest.raises(ValueError, match="classes = 'cat' must be a list"):
        Voc(tmp_path, classes="cat")


def test_another_size_than_annotated_is_an_error(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", size=(40, 30))  # as after a rotation
    with pytest.raises(DatasetError, match=r"a\.jpg is 40 x 30 pixels, its annotation says 30 x 40 pixels") as error:
        Voc(tmp_path)[0]
    assert error.value.fault.kind == data.WRONG_SIZE


@pytest.mark.slow
@pytest.mark.skipif(not BCCD.is_dir(), reason="the blood cells are not here")
def test_blood_cells() -> None:
    dataset = Voc(BCCD)
    assert len(dataset) == 292
    assert dataset.classes == ("Platelets", "RBC", "WBC")
    assert [(fault.kind, fault.image_id) for fault in dataset.faults] == [
        (data.NO_AREA, "BloodImage_00338"), (data.NO_AREA, "BloodImage_00343"),
    ]  # fmt: skip
    assert "object 4 (RBC) has box (181, 329, 181, 329) of no area" in dataset.faults[1].detail
    assert sum(len(dataset.record(i).boxes) for i in range(292)) == 3943 - 2
    assert dataset[0].image.shape == (480, 640, 3)
    assert len(Voc(BCCD, split="train")) + len(Voc(BCCD, split="val")) == 292


def write_list(root: Path, name: str, text: str) -> None:
    folder = root / "ImageSets" / "Main"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cat 1", "cat 1"), ("cat -1", "cat -1"), ("cat 0", "cat"), ("cat", "cat"), ("cat 1 1", "cat 1"),
        ("cat  -1", "cat"), ("dog -1", "dog"), ("dog\t1", "dog"), ("cat.jpg", "cat"), ("JPEGImages/dog.jpg", "dog"),
        ("CAT", "cat"), ("cat 1.jpg", "cat 1"),
    ],
)  # fmt: skip
def test_a_flag_is_cut_only_where_the_whole_line_is_no_name(tmp_path: Path, line: str, expected: str) -> None:
    for name in ("cat", "cat 1", "cat -1", "dog"):
        write_voc(tmp_path, name)
    write_list(tmp_path, "train", f"{line}\n")
    dataset = Voc(tmp_path, split="train", strict=True)
    assert [dataset.record(i).image_id for i in range(len(dataset))] == [expected]


def test_a_name_that_is_not_there_is_named_without_its_flag(tmp_path: Path) -> None:
    write_voc(tmp_path, "cat")
    write_list(tmp_path, "train", "cow 1\n")
    assert [fault.where for fault in Voc(tmp_path, split="train").faults] == ["cow.xml"]


def test_annotations_in_folders_below(tmp_path: Path) -> None:
    write_voc(tmp_path, "b", ("cat", (5, 5, 9, 9)))
    write_voc(tmp_path, "day/a", ("cat", (5, 5, 9, 9)), filename="a.jpg", image=False)
    write_voc(tmp_path, "night/a", ("dog", (5, 5, 9, 9)), filename="a.jpg", image=False)
    write_image(tmp_path / "JPEGImages" / "day" / "a.jpg", seed=1)
    write_image(tmp_path / "JPEGImages" / "night" / "a.png", seed=2)
    dataset = Voc(tmp_path, strict=True)
    records = [dataset.record(i) for i in range(len(dataset))]
    assert [(record.image_id, record.file_name) for record in records] == [
        ("b", "b.jpg"), ("day/a", "day/a.jpg"), ("night/a", "night/a.png"),
    ]  # fmt: skip
    write_list(tmp_path, "train", "night/a\n")
    assert Voc(tmp_path, split="train", strict=True).record(0).classes.tolist() == [1]


def test_annotations_below_of_images_in_one_folder(tmp_path: Path) -> None:
    write_voc(tmp_path, "part1/a", ("cat", (5, 5, 9, 9)), filename="a.jpg", image=False)
    write_image(tmp_path / "JPEGImages" / "a.jpg")
    assert Voc(tmp_path, strict=True).record(0).file_name == "a.jpg"


def test_images_without_annotation_are_told(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)))
    write_voc(tmp_path, "broken").write_text("<annotation>")
    for name in ("left.jpg", "sub/over.png"):
        write_image(tmp_path / "JPEGImages" / name)
    (tmp_path / "JPEGImages" / "._left.jpg").write_bytes(b"of a Mac")
    dataset = Voc(tmp_path)
    assert [(fault.kind, fault.image_id) for fault in dataset.faults] == [
        (data.UNREADABLE_ANNOTATION, "broken"), (data.NO_ANNOTATION, "left"), (data.NO_ANNOTATION, "sub/over"),
    ]  # fmt: skip
    assert dataset.faults[1].detail.startswith("left.jpg has no annotation: left out; if nothing is to be seen on it")
    write_list(tmp_path, "train", "a\n")
    assert Voc(tmp_path, split="train").faults == []  # what a list leaves out is meant


def test_boxes_counted_from_zero(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (0, 0, 40, 30)), ("cat", (3, 4, 5, 9)), ("cat", (0, 7, 9, 8)))
    dataset = Voc(tmp_path, first_pixel=0, strict=True)
    assert dataset.record(0).boxes.tolist() == [[0, 0, 40, 30], [3, 4, 5, 9], [0, 7, 9, 8]]
    assert dataset.notes == []
    counted_from_one = Voc(tmp_path)
    assert counted_from_one.record(0).boxes.tolist() == [[0, 0, 40, 30], [2, 3, 5, 9], [0, 6, 9, 8]]
    assert kinds(counted_from_one) == [data.OUTSIDE] * 2
    assert counted_from_one.notes[0].startswith("2 boxes begin at 0, where Pascal VOC begins at 1")
    assert "first_pixel=0" in counted_from_one.notes[0]
    with pytest.raises(ValueError, match="first_pixel = 2 must be 1, as VOC counts, or 0"):
        Voc(tmp_path, first_pixel=2)


def test_classes_of_a_list(tmp_path: Path) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)), ("ape", (5, 5, 9, 9)))
    (tmp_path / "classes.txt").write_text("dog\ncat\nape\n")
    assert (Voc(tmp_path, strict=True).classes, Voc(tmp_path).record(0).classes.tolist()) == (
        ("dog", "cat", "ape"),
        [1, 2],
    )
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    dataset = Voc(tmp_path)
    assert (dataset.classes, kinds(dataset)) == (("ape", "cat"), [data.UNKNOWN_CLASS])


def test_names_that_differ_in_case_alone_are_told(tmp_path: Path) -> None:
    write_voc(
        tmp_path, "a", ("cat", (5, 5, 9, 9)), ("Cat", (5, 5, 8, 9)), ("big  dog", (1, 1, 2, 2)), ("dog", (1, 1, 3, 3))
    )
    dataset = Voc(tmp_path)
    assert len(dataset.classes) == 4
    assert kinds(dataset) == [data.SAME_NAME]
    assert "['Cat', 'cat']: kept apart" in dataset.faults[0].detail


def test_two_images_of_one_name(tmp_path: Path) -> None:
    """The one that the annotation names; the other is told."""
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)), filename="a.png")
    write_image(tmp_path / "JPEGImages" / "a.png")
    assert Voc(tmp_path).record(0).file_name == "a.png"
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)), filename="elsewhere.png")
    assert Voc(tmp_path).record(0).file_name == "a.jpg"


def test_only_images(tmp_path: Path) -> None:
    write_image(tmp_path / "JPEGImages" / "a.jpg")
    (tmp_path / "Annotations").mkdir()
    dataset = Voc(tmp_path)
    assert (len(dataset), dataset.classes, kinds(dataset)) == (0, (), [data.NO_ANNOTATION])
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="holds no XML files"):
        Voc(tmp_path)


def test_of_two_annotations_of_one_image_one_is_read_and_the_other_told(tmp_path: Path) -> None:
    other = write_voc(tmp_path, "a", ("cat", (1, 1, 4, 4)))
    other.rename(other.with_suffix(".XML"))
    if other.exists():
        pytest.skip("this file system does not tell .xml from .XML")
    write_voc(tmp_path, "a", ("cat", (5, 5, 9, 9)), image=False)
    dataset = Voc(tmp_path)
    assert len(dataset) == 1
    assert [(fault.kind, fault.image_id) for fault in dataset.faults] == [(data.DUPLICATE, "a")]
