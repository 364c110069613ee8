"""The photographs of the page about anchors, with their objects, as JavaScript."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from minidet.data import open_dataset
from minidet.files import write_bytes, write_text

BLOOD = Path(__file__).resolve().parents[1] / "data" / "bccd"
"""Blood cells in Pascal VOC's layout."""
SPLIT = "page"
"""Those of them that the page shows."""
NAMES = {"RBC": "red cell", "WBC": "white cell", "Platelets": "platelet"}
WIDTH = 256
"""Pixels to which the page shrinks a photograph, as a network with a small input would."""


def write(folder: Path) -> None:
    """Write the photographs and what they show.

    Args:
        folder: of the pages.
    """
    data = open_dataset(BLOOD, SPLIT)
    found = []
    for i in range(len(data)):
        record = data.record(i)
        scale = WIDTH / record.image_size[1]
        objects = [
            {"name": NAMES[data.classes[k]], "box": [round(v * scale, 6) for v in box]}
            for box, k in zip(record.boxes.tolist(), record.classes, strict=True)
        ]
        name = Path(record.file_name).name
        size = [round(side * scale) for side in record.image_size]
        write_bytes(folder / "photographs" / name, (BLOOD / "JPEGImages" / name).read_bytes())
        found.append({"file": f"photographs/{name}", "size": size, "objects": objects})
    text = json.dumps(found, indent=1, allow_nan=False)
    write_text(
        folder / "anchors_data.js", f"// Written by chapters/site/photographs.py.\nconst photographs = {text};\n"
    )
    shutil.copy(BLOOD / "LICENSE", folder / "photographs")
