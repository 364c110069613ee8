"""What is distributed: the page of a package index, the lowest versions, the files that belong to the package."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]


def test_the_page_of_a_package_index_leads_nowhere_that_is_not_there():
    """A package index shows this page without the repository around it, so it links to no file."""
    page = (ROOT / PROJECT["project"]["readme"]).read_text(encoding="utf-8")
    assert [target for target in re.findall(r"\]\(([^)]+)\)", page) if not target.startswith("https://")] == []


@pytest.mark.parametrize("name", ["README.md", ".github/PACKAGE.md"])
def test_the_examples_of_the_first_steps(name):
    examples = re.findall(r"```pycon\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        test = doctest.DocTestParser().get_doctest(example, {}, name, name, 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_the_core_needs_no_pytorch_and_all_means_all():
    assert not any("torch" in text for text in PROJECT["project"]["dependencies"])
    assert any(text.startswith("torch>=") for text in EXTRAS["train"])
    (everything,) = EXTRAS["all"]
    assert set(re.search(r"\[(.*)\]", everything)[1].split(",")) == EXTRAS.keys() - {"all"}


def test_every_data_file_of_the_package_is_distributed():
    """Files beside the modules are in the wheel only where a pattern names them."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["minidet"]
    package = ROOT / "minidet"
    there = {
        path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".nbi", ".nbc")
    }
    named = {path for pattern in patterns for path in package.glob(pattern)}
    assert there - named == set()
    assert all(list(package.glob(pattern)) for pattern in patterns)


@pytest.mark.subprocess
def test_the_lowest_versions_are_those_of_the_project():
    script = ROOT / ".github" / "lowest.py"
    result = subprocess.run([sys.executable, script, "train", "test"], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    bounds = [text for text in PROJECT["project"]["dependencies"] + EXTRAS["train"] if ">=" in text]
    assert {text.replace(">=", "==") for text in bounds} <= set(lines)
    assert not any(line.startswith("minidet") for line in lines)
    assert len(lines) == len(set(lines))
