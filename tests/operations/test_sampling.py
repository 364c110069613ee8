"""Online hard example mining."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import reference

LINE = np.array([[20.0 * i, 0, 20.0 * i + 10, 10] for i in range(8)])  # boxes that do not touch
LOSSES = np.array([3.0, 8, 1, 7, 2, 6, 4, 5])
POSITIVE = np.array([False, False, False, True, False, True, False, False])


def test_the_highest_losses_in_order(ops):
    np.testing.assert_array_equal(ops.ohem_sample(LOSSES, LINE, 3), [1, 3, 5])
    np.testing.assert_array_equal(ops.ohem_sample(LOSSES, LINE, 99), np.argsort(-LOSSES))


def test_overlapping_examples_are_suppressed_first(ops):
    boxes = np.concatenate([LINE[:1], LINE[:1] + [0, 0, 1, 0], LINE[1:2]])
    np.testing.assert_array_equal(ops.ohem_sample(np.array([1.0, 3, 2]), boxes, 2), [1, 2])
    np.testing.assert_array_equal(ops.ohem_sample(np.array([1.0, 3, 2]), boxes, 3, iou_threshold=0.95), [1, 2, 0])


def test_one_to_three(ops):
    """Room for one positive and three negatives; with room for more, both positives and six negatives."""
    one = ops.ohem_sample(LOSSES, LINE, 4, positives=POSITIVE, negatives_per_positive=3)
    np.testing.assert_array_equal(one, [1, 3, 7, 6])
    both = ops.ohem_sample(LOSSES, LINE, 64, positives=POSITIVE, negatives_per_positive=3)
    np.testing.assert_array_equal(both, np.argsort(-LOSSES))
    two = ops.ohem_sample(LOSSES, LINE, 7, positives=POSITIVE, negatives_per_positive=2)
    np.testing.assert_array_equal(two, [1, 3, 5, 7, 6, 0])


def test_without_positives_the_hardest_negatives(ops):
    none = np.zeros(8, bool)
    np.testing.assert_array_equal(
        ops.ohem_sample(LOSSES, LINE, 64, positives=none, negatives_per_positive=3), [1, 3, 5]
    )


@given(st.integers(0, 40), st.integers(4, 30), st.sampled_from([0.5, 0.7]), st.integers(0, 2**32 - 1))
def test_paths_agree_exactly(ops, n, batch_size, threshold, seed):
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 20, (n, 2)).astype(float)
    boxes = np.concatenate([corner, corner + rng.integers(4, 12, (n, 2))], axis=1)
    losses, positives = rng.integers(0, 9, n).astype(float), rng.random(n) < 0.2
    np.testing.assert_array_equal(
        ops.ohem_sample(losses, boxes, batch_size, threshold),
        reference.ohem_sample(losses, boxes, batch_size, threshold),
    )
    chosen = ops.ohem_sample(losses, boxes, batch_size, threshold, positives, 3)
    np.testing.assert_array_equal(chosen, reference.ohem_sample(losses, boxes, batch_size, threshold, positives, 3))
    assert (np.diff(losses[chosen]) <= 0).all()
    assert positives[chosen].sum() <= batch_size // 4
    assert (~positives[chosen]).sum() <= 3 * max(1, positives[chosen].sum())


def test_empty(ops):
    none = np.zeros((0, 4))
    assert ops.ohem_sample(np.zeros(0), none, 8).shape == (0,)
    assert ops.ohem_sample(np.zeros(0), none, 8, 0.7, np.zeros(0, bool), 3).dtype == np.int64


@pytest.mark.errors
def test_bad_input(ops):
    with pytest.raises(ValueError, match="positives and negatives_per_positive together"):
        ops.ohem_sample(LOSSES, LINE, 8, positives=POSITIVE)
    with pytest.raises(ValueError, match="batch_size = 3 has no room for one positive and 3 negatives"):
        ops.ohem_sample(LOSSES, LINE, 3, positives=POSITIVE, negatives_per_positive=3)
    with pytest.raises(ValueError, match="batch_size = 0"):
        ops.ohem_sample(LOSSES, LINE, 0)
    with pytest.raises(ValueError, match=r"losses\[0\] = nan"):
        ops.ohem_sample(LOSSES * np.nan, LINE, 8)
    with pytest.raises(ValueError, match=r"positives has shape \(3,\)"):
        ops.ohem_sample(LOSSES, LINE, 8, 0.7, POSITIVE[:3], 3)
