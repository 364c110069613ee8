"""a6: tests that find mistakes. The solutions here are tests that find all of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minidet import reference
from minidet.course.check import Exercise
from minidet.course.exercises import a1, a2, a4


def test_box_iou(box_iou: Callable[..., np.ndarray]) -> None:
    """Raise an AssertionError where `box_iou` is wrong, and return where it is right."""
    one, half = np.array([[0.0, 0, 4, 2]]), np.array([[0.0, 0, 2, 2]])
    shifted = np.array([[1.0, 1, 5, 3]])
    assert box_iou(one, one).shape == (1, 1)
    np.testing.assert_allclose(box_iou(one, one), 1)
    np.testing.assert_allclose(box_iou(one, half), 0.5)
    np.testing.assert_allclose(box_iou(half, one), 0.5)
    np.testing.assert_allclose(box_iou(one, shifted), 3 / 13)
    np.testing.assert_allclose(box_iou(shifted, one), 3 / 13)
    many = np.concatenate([one, half, shifted])
    np.testing.assert_allclose(box_iou(one, many), [[1, 0.5, 3 / 13]])
    around = np.array([[4.0, 0, 8, 2], [0, 2, 4, 4], [9, 0, 12, 2], [0, 7, 4, 9], [9, 7, 12, 9]])
    np.testing.assert_allclose(box_iou(one, around), np.zeros((1, 5)))
    np.testing.assert_allclose(box_iou(around, one), np.zeros((5, 1)))


def test_assign_anchors(assign_anchors: Callable[..., np.ndarray]) -> None:
    """Raise an AssertionError where `assign_anchors` is wrong, and return where it is right."""
    square = np.array([[0.0, 0, 10, 10]])
    slices = np.array([[0.0, 0, 10, h] for h in (9.0, 5.0, 4.5, 4.0, 3.9)])
    far = np.array([[50.0, 50, 60, 60]])
    both = np.concatenate([far, square])
    np.testing.assert_array_equal(assign_anchors(slices, square), [0, 0, -2, -2, -1])
    np.testing.assert_array_equal(assign_anchors(slices, both), [1, 1, -2, -2, -1])
    np.testing.assert_array_equal(assign_anchors(slices, square, 0.95, 0.1), [-2, -2, -2, -2, -2])
    np.testing.assert_array_equal(assign_anchors(square, np.concatenate([square, square])), [0])
    low = np.array([[0.0, 0, 10, 3], [0, 7, 10, 10], [0, 0, 10, 1]])
    np.testing.assert_array_equal(assign_anchors(low, square), [-1, -1, -1])
    np.testing.assert_array_equal(assign_anchors(low, both, 0.5, 0.4, True), [1, 1, -1])
    np.testing.assert_array_equal(assign_anchors(low[:1], np.concatenate([square, low[1:2]]), 0.5, 0.4, True), [0])
    two = np.array([[0.0, 0, 10, 9], [0, 0, 10, 3]])
    np.testing.assert_array_equal(assign_anchors(square, two, 0.5, 0.4, True), [0])
    np.testing.assert_array_equal(assign_anchors(square, two[::-1], 0.5, 0.4, True), [1])


def test_nms(nms: Callable[..., np.ndarray]) -> None:
    """Raise an AssertionError where `nms` is wrong, and return where it is right."""
    boxes = np.array([[0.0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    scores = np.array([0.6, 0.9, 0.5, 0.7])
    np.testing.assert_array_equal(nms(boxes, scores, 0.5), [1, 3, 2])
    np.testing.assert_array_equal(nms(boxes, scores, 0.9), [1, 3, 0, 2])
    half = np.array([[0.0, 0, 10, 10], [0, 0, 10, 5]])
    np.testing.assert_array_equal(nms(half, np.array([0.9, 0.8]), 0.5), [0, 1])
    np.testing.assert_array_equal(nms(half, np.array([0.9, 0.8]), 0.4), [0])
    chain = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]])
    np.testing.assert_array_equal(nms(chain, np.array([0.9, 0.8, 0.7]), 0.4), [0, 2])
    np.testing.assert_array_equal(nms(boxes[:2], np.array([0.5, 0.5]), 0.5), [0])
    small = np.array([[0.0, 0, 10, 10], [0, 0, 10, 4]])
    np.testing.assert_array_equal(nms(small, np.array([0.9, 0.8]), 0.5), [0, 1])
    np.testing.assert_array_equal(nms(np.array([[0.0, 0, 2, 2], [1, 0, 3, 2]]), np.array([0.9, 0.8]), 0.4), [0, 1])
    quarter = np.array([[0.0, 0, 10, 10], [0, 0, 10, 7]])
    np.testing.assert_array_equal(nms(quarter, np.array([0.9, 0.8]), 0.5), [0])


def test_match_detections(match_detections: Callable[..., np.ndarray]) -> None:
    """Raise an AssertionError where `match_detections` is wrong, and return where it is right."""
    square = np.array([[0.0, 0, 10, 10]])
    slices = np.array([[0.0, 0, 10, h] for h in (8.0, 10.0, 9.0)])
    np.testing.assert_array_equal(match_detections(slices, np.array([0.1, 0.3, 0.2]), square), [False, True, False])
    np.testing.assert_array_equal(match_detections(slices, np.array([0.3, 0.1, 0.2]), square), [True, False, False])
    np.testing.assert_array_equal(match_detections(slices[:2], np.array([0.5, 0.5]), square), [True, False])
    np.testing.assert_array_equal(match_detections(np.array([[0.0, 0, 10, 5]]), np.array([0.9]), square, 0.5), [True])
    below = np.array([[0.0, 0, 10, 4], [0, 0, 10, 9]])
    np.testing.assert_array_equal(match_detections(below, np.array([0.9, 0.8]), square, 0.5), [False, True])
    objects = np.array([[0.0, 0, 10, 10], [3, 0, 13, 10]])
    scores = np.array([0.9, 0.8])
    for first, second in ((0.0, 7.0), (3.0, -4.0), (2.0, 2.0)):
        boxes = np.array([[first, 0, first + 10, 10], [second, 0, second + 10, 10]])
        np.testing.assert_array_equal(match_detections(boxes, scores, objects, 0.4), [True, True])
    middle = np.array([[2.0, 0, 12, 10], [4, 0, 14, 10]])
    equal = np.array([[0.0, 0, 10, 10], [4, 0, 14, 10]])
    np.testing.assert_array_equal(match_detections(middle, scores, equal, 0.6), [True, False])


def test_average_precision(average_precision: Callable[..., float]) -> None:
    """Raise an AssertionError where `average_precision` is wrong, and return where it is right."""
    one = np.array([1.0])
    np.testing.assert_allclose(average_precision(one, one, 101), 1)
    np.testing.assert_allclose(average_precision(one, one / 2, 101), 51 / 101)
    np.testing.assert_allclose(average_precision(one, one / 2, 11), 6 / 11)
    np.testing.assert_allclose(average_precision(one, one * 0.37, None), 0.37)
    precision, recall = np.array([1.0, 0.5]), np.array([0.5, 1.0])
    np.testing.assert_allclose(average_precision(precision, recall, None), 0.75)
    np.testing.assert_allclose(average_precision(precision, recall, 11), (6 + 2.5) / 11)
    dip, found = np.array([0.0, 0.5, 2 / 3]), np.array([0.0, 0.23, 0.46])
    np.testing.assert_allclose(average_precision(dip, found, 101), 2 / 3 * 47 / 101)
    np.testing.assert_allclose(average_precision(dip, found, None), 2 / 3 * 0.46)


def _place(subject: Exercise) -> str:
    """Where a student finds the function that the tests are written for."""
    if subject.name in reference.__all__:
        return f"minidet.reference.{subject.name}"
    return f"{subject.reference.__module__}.{subject.name}"


EXERCISES = tuple(
    Exercise(test, 20, (), subject=subject, example=f"my.{test.__name__}({_place(subject)})")
    for test, subject in (
        (test_box_iou, a1.IOU), (test_assign_anchors, a2.ASSIGN), (test_nms, a2.NMS),
        (test_match_detections, a4.MATCH), (test_average_precision, a4.AP),
    )
)  # fmt: skip
