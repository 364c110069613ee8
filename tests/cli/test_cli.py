"""The command line, end to end on tiny data: what each command writes, and what it says when something is wrong."""

from __future__ import annotations

import json
import math
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from figures.__main__ import main as reproduce
from minidet.cli import main
from minidet.config import AnchorConfig, RetinaNetConfig, TrainingConfig
from minidet.data import open_dataset
from minidet.data.coco import Coco
from minidet.evaluation import coco_metrics
from minidet.pytorch.checkpoint import load_metrics, load_model, load_settings
from minidet.pytorch.training import train
from minidet.wording import percent
from tests.datasets import write_image, write_voc

SMALL = [
    "model.width=8", "model.fpn_channels=16", "model.head_channels=16", "model.head_convs=1",
    'model.anchors={"levels": [3, 4], "sizes": [16, 32], "scales": [1.0]}', "training.precision=float32",
    "training.channels_last=false", "training.iterations=4", "training.batch_size=2", "training.warmup=1",
    "training.workers=0", "training.log_every=1", "training.checkpoint_every=2",
]  # fmt: skip
SHAPES = ["data.image_size=[64,64]", "data.images=8", "val.images=3"]


def train_command(out, *more, data="shapes", settings=SHAPES):
    words = ["train", "--data", data, "--out", out, "--shorter-side", 64]
    for setting in [*SMALL, *settings]:
        words += ["--set", setting]
    return [*map(str, words), *more]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A COCO folder of three images of shapes."""
    out = tmp_path_factory.mktemp("data") / "shapes"
    assert main(["data", "shapes", "--out", str(out), "--images", "3", "--height", "64", "--width", "80"]) == 0
    return out


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of four steps, with scores above the threshold of detection."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(train_command(out, "--set", "model.prior=0.3")) == 0
    return out


def test_data_shapes_and_inspect(folder, tmp_path, capsys):
    assert len(open_dataset(folder)) == 3
    words = ["inspect", str(folder), "--native", "--out", str(tmp_path), "--json", str(tmp_path / "report.json")]
    assert main(words) == 0
    assert "3 images, 24 boxes, 6 classes" in capsys.readouterr().out
    assert (tmp_path / "inspect_shapes.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "report.json").read_text())


def test_inspect_suggests_anchors(tmp_path, capsys):
    words = ["inspect", "shapes", "--images", "3", "--min-size", "6", "--max-size", "20", "--anchors", "tiny"]
    words += ["--suggest", "--out", str(tmp_path), "--json", str(tmp_path / "report.json")]
    assert main(words) == 0
    told = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    before, after = report["coverage"]["share"], report["suggested"]["coverage"]["share"]
    assert report["settings"]["anchors"]["levels"] == [3, 4, 5, 6]
    assert before < 0.6
    assert after >= 0.99
    (row,) = re.findall(r"all boxes +[0-9]+ +[0-9.]+ +([0-9.]+ %) +([0-9.]+ %)", told)
    assert row == (percent(before), percent(after))
    assert (tmp_path / "inspect_shapes_suggested.png").stat().st_size > 10_000
    (setting,) = re.findall("--set 'model.anchors=(.*)'", told)
    suggested = report["suggested"]["settings"]["anchors"]
    assert AnchorConfig(**json.loads(setting)) == AnchorConfig(**suggested)


def test_train_with_suggested_anchors_and_tensorboard(tmp_path, monkeypatch, capsys):
    points = []
    writer = SimpleNamespace(add_scalar=lambda *point: points.append(point), flush=lambda: None)
    monkeypatch.setattr("minidet.pytorch.tensorboard.summary_writer", lambda: lambda folder: writer)
    monkeypatch.setattr("tests.cli.test_cli.SMALL", [setting for setting in SMALL if "anchors" not in setting])
    settings = [*SHAPES, "data.min_size=6", "data.max_size=20", "training.iterations=1", "model.anchors.offset=0.25"]
    assert main(train_command(tmp_path / "run", "--anchors", "suggested", "--tensorboard", settings=settings)) == 0
    stored = load_settings(tmp_path / "run")
    anchors = AnchorConfig(**stored["model"]["anchors"])
    assert anchors.levels[0] < 3
    assert anchors.offset == 0.25  # --set has the last word
    assert f"anchors: levels {anchors.levels}, sizes {anchors.sizes}" in capsys.readouterr().out
    assert stored["training"]["tensorboard"] is True
    names = [name for name, *_ in points]
    assert {"classification", "AP50"} <= set(names)
    points.clear()
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", "--tensorboard"]) == 0
    assert [name for name, *_ in points] == names


def test_tensorboard_without_its_package_is_told_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert main(train_command(tmp_path / "run", "--tensorboard")) == 1
    assert "pip install tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_train_keeps_everything_and_names_it(tmp_path, capsys):
    torch.manual_seed(5)  # the weights depend on the configuration's seed alone
    threads = torch.get_num_threads()
    assert main(train_command(tmp_path / "run")) == 0
    assert torch.get_num_threads() == threads
    told = capsys.readouterr().out
    names = {"config.json", "metrics.jsonl", "checkpoint.pt", "model.pt"}
    names |= {"curves.png", "detections.png", "evaluation.json"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    assert all(str(tmp_path / "run" / name) in told for name in names)
    assert "AP50" in told
    assert "triangle" in told
    metrics = load_metrics(tmp_path / "run")
    assert [line["iteration"] for line in metrics if "AP" in line] == [1, 2, 3, 4]  # five times, or every step
    evaluation = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert evaluation["metrics"] == {name: metrics[-1][name] for name in evaluation["metrics"]}
    settings = load_settings(tmp_path / "run")
    assert RetinaNetConfig.from_dict(settings["model"]).width == 8
    assert TrainingConfig.from_dict(settings["training"]).iterations == 4
    assert settings["data"]["image_size"] == settings["val"]["image_size"] == [64, 64]
    assert settings["data"].get("seed", 0) != settings["val"]["seed"]


def test_resuming_gives_the_same_weights(tmp_path, monkeypatch, capsys):
    def interrupted(model, data, *arguments):
        class Interrupted:
            def batch(self, iteration, rank=0, processes=1):
                if iteration == 3:
                    raise KeyboardInterrupt
                return data.batch(iteration, rank, processes)

        return train(model, Interrupted(), *arguments)

    assert main(train_command(tmp_path / "whole")) == 0
    with monkeypatch.context() as patch:
        patch.setattr("minidet.pytorch.training.train", interrupted)
        assert main(train_command(tmp_path / "parts")) == 130
    assert f"minidet train --out {tmp_path / 'parts'} --resume" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path / "parts"), "--resume"]) == 0
    whole, parts = (load_model(tmp_path / name).state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    before = (tmp_path / "parts/evaluation.json").read_bytes()
    assert main(["train", "--out", str(tmp_path / "parts"), "--resume"]) == 0  # finished: drawn again, not trained
    assert (tmp_path / "parts/evaluation.json").read_bytes() == before
    assert main(train_command(tmp_path / "parts")) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert main(train_command(tmp_path / "parts", "--resume", "--set", "model.width=16")) == 1
    assert "model.width = 8, not 16" in capsys.readouterr().err
    assert main(["train", "--out", str(tmp_path / "parts"), "--resume", "--set", "data.images=9"]) == 1
    assert "data.images = 8, not 9" in capsys.readouterr().err


def test_train_on_voc_at_a_size_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        x, y = rng.integers(1, 30, 2).tolist()
        write_voc(tmp_path / "voc", f"image{i}", (("cat", "dog")[i % 2], (x, y, x + 30, y + 30)), size=(64, 96))
        write_image(tmp_path / "voc/JPEGImages" / f"image{i}.jpg", (64, 96))
    (tmp_path / "voc/ImageSets/Main").mkdir(parents=True)
    for split, names in (("train", (0, 1, 2)), ("val", (3,))):
        (tmp_path / f"voc/ImageSets/Main/{split}.txt").write_text("".join(f"image{i}\n" for i in names))
    splits = ["--split", "train", "--val-split", "val", "--shorter-side", "48"]
    assert main(train_command(tmp_path / "run", *splits, data=tmp_path / "voc", settings=[])) == 0
    settings = load_settings(tmp_path / "run")
    assert settings["classes"] == ["cat", "dog"]
    assert settings["training"]["resize"] == {"shorter_side": 48, "longer_side": 96}
    words = [
        "evaluate",
        tmp_path / "run",
        "--data",
        tmp_path / "voc",
        "--split",
        "train",
        "--json",
        tmp_path / "a.json",
    ]
    assert main(list(map(str, words))) == 0
    per_class = json.loads((tmp_path / "a.json").read_text())["per_class"]
    assert all(per_class[name]["AP"] >= 0 for name in ("cat", "dog"))


def test_evaluate_agrees_with_the_files_it_writes(run, folder, tmp_path, capsys):
    words = ["evaluate", run, "--data", folder, "--json", tmp_path / "a.json", "--detections", tmp_path / "b.json"]
    assert main(list(map(str, words))) == 0
    told = capsys.readouterr().out
    assert str(tmp_path / "a.json") in told
    assert [name in told for name in ("AP75", "ARl", "cross")] == [True] * 3
    wanted = coco_metrics(folder / "annotations.json", tmp_path / "b.json")
    assert len(json.loads((tmp_path / "b.json").read_text())) > 3
    evaluation = json.loads((tmp_path / "a.json").read_text())
    assert evaluation["metrics"] == pytest.approx(wanted, abs=1e-9)
    assert list(evaluation["per_class"]) == load_settings(run)["classes"]
    assert main(["evaluate", str(run)]) == 0  # the images that the run was evaluated on
    assert (run / "evaluation.json").is_file()


def test_detect_does_the_others_when_an_image_is_broken(run, folder, tmp_path, capsys):
    good = sorted((folder / "images").glob("*.png"))[:2]
    broken, again = tmp_path / "broken.png", tmp_path / good[0].name
    broken.write_bytes(good[0].read_bytes()[:1000])
    again.write_bytes(good[0].read_bytes())
    words = ["detect", run, good[0], broken, again, good[1], "--out", tmp_path / "out", "--score", "0.2"]
    assert main(list(map(str, words))) == 1
    told = capsys.readouterr().err
    assert f"{broken} cannot be decoded" in told
    assert "1 of 4 images could not be read" in told
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000000.png", "000000_2.png", "000001.png", "detections.json",
    ]  # fmt: skip
    with Image.open(tmp_path / "out/000000.png") as picture:
        assert picture.size == (80 * 7, 64 * 7)
    content = json.loads((tmp_path / "out/detections.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [str(good[0]), str(again), str(good[1])]
    per_image = [[a["bbox"] for a in content["annotations"] if a["image_id"] == i] for i in (1, 2, 3)]
    assert per_image[0] == per_image[1] != per_image[2]
    assert all(0.05 < a["score"] <= 1 and math.isfinite(a["area"]) for a in content["annotations"])
    (tmp_path / "out/images").symlink_to(folder / "images")
    for image in content["images"]:
        image["file_name"] = image["file_name"].rsplit("/", 1)[1]
    (tmp_path / "out/detections.json").write_text(json.dumps(content))
    assert Coco(tmp_path / "out/detections.json").classes == tuple(load_settings(run)["classes"])  # a COCO data set


@pytest.mark.parametrize(("more", "message"), [
    (["--set", "model.dept=18"], "dept is not a setting: there are num_classes, depth"),
    (["--set", "training.resize.side=18"], "resize.side is not a setting: there are shorter_side, longer_side"),
    (["--set", "training.channels_last=no"], "channels_last = 'no' must be true or false"),
    (["--set", "training.optimizer=lion"], "optimizer = 'lion' must be one of 'sgd', 'adamw'"),
    (["--set", "data.colour=1"], "colour is not an option of shapes"),
    (["--set", "learning_rate=1"], "give SECTION.FIELD=VALUE, SECTION being one of model, training, data, val"),
    (["--set", "schedule.rate=1"], "give SECTION.FIELD=VALUE"),
    (["--backbone-weights", "nowhere.pth"], "nowhere.pth"),
    (["--val", "nowhere"], "does not exist"),
])  # fmt: skip
def test_wrong_settings_are_told_in_a_line(tmp_path, capsys, more, message):
    assert main(train_command(tmp_path / "run", *more)) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("minidet: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("words", "message"), [
    (["train", "--data", "nowhere", "--out", "{}"], "nowhere' does not exist"),
    (["train", "--out", "{}"], "give --data"),
    (["train", "--out", "{}", "--resume"], "does not exist: give the folder of a run"),
    (["train", "--out", "{}", "--resume", "--anchors", "tiny"], "--anchors: a run that is resumed keeps"),
    (["evaluate", "{}"], "does not exist: give the folder of a finished run"),
    (["detect", "{}", "a.png"], "does not exist: give the folder of a finished run"),
])  # fmt: skip
def test_what_is_missing_is_told(tmp_path, capsys, words, message):
    assert main([word.format(tmp_path / "none") for word in words]) == 1
    assert message in capsys.readouterr().err


def test_classes_that_the_model_does_not_know(run, tmp_path, capsys):
    write_voc(tmp_path / "voc", "image", ("cat", (1, 1, 20, 20)))
    assert main(["evaluate", str(run), "--data", str(tmp_path / "voc")]) == 1
    assert "classes that the model does not know: cat" in capsys.readouterr().err


def test_reproduce_trains_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("figures.__main__.FIGURES", ())
    tiny = RetinaNetConfig.tiny
    monkeypatch.setattr(RetinaNetConfig, "tiny", lambda classes: tiny(classes, head_convs=0))
    words = ["--steps", "2", "--images", "2", "--out", str(tmp_path)]
    assert reproduce(words) == 0
    assert "AP50" in capsys.readouterr().out
    before = (tmp_path / "detector_2/metrics.jsonl").read_bytes()
    assert reproduce(words) == 0
    assert (tmp_path / "detector_2/metrics.jsonl").read_bytes() == before
    assert reproduce([words[0], "0", *words[2:]]) == 1
    assert "iterations = 0 must be >= 1" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "detect", "inspect"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as status:
        main([command, "--help"])
    assert status.value.code == 0
    assert "--out" in (told := capsys.readouterr().out) or "--json" in told
