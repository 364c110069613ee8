"""`minidet evaluate`: what is measured, and where the numbers go."""

from __future__ import annotations

import json
import shutil

import pytest

from minidet.cli import main
from minidet.evaluation import coco_metrics
from minidet.runs import load_settings
from tests.cli.commands import words
from tests.datasets import write_voc

pytestmark = pytest.mark.slow


def test_evaluate_agrees_with_the_files_it_writes(run, folder, tmp_path, capsys):
    command = words("evaluate", run, "--data", folder)
    assert main([*command, *words("--json", tmp_path / "a.json", "--detections", tmp_path / "b.json")]) == 0
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


def test_classes_that_the_model_does_not_know(run, tmp_path, capsys):
    write_voc(tmp_path / "voc", "image", ("cat", (1, 1, 20, 20)))
    assert main(["evaluate", str(run), "--data", str(tmp_path / "voc")]) == 1
    assert "classes that the model does not know: cat (first in image.jpg). The model knows " in capsys.readouterr().err


def record(run, name="evaluation.json"):
    return json.loads((run / name).read_text())


def test_images_and_seed_are_heeded_whenever_shapes_are_measured_on(run):
    """The run's own images are 3 shapes of 64 pixels with seed 1."""
    own = (run / "evaluation.json").read_bytes()
    assert main(words("evaluate", run, "--images", 1)) == 0
    assert (run / "evaluation.json").read_bytes() == own
    first = record(run, "evaluation_shapes.json")
    assert first["images"] == 1
    assert first["data"] == {
        "source": "shapes", "image_size": [64, 64], "objects": [1, 3], "distractors": [0, 0], "images": 1, "seed": 1,
    }  # fmt: skip
    assert main(words("evaluate", run, "--images", 1)) == 0  # the same again has the same place
    assert main(words("evaluate", run, "--images", 1, "--seed", 5)) == 0
    assert record(run, "evaluation_shapes_2.json")["data"]["seed"] == 5
    assert record(run, "evaluation_shapes.json") == first
    assert sorted(path.name for path in run.glob("evaluation*")) == [
        "evaluation.json", "evaluation_shapes.json", "evaluation_shapes_2.json",
    ]  # fmt: skip
    assert main(words("evaluate", run)) == 0
    assert (run / "evaluation.json").read_bytes() == own  # measured again: the same numbers


@pytest.mark.parametrize("name", ["config.json", "model.pt", "evaluation.json"])
def test_other_data_never_takes_the_place_of_a_file_of_the_run(run, folder, capsys, name):
    before = (run / name).read_bytes()
    for option in ("--json", "--detections"):
        assert main(words("evaluate", run, "--data", folder, option, run / name)) == 1
        assert "would be overwritten" in capsys.readouterr().err
    assert main(words("evaluate", run, "--data", folder)) == 0
    assert (run / name).read_bytes() == before
    assert record(run, "evaluation_shapes.json")["images"] == 3


def test_annotations_are_not_overwritten(run, folder, tmp_path, capsys):
    data = shutil.copytree(folder, tmp_path / "coco")
    before = (data / "annotations.json").read_bytes()
    assert main(words("evaluate", run, "--data", data, "--detections", data / "annotations.json")) == 1
    assert "annotations.json is read by this command and would be overwritten" in capsys.readouterr().err
    assert (data / "annotations.json").read_bytes() == before


def test_none_left_to_measure_is_an_error_that_overwrites_nothing(run, folder, tmp_path, capsys):
    data = shutil.copytree(folder, tmp_path / "coco")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    for path in (data / "images").glob("*.png"):
        path.unlink()
    assert main(words("evaluate", run, "--data", data)) == 1
    error = capsys.readouterr().err
    assert "coco holds no image to measure on" in error
    assert "3 faults (3 missing image)" in error
    shutil.copytree(folder / "images", data / "images", dirs_exist_ok=True)
    content = json.loads((data / "annotations.json").read_text())
    for item in content["annotations"]:
        item["iscrowd"] = 1
    (data / "annotations.json").write_text(json.dumps(content))
    assert main(words("evaluate", run, "--data", data)) == 1
    assert "coco holds no object to measure on: 3 images" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_what_is_left_out_is_counted(run, folder, tmp_path, capsys):
    data = shutil.copytree(folder, tmp_path / "coco")
    (data / "images/000001.png").unlink()
    assert main(words("evaluate", run, "--data", data)) == 0
    assert "coco: 1 fault (1 missing image)" in capsys.readouterr().err
    assert record(run, "evaluation_coco.json")["faults"] == {"missing image": 1}
    assert record(run, "evaluation_coco.json")["images"] == 2


def test_detections_have_the_ids_of_the_data_that_is_measured(run, folder, tmp_path, capsys):
    """Other category ids in another order, and a class less: the file scores the same against that file."""
    data = shutil.copytree(folder, tmp_path / "coco")
    content = json.loads((data / "annotations.json").read_text())
    ids = {old: 90 - 7 * place for place, old in enumerate(item["id"] for item in content["categories"])}
    for item in content["categories"]:
        item["id"] = ids[item["id"]]
    for item in content["annotations"]:
        item["category_id"] = ids[item["category_id"]]
    gone = content["categories"].pop()["id"]
    content["annotations"] = [item for item in content["annotations"] if item["category_id"] != gone]
    (data / "annotations.json").write_text(json.dumps(content))
    command = words("evaluate", run, "--data", data, "--json", tmp_path / "a.json")
    assert main([*command, "--detections", str(tmp_path / "b.json")]) == 0
    assert "detections of classes that coco does not have are left out" in capsys.readouterr().err
    written = {entry["category_id"] for entry in json.loads((tmp_path / "b.json").read_text())}
    assert len(written) > 1
    assert written <= {item["id"] for item in content["categories"]}
    wanted = json.loads((tmp_path / "a.json").read_text())["metrics"]
    assert wanted["AP50"] > 0
    assert coco_metrics(data / "annotations.json", tmp_path / "b.json") == pytest.approx(wanted, abs=1e-9)
