"""The house: who imports whom, and the same contract in every path."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import minidet

ROOT = Path(minidet.__file__).parent
PATHS = ("reference", "compiled", "pytorch")


def imports_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}


def test_the_paths_do_not_import_each_other():
    for path in PATHS:
        for file in (ROOT / path).glob("*.py"):
            others = [f"minidet.{other}" for other in PATHS if other != path]
            others += ["minidet.data", "minidet.evaluation", "minidet.cli", "minidet.plotting", "minidet.course"]
            if path != "pytorch":
                others.append("torch")
            found = [name for name in imports_of(file) if name.startswith(tuple(others))]
            assert not found, f"{file.relative_to(ROOT)} imports {found}"


def run(code: str) -> str:
    """What a fresh Python prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT.parent).stdout.strip()


@pytest.mark.subprocess
def test_import_minidet_is_light():
    code = "import sys, minidet; print([m for m in ('torch', 'numpy', 'numba', 'matplotlib') if m in sys.modules])"
    assert run(code) == "[]"


@pytest.mark.subprocess
def test_reference_and_compiled_leave_torch_alone():
    code = "import sys, minidet.reference, minidet.compiled; print('torch' in sys.modules)"
    assert run(code) == "False"


@pytest.mark.parametrize("path", PATHS)
def test_the_contract(path):
    """Every path has the same names with the same arguments and defaults as the reference, and it as compiled."""
    module = importlib.import_module(f"minidet.{path}")
    reference = importlib.import_module("minidet.compiled" if path == "reference" else "minidet.reference")
    more = ["RetinaNet", "GroundTruth", "detection_loss", "train", "load_model", "load_settings", "detect_images"]
    assert module.__all__ == reference.__all__ + (more if path == "pytorch" else [])
    assert all(hasattr(module, name) for name in module.__all__)
    for name in reference.__all__:
        ours, wanted = inspect.signature(getattr(module, name)), inspect.signature(getattr(reference, name))
        expected = [(p.name, p.default) for p in wanted.parameters.values()]
        actual = [(p.name, p.default) for p in ours.parameters.values()]
        if name == "pyramid_anchors" and path == "pytorch":  # its default type is float32, and it takes a device
            assert [n for n, _ in actual] == ["image_size", "config", "dtype", "device"]
            continue
        assert actual == expected, name
        assert getattr(module, name).__doc__


@pytest.mark.parametrize("name", [*PATHS, "config", "data", "evaluation", "inspection"])
def test_packages_are_there_after_import_minidet(name):
    assert getattr(minidet, name) is importlib.import_module(f"minidet.{name}")
    assert name in dir(minidet)


@pytest.mark.subprocess
def test_a_package_is_imported_when_it_is_named():
    code = "import sys, minidet; print('numpy' in sys.modules, minidet.reference.__name__, 'numpy' in sys.modules)"
    assert run(code) == "False minidet.reference True"


def test_an_unknown_package():
    with pytest.raises(AttributeError, match="module 'minidet' has no attribute 'tensorflow'"):
        minidet.tensorflow  # noqa: B018


@pytest.mark.subprocess
def test_without_torch_the_pytorch_path_says_what_to_install():
    code = """
import sys
sys.modules["torch"] = None  # as if it were not installed
import minidet
for load in ("import minidet.pytorch", "from minidet.pytorch import box_iou", "minidet.pytorch"):
    try:
        exec(load)
    except ImportError as error:
        print(error.name, error)
"""
    told = "torch minidet.pytorch needs PyTorch, which is not installed: pip install 'minidet[train]'"
    assert run(code).splitlines() == [told] * 3


OPERATIONS = (
    "boxes", "anchors", "assignment", "losses", "star", "softmax", "regression", "stable",
    "nms", "postprocess", "sampling",
)  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_files_in_every_path(name):
    assert all((ROOT / path / f"{name}.py").is_file() for path in PATHS)
