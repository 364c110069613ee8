"""The command `minidet experiments`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import torch

from minidet import cli
from minidet.experiments import definitions, results, rows, runner
from minidet.experiments.definitions import experiments
from minidet.experiments.repeat import AGAIN, compared, repeated
from minidet.experiments.results import load_results
from tests.experiments.made_up import TINY, made_up

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tiny(monkeypatch):
    """All experiments as small as TINY."""
    monkeypatch.setattr(definitions, "_usual", lambda: experiments(TINY))
    return experiments()


@pytest.mark.slow
def test_the_command_lists_runs_and_prints_tables(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    runs = ["--runs", str(tmp_path / "runs")]
    assert cli.main(["experiments", "run", "1b", "--dry-run", "--seeds", "2", *runs]) == 0
    planned = capsys.readouterr().out.splitlines()
    assert planned[0] == "18 runs to do, 0 are done"
    assert planned[1:4] == ["1a/alpha=0.75, seed 0", "1b/gamma=0.5, seed 0", "1b/gamma=1, seed 0"]
    assert planned[-1].endswith("seed 1")
    runner.run(tiny[rows.FL], 0, tmp_path / "results", tmp_path / "runs")
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
    same = before.of("a")[1]
    assert compared(before, "a", 1, {**same, "seconds": 1.0}).startswith("AP 21.00, identical: every metric")
    other = {**same, "metrics": {**same["metrics"], "AP": 0.2105}, "threads": 2}
    told = "AP 21.05, not identical: the committed run has 21.00 (other threads); within 21.00 ± 4.97"
    assert compared(before, "a", 1, other).startswith(told)  # 4.303 * sqrt(1 + 1 / 3)
    assert "not identical" in compared(before, "a", 1, {**same, "curve": {}})
    assert "OUTSIDE" in compared(before, "a", 7, {**same, "metrics": {"AP": 0.3}})
    assert "the spread is unknown" in compared(before, "b", 5, same)


def test_runs_that_were_repeated_are_identical():
    """The committed ones; they are listed by what was run, and a changed number would be told."""
    found = load_results()
    told = repeated(found)
    assert len(told) == len(list(AGAIN.glob("*.json"))) >= 4
    assert all(told.values()), told
    name, seed = next(iter(told))
    found.of(name)[seed]["metrics"] = {"AP": 0.0}
    assert repeated(found)[name, seed] is False


@pytest.mark.slow
def test_the_recorded_command_repeats_a_run_exactly(tmp_path, monkeypatch, capsys):
    """As far as a second goes; it says so itself."""
    monkeypatch.setattr(definitions, "experiments", lambda: {TINY.name: TINY})
    monkeypatch.setattr(results, "experiments", lambda: {TINY.name: TINY})
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    path = runner.run(TINY, 2, tmp_path / "results", tmp_path / "runs")
    torch.set_num_threads(threads)
    program, *words = shlex.split(json.loads(path.read_bytes())["command"])
    assert (program, words[-2:]) == ("minidet", ["--threads", "1"])
    assert cli.main([*words, "--out", str(tmp_path / "again"), "--runs", str(tmp_path / "runs")]) == 0
    assert "tiny/run, seed 2: AP " in (told := capsys.readouterr().out)
    assert ", identical: every metric" in told


def test_a_dry_run_of_a_run_again_trains_nothing(tmp_path, capsys):
    words = [
        "experiments",
        "run",
        "1b/gamma=2",
        "--again",
        "--seed",
        "1",
        "--dry-run",
        "--out",
        str(tmp_path / "again"),
    ]
    assert cli.main(words) == 0
    assert capsys.readouterr().out == "1 runs to do\n1b/gamma=2, seed 1\n"
    assert not list(tmp_path.iterdir())


def test_other_settings_do_not_get_into_the_committed_results(tiny, capsys):
    assert cli.main(["experiments", "run", "1b", "--set", "training.iterations=5"]) == 1
    assert "give --results" in capsys.readouterr().err


def test_photographs_that_are_not_there_are_asked_for_before_anything_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["experiments", "run", "cells", "--seeds", "1", "--results", "results", "--runs", "runs"]
    assert cli.main(words) == 1
    assert "needs the folder BCCD here: git clone https://" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_losses_are_compared_on_the_photographs_of_a_folder(tmp_path, monkeypatch):
    """On the eight that are in the project, for three steps."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "BCCD").symlink_to(ROOT / "chapters" / "data" / "bccd")
    known = {name: experiment.changed(name, training={"iterations": 3, "warmup": 1})
             for name, experiment in experiments().items() if name.startswith("cells/start=random")}  # fmt: skip
    for name in ("cells/start=random,loss=focal", "cells/start=random,loss=ohem"):
        run = json.loads(runner.run(known[name], 0, tmp_path / "results", tmp_path / "runs").read_bytes())
        assert run["config"]["data"] == {"source": "BCCD", "split": "train"}
        assert run["backbone"] is None
        assert run["diverged_at"] is None
        assert 0 <= run["metrics"]["AP"] <= 1
