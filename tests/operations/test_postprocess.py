"""From logits and offsets to detections."""

from __future__ import annotations

import numpy as np
import pytest

from minidet import reference
from minidet.config import AnchorConfig, PostprocessConfig

ANCHORS = np.array([[0.0, 0, 10, 10], [20, 20, 40, 40], [21, 20, 41, 40], [90, 90, 110, 110]])
NO_OFFSETS = np.zeros((4, 4))


def logit(p):
    return np.log(p / (1 - np.asarray(p, np.float64)))


def outputs(seed, dtype, image_size=(96, 130), classes=5):
    rng = np.random.default_rng(seed)
    anchors = reference.pyramid_anchors(image_size, AnchorConfig(), dtype)
    logits = [rng.normal(-3, 2, (len(a), classes)).astype(dtype) for a in anchors]
    deltas = [rng.normal(0, 0.4, (len(a), 4)).astype(dtype) for a in anchors]
    return logits, deltas, anchors


def test_by_hand(ops):
    scores = np.array([[0.9, 0.06], [0.04, 0.8], [0.7, 0.6], [0.2, 0.01]])
    found = ops.postprocess([logit(scores)], [NO_OFFSETS], [ANCHORS], (100, 100), PostprocessConfig())
    # .04 and .01 are below the threshold; .6 of class 1 yields to .8, .7 of class 0 does not; the last box is clipped
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7, 0.2, 0.06], rtol=1e-14)
    np.testing.assert_array_equal(found.classes, [0, 1, 0, 0, 1])
    np.testing.assert_array_equal(found.boxes, [*ANCHORS[[0, 1, 2]], [90, 90, 100, 100], ANCHORS[0]])


def test_the_limits(ops):
    x = logit(np.array([[0.9], [0.8], [0.7], [0.6]]))
    two = ops.postprocess([x, x], [NO_OFFSETS] * 2, [ANCHORS] * 2, (200, 200), PostprocessConfig(max_per_level=1))
    np.testing.assert_allclose(two.scores, [0.9])  # the best of each level, which are the same box
    one = ops.postprocess([x], [NO_OFFSETS], [ANCHORS], (200, 200), PostprocessConfig(max_detections=2))
    np.testing.assert_allclose(one.scores, [0.9, 0.8])


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_the_best_of_many_logits(ops, wanted):
    """Far more logits than the compiled path looks at together, equal ones among the best."""
    corner = 10.0 * np.stack(np.divmod(np.arange(1500), 40), axis=1)
    anchors = np.concatenate([corner, corner + 8], axis=1)
    x = np.random.default_rng(2).normal(-1, 1, (1500, 1))
    x[[1400, 7, 300]] = 9.0
    found = ops.postprocess([x], [np.zeros((1500, 4))], [anchors], (500, 500), PostprocessConfig(max_per_level=wanted))
    np.testing.assert_array_equal(found.boxes, anchors[[7, 300, 1400][:wanted]])


def test_a_score_at_the_threshold_is_not_above_it(ops):
    x = np.array([[0.0], [-1e-9], [1e-9], [-3.0]])
    found = ops.postprocess([x], [NO_OFFSETS], [ANCHORS], (200, 200), PostprocessConfig(score_threshold=0.5))
    np.testing.assert_array_equal(found.boxes, ANCHORS[[2]])


def test_saturated_scores_keep_their_order(ops):
    x = np.array([[40.0], [50.0], [1.0], [60.0]])  # three sigmoids that are 1 in float64
    found = ops.postprocess([x], [NO_OFFSETS], [ANCHORS], (200, 200), PostprocessConfig(max_detections=2))
    np.testing.assert_array_equal(found.boxes, ANCHORS[[3, 1]])
    np.testing.assert_array_equal(found.scores, [1, 1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("config", [PostprocessConfig(), PostprocessConfig(0.0, 40, 0.3, 1000), PostprocessConfig(0.5)])
def test_paths_agree(ops, dtype, config):
    levels = outputs(0, dtype)
    expected = reference.postprocess(*levels, (96, 130), config)
    found = ops.postprocess(*levels, (96, 130), config)
    assert len(expected.scores) > 20
    few = 4 * np.finfo(dtype).eps
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=few)
    np.testing.assert_allclose(found.boxes, expected.boxes, rtol=few, atol=few * 130)
    assert found.boxes.dtype == found.scores.dtype == dtype
    assert found.classes.dtype == np.int64
    assert (np.diff(found.scores) <= 0).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2:] <= [130, 96]).all()


def test_nothing_found(ops):
    low = np.full((4, 2), -9.0)
    empty = np.zeros((0, 2)), np.zeros((0, 4)), np.zeros((0, 4))
    no_classes = np.zeros((4, 0)), NO_OFFSETS, ANCHORS
    for arguments in (
        ([low], [NO_OFFSETS], [ANCHORS]),
        *(tuple([part] for part in one) for one in (empty, no_classes)),
    ):
        found = ops.postprocess(*arguments, (50, 50), PostprocessConfig())
        assert found.boxes.shape == (0, 4)
        assert found.scores.shape == found.classes.shape == (0,)


@pytest.mark.errors
def test_bad_input(ops):
    x = np.zeros((4, 2))
    with pytest.raises(ValueError, match="have 1, 2 and 1 levels"):
        ops.postprocess([x], [NO_OFFSETS] * 2, [ANCHORS], (9, 9), PostprocessConfig())
    with pytest.raises(ValueError, match=r"logits\[0\] has 3 rows and anchors\[0\] has 4"):
        ops.postprocess([x[:3]], [NO_OFFSETS], [ANCHORS], (9, 9), PostprocessConfig())
    with pytest.raises(ValueError, match=r"logits\[0\]\[2, 1\] = nan"):
        ops.postprocess(
            [np.where(np.arange(8).reshape(4, 2) == 5, np.nan, x)], [NO_OFFSETS], [ANCHORS], (9, 9), PostprocessConfig()
        )
    with pytest.raises(ValueError, match=r"deltas\[0\] has shape \(4, 3\)"):
        ops.postprocess([x], [NO_OFFSETS[:, :3]], [ANCHORS], (9, 9), PostprocessConfig())
    with pytest.raises(ValueError, match=r"deltas\[0\]\[0\] .* is not finite"):
        ops.postprocess([x], [NO_OFFSETS + np.inf], [ANCHORS], (9, 9), PostprocessConfig())
