"""Use an installed minidet as a newcomer does, in a folder that is no checkout; a command that fails is an error.

$ python .github/smoke.py light|full     # without PyTorch, or with it
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from importlib.metadata import distribution
from pathlib import Path

TINY = [
    word
    for setting in ("training.iterations=2", "training.batch_size=2", "training.warmup=1", "training.workers=0",
                    "data.images=4", "val.images=2")
    for word in ("--set", setting)
]  # fmt: skip
LIGHT = (
    ["--version"],
    ["inspect", "shapes", "--images", "4", "--suggest"],
    ["data", "shapes", "--images", "2", "--out", "shapes"],
    ["inspect", "shapes/annotations.json"],
    ["experiments", "list", "1b"],
    ["experiments", "table", "1b"],
    ["assignment", "make", "a1", "--out", "a1"],
    ["assignment", "grade", "a1", "a1"],
    ["assignment", "instructions"],
)
FULL = (
    ["train", "--data", "shapes", "--out", "run", *TINY],
    ["train", "--out", "run", "--resume"],
    ["evaluate", "run", "--images", "1"],
    ["detect", "run", "shapes/images/000000.png", "--out", "found"],
)


def minidet(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder."""
    return subprocess.run([sys.executable, "-m", "minidet", *words], cwd=folder, capture_output=True, text=True)


def check(kind: str) -> None:
    """Run the commands of one kind of installation."""
    files = {str(file) for file in distribution("minidet").files or ()}
    assert "minidet/py.typed" in files, "the package lacks py.typed: its types are invisible"
    assert (importlib.util.find_spec("torch") is not None) == (kind == "full"), "this is the other kind of installation"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for words in (*LIGHT, *(FULL if kind == "full" else ())):
            done = minidet(words, folder)
            print(f"minidet {' '.join(words)}: {done.returncode}")
            assert done.returncode == 0, done.stdout + done.stderr
        if kind == "light":
            check_light(folder)


def check_light(folder: Path) -> None:
    """What needs PyTorch says so; the compiled path and the evaluation work without it."""
    train = ["train", "--data", "shapes", "--out", "run", *TINY]
    done = minidet(train, folder)
    print(f"minidet train: {done.stderr.strip()}")
    assert done.returncode == 1, done.stdout
    assert done.stderr.strip() == "minidet: this command needs PyTorch: pip install 'minidet[train]'"
    for words in ([*train, "--path", "compiled"], ["evaluate", "run", "--images", "1"]):
        done = minidet(words, folder)
        print(f"minidet {' '.join(words)}: {done.returncode}")
        assert done.returncode == 0, done.stdout + done.stderr
    code = "from minidet.evaluation import coco_metrics; print(coco_metrics('shapes/annotations.json', [])['AP'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.stdout.strip() == "0.0", done.stdout + done.stderr


if __name__ == "__main__":
    if sys.argv[1:] not in (["light"], ["full"]):
        sys.exit("give light or full")
    check(sys.argv[1])
