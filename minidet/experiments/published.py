"""The numbers that the paper publishes in its text, tables and figures, each once.

The figures and the tables of the experiments print them beside ours.
"""

from __future__ import annotations

from typing import NamedTuple

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""The focusing parameters of Figure 1."""

FIGURE5_STARS = ((2.0, 1.0), (4.0, 0.0))
"""(gamma, beta) of FL* in Figures 5 and 6; Table 3 has the same two."""

FIGURE5_GAMMA = 2.0
"""gamma of the focal loss in Figures 5 and 6."""

LOWER_THAN_CROSS_ENTROPY = ((0.9, 100.0), (0.968, 1000.0))
"""Section 3.2, at gamma = 2: (p_t, how many times lower the focal loss is than the cross entropy)."""

AT_MOST_LOWER_UP_TO_HALF = 4.0
"""Section 3.2, at gamma = 2: for p_t <= .5 the loss is scaled down by at most this."""


class Accuracy(NamedTuple):
    """Columns of Tables 1a to 1d and 3, in percent."""

    ap: float
    ap50: float
    ap75: float


class AccuracyBySize(NamedTuple):
    """Columns of Table 2, in percent: also the AP of small, medium and large objects."""

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float


class TimedAccuracy(NamedTuple):
    """Columns of Table 1e: those of Table 2 in percent, and the time."""

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    milliseconds: float
    """Per image, on an Nvidia M40."""


class SpeedAndAccuracy(NamedTuple):
    """A point of Figure 2."""

    ap: float
    """Percent."""
    milliseconds: float
    """Per image, on an Nvidia M40 or a Titan X."""


class Focusing(NamedTuple):
    """A row of Table 1b."""

    gamma: float
    alpha: float


class AnchorsPerCell(NamedTuple):
    """A row of Table 1c."""

    scales: int
    aspect_ratios: int


class Mining(NamedTuple):
    """A row of Table 1d."""

    loss: str
    """"ohem", or "ohem_1_3" for the one with three negatives per positive."""
    batch_size: int
    """Anchors per image that are kept."""
    iou_threshold: float
    """Of the non-maximum suppression."""


class Size(NamedTuple):
    """A row of Table 1e."""

    depth: int
    shorter_side: int
    """Pixels."""


class Detector(NamedTuple):
    """A row of Table 2."""

    name: str
    backbone: str


class Substitute(NamedTuple):
    """A row of Table 3."""

    loss: str
    """"CE", "FL" or "FL*"."""
    gamma: float | None
    beta: float | None


TABLE_1A: dict[float, Accuracy] = {
    0.10: Accuracy(0.0, 0.0, 0.0),
    0.25: Accuracy(10.8, 16.0, 11.7),
    0.50: Accuracy(30.2, 46.7, 32.8),
    0.75: Accuracy(31.1, 49.4, 33.0),
    0.90: Accuracy(30.8, 49.7, 32.3),
    0.99: Accuracy(28.7, 47.4, 29.9),
    0.999: Accuracy(25.1, 41.7, 26.1),
}
"""Balanced cross entropy by alpha; ResNet-50, COCO minival."""

TABLE_1B: dict[Focusing, Accuracy] = {
    Focusing(0.0, 0.75): Accuracy(31.1, 49.4, 33.0),
    Focusing(0.1, 0.75): Accuracy(31.4, 49.9, 33.1),
    Focusing(0.2, 0.75): Accuracy(31.9, 50.7, 33.4),
    Focusing(0.5, 0.50): Accuracy(32.9, 51.7, 35.2),
    Focusing(1.0, 0.25): Accuracy(33.7, 52.0, 36.2),
    Focusing(2.0, 0.25): Accuracy(34.0, 52.5, 36.5),
    Focusing(5.0, 0.25): Accuracy(32.2, 49.6, 34.8),
}
"""Focal loss by gamma, each with the alpha that is best for it; ResNet-50, COCO minival."""

TABLE_1C: dict[AnchorsPerCell, Accuracy] = {
    AnchorsPerCell(1, 1): Accuracy(30.3, 49.0, 31.8),
    AnchorsPerCell(2, 1): Accuracy(31.9, 50.0, 34.0),
    AnchorsPerCell(3, 1): Accuracy(31.8, 49.4, 33.7),
    AnchorsPerCell(1, 3): Accuracy(32.4, 52.3, 33.9),
    AnchorsPerCell(2, 3): Accuracy(34.2, 53.1, 36.5),
    AnchorsPerCell(3, 3): Accuracy(34.0, 52.5, 36.5),
    AnchorsPerCell(4, 3): Accuracy(33.8, 52.1, 36.2),
}
"""Focal loss by the number of scales and aspect ratios of the anchors; ResNet-50, COCO minival."""

TABLE_1D: dict[Mining, Accuracy] = {
    Mining("ohem", 128, 0.7): Accuracy(31.1, 47.2, 33.2),
    Mining("ohem", 256, 0.7): Accuracy(31.8, 48.8, 33.9),
    Mining("ohem", 512, 0.7): Accuracy(30.6, 47.0, 32.6),
    Mining("ohem", 128, 0.5): Accuracy(32.8, 50.3, 35.1),
    Mining("ohem", 256, 0.5): Accuracy(31.0, 47.4, 33.0),
    Mining("ohem", 512, 0.5): Accuracy(27.6, 42.0, 29.2),
    Mining("ohem_1_3", 128, 0.5): Accuracy(31.1, 47.2, 33.2),
    Mining("ohem_1_3", 256, 0.5): Accuracy(28.3, 42.4, 30.3),
    Mining("ohem_1_3", 512, 0.5): Accuracy(24.0, 35.5, 25.8),
}
"""Online hard example mining by its settings; ResNet-101, COCO minival."""

TABLE_1D_FOCAL = Accuracy(36.0, 54.9, 38.7)
"""The focal loss in Table 1d."""

TABLE_1E: dict[Size, TimedAccuracy] = {
    Size(50, 400): TimedAccuracy(30.5, 47.8, 32.7, 11.2, 33.8, 46.1, 64),
    Size(50, 500): TimedAccuracy(32.5, 50.9, 34.8, 13.9, 35.8, 46.7, 72),
    Size(50, 600): TimedAccuracy(34.3, 53.2, 36.9, 16.2, 37.4, 47.4, 98),
    Size(50, 700): TimedAccuracy(35.1, 54.2, 37.7, 18.0, 39.3, 46.4, 121),
    Size(50, 800): TimedAccuracy(35.7, 55.0, 38.5, 18.9, 38.9, 46.3, 153),
    Size(101, 400): TimedAccuracy(31.9, 49.5, 34.1, 11.6, 35.8, 48.5, 81),
    Size(101, 500): TimedAccuracy(34.4, 53.1, 36.8, 14.7, 38.5, 49.1, 90),
    Size(101, 600): TimedAccuracy(36.0, 55.2, 38.7, 17.4, 39.6, 49.7, 122),
    Size(101, 700): TimedAccuracy(37.1, 56.6, 39.8, 19.1, 40.6, 49.4, 154),
    Size(101, 800): TimedAccuracy(37.8, 57.5, 40.8, 20.2, 41.1, 49.2, 198),
}
"""RetinaNet by the depth of its backbone and the size of the image; COCO test-dev."""

FIGURE_2: dict[str, SpeedAndAccuracy] = {
    "YOLOv2": SpeedAndAccuracy(21.6, 25),
    "SSD321": SpeedAndAccuracy(28.0, 61),
    "DSSD321": SpeedAndAccuracy(28.0, 85),
    "R-FCN": SpeedAndAccuracy(29.9, 85),
    "SSD513": SpeedAndAccuracy(31.2, 125),
    "DSSD513": SpeedAndAccuracy(33.2, 156),
    "FPN FRCN": SpeedAndAccuracy(36.2, 172),
}
"""The other detectors of Figure 2, as its inset lists them; the paper extrapolates R-FCN's time. COCO test-dev."""

TABLE_2: dict[Detector, AccuracyBySize] = {
    Detector("Faster R-CNN+++", "ResNet-101-C4"): AccuracyBySize(34.9, 55.7, 37.4, 15.6, 38.7, 50.9),
    Detector("Faster R-CNN with FPN", "ResNet-101-FPN"): AccuracyBySize(36.2, 59.1, 39.0, 18.2, 39.0, 48.2),
    Detector("Faster R-CNN by G-RMI", "Inception-ResNet-v2"): AccuracyBySize(34.7, 55.5, 36.7, 13.5, 38.1, 52.0),
    Detector("Faster R-CNN with TDM", "Inception-ResNet-v2-TDM"): AccuracyBySize(36.8, 57.7, 39.2, 16.2, 39.8, 52.1),
    Detector("YOLOv2", "DarkNet-19"): AccuracyBySize(21.6, 44.0, 19.2, 5.0, 22.4, 35.5),
    Detector("SSD513", "ResNet-101-SSD"): AccuracyBySize(31.2, 50.4, 33.3, 10.2, 34.5, 49.8),
    Detector("DSSD513", "ResNet-101-DSSD"): AccuracyBySize(33.2, 53.3, 35.2, 13.0, 35.4, 51.1),
    Detector("RetinaNet", "ResNet-101-FPN"): AccuracyBySize(39.1, 59.1, 42.3, 21.8, 42.7, 50.2),
    Detector("RetinaNet", "ResNeXt-101-FPN"): AccuracyBySize(40.8, 61.1, 44.1, 24.1, 44.2, 51.2),
}
"""Detectors compared on COCO test-dev."""

TABLE_3: dict[Substitute, Accuracy] = {
    Substitute("CE", None, None): Accuracy(31.1, 49.4, 33.0),
    Substitute("FL", 2.0, None): Accuracy(34.0, 52.5, 36.5),
    Substitute("FL*", 2.0, 1.0): Accuracy(33.8, 52.7, 36.3),
    Substitute("FL*", 4.0, 0.0): Accuracy(33.9, 51.8, 36.4),
}
"""FL* in place of the focal loss; ResNet-50, COCO minival."""

TRAINING_HOURS = (10.0, 35.0)
"""Section 4.1: hours that the models of Table 1e take to train, from the fastest to the slowest, on eight GPUs."""

CE_WITH_PRIOR = 30.2
"""Section 5.1: AP of cross entropy with pi = .01, where without it training diverges."""

BALANCED_GAIN = 0.9
"""Section 5.1, points of AP: cross entropy with alpha = .75 minus cross entropy with alpha = .5."""
FOCAL_GAIN = 2.9
"""Section 5.1, points of AP: the focal loss minus the best balanced cross entropy."""
OHEM_GAP = 3.2
"""Section 5.1, points of AP: the focal loss minus the best setting of OHEM."""
ALPHA_HALF_LOSS = 0.4
"""Section 5.1, points of AP at gamma = 2: alpha = .25 minus alpha = .5."""

EFFECTIVE_BELOW_FOCAL = 34.0 - 33.5
"""Figure 7: a setting of FL* is effective if it converged with an AP over 33.5, where FL has 34.0."""

HARDEST_POSITIVES, THEIR_SHARE = 0.2, 0.5
"""Section 5.1: the hardest 20 % of the positives carry about half of their loss."""

FIGURE4_GAMMAS = (0.0, 0.5, 1.0, 2.0)
"""The focusing parameters of Figure 4."""
