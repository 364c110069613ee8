"""The difference of two experiments: whose error comes from the seeds, and whose from the images."""

import re

import numpy as np
import pytest

from minidet.experiments import rows
from minidet.experiments.comparison import between, images_error, told
from minidet.experiments.conclusion import in_a_line
from minidet.experiments.definitions import experiments
from minidet.experiments.differences import Difference
from minidet.experiments.student import quantile
from tests.experiments.made_up import made_up


def with_images(results, name, replicates):
    """The same results, of which every run of an experiment has these APs on resampled images."""
    for run in results.of(name).values():
        run["resampled_AP"] = list(replicates)
    return results


def test_errors_of_seeds_and_images_add_as_squares():
    results = made_up({"a": (21, 23, 25), "b": (20, 20, 20)})
    seeds = between(results, "a", "b")
    assert (seeds.gain, seeds.degrees) == (3, 2)
    assert images_error(results, "a", "b") is None
    a, b = np.array([0.20, 0.22, 0.25, 0.21]), np.array([0.20, 0.21, 0.22, 0.23])
    both = with_images(with_images(results, "a", a), "b", b)
    images = images_error(both, "a", "b")
    assert images == pytest.approx(100 * np.std(a - b, ddof=1))
    whole = between(both, "a", "b")
    assert whole.gain == seeds.gain
    assert whole.error == pytest.approx(np.hypot(seeds.error, images))
    assert whole.degrees == pytest.approx(whole.error**4 / (seeds.error**4 / 2))  # Satterthwaite; the images' are many


def test_the_same_change_of_both_is_no_error_of_the_difference():
    results = made_up({"a": (21, 23), "b": (20, 20)})
    replicates = np.array([0.1, 0.3, 0.2])
    both = with_images(with_images(results, "a", replicates + 0.05), "b", replicates)
    assert images_error(both, "a", "b") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("lengths", [(0, 3), (3, 0), (3, 4)])
def test_images_count_where_all_runs_recorded_them(lengths):
    results = made_up({"a": (21, 23), "b": (20, 20)})
    for name, length in zip("ab", lengths, strict=True):
        with_images(results, name, np.linspace(0.1, 0.2, length))
    assert images_error(results, "a", "b") is None
    one = made_up({"a": (21, 23), "b": (20, 20)})
    next(iter(with_images(with_images(one, "a", [0.1, 0.2]), "b", [0.1, 0.2]).of("a").values())).pop("resampled_AP")
    assert images_error(one, "a", "b") is None


def test_an_error_without_degrees_stays_untold():
    alone = Difference(2.0, float("nan"), 0)
    assert alone.with_error(1.0) is alone
    certain = Difference(2.0, 0.0, 2).with_error(1.0)  # equal seeds: the images are all there is
    assert certain.error == 1
    assert certain.half == pytest.approx(quantile(0.025, 1e6), rel=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ((30, 31, 32), (20, 21, 22.5), "FL is ahead of CE by 9.8 points of AP (+9.8 [+9.1, +10.6]; 3 runs of each)"),
        ((20, 21, 22.5), (30, 31, 32), "FL is behind CE by 9.8 points of AP (-9.8 [-10.6, -9.1]; 3 runs of each)"),
        ((20, 30), (21, 22), "FL and CE cannot be told apart: +3.5 [-53.7, +60.7] points of AP, 2 runs of each"),
        ((20, 21, 22), (40,), "FL is behind CE by 19.0 points of AP (-19.0 [-24.0, -14.0]; 3 and 1 runs)"),
        ((20,), (40,), "FL is -20.0 points of AP from CE, with one run of each"),
    ],
)
def test_a_sentence_claims_what_the_interval_allows(a, b, sentence):
    assert told(made_up({"a": a, "b": b}), "a", "b", "FL", "CE") == sentence


def test_detections_of_every_score_are_compared_too():
    results = made_up({"a": (20, 30), "b": (21, 22)})
    for name, aps in (("a", (40, 41)), ("b", (20, 22))):
        for run, ap in zip(results.of(name).values(), aps, strict=True):
            run["metrics_at_0"] = {"AP": ap / 100}
    assert told(results, "a", "b", "FL", "CE", "metrics_at_0").startswith("FL is ahead of CE by 19.5 points")
    assert between(results, "a", "b", 2.0, "metrics_at_0").gain == pytest.approx(40.5 - 42)


def test_the_conclusion_in_a_line_claims_no_more_than_was_run():
    """The best setting of OHEM is called so only where it is."""
    best, tuned = rows.PLATEAU_OHEM[-1], rows.plateau(rows.PLATEAU_TUNED)
    scores = {best: (30.0, 31.0), rows.plateau(best): (54.0, 55.0, 56.0), rows.plateau(rows.FL): (50.0, 51.0, 52.0)}
    scores |= {rows.cells("random", "ce"): (31.0, 32.0), rows.cells("random", "focal"): (26.0, 27.0)}

    def said(**more):
        return in_a_line(made_up({name: (scores | more).get(name, ()) for name in experiments()}))

    assert said(**{rows.plateau(best): ()}) == ""
    first, photographs = said().split(". ")
    assert "OHEM in its best setting of nine is ahead of the focal loss with the values of the paper by 4.0" in first
    assert photographs.startswith("On photographs")
    assert "of nine" not in said(**{rows.ohem("ohem", 512, 0.5): (40.0, 41.0)})  # another one is best, not run late
    other = said(**{tuned: (53.0, 55.0, 56.0)})
    assert re.search("OHEM and the focal loss with γ = .* .one of nine tried for .* steps. cannot be told apart", other)
    late = rows.plateau(rows.mining("suppresses=predictions"))
    assert "In the same setting OHEM with suppression among predicted boxes is behind OHEM with" in said(
        **{late: (40.0, 41.0, 42.0)}
    )
