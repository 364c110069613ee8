"""Of several parts, files or folders that could be meant, the right one is taken, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from minidet.data import Layout, open_dataset, recognise
from tests.data.test_layouts import coco_file, voc_by_folders
from tests.datasets import write_image, write_voc


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (("trainval", "val"), "train", None), (("trainval2012", "val2012"), "train", None),
        (("trainval", "val2014", "val2017"), "train", None), (("trainval", "test"), "train", "trainval"),
        (("trainval", "test"), "val", None), (("train", "trainval", "val"), "train", "train"),
        (("train2014", "train2017", "trainval"), "train", None), (("valminusminival2014", "train2014"), "val", None),
        (("train_2017", "test-dev2017", "test-2017"), "test", "test-2017"), (("train (1)", "x"), "train", None),
        (("training2", "validation"), "train", "training2"), (("a_2", "b"), "a", "a_2"), (("a+b1",), "a+b", "a+b1"),
    ],
)  # fmt: skip
def test_a_part_with_more_in_its_name_is_another_part(names: tuple[str, ...], wanted: str, found: str | None) -> None:
    assert Layout("voc", Path("x"), "", names).split_like(wanted) == found


def test_train_is_not_what_holds_val_too(tmp_path: Path) -> None:
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name in ("a", "b"):
        write_voc(tmp_path, name, ("cat", (1, 1, 4, 4)))
    (lists / "trainval.txt").write_text("a\nb\n")
    (lists / "val.txt").write_text("b\n")
    with pytest.raises(ValueError, match=r"split = 'train' must be one of \['trainval', 'val'\]"):
        open_dataset(tmp_path, "train")
    assert len(open_dataset(tmp_path, "trainval")) == 2


@pytest.mark.parametrize("name", ["annotations.json", "_annotations.coco.json", "labels.json", "result.json"])
@pytest.mark.parametrize("other", ["annotations (1).json", "Copy of labels.json", "a.json", "zzz.json"])
def test_the_known_name_is_taken_in_a_part(tmp_path: Path, name: str, other: str) -> None:
    for part in ("train", "valid"):
        write_image(tmp_path / part / "a.png")
        coco_file(tmp_path / part / name, "a.png", start=7)
        coco_file(tmp_path / part / other, "a.png", "b.png")
    assert open_dataset(tmp_path, "train", strict=True).record(0).image_id == 7


@pytest.mark.parametrize("names", [("a.json", "b.json"), ("instances_a.json", "instances_a (1).json", "c.json")])
def test_of_other_names_there_may_be_one(tmp_path: Path, names: tuple[str, ...]) -> None:
    write_image(tmp_path / "train" / "a.png")
    for name in names:
        coco_file(tmp_path / "train" / name, "a.png")
    with pytest.raises(ValueError, match=r"train holds 2 COCO files, .*: call that one annotations\.json, or move"):
        recognise(tmp_path)
    (tmp_path / "train" / names[0]).unlink()
    assert len(open_dataset(tmp_path, "train", strict=True)) == 1


@pytest.mark.parametrize("empty", ["labels", "Annotations", "annotations", "xml", "ann"])
def test_a_folder_that_was_left_empty_hides_nothing(tmp_path: Path, empty: str) -> None:
    voc_by_folders(tmp_path)
    (tmp_path / empty).mkdir()
    assert (recognise(tmp_path).kind, recognise(tmp_path).splits) == ("voc", ("train", "valid"))
    assert len(open_dataset(tmp_path, "val", strict=True)) == 1
