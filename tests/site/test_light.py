"""What needs NumPy and Matplotlib alone, and can run in a browser: the reference, and some chapters."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from chapters.site import runnable

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "numpy", "matplotlib", "mpl_toolkits", "tqdm",
    "PIL", "contourpy", "cycler", "dateutil", "fontTools", "kiwisolver", "packaging", "pyparsing", "six",
}  # fmt: skip
"""NumPy, Matplotlib and what Matplotlib requires itself; tqdm is Python alone and requires nothing."""
NOTEBOOK = {"IPython", "ipywidgets"}
"""What a notebook's surroundings have; a chapter may ask for it."""
GUARD = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder
class Guard:
    def find_spec(name, path=None, target=None):
        known = name[0] == "_" or name.partition(".")[0] in allowed
        return PathFinder.find_spec(name, path, target) if known else None
allowed = {allowed} | set(sys.stdlib_module_names)
sys.meta_path[:] = [BuiltinImporter, FrozenImporter, Guard]
"""
"""Makes every other package look as if it were not installed."""


def run(code: str, more: set[str] = frozenset(), cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run code where only these packages and the project's own can be imported."""
    allowed = ALLOWED | more | {"minidet", "figures"}
    script = GUARD.replace("{allowed}", repr(allowed)) + code
    return subprocess.run([sys.executable, "-c", script], cwd=cwd, capture_output=True, text=True, check=False)


def imports(name: str) -> str:
    """The import statements of a chapter's cells, IPython's surroundings left out."""
    (path,) = (ROOT / "chapters").glob(f"{name}_*.ipynb")
    sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    code = "\n".join(line for source in sources for line in source.split("\n") if not line.startswith(("%", "!")))
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    outside = [node for node in found if _package(node) not in NOTEBOOK]
    return "\n".join(map(ast.unparse, outside))


def _package(node: ast.Import | ast.ImportFrom) -> str:
    name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    return str(name).partition(".")[0]


@pytest.mark.subprocess
def test_the_reference_runs_with_numpy_alone():
    code = "from minidet import reference\nprint(reference.focal_loss([0.0], [1], gamma=2, alpha=None)[0])"
    ran = run(code)
    assert ran.stdout.startswith("0.1732867951"), ran.stderr


@pytest.mark.slow
@pytest.mark.subprocess
@pytest.mark.parametrize("chapter", runnable.RUNNABLE)
def test_a_chapter_imports_nothing_else(chapter):
    code = imports(chapter)
    assert "minidet" in code
    ran = run(code)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.slow
@pytest.mark.subprocess
@pytest.mark.parametrize("chapter", runnable.RUNNABLE)
def test_the_cells_of_a_chapter_run_with_nothing_else(chapter, tmp_path):
    """As the button "Run it here" runs them: from the archive, by here.py."""
    with zipfile.ZipFile(io.BytesIO(runnable.archive())) as zipped:
        zipped.extractall(tmp_path)
    (path,) = (ROOT / "chapters").glob(f"{chapter}_*.ipynb")
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    code = f"import json, sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport here\ncells = {cells!r}\n"
    ran = run(code + "for cell in cells: print(here.run(cell))", {"here"}, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    outputs = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(outputs) == len(cells)
    assert [text for shown in outputs for kind, text in shown if kind == "error"] == []
    assert sum(kind == "png" for shown in outputs for kind, _ in shown) > 2


@pytest.mark.slow
@pytest.mark.subprocess
def test_inspecting_without_numba_finds_the_same():
    code = (
        "from minidet import inspection\nfrom minidet.data.shapes import Shapes\n"
        "report = inspection.inspect(Shapes(images=2), resize=None, check_images=False, progress=False)\n"
        "print(report.counts.tolist(), report.boxes.best_iou.tolist())"
    )
    with_numba = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run(code).stdout == with_numba.stdout


@pytest.mark.subprocess
def test_another_package_is_noticed():
    ran = run("import torch")
    assert ran.returncode == 1
    assert "No module named 'torch'" in ran.stderr
