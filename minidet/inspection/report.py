"""What `inspect` found out about a data set: the numbers, as data, and what to fix."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, ResizeConfig
from minidet.data import Fault
from minidet.inspection.text import table
from minidet.inspection.verdict import verdict
from minidet.reference.losses import cross_entropy, focal_loss
from minidet.reference.stable import logit
from minidet.wording import counted

SIZES = {"small": (0.0, 32.0), "medium": (32.0, 96.0), "large": (96.0, math.inf)}
"""COCO's names for sizes (square root of the area) in pixels, here of the network's input; 96 itself is medium."""

LISTED = 10
"""How many boxes are spelled out."""


class Boxes(NamedTuple):
    """The ground truth that counts, one row per box."""

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


COLUMNS = Boxes._fields
"""The names of the columns of Boxes."""


@dataclass(frozen=True, eq=False)
class Report:
    """What `inspect` found; ``table()`` for people, ``to_dict()`` for programs."""

    name: str
    classes: tuple[str, ...]
    anchors: AnchorConfig
    assignment: AssignmentConfig
    loss: LossConfig
    prior: float
    """pi of section 4.1, every anchor's probability of every class when training starts."""
    resize: ResizeConfig | None
    """How images are brought to the network's size; None: they keep their stored size."""
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
    notes: tuple[str, ...] = ()
    """What the reader decided and a user may want to know; one sentence each."""

    def summary(self) -> str:
        """How many images, boxes and classes there are."""
        images, boxes, classes = len(self.image_ids), len(self.boxes.label), len(self.classes)
        return ", ".join(
            [counted(images, "image"), counted(boxes, "box", "boxes"), counted(classes, "class", "classes")]
        )

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
        """How many of the chosen boxes get an anchor: some anchor is assigned to that very box.

        Args:
            chosen: (B,) bool, the boxes to count.

        Returns:
            ``share`` and ``share_forced`` (with ``force_match``) in [0, 1], None without boxes; ``median_iou`` and
            ``max_iou`` of the boxes that get no anchor by IoU alone, None if there are none; and counts.
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

    def worst(self, most: int = LISTED) -> list[dict[str, Any]]:
        """The boxes without an anchor that the anchors fit least.

        Args:
            most: how many boxes at most.

        Returns:
            One dict per box, the lowest best IoU first.
        """
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

        A positive anchor has one entry with target 1 and K - 1 with target 0, a background anchor has K with target 0,
        and an ignored one has none.

        Returns:
            One dict for each p (the prior of section 3.3, and 0.5) and each loss (cross entropy, focal loss): the sums
            over the entries with target 1 (``objects``) and 0 (``background``), and the ``share`` of the former.
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
        """What to fix, one sentence each; or that there is nothing."""
        return verdict(self)

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
            "notes": list(self.notes),
            "verdict": self.verdict(),
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
        return plain

    def table(self) -> str:
        """The report as text for a terminal, at most 100 characters wide."""
        return table(self)


_SPREAD = {"median": np.median, "min": np.min, "max": np.max}


def _mean(values: Any, of: Any = np.mean) -> float | None:
    """The mean, or another statistic; None where there are no numbers."""
    return float(of(values)) if len(values) else None


def _five(values: Any) -> dict[str, float | None]:
    places = {"min": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "max": 1.0}
    return {name: _mean(values, lambda of, at=at: np.quantile(of, at)) for name, at in places.items()}
