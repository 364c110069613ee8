"""What training leaves in the folder of a run, and which path computes with it."""

from __future__ import annotations

import argparse

from minidet.config import PATHS

FILES = (
    "config.json", "images.json", "metrics.jsonl", "checkpoint.pt", "model.pt", "checkpoint.npz", "model.npz",
    "curves.png", "detections.png", "evaluation.json",
)  # fmt: skip
"""All of them; checkpoint and model are there once, as the path writes them."""


def add_path(command: argparse.ArgumentParser) -> None:
    """Add ``--path`` to a command that reads a run."""
    command.add_argument(
        "--path", choices=PATHS, help="compute with this path, whichever has trained; by default with that one"
    )
