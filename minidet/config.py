"""Every number of the paper, once: frozen dataclasses whose defaults are those of Lin et al. (2017).

A configuration is checked when it is made, so whatever holds one can rely on it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, NamedTuple, Self, cast

from minidet import checks


class Grid(NamedTuple):
    """One level of a pyramid over one image."""

    size: float
    """Base side of the anchors, pixels."""
    scales: tuple[float, ...]
    """Factors of the side."""
    rows: int
    columns: int
    stride_y: int
    """Pixels between rows."""
    stride_x: int
    """Pixels between columns."""


@dataclass(frozen=True)
class AnchorConfig:
    """The anchors of a feature pyramid (section 4, "Anchors").

    Level l has a grid of ``ceil(image / 2**l)`` cells, ``2**l`` pixels apart. Every cell holds one anchor for each
    aspect ratio (outer loop) and scale (inner loop), of area ``(size * scale)**2``. The defaults give A = 9 anchors a
    cell that cover 32 to 813 pixels.
    """

    levels: tuple[int, ...] = (3, 4, 5, 6, 7)
    """Pyramid levels; the stride of level l is 2**l pixels."""
    sizes: tuple[float, ...] = (32, 64, 128, 256, 512)
    """Base side of the anchors in pixels, one a level."""
    scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    """Factors of the base side, the same on every level."""
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height / width."""
    offset: float = 0.5
    """Cell i is centred at ``(i + offset) * stride``."""
    integer_sizes: bool = False
    """Truncate ``size * scale`` to whole pixels (torchvision)."""
    round_cells: bool = False
    """Round the anchors of a cell to whole pixels around its centre, half to even (torchvision)."""
    integer_strides: bool = False
    """Space the cells ``image // cells`` pixels apart instead of 2**level (torchvision); differs only where the image
    is not a multiple of the stride."""

    def __post_init__(self) -> None:
        for name in ("levels", "sizes", "scales", "aspect_ratios"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            if not getattr(self, name):
                raise ValueError(f"{name} is empty: give at least one")
        if len(self.levels) != len(self.sizes):
            raise ValueError(
                f"sizes has {len(self.sizes)} entries for {len(self.levels)} levels: give one size a level"
            )
        for i, level in enumerate(self.levels):
            checks.integer(f"levels[{i}]", level, low=0, high=30)
        for name in ("sizes", "scales", "aspect_ratios"):
            for i, value in enumerate(getattr(self, name)):
                checks.number(f"{name}[{i}]", value, above=0)
        checks.number("offset", self.offset)

    @classmethod
    def torchvision(cls, **changes: Any) -> AnchorConfig:
        """The anchors of torchvision's RetinaNet, for its trained weights: offset 0, whole sizes, rounded cells."""
        settings: dict[str, Any] = {
            "offset": 0.0, "integer_sizes": True, "round_cells": True, "integer_strides": True, **changes,
        }  # fmt: skip
        return cls(**settings)

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbouring cells, one a level."""
        return tuple(2**level for level in self.levels)

    @property
    def anchors_per_cell(self) -> int:
        """A of the paper."""
        return len(self.scales) * len(self.aspect_ratios)

    def grids(self, image_size: tuple[int, int]) -> list[Grid]:
        """Where the anchors of each level lie over an image of (height, width)."""
        height, width = image_size
        grids = []
        for size, stride in zip(self.sizes, self.strides, strict=True):
            rows, columns = -(-height // stride), -(-width // stride)
            scales = tuple(int(size * s) / size for s in self.scales) if self.integer_sizes else self.scales
            steps = (height // rows, width // columns) if self.integer_strides else (stride, stride)
            grids.append(Grid(size, scales, rows, columns, *steps))
        return grids


@dataclass(frozen=True)
class PostprocessConfig:
    """From the network's outputs to detections (section 4.1, "Inference")."""

    score_threshold: float = 0.05
    """Only scores above it are decoded."""
    max_per_level: int = 1000
    """At most so many of the best scores a level."""
    iou_threshold: float = 0.5
    """Of non-maximum suppression, class by class."""
    max_detections: int = 100
    """At most so many an image (COCO's own limit)."""

    def __post_init__(self) -> None:
        checks.number("score_threshold", self.score_threshold, low=0, high=1)
        checks.number("iou_threshold", self.iou_threshold, low=0, high=1)
        checks.integer("max_per_level", self.max_per_level, low=1)
        checks.integer("max_detections", self.max_detections, low=1)


class Detections(NamedTuple):
    """What a detector found in one image, best score first; arrays or tensors."""

    boxes: Any
    """(D, 4) in pixels of the network's input."""
    scores: Any
    """(D,) in [0, 1]."""
    classes: Any
    """(D,) int64 in 0 … K-1."""


@dataclass(frozen=True)
class AssignmentConfig:
    """Which anchors are positive, ignored and background (section 4, "Anchors")."""

    positive_iou: float = 0.5
    """An anchor with at least this IoU is assigned to the ground-truth box it overlaps most."""
    negative_iou: float = 0.4
    """Below it an anchor is background; between the two it is ignored."""
    force_match: bool = False
    """Also assign the anchors that overlap a ground-truth box most (RPN's first clause; not in the paper)."""

    def __post_init__(self) -> None:
        checks.iou_thresholds(self.positive_iou, self.negative_iou)


@dataclass(frozen=True)
class LossConfig:
    """The training loss (sections 3 and 4.1)."""

    gamma: float = 2.0
    """Focusing parameter of equation 4."""
    alpha: float | None = 0.25
    """Weight of the positives, 1 - alpha that of the negatives, equation 5; None: both 1."""
    prior: float = 0.01
    """pi: every anchor's probability of every class when training starts."""

    def __post_init__(self) -> None:
        checks.gamma_alpha(self.gamma, self.alpha)
        checks.number("prior", self.prior, above=0, below=1)

    @property
    def prior_logit(self) -> float:
        """The last classification bias, b = -log((1 - pi) / pi)."""
        return -math.log((1 - self.prior) / self.prior)


@dataclass(frozen=True)
class ResizeConfig:
    """How images are brought to the network's size (section 5.1 and Table 1e; the upper bound is the usual 1333)."""

    shorter_side: int = 600
    """Pixels of the shorter side after resizing."""
    longer_side: int = 1333
    """The longer side may not exceed this; the shorter gives way."""

    def __post_init__(self) -> None:
        checks.integer("shorter_side", self.shorter_side, low=1)
        checks.integer("longer_side", self.longer_side, low=self.shorter_side)

    def resized(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of an image of (height, width) after resizing; both at least 1."""
        height, width = image_size
        scale = min(self.shorter_side / min(height, width), self.longer_side / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


class Settings:
    """What RetinaNetConfig and TrainingConfig, whose fields may be configurations themselves, share: dicts and back."""

    def to_dict(self) -> dict[str, Any]:
        """Every setting as plain JSON types, nested like the configuration; ``from_dict`` is the inverse."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(cast(Any, self))))
        return plain

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> Self:
        """The configuration that ``to_dict`` wrote; a missing key has its default, an unknown one is a ValueError."""
        unknown = _unknown_keys(cls, settings)
        if unknown:
            raise ValueError(f"unknown settings: {', '.join(unknown)}; correct or remove them")
        nested = {name: kind(**settings[name]) for name, kind in _nested(cls).items() if name in settings}
        return cls(**{**settings, **nested})

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """The configuration with some settings changed, by dotted name, all at once.

        >>> RetinaNetConfig().with_changes({"depth": 18, "loss.gamma": 0, "anchors.scales": [1, 1.5]})

        Values are JSON types. Raises ValueError for a name that is not a setting, listing those that are, and for a
        value that the setting cannot have.
        """
        settings = self.to_dict()
        for name, value in changes.items():
            section: Any = settings
            *outer, field = name.split(".")
            for part in outer:
                section = section.get(part) if isinstance(section, dict) else None
            if not isinstance(section, dict) or field not in section:
                known = section if isinstance(section, dict) else settings
                raise ValueError(f"{name} is not a setting: there are {', '.join(known)}")
            for kind, wanted in ((bool, "true or false"), (list, "a list"), (dict, "one of its settings, by name")):
                if isinstance(section[field], kind) and not isinstance(value, kind):
                    raise ValueError(f"{name} = {value!r} must be {wanted}")
            section[field] = value
        return self.from_dict(settings)


def _nested(config: Any) -> dict[str, type]:
    """The fields of a configuration that are configurations themselves, and their classes."""
    return {field.name: type(field.default) for field in fields(config) if is_dataclass(field.default)}


def _unknown_keys(config: type, settings: Any, prefix: str = "") -> list[str]:
    """The keys, dotted, that no field of the configuration has."""
    if not isinstance(settings, dict):
        raise ValueError(f"{prefix.rstrip('.') or 'settings'} = {settings!r} must be a dict of settings")
    known: set[str] = {field.name for field in fields(config)}
    unknown = [f"{prefix}{key}" for key in settings if key not in known]
    for name, kind in _nested(config).items():
        unknown += _unknown_keys(kind, settings.get(name, {}), f"{prefix}{name}.")
    return unknown


@dataclass(frozen=True)
class RetinaNetConfig(Settings):
    """The whole detector: backbone, pyramid, subnets, and what its outputs mean (section 4).

    The defaults are the paper's RetinaNet-50; ``RetinaNetConfig(depth=101, groups=32, width_per_group=8)`` is its
    ResNeXt-101-FPN (Table 2).
    """

    num_classes: int = 80
    """K sigmoids an anchor; the background has none."""
    depth: int = 50
    """Layers of the ResNet: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks)."""
    groups: int = 1
    """Cardinality: groups of each bottleneck's 3x3 conv. 1: ResNet; 32: ResNeXt 32x8d."""
    width_per_group: int = 64
    """Channels of one group in the first stage, for a width of 64. 64: ResNet; 8: ResNeXt 32x8d."""
    width: int = 64
    """Channels of the stem; the four stages have 1, 2, 4, 8 times as many (bottlenecks: 4 times those)."""
    norm: str = "frozen"
    """Normalisation of the backbone. "frozen": batch normalisation as a fixed affine map, to fine-tune ImageNet
    weights; "batch": batch normalisation; "group": group normalisation, 8 channels a group, to train from scratch."""
    norm_eps: float = 1e-5
    """Added to the variance in "frozen" and "batch"."""
    fpn_channels: int = 256
    """C: channels of every pyramid level."""
    p6_from: str = "C5"
    """P6 is computed from the backbone's last map, "C5" (the paper), or from "P5" (torchvision)."""
    head_convs: int = 4
    """3x3 convs with ReLU in each subnet, before the one that predicts."""
    head_channels: int = 256
    """Channels of those convs."""
    head_norm: str | None = None
    """None (the paper) or "group": group normalisation, 8 channels a group, after each of those convs."""
    anchors: AnchorConfig = AnchorConfig()
    """Its levels are the pyramid's: the first one from 1 (stride 2, for the smallest objects) to 5."""
    assignment: AssignmentConfig = AssignmentConfig()
    """Which anchors learn from which ground-truth box."""
    loss: LossConfig = LossConfig()
    """The training loss; its prior initialises the last classification bias."""
    postprocess: PostprocessConfig = PostprocessConfig()
    """From the outputs to detections."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from RGB in [0, 1] (ImageNet's)."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """RGB in [0, 1] is divided by it after that (ImageNet's)."""

    def __post_init__(self) -> None:
        choices: dict[str, tuple[Any, ...]] = {
            "depth": (18, 34, 50, 101, 152), "norm": ("frozen", "batch", "group"), "p6_from": ("C5", "P5"),
            "head_norm": (None, "group"),
        }  # fmt: skip
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} = {getattr(self, name)!r} must be one of {', '.join(map(repr, allowed))}")
        counts = ("num_classes", "groups", "width_per_group", "width", "fpn_channels", "head_channels", "head_convs")
        for name in counts:
            low = 0 if name == "head_convs" else 1
            object.__setattr__(self, name, checks.integer(name, getattr(self, name), low=low))
        checks.number("norm_eps", self.norm_eps, low=0)
        for name in ("mean", "std"):
            channels = getattr(self, name)
            if not isinstance(channels, (tuple, list)) or len(channels) != 3:
                raise ValueError(f"{name} = {channels!r} must be a tuple of 3: red, green, blue")
            above = 0 if name == "std" else None
            numbers = tuple(checks.number(f"{name}[{i}]", value, above=above) for i, value in enumerate(channels))
            object.__setattr__(self, name, numbers)
        for name, kind in _nested(RetinaNetConfig).items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} = {getattr(self, name)!r} must be of class {kind.__name__}")
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
                f'norm = "group" takes 8 channels a group: width = {self.width} and width * width_per_group * groups '
                f"/ 64 = {self.bottleneck_width} must be multiples of 8"
            )
        if self.head_norm == "group" and self.head_channels % 8:
            raise ValueError(
                f'head_norm = "group" takes 8 channels a group: head_channels = {self.head_channels} must be a '
                "multiple of 8"
            )

    @property
    def bottleneck_width(self) -> int:
        """Channels of the 3x3 convs in the first stage's bottlenecks."""
        return self.width * self.width_per_group // 64 * self.groups

    @classmethod
    def tiny(cls, num_classes: int, **changes: Any) -> RetinaNetConfig:
        """A detector that trains from scratch on a CPU: a quarter-width ResNet-18, 64 channels, 2 convs a subnet.

        Levels 3 to 6 with anchors of 16 to 203 pixels, for objects of 12 to 200 pixels in images of about 256. Placed
        at random with aspect ratios from 0.6 to 1.6, 78 % of the boxes of 12 to 16 pixels (square root of the area) and
        99 % of the larger ones have an anchor of IoU 0.5 or more. Batch normalisation learns faster than group
        normalisation from batches of 8 images; with ``norm="group"`` any batch will do, and several processes reach the
        weights of one.
        """
        settings: dict[str, Any] = {
            "depth": 18, "width": 16, "norm": "batch", "fpn_channels": 64,
            "head_convs": 2, "head_channels": 64, "head_norm": "group",
            "anchors": AnchorConfig(levels=(3, 4, 5, 6), sizes=(16, 32, 64, 128)), **changes,
        }  # fmt: skip
        return cls(num_classes, **settings)

    @classmethod
    def torchvision(cls, num_classes: int, **changes: Any) -> RetinaNetConfig:
        """torchvision's ``retinanet_resnet50_fpn``, for ``minidet.pytorch.weights.load_torchvision``.

        torchvision runs its COCO weights (91 classes, ``RetinaNet_ResNet50_FPN_Weights.COCO_V1``) with an epsilon of 0:
        ``torchvision(91, norm_eps=0.0)``. Its ``retinanet_resnet50_fpn_v2`` is
        ``torchvision(91, p6_from="C5", head_norm="group")``.
        """
        settings: dict[str, Any] = {
            "p6_from": "P5", "anchors": AnchorConfig.torchvision(),
            "postprocess": PostprocessConfig(max_detections=300), **changes,
        }  # fmt: skip
        return cls(num_classes, **settings)


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the detector is trained (section 4.1, "Optimization"): 16 images a step, 90,000 steps.

    The loss's gamma, alpha and prior are the model's own, ``RetinaNetConfig.loss``. What the paper leaves open has its
    authors' value (Detectron) where they published one.
    """

    iterations: int = 90_000
    """Steps of the optimizer."""
    batch_size: int = 16
    """Images a step, all processes together."""
    optimizer: str = "sgd"
    """"sgd", or "adamw" to train from scratch in few steps."""
    learning_rate: float = 0.01
    """After the warm-up."""
    momentum: float = 0.9
    """Of SGD; AdamW's first beta (the second is 0.999)."""
    weight_decay: float = 1e-4
    """On all parameters."""
    warmup: int = 500
    """Steps over which the learning rate grows linearly (Detectron's; not in the paper)."""
    schedule: str = "steps"
    """"steps": divided by 10 at each of ``steps``; "cosine": from the warm-up to the end along half a cosine to 0."""
    steps: tuple[float, ...] = (2 / 3, 8 / 9)
    """Where the learning rate falls, as parts of the run: 60,000 and 80,000 of 90,000 steps."""
    loss: str = "focal"
    """Of the classes: one of LOSSES. "focal" and "focal_star" use gamma and alpha of the model's LossConfig,
    "balanced_cross_entropy" alpha alone (Table 1a: 0.75 is best), the others neither."""
    focal_star_beta: float = 1.0
    """beta of FL* (appendix A)."""
    hinge_margin: float = 0.5
    """p_t above which the hinge loss is 0."""
    ohem_batch_size: int = 128
    """Anchors an image that OHEM keeps (Table 1d: 128 with 0.5 is the best of those tried)."""
    ohem_iou_threshold: float = 0.5
    """Of OHEM's non-maximum suppression."""
    box_loss_weight: float = 1.0
    """Factor of the smooth L1 loss in the sum."""
    smooth_l1_beta: float = 1.0
    """Where smooth L1 turns from quadratic to linear: 1 is Fast R-CNN's, 0.11 Detectron's."""
    resize: ResizeConfig = ResizeConfig()
    """To the network's size."""
    jitter: tuple[int, int] | None = None
    """Scale jitter: the shorter side is drawn from this range of pixels, ends included; None: ``resize`` alone."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    vertical_flip: float = 0.0
    """Probability of a vertical flip, for images that have no top: through a microscope, or from above."""
    freeze_at: int = 0
    """Leading parts of the backbone that stay as they are: 1 the stem, 2 also the first stage, … 5 all (to fine-tune
    ImageNet weights, 2)."""
    gradient_clip: float | None = None
    """Largest norm of the gradient; a longer one is scaled down to it."""
    precision: str = "float32"
    """"float32"; "bfloat16": convolutions in it, by autocast, while weights and losses stay float32; "auto": bfloat16
    where the GPU or the processor has instructions for it (without them it is many times slower), else float32."""
    channels_last: bool = False
    """Memory format of images and weights."""
    winograd: bool = True
    """On a CPU in float32, large 3x3 convolutions in a quarter of the multiplications, their results rounded to 1e-5 of
    the largest (see ``minidet.pytorch.winograd``)."""
    compile: bool = False
    """Use torch.compile, without ``winograd``."""
    seed: int = 0
    """Of the order of the images and of every random change to them."""
    workers: int = 0
    """Processes that make batches ahead, in each training process; the batches are the same for any number."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    checkpoint_every: int = 1000
    """Steps between two checkpoints."""
    evaluate_every: int | None = None
    """Steps between two evaluations; None: only at the end."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard too, into the run's folder; needs the package ``tensorboard``."""

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} = {getattr(self, name)!r} must be one of {', '.join(map(repr, allowed))}")
        for name in ("iterations", "batch_size", "ohem_batch_size", "log_every", "checkpoint_every"):
            checks.integer(name, getattr(self, name), low=1)
        for name in ("seed", "workers"):
            checks.integer(name, getattr(self, name), low=0)
        checks.integer("freeze_at", self.freeze_at, low=0, high=5)
        if self.evaluate_every is not None:
            checks.integer("evaluate_every", self.evaluate_every, low=1)
        checks.integer("warmup", self.warmup, low=0, high=self.iterations)
        checks.number("learning_rate", self.learning_rate, above=0)
        checks.number("momentum", self.momentum, low=0, below=1)
        for name in ("weight_decay", "box_loss_weight", "smooth_l1_beta"):
            checks.number(name, getattr(self, name), low=0)
        for name in ("flip", "vertical_flip", "hinge_margin", "ohem_iou_threshold"):
            checks.number(name, getattr(self, name), low=0, high=1)
        checks.number("focal_star_beta", self.focal_star_beta)
        if self.gradient_clip is not None:
            checks.number("gradient_clip", self.gradient_clip, above=0)
        if self.loss == "ohem_1_3" and self.ohem_batch_size < 4:
            raise ValueError(f"ohem_batch_size = {self.ohem_batch_size} has no room for 1 positive and 3 negatives")
        if not isinstance(self.resize, ResizeConfig):
            raise ValueError(f"resize = {self.resize!r} must be of class ResizeConfig")
        object.__setattr__(self, "steps", tuple(self.steps))
        for i, step in enumerate(self.steps):
            checks.number(f"steps[{i}]", step, above=0, below=1)
        if self.jitter is not None:
            if not isinstance(self.jitter, (tuple, list)) or len(self.jitter) != 2:
                raise ValueError(f"jitter = {self.jitter!r} must be (smallest, largest) shorter side, or None")
            low, high = self.jitter
            checks.integer("jitter[1]", high, low=checks.integer("jitter[0]", low, low=1), high=self.resize.longer_side)
            object.__setattr__(self, "jitter", (low, high))

    @classmethod
    def tiny(cls, **changes: Any) -> TrainingConfig:
        """From scratch in minutes on a CPU, for ``RetinaNetConfig.tiny`` and images of about 256 pixels.

        AdamW along half a cosine, small batches, and a smooth L1 loss that weighs small errors. So short a run learns
        as much as it sees objects: on ``Shapes(objects=(8, 25), distractors=(3, 10))`` these 1600 steps bring
        ``RetinaNetConfig.tiny(6)`` to an AP50 of 0.93 and an AP of 0.74 on 200 unseen images of
        ``Shapes()``; 1400 steps with group normalisation to 0.84 and 0.65. These were trained in bfloat16, which on a
        processor that has it (AMX or AVX-512) takes 0.7 of the time of float32 without ``winograd``;
        ``precision="auto"`` chooses.
        """
        settings: dict[str, Any] = {
            "iterations": 1600, "batch_size": 8, "optimizer": "adamw", "learning_rate": 4e-3, "warmup": 100,
            "schedule": "cosine", "box_loss_weight": 2.0, "smooth_l1_beta": 0.11, "resize": ResizeConfig(256, 512),
            "channels_last": True, "workers": 1, "checkpoint_every": 200, **changes,
        }  # fmt: skip
        return cls(**settings)


LOSSES = ("focal", "cross_entropy", "balanced_cross_entropy", "focal_star", "hinge", "ohem", "ohem_1_3")
"""The losses that the paper compares."""
_CHOICES = {
    "optimizer": ("sgd", "adamw"), "schedule": ("steps", "cosine"), "loss": LOSSES,
    "precision": ("float32", "bfloat16", "auto"),
}  # fmt: skip
