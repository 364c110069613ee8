"""minidet: focal loss and RetinaNet, from scratch, three ways.

>>> from minidet import reference, compiled, pytorch   # the same functions: to read, to run fast, to train

A path is imported when it is named, so ``import minidet`` costs next to nothing and does not import torch.
"""

__version__ = "0.1.0"
