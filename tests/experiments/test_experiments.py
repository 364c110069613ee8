"""The experiments: what is trained, that each is trained once and can be again, and what is made of the results."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from figures import ablations, figure3, figure4, figure7, prior, summary
from figures import imbalance as imbalance_figure
from minidet import cli
from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.experiments import claims, commands, imbalance, loss_shares, results, runner, speed, tables
from minidet.experiments import definitions as experiments
from minidet.experiments import published as paper
from minidet.experiments.claims import FAILS, HOLDS, NOT_RUN, WEAKLY
from minidet.experiments.definitions import Experiment
from minidet.experiments.results import Results, Score, file_name, load_results, recorded, spearman
from minidet.reference import focal_loss

SHAPES = {"source": "shapes", "image_size": [64, 64], "objects": [1, 2], "distractors": [0, 2]}
TINY = Experiment(
    "tiny/run",
    RetinaNetConfig.tiny(
        6, width=8, fpn_channels=8, head_channels=8, head_convs=1, norm="batch",
        anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32)),
    ),
    TrainingConfig(iterations=6, batch_size=2, warmup=2, resize=ResizeConfig(64, 64), log_every=2, checkpoint_every=2),
    {**SHAPES, "images": 8, "seed": 0}, {**SHAPES, "images": 3, "seed": 1},
)  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """All experiments as small as TINY."""
    monkeypatch.setattr(experiments, "BASE", TINY)
    return experiments.experiments()


def outcome(path):
    """What a run must repeat to the last digit."""
    run = json.loads(path.read_bytes())
    return run["metrics"], run["curve"], run["diverged_at"]


# --- what is trained -------------------------------------------------------------------------------------------------


def test_the_tables_of_the_paper_agree_with_each_other_and_with_its_text():
    focal = paper.TABLE_1B[2.0, 0.25]
    assert paper.TABLE_1A[0.75] == paper.TABLE_1B[0.0, 0.75] == paper.TABLE_3["CE", None, None]
    assert focal == paper.TABLE_1C[3, 3] == paper.TABLE_3["FL", 2.0, None]
    best_ce, best_ohem = (max(table.values())[0] for table in (paper.TABLE_1A, paper.TABLE_1D))
    gains = [paper.TABLE_1A[0.75][0] - paper.TABLE_1A[0.5][0], focal[0] - best_ce, paper.TABLE_1D_FOCAL[0] - best_ohem]
    assert gains == pytest.approx([paper.BALANCED_GAIN, paper.FOCAL_GAIN, paper.OHEM_GAP])
    assert paper.TABLE_1A[0.5][0] == paper.CE_WITH_PRIOR
    assert paper.TABLE_2["RetinaNet", "ResNet-101-FPN"][0] == pytest.approx(paper.TABLE_1E[101, 800][0] + 1.3)
    rows = {**paper.TABLE_1A, **paper.TABLE_1B, **paper.TABLE_1C, **paper.TABLE_1D, **paper.TABLE_1E, **paper.TABLE_2}
    for key, (ap, ap50, ap75, *_) in rows.items():
        assert ap50 >= max(ap, ap75) >= 0, key


def test_every_row_of_a_table_is_an_experiment():
    known = experiments.experiments()
    for table in tables.TABLES.values():
        for row in table.rows:
            assert row.name in known
    assert {row.name for row in tables.TABLES["7"].rows} <= set(experiments.select(known, ["7"]))
    assert set(known) >= experiments.FIRST


def test_one_configuration_is_run_under_one_name(tiny):
    first = experiments.canonical(tiny)
    assert first[experiments.fl(0.0)] == experiments.ce(0.75)
    assert first[experiments.anchors(3, 3)] == first[experiments.prior("fl", 0.01)] == experiments.FL
    assert first[experiments.star(1.0, 0.0)] == experiments.ce(0.25)
    assert len({tiny[name].identity for name in set(first.values())}) == len(set(first.values()))


def test_a_configuration_is_known_by_what_the_result_depends_on():
    assert TINY.identity == replace(TINY, name="other", training=replace(TINY.training, seed=5, workers=2)).identity
    assert TINY.changed("a", data={"seed": 3}).identity != TINY.identity
    assert TINY.changed("a", model={"prior": 0.1}).identity != TINY.identity
    a, b = (TINY.changed("x", both={"min_size": size}) for size in (12, 12.0))
    assert a.identity == b.identity


def test_names_are_chosen_by_table_by_pattern_and_by_name(tiny):
    assert experiments.select(tiny, ["1a"]) == [experiments.ce(alpha) for alpha in paper.TABLE_1A]
    assert experiments.FL in experiments.select(tiny, ["1d"])
    assert experiments.select(tiny, ["1d/ohem-*-0.7", "hinge/margin=0.5"])[-1] == "hinge/margin=0.5"
    assert experiments.select(tiny, []) == list(tiny)
    with pytest.raises(ValueError, match=r"9z is no experiment.*1a, 1b"):
        experiments.select(tiny, ["9z"])


def test_another_data_set_changes_the_data_and_the_classes(tiny):
    there = experiments.elsewhere(tiny, {"source": "a"}, {"source": "b"}, 2)
    assert not any(name.startswith("imbalance") for name in there)
    assert {(e.data["source"], e.val["source"], e.model.num_classes) for e in there.values()} == {("a", "b", 2)}


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_run_is_one_file_and_is_not_repeated(tmp_path):
    path = runner.run(TINY, 3, tmp_path / "results", tmp_path / "runs")
    run = json.loads(path.read_bytes())
    assert path.name == "tiny_run_seed3.json"
    assert (run["name"], run["seed"], run["diverged_at"], run["resumed"]) == ("tiny/run", 3, None, False)
    assert 0 <= run["metrics"]["AP"] <= run["metrics"]["AP50"] <= 1
    assert run["curve"]["iteration"] == [2, 4, 6]
    assert min(run["curve"]["classification"]) > 0
    assert {"torch", "numpy", "numba", "python", "minidet"} == set(run["versions"])
    assert run["seconds"] > 0
    assert run["cpu_seconds"] > 0
    assert list((tmp_path / "runs").iterdir()) == []
    assert recorded(run).identity == TINY.identity
    before = path.stat().st_mtime_ns
    assert runner.run(TINY, 3, tmp_path / "results", tmp_path / "runs") == path
    assert path.stat().st_mtime_ns == before
    assert load_results(tmp_path / "results", {TINY.name: TINY}).score(TINY.name).values == (
        100 * run["metrics"]["AP"],
    )


def test_another_configuration_of_the_same_name_is_run_anew(tmp_path):
    path = runner.run(TINY, 0, tmp_path, tmp_path / "runs")
    first = outcome(path)
    runner.run(TINY.changed(TINY.name, training={"learning_rate": 0.1}), 0, tmp_path, tmp_path / "runs")
    assert outcome(path) != first
    assert load_results(tmp_path, {TINY.name: TINY}).score(TINY.name) is None


def test_an_interrupted_run_goes_on_and_ends_as_if_undisturbed(tmp_path, monkeypatch):
    whole = runner.run(TINY, 0, tmp_path / "whole", tmp_path / "runs")
    batch = TrainingData.batch

    def interrupted(self, iteration, rank=0, processes=1):
        if iteration == 5:
            raise KeyboardInterrupt
        return batch(self, iteration, rank, processes)

    monkeypatch.setattr(TrainingData, "batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(TINY, 0, tmp_path / "parts", tmp_path / "runs")
    monkeypatch.setattr(TrainingData, "batch", batch)
    assert not (tmp_path / "parts").exists()
    parts = runner.run(TINY, 0, tmp_path / "parts", tmp_path / "runs", keep=True)
    assert json.loads(parts.read_bytes())["resumed"]
    assert outcome(parts) == outcome(whole)
    kept = {path.name for path in (tmp_path / "runs" / "tiny_run_seed0").iterdir()}
    assert "model.pt" in kept
    assert "checkpoint.pt" not in kept


def test_what_starts_from_a_backbone_trains_it_once_and_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "BACKBONE", replace(TINY, name="backbone"))
    upon = replace(TINY, name="tiny/upon", model=replace(TINY.model, norm="frozen"), backbone="backbone")
    first, second = (runner.run(upon, seed, tmp_path, tmp_path / "runs") for seed in (0, 1))
    weights = tmp_path / "backbone_seed0.npz"
    made = weights.stat().st_mtime_ns
    assert {json.loads(path.read_bytes())["backbone"] for path in (first, second)} == {
        hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    }
    assert {path.name for path in tmp_path.glob("*.json")} == {"backbone_seed0.json", first.name, second.name}
    runner.run(runner.BACKBONE, 0, tmp_path, tmp_path / "runs")
    assert weights.stat().st_mtime_ns == made
    assert json.loads(runner.run(TINY, 0, tmp_path, tmp_path / "runs").read_bytes())["backbone"] is None


def test_a_run_that_diverges_is_a_result(tmp_path):
    wild = TINY.changed("tiny/wild", training={"learning_rate": 1e30, "warmup": 0, "log_every": 1})
    run = json.loads(runner.run(wild, 0, tmp_path, tmp_path / "runs").read_bytes())
    assert 0 < run["diverged_at"] < 6
    assert run["metrics"]["AP"] == 0
    assert run["curve"]["iteration"] == list(range(1, run["diverged_at"] + 1))
    assert load_results(tmp_path, {wild.name: wild}).diverged(wild.name) == 1


def test_another_error_is_no_result(tmp_path):
    with pytest.raises(ValueError, match="num_classes = 2 is too few"):
        runner.run(replace(TINY, model=replace(TINY.model, num_classes=2)), 0, tmp_path / "results", tmp_path / "runs")
    assert not (tmp_path / "results").exists()


def test_two_do_not_run_the_same(tmp_path):
    (tmp_path / "runs").mkdir()
    with (tmp_path / "runs" / "tiny_run_seed0.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert runner.run(TINY, 0, tmp_path, tmp_path / "runs") is None
    assert runner.run(TINY, 0, tmp_path, tmp_path / "runs") is not None


def test_a_pool_runs_what_it_can_and_names_what_failed(tmp_path, capfd):
    lost = TINY.changed("tiny/lost", val={"source": str(tmp_path / "nowhere")})
    jobs = [(lost, 0), (TINY, 0)]
    with pytest.raises(ValueError, match=r"1 of 2 runs failed:\ntiny/lost, seed 0: .*nowhere.* does not exist"):
        runner.run_all(jobs, tmp_path / "results", tmp_path / "runs")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["tiny_run_seed0.json"]
    assert "tiny/run, seed 0: AP " in capfd.readouterr().err


def test_no_run_begins_when_the_time_is_up(tmp_path, capfd):
    runner.run_all([(TINY, 0)], tmp_path / "results", tmp_path / "runs", minutes=1e-9)
    assert list((tmp_path / "results").iterdir()) == []
    assert "1 of 1 runs were not begun" in capfd.readouterr().err
    for name in ("minutes", "processes"):
        with pytest.raises(ValueError, match=f"{name} = 0"):
            runner.run_all([(TINY, 0)], tmp_path, tmp_path, **{name: 0})


# --- what is made of the results -------------------------------------------------------------------------------------


def made_up(scores, diverged=()):
    """Results with these APs, in percent, one a seed, for experiments by name."""
    known = {name: TINY.changed(name, data={"seed": i}) for i, name in enumerate(scores)}
    by_identity = {
        known[name].identity: {
            seed: {
                "name": name, "seed": seed, "diverged_at": 7 if name in diverged else None, "seconds": 36.0,
                "cpu_seconds": 36.0, "device": "a processor", "precision": "float32", "commit": "0123456789",
                "metrics": dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), value / 100),
                "curve": {"iteration": [1, 2], "classification": [2.0, 1.0], "box": [1.0, 0.5]},
            }
            for seed, value in enumerate(values)
        }
        for name, values in scores.items() if values
    }  # fmt: skip
    runs = [run for runs in by_identity.values() for run in runs.values()]
    return Results(known, runs, by_identity)


def everything(value=20.0):
    """Made-up results for every experiment, three seeds each."""
    return made_up(dict.fromkeys(experiments.experiments(), (value - 1, value, value + 1)))


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
    assert claims.better(made_up({"a": a, "b": b}), "a", "b").kind == kind


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
    assert claims.about_as_good(made_up({"a": a, "b": b}), "a", "b", above=above).kind == kind


@pytest.mark.parametrize(
    ("a", "kind"), [((0, 0, 1), HOLDS), ((0, 20, 20), WEAKLY), ((0,), WEAKLY), ((20, 20, 20), FAILS), ((), NOT_RUN)]
)
def test_the_rule_for_failing(a, kind):
    assert claims.fails(made_up({"a": a, "works": (30, 30, 30)}), "a", "works").kind == kind


def test_a_claim_of_parts_is_as_good_as_its_worst_one():
    parts = [claims.Verdict(HOLDS, "x"), claims.Verdict(FAILS, "y"), claims.Verdict(WEAKLY, "z")]
    assert claims.every(parts) == claims.Verdict(FAILS, "x; y; z")
    lacking = claims.every([parts[0], claims.Verdict(NOT_RUN, "", ("b",)), claims.Verdict(NOT_RUN, "", ("b", "c"))])
    assert (lacking.kind, lacking.missing) == (NOT_RUN, ("b", "c"))


def test_every_claim_can_be_judged(monkeypatch):
    monkeypatch.setattr(speed, "load", lambda: None)
    monkeypatch.setattr(loss_shares, "load", lambda: None)
    monkeypatch.setattr(imbalance, "ratio", lambda objects: 1000 / objects)
    monkeypatch.setattr(imbalance_figure, "ratio", lambda objects: 1000 / objects)
    nothing = made_up(dict.fromkeys(experiments.experiments(), ()))
    assert {claim.judge(nothing).kind for claim in claims.CLAIMS} == {NOT_RUN}
    same = [claim.judge(everything()).kind for claim in claims.CLAIMS]
    assert same.count(NOT_RUN) == 3  # what rests on figure 2 and figure 4
    assert {HOLDS, FAILS} <= set(same)


def test_flawless_agreement_with_the_paper_is_seen():
    scores = {experiments.ce(alpha): (ap - 0.1, ap, ap + 0.1) for alpha, (ap, *_) in paper.TABLE_1A.items()}
    scores |= {experiments.fl(gamma): (ap - 0.1, ap, ap + 0.1) for (gamma, _), (ap, *_) in paper.TABLE_1B.items()}
    scores[f"{experiments.FL},alpha=0.5"] = (33.5, 33.6, 33.7)
    found = made_up({name: scores.get(name, ()) for name in experiments.experiments()})
    judged = [claim.judge(found) for claim in claims.CLAIMS if {"1a", "1b"} & set(claim.tables)]
    assert [verdict.kind for verdict in judged] == [HOLDS] * 7
    text = tables.text("1b", found)
    assert "rank correlation of our AP with the paper's: 1.00 over 7 rows" in text
    assert "31.1 ± 0.1" in text


def test_a_claim_that_fails_is_looked_into():
    focal, _, ohem, _ = experiments.RIVALS
    scores = {focal: (20.0,) * 3, ohem: (30.0,) * 3, experiments.rate(focal, 0.01): (11.0,)}
    scores |= {experiments.rate(ohem, 0.01): (12.0,), experiments.longer(focal): (41.0,)}
    found = made_up({name: scores.get(name, ()) for name in experiments.experiments()})
    (text,) = (text for text in tables.text("1d", found).splitlines() if "A look into why" in text)
    assert f"learning rate 0.01: FL 11.0 (1 seed), {ohem} 12.0 (1 seed)" in text
    assert "0.04" not in text  # not run
    assert "times as many steps" not in text  # one of the two is not run


def test_one_anchor_a_cell_reaches_fewer_objects():
    shares = [imbalance.reached(experiments.anchors(*setting)) for setting in ((1, 1), (1, 3), (3, 3))]
    assert 0 < shares[0] < shares[1] < shares[2] <= 1
    last = tables.content("1c", everything())[2][0][-1]
    assert last == f"{shares[0]:.0%}"


@pytest.mark.parametrize("name", tables.NAMES)
def test_a_table_is_printed_with_and_without_runs(name):
    nothing, full = made_up(dict.fromkeys(experiments.experiments(), ())), everything()
    empty, filled = tables.text(name, nothing), tables.text(name, full)
    if name != "1e":
        assert f"minidet experiments run {experiments.CONVERGED if name == '2' else name}" in empty
        assert "20.0" in filled
        assert "not run yet: minidet" not in filled
    if name in tables.TABLES:
        lines = filled.splitlines()
        assert len({len(line) for line in lines[2 : 3 + len(tables.TABLES[name].rows)]}) == 1
    with pytest.raises(ValueError, match="9z is no table"):
        tables.text("9z", full)


def test_effective_settings_are_those_near_the_focal_loss():
    names = [experiments.star(g, b) for g in experiments.STAR_GAMMAS for b in experiments.STAR_BETAS]
    scores = {experiments.FL: (20.0,), **dict.fromkeys(names, (19.6,)), names[0]: (19.4,), names[1]: ()}
    table = claims.effective(made_up(scores))
    assert list(table.values()) == [False, None, *[True] * (len(names) - 2)]
    assert claims.star_weight(1, 0) == pytest.approx(np.log1p(np.exp(-2)) / np.log(2))


# --- the figures -----------------------------------------------------------------------------------------------------


def test_the_share_of_the_loss_is_that_of_the_examples_themselves():
    x_t = np.random.default_rng(0).normal(2, 2, 50_000)
    counts = np.histogram(x_t, loss_shares.EDGES)[0]
    for gamma in loss_shares.GAMMAS:
        loss = np.sort(focal_loss(x_t, np.ones(x_t.shape), gamma, None))
        exact = loss[-10_000:].sum() / loss.sum()
        assert loss_shares.hardest(counts, gamma, 0.2) == pytest.approx(exact, abs=1e-3)
        carried = np.cumsum(loss[::-1]) / loss.sum()
        part = (np.searchsorted(carried, 0.9) + 1) / len(loss)
        assert loss_shares.carriers(counts, gamma, 0.9) == pytest.approx(part, abs=1e-3)
        examples, share = loss_shares.curve(counts, gamma)
        assert examples[-1] == share[-1] == 1
        assert (np.diff(share) >= 0).all()


def test_logits_are_counted_image_by_image(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "BASE", TINY)
    runner.run(TINY, 0, tmp_path / "results", tmp_path / "runs", keep=True)
    found = loss_shares.measure(tmp_path / "runs" / "tiny_run_seed0", images=4)
    grids = TINY.model.anchors.grids((64, 64))
    sigmoids = 6 * 9 * sum(grid.rows * grid.columns for grid in grids)
    assert found["images"] == 4
    assert 0 < found["positive"].sum() < 4 * sigmoids / 6
    assert 0.5 * 4 * sigmoids < found["negative"].sum() <= 4 * sigmoids - 6 * found["positive"].sum()
    few = loss_shares.measure(tmp_path / "runs" / "tiny_run_seed0", images=4, negatives=1, positives=1)
    assert few["images"] < 4


def test_figure_3_shows_what_a_forward_pass_makes():
    seen = figure3.shapes(128)
    assert seen["C5"] == (2048, 4, 4)
    assert [seen[f"P{level}"] for level in (3, 7)] == [(256, 16, 16), (256, 1, 1)]
    assert (seen["class3"], seen["box7"]) == ((720, 16, 16), (36, 1, 1))
    assert seen["anchors"] == (9 * (16**2 + 8**2 + 4**2 + 2**2 + 1),)


def test_imbalance_is_measured_and_grows_as_objects_become_fewer():
    ratios = [imbalance.ratio(objects) for objects in experiments.OBJECTS]
    assert ratios == sorted(ratios)
    assert ratios[0] > 1
    points = imbalance.advantages(everything())
    assert [(point.gain, point.seeds) for point in points] == [(0, 3)] * len(experiments.OBJECTS)


@pytest.mark.parametrize("figure", [ablations, imbalance_figure, prior, figure7], ids=lambda module: module.__name__)
def test_a_figure_of_results_draws_with_and_without_runs(figure, monkeypatch):
    monkeypatch.setattr(imbalance, "ratio", lambda objects: 1000 / objects)
    monkeypatch.setattr(imbalance_figure, "ratio", lambda objects: 1000 / objects)
    nothing = made_up(dict.fromkeys(experiments.experiments(), ()))
    texts = [text.get_text() for ax in figure.draw(nothing).axes for text in [*ax.texts, ax.title]]
    assert any("not run yet" in text for text in texts)
    texts = [text.get_text() for ax in figure.draw(everything()).axes for text in [*ax.texts, ax.title]]
    assert not any("not run yet" in text for text in texts)


def test_figure_4_shows_its_numbers():
    x_t = np.random.default_rng(0).normal(3, 2, 10_000)
    counts = np.histogram(x_t, loss_shares.EDGES)[0]
    figure = figure4.draw({"positive": counts, "negative": counts})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["10,000 positives", "10,000 negatives"]
    assert len(figure.axes[0].get_lines()) == len(loss_shares.GAMMAS)


class Page(HTMLParser):
    """Collects what a page refers to, and its open tags."""

    def __init__(self):
        super().__init__()
        self.links, self.stack, self.names = [], [], []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_the_summary_needs_nothing_else_and_holds_everything(monkeypatch):
    monkeypatch.setattr(summary, "FIGURES", summary.FIGURES[:1])
    html = summary.page(everything())
    page = Page()
    page.feed(html)
    assert page.stack == []
    assert page.names.count("img") == 1
    assert page.names.count("table") == len(tables.NAMES)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert '<meta name="viewport"' in html
    assert html.count('class="claim ') == len(claims.CLAIMS)
    assert "within 1 point of AP" in html
    assert len(html) < 3_000_000


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_lists_runs_and_prints_tables(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "RESULTS", tmp_path / "results")
    runs = ["--runs", str(tmp_path / "runs")]
    assert cli.main(["experiments", "run", "1b", "--dry-run", "--seeds", "2", *runs]) == 0
    planned = capsys.readouterr().out.splitlines()
    assert planned[0] == "18 runs to do, 0 are done"
    assert planned[1:4] == ["1a/alpha=0.75, seed 0", "1b/gamma=0.5, seed 0", "1b/gamma=1, seed 0"]
    assert planned[-1].endswith("seed 1")
    runner.run(tiny[experiments.FL], 0, tmp_path / "results", tmp_path / "runs")
    assert cli.main(["experiments", "run", "1b/gamma=2", "1c/scales=3,ratios=3", "--seeds", "1", *runs]) == 0
    assert capsys.readouterr().out == "0 runs to do, 1 are done\n"
    arguments = ["--results", str(tmp_path / "results")]
    assert cli.main(["experiments", "list", "1c", *arguments]) == 0
    told = capsys.readouterr().out
    assert "1c/scales=4,ratios=3  1  not run" in told
    assert "seeds 0  = 1b/gamma=2" in told
    assert "1 runs" in told
    assert cli.main(["experiments", "table", "1b", *arguments]) == 0
    assert "1 only" in capsys.readouterr().out
    assert cli.main(["experiments", "list", "9z"]) == 1
    assert "9z is no experiment" in capsys.readouterr().err


def test_a_run_again_is_compared_with_the_committed_ones():
    before = made_up({"a": (20, 21, 22), "b": (20,)})
    again = {"metrics": {"AP": 0.2105}}
    assert commands.compared(before, "a", 1, again) == (
        "AP 21.05; committed 21.00; within the spread of 3 seeds, 21.00 ± 3 × 1.00"
    )
    assert "OUTSIDE" in commands.compared(before, "a", 7, {"metrics": {"AP": 0.3}})
    assert "the spread is unknown" in commands.compared(before, "b", 0, again)


def test_other_settings_do_not_get_into_the_committed_results(tiny, capsys):
    assert cli.main(["experiments", "run", "1b", "--set", "training.iterations=5"]) == 1
    assert "give --out" in capsys.readouterr().err


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / f"{file_name('1b/gamma=2', 0)}.json").write_text("{}")
    with pytest.raises(ValueError, match=r"1b_gamma=2_seed0\.json is no result"):
        load_results(tmp_path)
    assert load_results(tmp_path / "none").runs == []
    assert results.RESULTS.name == "runs"
