"""What is made of the results: scores, verdicts, tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from minidet.experiments import (
    claims,
    evidence,
    imbalance,
    loss_shares,
    measurements,
    results,
    rows,
    speed,
    tables,
    verdicts,
)
from minidet.experiments import published as paper
from minidet.experiments.definitions import experiments
from minidet.experiments.differences import difference
from minidet.experiments.results import Score, spearman
from minidet.experiments.verdicts import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, Finding, every, several
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


def alone(finding):
    """The verdict if there were no other claim."""
    return verdicts.decided([finding])[0].kind


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ((30, 31, 33), (20, 22, 22), SUPPORTED),  # the gains by seed are 10, 9, 11
        ((30, 31, 32), (29, 30, 33), UNDECIDED),  # the gains by seed are 1, 1, -1
        ((30, 31), (20, 21.1, 22), SUPPORTED),  # Welch
        ((24,), (20, 21, 22), UNDECIDED),  # 3 ± 1.15, 2 degrees of freedom
        ((35,), (20, 21, 22), SUPPORTED),
        ((30,), (20,), UNDECIDED),
        ((20, 22, 22), (30, 31, 33), CONTRADICTED),
        ((), (20, 21, 22), NOT_TESTABLE),
    ],
)
def test_the_rule_for_better(a, b, kind):
    assert alone(verdicts.better(made_up({"a": a, "b": b}), "a", "b")) == kind


@pytest.mark.parametrize(
    ("a", "b", "above", "kind"),
    [
        ((30, 31, 32), (30.1, 31, 32.1), 1, SUPPORTED),
        ((30, 31, 32), (31, 31.5, 30), 1, UNDECIDED),  # the means differ by 0.17, but that says little
        ((30, 31, 33), (40, 41, 42), 1, CONTRADICTED),
        ((40, 41, 42), (30, 31, 33), 1, CONTRADICTED),
        ((40, 41, 42), (30, 31, 33), math.inf, SUPPORTED),
        ((30,), (30,), 1, UNDECIDED),
    ],
)
def test_the_rule_for_about_as_good(a, b, above, kind):
    assert alone(verdicts.about_as_good(made_up({"a": a, "b": b}), "a", "b", above=above)) == kind


@pytest.mark.parametrize(
    ("a", "kind"),
    [((0, 0.1, 0.2), SUPPORTED), ((0, 20, 20), UNDECIDED), ((0,), SUPPORTED), ((20, 21, 20), CONTRADICTED),
     ((), NOT_TESTABLE)],
)  # fmt: skip
def test_the_rule_for_failing(a, kind):
    assert alone(verdicts.fails(made_up({"a": a, "works": (30, 31, 30)}), "a", "works")) == kind


def test_nothing_is_compared_with_a_setting_that_does_not_work():
    found = made_up({rows.FL: (20, 21, 22), "dead": (0, 0, 0), "alive": (9, 9, 10)})
    for finding in (verdicts.better(found, "alive", "dead"), verdicts.about_as_good(found, "alive", "dead")):
        assert alone(finding) == NOT_TESTABLE
        assert "dead 0.0 ± 0.0 (3) does not work" in finding.numbers


def test_a_claim_of_parts_needs_all_of_them():
    yes, no, unknown = Finding("x", 0.001, 1), Finding("y", 1, 0.001), Finding("z", 0.4, 0.6)
    assert alone(verdicts.every([yes, yes])) == SUPPORTED
    assert alone(verdicts.every([yes, no, unknown])) == CONTRADICTED
    assert alone(verdicts.every([yes, unknown])) == UNDECIDED
    assert verdicts.every([yes, no]).against == 0.002  # either of the two could have come out so by chance
    assert verdicts.every([yes, no]).numbers == "x; y"
    lacking = verdicts.every([yes, verdicts.missing("b"), verdicts.missing("b", "c")])
    assert (alone(lacking), lacking.missing) == (NOT_TESTABLE, ("b", "c"))


def test_many_claims_are_harder_to_support_than_one():
    clear, chance = Finding("", 0.004), Finding("", 0.04)
    kinds = [verdict.kind for verdict in verdicts.decided([clear, *[chance] * 9])]
    assert kinds == [SUPPORTED, *[UNDECIDED] * 9]
    assert [verdict.kind for verdict in verdicts.decided([chance])] == [SUPPORTED]
    told = verdicts.decided([Finding("a time", settled=SUPPORTED), *[chance] * 2])
    assert told[0].probability is None
    assert [verdict.probability for verdict in told[1:]] == [0.08, 0.08]


def test_equal_settings_are_rarely_called_different():
    """Among 4,000 pairs of settings without a difference, 3 seeds each, about 5 % may be called different."""
    runs = np.random.default_rng(0).normal(20, 1.5, (4000, 2, 3))
    for paired in (True, False):
        wrong = sum(2 * min(gain.above(0), gain.below(0)) < 0.05
                    for gain in (difference(a, b, paired) for a, b in runs))  # fmt: skip
        assert wrong / len(runs) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(runs))
        assert paired is False or wrong / len(runs) > 0.05 - 3 * math.sqrt(0.05 * 0.95 / len(runs))


def test_a_difference_is_that_of_the_textbook():
    """Student's sleep data (1908): ten patients, two drugs; paired t = -4.0621, p = .002833; Welch t = -1.8608,
    17.776 degrees of freedom, p = .07939."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    paired, welch = difference(first, second, True), difference(first, second, False)
    assert paired.gain / paired.error == pytest.approx(-4.0621, abs=5e-5)
    assert 2 * paired.below(0) == pytest.approx(0.002833, abs=5e-7)
    assert (welch.gain / welch.error, welch.degrees) == (
        pytest.approx(-1.8608, abs=5e-5),
        pytest.approx(17.776, abs=5e-4),
    )
    assert 2 * welch.below(0) == pytest.approx(0.07939, abs=5e-6)
    assert str(paired) == "-1.6 [-2.5, -0.7]"


def kinds(found):
    """The verdicts on all claims that runs are about, by text."""
    return {claim.text: verdict.kind for claim, verdict in claims.judged(found)[: len(claims.TESTED)]}


def test_every_claim_can_be_judged(monkeypatch):
    monkeypatch.setattr(speed, "load", lambda: None)
    monkeypatch.setattr(loss_shares, "load", lambda: None)
    monkeypatch.setattr(imbalance, "reached", lambda name: 0.5)
    assert [kind for kind in kinds(nothing()).values() if kind != NOT_TESTABLE] == [SUPPORTED] * 3  # arithmetic
    same = list(kinds(everything()).values())
    assert same.count(NOT_TESTABLE) == 6  # what rests on figures 2 and 4, and the imbalance
    assert {SUPPORTED, CONTRADICTED, UNDECIDED} <= set(same)
    for claim, verdict in claims.judged(everything())[len(claims.TESTED) :]:
        assert verdict.kind == NOT_TESTABLE, claim.text
        assert verdict.numbers


def test_each_of_the_52_claims_of_the_paper_has_a_row():
    numbers = {number for claim in claims.CLAIMS for number in claim.numbers}
    assert numbers == set(range(1, 53))
    assert {claim.section for claim in claims.CLAIMS if not claim.numbers} == {
        "section 3.3, our reading", "section 1, our figure"
    }  # fmt: skip


def test_of_several_parts_as_many_as_wanted_must_be_true():
    """With p-values of their own, the third of five decides, times the three from there on."""
    pairs = ((0.001, 1.0), (0.2, 0.5), (0.01, 1.0), (0.3, 0.001), (0.002, 1.0))
    parts = [Finding(str(support), support=support, against=against) for support, against in pairs]
    found = several(parts, 3)
    assert (found.support, found.against) == (pytest.approx(3 * 0.01), 1.0)
    assert several(parts, 5).support == every(parts).support
    assert several(parts, 5).against == every(parts).against
    assert several([*parts, Finding("none", settled=NOT_TESTABLE)], 3).settled == NOT_TESTABLE


def test_more_background_is_judged_by_the_slope_of_each_seed():
    gain = {side: 2 * np.log2(side / 96) for side in rows.BACKGROUND_SIDES}  # one point per doubling of the area
    scores = {rows.background(side, "focal"): [10 + gain[side] + noise for noise in (0, 0.01, -0.01)] for side in gain}
    scores |= {rows.background(side, loss): (10.0, 10.0, 10.0) for side in gain for loss in ("ce", "balanced")}
    found = measurements.more_background(made_up(scores))
    assert "+1.0 [+1.0, +1.0] points per doubling" in found.numbers
    assert alone(found) == SUPPORTED
    assert measurements.more_background(nothing()).settled == NOT_TESTABLE


def test_the_loss_of_easy_negatives_is_that_of_the_images_themselves():
    """Ten negatives per positive, nine of them easy: p_t = .9 and .1 of cross entropy's logarithms."""
    counts = {name: np.zeros(len(loss_shares.EDGES) - 1, np.int64) for name in ("negative", "positive")}
    easy, hard = np.searchsorted(loss_shares.EDGES, [np.log(9), -np.log(9)]) - 1
    counts["negative"][[easy, hard]] = 9, 1
    counts["positive"][hard] = 77  # however many are counted
    wanted = 9 * np.log(0.9) / np.log(0.1)
    assert loss_shares.easy(counts, 0.6, 0.0, ratio=10) == pytest.approx(wanted, rel=0.01)  # half a bin is 0.005
    assert loss_shares.easy(counts, 0.6, 2.0, ratio=10) == pytest.approx(wanted / 81, rel=0.02)


def test_flawless_agreement_with_the_paper_is_seen():
    def near(ap, shift):
        return tuple(ap + noise for noise in (-0.1 + shift, 0.0, 0.1, 0.05))

    scores = {rows.ce(alpha): near(row.ap, 0.01) for alpha, row in paper.TABLE_1A.items()}
    scores |= {rows.fl(gamma): near(row.ap, 0.02) for (gamma, _), row in paper.TABLE_1B.items()}
    scores |= {rows.fl_alpha(0.5): near(33.6, 0), rows.fl_alpha(0.75): near(32, 0)}
    found = made_up({name: scores.get(name, ()) for name in experiments()})
    tables_1 = {claim.text for claim in claims.TESTED if {"1a", "1b"} & set(claim.tables)}
    assert {text: kind for text, kind in kinds(found).items() if text in tables_1} == dict.fromkeys(tables_1, SUPPORTED)
    text = tables.text("1b", found)
    assert "rank correlation of our AP with the paper's: 1.00 over 7 rows" in text
    assert "31.1 ± 0.1" in text


def test_the_claim_of_figure_7_is_about_every_loss_that_reduces_easy_examples():
    """One that does and is not effective contradicts it; one that does not reduce them says nothing."""
    light = [name for name in evidence.STARS if evidence.star_weight(*setting_of(name)) < evidence.star_weight(1, 0)]
    heavy = [name for name in evidence.STARS if name not in light]
    assert len(light) == 10
    scores = {rows.FL: (20, 21, 22), **dict.fromkeys(light, (20, 21, 22)), **dict.fromkeys(heavy, (10, 11, 12))}
    assert alone(evidence.lighter_is_effective(made_up(scores))) == SUPPORTED
    scores[light[3]] = (10, 11, 12)
    assert alone(evidence.lighter_is_effective(made_up(scores))) == CONTRADICTED


def setting_of(name):
    """(gamma, beta) of an experiment with FL*."""
    return tuple(float(part.partition("=")[2]) for part in name.partition("/")[2].split(","))


def test_ohem_with_a_ratio_fills_neither_of_two_batches():
    """What the note under Table 1d says: the two rows are one training."""
    found = results.load_results()
    middle, large = (found.of(rows.ohem("ohem_1_3", batch, 0.5))[0] for batch in (256, 512))
    assert middle["config"] != large["config"]
    assert (middle["metrics"], middle["curve"]) == (large["metrics"], large["curve"])


def test_a_rank_correlation_says_what_it_shows():
    table = tables.TABLES["1a"].rows
    theirs = [row.published[0] for row in table]

    def told(aps, rows_of_it=table):
        return tables.correlation(rows_of_it, made_up({row.name: (ap,) for row, ap in zip(table, aps, strict=True)}))

    assert told(theirs).endswith(" 1.00 over 7 rows (p = 0)")
    assert told([50 - ap for ap in theirs]).endswith(
        "-1.00 over 7 rows (p = 0), so that the paper's order is not seen here"
    )
    assert told([10, 11, 12, 10, 11, 12, 10]).endswith("so that the paper's order is not seen here")
    assert told([10] * 7) == told(theirs, table[:6]) == ""


def test_a_claim_is_looked_into():
    scores = {rows.FL: (20.0, 21.0, 22.0), rows.RIVALS.ohem: (30.0, 31.0, 33.0), rows.rate(rows.FL, 0.01): (11.0,)}
    scores |= {rows.rate(rows.RIVALS.ohem, 0.01): (12.0,), rows.longer(rows.FL): (41.0,)}
    found = made_up({name: scores.get(name, ()) for name in experiments()})
    told = evidence.otherwise(found, rows.RIVALS.ohem, evidence.OHEM)
    assert f"at the learning rate 0.01: FL 11.0 (1 seed), {rows.RIVALS.ohem} 12.0 (1 seed)" in told
    assert "0.04" not in told  # not run
    assert "times as many steps" not in told  # one of the two is not run
    assert f"AR100: FL 21.0 ± 1.0 (3), {rows.RIVALS.ohem} 31.3" in told


@pytest.mark.slow
def test_one_anchor_a_cell_reaches_fewer_objects():
    shares = [imbalance.reached(rows.anchors(*setting)) for setting in ((1, 1), (1, 3), (3, 3))]
    assert 0 < shares[0] < shares[1] < shares[2] <= 1
    last = tables.content("1c", everything()).body[0][-1]
    assert last == f"{shares[0]:.0%}"


@pytest.mark.slow
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
