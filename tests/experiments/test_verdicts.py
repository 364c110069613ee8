"""What is made of the results: scores, verdicts, tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from figures import imbalance as imbalance_figure
from minidet.experiments import claims, evidence, imbalance, loss_shares, results, rows, speed, tables, verdicts
from minidet.experiments import published as paper
from minidet.experiments.definitions import experiments
from minidet.experiments.results import Score, file_name, load_results, spearman
from minidet.experiments.verdicts import FAILS, HOLDS, NOT_RUN, WEAKLY
from tests.experiments.made_up import everything, made_up, nothing


def test_a_score_has_the_mean_and_the_sample_deviation():
    score = made_up({"a": (1.0, 2.0, 3.0)}).score("a")
    assert (score.n, score.mean, score.deviation) == (3, pytest.approx(2), pytest.approx(1))
    assert str(score) == "2.0 ± 1.0 (3)"
    assert str(Score((2.0,))) == "2.0 (1 seed)"
    with pytest.raises(ValueError, match="b is no experiment"):
        made_up({"a": ()}).of("b")


@pytest.mark.parametrize(
    ("x", "y", "rho"),
    [([1, 2, 3], [10, 20, 21], 1), ([1, 2, 3], [3, 2, 1], -1), ([1, 2, 2, 3], [1, 2, 3, 4], math.sqrt(0.9))],
)
def test_rank_correlation(x, y, rho):
    assert spearman(x, y) == pytest.approx(rho, abs=1e-12)


def test_rank_correlation_of_a_constant_is_not_a_number():
    assert math.isnan(spearman([1, 1, 1], [1, 2, 3]))


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ((30, 31, 32), (20, 21, 22), HOLDS),
        ((30, 31, 32), (29, 30, 31), WEAKLY),  # 1 ± 0.82
        ((30, 31), (20, 21, 22), WEAKLY),
        ((30,), (20,), WEAKLY),
        ((20, 21, 22), (30, 31, 32), FAILS),
        ((), (20, 21, 22), NOT_RUN),
    ],
)
def test_the_rule_for_better(a, b, kind):
    assert verdicts.better(made_up({"a": a, "b": b}), "a", "b").kind == kind


@pytest.mark.parametrize(
    ("a", "b", "above", "kind"),
    [
        ((30, 31, 32), (30.5, 31.5, 32.5), 1, HOLDS),
        ((30, 31), (30, 31, 32), 1, WEAKLY),
        ((28, 31, 34), (30, 33, 36), 1, WEAKLY),  # 2 ± 2.4
        ((30, 31, 32), (40, 41, 42), 1, FAILS),
        ((40, 41, 42), (30, 31, 32), 1, FAILS),
        ((40, 41, 42), (30, 31, 32), math.inf, HOLDS),
    ],
)
def test_the_rule_for_about_as_good(a, b, above, kind):
    assert verdicts.about_as_good(made_up({"a": a, "b": b}), "a", "b", above=above).kind == kind


@pytest.mark.parametrize(
    ("a", "kind"), [((0, 0, 1), HOLDS), ((0, 20, 20), WEAKLY), ((0,), WEAKLY), ((20, 20, 20), FAILS), ((), NOT_RUN)]
)
def test_the_rule_for_failing(a, kind):
    assert verdicts.fails(made_up({"a": a, "works": (30, 30, 30)}), "a", "works").kind == kind


def test_a_claim_of_parts_is_as_good_as_its_worst_one():
    parts = [verdicts.Verdict(HOLDS, "x"), verdicts.Verdict(FAILS, "y"), verdicts.Verdict(WEAKLY, "z")]
    assert verdicts.every(parts) == verdicts.Verdict(FAILS, "x; y; z")
    lacking = verdicts.every(
        [parts[0], verdicts.Verdict(NOT_RUN, "", ("b",)), verdicts.Verdict(NOT_RUN, "", ("b", "c"))]
    )
    assert (lacking.kind, lacking.missing) == (NOT_RUN, ("b", "c"))


def test_every_claim_can_be_judged(monkeypatch):
    monkeypatch.setattr(speed, "load", lambda: None)
    monkeypatch.setattr(loss_shares, "load", lambda: None)
    monkeypatch.setattr(imbalance, "ratio", lambda objects: 1000 / objects)
    monkeypatch.setattr(imbalance_figure, "ratio", lambda objects: 1000 / objects)
    empty = nothing()
    assert {claim.judge(empty).kind for claim in claims.CLAIMS} == {NOT_RUN}
    same = [claim.judge(everything()).kind for claim in claims.CLAIMS]
    assert same.count(NOT_RUN) == 3  # what rests on figure 2 and figure 4
    assert {HOLDS, FAILS} <= set(same)


def test_flawless_agreement_with_the_paper_is_seen():
    scores = {rows.ce(alpha): (ap - 0.1, ap, ap + 0.1) for alpha, (ap, *_) in paper.TABLE_1A.items()}
    scores |= {rows.fl(gamma): (ap - 0.1, ap, ap + 0.1) for (gamma, _), (ap, *_) in paper.TABLE_1B.items()}
    scores[rows.fl_alpha(0.5)] = (33.5, 33.6, 33.7)
    found = made_up({name: scores.get(name, ()) for name in experiments()})
    judged = [claim.judge(found) for claim in claims.CLAIMS if {"1a", "1b"} & set(claim.tables)]
    assert [verdict.kind for verdict in judged] == [HOLDS] * 7
    text = tables.text("1b", found)
    assert "rank correlation of our AP with the paper's: 1.00 over 7 rows" in text
    assert "31.1 ± 0.1" in text


def test_a_claim_that_fails_is_looked_into():
    focal, _, ohem, _ = rows.RIVALS
    scores = {focal: (20.0,) * 3, ohem: (30.0,) * 3, rows.rate(focal, 0.01): (11.0,)}
    scores |= {rows.rate(ohem, 0.01): (12.0,), rows.longer(focal): (41.0,)}
    found = made_up({name: scores.get(name, ()) for name in experiments()})
    (text,) = (text for text in tables.text("1d", found).splitlines() if "A look into why" in text)
    assert f"learning rate 0.01: FL 11.0 (1 seed), {ohem} 12.0 (1 seed)" in text
    assert "0.04" not in text  # not run
    assert "times as many steps" not in text  # one of the two is not run


def test_one_anchor_a_cell_reaches_fewer_objects():
    shares = [imbalance.reached(rows.anchors(*setting)) for setting in ((1, 1), (1, 3), (3, 3))]
    assert 0 < shares[0] < shares[1] < shares[2] <= 1
    last = tables.content("1c", everything()).body[0][-1]
    assert last == f"{shares[0]:.0%}"


@pytest.mark.parametrize("name", tables.NAMES)
def test_a_table_is_printed_with_and_without_runs(name):
    full = everything()
    empty, filled = tables.text(name, nothing()), tables.text(name, full)
    if name != "1e":
        assert f"minidet experiments run {rows.longer(rows.FL) if name == '2' else name}" in empty
        assert "20.0" in filled
        assert "not run yet: minidet" not in filled
    if name in tables.TABLES:
        lines = filled.splitlines()
        assert len({len(line) for line in lines[2 : 3 + len(tables.TABLES[name].rows)]}) == 1
    with pytest.raises(ValueError, match="9z is no table"):
        tables.text("9z", full)


def test_effective_settings_are_those_near_the_focal_loss():
    names = [rows.star(g, b) for g in rows.STAR_GAMMAS for b in rows.STAR_BETAS]
    scores = {rows.FL: (20.0,), **dict.fromkeys(names, (19.6,)), names[0]: (19.4,), names[1]: ()}
    table = evidence.effective(made_up(scores))
    assert list(table.values()) == [False, None, *[True] * (len(names) - 2)]
    assert evidence.star_weight(1, 0) == pytest.approx(np.log1p(np.exp(-2)) / np.log(2))


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / f"{file_name('1b/gamma=2', 0)}.json").write_text("{}")
    with pytest.raises(ValueError, match=r"1b_gamma=2_seed0\.json is no result"):
        load_results(tmp_path)
    assert load_results(tmp_path / "none").runs == []
    assert results.RESULTS.name == "runs"
