"""Which anchor answers for which ground-truth box."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import reference
from minidet.config import AnchorConfig
from tests.ops import GOLDEN, random_boxes

# Boxes on a coarse grid touch thresholds and tie all the time.
GRID_BOX = st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(0, 6)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
GRID_BOXES = st.lists(GRID_BOX, max_size=7).map(lambda rows: np.array(rows, np.float64).reshape(-1, 4))
SMALL = AnchorConfig(levels=(2, 3), sizes=(8, 16))


@pytest.mark.parametrize(("force", "name"), [(False, "matches"), (True, "matches_forced")])
def test_torchvisions_matches(ops, force, name):
    golden = np.load(GOLDEN / "anchors.npz")
    anchors = golden["anchors"].astype(np.float64)
    np.testing.assert_array_equal(ops.assign_anchors(anchors, golden["gt"], force_match=force), golden[name])


def test_by_hand(ops):
    gt = np.array([[0.0, 0, 10, 10]])
    anchors = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 9, 5], [0, 0, 8, 5], [0, 0, 3.9, 10], [50, 50, 60, 60]])
    # IoU                     1               0.5           0.45          0.4          0.39             0
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt), [0, 0, -2, -2, -1, -1])


def test_forced_match_goes_to_the_box_the_anchor_overlaps_most(ops):
    gt = np.array([[0.0, 0, 10, 10], [0, 0, 2, 10]])
    anchors = np.array([[0.0, 0, 8, 10]])  # IoU 0.8 and 0.25: the best that the second box has, still the first box's
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt, force_match=True), [0])
    small = np.array([[0.0, 0, 1, 10]])
    np.testing.assert_array_equal(ops.assign_anchors(anchors, small, force_match=True), [0])
    np.testing.assert_array_equal(ops.assign_anchors(anchors, small), [-1])


def test_forced_ties_are_all_positive(ops):
    gt = np.array([[4.0, 4, 6, 6]])
    anchors = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt, force_match=True), [0, -1, 0])


@pytest.mark.parametrize("force", [False, True])
def test_a_box_of_no_area_is_never_matched(ops, force):
    anchors = np.array([[0.0, 0, 10, 10], [5, 5, 5, 5], [50, 50, 60, 60]])
    gt = np.array([[5.0, 5, 5, 5], [0, 0, 10, 9], [3, 3, 9, 3]])
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt, force_match=force), [1, -1, -1])


def test_equal_overlap_goes_to_the_first_box(ops):
    gt = np.array([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    np.testing.assert_array_equal(ops.assign_anchors(gt, gt, force_match=True), [0, 0])


@given(
    GRID_BOXES,
    GRID_BOXES,
    st.booleans(),
    st.sampled_from([(0.5, 0.4), (0.5, 0.5), (1.0, 0.0), (0.25, 0.25), (0.75, 0.5)]),
)
def test_paths_agree_exactly(ops, anchors, gt, force, thresholds):
    expected = reference.assign_anchors(anchors, gt, *thresholds, force_match=force)
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt, *thresholds, force_match=force), expected)


@given(GRID_BOXES, GRID_BOXES, st.booleans())
def test_it_partitions_the_anchors(ops, anchors, gt, force):
    """Every anchor is assigned, ignored or background, as its best IoU says."""
    assignment = ops.assign_anchors(anchors, gt, force_match=force)
    assert assignment.shape == (len(anchors),)
    assert assignment.dtype == np.int64
    assert ((assignment >= -2) & (assignment < len(gt))).all()
    best = reference.box_iou(anchors, gt).max(axis=1, initial=0)
    assert (assignment[best >= 0.5] >= 0).all()
    if not force:
        np.testing.assert_array_equal(assignment == -1, best < 0.4)
        np.testing.assert_array_equal(assignment == -2, (best >= 0.4) & (best < 0.5))
    else:
        reached = reference.box_iou(anchors, gt).max(axis=0, initial=0) > 0
        assert not reached.any() or (assignment >= 0).any()


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 12), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_a_pyramid_is_its_anchors(ops, height, width, boxes, force, on_grid, seed):
    rng = np.random.default_rng(seed)
    gt = random_boxes(rng, boxes, extent=70)
    gt = np.round(gt / 2) * 2 if on_grid else gt
    config = SMALL if on_grid else AnchorConfig()
    anchors = np.concatenate(reference.pyramid_anchors((height, width), config))
    expected = reference.assign_anchors(anchors, gt, force_match=force)
    np.testing.assert_array_equal(ops.assign_pyramid((height, width), gt, config, force_match=force), expected)


@pytest.mark.parametrize("force", [False, True])
def test_an_image_so_wide_that_few_rows_hold_thousands_of_anchors(ops, force):
    """The compiled path decides some 8,000 anchors at a time, which are six rows here."""
    image_size, config = (96, 1100), AnchorConfig(levels=(3,), sizes=(24,))
    gts = np.array([[10.0, 2, 40, 90], [500, 44, 530, 70], [1050, 30, 1090, 60]])
    expected = reference.assign_anchors(reference.pyramid_anchors(image_size, config)[0], gts, 0.5, 0.4, force)
    np.testing.assert_array_equal(ops.assign_pyramid(image_size, gts, config, force_match=force), expected)


def test_nothing_is_forced_unless_it_is_asked_for(ops):
    """A box that no anchor overlaps by half gets none, from anchors of a pyramid as from others."""
    thin = np.array([[20.0, 10, 21, 60]])
    assert (ops.assign_pyramid((64, 64), thin, SMALL) < 0).all()
    assert (ops.assign_pyramid((64, 64), thin, SMALL, force_match=True) == 0).any()
    assert (ops.assign_anchors(np.concatenate(reference.pyramid_anchors((64, 64), SMALL)), thin) < 0).all()


def test_float32_pyramids_agree(ops):
    gt = random_boxes(np.random.default_rng(3), 20, dtype=np.float32)
    expected = reference.assign_pyramid((200, 180), gt, AnchorConfig(), force_match=True)
    np.testing.assert_array_equal(ops.assign_pyramid((200, 180), gt, AnchorConfig(), force_match=True), expected)


def test_boxes_equal_to_anchors(ops):
    anchors = np.concatenate(reference.pyramid_anchors((96, 128), AnchorConfig()))
    gt = anchors[::97]
    expected = reference.assign_anchors(anchors, gt, force_match=True)
    np.testing.assert_array_equal(ops.assign_anchors(anchors, gt, force_match=True), expected)
    np.testing.assert_array_equal(ops.assign_pyramid((96, 128), gt, AnchorConfig(), force_match=True), expected)
    assert set(range(len(gt))) <= set(expected)


@pytest.mark.parametrize("force", [False, True])
def test_empty(ops, force):
    none, some = np.zeros((0, 4)), np.array([[0.0, 0, 4, 4], [1, 1, 3, 3]])
    np.testing.assert_array_equal(ops.assign_anchors(some, none, force_match=force), [-1, -1])
    assert ops.assign_anchors(none, some, force_match=force).shape == (0,)
    assert ops.assign_anchors(none, none, force_match=force).dtype == np.int64
    assert (ops.assign_pyramid((40, 40), none, AnchorConfig(), force_match=force) == -1).all()


@pytest.mark.errors
def test_bad_input(ops):
    one = np.array([[0.0, 0, 4, 4]])
    with pytest.raises(ValueError, match=r"gt_boxes\[1\] = \(4, 0, 0, 4\) is inverted"):
        ops.assign_anchors(one, np.array([[0.0, 0, 4, 4], [4, 0, 0, 4]]))
    with pytest.raises(ValueError, match=r"anchors\[0\] .* is not finite"):
        ops.assign_anchors(one * np.nan, one)
    with pytest.raises(ValueError, match=r"negative_iou = 0.6 is above positive_iou = 0.5"):
        ops.assign_anchors(one, one, 0.5, 0.6)
    with pytest.raises(ValueError, match=r"positive_iou = 1\.5"):
        ops.assign_pyramid((8, 8), one, AnchorConfig(), 1.5)
