"""What the detector of blood cells finds in photographs that it has not seen.

    python -m figures.cells --out FOLDER

It is one of `minidet train`, from random weights; `figures/results/cells` keeps its run, made on an H200, with what was
measured on the 87 photographs of BCCD that it was not trained on. These commands train it again, in
another environment to a slightly different result:

    minidet train --data BCCD --split train --val-split val --anchors suggested --shorter-side 320 --minutes 2.75 \\
        --set training.workers=2 --set training.precision=float32 --set training.photometric=0.3 \\
        --set training.vertical_flip=0.5 --set training.crop=0.3 --out runs/cells
    minidet export runs/cells --npz minidet/detectors/cells.npz
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from figures import script
from minidet.cli.runs import DETECTORS
from minidet.data import open_dataset
from minidet.plotting import detections_page
from minidet.pytorch.archive import load_detector
from minidet.pytorch.inference import detect_images

PHOTOGRAPHS = Path(__file__).parent.parent / "chapters" / "data" / "bccd"
SHOWN = 2
"""How many, the first of those that it was not trained on."""


def draw() -> Figure:
    """The photographs with what is detected in them."""
    model, settings = load_detector(DETECTORS / "cells.npz")
    dataset = open_dataset(PHOTOGRAPHS, "val")
    images = [dataset[i].image for i in range(SHOWN)]
    found = detect_images(model, images, settings.training.resize)
    title = "Blood cells in photographs that the detector has not seen, scores from 0.5 on"
    figure = detections_page(images, found, settings.classes, score=0.5, title=title, columns=SHOWN)
    figure.set_size_inches(8, 4.1)  # photographs are wider than high
    return figure


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the page."""
    return script.run("cells", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
