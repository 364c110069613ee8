"""The command itself: its help, what it imports, what it says on a foreign terminal and when a package is missing."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys

import pytest

from minidet.cli import COMMANDS, main
from minidet.config import RunSettings
from minidet.files import write_json
from tests.datasets import write_image

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["train", "evaluate", "detect", "inspect"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as status:
        main([command, "--help"])
    assert status.value.code == 0
    assert "--out" in (told := capsys.readouterr().out) or "--json" in told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__)
def test_every_command_is_explained(command, capsys):
    name = command.__name__.rpartition(".")[2]
    with pytest.raises(SystemExit) as status:
        main([name, "--help"])
    assert status.value.code == 0
    assert f"minidet {name}" in capsys.readouterr().out


@pytest.mark.subprocess
def test_help_waits_for_nothing_heavy():
    code = """
import sys
from minidet.cli import main
from minidet.config import RunSettings
from minidet.files import write_json
try:
    main(["train", "--help"])
except SystemExit:
    pass
heavy = ("torch", "numba", "matplotlib", "PIL", "tqdm", "minidet.data", "minidet.experiments", "minidet.reference")
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


@pytest.mark.subprocess
def test_as_a_module():
    result = subprocess.run([sys.executable, "-m", "minidet", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("minidet ")


def test_symbols_on_a_terminal_that_has_none(monkeypatch):
    """A redirected stdout on Windows has the encoding cp1252, which knows no gamma: the file becomes UTF-8."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    assert main(["experiments", "table", "1b"]) == 0
    sys.stdout.flush()
    assert "γ" in written.getvalue().decode("utf-8")


@pytest.mark.parametrize("command", [
    ["train", "--data", "shapes", "--out", "{}/new"], ["evaluate", "{}"], ["detect", "{}", "{}/a.png"],
])  # fmt: skip
@pytest.mark.subprocess
def test_without_pytorch_it_says_what_to_install(command, tmp_path):
    """To train with PyTorch, or to open what was trained with it."""
    write_json(tmp_path / "config.json", RunSettings().to_dict())
    write_image(tmp_path / "a.png")
    code = f"""
import sys
sys.modules["torch"] = None
from minidet.cli import main
sys.exit(main({[word.format(tmp_path) for word in command]!r}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == "minidet: this command needs PyTorch: pip install 'minidet[train]'\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.subprocess
def test_without_pytorch_the_rest_works(folder, tmp_path):
    code = f"""
import sys
sys.modules["torch"] = None
from minidet.cli import main
from minidet.evaluation import coco_metrics
truth = {str(folder / "annotations.json")!r}
assert coco_metrics(truth, [])["AP"] == 0
commands = (
    ["inspect", {str(folder)!r}, "--out", {str(tmp_path)!r}], ["experiments", "table", "1b"],
    ["assignment", "make", "a1", "--out", {str(tmp_path / "a1")!r}], ["assignment", "points"],
    ["data", "shapes", "--images", "1", "--out", {str(tmp_path / "shapes")!r}],
)
sys.exit(sum(main(words) for words in commands))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.subprocess
@pytest.mark.skipif(os.name == "nt", reason="it has no such shell")
@pytest.mark.parametrize("closed", ["2>&-", "1>&-", "1>&- 2>&-"])
def test_a_stream_that_is_closed_is_not_missed(closed, tmp_path):
    """What is told on one never goes to the other, nor into a file that was opened in its place."""
    minidet = shlex.join([sys.executable, "-m", "minidet"])
    draw = f"{minidet} data shapes --images 1 --height 64 --width 64 --out {shlex.quote(str(tmp_path / 'shapes'))}"
    done = subprocess.run(["sh", "-c", f"{draw} {closed}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "shapes/annotations.json").read_text())
    failed = subprocess.run(
        ["sh", "-c", f"{minidet} inspect nowhere {closed}"], capture_output=True, text=True, check=False
    )
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert ("does not exist" in failed.stderr) == ("2" not in closed)
