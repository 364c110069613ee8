"""Thresholds, confusion and mistakes, against what can be counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minidet.data.records import Record
from minidet.evaluation.mistakes import best_thresholds, confusion_matrix, worst_mistakes
from minidet.evaluation.page import confusion_page, mistakes_page
from minidet.structures import Categories, Detections

NAMES = ("cat", "dog")
CATEGORIES = Categories.numbered(NAMES)
PLACES = np.array([[20.0 * i, 0, 20 * i + 10, 10] for i in range(8)])


class Truth:
    """Images of objects at some of PLACES: for each image (place, class, ignored)."""

    name, faults, classes, category_ids = "truth", (), NAMES, (1, 2)

    def __init__(self, *images) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def record(self, index):
        places, classes, ignore = np.array(self.images[index], np.int64).reshape(-1, 3).T
        return Record(index, "", (20, 200), PLACES[places], classes, ignore.astype(bool), np.zeros(len(places), bool))

    def __getitem__(self, index):
        return self.record(index).with_image(np.zeros((20, 200, 3), np.uint8))


def found(*entries):
    """Detections (place, class, score), the best first."""
    entries = sorted(entries, key=lambda entry: -entry[2])
    places, classes, scores = zip(*entries, strict=True) if entries else ((), (), ())
    boxes = PLACES[list(places)].reshape(-1, 4)
    return Detections(boxes, np.array(scores, float), np.array(classes, np.int64))


def test_the_best_f1_of_all_thresholds():
    """Of random detections, by trying every score."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth = Truth(*[[(i, int(rng.integers(2)), 0) for i in range(4)] for _ in range(3)])
        seen = [found(*[(int(p), int(rng.integers(2)), round(rng.random(), 1)) for p in rng.permutation(8)])
                for _ in range(3)]  # fmt: skip
        for k, best in enumerate(best_thresholds(seen, truth, CATEGORIES)):
            objects = sum(entry[1] == k for image in truth.images for entry in image)
            f1 = {}
            for least in np.unique(np.concatenate([one.scores for one in seen])):
                kept = [(i, box) for i, one in enumerate(seen) for box, s, c in zip(*one, strict=True)
                        if s >= least and c == k]  # fmt: skip
                right = sum(any((PLACES[p] == box).all() and c == k for p, c, _ in truth.images[i]) for i, box in kept)
                f1[least] = 2 * right / max(1, len(kept) + objects)
            assert best.f1 == pytest.approx(max(f1.values()), abs=1e-12)
            if best.f1:
                assert f1[best.score] == pytest.approx(best.f1)
                harmonic = 2 * best.precision * best.recall / (best.precision + best.recall)
                assert harmonic == pytest.approx(best.f1)


def test_thresholds_of_nothing():
    for seen in ([found()], [found((0, 1, 0.9))]):
        assert [one.f1 for one in best_thresholds(seen, Truth([(5, 0, 0)]), CATEGORIES)] == [0, 0]
    ignored = best_thresholds([found((0, 0, 0.9), (1, 0, 0.8))], Truth([(0, 0, 1), (1, 0, 0)]), CATEGORIES)
    assert (ignored[0].score, ignored[0].precision) == (0.8, 1.0)  # what is at an object to ignore is not counted


def test_a_matrix_counts_every_object_and_every_detection():
    truth = Truth([(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0), (4, 0, 1)])
    seen = [found((0, 0, 0.9), (0, 0, 0.5), (1, 1, 0.8), (2, 1, 0.2), (4, 0, 0.9), (6, 1, 0.7))]
    matrix = confusion_matrix(seen, truth, CATEGORIES, [0.3, 0.3])
    assert matrix.tolist() == [
        [1, 1, 0],  # one cat found, one taken for a dog
        [0, 0, 2],  # one dog below the threshold, one not seen
        [1, 1, 0],  # a cat found twice, a dog where nothing is
    ]
    swapped = confusion_matrix(seen, truth, CATEGORIES, [0.3, 0.1])
    assert swapped[1].tolist() == [0, 1, 1]


def test_mistakes_say_what_is_wrong():
    truth = Truth([(0, 0, 0), (1, 0, 0), (2, 1, 0), (3, 1, 0), (4, 0, 1)])
    seen = found((0, 0, 0.9), (0, 0, 0.5), (1, 1, 0.8), (2, 1, 0.2), (4, 0, 0.95), (6, 1, 0.7))
    shifted = PLACES[3] + np.array([6, 0, 6, 0])
    seen = Detections(np.vstack([seen.boxes, shifted]), np.append(seen.scores, 0.4), np.append(seen.classes, 1))
    told = [mistake.says for mistake in worst_mistakes([seen], truth, CATEGORIES, [0.3, 0.3])]
    assert told == [
        "dog 0.80: is cat", "dog 0.70: nothing there", "cat 0.50: found twice", "dog 0.40: badly placed",
        "dog missed (score 0.00)", "dog missed (score 0.20)",
    ]  # fmt: skip
    few = worst_mistakes([seen], truth, CATEGORIES, [0.3, 0.3], most=4)
    assert [mistake.says for mistake in few] == told[:2] + told[4:]


def test_pages_can_be_drawn_of_anything():
    for count, classes in itertools.product((0, 1, 9), (NAMES, ("猫", "_x$"))):
        truth = Truth([(0, 0, 0)] * count)
        seen = [found((p, 1, 0.9)) for p in range(min(count, 1))] or [found()]
        mistakes = worst_mistakes(seen, truth, CATEGORIES, [0.5, 0.5]) if count else []
        figure = mistakes_page(mistakes, truth, classes, "title")
        assert len(figure.axes) >= 1
        assert confusion_page(np.full((3, 3), count), classes, "title").axes
