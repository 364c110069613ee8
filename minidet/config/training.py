"""How the detector is trained: loss, optimizer, schedule, images (sections 3, 4.1 and 5)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from minidet import checks
from minidet.config.loss import LossConfig
from minidet.config.settings import Settings


@dataclass(frozen=True)
class ResizeConfig(Settings):
    """How images are brought to the network's size (section 5.1 and Table 1e; the upper bound is the usual 1333)."""

    shorter_side: int = 600
    """Shorter side of an image after resizing, in pixels."""
    longer_side: int = 1333
    """Largest longer side, in pixels; where it would be exceeded, the image is resized to this longer side instead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("shorter_side", self.shorter_side, low=1)
        checks.integer("longer_side", self.longer_side, low=self.shorter_side)

    def resized(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """The size of an image after resizing.

        >>> ResizeConfig().resized((480, 640))
        (600, 800)

        Args:
            image_size: (height, width), pixels.

        Returns:
            (height, width), both at least 1.
        """
        height, width = image_size
        scale = min(self.shorter_side / min(height, width), self.longer_side / max(height, width))
        return max(1, round(height * scale)), max(1, round(width * scale))


@dataclass(frozen=True)
class TrainingConfig(Settings):
    """How the detector is trained (section 4.1, "Optimization"): 90,000 steps of 16 images.

    What the paper leaves open has its authors' value (Detectron) where they published one.
    """

    iterations: int = 90_000
    """Steps of the optimizer."""
    minutes: float | None = None
    """Minutes into which the training has to fit, evaluations included: then the number of steps is found while they
    are done, whatever `iterations` is, and the schedule with it. None: `iterations` steps."""
    batch_size: int = 16
    """Images per step, in all processes together."""
    accumulate: int = 1
    """Parts in which a process takes its share of a batch through the network, one after the other, so that only one
    part is in memory. The step is that of the whole batch; batch normalisation alone sees the images of a part."""
    optimizer: str = "sgd"
    """The optimizer: "sgd" (the paper), or "adamw" to train from scratch in few steps."""
    learning_rate: float = 0.01
    """Learning rate after the warm-up."""
    momentum: float = 0.9
    """SGD's momentum, or AdamW's first beta (the second one is 0.999)."""
    weight_decay: float = 1e-4
    """Weight decay of all parameters."""
    bias_rate: float = 1.0
    """Factor of the learning rate of biases: 2 in Detectron. With SGD alone."""
    bias_decay: bool = True
    """Whether biases have weight decay: they have none in Detectron. With SGD alone."""
    warmup: int = 500
    """Steps over which the learning rate grows linearly (Detectron's; not in the paper)."""
    schedule: str = "steps"
    """How the learning rate falls after the warm-up: "steps" divides it by 10 at each of `steps`; "cosine" lets it fall
    to 0 along half a cosine."""
    steps: tuple[float, ...] = (2 / 3, 8 / 9)
    """Where the learning rate is divided by 10, as fractions of the run: at 60,000 and 80,000 of 90,000 steps."""
    loss: LossConfig = LossConfig()  # noqa: RUF009  it is frozen
    """The loss of the classes and of the boxes, and how the two are added."""
    resize: ResizeConfig = ResizeConfig()
    """How images are brought to the network's size."""
    jitter: tuple[int, int] | None = None
    """Scale jitter: the shorter side is drawn from this range of pixels, ends included; None keeps that of `resize`."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    vertical_flip: float = 0.0
    """Probability of a vertical flip, for images that have no top: through a microscope, or from above."""
    photometric: float = 0.0
    """How much brightness, contrast, saturation and hue are changed at random, from 0, not at all, to 1, very much."""
    crop: float = 0.0
    """Probability that a part of an image, with at least one whole object, is enlarged to take the image's place."""
    freeze_at: int = 0
    """How many leading parts of the backbone stay as they are: 1 the stem, 2 also the first stage, … 5 all. Two is the
    usual number to fine-tune ImageNet weights."""
    gradient_clip: float | None = None
    """Largest norm of the gradient, to which a longer one is scaled down; None for no limit."""
    precision: str = "float32"
    """Type in which convolutions are computed, while weights and losses stay float32: "float32", "bfloat16" (by
    autocast), or "auto" for bfloat16 where the GPU or the processor has instructions for it, without which it is many
    times slower. The reference and the compiled path compute everything in "float32" or "float64"."""
    channels_last: bool = False
    """Whether images and weights lie in memory with the channels last."""
    winograd: bool = True
    """Whether large 3x3 convolutions, on a CPU in float32, take a quarter of the multiplications; their results are
    rounded to 1e-5 of the largest (see `minidet.pytorch.winograd`)."""
    compile: bool = False
    """Whether the network is compiled with torch.compile, which excludes `winograd`."""
    seed: int = 0
    """Seed of the order of the images and of every random change to them."""
    workers: int = 0
    """Processes that make batches ahead, in each training process; the batches are the same for any number. Above 0, a
    script needs `if __name__ == "__main__":` (see `minidet.pytorch.training.train`)."""
    log_every: int = 20
    """Steps between two lines of metrics."""
    checkpoint_every: int = 1000
    """Steps between two checkpoints."""
    evaluate_every: int | None = None
    """Steps between two evaluations; None for one at the end."""
    patience: int | None = None
    """Evaluations in a row without a better AP after which the training ends; None for no such end."""
    tensorboard: bool = False
    """Whether to write the metrics for TensorBoard too, into the run's folder; needs the package `tensorboard`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.choice("optimizer", self.optimizer, ("sgd", "adamw"))
        checks.choice("schedule", self.schedule, ("steps", "cosine"))
        checks.choice("precision", self.precision, ("float32", "float64", "bfloat16", "auto"))
        for name in ("iterations", "batch_size", "accumulate", "log_every", "checkpoint_every"):
            checks.integer(name, getattr(self, name), low=1)
        for name in ("seed", "workers"):
            checks.integer(name, getattr(self, name), low=0)
        checks.integer("freeze_at", self.freeze_at, low=0, high=5)
        for name in ("evaluate_every", "patience"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), low=1)
        if self.minutes is not None:
            checks.number("minutes", self.minutes, above=0)
        checks.integer("warmup", self.warmup, low=0, high=self.iterations)
        checks.number("learning_rate", self.learning_rate, above=0)
        checks.number("momentum", self.momentum, low=0, below=1)
        checks.number("weight_decay", self.weight_decay, low=0)
        checks.number("bias_rate", self.bias_rate, above=0)
        if self.optimizer != "sgd" and (self.bias_rate != 1 or not self.bias_decay):
            raise ValueError(
                f"optimizer = {self.optimizer!r} treats biases like other weights: leave bias_rate at 1 and bias_decay "
                "at true, or take sgd"
            )
        for name in ("flip", "vertical_flip", "photometric", "crop"):
            checks.number(name, getattr(self, name), low=0, high=1)
        if self.gradient_clip is not None:
            checks.number("gradient_clip", self.gradient_clip, above=0)
        for i, step in enumerate(self.steps):
            checks.number(f"steps[{i}]", step, above=0, below=1)
        if self.jitter is not None:
            if not isinstance(self.jitter, (tuple, list)) or len(self.jitter) != 2:
                raise ValueError(f"jitter = {self.jitter!r} must be (smallest, largest) shorter side, or None")
            low = checks.integer("jitter[0]", self.jitter[0], low=1)
            high = checks.integer("jitter[1]", self.jitter[1], low=low, high=self.resize.longer_side)
            object.__setattr__(self, "jitter", (low, high))

    def groups(self, names: Iterable[str]) -> list[tuple[list[str], float, float]]:
        """The weights by how they are updated.

        >>> TrainingConfig(bias_rate=2.0, bias_decay=False).groups(["conv.weight", "conv.bias"])
        [(['conv.weight'], 1.0, 0.0001), (['conv.bias'], 2.0, 0.0)]

        Args:
            names: of the weights; those that end in "bias" are biases.

        Returns:
            For each group its names, the factor of its learning rate and its weight decay; a single group where biases
            are like other weights.
        """
        names = list(names)
        if self.bias_rate == 1 and self.bias_decay:
            return [(names, 1.0, self.weight_decay)]
        biases = [name for name in names if name.endswith("bias")]
        others = [name for name in names if not name.endswith("bias")]
        return [(others, 1.0, self.weight_decay), (biases, self.bias_rate, self.weight_decay * self.bias_decay)]

    def with_images_per_step(self, images: int) -> TrainingConfig:
        """The same training with more or fewer images per step, by the linear rule (Goyal et al., 2017).

        The learning rate grows with the images per step, and the number of steps falls, so that equally many images
        are seen; the warm-up keeps its number of images too.

        >>> config = TrainingConfig().with_images_per_step(4)
        >>> config.learning_rate, config.iterations, config.warmup
        (0.0025, 360000, 2000)

        Args:
            images: per step, in all processes together, 1 or more.

        Returns:
            The changed configuration.
        """
        factor = checks.integer("images", images, low=1) / self.batch_size
        iterations = max(1, round(self.iterations / factor))
        return replace(
            self, batch_size=images, learning_rate=self.learning_rate * factor, iterations=iterations,
            warmup=min(iterations, round(self.warmup / factor)),
        )  # fmt: skip

    @classmethod
    def detectron(cls, **changes: Any) -> TrainingConfig:
        """The paper's training, with the values of its authors' code (Detectron) where the paper gives none.

        These are smooth L1 that turns linear at 0.11, and biases without weight decay and with twice the learning rate.
        The code also freezes the stem and the first stage of a backbone from ImageNet: for that give `freeze_at=2`.

        Args:
            changes: other values of the fields, by name.
        """
        settings: dict[str, Any] = {
            "loss": LossConfig(smooth_l1_beta=0.11), "bias_rate": 2.0, "bias_decay": False, **changes
        }  # fmt: skip
        return cls(**settings)

    @classmethod
    def tiny(cls, **changes: Any) -> TrainingConfig:
        """A training from scratch in minutes on a CPU, for `RetinaNetConfig.tiny` and images of about 256 pixels.

        It takes AdamW along half a cosine, small batches, and a smooth L1 loss to which small errors matter. The more
        objects it sees, the more so short a run learns: on `Shapes(objects=(8, 25), distractors=(3, 10))` these 1600
        steps bring `RetinaNetConfig.tiny(6)` to an AP50 of 0.93 and an AP of 0.74 on 200 unseen images of `Shapes()`;
        1400 steps with group normalisation bring it to 0.84 and 0.65. These were trained in bfloat16, which on a
        processor that has it (AMX or AVX-512) takes 0.7 of the time of float32 without `winograd`; `precision="auto"`
        chooses.

        Batches are made between the steps, so that any script can train. Give `workers=1` to have them made meanwhile
        by another process, which takes the script to begin with `if __name__ == "__main__":`.

        Args:
            changes: other values of the fields, by name.
        """
        settings: dict[str, Any] = {
            "iterations": 1600, "batch_size": 8, "optimizer": "adamw", "learning_rate": 4e-3, "warmup": 100,
            "schedule": "cosine", "loss": LossConfig(box_weight=2.0, smooth_l1_beta=0.11),
            "resize": ResizeConfig(256, 512),
            "channels_last": True, "checkpoint_every": 200, **changes,
        }  # fmt: skip
        return cls(**settings)
