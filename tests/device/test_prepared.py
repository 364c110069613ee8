"""The prepared run for a machine with a GPU, tried in small on the CPU: nothing in it is new when it counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.benchmarks.device import __main__ as prepared

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.mark.subprocess
def test_every_part_runs_in_small(tmp_path, monkeypatch):
    """Without tqdm too, which such a machine may lack. The limits are wide: how busy the machine is decides nothing."""
    monkeypatch.setattr(prepared, "find_spec", lambda name: None)
    assert prepared.main(["--small", "--minutes", "30", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "results.json").read_bytes())
    assert list(results) == list("eabcdf")
    assert {part["outcome"] for part in results.values()} == {"done"}
    assert results["a"]["nms"]["passed"] > 10
    assert "failed" not in results["a"]["nms"]
    assert results["b"]["float32"]["same"]
    assert results["b"]["resumed"]["difference"] == 0
    assert results["b"]["in two parts"]["difference"] < 1e-4
    for part, name in (
        ("c", "minidet, bfloat16"),
        ("c", "minidet, float32"),
        ("c", "loading"),
        ("d", "minidet's loss"),
    ):
        assert min(value for value in results[part][name].values() if value is not None) >= 0
    for name in ("minidet's nms", "minidet's assignment", "minidet's post-processing"):
        assert results["d"][name] > 0
    assert results["f"]["results"] == ["backbone_seed0"]
    with tarfile.open(tmp_path / "experiments.tar.gz") as archive:
        assert "experiments/backbone_seed0.json" in archive.getnames()
    assert {path.name for path in tmp_path.iterdir()} == {"results.json", "log.txt", "experiments.tar.gz"}


@pytest.mark.subprocess
def test_a_part_that_fails_or_does_not_end_is_recorded_and_the_next_begins(tmp_path, monkeypatch):
    monkeypatch.setitem(prepared.MODULES, "a", "nothing")
    monkeypatch.setitem(prepared.MODULES, "c", "timeless")
    monkeypatch.setitem(prepared.PARTS, "c", 2)  # seconds
    real = subprocess.Popen

    def start(command, **options):
        if command[2].endswith("timeless"):
            command = [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"]
        return real(command, **options)

    monkeypatch.setattr(prepared.subprocess, "Popen", start)
    assert prepared.main(["--parts", "ace", "--minutes", "8", "--out", str(tmp_path)]) == 2
    results = json.loads((tmp_path / "results.json").read_bytes())
    assert [part["outcome"] for part in results.values()] == ["failed", "out of time", "done"]
    assert any("No module named" in line for line in results["a"]["log"])
    assert results["e"]["versions"]["torch"]


@pytest.mark.subprocess
def test_the_operations_own_tests_pass_on_the_pretend_device():
    """The ways that are taken on a GPU alone: suppression, mining and post-processing in steps of fixed size."""
    files = [f"tests/operations/test_{name}.py" for name in ("nms", "postprocess", "sampling")]
    command = [sys.executable, "-m", "pytest", *files, "-k", "pretend", "--pretend", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "MINIDET_EXAMPLES": "4"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
    assert " passed" in result.stdout


def test_the_readme_says_what_has_run_on_a_gpu():
    """Until a run on a device is kept, that there was none."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    kept = (ROOT / "figures" / "results" / "device").is_dir()
    assert ("The CUDA path has been tested on a pretend device only" in readme) != kept
