"""Which files are meant by files, folders and patterns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minidet.cli.images import image_files
from tests.datasets import write_image


@pytest.fixture
def photos(tmp_path):
    for name in ("a.png", "b.JPG", "below/c.webp", "below/.hidden.png", "d[1].png"):
        write_image(tmp_path / "photos" / name, (4, 4))
    (tmp_path / "photos/notes.txt").write_text("no image")
    return tmp_path / "photos"


def names(paths):
    return [path.name for path in paths]


def test_folders_and_patterns(photos):
    assert names(image_files([photos])) == ["a.png", "b.JPG", "c.webp", "d[1].png"]
    assert names(image_files([photos / "*.png"])) == ["a.png", "d[1].png"]
    assert names(image_files([photos / "**" / "*.webp"])) == ["c.webp"]
    assert names(image_files([photos / "d[1].png"])) == ["d[1].png"]  # a file of that name is not a pattern
    assert names(image_files([photos / "b.JPG", photos])) == ["b.JPG", "a.png", "c.webp", "d[1].png"]


def test_own_pictures_are_left_out_unless_they_are_named(photos):
    assert names(image_files([photos], [photos / "a.png"])) == ["b.JPG", "c.webp", "d[1].png"]
    assert names(image_files([photos / "a.png"], [photos / "a.png"])) == ["a.png"]


def test_nothing_there_is_told(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no image is there"):
        image_files([tmp_path / "empty"])
    for given, told in (
        (["x.png"], "x.png does not exist"),
        (["a.png", "x.png", "below/y.png"], "x.png, below/y.png do not exist"),
        (["*.gif"], "*.gif matches no file"),
        (["belo*", "*.png", "*.gif"], "belo*, *.gif match no file"),  # a folder is no picture
        (["*.gif", "x.png"], "x.png does not exist; *.gif matches no file"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(told)}: give a picture, a folder or a pattern$"):
            image_files(map(Path, given))
