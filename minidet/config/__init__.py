"""Every number of the paper, once: frozen dataclasses whose defaults are those of Lin et al. (2017).

A configuration is checked when it is made, so whatever holds one can rely on it.
"""

from minidet.config.anchors import AnchorConfig, Grid
from minidet.config.detector import AssignmentConfig, PostprocessConfig, RetinaNetConfig
from minidet.config.loss import LOSSES, LossConfig
from minidet.config.run import PATHS, RunSettings
from minidet.config.settings import SECTIONS, Settings, setting_changes
from minidet.config.training import ResizeConfig, TrainingConfig

__all__ = [
    "AnchorConfig", "AssignmentConfig", "Grid", "LOSSES", "LossConfig", "PATHS", "PostprocessConfig", "ResizeConfig",
    "RetinaNetConfig", "RunSettings", "SECTIONS", "Settings", "TrainingConfig", "setting_changes",
]  # fmt: skip
