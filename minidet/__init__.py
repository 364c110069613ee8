"""minidet: focal loss and RetinaNet, from scratch, three ways.

    import minidet
    minidet.reference.focal_loss    # to read: one equation, one function, in NumPy
    minidet.compiled.focal_loss     # to run fast: the same functions in Numba
    minidet.pytorch.focal_loss      # to train: the same functions in PyTorch, and RetinaNet

A package is imported when it is first named, so `import minidet` costs next to nothing and does not import PyTorch.
"""

from __future__ import annotations

import importlib
from types import ModuleType

TYPE_CHECKING = False  # true for a type checker; not from typing, whose import takes longer than all of this
if TYPE_CHECKING:
    from minidet import compiled as compiled
    from minidet import config as config
    from minidet import data as data
    from minidet import evaluation as evaluation
    from minidet import inspection as inspection
    from minidet import pytorch as pytorch
    from minidet import reference as reference

__version__ = "0.1.0"

_PACKAGES = ("compiled", "config", "data", "evaluation", "inspection", "pytorch", "reference")


def __getattr__(name: str) -> ModuleType:
    """Import a package when it is first named (PEP 562)."""
    if name in _PACKAGES:
        return importlib.import_module(f"minidet.{name}")
    raise AttributeError(f"module 'minidet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PACKAGES})
