"""From a folder to a data set: which kind it is, which parts it has, where its images lie."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minidet import data
from minidet.data import Layout, Voc, open_dataset, recognise
from tests.datasets import write_image, write_json, write_voc

CATEGORIES = [{"id": 1, "name": "cat"}]


def coco_file(path: Path, *names: str, start: int = 1) -> Path:
    """A COCO file of images of these names, each with one box."""
    images = [{"id": i, "file_name": name, "width": 40, "height": 30} for i, name in enumerate(names, start)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [4, 5, 6, 7]} for i in range(start, start + len(names))]
    return write_json(path, images, boxes, CATEGORIES)


def yolo_file(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def minidet_folder(root: Path) -> None:
    write_image(root / "images" / "a.png")
    coco_file(root / "annotations.json", "a.png")


def cvat(root: Path) -> None:
    write_image(root / "images" / "a.png")
    coco_file(root / "annotations" / "instances_default.json", "a.png")


def cvat_with_subset(root: Path) -> None:
    write_image(root / "images" / "default" / "a.png")
    coco_file(root / "annotations" / "instances_default.json", "a.png")


def label_studio(root: Path) -> None:
    write_image(root / "images" / "a.png")
    coco_file(root / "result.json", "images/a.png")


def label_studio_on_windows(root: Path) -> None:
    write_image(root / "images" / "a.png")
    coco_file(root / "result.json", "images\\a.png")


def fiftyone(root: Path) -> None:
    write_image(root / "data" / "a.png")
    coco_file(root / "labels.json", "a.png")


def any_name(root: Path) -> None:
    write_image(root / "imgs" / "a.png")
    coco_file(root / "my labels.json", "imgs/a.png")


def flat(root: Path) -> None:
    write_image(root / "a.png")
    coco_file(root / "export.json", "a.png")


def another_case(root: Path) -> None:
    write_image(root / "images" / "A.PNG")
    coco_file(root / "Annotations" / "train.json", "a.png")


def one_level_deeper(root: Path) -> None:
    cvat(root / "my_data-main")


def utf_16(root: Path) -> None:
    flat(root)
    path = root / "export.json"
    path.write_bytes(path.read_text().encode("utf-16"))


def ids_that_a_table_made_floats(root: Path) -> None:
    flat(root)
    path = root / "export.json"
    path.write_text(re.sub(r'(id": 1)', r"\1.0", path.read_text()))


def images_behind_links(root: Path) -> None:
    """One leads to another disk, one back to the folder that it lies in."""
    flat(root / ".elsewhere")
    (root / "images").mkdir()
    (root / "images" / "day").symlink_to(root / ".elsewhere", target_is_directory=True)
    (root / "images" / "again").symlink_to(root / "images", target_is_directory=True)
    coco_file(root / "annotations.json", "day/a.png")


COCO: list[Callable[[Path], None]] = [
    minidet_folder, cvat, cvat_with_subset, label_studio, label_studio_on_windows, fiftyone, any_name, flat,
    another_case, one_level_deeper, utf_16, ids_that_a_table_made_floats, images_behind_links,
]  # fmt: skip


@pytest.mark.parametrize("write", COCO)
def test_layouts_of_coco(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    layout = recognise(tmp_path)
    assert (layout.kind, layout.splits) == ("coco", ())
    assert layout.says.startswith(f"COCO annotations in {tmp_path}")
    dataset = open_dataset(tmp_path, strict=True)
    assert (len(dataset), dataset.classes, dataset.record(0).boxes.tolist()) == (1, ("cat",), [[4, 5, 10, 12]])
    assert dataset[0].image.shape == (30, 40, 3)
    assert open_dataset(layout.path, strict=True)[0].image.shape == (30, 40, 3)  # the file itself finds its images


def coco_itself(root: Path) -> None:
    for split in ("train2017", "val2017"):
        write_image(root / split / f"{split}.jpg")
        coco_file(root / "annotations" / f"instances_{split}.json", f"{split}.jpg")
        coco_file(root / "annotations" / f"person_keypoints_{split}.json", f"{split}.jpg")
    (root / "annotations" / "captions_val2017.json").write_text('{"images": [], "annotations": []}')


def coco_with_images_in_one_folder(root: Path) -> None:
    for split in ("train2017", "val2017"):
        write_image(root / "images" / split / f"{split}.jpg")
        coco_file(root / "annotations" / f"instances_{split}.json", f"{split}.jpg")


def roboflow(root: Path) -> None:
    for split in ("train", "valid"):
        write_image(root / split / f"{split}.jpg")
        coco_file(root / split / "_annotations.coco.json", f"{split}.jpg")
    (root / "README.roboflow.txt").write_text("exported")


def two_files(root: Path) -> None:
    for split in ("train", "val"):
        write_image(root / "images" / f"{split}.jpg")
        coco_file(root / f"{split}.json", f"{split}.jpg")


def yolo_with_yaml(root: Path) -> None:
    for split, folder in (("train", "train"), ("val", "valid")):
        write_image(root / folder / "images" / f"{split}.jpg")
        yolo_file(root / folder / "labels" / f"{split}.txt", "0 0.175 0.283333 0.15 0.233333")
    lines = ["train: ../train/images", "val: ../valid/images", "test: ../test/images", "nc: 1", "names: ['cat']"]
    yolo_file(root / "data.yaml", *lines)


def yolo_of_ultralytics(root: Path) -> None:
    for split in ("train", "val"):
        write_image(root / "images" / f"{split}2017" / f"{split}.jpg")
        yolo_file(root / "labels" / f"{split}2017" / f"{split}.txt", "0 0.175 0.283333 0.15 0.233333")
    lines = ["path: ../datasets/coco8  # root", "train: images/train2017", "val: images/val2017", "names:", "  0: cat"]
    yolo_file(root / "coco8.yaml", *lines, "download: |", "  from x import y", "  y([1,")


def yolo_by_folders(root: Path) -> None:
    for split in ("train", "val"):
        write_image(root / "images" / split / f"{split}.jpg")
        yolo_file(root / "labels" / split / f"{split}.txt", "0 0.175 0.283333 0.15 0.233333")
    yolo_file(root / "classes.txt", "cat")


def yolo_of_cvat(root: Path) -> None:
    for split in ("train", "valid"):
        write_image(root / f"obj_{split}_data" / f"{split}.jpg")
        yolo_file(root / f"obj_{split}_data" / f"{split}.txt", "0 0.175 0.283333 0.15 0.233333")
        yolo_file(root / f"{split}.txt", f"data/obj_{split}_data/{split}.jpg")
    yolo_file(root / "obj.names", "cat")
    yolo_file(
        root / "obj.data", "classes = 1", "train = data/train.txt", "valid = data/valid.txt", "names = data/obj.names"
    )


def voc_with_lists(root: Path) -> None:
    for split in ("train", "val"):
        write_voc(root, split, ("cat", (5, 6, 10, 12)))
        yolo_file(root / "ImageSets" / "Main" / f"{split}.txt", split)


def voc_by_folders(root: Path) -> None:
    for split in ("train", "valid"):
        write_voc(root / split, split, ("cat", (5, 6, 10, 12)), annotations="", images="")


SPLIT: dict[Callable[[Path], None], tuple[str, tuple[str, ...]]] = {
    coco_itself: ("coco", ("train2017", "val2017")),
    coco_with_images_in_one_folder: ("coco", ("train2017", "val2017")),
    roboflow: ("coco", ("train", "valid")),
    two_files: ("coco", ("train", "val")),
    yolo_with_yaml: ("yolo", ("train", "val")),
    yolo_of_ultralytics: ("yolo", ("train", "val")),
    yolo_by_folders: ("yolo", ("train", "val")),
    yolo_of_cvat: ("yolo", ("train", "val")),
    voc_with_lists: ("voc", ("train", "val")),
    voc_by_folders: ("voc", ("train", "valid")),
}


@pytest.mark.parametrize("write", SPLIT)
def test_layouts_with_parts(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    layout = recognise(tmp_path)
    assert (layout.kind, layout.splits) == SPLIT[write]
    assert all(split in layout.says for split in layout.splits)
    for name in ("train", "val"):
        dataset = open_dataset(tmp_path, split=name, strict=True)  # by its usual name, whatever the part is called
        assert (len(dataset), dataset.classes, dataset.record(0).boxes.tolist()) == (1, ("cat",), [[4, 5, 10, 12]])
        assert dataset.record(0).file_name.rpartition("/")[2].startswith(("train", "val"))
        assert dataset[0].image.shape == (30, 40, 3)
    with pytest.raises(ValueError, match="split = 'holdout' must be one of"):
        open_dataset(tmp_path, split="holdout")
    if layout.files:
        with pytest.raises(ValueError, match="each part is a data set of its own; choose one with split"):
            open_dataset(tmp_path)
    else:
        assert len(open_dataset(tmp_path, strict=True)) == 2


def test_classes_are_the_same_in_all_folders_of_a_data_set(tmp_path: Path) -> None:
    voc_by_folders(tmp_path)
    path = tmp_path / "valid" / "valid.xml"
    path.write_text(path.read_text().replace("cat", "ape"))
    train, valid = (open_dataset(tmp_path, split=split) for split in ("train", "valid"))
    assert train.classes == valid.classes == ("ape", "cat")
    assert (train.record(0).classes.tolist(), valid.record(0).classes.tolist()) == ([1], [0])


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (("train", "valid"), "val", "valid"), (("train", "validation"), "val", "validation"), (("a", "b"), "val", None),
        (("train2017", "val2017"), "train", "train2017"), (("val2014", "val2017"), "val", None),
        (("val", "valid"), "val", "val"), (("Train", "Test"), "test", "Test"), ((), "train", None),
    ],
)  # fmt: skip
def test_a_part_is_found_by_its_usual_name(names: tuple[str, ...], wanted: str, found: str | None) -> None:
    assert Layout("voc", Path("x"), "", names).split_like(wanted) == found


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("Annotations", "JPEGImages"),
        ("annotations", "images"),
        ("annotations", "Images"),
        ("xml", "imgs"),
        ("labels", "data"),
    ],
)
def test_names_of_folders_of_voc(tmp_path: Path, annotations: str, images: str) -> None:
    write_voc(tmp_path, "a", ("cat", (5, 6, 10, 12)), annotations=annotations, images=images)
    assert recognise(tmp_path).says == f"Pascal VOC in {tmp_path}, 1 XML file in {annotations}/"
    dataset = open_dataset(tmp_path, strict=True)
    assert (len(dataset), dataset[0].image.shape) == (1, (30, 40, 3))


def test_xml_beside_the_images(tmp_path: Path) -> None:
    write_voc(tmp_path, "b", ("cat", (5, 6, 10, 12)), annotations="", images="").rename(tmp_path / "b.XML")
    write_voc(tmp_path, "sub/a", ("dog", (5, 6, 10, 12)), annotations="", images="")
    assert recognise(tmp_path).says == f"Pascal VOC in {tmp_path}, 2 XML files beside the images"
    dataset = open_dataset(tmp_path, strict=True)
    assert [dataset.record(i).file_name for i in range(2)] == ["b.jpg", "sub/a.jpg"]
    assert dataset.classes == ("cat", "dog")


def test_open_dataset(tmp_path: Path) -> None:
    write_voc(tmp_path / "voc", "a", ("cat", (1, 1, 2, 2)))
    path = write_json(tmp_path / "coco" / "annotations.json", [], [], CATEGORIES)
    for source in (tmp_path / "voc", str(tmp_path / "coco"), path):
        assert open_dataset(source, strict=True).classes == ("cat",)
    assert [open_dataset(source).name for source in (tmp_path / "voc", path, "shapes")] == ["voc", "coco", "shapes"]
    assert len(open_dataset("shapes", images=3)) == 3
    with pytest.raises(ValueError, match=r"does not exist: give 'shapes'"):
        open_dataset(tmp_path / "nothing")
    with pytest.raises(
        ValueError, match=r"first_pixel is not an option of .*, which is read by Coco: it has \['images'"
    ):
        open_dataset(path, first_pixel=0)
    with pytest.raises(ValueError, match=r"split = 'train': COCO annotations in .* has no parts"):
        open_dataset(path, split="train")
    for file, told in (
        ("voc/Annotations/a.xml", "is the annotation of one image: give the folder"),
        ("voc/JPEGImages/a.jpg", "is an image: give the folder"),
        ("coco.zip", "is an archive: unpack it"),
    ):
        (tmp_path / "coco.zip").touch()
        with pytest.raises(ValueError, match=told):
            open_dataset(tmp_path / file)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "0 images and 0 text files: give a folder with annotations.json"),
        (["a.jpg", "b.jpg"], "2 images and 0 text files"),
        (["a.jpg", "boxes.csv"], "1 image and 1 text file, such as boxes.csv"),
        (["images/a.jpg", "boxes.json"], "1 image and 1 text file, such as boxes.json"),
        (["Annotations/readme.txt", "JPEGImages/a.jpg"], "1 image and 1 text file, such as Annotations/readme.txt"),
    ],
)
def test_a_folder_that_is_no_data_set_is_told_what_it_holds(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    with pytest.raises(ValueError, match="holds no data set that is known") as error:
        open_dataset(tmp_path)
    assert found in str(error.value)


def test_a_name_that_a_file_gives_to_all_data_sets_is_not_the_data_sets(tmp_path: Path) -> None:
    roboflow(tmp_path / "blood")
    cvat(tmp_path / "cells")
    fiftyone(tmp_path / "birds")
    names = [open_dataset(tmp_path / name).name for name in ("cells", "birds")]
    assert names == ["cells", "birds"]
    assert open_dataset(tmp_path / "blood", split="train").name == "train"


def test_images_option_of_every_reader_of_files_that_name_images(tmp_path: Path) -> None:
    write_voc(tmp_path / "voc", "a", ("cat", (1, 1, 2, 2)))
    (tmp_path / "voc" / "JPEGImages").rename(tmp_path / "photographs")
    coco_file(tmp_path / "coco.json", "a.jpg")
    for source in ("voc", "coco.json"):
        dataset: Any = open_dataset(tmp_path / source, images=tmp_path / "photographs", strict=True)
        assert dataset[0].image.shape == (30, 40, 3)
        with pytest.raises(ValueError, match=r"images = .* is not a folder"):
            open_dataset(tmp_path / source, images=tmp_path / "nowhere")


@pytest.mark.parametrize("count", [0, 1])
def test_something_must_be_left_to_learn_from(tmp_path: Path, count: int) -> None:
    write_voc(tmp_path, "a", *[("cat", (1, 1, 1, 1))] * count)
    told = r"1 no area.* The first fault: a\.xml: object 1 \(cat\)" if count else "no faults"
    with pytest.raises(ValueError, match=f"holds no object to learn from: 1 image, .*{told}"):
        data.require_objects(Voc(tmp_path), "to learn from")
    write_voc(tmp_path, "b", ("cat", (1, 1, 4, 4)), difficult=1)
    with pytest.raises(ValueError, match="2 images, 1 object to be ignored"):
        data.require_objects(Voc(tmp_path), "to learn from")
    write_voc(tmp_path, "c", ("cat", (1, 1, 4, 4)))
    data.require_objects(Voc(tmp_path), "to learn from")
    (tmp_path / "JPEGImages" / "a.jpg").unlink()
    with pytest.raises(ValueError, match="holds no image to be measured on: 0 images"):
        data.require_objects(Voc(tmp_path, classes=["cat"], split=_only(tmp_path, "a")), "to be measured on")


def _only(root: Path, name: str) -> str:
    yolo_file(root / "ImageSets" / "Main" / "one.txt", name)
    return "one"


def test_a_layout_in_the_current_folder_is_shown_from_there(tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "train"
    folder.mkdir(parents=True)
    path = folder / "annotations.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert recognise(folder.resolve()).says == f"COCO annotations in {Path('mine/train/annotations.json')}"
    monkeypatch.chdir(tmp_path.parent)
    assert recognise(folder).says.endswith(f"{Path(tmp_path.name, 'mine', 'train', 'annotations.json')}")
