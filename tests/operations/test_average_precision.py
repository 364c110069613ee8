"""Average precision by hand, beside COCO's evaluation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minidet.evaluation import evaluate
from minidet.reference.average_precision import average_precision, match_detections, precision_recall


@given(st.integers(1, 6), st.integers(0, 25), st.integers(0, 2**32 - 1))
def test_cocos_number(num_gt, found, seed):
    """Several images with boxes that compete: AP at IoU 0.5 and 0.75 as minidet.evaluation has it.

    COCO adds 2**-52 to the denominator of precision, so the last digits differ.
    """
    rng = np.random.default_rng(seed)
    gt = rng.integers(0, 12, (num_gt, 4)).astype(float) + [0, 0, 15, 15]
    boxes = gt[rng.integers(0, num_gt, found)] + rng.integers(-3, 4, (found, 4))
    images, gt_images = rng.integers(0, 3, found), rng.integers(0, 3, num_gt)
    scores = rng.permutation(found) / 32
    annotations = [
        {"image_id": int(i), "category_id": 1, "bbox": [*b[:2], *(b[2:] - b[:2])]}
        for i, b in zip(gt_images, gt, strict=True)
    ]
    truth = {"images": [{"id": i} for i in range(3)], "categories": [{"id": 1}], "annotations": annotations}
    detections = [
        {"image_id": int(i), "category_id": 1, "bbox": [*b[:2], *(b[2:] - b[:2])], "score": s}
        for i, b, s in zip(images, boxes, scores, strict=True)
    ]
    metrics = evaluate(truth, detections).metrics
    for threshold, name in ((0.5, "AP50"), (0.75, "AP75")):
        correct = np.zeros(found, bool)
        for i in range(3):
            here = images == i
            correct[here] = match_detections(boxes[here], scores[here], gt[gt_images == i], threshold)
        ap = average_precision(*precision_recall(correct, scores, num_gt))
        assert ap == pytest.approx(metrics[name], abs=1e-12)


def test_matching_by_hand():
    gt = np.array([[0.0, 0, 10, 10], [3, 0, 13, 10]])
    boxes = np.array([[2.0, 0, 12, 10], [0, 0, 10, 10], [0, 0, 10, 9]])
    # the best one overlaps the second object most and takes it; the next takes the first; for the third none is left
    np.testing.assert_array_equal(match_detections(boxes, [0.9, 0.8, 0.7], gt, 0.6), [True, True, False])
    np.testing.assert_array_equal(match_detections(boxes[:1], [0.9], gt[:1], 2 / 3), [True])  # equal is enough
    np.testing.assert_array_equal(match_detections(boxes[[1, 1]], [0.5, 0.5], gt[:1]), [True, False])
    # of equal IoUs the last object is taken, so that the first one is left for the second detection
    between, first = [[0.0, 0, 10, 10], [-5, 0, 5, 10]], [[-5.0, 0, 5, 10], [5, 0, 15, 10]]
    np.testing.assert_array_equal(match_detections(between, [0.9, 0.8], first, 0.3), [True, True])


def test_the_curve_by_hand():
    precision, recall = precision_recall(
        [False, True, True], [0.5, 0.9, 0.5], num_gt=4
    )  # of equal scores, the first first
    np.testing.assert_array_equal(precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_array_equal(recall, [1 / 4, 1 / 4, 2 / 4])
    np.testing.assert_array_equal(precision_recall([False, True], [0.9, 0.8], num_gt=1), [[0, 1 / 2], [0, 1]])


def test_the_area_by_hand():
    precision, recall = np.array([1, 1 / 2, 2 / 3]), np.array([1 / 4, 1 / 4, 2 / 4])
    assert average_precision(precision, recall, points=None) == pytest.approx(1 / 4 + 2 / 3 / 4)
    assert average_precision(precision, recall) == pytest.approx((26 + 25 * 2 / 3) / 101)  # 0 … 0.25 and 0.26 … 0.5
    assert average_precision(precision, recall, points=11) == pytest.approx(
        (3 + 3 * 2 / 3) / 11
    )  # 0, .1, .2; .3, .4, .5
    assert average_precision([1.0], [1.0]) == 1
    assert average_precision([0, 1 / 2], [0, 1 / 2], points=2) == 1 / 4


def test_empty():
    none = np.zeros((0, 4))
    assert match_detections(none, [], [[0, 0, 1, 1]]).shape == (0,)
    np.testing.assert_array_equal(match_detections([[0.0, 0, 1, 1]], [0.5], none), [False])
    precision, recall = precision_recall(np.zeros(0, bool), [], 3)
    assert precision.shape == recall.shape == (0,)
    np.testing.assert_array_equal(precision_recall([False], [0.5], 0)[1], [0])
    assert average_precision([], []) == average_precision([], [], points=None) == 0


@pytest.mark.errors
def test_bad_input():
    with pytest.raises(ValueError, match=r"iou_threshold = 0"):
        match_detections([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]], 0)
    with pytest.raises(ValueError, match=r"iou_threshold = 1.5"):
        match_detections([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]], 1.5)
    with pytest.raises(ValueError, match=r"recall reaches from -0.5 to 1"):
        average_precision([1, 1], [-0.5, 1])
    with pytest.raises(ValueError, match=r"num_gt \(a right detection has a box each\) = 1 must be >= 2"):
        precision_recall([True, True], [0.5, 0.6], 1)
    with pytest.raises(ValueError, match="correct has shape"):
        precision_recall([1, 0], [0.5, 0.6], 1)
    with pytest.raises(ValueError, match="recall falls"):
        average_precision([1, 1], [0.5, 0.4])
    with pytest.raises(ValueError, match="precision reaches from 0 to 2"):
        average_precision([0, 2], [0.5, 0.6])
    with pytest.raises(ValueError, match="precision has 1 rows and recall has 2"):
        average_precision([1], [0.5, 0.6])
    with pytest.raises(ValueError, match="points = 1"):
        average_precision([1], [0.5], points=1)
