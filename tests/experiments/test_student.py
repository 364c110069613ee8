"""Student's t distribution, compared with 30 digits and with printed tables."""

from __future__ import annotations

import math

import mpmath
import pytest

from minidet.experiments.differences import holm
from minidet.experiments.student import quantile, tail


@pytest.mark.parametrize("degrees", [0.7, 1, 2, 2.4, 3, 4, 10, 57.3, 200])
def test_tails_have_ten_digits(degrees):
    for t in (-3, 0, 1e-6, 1e-3, 0.3, 1, 2, 4.3, 12.7, 50):
        with mpmath.workdps(30):
            n, square = mpmath.mpf(degrees), mpmath.mpf(t) ** 2
            upper = mpmath.betainc(n / 2, 0.5, 0, n / (n + square), regularized=True) / 2
            exact = float(upper if t >= 0 else 1 - upper)
        assert tail(t, degrees) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("degrees", "factor"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (10, 2.228), (30, 2.042), (120, 1.980)],
)
def test_the_factors_of_95_percent_are_those_of_the_printed_tables(degrees, factor):
    assert quantile(0.025, degrees) == pytest.approx(factor, abs=5e-4)
    assert quantile(0.975, degrees) == pytest.approx(-quantile(0.025, degrees))


@pytest.mark.parametrize("probability", [0.001, 0.2, 0.5])
def test_a_quantile_is_where_the_tail_has_its_probability(probability):
    assert tail(quantile(probability, 2.7), 2.7) == pytest.approx(probability, rel=1e-12)


def test_the_ends_and_what_is_out_of_range():
    assert (tail(math.inf, 3), tail(-math.inf, 3)) == (0, 1)
    with pytest.raises(ValueError, match="degrees = 0 must be above 0"):
        tail(1, 0)
    with pytest.raises(ValueError, match="probability = 1 must be above 0 and below 1"):
        quantile(1, 3)


def test_holms_correction_is_that_of_his_paper():
    """Three probabilities, the smallest times 3, the next times 2, and none below the one before it."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1, 1]
    assert holm([]) == []
