"""Detections that come in parts are evaluated as if they were one list."""

import json
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidet.evaluation import coco_metrics, evaluate, evaluate_parts
from tests.evaluation.test_evaluation import BOX, detected, ground_truth, random_set


def by_image(found, images, parts, rng):
    """The detections of each image in one of some lists, in which they keep their order."""
    where = dict(zip(images, rng.integers(0, parts, len(images)).tolist(), strict=True))
    return [[row for row in found if where[row["image_id"]] == part] for part in range(parts)]


def assert_equal(one, other):
    for name in ("category_ids", "precision", "recall", "scores"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), parts=st.integers(1, 5), digits=st.integers(0, 3))
def test_parts_equal_the_whole(seed, parts, digits):
    truth, found = random_set(seed, images=7)
    found = [row | {"score": round(row["score"], digits)} for row in found]  # with few digits, many scores are equal
    lists = by_image(found, [row["id"] for row in truth["images"]], parts, np.random.default_rng(seed))
    assert_equal(evaluate_parts(truth, iter(lists)), evaluate(truth, found))


def test_of_equal_scores_the_lower_image_comes_first_whatever_the_part():
    truth = ground_truth((1, 1, BOX), (2, 1, BOX))
    wrong, right = detected((1, 1, [300, 300, 9, 9], 0.5)), detected((2, 1, BOX, 0.5))
    for parts in ([wrong, right], [right, wrong]):
        assert_equal(evaluate_parts(truth, parts), evaluate(truth, wrong + right))


def test_parts_may_be_files(tmp_path):
    truth, found = random_set(5, images=6)
    lists = by_image(found, [row["id"] for row in truth["images"]], 3, np.random.default_rng(0))
    paths = [tmp_path / f"{number}.json" for number in range(3)]
    for path, rows in zip(paths, lists, strict=True):
        path.write_text(json.dumps(rows), encoding="utf-8")
    assert evaluate_parts(truth, paths).metrics == coco_metrics(truth, found)


@pytest.mark.parametrize("parts", [[], [[]], [[], []]])
def test_no_detections_have_ap_0(parts):
    truth = ground_truth((1, 1, BOX))
    assert_equal(evaluate_parts(truth, parts), evaluate(truth, []))


def test_one_part_at_a_time_is_in_memory():
    class Part(list):
        """A list that can be watched."""

    def parts():
        before = None
        for image in (1, 2, 3):
            assert before is None or before() is None
            part = Part(detected((image, 1, BOX, 0.5)))
            before = weakref.ref(part)
            yield part
            del part

    truth = ground_truth((1, 1, BOX), (3, 1, BOX))
    assert evaluate_parts(truth, parts()).metrics["AP50"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_image_in_two_parts_is_refused():
    parts = [detected((1, 1, BOX, 0.5)), detected((3, 1, BOX, 0.5)), detected((2, 1, BOX, 0.5), (3, 1, BOX, 0.4))]
    with pytest.raises(ValueError, match=r"parts\[2\]: image_id = 3 is in parts\[1\] too: put all detections of"):
        evaluate_parts(ground_truth((1, 1, BOX)), parts)


def test_a_wrong_part_is_named():
    truth = ground_truth((1, 1, BOX))
    with pytest.raises(ValueError, match=r"parts\[1\]: detections\[0\]\['image_id'\] = 9 is not the id"):
        evaluate_parts(truth, [[], detected((9, 1, BOX, 0.5))])
    with pytest.raises(ValueError, match=r"parts\[0\]: detections must be a list or a path, not dict"):
        evaluate_parts(truth, detected((1, 1, BOX, 0.5)))
    with pytest.raises(ValueError, match="is one file: give a list of files, or call evaluate"):
        evaluate_parts(truth, "detections.json")
