"""The same data set as Pascal VOC, COCO and YOLO: the same images, classes and boxes, to the bit."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minidet import data
from minidet.data import Coco, Dataset, Record, Shapes, Voc, Yolo, convert, open_dataset, recognise
from minidet.data.convert import KINDS
from minidet.data.writing import voc_annotation
from tests.data.test_layouts import SPLIT
from tests.datasets import BCCD, write_image, write_json, write_voc

READERS = {"coco": Coco, "voc": Voc, "yolo": Yolo}


def written(root: Path) -> Path:
    """A VOC folder with what real ones have: folders below, another size, no objects, corners between pixels."""
    write_voc(root, "b", ("dog", (1, 1, 40, 30)), ("ant", (3, 4, 17, 19)), ("dog", (2.5, 3.25, 7.125, 9)))
    write_voc(root, "a", ("cat", (5, 6, 7, 8)), size=(97, 61), image=False)
    write_image(root / "JPEGImages" / "a.jpg", (97, 61), seed=1)
    write_voc(root, "no objects")
    write_voc(root, "night/a", ("cat", (1, 1, 3, 3)), image=False)
    write_image(root / "JPEGImages" / "night" / "a.jpg", seed=2)
    return root


def assert_the_same(one: Dataset, other: Dataset, exactly: bool = True) -> None:
    assert (len(one), one.classes) == (len(other), other.classes)
    for i in range(len(one)):
        first, second = one[i], other[i]
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.classes, second.classes)
        np.testing.assert_array_equal(first.ignore, second.ignore)
        if exactly:
            assert first.boxes.tobytes() == second.boxes.tobytes()
        else:
            np.testing.assert_allclose(first.boxes, second.boxes, rtol=0, atol=5e-10)  # read to 9 digits


@pytest.mark.parametrize(("first", "second"), [*itertools.product(KINDS, KINDS)])
def test_there_and_on_and_back(tmp_path: Path, first: str, second: str) -> None:
    source = Voc(written(tmp_path / "source"), strict=True)
    once = convert(tmp_path / "source", tmp_path / "once", first, progress=False)
    twice = convert(tmp_path / "once", tmp_path / "twice", second, progress=False)
    assert (once.images, once.boxes, once.told) == (twice.images, twice.boxes, twice.told) == (4, 5, ())
    for path, kind in ((tmp_path / "once", first), (tmp_path / "twice", second)):
        assert recognise(path).kind == kind
        dataset = open_dataset(path, strict=True)
        assert isinstance(dataset, READERS[kind])
        assert_the_same(source, dataset)
        original = (tmp_path / "source" / "JPEGImages" / "a.jpg").read_bytes()
        assert [file.read_bytes() for file in path.rglob("a.jpg") if file.parent.name != "night"] == [original]


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_anywhere_between_pixels(tmp_path: Path, kind: str) -> None:
    shapes = Shapes(6, seed=3, image_size=(96, 128), min_size=8)
    found = convert(shapes, tmp_path / kind, kind, progress=False)
    assert (found.images, found.told) == (6, ())
    dataset = open_dataset(tmp_path / kind, strict=True)
    assert_the_same(shapes, dataset, exactly=False)
    others = [other for other in KINDS if other != kind]
    for other in others:
        convert(tmp_path / kind, tmp_path / other, other, progress=False)
        assert_the_same(dataset, open_dataset(tmp_path / other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", SPLIT)
def test_parts_stay_parts(tmp_path: Path, write, kind: str) -> None:
    write(tmp_path / "source")
    found = convert(tmp_path / "source", tmp_path / "out", kind, progress=False)
    assert (found.images, found.boxes, found.told) == (2, 2, ())
    assert recognise(tmp_path / "out").kind == kind
    assert recognise(tmp_path / "out").splits == ("train", "val")
    for split in ("train", "val"):
        before = open_dataset(tmp_path / "source", split=split, strict=True)
        assert_the_same(before, open_dataset(tmp_path / "out", split=split, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_one_part(tmp_path: Path, kind: str) -> None:
    next(iter(SPLIT))(tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "out", kind, split="val", progress=False).images == 1
    assert len(open_dataset(tmp_path / "out", strict=True)) == 1


def test_what_a_format_has_no_words_for_is_told(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 4, "bbox": [1, 2, 30, 20], "iscrowd": 1},
        {"id": 2, "image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4], "ignore": 1},
        {"id": 3, "image_id": 1, "category_id": 4, "bbox": [7.25, 2, 0.5, 4]},
        {"id": 4, "image_id": 1, "category_id": 4, "bbox": [5, 5, 0, 4]},
    ]
    image = {"id": 1, "file_name": "a.png", "width": 40, "height": 30}
    source = write_json(tmp_path / "a.json", [image], boxes, [{"id": 4, "name": "cat"}])
    told = {kind: convert(source, tmp_path / kind, kind, progress=False).told for kind in KINDS}
    faults = "a has 1 fault (1 no area), see minidet inspect"
    assert told["coco"] == (faults,)
    assert told["yolo"] == (faults, "a: 2 objects to be ignored left out, for which YOLO has no word")
    assert told["voc"][0] == faults
    assert told["voc"][1].startswith("a: 1 crowd written as difficult objects")
    assert told["voc"][2].startswith("a: 1 object lost or changed")
    assert Coco(tmp_path / "coco" / "annotations.json").category_ids == (4,)


def test_images_read_unturned_are_written_as_they_were_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    write_voc(tmp_path / "voc", "a", ("cat", (3, 4, 9, 12)), image=False)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "voc" / "JPEGImages" / "a.png", exif=exif)
    source = open_dataset(tmp_path / "voc", oriented=False)
    convert(tmp_path / "voc", tmp_path / "out", "coco", progress=False, oriented=False)
    assert_the_same(source, open_dataset(tmp_path / "out", strict=True))


def test_nothing_is_written_over_and_nothing_half(tmp_path: Path) -> None:
    written(tmp_path / "source")
    with pytest.raises(ValueError, match=r"out = .*source' is there already: give a new folder"):
        convert(tmp_path / "source", tmp_path / "source", "coco", progress=False)
    with pytest.raises(ValueError, match="kind = 'xml' must be one of coco, voc, yolo"):
        convert(tmp_path / "source", tmp_path / "out", "xml", progress=False)
    write_image(tmp_path / "two" / "images" / "a.png")
    write_image(tmp_path / "two" / "images" / "a.jpg")
    images = [{"id": i, "file_name": f"a.{end}", "width": 40, "height": 30} for i, end in enumerate(("png", "jpg"))]
    write_json(tmp_path / "two" / "annotations.json", images, [], [{"id": 1, "name": "cat"}])
    for kind in ("voc", "yolo"):
        with pytest.raises(ValueError, match="two has several images called a: rename all but one"):
            convert(tmp_path / "two", tmp_path / "out", kind, progress=False)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "two"]
    assert convert(tmp_path / "two", tmp_path / "out", "coco", progress=False).images == 2


def test_an_annotation_by_hand() -> None:
    record = Record(
        "x", "sub/a.jpg", (30, 40), np.array([[0, 0, 40, 30], [1.5, 2, 3, 4]]), np.array([1, 0]),
        np.array([False, True]), np.array([False, False]),
    )  # fmt: skip
    text = voc_annotation(record, ["猫", "a & b"]).decode()
    assert "<folder>sub</folder>\n  <filename>a.jpg</filename>" in text
    assert "<name>a &amp; b</name>" in text
    assert "<name>猫</name>" in text
    assert "<xmin>1</xmin>\n      <ymin>1</ymin>\n      <xmax>40</xmax>\n      <ymax>30</ymax>" in text
    assert "<difficult>1</difficult>\n    <bndbox>\n      <xmin>2.5</xmin>" in text


@pytest.mark.slow
@pytest.mark.skipif(not BCCD.is_dir(), reason="the blood cells are not here")
def test_blood_cells(tmp_path: Path) -> None:
    source = open_dataset(BCCD, split="val")
    for kind in ("coco", "yolo"):
        found = convert(BCCD, tmp_path / kind, kind, split="val", progress=False)
        assert found.boxes == sum(len(source.record(i).boxes) for i in range(len(source)))
        dataset = open_dataset(tmp_path / kind, strict=True)
        boxes = {dataset.record(i).file_name.rpartition("/")[2]: dataset.record(i).boxes for i in range(len(dataset))}
        for i in range(len(source)):
            record = source.record(i)
            assert record.boxes.tobytes() == boxes[record.file_name].tobytes()


def test_every_kind_of_fault_is_known() -> None:
    assert len(set(data.FAULT_KINDS)) == len(data.FAULT_KINDS) == 13


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("swapped", [False, True])
def test_parts_with_different_classes_keep_every_objects_class(tmp_path: Path, kind: str, swapped: bool) -> None:
    """What one part's file of classes says must hold for the others too."""
    classes = {"train": ["cat", "dog"], "valid": ["bird", "cat", "dog"]}
    classes = dict(zip(classes, reversed(classes.values()), strict=True)) if swapped else classes
    for part, names in classes.items():
        write_image(tmp_path / "source" / part / f"{part}.png")
        images = [{"id": 1, "file_name": f"{part}.png", "width": 40, "height": 30}]
        objects = [{"id": k, "image_id": 1, "category_id": k, "bbox": [k, 2, 9, 9]} for k, _ in enumerate(names, 1)]
        categories = [{"id": k, "name": name} for k, name in enumerate(names, 1)]
        write_json(tmp_path / "source" / part / "_annotations.coco.json", images, objects, categories)
    told = convert(tmp_path / "source", tmp_path / "out", kind, progress=False).told
    assert told == (() if kind == "coco" else (told[0],))
    assert all("the parts have different classes" in sentence for sentence in told)
    for part in classes:
        before, after = (open_dataset(tmp_path / where, split=part, strict=True) for where in ("source", "out"))
        for dataset in (before, after):
            assert [dataset.classes[k] for k in dataset.record(0).classes] == classes[part]
        assert before.record(0).boxes.tobytes() == after.record(0).boxes.tobytes()


@pytest.mark.parametrize("file_name", ["../a.png", "/a.png", "x/../../a.png", "C:\\a.png"])
def test_no_image_is_written_outside(tmp_path: Path, file_name: str) -> None:
    box = np.array([[0.0, 0, 9, 9]])
    none = np.zeros(1, bool)

    class Elsewhere(Shapes):
        def record(self, index: int, /) -> Record:
            return Record("a", file_name, (256, 256), box, np.zeros(1, np.int64), none, none)

    for kind in KINDS:
        with pytest.raises(ValueError, match=r"image 'a' has the file name .*, which leads out of the folder"):
            convert(Elsewhere(1), tmp_path / "q" / "out", kind, progress=False)
    assert list(tmp_path.rglob("*")) == []


def test_copies_do_not_become_part_of_what_is_copied(tmp_path: Path) -> None:
    write_image(tmp_path / "flat" / "a.png")
    (tmp_path / "flat" / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(ValueError, match=r"as_voc' lies in '.*flat', where .*; give a folder elsewhere"):
        convert(tmp_path / "flat", tmp_path / "flat" / "as_voc", "voc", progress=False)
    assert convert(tmp_path / "flat", tmp_path / "as_voc", "voc", progress=False).images == 1


def test_copies_may_lie_beside_the_parts_of_a_data_set(tmp_path: Path) -> None:
    for part in ("train", "valid"):
        write_image(tmp_path / part / "images" / f"{part}.png")
    (tmp_path / "data.yaml").write_text("train: train/images\nval: valid/images\nnames: [a]\n")
    assert convert(tmp_path, tmp_path / "as_coco", "coco", progress=False).images == 2
    with pytest.raises(ValueError, match=r"lies in '.*images'"):
        convert(tmp_path, tmp_path / "train" / "images" / "as_coco", "coco", progress=False)


def test_images_in_none_of_the_parts_are_told(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_voc(tmp_path / "voc", name, ("cat", (1, 1, 4, 4)))
    lists = tmp_path / "voc" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("b\n")
    (lists / "trainval.txt").write_text("a\nb\nc\n")
    found = convert(tmp_path / "voc", tmp_path / "out", "coco", progress=False)
    assert found.images == 1
    assert len(found.told) == 1
    assert found.told[0].startswith(f"2 images of {tmp_path / 'voc'} in none of the parts val, not written: name the")
