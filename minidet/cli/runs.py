"""A finished run, as `evaluate` and `detect` open it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from minidet.config import RunSettings

if TYPE_CHECKING:
    from minidet.pytorch.retinanet import RetinaNet

FILES = (
    "config.json", "images.json", "metrics.jsonl", "checkpoint.pt", "model.pt", "curves.png", "detections.png",
    "evaluation.json",
)  # fmt: skip
"""What training leaves in the folder of a run."""


def load_run(run: Path) -> tuple[RetinaNet, RunSettings]:
    """The trained network of a run and its settings.

    Args:
        run: the folder.

    Returns:
        The network in eval mode, on a GPU if there is one, and the settings.

    Raises:
        ValueError: there is no finished run, or it is damaged.
    """
    import torch

    from minidet.pytorch.checkpoint import load_model, load_settings

    model = load_model(run)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), RunSettings.from_dict(load_settings(run))
