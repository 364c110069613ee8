"""`minidet train` on tiny data: what it writes, how it goes on, and what it says when something is wrong."""

from __future__ import annotations

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minidet.cli import main
from minidet.config import AnchorConfig, RetinaNetConfig, RunSettings, TrainingConfig
from minidet.experiments.lock import locked
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.training import train
from minidet.runs import load_metrics, load_settings
from tests.cli.commands import SHAPES, SMALL, train_command, words
from tests.datasets import write_image, write_voc

pytestmark = pytest.mark.slow


def test_train_with_suggested_anchors_and_tensorboard(tmp_path, monkeypatch, capsys):
    points = []
    writer = SimpleNamespace(add_scalar=lambda *point: points.append(point), flush=lambda: None)
    monkeypatch.setattr("minidet.pytorch.tensorboard.summary_writer", lambda: lambda folder: writer)
    small = [setting for setting in SMALL if "anchors" not in setting]
    settings = [*SHAPES, "data.min_size=6", "data.max_size=20", "training.iterations=1", "model.anchors.offset=0.25"]
    assert (
        main(train_command(tmp_path / "run", "--anchors", "suggested", "--tensorboard", settings=settings, small=small))
        == 0
    )
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
    names = {"config.json", "metrics.jsonl", "checkpoint.pt", "model.pt", "best.pt"}
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
    def interrupted(model, data, *arguments, **more):
        class Interrupted:
            def batch(self, iteration, rank=0, processes=1):
                if iteration == 3:
                    raise KeyboardInterrupt
                return data.batch(iteration, rank, processes)

        return train(model, Interrupted(), *arguments, **more)

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
    assert main(["train", "--out", str(tmp_path / "parts"), "--resume", "--set", "val.images=2"]) == 0
    assert load_settings(tmp_path / "parts")["val"]["images"] == 2
    assert json.loads((tmp_path / "parts/evaluation.json").read_text())["images"] == 2


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
    assert main(words("evaluate", tmp_path / "run", "--data", tmp_path / "voc", "--split", "train")) == 0
    per_class = json.loads((tmp_path / "run/evaluation_voc_train.json").read_text())["per_class"]
    assert all(per_class[name]["AP"] >= 0 for name in ("cat", "dog"))


@pytest.mark.parametrize(("more", "message"), [
    (["--set", "model.dept=18"], "model.dept is not a setting: did you mean model.depth? There are num_classes, depth"),
    (["--set", "training.resize.side=18"], " There are shorter_side, longer_side"),
    (["--set", "training.channels_last=no"], "channels_last = 'no' must be true or false"),
    (["--set", "training.optimizer=lion"], "optimizer = 'lion' must be one of 'sgd', 'adamw'"),
    (["--set", "training.los.kind=hinge"], "did you mean training.loss.kind? There are iterations"),
    (["--set", "data.imags=3"], "imags is not an option of shapes, which is read by Shapes: did you mean images? It"),
    (["--set", "val.imags=3"], "did you mean images? It has"),
    (["--set", "data.colour=1"], "colour is not an option of shapes"),
    (["--set", "learning_rate=1"], "give SECTION.FIELD=VALUE, SECTION being one of model, training, data, val"),
    (["--set", "schedule.rate=1"], "give SECTION.FIELD=VALUE"),
    (["--backbone-weights", "nowhere.pth"], "nowhere.pth"),
    (["--val", "nowhere"], "does not exist"),
    (["--split", "train"], "--split is not an option of shapes"),
    (["--val-image-folder", "images"], "--val-image-folder is not an option of shapes"),
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
    (["evaluate", "{}"], "does not exist: give the folder of a"),
    (["detect", "{}", __file__], "does not exist: give the folder of a"),
])  # fmt: skip
def test_what_is_missing_is_told(tmp_path, capsys, words, message):
    assert main([word.format(tmp_path / "none") for word in words]) == 1
    assert message in capsys.readouterr().err


def small_coco(folder, tmp_path, change):
    """A copy of a COCO folder whose annotations were changed in place."""
    out = shutil.copytree(folder, tmp_path / "coco")
    return out, rewrite(out, change)


def rewrite(out, change):
    content = json.loads((out / "annotations.json").read_text())
    change(content)
    (out / "annotations.json").write_text(json.dumps(content))
    return content


@pytest.mark.parametrize("more", [
    ["--split", "train"], ["--preset", "tiny"], ["--shorter-side", "64"], ["--backbone-weights", "missing.pth"],
    ["--val", "nowhere"], ["--val-split", "val"], ["--image-folder", "images"], ["--images", "99"], ["--seed", "0"],
    ["--val-seed", "0"], ["--min-size", "9"],
], ids=lambda more: more[0])  # fmt: skip
def test_resuming_refuses_by_name_what_it_cannot_apply(run, capsys, more):
    """Of each option alone; several are all named."""
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert main(words("train", "--out", run, "--resume", "--anchors", "tiny", *more)) == 1
    error = capsys.readouterr().err
    assert more[0] in error
    assert "--anchors" in error
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_resuming_begun_with_data_knows_its_classes_and_images(folder, tmp_path, capsys):
    data, _ = small_coco(folder, tmp_path, lambda content: None)
    assert main(train_command(tmp_path / "run", data=data, settings=[])) == 0
    listed = json.loads((tmp_path / "run/images.json").read_text())
    assert [name for name, _ in listed] == [0, 1, 2]
    again = words("train", "--out", tmp_path / "run", "--resume")
    assert main(again) == 0
    original = json.loads((data / "annotations.json").read_text())

    def resumed(change, *more):
        (data / "annotations.json").write_text(json.dumps(original))
        rewrite(data, change)
        capsys.readouterr()
        return main([*again, *more]), capsys.readouterr().err

    def rename(content):
        content["categories"][1]["name"] = "frog"

    def swap(content):
        first, second = content["categories"][:2]
        first["name"], second["name"] = second["name"], first["name"]

    for change, names in ((rename, ["'frog'"]), (swap, ["class 0 was 'disk'", "class 1 was 'square'"])):
        for more in ([], ["--changed-data"]):
            status, error = resumed(change, *more)
            assert status == 1
            assert "classes of coco have changed" in error
            assert all(name in error for name in names), error

    def fewer(content):
        content["images"] = content["images"][:2]
        content["annotations"] = [item for item in content["annotations"] if item["image_id"] < 2]

    def moved(content):
        content["annotations"][0]["bbox"][2] -= 0.5

    for change, told in ((fewer, "1 removed (2)"), (moved, "1 annotated anew (0)")):
        status, error = resumed(change)
        assert (status, told in error) == (1, True), error
        assert "--changed-data" in error
    assert json.loads((tmp_path / "run/images.json").read_text()) == listed
    status, error = resumed(moved, "--changed-data")
    assert (status, "1 annotated anew" in error) == (0, True)
    assert resumed(moved)[0] == 0  # the list is the new one


def test_a_folder_with_a_run_keeps_its_list_of_images(folder, tmp_path, capsys):
    data, _ = small_coco(folder, tmp_path, lambda content: None)
    assert main(train_command(tmp_path / "run", data=data, settings=[])) == 0
    before = (tmp_path / "run/images.json").read_bytes()
    rewrite(data, lambda content: content["images"].pop())
    assert main(train_command(tmp_path / "run", data=data, settings=[])) == 1
    assert "already holds a run" in capsys.readouterr().err
    assert (tmp_path / "run/images.json").read_bytes() == before


def nothing_annotated(content):
    content["annotations"] = []


def all_crowd(content):
    for item in content["annotations"]:
        item["iscrowd"] = 1


def no_categories(content):
    content["annotations"], content["categories"] = [], []


def images_missing(content):
    for item in content["images"]:
        item["file_name"] = f"lost/{item['file_name']}"


@pytest.mark.parametrize(("change", "message"), [
    (nothing_annotated, "holds no object to learn from: 3 images, 0 objects to be ignored, no faults"),
    (all_crowd, "holds no object to learn from: 3 images, 24 objects to be ignored"),
    (no_categories, "holds no object to learn from"),
    (images_missing, "holds no image to learn from: 0 images, 0 objects to be ignored, 3 faults (3 missing image)"),
])  # fmt: skip
def test_nothing_to_learn_from(folder, tmp_path, capsys, change, message):
    data, _ = small_coco(folder, tmp_path, change)
    assert main(train_command(tmp_path / "run", data=data, settings=[])) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_nothing_to_measure_on_is_told_before_training(folder, tmp_path, capsys):
    val, _ = small_coco(folder, tmp_path, images_missing)
    assert main(train_command(tmp_path / "run", "--val", val, data=folder, settings=[])) == 1
    assert "coco holds no image to measure on" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("path", ["pytorch", "reference"])
def test_an_image_that_cannot_be_measured_costs_no_step(folder, tmp_path, capsys, path):
    """What was learnt before it is kept, and the evaluation that failed is made when the run goes on."""
    val = shutil.copytree(folder, tmp_path / "coco")
    image = val / "images/000001.png"
    whole = image.read_bytes()
    image.write_bytes(whole[:1000])
    out = tmp_path / "run"
    more = ["--path", path, "--val", val]
    assert main(train_command(out, *more, data=folder, settings=["training.evaluate_every=3"])) == 1
    error = capsys.readouterr().err
    assert f"{image} cannot be decoded" in error
    assert f"go on from the last checkpoint with: minidet train --out {out} --resume" in error
    assert [line["iteration"] for line in load_metrics(out)] == [1, 2, 3]
    assert main(words("train", "--out", out, "--resume")) == 1  # it is still broken
    image.write_bytes(whole)
    assert main(words("train", "--out", out, "--resume")) == 0
    assert [(line["iteration"], "AP" in line) for line in load_metrics(out)] == [
        (1, False), (2, False), (3, False), (3, True), (4, False), (4, True),
    ]  # fmt: skip


def test_two_trainings_in_one_folder(tmp_path, capsys):
    with locked(tmp_path / ".run.training"):
        assert main(train_command(tmp_path / "run", "--resume")) == 1
    assert "another process is training in" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_faults_of_both_data_sets_are_told(folder, tmp_path, capsys):
    def one_missing(content):
        content["images"][1]["file_name"] = "lost.png"

    val, _ = small_coco(folder, tmp_path, one_missing)
    assert main(train_command(tmp_path / "run", "--val", val, data=folder, settings=[])) == 0
    assert "to evaluate on: coco: 2 images, 6 classes, 1 fault (1 missing image)" in capsys.readouterr().out
    record = json.loads((tmp_path / "run/evaluation.json").read_text())
    assert record["images"] == 2
    assert record["faults"] == {"missing image": 1}


def test_what_is_learnt_from_is_no_measure_and_that_is_told(folder, tmp_path, capsys):
    def first_moved(content):
        content["annotations"][0]["bbox"][2] -= 1

    assert main(train_command(tmp_path / "unmeasured", data=folder, settings=[])) == 0
    said = capsys.readouterr()
    assert "nothing to evaluate on: --val-fraction 0.2" in said.out
    assert "also learnt from" not in said.err
    assert main(words("evaluate", tmp_path / "unmeasured", "--data", folder)) == 0
    assert "also learnt from: 3 of 3 images to evaluate on (" in capsys.readouterr().err
    val, _ = small_coco(folder, tmp_path, first_moved)
    assert main(train_command(tmp_path / "run", "--val", val, data=folder, settings=[])) == 0
    said = capsys.readouterr()
    assert "also learnt from: 2 of 3 images to evaluate on (" in said.err
    assert "nothing to evaluate on" not in said.out


def test_options_of_data_sets_are_those_of_every_command(folder, tmp_path):
    """--image-folder for the data and for what is evaluated on, as `inspect` has it."""
    data = shutil.copytree(folder, tmp_path / "coco")
    (data / "images").rename(tmp_path / "elsewhere")
    there = tmp_path / "elsewhere"
    more = ["--image-folder", str(there), "--val", str(data), "--val-image-folder", str(there)]
    assert main(train_command(tmp_path / "run", *more, data=data, settings=[])) == 0
    settings = RunSettings.from_dict(load_settings(tmp_path / "run"))
    assert settings.data == settings.val == {"source": str(data), "images": str(there)}
    assert main(words("evaluate", tmp_path / "run")) == 0
    assert main(words("inspect", data, "--image-folder", there, "--out", tmp_path)) == 0


def test_options_of_shapes_in_words(tmp_path):
    more = ["--images", "5", "--seed", "3", "--min-size", "20", "--max-size", "40", "--val-images", "2"]
    assert main(train_command(tmp_path / "run", *more, settings=["data.image_size=[64,64]"])) == 0
    settings = RunSettings.from_dict(load_settings(tmp_path / "run"))
    assert {name: settings.data[name] for name in ("images", "seed", "min_size", "max_size")} == {
        "images": 5, "seed": 3, "min_size": 20, "max_size": 40,
    }  # fmt: skip
    assert settings.val == {
        "source": "shapes", "image_size": [64, 64], "min_size": 20, "max_size": 40, "images": 2, "seed": 4,
    }  # fmt: skip


def test_a_run_is_not_made_over_the_images_that_it_learns_from(folder, tmp_path, capsys):
    data, _ = small_coco(folder, tmp_path, lambda content: content["images"][0].update(file_name="curves.png"))
    images = data / "images"
    (images / "000000.png").rename(images / "curves.png")
    before = (images / "curves.png").read_bytes()
    assert main(train_command(images, data=data, settings=[])) == 1
    assert "curves.png is read by this command and would be overwritten" in capsys.readouterr().err
    assert (images / "curves.png").read_bytes() == before
    assert not (images / "config.json").exists()


def test_a_misspelt_class_to_evaluate_on_is_named_with_its_file_and_the_remedy(tmp_path, capsys):
    write_voc(tmp_path / "learn", "a", ("RBC", (1, 1, 20, 20)), ("WBC", (5, 5, 25, 25)))
    write_voc(tmp_path / "measure", "b", ("RBC", (1, 1, 20, 20)))
    write_voc(tmp_path / "measure", "c", ("RCB", (1, 1, 20, 20)))
    command = train_command(
        tmp_path / "run", "--val", tmp_path / "measure", data=tmp_path / "learn", settings=["model.width=8"]
    )
    assert main(command) == 1
    assert (
        "measure has classes that the model does not know: RCB (first in c.jpg). The model knows RBC, WBC: correct the "
        "names in these annotations, or train on data that has these classes"
    ) in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
