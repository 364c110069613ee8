"""What people ask for again and again, through the commands: from a folder that trains with one command onwards."""

from __future__ import annotations

import json
import shutil

import pytest

from minidet.cli import main
from minidet.config import RunSettings
from minidet.data import open_dataset, recognise
from minidet.data.batches import TrainingData
from minidet.pytorch import load_model
from minidet.runs import load_metrics, load_settings
from tests.cli.commands import SMALL, train_command, words
from tests.datasets import write_voc

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """Images and annotations in two folders of lower-case names, no lists; one box has no area."""
    root = tmp_path_factory.mktemp("animals")
    for i in range(6):
        boxes = [(("cat", "dog")[i % 2], (2 + i, 3, 30 + i, 25))] + ([("cat", (5, 5, 5, 9))] if i == 3 else [])
        write_voc(root, f"a{i}", *boxes, annotations="annotations", images="images")
    return root


@pytest.fixture(scope="module")
def run(animals, tmp_path_factory):
    """A run of one command."""
    out = tmp_path_factory.mktemp("runs") / "animals"
    more = ["--val-fraction", "0.34", "--set", "model.prior=0.3", "--set", "training.crop=0.5"]
    assert main(train_command(out, *more, data=animals, settings=[])) == 0
    return out


def test_a_folder_without_lists_trains_with_one_command(animals, run, capsys):
    settings = load_settings(run)
    held = settings["val"]["only"]
    assert settings["data"]["without"] == held
    assert len(held) == 2
    assert {int(name[1]) % 2 for name in held} == {0, 1}  # one of each class
    listed = [name for name, _ in json.loads((run / "images.json").read_text())]
    assert set(listed) == {f"a{i}" for i in range(6)} - set(held)
    faults = json.loads((run / "faults.json").read_text())
    assert sum(map(len, faults.values())) == 1
    assert (run / "best.pt").exists()
    assert main(words("evaluate", run)) == 0
    told = capsys.readouterr().out
    assert "Pascal VOC in" in told
    assert "from score" in told
    assert {"confusion.png", "mistakes.png"} <= {path.name for path in run.iterdir()}
    assert set(json.loads((run / "evaluation.json").read_text())["thresholds"]) == {"cat", "dog"}


def test_the_same_data_in_every_form_gives_the_same_first_step(animals, tmp_path):
    """To the bit: the boxes, the batch with its assignment, the losses of the step, and the weights after it."""
    sources = {"voc": animals, "coco": tmp_path / "coco", "yolo": tmp_path / "yolo"}
    small = [*SMALL, "training.iterations=1", "training.warmup=0", "model.assignment.force_match=true"]
    seen, weights = {}, {}
    for kind, source in sources.items():
        if kind != "voc":
            assert main(words("data", "convert", animals, "--to", kind, "--out", source)) == 0
        dataset = open_dataset(source)
        assert recognise(source).kind == kind
        run = tmp_path / "runs" / kind
        assert main(train_command(run, data=source, settings=[], small=small)) == 0
        settings = RunSettings.from_dict(load_settings(run))
        batch = TrainingData(dataset, settings.model, settings.training).batch(0)
        (losses,) = load_metrics(run)
        seen[kind] = [
            *(dataset.record(i).boxes.tobytes() for i in range(len(dataset))), dataset.classes,
            batch.images.tobytes(), batch.assignments.tobytes(), losses["classification"], losses["box"],
        ]  # fmt: skip
        weights[kind] = load_model(run).state_dict()
    assert seen["voc"] == seen["coco"] == seen["yolo"]
    assert seen["voc"][-1] > 0  # there was something to learn
    for name, value in weights["voc"].items():
        assert all(value.equal(weights[kind][name]) for kind in sources), name


@pytest.mark.slow
def test_it_goes_on_for_longer_and_ends_without_progress(run, tmp_path, capsys):
    longer = shutil.copytree(run, tmp_path / "longer")
    assert main(words("train", "--out", longer, "--resume", "--steps", 6)) == 0
    assert load_settings(longer)["training"]["iterations"] == 6
    assert load_metrics(longer)[-1]["iteration"] == 6
    assert main(words("train", "--out", longer, "--resume", "--steps", 9, "--patience", 1)) == 0
    assert load_metrics(longer)[-1]["iteration"] < 9  # AP stays what it is
    assert "AP has not risen in the last" in capsys.readouterr().out
    assert main(words("train", "--out", longer, "--resume", "--steps", 3)) == 1
    assert "training.iterations = 9, not 3" in capsys.readouterr().err


def test_fine_tuning_with_other_classes(run, animals, tmp_path, capsys):
    other = shutil.copytree(animals, tmp_path / "other")
    for path in (other / "annotations").iterdir():
        path.write_text(path.read_text().replace("dog", "horse"))
    training = [setting for setting in SMALL if setting.startswith("training.")]
    assert main(train_command(tmp_path / "run", "--weights", run, data=other, settings=[], small=training)) == 0
    assert "made new: class_subnet.output" in capsys.readouterr().out
    settings = load_settings(tmp_path / "run")
    assert settings["model"] == load_settings(run)["model"]
    assert settings["classes"] == ["cat", "horse"]


@pytest.mark.slow
def test_detecting_in_a_folder_with_thresholds_of_their_own(run, animals, tmp_path, capsys):
    assert main(words("detect", run, "--best", "--score", "best", "--tiles", 24, animals, "--out", tmp_path)) == 0
    first = {path.name for path in tmp_path.iterdir()}
    assert {f"a{i}.png" for i in range(6)} <= first
    photos = shutil.copytree(animals / "images", tmp_path / "photos")
    for _ in range(2):  # into the folder of the images: pictures of the first time are not taken for images
        assert main(words("detect", run, photos, "--out", photos)) == 0
        assert len(json.loads((photos / "detections.json").read_text())["images"]) == 6
    assert main(words("detect", run, photos, "--score", "much")) == 1
    assert "must be in 0 … 1, or the word best" in capsys.readouterr().err


def test_the_detector_of_the_package(tmp_path, capsys):
    from minidet.data.shapes import Shapes, export_coco

    images = export_coco(Shapes(2, seed=9, image_size=(128, 128), min_size=40, objects=(3, 4)), tmp_path / "shapes")
    for before, after in (([], ["--model", "shapes"]), (["--model=shapes"], [])):
        command = words("detect", *before, images / "images", *after, "--out", tmp_path / "found")
        assert main(command) == 0
    content = json.loads((tmp_path / "found/detections.json").read_text())
    assert [entry["name"] for entry in content["categories"]] == list(Shapes().classes)
    assert any(entry["score"] > 0.5 for entry in content["annotations"])
    with pytest.raises(SystemExit):
        main(words("detect", "--model", "cars", images))
    assert "the package has cells, shapes" in capsys.readouterr().err


def test_options_that_contradict_each_other(animals, tmp_path, capsys):
    for more, told in (
        (["--steps", 3, "--minutes", 1], "--steps and --minutes contradict each other"),
        (["--val-fraction", "0.3", "--val-split", "val"], "--val-fraction"),
        (["--val-fraction", "1.5"], "val_fraction"),
        (["--weights", "shapes", "--backbone-weights", "shapes"], "contradict each other"),
        (["--weights", tmp_path / "none"], "does not exist"),
    ):
        assert main(train_command(tmp_path / "run", *map(str, more), data=animals, settings=[])) == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert main(train_command(tmp_path / "run", "--val-fraction", "0.3")) == 1
    assert "shapes has unseen images of its own" in capsys.readouterr().err
