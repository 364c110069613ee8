"""The exponential and the logarithms that turn into vector instructions: below a unit in the last place, everywhere."""

import mpmath
import numpy as np
import pytest

from minidet import compiled, reference
from minidet.compiled.jit import kernel
from minidet.compiled.vectors import exp_of, log1p_of, log_of


@kernel
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = exp_of(x[i])


@kernel
def logarithms(x, out):
    for i in range(len(x)):
        out[i] = log_of(x[i])


@kernel
def logarithms_of_one_more(x, out):
    for i in range(len(x)):
        out[i] = log1p_of(x[i])


def computed(loop, x):
    out = np.empty(len(x))
    loop(x, out)
    return out


def largest_error(computed, x, exact):
    """In units in the last place of the exact result, which is rounded once if it is no normal number."""
    with mpmath.workprec(160):
        worst = 0.0
        for value, one in zip(computed, x, strict=True):
            truth = exact(mpmath.mpf(float(one)))
            unit = np.spacing(abs(float(truth)))
            worst = max(worst, float(abs(mpmath.mpf(float(value)) - truth) / mpmath.mpf(float(unit))))
    return worst


RNG = np.random.default_rng(0)
MAGNITUDES = 2.0 ** RNG.uniform(-1073, 1023, 1500)
NEAR_ONE = np.concatenate([RNG.uniform(0.4, 2.6, 1500), 1 + RNG.uniform(-1, 1, 300) * 2.0**-30, [0.75, 1.5]])


@pytest.mark.parametrize("x", [RNG.uniform(-1, 1, 1500), RNG.uniform(-745, 709, 1500)], ids=["near 0", "far"])
def test_the_exponential_loses_less_than_a_unit_in_the_last_place(x):
    assert largest_error(computed(exponentials, x), x, mpmath.exp) < 1


def test_an_exponential_that_is_no_normal_number_is_rounded_once():
    x = RNG.uniform(-745, -716, 3000)
    assert largest_error(computed(exponentials, x), x, mpmath.exp) < 0.501


def test_the_exponential_at_its_ends():
    ends = np.array([0.0, -0.0, -745.2, -800.0, -1e300, -np.inf])
    assert computed(exponentials, ends).tolist() == [1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("x", [MAGNITUDES, NEAR_ONE], ids=["of any size", "near 1"])
def test_the_logarithm_loses_less_than_a_unit_in_the_last_place(x):
    assert largest_error(computed(logarithms, x), x, mpmath.log) < 1


def test_the_logarithm_of_one_and_of_the_smallest_number():
    ends = np.array([1.0, 5e-324, 2.0**-1022, np.finfo(np.float64).max])
    np.testing.assert_allclose(computed(logarithms, ends), np.log(ends), rtol=2e-16, atol=0)


def test_the_logarithm_of_one_more_loses_less_than_a_unit_in_the_last_place():
    around_half = RNG.uniform(0.49, 0.51, 500)
    x = np.concatenate([RNG.uniform(0, 1, 1500), RNG.uniform(0, 1, 500) ** 30, around_half, [0.5, 1.0, 5e-324]])
    assert largest_error(computed(logarithms_of_one_more, x), x, mpmath.log1p) < 1
    assert computed(logarithms_of_one_more, np.zeros(3)).tolist() == [0, 0, 0]


LOGITS, OBJECTS = RNG.normal(0, 8, 1001), RNG.integers(0, 2, 1001)
QUALITY, ROWS, LABELS = RNG.random(1001) * OBJECTS, RNG.normal(0, 5, (1001, 7)), RNG.integers(0, 7, 1001)
CORNERS = RNG.uniform(0, 50, (1001, 2))
BOXES = np.concatenate([CORNERS, CORNERS + RNG.uniform(1, 50, (1001, 2))], axis=1)
NEARBY = BOXES + RNG.uniform(-0.4, 0.4, BOXES.shape)
FUNCTIONS = {
    "focal_loss": lambda some: compiled.focal_loss(LOGITS[some], OBJECTS[some]),
    "focal_loss_hess": lambda some: compiled.focal_loss_hess(LOGITS[some], OBJECTS[some], 1.5),
    "focal_loss_star_grad": lambda some: compiled.focal_loss_star_grad(LOGITS[some], OBJECTS[some]),
    "quality_focal_loss_hess": lambda some: compiled.quality_focal_loss_hess(LOGITS[some], QUALITY[some]),
    "varifocal_loss": lambda some: compiled.varifocal_loss(LOGITS[some], QUALITY[some]),
    "softmax_focal_loss_grad": lambda some: compiled.softmax_focal_loss_grad(ROWS[some], LABELS[some]),
    "encode_boxes": lambda some: compiled.encode_boxes(NEARBY[some], BOXES[some]),
    "decode_boxes": lambda some: compiled.decode_boxes(NEARBY[some] / 100, BOXES[some]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_does_not_depend_on_its_neighbours(name):
    """Whether it is computed in a vector, behind the last whole vector or alone: the bits are the same."""
    whole = FUNCTIONS[name](slice(None))
    alone = [FUNCTIONS[name](slice(i, i + 1)) for i in range(0, 1001, 5)]
    np.testing.assert_array_equal(np.concatenate(alone), whole[::5])
    by_seven = [FUNCTIONS[name](slice(i, i + 7)) for i in range(0, 1001, 7)]
    np.testing.assert_array_equal(np.concatenate(by_seven), whole)


def test_many_boxes_that_several_threads_share():
    boxes, nearby = np.tile(BOXES, (20, 1)), np.tile(NEARBY, (20, 1))
    offsets = compiled.encode_boxes(nearby, boxes)
    np.testing.assert_allclose(offsets, reference.encode_boxes(nearby, boxes), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(compiled.decode_boxes(offsets, boxes), nearby, rtol=1e-12, atol=1e-12)
