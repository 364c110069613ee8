"""Pictures and lists that minidet wrote itself are no images and no annotations of a data set."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from minidet.cli import main
from minidet.cli.images import image_files
from minidet.data import Yolo, open_dataset, recognise
from minidet.data.drawn import LIST, detected_pictures, drawn_in, list_pictures
from minidet.data.paths import files_below
from tests.cli.commands import words
from tests.data.test_layouts import coco_file, yolo_file
from tests.datasets import write_image, write_json, write_voc

BOX = "0 0.5 0.5 0.2 0.2"


@pytest.fixture
def flat(tmp_path, monkeypatch):
    """A YOLO folder of two images with their text files beside them, in which somebody works."""
    for name in "ab":
        write_image(tmp_path / f"flat/{name}.png")
        yolo_file(tmp_path / f"flat/{name}.txt", BOX)
    monkeypatch.chdir(tmp_path / "flat")
    return tmp_path / "flat"


def detected(folder, *names):
    """What `minidet detect` leaves in a folder: a picture for each image, and the file that names them."""
    for name in names:
        write_image(folder / name)
    images = [
        {"id": i, "file_name": f"{i}.png", "width": 40, "height": 30, "picture": name} for i, name in enumerate(names)
    ]
    found = [{"id": i, "image_id": i, "category_id": 1, "bbox": [4, 5, 6, 7], "score": 0.9} for i in range(len(names))]
    return write_json(folder / "detections.json", images, found, [{"id": 1, "name": "cat"}])


def trained(folder):
    """What a run has of pictures, and what it is known by."""
    for name in ("curves", "detections", "confusion_val", "mistakes", "photo"):
        write_image(folder / f"{name}.png")
    for name in ("config.json", "metrics.jsonl"):
        (folder / name).write_text("{}")


def test_detections_are_never_taken_for_the_annotations_of_a_folder(tmp_path):
    write_image(tmp_path / "images/a.png")
    yolo_file(tmp_path / "labels/a.txt", BOX)
    file = detected(tmp_path, "a.png")
    assert recognise(tmp_path).kind == "yolo"
    assert len(open_dataset(tmp_path)) == 1
    assert recognise(file).kind == "coco"  # by its name it can be opened
    file.rename(tmp_path / "renamed.json")
    assert recognise(tmp_path).kind == "yolo"
    detected(tmp_path)  # no image could be read
    assert recognise(tmp_path).kind == "yolo"
    coco_file(tmp_path / "annotations/instances_train.json", "a.png")
    detected(tmp_path / "annotations", "a.png")
    assert recognise(tmp_path).path == tmp_path / "annotations/instances_train.json"


def test_annotations_are_not_taken_for_detections(tmp_path):
    """Neither by their name nor by words in them."""
    write_image(tmp_path / "picture.png")
    file = coco_file(tmp_path / "detections.json", "picture.png")
    content = json.loads(file.read_text())
    content["categories"][0]["name"] = "picture"
    content["info"] = {"picture": "a title"}
    file.write_text(json.dumps(content))
    assert detected_pictures(file) is None
    assert recognise(tmp_path).path == file
    for text in ("[]", "{", '{"images": 3}', '{"images": [{"picture": 3}]}', ""):
        file.write_text(text)
        assert detected_pictures(file) is None
        assert drawn_in(tmp_path) == set()


def test_pictures_of_runs_and_commands_are_no_images(flat):
    detected(flat / "found", "a.png", "b.png")
    trained(flat / "runs/one")
    write_image(flat / "runs/inspect/inspect_flat.png")
    list_pictures([flat / "runs/inspect/inspect_flat.png"])
    own = ["a.png", "b.png", "runs/one/photo.png"]
    assert files_below(flat, (".png",)) == own
    for word in (flat, flat / "**" / "*.png"):
        assert sorted(path.relative_to(flat).as_posix() for path in image_files([word])) == own
    with pytest.raises(ValueError, match="pictures that minidet drew do not count"):
        image_files([flat / "found"])
    assert image_files([flat / "found/a.png"]) == [flat / "found/a.png"]  # named, it is taken


def test_pictures_beside_the_images_of_a_data_set_are_no_images(flat):
    detected(flat, "a_2.png", "b_2.png")
    trained(flat)
    (flat / "photo.png").unlink()
    assert [record.image_id for record in map(Yolo(flat).record, range(2))] == ["a", "b"]
    assert len(Yolo(flat)) == 2


def test_lists_of_pictures(tmp_path):
    odd = os.fsdecode(b"caf\xe9.png")
    list_pictures([tmp_path / "b.png", tmp_path / odd])
    list_pictures([tmp_path / "b.png", tmp_path / "c.png"])
    assert drawn_in(tmp_path) == set()  # none is there yet
    for name in ("b.png", odd):
        (tmp_path / name).touch()
    assert drawn_in(tmp_path) == {"b.png", odd}
    trained(tmp_path / "run")
    list_pictures([tmp_path / "run/confusion_val.png"])
    assert not (tmp_path / "run" / LIST).exists()  # known as a picture of the run


@pytest.mark.slow
def test_what_inspect_draws_in_a_data_set_is_no_part_of_it(flat):
    assert main(words("inspect", ".", "--native", "--skip-images")) == 0
    assert (flat / "runs/inspect/inspect_flat.png").is_file()
    assert main(words("inspect", ".", "--native", "--skip-images", "--out", ".")) == 0
    assert (flat / "inspect_flat.png").is_file()
    assert len(open_dataset(flat)) == 2


def test_copies_are_not_written_among_the_images_that_are_copied(flat, tmp_path, capsys):
    before = files_below(flat, ("",))
    for out in ("as_voc", "deeper/as_voc"):
        assert main(words("data", "convert", flat, "--to", "voc", "--out", flat / out)) == 1
        assert "would be read as more of them; give a folder elsewhere" in capsys.readouterr().err
    assert files_below(flat, ("",)) == before
    write_voc(tmp_path / "voc", "a", ("cat", (1, 1, 9, 9)))
    for place, status in (("JPEGImages/new", 1), ("Annotations/new", 1), ("new", 0)):
        assert (
            main(words("data", "convert", tmp_path / "voc", "--to", "yolo", "--out", tmp_path / "voc" / place))
            == status
        )
    assert len(open_dataset(tmp_path / "voc")) == 1
    assert open_dataset(tmp_path / "voc").faults == []


def test_a_folder_that_cannot_be_read_is_told(flat, monkeypatch):
    (flat / "more").mkdir()
    (flat / "lost+found").mkdir()
    whole = os.scandir

    def scandir(path):
        if Path(path).name in ("more", "lost+found"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=r"more cannot be looked into \(Permission denied\): make the folder readable"):
        Yolo(flat)
    (flat / "more").rmdir()
    assert len(Yolo(flat)) == 2
    assert files_below(flat / "nowhere", (".png",)) == []
