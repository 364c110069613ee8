"""Running: each experiment once, on from where it was interrupted, several at a time, never twice at a time."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import minidet
from minidet.data.batches import TrainingData
from minidet.experiments import backbones, classifier, lock, pool, runner
from minidet.experiments.circumstances import commit
from minidet.experiments.results import RESULTS, load_results, recorded
from minidet.experiments.setting import BACKBONE, CLASSIFIER
from tests.experiments.made_up import TINY, outcome

pytestmark = pytest.mark.slow


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
    small = replace(TINY, name="backbone")
    for module in (runner, backbones):
        monkeypatch.setattr(module, "BACKBONE", small)
    upon = replace(TINY, name="tiny/upon", model=replace(TINY.model, norm="frozen"), backbone="backbone")
    first, second = (runner.run(upon, seed, tmp_path, tmp_path / "runs") for seed in (0, 1))
    weights = tmp_path / "backbone_seed0.npz"
    made = weights.stat().st_mtime_ns
    with np.load(weights, allow_pickle=False) as arrays:
        known = backbones.fingerprint({name: arrays[name] for name in arrays.files})
        other = backbones.fingerprint({name: arrays[name] + (name == "bn1.bias") for name in arrays.files})
    assert {json.loads(path.read_bytes())["backbone"] for path in (first, second)} == {known}
    assert other != known
    assert {path.name for path in tmp_path.glob("*.json")} == {"backbone_seed0.json", first.name, second.name}
    runner.run(small, 0, tmp_path, tmp_path / "runs")
    assert weights.stat().st_mtime_ns == made
    assert json.loads(runner.run(TINY, 0, tmp_path, tmp_path / "runs").read_bytes())["backbone"] is None


def test_every_seed_has_a_classifier_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 2)
    monkeypatch.setattr(classifier, "BATCH", 4)
    monkeypatch.setattr(classifier, "UNSEEN", {**classifier.UNSEEN, "images": 8})
    upon = replace(TINY, name="tiny/upon", model=replace(TINY.model, norm="frozen"), backbone=CLASSIFIER)
    paths = [runner.run(upon, seed, tmp_path, tmp_path / "runs") for seed in (0, 1)]
    assert len({json.loads(path.read_bytes())["backbone"] for path in paths}) == 2
    assert load_results(tmp_path, {upon.name: upon}).score(upon.name).n == 2  # which is no mixing
    told = [json.loads(path.read_bytes()) for path in sorted((tmp_path / "classifiers").glob("*.json"))]
    assert [content["seed"] for content in told] == [0, 1]
    assert all(0 <= content["accuracy"] <= 1 for content in told)
    assert classifier.trained(upon.model, 0, tmp_path).stat().st_mtime < paths[0].stat().st_mtime


def test_the_classifiers_tell_shapes_apart():
    """Those that committed runs began with; one in six would be chance."""
    told = [json.loads(path.read_bytes()) for path in (RESULTS / "classifiers").glob("*.json")]
    used = [run["seed"] for run in load_results().used if run["config"]["backbone"] == CLASSIFIER]
    assert {content["seed"] for content in told} == set(used) != set()
    assert min(content["accuracy"] for content in told) > 0.7


def test_a_run_records_every_score_and_what_was_measured_on_the_way(tmp_path):
    watched = TINY.changed("tiny/watched", training={"evaluate_every": 2})
    assert watched.identity == TINY.identity
    run = json.loads(runner.run(watched, 0, tmp_path, tmp_path / "runs").read_bytes())
    assert [entry["iteration"] for entry in run["evaluations"]] == [2, 4, 6]
    assert run["evaluations"][-1]["AP"] == run["metrics"]["AP"]
    assert run["metrics_at_0"]["AR100"] >= run["metrics"]["AR100"]
    for threshold, metric in {"0.5": "AP50", "0.75": "AP75"}.items():
        curve = run["precision_at_recall"][threshold]
        assert len(curve) == 101
        assert np.mean(curve) == pytest.approx(run["metrics_at_0"][metric], abs=1e-4)
        assert curve == sorted(curve, reverse=True)
    plain = json.loads(runner.run(TINY, 0, tmp_path / "plain", tmp_path / "runs").read_bytes())
    assert "evaluations" not in plain
    assert (plain["metrics"], plain["curve"]) == (run["metrics"], run["curve"])


def test_one_of_several_processes_that_diverges_is_recorded_by_the_next_call(tmp_path):
    folder = tmp_path / "runs" / "tiny_run_seed0"
    folder.mkdir(parents=True)
    (folder / runner.DIVERGED).write_text('{"iteration": 3}')
    run = json.loads(runner.run(TINY, 0, tmp_path, tmp_path / "runs").read_bytes())
    assert (run["diverged_at"], run["metrics"]["AP"], run["curve"]["iteration"]) == (3, 0, [])


def test_a_run_that_diverges_is_a_result(tmp_path):
    wild = TINY.changed("tiny/wild", training={"learning_rate": 1e30, "warmup": 0, "log_every": 1})
    run = json.loads(runner.run(wild, 0, tmp_path, tmp_path / "runs").read_bytes())
    assert 0 < run["diverged_at"] < 6
    assert run["metrics"]["AP"] == 0
    assert run["curve"]["iteration"] == list(range(1, run["diverged_at"] + 1))
    assert load_results(tmp_path, {wild.name: wild}).diverged(wild.name) == 1


def test_a_precision_that_depends_on_the_machine_is_refused(tmp_path):
    with pytest.raises(ValueError, match='precision = "auto" is another one on another machine'):
        runner.run(TINY.changed("a", training={"precision": "auto"}), 0, tmp_path, tmp_path / "runs")


def test_the_committed_backbone_is_the_one_that_committed_runs_began_with(tmp_path):
    weights, known = backbones.detector(RESULTS, tmp_path, runner.run)
    assert {run["backbone"] for run in load_results().used if run["config"]["backbone"] == BACKBONE.name} == {known}
    assert {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()} == {torch.float16}


def test_another_error_is_no_result(tmp_path):
    with pytest.raises(ValueError, match="num_classes = 2 is too few"):
        runner.run(replace(TINY, model=replace(TINY.model, num_classes=2)), 0, tmp_path / "results", tmp_path / "runs")
    assert not (tmp_path / "results").exists()


def test_a_pool_runs_what_it_can_and_names_what_failed(tmp_path, capfd):
    lost = TINY.changed("tiny/lost", val={"source": str(tmp_path / "nowhere")})
    jobs = [(lost, 0), (TINY, 0)]
    with pytest.raises(ValueError, match=r"1 of 2 runs failed:\ntiny/lost, seed 0: .*nowhere.* does not exist"):
        pool.run_all(jobs, tmp_path / "results", tmp_path / "runs")
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["tiny_run_seed0.json"]
    assert "tiny/run, seed 0: AP " in capfd.readouterr().err


def test_no_run_begins_when_the_time_is_up(tmp_path, capfd):
    pool.run_all([(TINY, 0)], tmp_path / "results", tmp_path / "runs", minutes=1e-9)
    assert list((tmp_path / "results").iterdir()) == []
    assert "1 of 1 runs were not begun" in capfd.readouterr().err
    for name in ("minutes", "processes", "threads"):
        with pytest.raises(ValueError, match=f"{name} = 0"):
            pool.run_all([(TINY, 0)], tmp_path, tmp_path, **{name: 0})


# --- one process at a time -------------------------------------------------------------------------------------------


@pytest.fixture(params=["fcntl", "without fcntl"])
def way(request, monkeypatch):
    """Both ways to lock: with ``fcntl``, and as where that is missing."""
    if request.param == "fcntl":
        pytest.importorskip("fcntl")
    else:
        monkeypatch.setattr(lock, "fcntl", None)
    return request.param


def test_two_do_not_run_the_same(tmp_path, way):
    runs = tmp_path / "runs"
    with lock.locked(runs / "tiny_run_seed0.lock") as held:
        assert held
        assert runner.run(TINY, 0, tmp_path, runs) is None
    assert runner.run(TINY, 0, tmp_path, runs) is not None


def test_a_lock_is_free_again_afterwards_also_when_the_block_failed(tmp_path, way):
    path = tmp_path / "new" / "a.lock"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), lock.locked(path):
            raise KeyboardInterrupt
        assert not path.exists()


def test_a_lock_of_a_process_that_died_is_free(tmp_path):
    pytest.importorskip("fcntl")
    path = tmp_path / "a.lock"
    code = (
        "import os, sys, pathlib\nfrom minidet.experiments.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    os._exit(1)"
    )
    root = Path(minidet.__file__).parent.parent
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, check=False)
    assert path.exists()
    with lock.locked(path) as held:
        assert held


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_where_open_files_stay_a_file_that_can_be_deleted_is_no_lock(tmp_path, monkeypatch, open_elsewhere):
    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(lock, "OPEN_FILES_STAY", True)
    path = tmp_path / "a.lock"
    path.touch()
    if open_elsewhere:

        def refused(self, missing_ok=False):
            raise PermissionError(13, "another process has it open")

        monkeypatch.setattr(Path, "unlink", refused)
    with lock.locked(path) as held:
        assert held is not open_elsewhere


def test_without_fcntl_everything_can_be_imported(monkeypatch):
    """As on Windows, where the standard library lacks it."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    again = importlib.reload(lock)
    try:
        assert again.fcntl is None
    finally:
        monkeypatch.undo()
        importlib.reload(lock)


def test_the_commit_is_none_outside_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "folder").mkdir()
    assert commit(tmp_path / "folder") is None
