"""The operations on anchors that inspecting takes: compiled, or the reference where there is no Numba.

Both give the same numbers; the reference takes longer. A browser has Python, NumPy and Matplotlib, and no Numba.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("numba"):
    from minidet.compiled.anchors import pyramid_anchors
    from minidet.compiled.assignment import assign_pyramid
    from minidet.compiled.boxes import box_iou
else:
    from minidet.reference.anchors import pyramid_anchors
    from minidet.reference.assignment import assign_pyramid
    from minidet.reference.boxes import box_iou

__all__ = ["assign_pyramid", "box_iou", "pyramid_anchors"]
