"""What `minidet inspect` does: a data set looked at as a dense detector will see it."""

from minidet.inspection.numbers import inspect
from minidet.inspection.report import Report
from minidet.inspection.suggest import suggest_anchors

__all__ = ["Report", "inspect", "suggest_anchors"]
