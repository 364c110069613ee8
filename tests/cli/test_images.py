"""Which files are meant by files, folders and patterns."""

from __future__ import annotations

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
    assert names(image_files([photos / "b.JPG", photos, photos / "missing.png"])) == [
        "b.JPG", "a.png", "c.webp", "d[1].png", "missing.png",
    ]  # fmt: skip


def test_own_pictures_are_left_out_unless_they_are_named(photos):
    assert names(image_files([photos], [photos / "a.png"])) == ["b.JPG", "c.webp", "d[1].png"]
    assert names(image_files([photos / "a.png"], [photos / "a.png"])) == ["a.png"]


def test_nothing_there_is_told(photos, tmp_path):
    (tmp_path / "empty").mkdir()
    for word in (tmp_path / "empty", photos / "*.gif"):
        with pytest.raises(ValueError, match="no image is there"):
            image_files([word])
