"""What a user is told of the data before it is trained or measured on: notes, missing images, changes."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from minidet.cli import main, train
from minidet.cli.identity import measured_otherwise, remembered
from minidet.cli.outputs import training_lock
from minidet.cli.plan import plan
from minidet.data import Part, open_dataset
from minidet.data.summary import notes
from minidet.files import write_json
from tests.cli.commands import train_command, words
from tests.cli.test_sources import parsed
from tests.datasets import write_image


@pytest.fixture
def yolo(tmp_path):
    """Eight images in one folder, of which the last four have no text file."""
    for i in range(8):
        write_image(tmp_path / f"yolo/{i}.png", seed=i)
    for i in range(4):
        (tmp_path / f"yolo/{i}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (tmp_path / "yolo/classes.txt").write_text("cat\n")
    return tmp_path / "yolo"


def told(capsys, run, *command):
    """What is said on stderr before the training of a run, which is planned and checked as the command does it."""
    options = parsed(train, words(*command))
    ready = plan(options)
    capsys.readouterr()
    train._check(options, ready, first=True)
    with remembered(run, ready.dataset, ready.unseen):
        write_json(run / "config.json", ready.settings.to_dict())
    return capsys.readouterr().err


UNLABELLED = "yolo: 4 of 8 images have no text file: taken as images without objects\n"


def test_images_without_annotations_are_told(yolo, tmp_path, capsys):
    run = tmp_path / "run"
    for more in ([], ["--val-fraction", "0.4"]):
        assert told(capsys, run, *train_command(run, *more, data=yolo, settings=[])).count(UNLABELLED) == 1
    assert notes(Part(open_dataset(yolo), without=["0"])) == [UNLABELLED.strip()]
    assert notes(open_dataset("shapes")) == []


def test_images_that_were_held_out_and_are_gone_are_told(yolo, tmp_path, capsys):
    run, resume = tmp_path / "run", ["train", "--out", tmp_path / "run", "--resume"]
    told(capsys, run, *train_command(run, "--val-fraction", "0.4", data=yolo, settings=[]))
    settings = json.loads((run / "config.json").read_text())
    labelled = next(name for name in settings["val"]["only"] if name in "0123")
    first, second = (name for name in settings["val"]["only"] if name != labelled)
    assert told(capsys, run, *resume) == UNLABELLED
    for name in (first, second):
        (yolo / f"{name}.png").unlink()
        (yolo / f"{name}.txt").unlink(missing_ok=True)
    part = open_dataset(**settings["val"])
    assert [(fault.kind, fault.image_id) for fault in part.faults] == [
        ("missing image", first),
        ("missing image", second),
    ]
    assert part.faults[0].detail == (
        f"image {first} of yolo belongs to this part but is no longer in the data: left out; put it back"
    )
    assert open_dataset(**settings["data"]).faults == []  # it learns from what it learnt from
    said = told(capsys, run, *resume)
    assert (
        f"2 images that belonged to this part when the data was divided are no longer there ({first}, {second})" in said
    )
    assert f"to evaluate on have changed since the run was trained last: 2 removed ({first}, {second})" in said


def test_an_image_that_its_reader_misses_is_one_fault(folder, tmp_path):
    data = shutil.copytree(folder, tmp_path / "coco")
    (data / "images/000001.png").unlink()
    for only in ([1, 2], iter([1, 2])):
        assert [(fault.kind, fault.image_id) for fault in open_dataset(data, only=only).faults] == [
            ("missing image", 1)
        ]


def test_changes_of_what_is_evaluated_on_are_told(yolo, tmp_path, capsys):
    val, run = shutil.copytree(yolo, tmp_path / "val"), tmp_path / "run"
    resume = ["train", "--out", run, "--resume"]
    assert measured_otherwise(run, open_dataset(val)) is None  # there is no run yet
    told(capsys, run, *train_command(run, "--val", val, data=yolo, settings=[]))
    assert "have changed" not in told(capsys, run, *resume)
    (val / "0.txt").write_text("0 0.5 0.5 0.4 0.4\n")
    (val / "7.png").unlink()
    said = told(capsys, run, *resume)
    assert (
        "the images of val to evaluate on have changed since the run was trained last: 1 removed (7), 1 annotated anew "
        "(0). Its AP before and after are not of the same images, and the best weights and --patience go by both"
    ) in said
    assert "have changed" not in told(capsys, run, *resume)  # the list is the new one


@pytest.mark.slow
def test_evaluate_tells_it_too(run, folder, tmp_path, capsys):
    assert main(words("data", "convert", folder, "--to", "yolo", "--out", tmp_path / "yolo")) == 0
    next((tmp_path / "yolo/labels").glob("*.txt")).unlink()
    assert main(words("evaluate", run, "--data", tmp_path / "yolo", "--json", tmp_path / "a.json")) == 0
    assert "yolo: 1 of 3 images have no text file" in capsys.readouterr().err


def test_where_nothing_can_be_written_beside_a_run_its_lock_is_in_it(tmp_path, monkeypatch):
    run = tmp_path / "mounted/run"
    assert training_lock(run) == tmp_path / "mounted/.run.training"
    run.mkdir(parents=True)
    assert training_lock(run) == tmp_path / "mounted/.run.training"
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "mounted" and access(path, mode))
    assert training_lock(run) == run / ".training"
    with train._alone(run):
        assert [path.name for path in run.iterdir()] == [".training"]
        with pytest.raises(ValueError, match="another process is training in"), train._alone(run):
            pass
    assert list(run.iterdir()) == []
