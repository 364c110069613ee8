"""What the tests of the commands share: a small data set, and a run that was trained."""

from __future__ import annotations

import pytest

from minidet.cli import main
from tests.cli.commands import train_command, words


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A COCO folder of three images of shapes."""
    out = tmp_path_factory.mktemp("data") / "shapes"
    assert main(words("data", "shapes", "--out", out, "--images", 3, "--height", 64, "--width", 80)) == 0
    return out


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A run of four steps, with scores above the threshold of detection."""
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(train_command(out, "--set", "model.prior=0.3")) == 0
    return out


@pytest.fixture
def run(trained, tmp_path):
    """A copy of that run, free to be written into."""
    import shutil

    return shutil.copytree(trained, tmp_path / "trained")
