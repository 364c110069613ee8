"""`minidet inspect` and `minidet data shapes`: what they print and write."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from minidet.cli import main
from minidet.config import AnchorConfig
from minidet.data import open_dataset
from minidet.wording import percent
from tests.cli.commands import words
from tests.data import test_layouts as layouts


@pytest.mark.slow
def test_data_shapes_and_inspect(folder, tmp_path, capsys):
    assert len(open_dataset(folder)) == 3
    assert main(words("inspect", folder, "--native", "--out", tmp_path, "--json", tmp_path / "report.json")) == 0
    assert "3 images, 24 boxes, 6 classes" in capsys.readouterr().out
    assert (tmp_path / "inspect_shapes.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "report.json").read_text())


@pytest.mark.slow
def test_inspect_suggests_anchors(tmp_path, capsys):
    command = words("inspect", "shapes", "--images", 3, "--min-size", 6, "--max-size", 20, "--anchors", "tiny")
    assert main([*command, *words("--suggest", "--out", tmp_path, "--json", tmp_path / "report.json")]) == 0
    told = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    before, after = report["coverage"]["share"], report["suggested"]["coverage"]["share"]
    assert report["settings"]["anchors"]["levels"] == [3, 4, 5, 6]
    assert before < 0.6
    assert after >= 0.99
    (row,) = re.findall(r"all boxes +[0-9]+ +[0-9.]+ +([0-9.]+ %) +([0-9.]+ %)", told)
    assert row == (percent(before), percent(after))
    assert (tmp_path / "inspect_shapes_suggested.png").stat().st_size > 10_000
    (setting,) = re.findall("--set 'model.anchors=(.*)'", told)
    suggested = report["suggested"]["settings"]["anchors"]
    assert AnchorConfig(**json.loads(setting)) == AnchorConfig(**suggested)


def test_inspect_never_writes_over_what_it_reads(folder, tmp_path, capsys):
    data = shutil.copytree(folder, tmp_path / "coco")
    (data / "images/000000.png").rename(data / "images/inspect_coco.png")
    text = (data / "annotations.json").read_text().replace("000000.png", "inspect_coco.png")
    (data / "annotations.json").write_text(text)
    picture = (data / "images/inspect_coco.png").read_bytes()
    for more in (["--json", data / "annotations.json"], ["--out", data / "images"]):
        assert main(words("inspect", data, "--out", tmp_path / "out", *more)) == 1
        assert "is read by this command and would be overwritten" in capsys.readouterr().err
    assert main(words("inspect", data, "--out", tmp_path, "--json", tmp_path / "inspect_coco.png")) == 1
    assert "would be written twice" in capsys.readouterr().err
    assert (data / "annotations.json").read_text() == text
    assert (data / "images/inspect_coco.png").read_bytes() == picture
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco"]


@pytest.mark.parametrize(
    ("write", "files"),
    [
        (layouts.coco_itself, ["annotations/instances_train2017.json"]),
        (layouts.voc_by_folders, ["train/train.xml"]),
        (layouts.voc_with_lists, ["Annotations/train.xml", "ImageSets/Main/val.txt"]),
        (layouts.yolo_by_folders, ["labels/train/train.txt", "classes.txt"]),
        (layouts.yolo_of_cvat, ["obj.data", "obj.names", "train.txt"]),
    ],
)
def test_whatever_the_annotations_are_called(tmp_path, capsys, write, files):
    write(tmp_path / "data")
    for name in files:
        path = tmp_path / "data" / name
        before = path.read_bytes()
        assert main(words("inspect", tmp_path / "data", "--split", "train", "--out", tmp_path, "--json", path)) == 1
        assert f"{path} is read by this command and would be overwritten" in capsys.readouterr().err
        assert path.read_bytes() == before


def test_options_of_the_other_kind_of_data_are_refused(folder, tmp_path, capsys):
    for command in (["inspect", "shapes", "--split", "train"], ["inspect", folder, "--seed", "0"]):
        assert main(words(*command, "--out", tmp_path)) == 1
        assert f"{command[2]} is not an option of" in capsys.readouterr().err


def test_a_data_set_in_the_form_of_another(folder, tmp_path, capsys):
    assert main(words("data", "convert", folder, "--to", "voc", "--out", tmp_path / "voc")) == 0
    assert f"wrote {tmp_path / 'voc'}: 3 images, 24 boxes" in capsys.readouterr().out
    before, after = open_dataset(folder), open_dataset(tmp_path / "voc")
    assert [len(after.record(i).boxes) for i in range(3)] == [len(before.record(i).boxes) for i in range(3)]
    assert main(words("data", "convert", folder, "--to", "voc", "--out", tmp_path / "voc")) == 1
    assert str(tmp_path / "voc") in capsys.readouterr().err
