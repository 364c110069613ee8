"""The metrics for TensorBoard, against a writer that keeps what it is given in files of its own."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest

from minidet.pytorch import tensorboard
from minidet.pytorch.training import train
from minidet.runs import load_metrics
from tests.network.small import QUICK, Interrupted, data, fresh

CONFIG = replace(QUICK, iterations=4, checkpoint_every=2, tensorboard=True)


class Writer:
    """As much of SummaryWriter as is used."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / f"events.{len(list(folder.iterdir()))}"

    def add_scalar(self, name, value, step, walltime):
        with self.file.open("a") as file:
            file.write(json.dumps([name, value, step, walltime]) + "\n")

    def flush(self):
        pass


def points(run):
    files = sorted((run / "tensorboard").iterdir())
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_every_number_of_the_metrics_is_there_once_also_after_resuming(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "summary_writer", lambda: Writer)

    with pytest.raises(KeyboardInterrupt):
        train(fresh(), Interrupted(3), CONFIG, tmp_path)
    assert [step for name, _, step, _ in points(tmp_path) if name == "box"] == [1, 2, 3]
    train(fresh(), data(), CONFIG, tmp_path, resume=True, evaluate=lambda model: {"AP50": 0.25})
    metrics = load_metrics(tmp_path)
    wanted = [
        [name, value, record["iteration"]]
        for record in metrics
        for name, value in record.items()
        if name not in ("iteration", "seconds")
    ]
    assert [point[:3] for point in points(tmp_path)] == wanted
    assert ["AP50", 0.25, 4] in wanted
    times = [time for name, _, _, time in points(tmp_path) if name == "box"]
    seconds = [record["seconds"] for record in metrics if "box" in record]
    assert [time - times[0] for time in times] == pytest.approx([s - seconds[0] for s in seconds], abs=1e-4)


def test_it_can_be_turned_on_when_a_run_is_resumed(tmp_path, monkeypatch):
    before = train(fresh(), data(), replace(CONFIG, tensorboard=False), tmp_path)
    monkeypatch.setattr(tensorboard, "summary_writer", lambda: Writer)
    assert train(fresh(), data(), CONFIG, tmp_path, resume=True) == before
    assert [step for name, _, step, _ in points(tmp_path) if name == "classification"] == [1, 2, 3, 4]


def test_without_the_package_nothing_is_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # importing it fails
    with pytest.raises(ValueError, match="pip install tensorboard"):
        train(fresh(), data(), CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_torchs_own_writer(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    metrics = train(fresh(), data(), CONFIG, tmp_path)
    train(fresh(), data(), CONFIG, tmp_path, resume=True)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("box")] == [1, 2, 3, 4]
    assert [event.value for event in events.Scalars("box")] == pytest.approx([r["box"] for r in metrics], rel=1e-6)
