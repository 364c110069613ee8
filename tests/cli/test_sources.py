"""Which data set a command's arguments name, and how it is read."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from minidet.cli import evaluate, train
from minidet.cli.plan import plan
from minidet.config import RunSettings
from minidet.data import open_dataset
from tests.cli.commands import train_command, words
from tests.datasets import write_image, write_json, write_voc


def parsed(module, command):
    """The arguments of a command as it gets them."""
    parser = argparse.ArgumentParser()
    module.add(parser.add_subparsers())
    return parser.parse_args(command)


def planned(*more, data):
    """What a training with these words would read."""
    ready = plan(parsed(train, train_command("run", *words(*more), data=data, settings=[])))
    return ready.settings, ready.unseen


@pytest.fixture
def voc(tmp_path):
    """Boxes that count from 0, in two lists, with images in a folder of no usual name."""
    for split, name in (("train", "a"), ("val", "b")):
        write_voc(tmp_path / "voc", name, ("cat", (0, 0, 9, 9)), images="photos")
        (tmp_path / "voc/ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"voc/ImageSets/Main/{split}.txt").write_text(f"{name}\n")
    return tmp_path / "voc"


READ = ["--split", "train", "--first-pixel", "0", "--as-stored"]


@pytest.mark.parametrize("named", [False, True])
def test_the_part_to_evaluate_on_is_read_as_the_part_to_learn_from(voc, named):
    more = [*READ, "--image-folder", voc / "photos", "--set", 'data.classes=["dog", "cat"]', "--val-split", "val"]
    settings, unseen = planned(*more, *(["--val", voc] if named else []), data=voc)
    assert settings.val == {**settings.data, "split": "val"}
    assert settings.val["first_pixel"] == 0
    assert settings.val["oriented"] is False
    assert unseen.classes == ("dog", "cat")
    assert unseen.record(0).boxes.tolist() == [[0, 0, 9, 9]]


def test_what_is_said_of_the_part_to_evaluate_on_is_heeded(voc, tmp_path):
    more = [*READ, "--image-folder", voc / "photos", "--val-split", "val", "--val-first-pixel", 1]
    assert planned(*more, data=voc)[0].val["first_pixel"] == 1
    write_voc(tmp_path / "other", "c", ("cat", (1, 1, 9, 9)))
    other = planned(*READ, "--image-folder", voc / "photos", "--val", tmp_path / "other", data=voc)[0].val
    assert other == {"source": str(tmp_path / "other")}  # another data set has options of its own


def test_another_part_of_a_run_s_data_is_measured_as_it_was_learnt(voc, tmp_path):
    settings = planned(*READ, "--image-folder", voc / "photos", data=voc)[0]
    options = parsed(evaluate, words("evaluate", "run", "--data", voc, "--split", "val"))
    source = evaluate._source(options, settings)
    assert source == {**settings.data, "split": "val"}
    assert len(open_dataset(**source)) == 1
    options = parsed(evaluate, words("evaluate", "run", "--data", tmp_path / "other"))
    assert evaluate._source(options, settings) == {"source": str(tmp_path / "other")}


def test_a_run_finds_its_images_from_any_folder(tmp_path, monkeypatch):
    for name in ("images", "more"):
        write_image(tmp_path / name / "a.png")
    images = [{"id": 1, "file_name": "a.png", "width": 40, "height": 30}]
    boxes = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 6, 7]}]
    write_json(tmp_path / "labels/ann.json", images, boxes, [{"id": 1, "name": "cat"}])
    monkeypatch.chdir(tmp_path)
    more = ["--image-folder", "images", "--val", "labels/ann.json", "--val-image-folder", "more"]
    settings, _ = planned(*more, data="labels/ann.json")
    file = str(tmp_path / "labels/ann.json")
    assert settings.data == {"source": file, "images": str(tmp_path / "images")}
    assert settings.val == {"source": file, "images": str(tmp_path / "more")}
    assert planned("--set", "data.images=images", data=file)[0].data == settings.data
    options = parsed(evaluate, words("evaluate", "run", "--data", "labels/ann.json", "--image-folder", "more"))
    assert evaluate._source(options, RunSettings()) == settings.val
    assert all(Path(source["images"]).is_absolute() for source in (settings.data, settings.val))


def test_the_number_of_shapes_is_no_folder():
    settings, unseen = planned("--images", 5, "--val-images", 2, data="shapes")
    assert (settings.data["images"], settings.val["images"], len(unseen)) == (5, 2, 2)
    options = SimpleNamespace(data="shapes", images=3, **dict.fromkeys(
        ("seed", "min_size", "max_size", "split", "image_folder", "first_pixel", "as_stored")
    ))  # fmt: skip
    assert evaluate._source(options, settings)["images"] == 3
