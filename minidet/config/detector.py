"""The detector: which anchors learn from what, the network, and what its outputs mean (section 4)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from minidet import checks
from minidet.config.anchors import AnchorConfig
from minidet.config.settings import Settings


@dataclass(frozen=True)
class AssignmentConfig(Settings):
    """Which anchors are positive, ignored and background (section 4, "Anchors")."""

    positive_iou: float = 0.5
    """An anchor with at least this IoU is assigned to the ground-truth box it overlaps most."""
    negative_iou: float = 0.4
    """An anchor whose IoU with every box is below this is background; between the two thresholds it is ignored."""
    force_match: bool = False
    """Also assign the anchors that overlap a ground-truth box most (RPN's first clause; not in the paper)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.iou_thresholds(self.positive_iou, self.negative_iou)


@dataclass(frozen=True)
class PostprocessConfig(Settings):
    """From the network's outputs to detections (section 4.1, "Inference")."""

    score_threshold: float = 0.05
    """Only boxes with a score above this are decoded."""
    max_per_level: int = 1000
    """Largest number of boxes per level that are decoded, the best scores first."""
    iou_threshold: float = 0.5
    """IoU above which non-maximum suppression drops the box of the lower score, class by class."""
    max_detections: int = 100
    """Largest number of detections per image (COCO's own limit)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("score_threshold", self.score_threshold, low=0, high=1)
        checks.number("iou_threshold", self.iou_threshold, low=0, high=1)
        checks.integer("max_per_level", self.max_per_level, low=1)
        checks.integer("max_detections", self.max_detections, low=1)

    @property
    def logit_threshold(self) -> float:
        """`score_threshold` as a threshold on logits, the same number in every path; -inf for 0 and inf for 1."""
        if 0 < self.score_threshold < 1:
            return math.log(self.score_threshold) - math.log1p(-self.score_threshold)
        return math.inf if self.score_threshold else -math.inf


@dataclass(frozen=True)
class RetinaNetConfig(Settings):
    """The whole detector: backbone, pyramid, subnets, and what its outputs mean (section 4).

    The defaults are the paper's RetinaNet-50; `RetinaNetConfig(depth=101, groups=32, width_per_group=8)` is its
    ResNeXt-101-FPN (Table 2).
    """

    num_classes: int = 80
    """Number of classes, K: each anchor has one sigmoid for each of them, and none for the background."""
    depth: int = 50
    """Layers of the ResNet: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks)."""
    groups: int = 1
    """Cardinality: groups of each bottleneck's 3x3 conv, 1 in ResNet, 32 in ResNeXt 32x8d."""
    width_per_group: int = 64
    """Channels of one group in the first stage where the width is 64: 64 in ResNet, 8 in ResNeXt 32x8d."""
    width: int = 64
    """Channels of the stem; the four stages have 1, 2, 4, 8 times as many (with bottlenecks 4 times those)."""
    norm: str = "frozen"
    """Normalisation of the backbone. "frozen": batch normalisation as a fixed affine map, to fine-tune ImageNet
    weights; "batch": batch normalisation; "group": group normalisation, 8 channels per group, to train from scratch."""
    norm_eps: float = 1e-5
    """What is added to the variance where `norm` is "frozen" or "batch"."""
    fpn_channels: int = 256
    """Channels of every pyramid level, C."""
    p6_from: str = "C5"
    """P6 is computed from the backbone's last map, "C5" (the paper), or from "P5" (torchvision)."""
    head_convs: int = 4
    """Number of 3x3 convs with ReLU in each subnet, before the one that predicts."""
    head_channels: int = 256
    """Channels of these convs in each subnet."""
    head_norm: str | None = None
    """Normalisation after each of these convs: None (the paper), or "group", 8 channels per group."""
    anchors: AnchorConfig = AnchorConfig()  # noqa: RUF009  it is frozen
    """The anchors, and with them the levels of the pyramid, whose first one is from 1 (stride 2, for the smallest
    objects) to 5."""
    assignment: AssignmentConfig = AssignmentConfig()
    """Which anchors learn from which ground-truth box."""
    prior: float = 0.01
    """Every anchor's probability of every class when training starts, pi (section 4.1, "Initialization")."""
    postprocess: PostprocessConfig = PostprocessConfig()
    """How the outputs become detections."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """What is subtracted from the red, green and blue of a pixel in [0, 1] (ImageNet's)."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """What the three are divided by after that (ImageNet's)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("depth", self.depth, (18, 34, 50, 101, 152))
        checks.choice("norm", self.norm, ("frozen", "batch", "group"))
        checks.choice("p6_from", self.p6_from, ("C5", "P5"))
        checks.choice("head_norm", self.head_norm, (None, "group"))
        for name in ("num_classes", "groups", "width_per_group", "width", "fpn_channels", "head_channels"):
            checks.integer(name, getattr(self, name), low=1)
        checks.integer("head_convs", self.head_convs, low=0)
        checks.number("norm_eps", self.norm_eps, low=0)
        checks.number("prior", self.prior, above=0, below=1)
        for name in ("mean", "std"):
            channels = getattr(self, name)
            if len(channels) != 3:
                raise ValueError(f"{name} = {channels!r} must be a tuple of 3: red, green, blue")
            above = 0 if name == "std" else None
            numbers = tuple(checks.number(f"{name}[{i}]", value, above=above) for i, value in enumerate(channels))
            object.__setattr__(self, name, numbers)
        self._check_channels()
        levels = self.anchors.levels
        if not 1 <= levels[0] <= 5 or levels != tuple(range(levels[0], levels[0] + len(levels))):
            raise ValueError(f"anchors.levels = {levels} must follow one another, the first one being from 1 to 5")

    def _check_channels(self) -> None:
        if self.depth < 50 and (self.groups, self.width_per_group) != (1, 64):
            raise ValueError(
                f"groups = {self.groups} and width_per_group = {self.width_per_group} shape bottlenecks, which depth = "
                f"{self.depth} does not have: leave them at 1 and 64, or set depth = 50, 101 or 152"
            )
        if self.width * self.width_per_group % 64:
            raise ValueError(
                f"width * width_per_group = {self.width} * {self.width_per_group} must be a multiple of 64, so that a "
                "group has a whole number of channels"
            )
        if self.norm == "group" and (self.width % 8 or self.bottleneck_width % 8):
            raise ValueError(
                f'norm = "group" takes 8 channels per group: width = {self.width} and width * width_per_group * groups '
                f"/ 64 = {self.bottleneck_width} must be multiples of 8"
            )
        if self.head_norm == "group" and self.head_channels % 8:
            raise ValueError(
                f'head_norm = "group" takes 8 channels per group: head_channels = {self.head_channels} must be a '
                "multiple of 8"
            )

    @property
    def prior_logit(self) -> float:
        """The bias of the last conv of the classification subnet, b = -log((1 - pi) / pi)."""
        return -math.log((1 - self.prior) / self.prior)

    @property
    def bottleneck_width(self) -> int:
        """Channels of the 3x3 convs in the first stage's bottlenecks."""
        return self.width * self.width_per_group // 64 * self.groups

    @classmethod
    def tiny(cls, num_classes: int, **changes: Any) -> RetinaNetConfig:
        """A detector that trains from scratch on a CPU: a quarter-width ResNet-18, 64 channels, 2 convs per subnet.

        It has levels 3 to 6 with anchors of 16 to 203 pixels, for objects of 12 to 200 pixels in images of about 256.
        Of boxes placed at random with aspect ratios from 0.6 to 1.6, 78 % of those of 12 to 16 pixels (square root of
        the area) and 99 % of the larger ones have an anchor of IoU 0.5 or more. Batch normalisation learns faster than
        group normalisation from batches of 8 images; with `norm="group"` any batch will do, and several processes
        together reach the weights that one would reach.

        Args:
            num_classes: K.
            changes: other values of the fields, by name.
        """
        settings: dict[str, Any] = {
            "depth": 18, "width": 16, "norm": "batch", "fpn_channels": 64,
            "head_convs": 2, "head_channels": 64, "head_norm": "group",
            "anchors": AnchorConfig(levels=(3, 4, 5, 6), sizes=(16, 32, 64, 128)), **changes,
        }  # fmt: skip
        return cls(num_classes, **settings)

    @classmethod
    def torchvision(cls, num_classes: int, **changes: Any) -> RetinaNetConfig:
        """torchvision's `retinanet_resnet50_fpn`, for `minidet.pytorch.weights.load_torchvision`.

        torchvision runs its COCO weights (91 classes, `RetinaNet_ResNet50_FPN_Weights.COCO_V1`) with an epsilon of 0:
        `torchvision(91, norm_eps=0.0)`. Its `retinanet_resnet50_fpn_v2` is
        `torchvision(91, p6_from="C5", head_norm="group")`.

        Args:
            num_classes: K; torchvision counts the background as class 0.
            changes: other values of the fields, by name.
        """
        settings: dict[str, Any] = {
            "p6_from": "P5", "anchors": AnchorConfig.torchvision(),
            "postprocess": PostprocessConfig(max_detections=300), **changes,
        }  # fmt: skip
        return cls(num_classes, **settings)
