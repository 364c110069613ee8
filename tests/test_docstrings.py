"""Docstrings: one form for every function of the operations, and examples that give what they say."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from types import FunctionType, ModuleType

import pytest

from minidet import reference
from minidet.reference import average_precision, stable
from tests.ops import NAMES

MODULES = [f"minidet.reference.{module.name}" for module in pkgutil.iter_modules(reference.__path__)]


def public_functions(module: ModuleType) -> list[FunctionType]:
    """Those that a module defines itself."""
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    return [f for f in functions if f.__module__ == module.__name__ and not f.__name__.startswith("_")]


EXPLAINED = [
    *(getattr(reference, name) for name in reference.__all__),
    *public_functions(average_precision),
    *public_functions(stable),
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_reference(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in tests) >= 20


@pytest.mark.parametrize("function", EXPLAINED, ids=lambda function: function.__name__)
def test_a_docstring_of_the_reference(function):
    """A sentence, Args with every argument, Returns, and Raises where arguments are checked; the example is last."""
    sentence, *parts = inspect.cleandoc(function.__doc__).split("\n\n")
    assert sentence.endswith(".")
    sections = {part.partition("\n")[0]: part for part in parts}
    described = re.findall(r"^    (\w[\w, ]*):", sections["Args:"], flags=re.MULTILINE)
    assert re.findall(r"\w+", " ".join(described)) == list(inspect.signature(function).parameters)
    assert "Returns:" in sections
    checked = re.search(r"checks\.|(?:examples|qualities|pairs)\(", inspect.getsource(function))
    assert ("Raises:" in sections) == bool(checked)
    assert not any(part.startswith(">>>") for part in parts[:-1])


@pytest.mark.parametrize("path", [name for name in NAMES if name != "reference"])
@pytest.mark.parametrize("name", reference.__all__)
def test_the_other_paths_point_to_the_reference(path, name):
    text = inspect.cleandoc(getattr(importlib.import_module(f"minidet.{path}"), name).__doc__)
    sentence, found, _ = text.partition(f"See `minidet.reference.{name}`.")
    assert found
    assert sentence.strip().endswith(".")
