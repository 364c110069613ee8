"""The exponential and the logarithms that turn into vector instructions: below a unit in the last place, everywhere."""

import mpmath
import numpy as np
import pytest

from minidet.compiled import vectors
from minidet.compiled.jit import kernel


@kernel
def exponentials(x, out):
    for i in range(len(x)):
        out[i] = vectors.exp_of(x[i])


@kernel
def logarithms(x, out):
    for i in range(len(x)):
        out[i] = vectors.log_of(x[i])


@kernel
def logarithms_of_one_more(x, out):
    for i in range(len(x)):
        out[i] = vectors.log1p_of(x[i])


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
