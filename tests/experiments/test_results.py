"""Where results come from: damaged files, runs that cannot be compared, and what the committed ones have in common."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import minidet
from minidet.experiments import results
from minidet.experiments.results import file_name, load_results
from minidet.files import write_json
from tests.experiments.made_up import TINY

ROOT = Path(minidet.__file__).parent.parent
UPON = TINY.changed("tiny/upon", training={"learning_rate": 0.1})


def written(folder, seed, **changes):
    """A file of a run that nobody ran."""
    config = {**UPON.settings(), "backbone": "tiny/run"}
    run = {"name": UPON.name, "seed": seed, "precision": "float32", "backbone": "aa", "gpu": False, "diverged_at": None,
           "metrics": {"AP": 0.2}, "config": config, **changes}  # fmt: skip
    return write_json(folder / f"{file_name(UPON.name, seed)}.json", run)


def loaded(folder):
    experiment = results.recorded(json.loads(min(folder.glob("*.json")).read_bytes()))
    return load_results(folder, {UPON.name: experiment})


def test_a_damaged_result_is_named(tmp_path):
    (tmp_path / f"{file_name('1b/gamma=2', 0)}.json").write_text("{}")
    with pytest.raises(ValueError, match=r"1b_gamma=2_seed0\.json is no result"):
        load_results(tmp_path)
    assert load_results(tmp_path / "none").runs == []


@pytest.mark.parametrize("changes", [{"backbone": "bb"}, {"gpu": True}])
def test_runs_that_cannot_be_compared_are_refused(tmp_path, changes):
    written(tmp_path, 0)
    written(tmp_path, 1)
    assert loaded(tmp_path).score(UPON.name).n == 2
    written(tmp_path, 1, **changes)
    (key,) = changes
    with pytest.raises(ValueError, match=rf"tiny_upon_seed0.json has {key} .* and tiny_upon_seed1.json has"):
        loaded(tmp_path)


def test_a_run_in_another_precision_belongs_to_another_experiment(tmp_path):
    """Whatever the settings said: "auto" is one on one machine, and another one elsewhere."""
    written(tmp_path, 0)
    written(tmp_path, 1, precision="bfloat16")
    assert list(loaded(tmp_path).of(UPON.name)) == [0]


def test_the_committed_runs_are_of_one_kind():
    used = load_results().used
    assert {run["precision"] for run in used} == {"float32"}
    assert {run["threads"] for run in used if run["config"]["backbone"]} == {1}
    assert len({run["device"] for run in used}) == 1
    assert not any(run["commit"].endswith("-dirty") for run in used)
    for run in used:
        assert run["command"].endswith(f"--seed {run['seed']} --threads {run['threads']}")


def test_the_commits_of_the_committed_runs_exist():
    def git(*words):
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("needs a checkout with its whole history")
    for commit in {run["commit"] for run in load_results().used}:
        assert git("cat-file", "-t", commit).stdout.strip() == "commit", commit
