"""What `minidet inspect` does: a data set looked at as a dense detector will see it.

`page.inspection_page` draws it; that module is not imported here, because it needs matplotlib.
"""

from minidet.inspection.numbers import inspect, network_boxes
from minidet.inspection.report import Report
from minidet.inspection.suggest import suggest_anchors
from minidet.inspection.text import compared

__all__ = ["Report", "compared", "inspect", "network_boxes", "suggest_anchors"]
