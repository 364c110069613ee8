"""COCO files, read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import data
from minidet.data import DatasetError, Record, open_dataset
from minidet.data.coco import Coco
from minidet.data.records import outlined
from minidet.data.voc import Voc
from minidet.data.writing import write_coco
from tests.datasets import BCCD, write_image, write_json

CATEGORIES = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 7, "name": "never used"}]


def image(image_id: Any = 1, file_name: str = "a.png", **more: Any) -> dict[str, Any]:
    return {"id": image_id, "file_name": file_name, "width": 40, "height": 30, **more}


def annotation(bbox: Any, category_id: Any = 3, image_id: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": 17, "bbox": bbox, "category_id": category_id, "image_id": image_id, **more}


def write(root: Path, images: list[Any], annotations: list[Any]) -> Path:
    write_image(root / "images" / "a.png")
    return write_json(root / "annotations.json", images, annotations, CATEGORIES)


def test_boxes_classes_and_category_ids(tmp_path: Path) -> None:
    path = write(tmp_path, [image()], [annotation([0.5, 1, 10, 20.25]), annotation([0, 0, 40, 30], 90, iscrowd=1)])
    dataset = Coco(path)
    assert dataset.classes == ("cat", "never used", "dog")
    assert dataset.category_ids == (3, 7, 90)
    sample = dataset[0]
    np.testing.assert_array_equal(sample.boxes, [[0.5, 1, 10.5, 21.25], [0, 0, 40, 30]])
    assert sample.classes.tolist() == [0, 2]
    assert sample.crowd.tolist() == sample.ignore.tolist() == [False, True]
    assert (sample.image_id, sample.image.shape, dataset.faults) == (1, (30, 40, 3), [])
    assert dataset.name == tmp_path.name


def test_images_lie_beside_or_where_told(tmp_path: Path) -> None:
    write_image(tmp_path / "elsewhere" / "deep" / "a.png")
    path = write_json(tmp_path / "instances.json", [image(file_name="deep/a.png")], [], CATEGORIES)
    assert Coco(path, images=tmp_path / "elsewhere")[0].image.shape == (30, 40, 3)
    write_image(tmp_path / "deep" / "a.png")
    assert len(Coco(path)) == 1
    with pytest.raises(ValueError, match=r"images = .* is not a folder"):
        Coco(path, images=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("entry", "kind", "detail"),
    [
        (
            annotation([5, 5, 0, 4]),
            data.NO_AREA,
            "annotation 17 (cat) has box [5, 5, 0, 4] (x, y, width, height) of no",
        ),
        (annotation([5, 5, -3, 4]), data.NO_AREA, "[5, 5, -3, 4]"),
        (annotation([40, 5, 3, 4]), data.OUTSIDE, "outside the image of 40 x 30 pixels: left out"),
        (annotation([1, 2, 3, 4], iscrowd=0), data.DUPLICATE, "a second time"),
        (annotation([5, 5, 3, 4], 4), data.UNKNOWN_CLASS, "category 4"),
        (annotation([5, 5, 3, 4], image_id=2), data.UNKNOWN_IMAGE, "image 2, which is not in images"),
        ({"id": 17, "bbox": [5, 5, 3, 4], "image_id": 1}, data.UNREADABLE_ANNOTATION, "needs image_id"),
        (annotation([5, 5, 3]), data.UNREADABLE_ANNOTATION, "four finite numbers"),
        (annotation([5, 5, 3, float("nan")]), data.UNREADABLE_ANNOTATION, "four finite numbers"),
        (annotation([5, 5, 3, 10**400]), data.UNREADABLE_ANNOTATION, "four finite numbers"),
        (annotation("5 5 3 4"), data.UNREADABLE_ANNOTATION, "four finite numbers"),
        ([], data.UNREADABLE_ANNOTATION, "entry 2 of annotations = []"),
    ],
)
def test_faulty_annotations_are_left_out(tmp_path: Path, entry: Any, kind: str, detail: str) -> None:
    path = write(tmp_path, [image()], [annotation([1, 2, 3, 4]), entry])
    dataset = Coco(path)
    np.testing.assert_array_equal(dataset.record(0).boxes, [[1, 2, 4, 6]])
    assert [fault.kind for fault in dataset.faults] == [kind]
    assert detail in dataset.faults[0].detail
    with pytest.raises(DatasetError, match=r"annotations\.json: ") as error:
        Coco(path, strict=True)
    assert error.value.fault == dataset.faults[0]


def test_boxes_partly_outside_are_clipped(tmp_path: Path) -> None:
    path = write(tmp_path, [image()], [annotation([-1, 2, 50, 4]), annotation([30, 20, 10.01, 10.01])])
    dataset = Coco(path)
    np.testing.assert_array_equal(dataset.record(0).boxes, [[0, 2, 40, 6], [30, 20, 40, 30]])
    assert [fault.kind for fault in dataset.faults] == [data.OUTSIDE]  # 0.01 is COCO's own rounding


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (image(2, "gone.png"), data.MISSING_IMAGE),
        (image(2, "hollow.png"), data.UNREADABLE_IMAGE),
        (image(2, "../secret.png"), data.UNSAFE_PATH),
        (image(2, "/etc/passwd"), data.UNSAFE_PATH),
        (image(2, ""), data.UNSAFE_PATH),
        (image(2, "a\0.png"), data.UNSAFE_PATH),
        (image(1, "a.png"), data.DUPLICATE),
        (image(1.5), data.UNREADABLE_ANNOTATION),
        ({"id": 2}, data.UNREADABLE_ANNOTATION),
        (None, data.UNREADABLE_ANNOTATION),
    ],
)
def test_faulty_images_are_left_out(tmp_path: Path, entry: Any, kind: str) -> None:
    write_image(tmp_path / "secret.png")
    path = write(tmp_path, [image(), entry], [annotation([1, 2, 3, 4])])
    (tmp_path / "images" / "hollow.png").touch()
    dataset = Coco(path)
    assert ([fault.kind for fault in dataset.faults], len(dataset)) == ([kind], 1)


def test_objects_of_an_image_that_is_left_out_are_no_faults(tmp_path: Path) -> None:
    path = write(tmp_path, [image(1, "../a.png")], [annotation([1, 2, 3, 4])])
    assert [fault.kind for fault in Coco(path).faults] == [data.UNSAFE_PATH]


@pytest.mark.parametrize("size", [{}, {"width": 40}, {"width": 0, "height": 0}, {"width": "40", "height": None}])
def test_a_size_that_is_not_given_comes_from_the_image(tmp_path: Path, size: dict[str, Any]) -> None:
    dataset = Coco(write(tmp_path, [{"id": 1, "file_name": "a.png", **size}], []))
    assert [fault.kind for fault in dataset.faults] == [data.WRONG_SIZE]
    assert dataset.record(0).image_size == (30, 40)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ('{"images": [', "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "no list 'images'"),
        ('{"images": [], "annotations": 3, "categories": []}', "no list 'annotations'"),
        ('{"images": [], "annotations": [], "categories": [{"id": "1", "name": "a"}]}', r"categories\[0\]"),
        ('{"images": [], "annotations": [], "categories": [{"id":1,"name":"a"},{"id":1,"name":"b"}]}', "second time"),
    ],
)
def test_a_file_of_another_form_is_an_error(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        Coco(path)
    assert "a.json" in str(error.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.json cannot be read \(No such file"):
        Coco(tmp_path / "a.json")


RECORD = Record(
    "x", "a.png", (30, 40), np.array([[1.5, 2, 11.5, 6], [0, 0, 40, 30], [3, 3, 4, 4]]), np.array([1, 0, 1]),
    np.array([False, True, True]), np.array([False, True, False]),
)  # fmt: skip


def test_written_files_are_read_back(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    path = write_coco(tmp_path / "annotations.json", [RECORD], ("cat", "dog"), category_ids=(4, 9))
    dataset = Coco(path, strict=True)
    assert (dataset.classes, dataset.category_ids) == (("cat", "dog"), (4, 9))
    for name, value in (vars(RECORD) | {"areas": outlined(RECORD)}).items():
        np.testing.assert_array_equal(getattr(dataset.record(0), name), value, err_msg=name)
    first = json.loads(path.read_text())["annotations"][0]
    assert first == {
        "id": 1, "image_id": "x", "category_id": 9, "bbox": [1.5, 2, 10, 4], "area": 40, "iscrowd": 0,
    }  # fmt: skip


corner = st.floats(0, 40, allow_subnormal=False)


@given(st.lists(st.tuples(corner, corner, corner, corner), max_size=5, unique=True))
def test_any_boxes_are_read_back(tmp_path_factory: pytest.TempPathFactory, boxes: list[tuple[float, ...]]) -> None:
    root = tmp_path_factory.mktemp("coco")
    good = np.array([box for box in boxes if box[2] - box[0] > 1e-6 and box[3] - box[1] > 1e-6]).reshape(-1, 4)
    none = np.zeros(len(good), dtype=bool)
    record = Record(1, "a.png", (40, 40), good, np.zeros(len(good), dtype=np.int64), none, none)
    write_image(root / "a.png", (40, 40))
    dataset = Coco(write_coco(root / "annotations.json", [record], ["cat"]), strict=True)
    np.testing.assert_allclose(dataset.record(0).boxes, good, rtol=0, atol=1e-9)


def test_writing_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(ValueError, match="class 1: classes has 1 names"):
        write_coco(path, [RECORD], ["cat"])
    with pytest.raises(ValueError, match=r"category_ids = \[1, 1\] must be 2 different numbers"):
        write_coco(path, [RECORD], ["cat", "dog"], [1, 1])
    with pytest.raises(ValueError, match=r"category_ids\[1\] = 0.5"):
        write_coco(path, [RECORD], ["cat", "dog"], [1, 0.5])  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not BCCD.is_dir(), reason="the blood cells are not here")
def test_voc_to_coco(tmp_path: Path) -> None:
    voc = Voc(BCCD)
    path = write_coco(tmp_path / "bccd.json", map(voc.record, range(len(voc))), voc.classes)
    coco = open_dataset(path, images=BCCD / "JPEGImages", strict=True)
    assert (len(coco), coco.classes) == (len(voc), voc.classes)
    for i in range(len(voc)):
        np.testing.assert_array_equal(coco.record(i).boxes, voc.record(i).boxes)
        np.testing.assert_array_equal(coco.record(i).classes, voc.record(i).classes)


def coco_with(root: Path, categories: list[dict[str, Any]], *used: int) -> Path:
    write_image(root / "a.png")
    boxes = [annotation([1 + i, 2, 3, 4], category, id=i) for i, category in enumerate(used)]
    return write_json(root / "a.json", [image()], boxes, categories)


@pytest.mark.parametrize(
    ("names", "used", "classes", "ids", "labels"),
    [
        ({0: "cell", 1: "cell"}, (1, 1), ("cell",), (1,), [0, 0]),  # Roboflow's root class
        ({0: "cell", 1: "cell", 2: "dog"}, (1, 2), ("cell", "dog"), (1, 2), [0, 1]),
        ({3: "cat", 5: "dog", 9: "cat"}, (3, 9, 9, 5), ("dog", "cat"), (5, 9), [1, 1, 1, 0]),  # both used: one class
        ({1: "cat", 2: "cat "}, (1,), ("cat",), (1,), [0]),
        ({1: "cat", 2: "cat"}, (), ("cat",), (1,), []),
    ],
)
def test_categories_of_one_name_are_one_class(tmp_path: Path, names, used, classes, ids, labels) -> None:
    path = coco_with(tmp_path, [{"id": i, "name": name} for i, name in names.items()], *used)
    dataset = Coco(path)
    assert (dataset.classes, dataset.category_ids) == (classes, ids)
    assert dataset.record(0).classes.tolist() == labels
    assert [fault.kind for fault in dataset.faults] == [data.SAME_NAME]
    assert "of one name" in dataset.faults[0].detail
    with pytest.raises(DatasetError, match="taken as one class"):
        Coco(path, strict=True)


def test_categories_that_differ_in_case_are_two_and_told(tmp_path: Path) -> None:
    dataset = Coco(coco_with(tmp_path, [{"id": 1, "name": "cat"}, {"id": 2, "name": "Cat"}], 1, 2))
    assert dataset.record(0).classes.tolist() == [0, 1]
    assert [fault.kind for fault in dataset.faults] == [data.SAME_NAME]


@pytest.mark.parametrize(
    "file_name",
    [
        "sub/Ünit 1.png", "sub\\Ünit 1.png", "./sub/Ünit 1.png", "images/sub/Ünit 1.png", "images\\sub\\Ünit 1.png",
        "SUB/ünit 1.PNG", "sub/U\u0308nit 1.png", "sub/Ünit 1", "{root}/images/sub/Ünit 1.png",
    ],
)  # fmt: skip
def test_ways_to_name_an_image(tmp_path: Path, file_name: str) -> None:
    write_image(tmp_path / "images" / "sub" / "Ünit 1.png")
    file_name = file_name.format(root=tmp_path)
    path = write_json(tmp_path / "a.json", [image(file_name=file_name)], [], CATEGORIES)
    assert Coco(path, strict=True).record(0).file_name == "sub/Ünit 1.png"


@pytest.mark.parametrize("file_name", ["C:\\Users\\me\\a.png", "/home/me/pictures/A.png", "../../upload/1/a.png"])
def test_a_path_from_elsewhere_is_told_and_the_image_of_that_name_taken(tmp_path: Path, file_name: str) -> None:
    path = write(tmp_path, [image(file_name=file_name)], [annotation([1, 2, 3, 4])])
    dataset = Coco(path)
    assert [fault.kind for fault in dataset.faults] == [data.UNSAFE_PATH]
    assert dataset.faults[0].detail.endswith("outside the data set's folder: a.png is read in its place; correct it")
    assert dataset.record(0).boxes.tolist() == [[1, 2, 4, 6]]


def test_a_name_that_fits_two_images_fits_none(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "B.png", "b.PNG"):
        write_image(tmp_path / "images" / name)
    images = [image(1, "C:\\a.png"), image(2, "b.png")]
    assert [fault.kind for fault in Coco(write_json(tmp_path / "a.json", images, [], [])).faults] == [
        data.UNSAFE_PATH, data.MISSING_IMAGE,
    ]  # fmt: skip


def test_what_a_detector_wrote_is_read_from_the_folder_of_all(tmp_path: Path) -> None:
    """A file whose images have absolute paths, as those of pictures from anywhere."""
    write_image(tmp_path / "deep" / "photo.png")
    path = write_json(
        tmp_path / "out" / "found.json", [image(file_name=str(tmp_path / "deep" / "photo.png"))], [], CATEGORIES
    )
    for folder in (tmp_path, "/", tmp_path / "deep"):
        assert Coco(path, images=folder, strict=True)[0].image.shape == (30, 40, 3)


def test_two_entries_of_one_image_are_both_kept_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, [image(1), image(2, "images/a.png")], [annotation([1, 2, 3, 4], image_id=2)])
    dataset = Coco(path)
    assert (len(dataset), [fault.kind for fault in dataset.faults]) == (2, [data.DUPLICATE])
    assert "is of the image a.png, as 1 is" in dataset.faults[0].detail


@pytest.mark.parametrize("bbox", [None, []])
def test_the_bounds_of_a_mask_are_a_box(tmp_path: Path, bbox: Any) -> None:
    mask = [[3, 4, 9, 4, 9, 12.5], [2, 8, 4, 8, 3, 9]]
    dataset = Coco(write(tmp_path, [image()], [annotation(bbox, segmentation=mask)]))
    assert dataset.record(0).boxes.tolist() == [[2, 4, 9, 12.5]]
    assert [fault.kind for fault in dataset.faults] == [data.UNREADABLE_ANNOTATION]
    assert "has no bbox: the bounds of its segmentation" in dataset.faults[0].detail


@pytest.mark.parametrize(
    "mask", [[], [[]], [[1, 2]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5, "6"]], {"counts": "abc"}, "x"]
)
def test_other_masks_are_no_box(tmp_path: Path, mask: Any) -> None:
    dataset = Coco(write(tmp_path, [image()], [annotation(None, segmentation=mask)]))
    assert (dataset.record(0).boxes.shape, [fault.kind for fault in dataset.faults]) == (
        (0, 4), [data.UNREADABLE_ANNOTATION],
    )  # fmt: skip


def test_sums_of_decimals_are_decimals(tmp_path: Path) -> None:
    """473.07 + 38.65 is 511.71999999999997 in floating point; the file says 511.72."""
    path = write_json(
        tmp_path / "a.json", [image(width=600, height=600)], [annotation([473.07, 395.93, 38.65, 28.67])], CATEGORIES
    )
    write_image(tmp_path / "a.png", (600, 600))
    assert Coco(path, strict=True).record(0).boxes.tolist() == [[473.07, 395.93, 511.72, 424.6]]


def test_a_name_that_no_file_can_have_is_a_missing_image(tmp_path):
    write_image(tmp_path / "a.png")
    size = {"height": 30, "width": 40}
    images = [{"id": 1, "file_name": "a.png", **size}, {"id": 2, "file_name": "b" * 300 + ".png", **size}]
    dataset = Coco(write_json(tmp_path / "annotations.json", images, [], [{"id": 1, "name": "cat"}]))
    assert len(dataset) == 1
    assert [fault.kind for fault in dataset.faults] == [data.MISSING_IMAGE]
