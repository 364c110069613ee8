"""Which files in a folder are COCO's."""

from __future__ import annotations

import mmap
from pathlib import Path

from minidet.data.drawn import detected_pictures
from minidet.data.paths import files_in
from minidet.data.text import MARKS


def instances(folder: Path) -> list[Path]:
    """A folder's COCO files with boxes: those named instances_… if there are any, else all.

    Args:
        folder: where to look, not in folders below.
    """
    found = [path for path in files_in(folder, ".json") if is_coco(path)]
    return [path for path in found if path.name.startswith("instances_")] or found


def is_coco(path: Path) -> bool:
    """Whether the three lists of a COCO file are named in it; quick, whatever its size.

    A file that `minidet detect` wrote is none: detections are no annotations, and the AP on them would be 1.

    Args:
        path: a JSON file.
    """
    if not path.stat().st_size:
        return False
    keys = ('"images"', '"annotations"', '"categories"')
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        encoding = next((name for mark, name in MARKS if content[:4].startswith(mark)), "utf-8")
        named = all(content.find(key.encode(encoding)) >= 0 for key in keys)
    return named and detected_pictures(path) is None
