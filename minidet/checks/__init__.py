"""What a bad argument is told.

Every check raises ValueError with the argument's name, the element at fault, what came, what was wanted and what to do.
Arguments are checked at the door, by public functions; the kernels behind them trust what they get. NumPy only: the
PyTorch path has its own door for tensors in `minidet.pytorch.tensors`.
"""

from minidet.checks import layers
from minidet.checks.arrays import (
    as_array,
    boxes,
    class_scores,
    deltas,
    floats,
    integers,
    mask,
    matching_boxes,
    no_nan,
    refuse,
    same_length,
    vector,
)
from minidet.checks.kinds import choice, flag, sequence
from minidet.checks.numbers import alpha, gamma, gamma_alpha, image_size, integer, iou_thresholds, number, star
from minidet.checks.operations import binary, level, levels, mining, ohem, predictions, soft, softmax

__all__ = [
    "number", "integer", "image_size", "iou_thresholds", "gamma", "alpha", "gamma_alpha", "star",
    "flag", "choice", "sequence",
    "as_array", "floats", "boxes", "matching_boxes", "deltas", "same_length", "vector", "integers", "mask", "no_nan",
    "class_scores", "refuse",
    "binary", "soft", "predictions", "softmax", "levels", "level", "ohem", "mining",
    "layers",
]  # fmt: skip
