"""Each test of an operation runs over all three paths, or over one's own: `pytest tests --ops my_ops.py`."""

from __future__ import annotations

import functools
import importlib
import os
import sys

# Notebooks are checked with jsonschema, which would take seconds for grammars of addresses that no notebook holds.
sys.modules.setdefault("rfc3987_syntax", None)
# Threads that have nothing to do wait without keeping a core busy. OpenMP reads this when PyTorch or Numba loads it.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests.ops import NAMES, Ops, load  # noqa: E402

EXECUTED = "::test_a_chapter_gives_its_committed_outputs["
EXAMPLES = int(os.environ.get("MINIDET_EXAMPLES", "60"))  # fewer where time is short
settings.register_profile("minidet", deadline=None, max_examples=EXAMPLES, derandomize=True)
settings.load_profile("minidet")
torch.set_num_threads(1)  # the tensors are small, and tests run side by side


def pytest_addoption(parser):
    group = parser.getgroup("minidet")
    group.addoption("--ops", metavar="FILE", help="run the tests of the operations on this module instead of minidet")
    group.addoption("--ops-torch", action="store_true", help="the module of --ops takes and gives PyTorch tensors")
    group.addoption("--pretend", action="store_true", help="run the tests of the operations on the pretend device too")
    group.addoption("--ops-errors", action="store_true", help="and it raises minidet's errors: run their tests too")


def pytest_generate_tests(metafunc):
    if "ops" not in metafunc.fixturenames:
        return
    own = metafunc.config.getoption("ops")
    if own:
        candidates = [Ops(own, load(own), metafunc.config.getoption("ops_torch"))]
    else:
        modules = {name: importlib.import_module(f"minidet.{name}") for name in NAMES}
        candidates = [Ops(name, module, name == "pytorch") for name, module in modules.items()]
        if metafunc.config.getoption("pretend"):
            candidates.append(Ops("pytorch-pretend", modules["pytorch"], True, pretend()))
        if torch.cuda.is_available():
            candidates.append(Ops("pytorch-cuda", modules["pytorch"], True, "cuda"))
    metafunc.parametrize("ops", candidates, ids=repr)


@functools.cache
def pretend():
    """The pretend device, there until the end of the process."""
    from tests.device.pretend import Pretend

    return Pretend().__enter__()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):  # long ones first, or one process is busy long after the others
        items.sort(key=lambda item: (item.get_closest_marker("slow") is None, EXECUTED not in item.nodeid))
    if not config.getoption("ops"):
        return
    about_ops = [item for item in items if "ops" in getattr(item, "fixturenames", ())]
    if not config.getoption("ops_errors"):
        about_ops = [item for item in about_ops if item.get_closest_marker("errors") is None]
    chosen = set(about_ops)
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = about_ops


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n N`: a file's tests go to one process, in their order.

    So what the tests of a file share is made once, and what is compiled for them is compiled once. The executions of
    the chapters share nothing and may go to any process. A mark xdist_group would not do: it is lost with pytest 9.
    """
    if config.getvalue("dist") not in ("load", "loadgroup"):
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return nodeid if EXECUTED in nodeid else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return Files(config, log)
