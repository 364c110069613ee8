"""What the doctor found out about a data set, as numbers, as data and as text for a terminal."""

from __future__ import annotations

import itertools
import json
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, ResizeConfig
from minidet.data import Fault
from minidet.reference.losses import cross_entropy, focal_loss
from minidet.reference.stable import logit

SIZES = {"small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, math.inf)}
"""COCO's names for sizes (square root of the area) in pixels, here of the network's input; 96 itself is medium."""

TOLERATED = 0.01
"""The verdict names a class when a larger share of its boxes gets no anchor."""

_LISTED = 10  # faults, classes and boxes that are spelled out


class Boxes(NamedTuple):
    """The ground truth that counts, a row a box."""

    image: np.ndarray
    """(B,) int64 index of its image."""
    label: np.ndarray
    """(B,) int64 class."""
    size: np.ndarray
    """(B,) square root of the area, pixels."""
    ratio: np.ndarray
    """(B,) height / width."""
    anchors: np.ndarray
    """(B,) int64 anchors assigned to it by IoU alone."""
    forced: np.ndarray
    """(B,) int64 anchors assigned to it with ``force_match``."""
    best_iou: np.ndarray
    """(B,) best IoU with any anchor where ``anchors`` is 0, else NaN."""


@dataclass(frozen=True, eq=False)
class Report:
    """What `inspect` found; ``table()`` for people, ``to_dict()`` for programs."""

    name: str
    classes: tuple[str, ...]
    anchors: AnchorConfig
    assignment: AssignmentConfig
    loss: LossConfig
    prior: float
    """pi of section 4.1."""
    resize: ResizeConfig | None
    """None: images have their stored size."""
    faults: tuple[Fault, ...]
    """The readers', then those of images that could not be decoded."""
    image_ids: tuple[int | str, ...]
    image_sizes: np.ndarray
    """(I, 2) int64, (height, width) of the network's input."""
    counts: np.ndarray
    """(I, 3) int64, positive, ignored and background anchors of each image under ``assignment``."""
    boxes: Boxes
    not_counted: int
    """Objects marked ``ignore`` or ``crowd``."""

    def summary(self) -> str:
        """How many images, boxes and classes there are."""
        numbers = (len(self.image_ids), "image"), (len(self.boxes.label), "box"), (len(self.classes), "class")
        plural = {"image": "images", "box": "boxes", "class": "classes"}
        return ", ".join(f"{n:,} {word if n == 1 else plural[word]}" for n, word in numbers)

    @property
    def sides(self) -> list[float]:
        """Square roots of the anchors' areas, ascending, each once, pixels."""
        return sorted({grid.size * scale for grid in self.anchors.grids((1, 1)) for scale in grid.scales})

    @property
    def imbalance(self) -> float | None:
        """Background anchors per positive one (section 3: "e.g. 1:1000"); None without positives."""
        positive, _, background = self.counts.sum(axis=0).tolist()
        return background / positive if positive else None

    def coverage(self, chosen: np.ndarray) -> dict[str, Any]:
        """How many of the chosen boxes, (B,) bool, get an anchor: some anchor is assigned to that very box.

        ``share`` and ``share_forced`` (with ``force_match``) are in [0, 1], None without boxes; ``median_iou`` and
        ``max_iou`` are those of the boxes that get none by IoU alone, None if there are none.
        """
        boxes, without = self.boxes, chosen & (self.boxes.anchors == 0)
        best = boxes.best_iou[without]
        return {
            "boxes": int(chosen.sum()), "images": len(np.unique(boxes.image[chosen])),
            "size": _mean(boxes.size[chosen], np.median), "without_anchor": int(without.sum()),
            "share": _mean(boxes.anchors[chosen] > 0), "share_forced": _mean(boxes.forced[chosen] > 0),
            "median_iou": _mean(best, np.median), "max_iou": _mean(best, np.max),
        }  # fmt: skip

    def size_coverage(self) -> dict[str, dict[str, Any]]:
        """`coverage` of COCO's small, medium and large boxes."""
        size = self.boxes.size
        small, large = size < SIZES["small"][1], size > SIZES["large"][0]
        return dict(zip(SIZES, map(self.coverage, (small, ~small & ~large, large)), strict=True))

    def class_coverage(self) -> list[dict[str, Any]]:
        """`coverage` of each class, with its ``name``."""
        return [{"name": name, **self.coverage(self.boxes.label == k)} for k, name in enumerate(self.classes)]

    def worst(self, most: int = _LISTED) -> list[dict[str, Any]]:
        """The boxes without an anchor that the anchors fit least, lowest best IoU first."""
        boxes, without = self.boxes, np.flatnonzero(self.boxes.anchors == 0)
        chosen = without[np.argsort(boxes.best_iou[without], kind="stable")][:most].tolist()
        return [
            {
                "image": self.image_ids[boxes.image[i]], "class": self.classes[boxes.label[i]],
                "size": float(boxes.size[i]), "ratio": float(boxes.ratio[i]), "best_iou": float(boxes.best_iou[i]),
            } for i in chosen
        ]  # fmt: skip

    def initial_losses(self) -> list[dict[str, Any]]:
        """What the losses sum to over all images when every anchor has probability p of every class.

        A positive anchor has one entry with target 1 and K - 1 with target 0, a background anchor K with target 0, an
        ignored one none. For p the prior (section 3.3) and 0.5, and for the cross entropy and the focal loss: the sums
        over the entries with target 1 (``objects``) and 0 (``background``), and the former's ``share`` of both.
        """
        positive, _, background = self.counts.sum(axis=0).tolist()
        entries = np.array([positive, positive * (len(self.classes) - 1) + background * len(self.classes)])
        rows = []
        for p in (self.prior, 0.5):
            logits, targets = np.full(2, logit(p)), np.array([1, 0])
            for name, values in (
                ("cross entropy", cross_entropy(logits, targets)),
                ("focal loss", focal_loss(logits, targets, self.loss.gamma, self.loss.alpha)),
            ):
                objects, rest = (values * entries).tolist()
                share = objects / (objects + rest) if objects + rest else None
                rows.append({"loss": name, "p": p, "objects": objects, "background": rest, "share": share})
        return rows

    def verdict(self) -> list[str]:
        """What to fix, a sentence each; or that there is nothing."""
        if not len(self.boxes.label):
            what = "boxes to learn from" if self.image_ids else "images"
            return [f"there are no {what}: check the path, the split and the annotations"]
        lines = [
            f"{count} {'fault' if count == 1 else 'faults'} of kind '{kind}': see the list of faults"
            for kind, count in Counter(fault.kind for fault in self.faults).items()
        ]
        empty = [row["name"] for row in self.class_coverage() if not row["boxes"]]
        if empty:
            lines.append(f"no box at all: {_some(empty)}; annotate them or remove them from the classes")
        bad = [(k, row) for k, row in enumerate(self.class_coverage()) if row["boxes"] and 1 - row["share"] > TOLERATED]
        bad.sort(key=lambda item: (item[1]["share"], -item[1]["boxes"]))
        for k, row in bad[:_LISTED]:
            lines.append(
                f"class {row['name']}: {percent(1 - row['share'])} of its boxes get no anchor "
                f"({percent(1 - row['share_forced'])} with force_match); {self._remedy(self.boxes.label == k)}"
            )
        if len(bad) > _LISTED:
            lines.append(f"and {len(bad) - _LISTED} more classes with boxes that get no anchor")
        return lines or ["nothing to fix"]

    def _remedy(self, chosen: np.ndarray) -> str:
        """What helps most of the chosen boxes that get no anchor."""
        where = chosen & (self.boxes.anchors == 0)
        size, ratio, best = self.boxes.size[where], self.boxes.ratio[where], self.boxes.best_iou[where]
        reasons = np.select(
            [
                best >= self.assignment.positive_iou, size < self.sides[0], size > self.sides[-1],
                (ratio < min(self.anchors.aspect_ratios)) | (ratio > max(self.anchors.aspect_ratios)),
            ], [0, 1, 2, 3], 4,
        )  # fmt: skip
        smallest, largest = f"{self.sides[0]:.0f} pixels", f"{self.sides[-1]:.0f} pixels"
        return (
            "most have anchors that fit, but those overlap another box more",
            f"most are smaller than the smallest anchor, {smallest}: add smaller ones or enlarge images",
            f"most are larger than the largest anchor, {largest}: add larger ones or shrink images",
            "most are flatter or taller than any anchor: add aspect ratios",
            "most lie between anchors: add scales or aspect ratios, or use force_match",
        )[int(np.bincount(reasons).argmax())]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain JSON types; None (null) where a number does not exist."""
        totals = zip(("positive", "ignored", "background"), self.counts.T, strict=True)
        everything = np.ones(len(self.boxes.label), bool)
        found = {
            "name": self.name,
            "settings": {
                key: None if value is None else asdict(value)
                for key, value in (
                    ("resize", self.resize), ("anchors", self.anchors), ("assignment", self.assignment),
                    ("loss", self.loss),
                )
            },
            "images": len(self.image_ids),
            "images_without_boxes": len(self.image_ids) - len(np.unique(self.boxes.image)),
            "boxes": len(self.boxes.label),
            "not_counted": self.not_counted,
            "height": _five(self.image_sizes[:, 0]), "width": _five(self.image_sizes[:, 1]),
            "box_size": _five(self.boxes.size), "anchor_size": _five(self.sides),
            "box_ratio": _five(self.boxes.ratio), "anchor_ratio": _five(self.anchors.aspect_ratios),
            "coverage": self.coverage(everything),
            "sizes": self.size_coverage(),
            "classes": self.class_coverage(),
            "worst": self.worst(),
            "anchors_per_image": {
                key: {"mean": _mean(of), **{name: _mean(of, by) for name, by in _SPREAD.items()}} for key, of in totals
            },
            "imbalance": self.imbalance,
            "initial_losses": self.initial_losses(),
            "fault_kinds": dict(Counter(fault.kind for fault in self.faults)),
            "faults": [asdict(fault) for fault in self.faults],
            "verdict": self.verdict(),
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
        return plain

    def table(self) -> str:
        """The report as text for a terminal, at most 100 characters wide."""
        found = self.to_dict()
        title = f"{shortened(self.name, 40)}: {self.summary()}"
        resize = self.resize
        rule = "images keep their stored size"
        if resize is not None:
            rule = f"the shorter side becomes {resize.shorter_side}, the longer at most {resize.longer_side}"
        notes = (
            f"Pixels are those of the network's input: {rule}. Size is the square root of the area; small boxes are "
            "below 32 pixels, large ones above 96 (COCO's limits)."
        )
        if found["not_counted"]:
            notes += f" {found['not_counted']:,} more boxes are marked ignore or crowd: not trained on, not counted."
        notes += f" Images without a box: {found['images_without_boxes']:,}."
        spread = [["", "min", "5 %", "median", "95 %", "max"]]
        for name, key in (
            ("image height, pixels", "height"), ("image width, pixels", "width"),
            ("box size, pixels", "box_size"), ("anchor size, pixels", "anchor_size"),
            ("box height / width", "box_ratio"), ("anchor height / width", "anchor_ratio"),
        ):  # fmt: skip
            spread.append([name, *(_text(value, 2 if "ratio" in key else 1) for value in found[key].values())])
        covered = [["", "boxes", "images", "median size", "by IoU", "with force", "none by IoU", "their best IoU"]]
        groups = [("all", found["coverage"]), *((k, v) for k, v in found["sizes"].items())]
        for name, row in groups + [(row["name"], row) for row in found["classes"]]:
            best = "–" if row["max_iou"] is None else f"{row['median_iou']:.2f}, {row['max_iou']:.2f}"
            covered.append([
                shortened(name), f"{row['boxes']:,}", f"{row['images']:,}", _text(row["size"]), percent(row["share"]),
                percent(row["share_forced"]), f"{row['without_anchor']:,}", best,
            ])  # fmt: skip
        worst = [["image", "class", "size", "height / width", "best IoU"]]
        for row in found["worst"]:
            size, ratio, iou = f"{row['size']:.1f}", f"{row['ratio']:.2f}", f"{row['best_iou']:.3f}"
            worst.append([shortened(str(row["image"]), 30), shortened(row["class"]), size, ratio, iou])
        per_image = [["", "mean", "median", "min", "max"]]
        for name, row in found["anchors_per_image"].items():
            per_image.append([name, *(_text(value) for value in row.values())])
        losses = [["", "from objects", "from background"]]
        for row in found["initial_losses"]:
            rest = None if row["share"] is None else 1 - row["share"]
            losses.append([f"{row['loss']}, p = {row['p']:g}", percent(row["share"]), percent(rest)])
        ratio = "–" if found["imbalance"] is None else f"{found['imbalance']:,.0f}"
        lines = _aligned(worst) if found["worst"] else ["none: every box gets an anchor"]
        parts = [
            (title, "=", _wrapped(notes)),
            ("Sizes of images, boxes and anchors", "-", _aligned(spread)),
            ("Which boxes get an anchor (median and largest best IoU of those that get none)", "-", _aligned(covered)),
            ("The boxes without an anchor that anchors fit least", "-", lines),
            (f"Anchors per image (1 positive to {ratio} background)", "-", _aligned(per_image)),
            ("Where the loss comes from when training starts (p: probability of every class)", "-", _aligned(losses)),
            ("Faults", "-", self._fault_lines()),
            ("Verdict", "-", [line for text in found["verdict"] for line in _wrapped(text, "- ")]),
        ]  # fmt: skip
        return "\n\n".join("\n".join([heading, mark * len(heading), *lines]) for heading, mark, lines in parts)

    def _fault_lines(self) -> list[str]:
        lines = [f"{count:,} of kind '{kind}'" for kind, count in Counter(f.kind for f in self.faults).items()]
        for fault in self.faults[:_LISTED]:
            lines += _wrapped(fault.detail, "- ")
        more = len(self.faults) - _LISTED
        return lines + ([f"… and {more:,} more"] if more > 0 else []) or ["none"]


def compared(before: Report, after: Report) -> str:
    """Which boxes of one data set get an anchor, by IoU alone, under two configurations; text for a terminal.

    Raises ValueError for reports of different boxes.
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
            rows.append([shortened(name, 30), f"{old['boxes']:,}", _text(old["size"]), *share])
    about = [f"{name}: {_anchors_line(report)}" for name, report in (("before", before), ("after", after))]
    title = "Boxes that get an anchor by IoU, before and after"
    return "\n".join(
        [title, "-" * len(title), *_aligned(rows), "", *(line for text in about for line in _wrapped(text))]
    )


def _anchors_line(report: Report) -> str:
    """An AnchorConfig in words, and how many anchors that makes."""
    config, each = report.anchors, report.counts.sum(axis=1)
    sizes, scales, ratios = (
        ", ".join(f"{value:.4g}" for value in values) for values in (config.sizes, config.scales, config.aspect_ratios)
    )
    return (
        f"levels {config.levels[0]} to {config.levels[-1]}, sizes {sizes}, scales {scales}, ratios {ratios}: "
        f"{config.anchors_per_cell} anchors a cell, {_text(_mean(each), 0)} an image"
    )


def percent(share: float | None) -> str:
    """A share in per cent, with digits enough to tell the smallest from 0 and the largest from 100."""
    if share is None:
        return "–"
    return f"{100 * share:.2g} %" if 0 < share < 0.01 else f"{100 * share:.{2 if 0.99 < share < 1 else 1}f} %"


def shortened(text: str, length: int = 22) -> str:
    """The text, or its beginning and its end where it is longer."""
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[half + 1 - length :]}"


_SPREAD = {"median": np.median, "min": np.min, "max": np.max}


def _mean(values: Any, of: Any = np.mean) -> float | None:
    """The mean, or another statistic; None of nothing."""
    return float(of(values)) if len(values) else None


def _five(values: Any) -> dict[str, float | None]:
    places = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}
    return {name: _mean(values, lambda of, at=at: np.quantile(of, at)) for name, at in places.items()}


def _text(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(text, 100, initial_indent=bullet, subsequent_indent=" " * len(bullet))


def _some(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
