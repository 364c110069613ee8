"""The failure museum: each exhibit is broken by one line, which the chapter names, and answers are judged."""

from __future__ import annotations

import inspect
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from figures import animations, museum, museum_detector
from minidet import reference
from minidet.pytorch import pyramid_anchors

CHAPTER = Path(__file__).parents[2] / "chapters" / "museum.ipynb"


@pytest.mark.parametrize("letter", museum.MISTAKES)
def test_an_exhibit_is_the_right_detector_but_for_one_line(letter):
    mistake = museum.MISTAKES[letter]
    module = museum.broken(mistake)
    assert callable(module.train)
    assert callable(module.detect)
    source = inspect.getsource(museum_detector)
    assert source.count(mistake.right) == 1
    used = inspect.getsource(museum_detector.detect) + inspect.getsource(museum_detector.outputs)
    assert (mistake.right.strip() in used) == (not mistake.trains)


def test_a_line_that_is_not_there_is_told():
    with pytest.raises(ValueError, match="0 times"):
        museum.broken(museum.Mistake("x", "no such line", "", True))


def test_the_grid_of_the_right_detector_is_minidets():
    config = museum_detector.CONFIG.anchors
    expected = torch.cat(pyramid_anchors((museum_detector.HEIGHT, museum_detector.WIDTH), config))
    torch.testing.assert_close(museum_detector.make_anchors(), expected)


def test_scenes_depend_on_seed_and_index_alone():
    first, again = (museum_detector.Scenes(5, seed=3) for _ in range(2))
    for i in range(5):
        assert np.array_equal(first[i].image, again[i].image)
        assert np.array_equal(first.record(i).boxes, first[i].boxes)
        quiet = museum_detector.Scenes(5, seed=3, noise=0).record(i)
        assert np.array_equal(quiet.boxes, first[i].boxes)


def test_the_committed_results_are_of_these_exhibits():
    every = museum.results()
    assert list(every) == ["right", *museum.MISTAKES]
    for letter, mistake in museum.MISTAKES.items():
        assert (every[letter]["losses"] == every["right"]["losses"]) == (not mistake.trains)
        assert max(museum.SHOWN) < len(every[letter]["boxes"])


@pytest.mark.parametrize("letter", museum.MISTAKES)
def test_answers(letter):
    names = [mistake.name for mistake in museum.MISTAKES.values()]
    right = [name for name in names if museum.answer(letter, name) == f"{letter}: right"]
    assert right == [museum.MISTAKES[letter].name]
    assert "not answered" in museum.answer(letter, "?")
    assert "choose one of" in museum.answer(letter, "the learning rate")


def test_the_chapter_names_each_line():
    text = "\n".join(cell.source for cell in nbformat.read(CHAPTER, as_version=4).cells)
    for letter, mistake in museum.MISTAKES.items():
        assert f"## Exhibit {letter}" in text
        assert f"- {mistake.right.strip()}" in text
        assert f"+ {mistake.wrong.strip()}" in text or not mistake.wrong
        assert f"| `{mistake.name}` |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["average_precision", "pyramid"])
def test_an_animation_is_written_with_its_still(name, tmp_path):
    gif, still = animations.write(name, tmp_path)
    assert gif.stat().st_size < 500_000
    assert still.stat().st_size < 100_000
    assert gif.read_bytes() == (animations.OUT / gif.name).read_bytes()


def test_every_animation_is_committed():
    for name in animations.ANIMATIONS:
        assert 0 < (animations.OUT / f"{name}.gif").stat().st_size < 500_000
        assert (animations.OUT / f"{name}.png").is_file()


def test_shares_add_up_to_one():
    scenes, anchors = museum_detector.Scenes(3, seed=1), museum_detector.make_anchors().numpy()
    logits = np.random.default_rng(0).normal(0, 2, (3, len(anchors), 3))
    found = np.array(animations.shares(logits, scenes, anchors))
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=3e-4)  # each share is rounded to four digits
    nothing = animations.shares(np.full_like(logits, -20.0), scenes, anchors)
    assert nothing[1][0] < 1e-6  # background of which the network is sure has no loss
    assert reference.focal_loss(np.array([-20.0]), np.array([0.0]))[0] < 1e-6
