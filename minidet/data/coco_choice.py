"""Which of several COCO files in a folder is meant."""

from __future__ import annotations

from pathlib import Path

from minidet.data.coco_files import instances, is_coco
from minidet.data.paths import nearest

_KNOWN = ("annotations.json", "_annotations.coco.json", "labels.json", "result.json")
"""What tools call the one file of a folder; the preferred one first."""


def coco_file_of_its_own(folder: Path) -> list[Path]:
    """The file that has one of the names which tools give to the only file of a folder.

    Args:
        folder: where to look, not in folders below.

    Returns:
        The path, or nothing.
    """
    found = [folder / name for name in _KNOWN]
    return [path for path in found if path.is_file() and (path.name == _KNOWN[0] or is_coco(path))][:1]


def only_coco_file(folder: Path) -> Path | None:
    """The COCO file of a folder that is one part of a data set.

    Args:
        folder: such as train/ or valid/.

    Returns:
        The path; None where there is none.

    Raises:
        ValueError: there are several, none of which has a name that tools give to the only one.
    """
    found = [path for path in coco_file_of_its_own(folder) if is_coco(path)] or instances(folder)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ValueError(
            f"{nearest(folder)} holds {len(found)} COCO files, {names}, of which one must be the annotations of this "
            f"part: call that one {_KNOWN[0]}, or move the others away"
        )
    return found[0] if found else None
