"""The report of `inspect` as text for a terminal, and two of them beside each other."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from minidet.wording import aligned, number, percent, shortened, wrapped

if TYPE_CHECKING:
    from minidet.inspection.report import Report

LISTED = 10
"""How many faults are spelled out."""


def table(report: Report) -> str:
    """The report as text for a terminal, at most 100 characters wide.

    Args:
        report: what was found out about a data set.
    """
    found = report.to_dict()
    title = f"{shortened(report.name, 40)}: {report.summary()}"
    ratio = "–" if found["imbalance"] is None else f"{found['imbalance']:,.0f}"
    parts = [
        (title, "=", _notes(report, found)),
        ("Sizes of images, boxes and anchors", "-", _sizes(found)),
        ("Which boxes get an anchor (median and largest best IoU of those that get none)", "-", _coverage(found)),
        ("The boxes without an anchor that anchors fit least", "-", _worst(found)),
        (f"Anchors per image (1 positive to {ratio} background)", "-", _anchors(found)),
        ("Where the loss comes from when training starts (p: probability of every class)", "-", _losses(found)),
        ("Faults", "-", _faults(report)),
        ("Notes", "-", [line for sentence in found["notes"] for line in wrapped(sentence, "- ")] or ["none"]),
        ("Verdict", "-", [line for sentence in found["verdict"] for line in wrapped(sentence, "- ")]),
    ]
    return "\n\n".join("\n".join([heading, mark * len(heading), *lines]) for heading, mark, lines in parts)


def compared(before: Report, after: Report) -> str:
    """Which boxes of one data set get an anchor, by IoU alone, under two configurations; text for a terminal.

    Args:
        before: the report with one configuration of anchors.
        after: the report with another, of the same boxes.

    Raises:
        ValueError: the reports are of different boxes.
    """
    size = before.boxes.size
    if not np.array_equal(size, after.boxes.size):
        raise ValueError(
            f"before and after are of different boxes: inspect {before.name} with the same resize for both"
        )
    edges = [0, *(2.0**i for i in range(2, 11)), math.inf]
    groups = [("all boxes", np.ones(len(size), bool))]
    for low, high in itertools.pairwise(edges):
        name = f"from {low:.0f} pixels on" if high == math.inf else f"{low:.0f} to {high:.0f} pixels"
        groups.append((name, (low <= size) & (size < high)))
    groups += [(f"class {name}", before.boxes.label == k) for k, name in enumerate(before.classes)]
    rows = [["", "boxes", "median size", "before", "after"]]
    for name, chosen in groups:
        if chosen.any():
            old, new = before.coverage(chosen), after.coverage(chosen)
            share = percent(old["share"]), percent(new["share"])
            rows.append([shortened(name, 30), f"{old['boxes']:,}", number(old["size"]), *share])
    about = [f"{name}: {_anchors_line(report)}" for name, report in (("before", before), ("after", after))]
    title = "Boxes that get an anchor by IoU, before and after"
    return "\n".join([title, "-" * len(title), *aligned(rows), "", *(line for one in about for line in wrapped(one))])


def _notes(report: Report, found: dict[str, Any]) -> list[str]:
    resize = report.resize
    rule = "images keep their stored size"
    if resize is not None:
        rule = f"the shorter side becomes {resize.shorter_side}, the longer at most {resize.longer_side}"
    notes = (
        f"Pixels are those of the network's input: {rule}. Size is the square root of the area; small boxes are "
        "below 32 pixels, large ones above 96 (COCO's limits)."
    )
    if found["not_counted"]:
        notes += f" {found['not_counted']:,} more boxes are marked ignore or crowd: not trained on, not counted."
    return wrapped(notes + f" Images without a box: {found['images_without_boxes']:,}.")


def _sizes(found: dict[str, Any]) -> list[str]:
    rows = [["", "min", "5 %", "median", "95 %", "max"]]
    for name, key in (
        ("image height, pixels", "height"), ("image width, pixels", "width"),
        ("box size, pixels", "box_size"), ("anchor size, pixels", "anchor_size"),
        ("box height / width", "box_ratio"), ("anchor height / width", "anchor_ratio"),
    ):  # fmt: skip
        rows.append([name, *(number(value, 2 if "ratio" in key else 1) for value in found[key].values())])
    return aligned(rows)


def _coverage(found: dict[str, Any]) -> list[str]:
    rows = [["", "boxes", "images", "median size", "by IoU", "with force", "none by IoU", "their best IoU"]]
    groups = [("all", found["coverage"]), *found["sizes"].items(), *((row["name"], row) for row in found["classes"])]
    for name, row in groups:
        best = "–" if row["max_iou"] is None else f"{row['median_iou']:.2f}, {row['max_iou']:.2f}"
        rows.append([
            shortened(name), f"{row['boxes']:,}", f"{row['images']:,}", number(row["size"]), percent(row["share"]),
            percent(row["share_forced"]), f"{row['without_anchor']:,}", best,
        ])  # fmt: skip
    return aligned(rows)


def _worst(found: dict[str, Any]) -> list[str]:
    rows = [["image", "class", "size", "height / width", "best IoU"]]
    for row in found["worst"]:
        size, ratio, iou = f"{row['size']:.1f}", f"{row['ratio']:.2f}", f"{row['best_iou']:.3f}"
        rows.append([shortened(str(row["image"]), 30), shortened(row["class"]), size, ratio, iou])
    return aligned(rows) if len(rows) > 1 else ["none: every box gets an anchor"]


def _anchors(found: dict[str, Any]) -> list[str]:
    rows = [["", "mean", "median", "min", "max"]]
    for name, row in found["anchors_per_image"].items():
        rows.append([name, *(number(value) for value in row.values())])
    return aligned(rows)


def _losses(found: dict[str, Any]) -> list[str]:
    rows = [["", "from objects", "from background"]]
    for row in found["initial_losses"]:
        rest = None if row["share"] is None else 1 - row["share"]
        rows.append([f"{row['loss']}, p = {row['p']:g}", percent(row["share"]), percent(rest)])
    return aligned(rows)


def _faults(report: Report) -> list[str]:
    lines = [f"{count:,} of kind '{kind}'" for kind, count in Counter(f.kind for f in report.faults).items()]
    for fault in report.faults[:LISTED]:
        lines += wrapped(fault.detail, "- ")
    more = len(report.faults) - LISTED
    return lines + ([f"… and {more:,} more"] if more > 0 else []) or ["none"]


def _anchors_line(report: Report) -> str:
    """An AnchorConfig in words, and how many anchors that makes."""
    config, each = report.anchors, report.counts.sum(axis=1)
    sizes, scales, ratios = (
        ", ".join(f"{value:.4g}" for value in values) for values in (config.sizes, config.scales, config.aspect_ratios)
    )
    return (
        f"levels {config.levels[0]} to {config.levels[-1]}, sizes {sizes}, scales {scales}, ratios {ratios}: "
        f"{config.anchors_per_cell} anchors per cell, {number(each.mean() if len(each) else None, 0)} per image"
    )
