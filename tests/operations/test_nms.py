"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import reference
from tests.ops import GOLDEN

# Few coordinates and few scores: overlaps touch the thresholds and scores tie.
ROW = st.tuples(*[st.integers(0, 8)] * 2, *[st.integers(0, 6)] * 2, st.integers(0, 3), st.integers(0, 2))
ROWS = st.lists(ROW, max_size=14)
THRESHOLD = st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.75, 1.0])


def unpack(rows):
    table = np.array(rows, np.float64).reshape(-1, 6)
    corners = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return corners, table[:, 4], table[:, 5].astype(np.int64)


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_torchvisions_choice(ops, case, threshold):
    golden = np.load(GOLDEN / "nms.npz")
    boxes, scores, classes = (golden[f"{name}_{case}"] for name in ("boxes", "scores", "classes"))
    np.testing.assert_array_equal(ops.nms(boxes, scores, threshold), golden[f"keep_{case}_{threshold}"])
    np.testing.assert_array_equal(
        ops.batched_nms(boxes, scores, classes, threshold), golden[f"batched_{case}_{threshold}"]
    )


def test_by_hand(ops):
    boxes = np.array(
        [[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4], [20, 20, 30, 30]]
    )  # IoU with the first: .5, .4, 0
    scores = np.array([0.9, 0.8, 0.7, 0.95])
    np.testing.assert_array_equal(ops.nms(boxes, scores, 0.5), [3, 0, 1])  # equal to the threshold stays; .8 drops .7
    np.testing.assert_array_equal(ops.nms(boxes, scores, 0.45), [3, 0, 2])
    np.testing.assert_array_equal(ops.batched_nms(boxes, scores, np.array([0, 0, 1, 1]), 0.45), [3, 0, 2])
    np.testing.assert_array_equal(ops.batched_nms(boxes, scores, np.array([0, 1, 1, 1]), 0.45), [3, 0, 1])


def test_a_dropped_box_drops_nothing(ops):
    boxes = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])  # a chain: each overlaps the next by 3/7
    np.testing.assert_array_equal(ops.nms(boxes, np.array([3.0, 2, 1]), 0.4), [0, 2])


def test_equal_scores_go_by_index(ops):
    boxes = np.tile([[0.0, 0, 10, 10]], (700, 1))
    boxes[350:] += 100
    np.testing.assert_array_equal(ops.nms(boxes, np.ones(700)), [0, 350])
    np.testing.assert_array_equal(ops.nms(boxes, np.zeros(700), 1.0), np.arange(700))


@given(ROWS, THRESHOLD)
def test_paths_agree_exactly(ops, rows, threshold):
    boxes, scores, classes = unpack(rows)
    np.testing.assert_array_equal(ops.nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))
    np.testing.assert_array_equal(
        ops.batched_nms(boxes, scores, classes, threshold), reference.batched_nms(boxes, scores, classes, threshold)
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_paths_agree_on_many_boxes(ops, dtype):
    """More than any block or bucket that an implementation may work in."""
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 300, (2500, 2)), rng.uniform(5, 60, (2500, 2))
    boxes = np.concatenate([corner, corner + side], axis=1).astype(dtype)
    scores = np.round(rng.random(2500), 2).astype(dtype)
    classes = rng.integers(0, 3, 2500)
    for threshold in (0.05, 0.5):
        np.testing.assert_array_equal(ops.nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))
        np.testing.assert_array_equal(
            ops.batched_nms(boxes, scores, classes, threshold),
            reference.batched_nms(boxes, scores, classes, threshold),
        )


@pytest.mark.parametrize("far", [1e3, 1e5, 1e9, 1e20])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9])
def test_boxes_far_away_and_boxes_of_every_size(ops, far, threshold):
    """Some boxes stand far from all others, each with neighbours, some are as large as the distance, at any place."""
    rng = np.random.default_rng(5)
    centre = rng.uniform(0, 300, (160, 2))
    place = rng.choice([-far, 0, far, 2 * far], (40, 1))
    outside = np.concatenate([centre[:40] * 0.1 + place, rng.uniform(-far, far, (40, 2))])
    size = np.exp(rng.uniform(2, 4, (240, 2)))
    size[200:] *= far / 100
    both = np.concatenate([centre, outside])
    boxes = np.concatenate([both - size / 2, both + size / 2], axis=1)
    boxes = np.concatenate([boxes, boxes + rng.normal(0, 0.05, boxes.shape) * np.tile(size, 2) * [0, 0, 1, 1]])
    boxes[:, 2:] = np.maximum(boxes[:, :2], boxes[:, 2:])
    scores = rng.random(len(boxes))
    np.testing.assert_array_equal(ops.nms(boxes, scores, threshold), reference.nms(boxes, scores, threshold))


@given(ROWS, THRESHOLD)
def test_it_keeps_a_maximal_set_without_conflicts(ops, rows, threshold):
    boxes, scores, _ = unpack(rows)
    keep = ops.nms(boxes, scores, threshold)
    iou = reference.box_iou(boxes, boxes)
    kept = np.zeros(len(boxes), bool)
    kept[keep] = True
    assert keep.dtype == np.int64
    assert len(set(keep)) == len(keep)
    assert (np.diff(scores[keep]) <= 0).all()
    conflicts = iou[np.ix_(kept, kept)] > threshold
    assert not (conflicts & ~np.eye(len(keep), dtype=bool)).any()
    better = (scores[:, None] > scores) | (
        (scores[:, None] == scores) & (np.arange(len(boxes))[:, None] < np.arange(len(boxes)))
    )
    for dropped in np.flatnonzero(~kept):  # for a reason: a better kept box overlaps it
        assert (kept & better[:, dropped] & (iou[:, dropped] > threshold)).any()


@given(ROWS, THRESHOLD)
def test_it_is_idempotent(ops, rows, threshold):
    boxes, scores, _ = unpack(rows)
    keep = ops.nms(boxes, scores, threshold)
    np.testing.assert_array_equal(ops.nms(boxes[keep], scores[keep], threshold), np.arange(len(keep)))


@given(ROWS, THRESHOLD)
def test_classes_do_not_meet(ops, rows, threshold):
    """Class by class is all at once when the classes lie far apart, and any order of classes gives the same."""
    boxes, scores, classes = unpack(rows)
    apart = boxes + 1024.0 * classes[:, None]
    np.testing.assert_array_equal(ops.batched_nms(boxes, scores, classes, threshold), ops.nms(apart, scores, threshold))
    np.testing.assert_array_equal(
        ops.batched_nms(boxes, scores, classes, threshold), ops.batched_nms(boxes, scores, 7 - classes, threshold)
    )


def test_classes_of_any_number(ops):
    boxes = np.array([[0.0, 0, 10, 10]] * 4)
    scores, classes = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 2**16, 7, 2**16])
    kept = ops.batched_nms(boxes, scores, classes)
    np.testing.assert_array_equal(kept, [0, 1, 2])


def test_empty(ops):
    for keep in (
        ops.nms(np.zeros((0, 4)), np.zeros(0)),
        ops.batched_nms(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)),
    ):
        assert keep.shape == (0,)
        assert keep.dtype == np.int64


@pytest.mark.errors
def test_bad_input(ops):
    boxes, scores = np.array([[0.0, 0, 1, 1], [0, 0, 2, 2]]), np.array([0.5, 0.6])
    with pytest.raises(ValueError, match=r"scores\[1\] = nan"):
        ops.nms(boxes, np.array([0.5, np.nan]))
    with pytest.raises(ValueError, match=r"scores has shape \(1,\): give \(2,\), one for each of the boxes"):
        ops.nms(boxes, scores[:1])
    for threshold in (-0.1, 1.2):
        with pytest.raises(ValueError, match=f"iou_threshold = {threshold}"):
            ops.nms(boxes, scores, threshold)
        with pytest.raises(ValueError, match=f"iou_threshold = {threshold}"):
            ops.batched_nms(boxes, scores, np.array([0, 0]), threshold)
        with pytest.raises(ValueError, match=f"iou_threshold = {threshold}"):
            ops.batched_nms(boxes[:0], scores[:0], np.zeros(0, np.int64), threshold)
    with pytest.raises(ValueError, match=r"boxes\[0\] = \(1, 1, 0, 0\) is inverted"):
        ops.batched_nms(boxes[:, ::-1].copy(), scores, np.array([0, 0]))
    with pytest.raises(ValueError, match=r"classes\[1\] = -1 is out of range"):
        ops.batched_nms(boxes, scores, np.array([0, -1]))
    with pytest.raises(ValueError, match="classes has dtype float64"):
        ops.batched_nms(boxes, scores, np.array([0.0, 1]))
