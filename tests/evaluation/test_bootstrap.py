"""AP on resampled images: that of a data set in which the images are there as often as they were drawn."""

import numpy as np
import pytest

from minidet.evaluation import coco_metrics
from minidet.evaluation.bootstrap import resampled_ap
from tests.evaluation.test_evaluation import BOX, detected, ground_truth, random_set


def repeated(truth, detections, times):
    """The data set with every image and what belongs to it as often as drawn, under ids of their own."""
    ids = sorted(image["id"] for image in truth["images"])
    copies = {image_id: range(1000 * image_id, 1000 * image_id + n) for image_id, n in zip(ids, times, strict=True)}
    drawn = {**truth, "images": [{"id": new} for ids in copies.values() for new in ids]}
    drawn["annotations"] = [{**row, "image_id": new} for row in truth["annotations"] for new in copies[row["image_id"]]]
    found = [{**row, "image_id": new} for row in detections for new in copies[row["image_id"]]]
    return drawn, found


@pytest.mark.parametrize("seed", range(6))
def test_a_replicate_is_the_ap_of_the_images_that_were_drawn(seed):
    truth, found = random_set(seed, images=7, objects=3)
    found = list({row["score"]: row for row in found}.values())  # all scores differ
    random = np.random.default_rng(seed)
    for ap in resampled_ap(truth, found, 8, seed):
        times = np.bincount(random.integers(7, size=7), minlength=7)
        assert ap == coco_metrics(*repeated(truth, found, times))["AP"]


def test_one_image_is_drawn_again_and_again():
    truth, found = ground_truth((1, 1, BOX), images=1), detected((1, 1, BOX, 0.9))
    assert set(resampled_ap(truth, found, 5)) == {coco_metrics(truth, found)["AP"]}


def test_the_spread_is_the_error_of_the_mean():
    """Of n images with one object each some are found: with precision 1, AP is their share, whose error is known."""
    n = 400
    truth = ground_truth(*((i, 1, BOX) for i in range(1, n + 1)), images=n, categories=1)
    found = detected(*((i, 1, BOX, 0.9) for i in range(1, n // 2 + 1)))
    spread = np.std(resampled_ap(truth, found, 400), ddof=1)
    assert spread == pytest.approx(
        np.sqrt(0.25 / n), rel=0.2
    )  # 400 draws tell a deviation to 3.5 %; AP is in steps of .01


def test_detectors_get_the_same_draws():
    truth, found = random_set(3, images=20)
    one, other = (resampled_ap(truth, found, 10, seed=5) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, resampled_ap(truth, found, 10, seed=6))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("images", "replicates", "message"), [(0, 5, "ground_truth has no images"), (3, 0, "replicates = 0")]
)
def test_nothing_to_draw_is_refused(images, replicates, message):
    with pytest.raises(ValueError, match=message):
        resampled_ap(ground_truth(images=images), [], replicates)


def test_without_an_object_there_is_no_ap():
    assert resampled_ap(ground_truth(), [], 3).tolist() == [-1, -1, -1]
    assert resampled_ap(ground_truth((1, 1, BOX), images=1), [], 3).tolist() == [0, 0, 0]
