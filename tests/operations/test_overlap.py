"""The losses of boxes: against exact fractions, against differences, and what must not change them."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch

from minidet import pytorch
from tests.ops import random_boxes

NAMES = ("giou_loss", "diou_loss", "ciou_loss")


def case(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and targets: apart, overlapping, one inside the other, on a grid (shared edges) and equal."""
    rng = np.random.default_rng(seed)
    a, b = random_boxes(rng, n, 120), random_boxes(rng, n, 120)
    low = rng.integers(0, 4, (n, 2))
    grid = np.concatenate([low, low + rng.integers(1, 4, (n, 2))], axis=1).astype(float)
    inside = np.concatenate([a[:, :2] * 0.75 + a[:, 2:] * 0.25, a[:, :2] * 0.25 + a[:, 2:] * 0.75], axis=1)
    return np.concatenate([a, a, grid, a]), np.concatenate([b, inside, grid[::-1], a])


def exact(name: str, box: np.ndarray, target: np.ndarray) -> float:
    """A loss from its definition, in fractions, and the angles in 40 digits."""
    x1, y1, x2, y2 = (Fraction(float(v)) for v in box)
    a1, b1, a2, b2 = (Fraction(float(v)) for v in target)
    inside = max(Fraction(0), min(x2, a2) - max(x1, a1)) * max(Fraction(0), min(y2, b2) - max(y1, b1))
    union = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - inside
    width, height = max(x2, a2) - min(x1, a1), max(y2, b2) - min(y1, b1)
    miss = 1 - inside / union
    if name == "giou_loss":
        return float(miss + (width * height - union) / (width * height))
    centres = ((x1 + x2 - a1 - a2) ** 2 + (y1 + y2 - b1 - b2) ** 2) / 4
    loss = miss + centres / (width**2 + height**2)
    if name == "diou_loss":
        return float(loss)
    with mpmath.workdps(40):
        ratios = [
            mpmath.mpf(int(f.numerator)) / int(f.denominator) for f in ((a2 - a1) / (b2 - b1), (x2 - x1) / (y2 - y1))
        ]
        v = 4 / mpmath.pi**2 * (mpmath.atan(ratios[0]) - mpmath.atan(ratios[1])) ** 2
        m = mpmath.mpf(int(miss.numerator)) / int(miss.denominator)
        trade = v / (m + v) if m + v else 0
        return float(mpmath.mpf(int(loss.numerator)) / int(loss.denominator) + trade * v)


@pytest.mark.parametrize("name", NAMES)
def test_a_loss_of_boxes_to_the_last_digits(ops, name):
    boxes, targets = case()
    wanted = [exact(name, box, target) for box, target in zip(boxes, targets, strict=True)]
    np.testing.assert_allclose(getattr(ops, name)(boxes, targets), wanted, rtol=0, atol=4e-15)


@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_boxes_is_the_slope_of_differences(ops, name):
    """CIoU's weight alpha is held, as its gradient has it: what is differentiated is DIoU + alpha v."""
    boxes, targets = (array[:120] for array in case())  # no edges meet
    loss, h = getattr(ops, "diou_loss" if name == "ciou_loss" else name), 1e-5

    def aspect(b):
        w, h = b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]
        g, k = targets[:, 2] - targets[:, 0], targets[:, 3] - targets[:, 1]
        return 4 / np.pi**2 * (np.arctan(g / k) - np.arctan(w / h)) ** 2

    v = aspect(boxes)
    extra = ops.ciou_loss(boxes, targets) - ops.diou_loss(boxes, targets)  # alpha v
    alpha = np.divide(extra, v, where=v > 1e-12, out=np.zeros_like(v)) * (name == "ciou_loss")
    found = getattr(ops, f"{name}_grad")(boxes, targets)
    for k in range(4):
        step = h * np.eye(4)[k]
        by_loss = (loss(boxes + step, targets) - loss(boxes - step, targets)) / (2 * h)
        by_aspect = (aspect(boxes + step) - aspect(boxes - step)) / (2 * h)
        np.testing.assert_allclose(found[:, k], by_loss + alpha * by_aspect, rtol=0, atol=3e-9)


@pytest.mark.parametrize("name", NAMES)
def test_equal_boxes_cost_nothing_and_stay(ops, name):
    boxes = random_boxes(np.random.default_rng(3), 20)
    np.testing.assert_array_equal(getattr(ops, name)(boxes, boxes), np.zeros(20))
    np.testing.assert_allclose(getattr(ops, f"{name}_grad")(boxes, boxes), np.zeros((20, 4)), atol=1e-16)


@pytest.mark.parametrize("name", NAMES)
def test_moved_scaled_and_turned_boxes_have_the_same_loss(ops, name):
    boxes, targets = (np.round(array * 8) / 8 for array in case())  # so that moving them rounds nothing
    loss, slope = getattr(ops, name), getattr(ops, f"{name}_grad")
    wanted, first = loss(boxes, targets), slope(boxes, targets)
    np.testing.assert_allclose(loss(boxes * 4, targets * 4), wanted, rtol=1e-14)
    np.testing.assert_allclose(slope(boxes * 4, targets * 4), first / 4, rtol=1e-13, atol=1e-17)
    np.testing.assert_allclose(loss(boxes + 64, targets + 64), wanted, rtol=1e-13)
    turned = [1, 0, 3, 2]
    np.testing.assert_allclose(loss(boxes[:, turned], targets[:, turned]), wanted, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(slope(boxes[:, turned], targets[:, turned])[:, turned], first, rtol=1e-11, atol=1e-15)


def test_values_and_slopes_by_hand(ops):
    boxes, targets = np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[4.0, 0.0, 6.0, 2.0]])
    assert ops.giou_loss(boxes, targets) == pytest.approx(4 / 3, rel=1e-15)
    assert ops.diou_loss(boxes, targets) == pytest.approx(1 + 16 / 40, rel=1e-15)
    assert ops.ciou_loss(boxes, targets) == pytest.approx(1 + 16 / 40, rel=1e-15)
    # moving the box to the right by one pixel: GIoU by x1 alone changes hull and union, by x2 the union
    np.testing.assert_allclose(ops.giou_loss_grad(boxes, targets)[0, [0, 2]], [-(-2 * 12 + 8 * 2) / 144, -2 / 12])
    assert ops.giou_loss_grad(boxes, targets).sum(axis=1) < 0, "boxes that are apart attract each other"


@pytest.mark.parametrize("name", NAMES)
def test_boxes_without_area_have_finite_losses(ops, name):
    points = np.array([[1.0, 1, 1, 1], [1, 1, 3, 1], [0, 0, 2, 2], [1, 1, 1, 1]])
    others = np.array([[1.0, 1, 1, 1], [1, 1, 3, 1], [1, 1, 1, 1], [0, 0, 2, 2]])
    assert np.isfinite(getattr(ops, name)(points, others)).all()
    assert np.isfinite(getattr(ops, f"{name}_grad")(points, others)).all()


@pytest.mark.parametrize("name", [*NAMES, *(f"{name}_grad" for name in NAMES)])
def test_types_and_no_boxes(ops, name):
    call, tail = getattr(ops, name), (4,) * name.endswith("grad")
    boxes, targets = case(4)
    assert call(np.zeros((0, 4)), np.zeros((0, 4))).shape == (0, *tail)
    narrow = call(boxes.astype(np.float32), targets.astype(np.float32))
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, call(boxes, targets), rtol=1e-4, atol=1e-6)


@pytest.mark.errors
@pytest.mark.parametrize("name", [*NAMES, *(f"{name}_grad" for name in NAMES)])
def test_bad_boxes_are_told(ops, name):
    call, box = getattr(ops, name), np.array([[0.0, 0, 1, 1]])
    with pytest.raises(ValueError, match=r"targets\[0\]"):
        call(box, box[:, ::-1].copy())
    with pytest.raises(ValueError, match=r"boxes\[0\]"):
        call(np.full((1, 4), np.nan), box)
    with pytest.raises(ValueError, match="give one for each"):
        call(box, np.concatenate([box, box]))


@pytest.mark.parametrize("name", NAMES)
def test_backward_is_the_gradient_by_hand(name):
    boxes, targets = (torch.from_numpy(array[:50]) for array in case())
    boxes.requires_grad_()
    weights = torch.linspace(-1, 2, 50, dtype=torch.float64)
    (getattr(pytorch, name)(boxes, targets) * weights).sum().backward()
    wanted = getattr(pytorch, f"{name}_grad")(boxes.detach(), targets) * weights[:, None]
    torch.testing.assert_close(boxes.grad, wanted, rtol=0, atol=0)
    (first,) = torch.autograd.grad((getattr(pytorch, name)(boxes, targets) ** 2).sum(), boxes, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
