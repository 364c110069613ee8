"""How the detector is trained: loss, optimizer, schedule, images (sections 3, 4.1 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minidet import checks
from minidet.config.settings import Settings, nested

LOSSES = ("focal", "cross_entropy", "balanced_cross_entropy", "focal_star", "hinge", "ohem", "ohem_1_3")
"""The losses that the paper compares."""


@dataclass(frozen=True)
class LossConfig:
    """The training loss: of the classes by one of LOSSES, of the boxes by smooth L1 (sections 3, 4.1 and 5.1)."""

    kind: str = "focal"
    """One of LOSSES. "focal" and "focal_star" use gamma and alpha, "balanced_cross_entropy" alpha alone (Table 1a: 0.75
    is best), the others neither."""
    gamma: float = 2.0
    """Focusing parameter of equation 4."""
    alpha: float | None = 0.25
    """Weight of the positives, 1 - alpha that of the negatives, equation 5; None: both 1."""
    beta: float = 1.0
    """beta of FL* (appendix A)."""
    margin: float = 0.5
    """p_t above which the hinge loss is 0."""
    ohem_batch_size: int = 128
    """Anchors per image that OHEM keeps (Table 1d: 128 with an IoU of 0.5 is the best of those tried)."""
    ohem_iou_threshold: float = 0.5
    """IoU above which OHEM's non-maximum suppression drops an anchor."""
    box_weight: float = 1.0
    """Factor of the smooth L1 loss in the sum."""
    smooth_l1_beta: float = 1.0
    """Where smooth L1 turns from quadratic to linear: 1 is Fast R-CNN's, 0.11 Detectron's."""

    def __post_init__(self) -> None:
        if self.kind not in LOSSES:
            raise ValueError(f"kind = {self.kind!r} must be one of {', '.join(map(repr, LOSSES))}")
        checks.gamma_alpha(self.gamma, self.alpha)
        checks.number("beta", self.beta)
        checks.integer("ohem_batch_size", self.ohem_batch_size, low=1)
        for name in ("margin", "ohem_iou_threshold"):
            checks.number(name, getattr(self, name), low=0, high=1)
        for name in ("box_weight", "smooth_l1_beta"):
            checks.number(name, getattr(self, name), low=0)
        if self.kind == "ohem_1_3" and self.ohem_batch_size < 4:
            raise ValueError(f"ohem_batch_size = {self.ohem_batch_size} has no room for 1 positive and 3 negatives")


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


_CHOICES = {
    "optimizer": ("sgd", "adamw"), "schedule": ("steps", "cosine"), "precision": ("float32", "bfloat16", "auto"),
}  # fmt: skip


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the detector is trained (section 4.1, "Optimization"): 16 images a step, 90,000 steps.

    What the paper leaves open has its authors' value (Detectron) where they published one.
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
    loss: LossConfig = LossConfig()
    """The loss of the classes and of the boxes, and how the two are added."""
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
        for name in ("iterations", "batch_size", "log_every", "checkpoint_every"):
            checks.integer(name, getattr(self, name), low=1)
        for name in ("seed", "workers"):
            checks.integer(name, getattr(self, name), low=0)
        checks.integer("freeze_at", self.freeze_at, low=0, high=5)
        if self.evaluate_every is not None:
            checks.integer("evaluate_every", self.evaluate_every, low=1)
        checks.integer("warmup", self.warmup, low=0, high=self.iterations)
        checks.number("learning_rate", self.learning_rate, above=0)
        checks.number("momentum", self.momentum, low=0, below=1)
        checks.number("weight_decay", self.weight_decay, low=0)
        for name in ("flip", "vertical_flip"):
            checks.number(name, getattr(self, name), low=0, high=1)
        if self.gradient_clip is not None:
            checks.number("gradient_clip", self.gradient_clip, above=0)
        for name, kind in nested(TrainingConfig).items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} = {getattr(self, name)!r} must be of class {kind.__name__}")
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
            "schedule": "cosine", "loss": LossConfig(box_weight=2.0, smooth_l1_beta=0.11),
            "resize": ResizeConfig(256, 512),
            "channels_last": True, "workers": 1, "checkpoint_every": 200, **changes,
        }  # fmt: skip
        return cls(**settings)
