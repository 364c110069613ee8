"""What the detector that comes with the package finds in images that it has not seen.

    python -m figures.detector --out FOLDER

The package's detector is one of `minidet train`, trained from random weights for 1600 steps and then for 850 more. Its
AP50 is 0.91, 0.89 and 0.90 on three sets of 100 unseen images of 128 pixels with objects of 16 pixels and more (smaller
ones are below its anchors). These commands train it again:

    SMALL="--set data.image_size=[128,128] --set data.min_size=16 --set data.objects=[3,10] --set data.distractors=[1,4]
           --set val.objects=[1,6] --set val.distractors=[0,3] --set val.images=100"
    minidet train --data shapes --shorter-side 128 $SMALL --steps 1600 --out runs/first
    minidet train --data shapes --weights runs/first $SMALL --seed 5 --set val.seed=1 --steps 850 \\
        --set training.learning_rate=0.003 --set training.warmup=50 --out runs/second
    minidet export runs/second --npz minidet/detectors/shapes.npz
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
