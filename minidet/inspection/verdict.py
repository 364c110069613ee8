"""What `inspect` advises: which faults, which empty or misspelt classes, and which boxes that no anchor fits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minidet.wording import counted, percent

if TYPE_CHECKING:
    from minidet.inspection.report import Report

TOLERATED = 0.01
"""A class is named when a larger share of its boxes gets no anchor."""

LISTED = 10
"""How many classes are spelled out."""

FEW_BOXES = 5
"""A class of more boxes than this is not taken for a misspelling: nobody makes one so often."""
FEW_LETTERS = 3
"""Names of fewer letters than this are near each other by chance."""


def verdict(report: Report) -> list[str]:
    """What to fix in a data set.

    Args:
        report: what was found out about it.

    Returns:
        One sentence each; one that says so where there is nothing to fix.
    """
    faults = [
        f"{counted(count, 'fault')} of kind '{kind}': see the list of faults"
        for kind, count in Counter(fault.kind for fault in report.faults).items()
    ]
    if not len(report.boxes.label):
        what = "boxes to learn from" if report.image_ids else "images"
        return [f"there are no {what}: check the path, the split and the annotations", *faults]
    lines = list(faults)
    empty = [row["name"] for row in report.class_coverage() if not row["boxes"]]
    if empty:
        lines.append(f"no box at all: {_some(empty)}; annotate them or remove them from the classes")
    lines += _misspelt(Counter(report.classes[k] for k in report.boxes.label.tolist()))
    bad = [(k, row) for k, row in enumerate(report.class_coverage()) if row["boxes"] and 1 - row["share"] > TOLERATED]
    bad.sort(key=lambda item: (item[1]["share"], -item[1]["boxes"]))
    for k, row in bad[:LISTED]:
        lines.append(
            f"class {row['name']}: {percent(1 - row['share'])} of its boxes get no anchor "
            f"({percent(1 - row['share_forced'])} with force_match); {_remedy(report, report.boxes.label == k)}"
        )
    if len(bad) > LISTED:
        lines.append(f"and {len(bad) - LISTED} more classes with boxes that get no anchor")
    return lines or ["nothing to fix"]


def _misspelt(boxes: Mapping[str, int]) -> list[str]:
    """What to say of classes that look like misspellings, from the number of boxes of each name."""
    lines = []
    for name, few in boxes.items():
        if not 0 < few <= FEW_BOXES:
            continue
        meant = [other for other, many in boxes.items() if 10 * few < many and _are_near(name, other)]
        if meant:
            other = max(meant, key=lambda one: boxes[one])
            lines.append(
                f"class {name} has {counted(few, 'box', 'boxes')}, and its name is near {other} "
                f"({counted(boxes[other], 'box', 'boxes')}): a misspelling?"
            )
    more = len(lines) - LISTED
    return lines[:LISTED] + ([f"and {more} more classes whose names are near another's"] if more > 0 else [])


def _are_near(name: str, other: str) -> bool:
    """Whether one edit, or one swap of neighbouring letters, turns one name into the other.

    Case, spaces, hyphens and underscores do not count. Names that differ in digits alone are numbered, not misspelt.
    """
    if min(sum(map(str.isalpha, one)) for one in (name, other)) < FEW_LETTERS:
        return False
    a, b = (re.sub(r"[\s_-]", "", one.casefold()) for one in (name, other))
    if a == b:
        return True
    if re.sub(r"\d", "", a) == re.sub(r"\d", "", b):
        return False
    same = next((i for i, (one, two) in enumerate(zip(a, b, strict=False)) if one != two), min(len(a), len(b)))
    a, b = a[same:], b[same:]
    return b[1:] in (a, a[1:]) or a[1:] == b or (a[1::-1] == b[:2] and a[2:] == b[2:])


def _remedy(report: Report, chosen: np.ndarray) -> str:
    """What helps most of the chosen boxes that get no anchor."""
    where = chosen & (report.boxes.anchors == 0)
    size, ratio, best = report.boxes.size[where], report.boxes.ratio[where], report.boxes.best_iou[where]
    reasons = np.select(
        [
            best >= report.assignment.positive_iou, size < report.sides[0], size > report.sides[-1],
            (ratio < min(report.anchors.aspect_ratios)) | (ratio > max(report.anchors.aspect_ratios)),
        ], [0, 1, 2, 3], 4,
    )  # fmt: skip
    smallest, largest = f"{report.sides[0]:.0f} pixels", f"{report.sides[-1]:.0f} pixels"
    return (
        "most have anchors that fit, but those overlap another box more",
        f"most are smaller than the smallest anchor, {smallest}: add smaller ones or enlarge images",
        f"most are larger than the largest anchor, {largest}: add larger ones or shrink images",
        "most are flatter or taller than any anchor: add aspect ratios",
        "most lie between anchors: add scales or aspect ratios, or use force_match",
    )[int(np.bincount(reasons).argmax())]


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
