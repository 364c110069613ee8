"""What the detector that comes with the package finds in images that it has not seen.

    python -m figures.detector --out FOLDER

The package's detector is one of `minidet train`: this page is what a finished training leaves.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from figures import script
from minidet.cli.runs import DETECTORS
from minidet.data.shapes import Shapes
from minidet.plotting import detections_page
from minidet.pytorch.archive import load_detector
from minidet.pytorch.inference import detect_images

UNSEEN = Shapes(images=8, seed=2024, objects=(2, 8), distractors=(0, 4), min_size=32)
"""Images of another seed than those that it was trained and measured on."""


def draw() -> Figure:
    """Eight images with what is detected in them."""
    model, settings = load_detector(DETECTORS / "shapes.npz")
    images = [UNSEEN[i].image for i in range(len(UNSEEN))]
    found = detect_images(model, images, settings.training.resize)
    title = "The package's detector: detections in unseen images, scores from 0.3 on"
    return detections_page(images, found, settings.classes, title=title)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the page."""
    return script.run("detector", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
