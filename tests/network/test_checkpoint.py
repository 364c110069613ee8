"""The run folder: nothing that is there is ever damaged, and nothing in it is run."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minidet.config import AnchorConfig, RetinaNetConfig
from minidet.files import write_bytes
from minidet.pytorch.checkpoint import Run, load_model
from minidet.pytorch.retinanet import RetinaNet
from minidet.runs import load_metrics, load_settings

SMALL = RetinaNetConfig.tiny(
    num_classes=2, width=8, fpn_channels=16, head_channels=16, head_convs=1,
    anchors=AnchorConfig(levels=(3,), sizes=(16,), scales=(1.0,)),
)  # fmt: skip
SETTINGS = {"model": SMALL.to_dict(), "training": {"learning_rate": 0.1, "workers": 0, "steps": (0.5,)}}


@pytest.fixture
def run(tmp_path):
    run = Run(tmp_path / "run", SETTINGS)
    run.save({"iteration": 3, "weights": RetinaNet(SMALL).state_dict()})
    return run


def resumed(run, **changes):
    training = {**SETTINGS["training"], **changes}
    return Run(run.folder, {**SETTINGS, "training": training}, resume=True)


def test_a_run_can_be_read_back(run):
    torch.manual_seed(0)
    model = RetinaNet(SMALL)
    run.finish(model)
    for where in (run.folder, str(run.folder), run.folder / "model.pt"):
        loaded = load_model(where)
        assert loaded.config == SMALL
        assert not loaded.training
        assert all(torch.equal(loaded.state_dict()[name], value) for name, value in model.state_dict().items())
    assert load_settings(run.folder) == json.loads(json.dumps(SETTINGS))
    assert resumed(run).load("iteration", "weights")["iteration"] == 3
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "config.json", "model.pt"]


def test_a_folder_with_a_run_is_refused_unless_resumed(run):
    with pytest.raises(ValueError, match="already holds a run: resume it, or give a new folder"):
        Run(run.folder, SETTINGS)
    assert Run(run.folder / "other", SETTINGS, resume=True).load("iteration") is None  # none yet: begins
    with pytest.raises(ValueError, match="is a file: give a new folder"):
        Run(run.checkpoint, SETTINGS)


def test_another_configuration_is_named(run):
    with pytest.raises(ValueError, match=r"config\.json is of another .*: training\.learning_rate = 0\.1, not 0\.2\."):
        resumed(run, learning_rate=0.2)
    resumed(run, workers=7)  # changes nothing but speed
    (run.folder / "config.json").unlink()
    changed = resumed(run, steps=(0.6,))
    with pytest.raises(ValueError, match=r"checkpoint\.pt is of another .*: training\.steps = \[0\.5\], not"):
        changed.load("iteration")


def test_weights_of_another_network_are_refused(run):
    state = run.load("weights")
    with pytest.raises(ValueError, match=r"checkpoint\.pt does not fit the model"):
        run.restore(RetinaNet(RetinaNetConfig.tiny(3)), state["weights"])


class Code:
    def __reduce__(self):
        return (os.system, ("touch ran",))


def with_code(path):
    torch.save({"iteration": Code()}, path)


def plain_pickle(path):
    path.write_bytes(pickle.dumps({"iteration": Code()}))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-1000])


def half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    """One bit of the weights."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


def something_else(path):
    torch.save({"iteration": 1}, path)


@pytest.mark.parametrize("spoil", [with_code, plain_pickle, truncated, half, flipped, empty, something_else])
def test_a_bad_file_is_refused_and_no_code_run(run, spoil, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run.finish(RetinaNet(SMALL))
    readers = {run.checkpoint: lambda: run.load("iteration", "weights"), run.model: lambda: load_model(run.folder)}
    for path, read in readers.items():
        spoil(path)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read()
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"model\.pt does not exist: give the folder of a finished run"):
        load_model(tmp_path)
    with pytest.raises(ValueError, match=r"config\.json does not exist"):
        load_settings(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        load_settings(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config\.json holds list"):
        load_settings(tmp_path)
    assert load_metrics(tmp_path) == []


FULL_DISK = """
import resource, signal, sys
from tests.network.test_checkpoint import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
run = Run(sys.argv[1], SETTINGS, resume=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    run.save({"iteration": 4, "weights": RetinaNet(SMALL).state_dict()})
except OSError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.subprocess
def test_a_full_disk_leaves_the_former_checkpoint(run):
    """No file may pass 10 kB, so the system refuses to write the rest, as on a full disk."""
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", FULL_DISK, str(run.folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, check=True)
    assert f"{run.checkpoint} could not be written, File too large; the former file is as it was" in result.stdout
    assert run.load("iteration")["iteration"] == 3
    assert sorted(path.name for path in run.folder.iterdir()) == ["checkpoint.pt", "config.json"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 10_000


def test_a_disk_that_fails_on_sync_leaves_the_former_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="file could not be written, No space left on device; the former") as caught:
        write_bytes(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    with pytest.raises(OSError, match=r"other could not be written, No space left on device$"):
        write_bytes(tmp_path / "other", b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_metrics_that_cannot_be_written_are_named(run):
    run.metrics.symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"metrics\.jsonl could not be written, No space left on device"):
        run.log({"iteration": 1})


def test_metrics_are_rewound_and_a_cut_line_dropped(run):
    for iteration in (1, 2, 3):
        run.log({"iteration": iteration, "box": 0.5})
    with run.metrics.open("a") as file:
        file.write('{"iteration": 4, "bo')  # killed while writing
    assert [record["iteration"] for record in load_metrics(run.folder)] == [1, 2, 3]
    run.rewind(2)
    run.log({"iteration": 3, "box": 0.25})
    assert load_metrics(run.folder)[2:] == [{"iteration": 3, "box": 0.25}]
    assert run.metrics.read_text().count("\n") == 3


def test_what_is_written_needs_no_trust(run):
    """Every checkpoint can be read with pickled code forbidden."""
    buffer = io.BytesIO(run.checkpoint.read_bytes())
    assert torch.load(buffer, weights_only=True)["iteration"] == 3
