"""The paper's numbers, and what a bad configuration is told."""

from __future__ import annotations

import math

import pytest

from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, PostprocessConfig, ResizeConfig, RetinaNetConfig


def test_the_papers_numbers():
    anchors = AnchorConfig()
    assert anchors.levels == (3, 4, 5, 6, 7)
    assert anchors.sizes == (32, 64, 128, 256, 512)
    assert anchors.scales == (1, 2 ** (1 / 3), 2 ** (2 / 3))
    assert anchors.aspect_ratios == (0.5, 1, 2)
    assert anchors.anchors_per_cell == 9
    assert PostprocessConfig() == PostprocessConfig(0.05, 1000, 0.5, 100)
    assert AssignmentConfig() == AssignmentConfig(0.5, 0.4, False)
    assert LossConfig() == LossConfig("focal", gamma=2.0, alpha=0.25, box_weight=1.0, smooth_l1_beta=1.0)
    assert RetinaNetConfig().prior == 0.01
    assert 1 / (1 + math.exp(-RetinaNetConfig().prior_logit)) == pytest.approx(0.01, rel=1e-14)


def test_resizing():
    """Section 5.1: the shorter side becomes 600; a long image is held back by its longer side."""
    assert ResizeConfig().resized((480, 640)) == (600, 800)
    assert ResizeConfig().resized((640, 480)) == (800, 600)
    assert ResizeConfig().resized((100, 1000)) == (133, 1333)
    assert ResizeConfig().resized((1, 100_000)) == (1, 1333)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnchorConfig(levels=(3, 4)), "sizes has 5 entries for 2 levels"),
        (lambda: AnchorConfig(scales=()), "scales is empty"),
        (lambda: AnchorConfig(scales=(1, 0)), r"scales\[1\] = 0 .*> 0"),
        (lambda: AnchorConfig(levels=(3, 4, 5, 6, 7.5)), r"levels\[4\] = 7.5 must be a whole number"),
        (lambda: PostprocessConfig(score_threshold=2), "score_threshold = 2 .*<= 1"),
        (lambda: PostprocessConfig(max_detections=0), "max_detections = 0 must be >= 1"),
        (lambda: AssignmentConfig(0.4, 0.5), "negative_iou = 0.5 is above positive_iou = 0.4"),
        (lambda: LossConfig(gamma=-1), "gamma = -1"),
        (lambda: LossConfig("hubris"), "kind = 'hubris' must be one of"),
        (lambda: LossConfig("ohem_1_3", ohem_batch_size=3), "ohem_batch_size = 3 has no room"),
        (lambda: RetinaNetConfig(prior=1), "prior = 1 .*< 1"),
        (lambda: LossConfig(alpha="a"), "alpha = 'a' is not a number"),
        (lambda: ResizeConfig(700, 600), "longer_side = 600 must be >= 700"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()
