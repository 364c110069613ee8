"""`minidet detect`: what is written, and what never is overwritten."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from minidet import data
from minidet.cli import main
from minidet.data.coco import Coco
from minidet.data.drawn import drawn_in
from minidet.data.images import LIMIT
from minidet.runs import load_settings
from tests.cli.commands import words


@pytest.mark.slow
def test_detect_does_the_others_when_an_image_is_broken(trained, folder, tmp_path, capsys):
    good = sorted((folder / "images").glob("*.png"))[:2]
    broken, again = tmp_path / "broken.png", tmp_path / good[0].name
    broken.write_bytes(good[0].read_bytes()[:1000])
    again.write_bytes(good[0].read_bytes())
    images = (good[0], broken, again, good[1])
    assert main(words("detect", trained, *images, "--out", tmp_path / "out", "--score", 0.2)) == 1
    told = capsys.readouterr().err
    assert f"{broken} cannot be decoded" in told
    assert "1 of 4 images could not be read" in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000000.png", "000000_2.png", "000001.png", "detections.json",
    ]  # fmt: skip
    with Image.open(tmp_path / "out/000000.png") as picture:
        assert picture.size == (80 * 7, 64 * 7)
    content = json.loads((tmp_path / "out/detections.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [str(good[0]), str(again), str(good[1])]
    per_image = [[a["bbox"] for a in content["annotations"] if a["image_id"] == i] for i in (1, 2, 3)]
    assert per_image[0] == per_image[1] != per_image[2]
    assert all(0.05 < a["score"] <= 1 and math.isfinite(a["area"]) for a in content["annotations"])


def test_what_is_written_is_a_data_set(trained, folder, tmp_path, monkeypatch):
    """With the images that were looked at, not with the pictures beside the file, which have the same names."""
    shutil.copytree(folder / "images", tmp_path / "photos")
    (tmp_path / "deeper").mkdir()
    for place, photos in ((tmp_path, "photos"), (tmp_path / "deeper", "../photos"), (tmp_path, tmp_path / "photos")):
        monkeypatch.chdir(place)
        assert main(words("detect", trained, photos, "--out", tmp_path / "out")) == 0
        dataset = Coco(tmp_path / "out/detections.json")
        assert dataset.classes == tuple(load_settings(trained)["classes"])
        assert dataset.faults == []
        assert [dataset[i].image.shape for i in range(3)] == [(64, 80, 3)] * 3
    assert Coco(tmp_path / "out/detections.json", tmp_path / "photos", strict=True).images == tmp_path / "photos"
    shutil.rmtree(tmp_path / "photos")
    assert [fault.kind for fault in Coco(tmp_path / "out/detections.json").faults] == ["unsafe path"] * 3


def images_named(folder, tmp_path, *names):
    """Copies of an image under these names."""
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "images/000000.png", tmp_path / name)
    return [tmp_path / name for name in names]


def pictures(out):
    return [image["picture"] for image in json.loads((out / "detections.json").read_text())["images"]]


def test_every_image_has_a_picture_of_its_own(trained, folder, tmp_path):
    """Names are counted up until one is free, whatever the images are called."""
    images = images_named(folder, tmp_path, "a/x_3.png", "b/x.png", "c/x.png", "d/x_2.png", "e/X.png")
    assert main(words("detect", trained, *images, "--out", tmp_path / "out")) == 0
    names = pictures(tmp_path / "out")
    assert names == ["x_3.png", "x.png", "x_2.png", "x_2_2.png", "X_3.png"][:4] + names[4:]
    assert len({name.casefold() for name in names}) == 5
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == set(names)


def test_names_that_are_not_utf_8_and_images_that_a_viewer_turns(trained, folder, tmp_path):
    (tmp_path / "in").mkdir()
    named = Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/caf\xe9.png"))
    shutil.copy(folder / "images/000000.png", named)  # 80 x 64 pixels
    exif = Image.Exif()
    exif[274] = 6
    with Image.open(named) as image:
        image.save(tmp_path / "in/turned.png", exif=exif)
    for more, sizes in (([], [[64, 80], [80, 64]]), (["--as-stored"], [[64, 80], [64, 80]])):
        assert main(words("detect", trained, tmp_path / "in", "--out", tmp_path / "out", *more)) == 0
        images = json.loads((tmp_path / "out/detections.json").read_text())["images"]
        assert [[image["height"], image["width"]] for image in images] == sizes
        assert images[0]["file_name"] == str(named)
        assert (tmp_path / "out" / images[0]["picture"]).is_file()


def test_larger_images_where_they_are_trusted(trained, folder, tmp_path, monkeypatch, capsys):
    """The limit holds here and, by the environment, in processes that make batches."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.delenv(LIMIT, raising=False)
    command = words("detect", trained, folder / "images/000000.png", "--out", tmp_path / "out")
    assert main(command) == 1
    assert "more than PIL.Image.MAX_IMAGE_PIXELS = 1000 pixels" in capsys.readouterr().err
    monkeypatch.setenv(LIMIT, "")
    assert main([*command, "--max-pixels", "6000"]) == 0
    assert os.environ[LIMIT] == "6000"
    assert main([*command, "--max-pixels", "0"]) == 1
    assert "max_pixels = 0 must be >= 1" in capsys.readouterr().err


def test_an_image_is_never_overwritten(trained, folder, tmp_path):
    """Neither one that is read nor one that only lies in the folder."""
    photo, other = images_named(folder, tmp_path, "pics/photo.png", "pics/b.png")
    (jpeg,) = images_named(folder, tmp_path, "elsewhere/b.png")
    before = photo.read_bytes(), other.read_bytes()
    command = words("detect", trained, photo, jpeg, "--out", tmp_path / "pics")
    assert main(command) == 0
    assert (photo.read_bytes(), other.read_bytes()) == before
    assert pictures(tmp_path / "pics") == ["photo_2.png", "b_2.png"]
    assert main(command) == 0  # the pictures of the first time are replaced, nothing else
    assert pictures(tmp_path / "pics") == ["photo_2.png", "b_2.png"]
    assert (photo.read_bytes(), other.read_bytes()) == before


def test_a_picture_that_is_looked_at_again_is_not_overwritten(trained, folder, tmp_path):
    (photo,) = images_named(folder, tmp_path, "photo.png")
    assert main(words("detect", trained, photo, "--out", tmp_path / "out")) == 0
    drawn = (tmp_path / "out/photo.png").read_bytes()
    assert main(words("detect", trained, tmp_path / "out/photo.png", "--out", tmp_path / "out")) == 0
    assert (tmp_path / "out/photo.png").read_bytes() == drawn
    assert pictures(tmp_path / "out") == ["photo_2.png"]


def test_pictures_that_detections_do_not_name_are_no_images_either(trained, folder, tmp_path, monkeypatch):
    """Those of a command that was stopped, and those of an earlier one into the same folder."""
    photos, out = images_named(folder, tmp_path, "a.png", "b.png", "c.png"), tmp_path / "out"
    whole = data.load_image

    def stopped(path, *more):
        if path.name == "b.png":
            raise KeyboardInterrupt
        return whole(path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(data, "load_image", stopped)
        assert main(words("detect", trained, *photos, "--out", out)) == 130
    assert not (out / "detections.json").exists()
    assert main(words("detect", trained, photos[1], "--out", out)) == 0
    assert main(words("detect", trained, photos[2], "--out", out)) == 0
    assert pictures(out) == ["c.png"]
    assert {path.name for path in out.glob("*.png")} == drawn_in(out) == {"a.png", "b.png", "c.png"}


def test_annotations_of_that_name_are_not_overwritten(trained, folder, tmp_path, capsys):
    (photo,) = images_named(folder, tmp_path, "photo.png")
    shutil.copy(folder / "annotations.json", tmp_path / "detections.json")
    before = (tmp_path / "detections.json").read_bytes()
    assert main(words("detect", trained, photo, "--out", tmp_path)) == 1
    assert "detections.json is another file and would be overwritten" in capsys.readouterr().err
    assert (tmp_path / "detections.json").read_bytes() == before


@pytest.mark.parametrize("model", [["--model", "shapes"], ["nowhere"]])
def test_missing_images_are_told_before_the_model_is_loaded(model, folder, tmp_path, monkeypatch, capsys):
    """So that the run need not even exist."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("minidet.cli.detect.load_run", lambda *_: pytest.fail("the model was loaded"))
    images = [folder / "images/000000.png", "nosuch.jpg", "nor_this.jpg"]
    assert main(words("detect", *model, *images, "--out", "out")) == 1
    told = capsys.readouterr()
    assert told.err == "minidet: nosuch.jpg, nor_this.jpg do not exist: give a picture, a folder or a pattern\n"
    assert told.out == ""
    assert not (tmp_path / "out").exists()


def test_it_says_why_so_many_are_drawn(trained, folder, tmp_path, capsys):
    command = words("detect", trained, folder / "images/000000.png", "--out", tmp_path / "out")
    for more, told in (([], "0.3"), (["--score", "0.06"], "0.06"), (["--score=best"], "the one with the best F1, for")):
        assert main([*command, *more]) == 0
        assert f" of them drawn (scores of at least {told}" in (line := capsys.readouterr().out)
        assert "; --score changes it)\n" in line


@pytest.mark.parametrize(("command", "usage"), [("detect", "[RUN] IMAGE [IMAGE ...]"), ("export", "[RUN]")])
def test_the_usage_shows_that_a_detector_can_stand_in_for_the_run(command, usage, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    told, _, arguments = capsys.readouterr().out.partition("positional arguments:")
    assert usage in " ".join(told.split())
    assert "\n  RUN " in arguments
    with pytest.raises(SystemExit):
        main([command])
    assert "required: RUN" in capsys.readouterr().err
