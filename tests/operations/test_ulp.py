"""Units in the last place of float32: what the exhaustive run found still holds, and the other losses round once."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minidet import compiled
from tests.benchmarks import bench_ulp

ROWS = json.loads(bench_ulp.RESULTS.read_bytes())["rows"]
SAMPLE = 1 << 16


def logits(rng: np.random.Generator) -> np.ndarray:
    """Random bit patterns, and numbers near 0, where most happens."""
    bits = rng.integers(0, 2**32, SAMPLE, dtype=np.uint32).view(np.float32)
    return np.concatenate([bits[~np.isnan(bits)], rng.uniform(-20, 20, SAMPLE).astype(np.float32)])


def test_every_logit_was_looked_at():
    """All 2**32 but the NaNs; each result is a normal number or is counted below."""
    assert {(row["gamma"], row["what"]) for row in ROWS} == {
        (gamma, what) for gamma in bench_ulp.GAMMAS for what in bench_ulp.KINDS
    }
    assert all(row["every"] == 1 for row in ROWS)


@pytest.mark.parametrize("gamma", bench_ulp.GAMMAS)
def test_the_worst_logits_are_still_the_worst(gamma):
    """Where the exhaustive run found the largest errors they are what it found; nowhere are they larger."""
    value, gradient = (next(r for r in ROWS if (r["gamma"], r["what"]) == (gamma, what)) for what in bench_ulp.KINDS)
    for i, row in enumerate((value, gradient)):
        there = bench_ulp.nothing()
        bench_ulp.measure(np.full(1, row["at"], np.float32), gamma, there)
        assert there.worst[i] == pytest.approx(row["largest"], rel=1e-6)
    errors = bench_ulp.nothing()
    bench_ulp.measure(logits(np.random.default_rng(0)), gamma, errors)
    assert errors.worst[0] <= value["largest"]
    assert errors.worst[1] <= gradient["largest"]
    assert errors.small[0] <= value["below_normal"]
    assert errors.small[1] <= gradient["below_normal"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        *(
            ("focal_loss" + suffix, {"gamma": g, "alpha": None})
            for g in bench_ulp.GAMMAS
            for suffix in ("", "_grad", "_hess")
        ),
        *(("cross_entropy" + suffix, {"alpha": None}) for suffix in ("", "_grad", "_hess")),
        *(("focal_loss_star" + suffix, {"gamma": 2.0, "beta": 1.0}) for suffix in ("", "_grad", "_hess")),
        *(("quality_focal_loss" + suffix, {}) for suffix in ("", "_grad", "_hess")),
    ],
)
def test_the_other_losses_round_once(name, parameters):
    """In float32 they give the float32 number nearest to what they give in float64: half a unit, at every logit."""
    x = logits(np.random.default_rng(1))
    y = np.arange(len(x)) % 2
    function = getattr(compiled, name)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = function(x.astype(np.float64), y, **parameters).astype(np.float32)
    np.testing.assert_array_equal(function(x, y, **parameters), exact)
