"""`minidet train --path`: what the reference and the compiled path write, how they go on, that they need no torch."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minidet import pytorch
from minidet.cli import main
from minidet.config import RetinaNetConfig, RunSettings, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.paths import load_network, new_network
from minidet.paths import training as paths_training
from minidet.runs import ArrayRun, load_metrics, load_settings
from minidet.structures import Diverged
from minidet.weights import load_weights, save_weights
from tests.cli.commands import train_command, words

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BACKBONE = ROOT / "minidet/experiments/runs/backbone_seed0.npz"
ARRAY_PATHS = ("reference", "compiled")
DETECTED = ["model.postprocess.score_threshold=0.005"]  # low enough that a network of four steps detects something


def command(out, path, *more):
    """Four steps with a path, in float64, so that all paths end with the same weights."""
    setting = ["--set", *DETECTED, "--set", "training.precision=float64"] if path != "pytorch" else ["--set", *DETECTED]
    return train_command(out, "--path", path, *setting, *more)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a run of each path that does without torch."""
    folder = tmp_path_factory.mktemp("runs")
    for path in ARRAY_PATHS:
        assert main(command(folder / path, path)) == 0
    return folder


@pytest.mark.parametrize("path", ARRAY_PATHS)
def test_a_run_is_one_like_any_other(runs, path):
    names = {"config.json", "metrics.jsonl", "checkpoint.npz", "model.npz"}
    names |= {"curves.png", "detections.png", "evaluation.json"}
    assert {file.name for file in (runs / path).iterdir()} == names
    assert RunSettings.from_dict(load_settings(runs / path)).path == path
    metrics = load_metrics(runs / path)
    assert [line["iteration"] for line in metrics if "AP" in line] == [1, 2, 3, 4]
    losses = [line for line in metrics if "box" in line]
    assert [line["iteration"] for line in losses] == [1, 2, 3, 4]
    keys = {"iteration", "classification", "box", "assigned", "learning_rate", "images_per_second", "seconds"}
    assert all(line.keys() == keys for line in losses)
    evaluation = json.loads((runs / path / "evaluation.json").read_text())
    assert evaluation["metrics"] == {name: metrics[-1][name] for name in evaluation["metrics"]}


def test_the_two_paths_reach_the_same_weights(runs):
    one, two = (load_weights(runs / path / "model.npz") for path in ARRAY_PATHS)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=0, atol=1e-7, err_msg=name)  # the bound of the lockstep


def test_pytorch_loads_the_weights_of_the_reference(runs):
    model, weights = pytorch.load_model(runs / "reference"), load_weights(runs / "reference/model.npz")
    assert all(
        np.array_equal(value.numpy(), weights[name].astype(value.numpy().dtype))
        for name, value in model.state_dict().items()
    )


@pytest.mark.parametrize("trained", [*ARRAY_PATHS, "pytorch"])
def test_every_path_evaluates_what_every_other_has_trained(trained, runs, tmp_path):
    run = runs / trained
    if trained == "pytorch":
        run = tmp_path / "run"
        assert main(command(run, "pytorch")) == 0
    found = {}
    for path in ("reference", "compiled", "pytorch"):
        assert main(words("evaluate", run, "--path", path, "--json", tmp_path / f"{path}.json")) == 0
        found[path] = json.loads((tmp_path / f"{path}.json").read_text())["metrics"]
    assert found["compiled"] == pytest.approx(found["reference"], abs=1e-9)
    assert found["pytorch"] == pytest.approx(found["reference"], abs=1e-9)


def test_detect_draws_with_any_path(runs, tmp_path):
    Path(tmp_path / "images").mkdir()
    assert main(words("data", "shapes", "--images", 1, "--out", tmp_path / "shapes")) == 0
    image = next((tmp_path / "shapes").rglob("*.png"))
    entries = []
    for path in ("reference", "pytorch"):
        assert main(words("detect", runs / "compiled", image, "--path", path, "--out", tmp_path / path)) == 0
        entries.append(json.loads((tmp_path / path / "detections.json").read_text())["annotations"])
    assert len(entries[0]) == len(entries[1]) > 0
    for one, two in zip(*entries, strict=True):
        assert one["score"] == pytest.approx(two["score"], abs=1e-5)
        assert one["bbox"] == pytest.approx(two["bbox"], abs=1e-2)


@pytest.mark.parametrize("path", ARRAY_PATHS)
def test_resuming_gives_the_same_weights(path, runs, tmp_path, monkeypatch, capsys):
    batch = TrainingData.batch

    def interrupted(data, iteration, *more):
        if iteration == 3:
            raise KeyboardInterrupt
        return batch(data, iteration, *more)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingData, "batch", interrupted)
        assert main(command(tmp_path / "run", path)) == 130
    assert f"minidet train --out {tmp_path / 'run'} --resume" in capsys.readouterr().err
    assert main(words("evaluate", tmp_path / "run")) == 1
    assert "model.npz does not exist: resume the run, which is not finished" in capsys.readouterr().err
    assert main(words("train", "--out", tmp_path / "run", "--resume")) == 0
    whole, parts = (load_weights(folder / "model.npz") for folder in (runs / path, tmp_path / "run"))
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    seen = [[(line["iteration"], line.get("box")) for line in load_metrics(f)] for f in (runs / path, tmp_path / "run")]
    assert seen[0] == seen[1]
    before = (tmp_path / "run/evaluation.json").read_bytes()
    assert main(words("train", "--out", tmp_path / "run", "--resume")) == 0  # finished: drawn again, not trained
    assert (tmp_path / "run/evaluation.json").read_bytes() == before
    capsys.readouterr()
    assert main(command(tmp_path / "run", path)) == 1
    assert "already holds a run" in capsys.readouterr().err
    other = ARRAY_PATHS[1 - ARRAY_PATHS.index(path)]
    assert main(command(tmp_path / "run", other, "--resume")) == 1
    assert f"path = {path!r}, not {other!r}" in capsys.readouterr().err


@pytest.mark.parametrize(("more", "message"), [
    (["--set", "training.precision=bfloat16"], 'precision = "bfloat16": the compiled path computes in "float32"'),
    (["--tensorboard"], "tensorboard = true needs PyTorch"),
    (["--set", "training.compile=true"], "compile = true needs PyTorch"),
    (["--set", "training.accumulate=2"], "accumulate = 2: the compiled path takes a batch as a whole"),
])  # fmt: skip
def test_what_needs_pytorch_is_refused_before_anything_is_written(more, message, tmp_path, capsys):
    assert main(train_command(tmp_path / "run", "--path", "compiled", *more)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_torchrun_and_torchs_float64_are_refused(tmp_path, monkeypatch, capsys):
    assert main(train_command(tmp_path / "run", "--set", "training.precision=float64")) == 1
    assert "is for the reference and the compiled path" in capsys.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(train_command(tmp_path / "run", "--path", "compiled")) == 1
    assert "the compiled path trains in one process: start it without torchrun" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_training_that_diverges_says_so_and_keeps_no_lost_weights(tmp_path):
    config = TrainingConfig.tiny(
        iterations=4, batch_size=2, warmup=0, learning_rate=1e30, optimizer="sgd", checkpoint_every=1
    )
    settings = RunSettings(model=RetinaNetConfig.tiny(6, width=8), training=config, path="compiled")
    net = new_network(settings)
    data = TrainingData(Shapes(images=4, image_size=(64, 64), objects=(1, 3), distractors=(0, 0)), net.config, config)
    with np.errstate(all="ignore"), pytest.raises(Diverged, match="lower learning_rate, lengthen warmup"):
        paths_training.train(net, data, config, tmp_path / "run", settings=settings)
    kept = ArrayRun(tmp_path / "run", load_settings(tmp_path / "run"), resume=True).load()
    assert kept is None or all(np.isfinite(value).all() for value in kept[2].values())


def test_a_run_that_is_older_than_a_setting_goes_on_with_its_default(tmp_path):
    settings = {"model": RetinaNetConfig.tiny(2).to_dict(), "training": TrainingConfig().to_dict(), "path": "compiled"}
    older = copy.deepcopy(settings)
    del older["training"]["loss"]["ohem_divisor"], older["model"]["prior"]
    ArrayRun(tmp_path, older).save(1, 1.0, {"a": np.ones(1)}, {})
    run = ArrayRun(tmp_path, settings, resume=True)
    assert run.load()[0] == 1
    assert load_settings(tmp_path) == settings
    settings["training"]["loss"]["ohem_divisor"] = "batch"
    with pytest.raises(ValueError, match=r"loss\.ohem_divisor = 'assigned', not 'batch'"):
        ArrayRun(tmp_path, settings, resume=True)


# --- the first weights


@pytest.mark.parametrize("norm", ["batch", "frozen"])
def test_a_backbone_is_taken_over_alike(norm, tmp_path):
    model = RetinaNetConfig.tiny(2, norm=norm)
    torch.save({name: torch.from_numpy(value) for name, value in load_weights(BACKBONE).items()}, tmp_path / "b.pth")
    wanted = new_network(RunSettings(model=model, backbone_weights=str(BACKBONE))).state_dict()
    for file in (BACKBONE, tmp_path / "b.pth"):
        net = new_network(RunSettings(model=model, backbone_weights=str(file), path="compiled"))
        for name, value in wanted.items():
            if name.startswith("backbone."):
                assert np.array_equal(net.state[name], value.numpy()), name
    save_weights(tmp_path / "part.npz", dict(list(load_weights(BACKBONE).items())[1:]))
    with pytest.raises(ValueError, match=r"do not fit the network.*1 missing: backbone.conv1.weight"):
        new_network(RunSettings(model=model, backbone_weights=str(tmp_path / "part.npz"), path="reference"))


# --- what is read


def test_a_damaged_run_is_refused(runs, tmp_path):
    settings = load_settings(runs / "compiled")
    run = ArrayRun(tmp_path / "run", settings)
    assert run.load() is None
    whole = (runs / "compiled/checkpoint.npz").read_bytes()
    run.checkpoint.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="does not hold plain arrays alone"):
        run.load()
    middle = len(whole) // 2
    run.checkpoint.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])  # one bit
    with pytest.raises(ValueError, match="does not hold plain arrays alone"):
        run.load()
    save_weights(run.checkpoint, {"weights/a": np.zeros(3)})
    with pytest.raises(ValueError, match=r"lacks iteration, seconds, settings: it was not written by a training run"):
        run.load()
    run.save(3, 1.5, {"a": np.ones(2)}, {"a": np.zeros(2), "steps": np.int64(3)})
    iteration, seconds, weights, optimizer = run.load()
    assert (iteration, seconds, list(weights), list(optimizer)) == (3, 1.5, ["a"], ["a", "steps"])
    other = ArrayRun(tmp_path / "other", {**settings, "classes": ["cat"]})
    other.checkpoint.write_bytes(run.checkpoint.read_bytes())
    with pytest.raises(ValueError, match=r"checkpoint\.npz is of another configuration: classes = "):
        other.load()
    with pytest.raises(ValueError, match="does not exist: give the folder of a run"):
        load_network(tmp_path)


@pytest.mark.subprocess
@pytest.mark.parametrize("path", ARRAY_PATHS)
def test_train_evaluate_and_detect_without_pytorch(path, tmp_path):
    """In a process in which torch cannot be imported, a run is begun, goes on, is measured and detects."""
    run = str(tmp_path / "run")
    image = str(tmp_path / "shapes")
    code = f"""
import sys
from pathlib import Path
sys.modules["torch"] = None
from minidet.cli import main
commands = (
    {command(run, path)!r}, ["train", "--out", {run!r}, "--resume"], ["evaluate", {run!r}],
    ["data", "shapes", "--images", "1", "--out", {image!r}],
)
assert not any(main(words) for words in commands)
image = str(next(Path({image!r}).rglob("*.png")))
assert not main(["detect", {run!r}, image, "--out", {str(tmp_path / "found")!r}])
assert main(["evaluate", {run!r}, "--path", "pytorch"]) == 1
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "minidet: this command needs PyTorch" in result.stderr
    assert (tmp_path / "found/detections.json").exists()
