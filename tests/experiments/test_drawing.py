"""The figures that show the experiments, and the page with all of them."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minidet
from figures import ablations, figure3, figure4, figure7, minutes, prior, questions, recall, summary
from figures import imbalance as imbalance_figure
from figures import tables as tables_script
from minidet.experiments import claims, imbalance, loss_shares, results, rows, rule, runner, speed, tables, verdicts
from minidet.experiments.conclusion import best_of_each, conclusion, on_photographs
from minidet.experiments.definitions import experiments
from minidet.experiments.results import load_results
from minidet.reference import focal_loss
from tests.experiments.made_up import TINY, everything, nothing

pytestmark = pytest.mark.slow

ROOT = Path(minidet.__file__).parent.parent


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
    monkeypatch.setattr(loss_shares, "experiments", lambda: {loss_shares.DETECTOR: TINY})
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


@pytest.mark.parametrize("name", [rows.crowd(1, "focal"), rows.anchors(1, 1)])
def test_what_is_kept_of_the_imbalance_is_what_is_measured(name):
    assert imbalance.measured(name) == imbalance.inspected(name)


def test_every_imbalance_that_is_shown_is_kept():
    kept = json.loads(imbalance.MEASURED.read_bytes())
    assert set(kept) == {experiments()[name].identity for name in imbalance.NAMES}


def test_imbalance_grows_as_objects_become_fewer():
    ratios = [imbalance.ratio(objects) for objects in rows.OBJECTS]
    assert ratios == sorted(ratios)
    assert ratios[0] > 1
    gains = imbalance.gains(everything())
    assert gains == {objects: pytest.approx([0, 0, 0]) for objects in rows.OBJECTS}


@pytest.mark.parametrize("figure", [ablations, imbalance_figure, prior, figure7], ids=lambda module: module.__name__)
def test_a_figure_of_results_draws_with_and_without_runs(figure, monkeypatch):
    monkeypatch.setattr(imbalance, "ratio", lambda objects: 1000 / objects)
    monkeypatch.setattr(imbalance_figure, "ratio", lambda objects: 1000 / objects)
    texts = [text.get_text() for ax in figure.draw(nothing()).axes for text in [*ax.texts, ax.title]]
    assert any("not run yet" in text for text in texts)
    texts = [text.get_text() for ax in figure.draw(everything()).axes for text in [*ax.texts, ax.title]]
    assert not any("not run yet" in text for text in texts)


def test_figure_4_shows_its_numbers():
    x_t = np.random.default_rng(0).normal(3, 2, 10_000)
    counts = np.histogram(x_t, loss_shares.EDGES)[0]
    figure = figure4.draw({"positive": counts, "negative": counts})
    assert [ax.get_title() for ax in figure.axes[:2]] == ["10,000 positives", "10,000 negatives"]
    assert len(figure.axes[0].get_lines()) == len(loss_shares.GAMMAS)


def test_open_questions_are_shown_with_every_seed_or_how_to_ask_them(monkeypatch):
    monkeypatch.setattr(questions, "inspected", lambda name: SimpleNamespace(imbalance=float(len(name))))
    empty = questions.draw(nothing())
    assert [ax.texts[0].get_text().splitlines()[-1] for ax in empty.axes] == [
        f"minidet experiments run {names}"
        for names in ("background", "plateau", "ohem tuned", "distractors", "cells", "cells")
    ]
    found = everything()
    for run in found.of(rows.plateau(rows.FL)).values():
        run["evaluations"] = [{"iteration": step, "AP": 0.1} for step in (1000, 2000)]
    full = questions.draw(found)
    background, steps, batches, distractors, *cells = full.axes
    assert sum(line.get_marker() == "o" for line in background.lines) == 4 * len(rows.BACKGROUND_SIDES)
    assert sum(list(line.get_xdata()) == [1000, 2000] for line in steps.lines) == 3  # one per seed
    assert sum(line.get_marker() == "o" for line in batches.lines) == 2 * len(rows.MORE_BATCHES)
    assert [len(line.get_xdata()) for line in distractors.lines if line.get_marker() == "o"] == [3] * 9
    assert [len(line.get_xdata()) for ax in cells for line in ax.lines] == [3] * 2 * len(rows.CELL_LOSSES)


def test_minutes_are_those_of_a_core_or_how_to_get_them(monkeypatch):
    monkeypatch.setattr(minutes, "load", lambda path: None)
    told = [[text.get_text() for text in ax.texts] for ax in minutes.draw(nothing()).axes]
    assert told[0] == ["not run yet:\nminidet experiments run plateau 1b 1d 1a"]
    assert told[1] == [
        "milliseconds not measured yet:\npython -m figures.minutes --measure\n\n"
        "not run yet:\nminidet experiments run 1e-small"
    ]
    times = [{"side": side, "milliseconds": side / 10} for side in rows.SIDES]
    where = {"gpu": False, "device": "a processor", "threads": 1, "precision": "float32"}
    monkeypatch.setattr(minutes, "load", lambda path: {**where, "rows": times})
    found = everything()
    for name in (rows.plateau(rows.FL), rows.plateau(rows.classified(rows.FL))):
        for run in found.of(name).values():  # of 36 s and 6 steps
            run["evaluations"] = [{"iteration": step, "AP": step / 20} for step in (3, 6)]
    found.of(rows.plateau(rows.FL))[2]["resumed"] = True
    training, detection = minutes.draw(found).axes
    lines = [line for line in training.lines if list(line.get_xdata()) == [0.3, 0.6]]
    assert [line.get_linestyle() for line in lines] == ["-"] * 2 + ["--"] * 3  # one per seed that was not interrupted
    assert all(list(line.get_ydata()) == pytest.approx([15, 30]) for line in lines)
    finals = [line for line in training.lines if line.get_marker() == "^" and len(line.get_xdata())]
    assert [list(line.get_xdata()) for line in finals] == [[0.6] * 3] * len(questions.CURVES)
    mean, *seeds = detection.lines
    assert list(mean.get_xdata()) == [12.8, 16, 19.2]
    assert [list(line.get_ydata()) for line in seeds] == [pytest.approx([19, 20, 21])] * 3
    assert detection.get_xlabel() == "milliseconds per image (a processor, 1 thread, float32)"


def test_the_small_network_is_timed_on_one_thread():
    import torch

    threads = torch.get_num_threads()
    found = speed.measure_small((64, 96), passes=2)
    assert torch.get_num_threads() == threads
    assert (found["threads"], found["gpu"]) == (1, False)
    assert [(row["side"], row["passes"]) for row in found["rows"]] == [(64, 2), (96, 2)]
    assert all(row["milliseconds"] > 0 for row in found["rows"])


def test_precision_and_recall_are_drawn_where_runs_recorded_them():
    told = [[text.get_text() for text in ax.texts] for ax in recall.draw(nothing()).axes]
    assert all("not run yet:\nminidet experiments run" in texts[0] for texts in told)
    found, name = everything(), rows.plateau(rows.FL)
    for run in found.of(name).values():
        run["metrics_at_0"] = {"AR1": 0.3, "AR10": 0.5, "AR100": 0.6}
        run["metrics"]["AR10"] = 0.4
    found.of(name)[1]["precision_at_recall"] = {"0.5": [1, 0.9, 0.2], "0.75": [1, 0.3, 0]}
    precision, recalls = recall.draw(found).axes
    assert [list(line.get_ydata()) for line in precision.lines] == [[1, 0.9, 0.2], [1, 0.3, 0]]
    solid = [list(line.get_ydata()) for line in recalls.lines if line.get_linestyle() == "-"]
    assert solid == [[pytest.approx(value) for value in (30, 50, 60)]] * 3
    assert [text.get_text() for text in recalls.get_legend().get_texts()] == ["FL, γ = 2"]


def test_a_column_is_the_mean_of_the_same_seeds():
    found = everything()
    first, second = (found.of(name) for name in (rows.FL, rows.fl(0.5)))
    for run in first.values():
        run["metrics_at_0"] = {"AP": 0.5, "AR100": 0.6}
    second[0]["metrics_at_0"] = {"AP": 0.5, "AR100": 0.6}
    table = tables.content("1b", found)
    column = table.header.index("AP, threshold 0")
    names = [row.name for row in tables.TABLES["1b"].rows]
    cells = dict(zip(names, (line[column] for line in table.body), strict=True))
    assert cells[rows.FL] == "50.0"
    assert cells[rows.fl(0.5)] == "–"


def test_figure_7_names_every_curve():
    losses = figure7.draw(nothing()).axes[0]
    named = [name for text in losses.texts for name in text.get_text().split(";  ")]
    settings = {f"{gamma:g}, {beta:g}" for gamma in rows.STAR_GAMMAS for beta in rows.STAR_BETAS}
    assert settings <= set(named)
    assert len(named) == len(settings) + 1  # and a heading


class Page(HTMLParser):
    """Collects what a page refers to, and its open tags."""

    def __init__(self):
        super().__init__()
        self.links, self.stack, self.names, self.anchors = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        self.anchors += [value for name, value in attributes if name == "id"]
        if tag not in ("meta", "img", "br", "input"):
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def test_the_readme_says_what_the_runs_say():
    found = load_results()
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert conclusion(claims.judged(found)) in readme
    assert best_of_each(found) in readme
    assert on_photographs(found) in readme


def test_the_summary_needs_nothing_else_and_holds_everything(monkeypatch):
    monkeypatch.setattr(summary, "FIGURES", summary.FIGURES[:1])
    html = summary.page(everything(), "../runs")
    page = Page()
    page.feed(html)
    assert page.stack == []
    assert page.names.count("img") == 1
    assert page.names.count("table") == len(tables.NAMES)
    assert {link for link in page.links if link.startswith("#")} <= {f"#{name}" for name in page.anchors}
    assert f"#row-{rows.FL}" in page.links
    assert len(set(page.anchors)) == len(page.anchors)
    files = {link for link in page.links if link.startswith("../runs/")}
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in set(page.links) - files)
    assert f"../runs/{results.file_name(rows.FL, 2)}.json" in files
    assert html.count('<input type="radio"') == 2 + len(verdicts.KINDS)
    assert html.count("<circle") == 3 * sum(len(table.rows) for table in tables.TABLES.values())
    assert '<meta name="viewport"' in html
    assert html.count('class="claim ') == len(claims.CLAIMS)
    assert "+1 point of AP" in html
    assert len(html) < 3_000_000


def test_the_tables_are_a_script_too(tmp_path, capsys):
    tables_script.main(["1b"])
    assert capsys.readouterr().out.startswith("Table 1b")
    (path,) = tables_script.main(["--out", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(path)
    text = path.read_text(encoding="utf-8")
    assert all(tables.content(name, everything()).title in text for name in tables.NAMES)


def test_the_page_has_its_rule_where_docstrings_are_removed():
    """As under ``python -OO``."""
    code = "from figures import summary; print(summary.claims.__doc__, summary._rule())"
    command = [sys.executable, "-OO", "-c", code]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.startswith("None <ul><li>")
    assert told.count("<li>") == len(rule.RULE)
