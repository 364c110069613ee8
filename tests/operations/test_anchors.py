"""Anchors of a cell and of a pyramid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet import reference
from minidet.config import AnchorConfig
from tests.ops import GOLDEN

SIDES = st.integers(1, 300)


def test_torchvisions_anchors(ops):
    golden = np.load(GOLDEN / "anchors.npz")
    size = tuple(int(v) for v in golden["image_size"])
    anchors = np.concatenate(ops.pyramid_anchors(size, AnchorConfig.torchvision(), np.float32))
    np.testing.assert_array_equal(anchors, golden["anchors"])


def test_a_cell_by_hand(ops):
    cell = ops.cell_anchors(32, [1, 2], [0.25, 1])  # height / width: a quarter as high as wide
    np.testing.assert_array_equal(cell, [[-32, -8, 32, 8], [-64, -16, 64, 16], [-16, -16, 16, 16], [-32, -32, 32, 32]])


def test_the_papers_anchors(ops):
    """Section 4: A = 9 anchors per cell, areas from 32^2 on P3 to 512^2 on P7, covering 32 to 813 pixels."""
    config = AnchorConfig()
    levels = ops.pyramid_anchors((600, 800), config)
    assert [len(a) for a in levels] == [9 * -(-600 // s) * -(-800 // s) for s in (8, 16, 32, 64, 128)]
    sides = np.sqrt(np.concatenate([reference.box_area(np.asarray(a, np.float64)) for a in levels]))
    assert sides.min() == pytest.approx(32, rel=1e-6)
    assert sides.max() == pytest.approx(813, abs=0.5)


def test_order_and_centres(ops):
    """Level, then y, then x, then anchor; cell i is centred at (i + 0.5) * stride."""
    config = AnchorConfig(levels=(3,), sizes=(32,), scales=(1, 2), aspect_ratios=(0.5, 2))
    anchors = ops.pyramid_anchors((16, 24), config, np.float64)[0].reshape(2, 3, 4, 4)
    centres = (anchors[..., :2] + anchors[..., 2:]) / 2
    np.testing.assert_allclose(centres[1, 2], [[20, 12]] * 4, atol=1e-12)
    height_by_width = (anchors[0, 0, :, 3] - anchors[0, 0, :, 1]) / (anchors[0, 0, :, 2] - anchors[0, 0, :, 0])
    np.testing.assert_allclose(height_by_width, [0.5, 0.5, 2, 2], rtol=1e-12)  # the ratio is the outer loop


@given(SIDES, SIDES, st.booleans())
def test_paths_agree_to_the_last_bit(ops, height, width, torchvision):
    config = AnchorConfig.torchvision() if torchvision else AnchorConfig()
    for dtype in (np.float32, np.float64):
        ours = ops.pyramid_anchors((height, width), config, dtype)
        expected = reference.pyramid_anchors((height, width), config, dtype)
        assert [a.dtype for a in ours] == [dtype] * 5
        for level, wanted in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(level, wanted)


def test_default_types(ops):
    expected = np.float32 if ops.uses_tensors else np.float64
    assert ops.pyramid_anchors((32, 32), AnchorConfig())[0].dtype == expected


@pytest.mark.errors
@pytest.mark.parametrize("size", [(0, 10), (10, -1), (10.5, 10), 10, (1, 2, 3)])
def test_bad_image_size(ops, size):
    with pytest.raises(ValueError, match="image_size"):
        ops.pyramid_anchors(size, AnchorConfig())


@pytest.mark.errors
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, [1], [1]), r"size = 0 .*> 0"),
        ((32, [1, -1], [1]), r"scales\[1\] = -1"),
        ((32, [1, 0], [1]), r"scales\[1\] = 0"),
        ((32, [1], [1, float("nan")]), r"aspect_ratios\[1\] = nan"),
    ],
)
def test_bad_cells(ops, arguments, message):
    with pytest.raises(ValueError, match=message):
        ops.cell_anchors(*arguments)
