"""Where commands write, as far as it can be told before any work is done."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from minidet.cli import main
from minidet.cli.outputs import check_outputs
from tests.cli.commands import words


def test_where_nothing_can_be_written_is_told_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "closed").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "closed" and access(path, mode))
    for name, told in (
        ("", "is a folder: give the path of a file, such as"),
        ("file/a.json", "file is a file and not a folder"),
        ("file/deeper/a.json", "file is a file and not a folder"),
        ("closed/a.json", "closed is not writable"),
        ("closed/deeper/a.json", "closed is not writable"),
    ):
        with pytest.raises(ValueError, match=told):
            check_outputs([None, tmp_path / "fine.json", tmp_path / name])
    check_outputs([tmp_path / "new/deeper/a.json", tmp_path / "file", Path("relative.json"), Path(os.devnull)])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["closed", "file"]


@pytest.mark.slow
def test_a_folder_in_place_of_a_file_costs_no_measurement(run, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("minidet.evaluation.detector.evaluate_model", lambda *_: pytest.fail("it was measured"))
    (tmp_path / "numbers").mkdir()
    for option in ("--json", "--detections"):
        assert main(words("evaluate", run, "--data", folder, option, tmp_path / "numbers")) == 1
        assert "numbers is a folder: give the path of a file" in capsys.readouterr().err
    assert main(words("export", run, "--npz", tmp_path / "numbers")) == 1
    assert "numbers is a folder" in capsys.readouterr().err
    monkeypatch.setattr("minidet.inspection.inspect", lambda *_: pytest.fail("it was looked through"))
    assert main(words("inspect", folder, "--json", tmp_path / "numbers", "--out", tmp_path)) == 1
    assert "numbers is a folder" in capsys.readouterr().err


def test_a_tilde_is_the_home_folder(folder, tmp_path, monkeypatch, capsys):
    """In paths and in words that may be paths, wherever the shell has left it as it was."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "data"))
    for command in (
        ["data", "convert", "~/data", "--to", "voc", "--out=~/voc"],
        ["data", "shapes", "--images=1", "--out=~/s"],
    ):
        assert main(command) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"data", "voc", "s"}
    for command, told in (
        (["inspect", "~/none"], str(tmp_path / "none")),
        (["inspect", "~/data", "--image-folder=~/none"], str(tmp_path / "none")),
        (["train", "--data=~/none", "--out=~/run"], str(tmp_path / "none")),
        (["evaluate", "~/run"], str(tmp_path / "run")),
        (["evaluate", "run~"], "run~"),
        (["inspect", "~no such user/none"], "~no such user/none"),
        (["inspect", "./~"], "./~"),
    ):
        assert main(command) == 1
        assert told in capsys.readouterr().err
    assert not (tmp_path / "data/~").exists()
