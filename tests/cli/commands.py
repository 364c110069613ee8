"""The words of commands that are quick: a network of a few channels, a few steps, images of 64 pixels."""

from __future__ import annotations

SMALL = [
    "model.width=8", "model.fpn_channels=16", "model.head_channels=16", "model.head_convs=1",
    'model.anchors={"levels": [3, 4], "sizes": [16, 32], "scales": [1.0]}', "training.precision=float32",
    "training.channels_last=false", "training.iterations=4", "training.batch_size=2", "training.warmup=1",
    "training.workers=0", "training.log_every=1", "training.checkpoint_every=2",
]  # fmt: skip
SHAPES = [
    "data.image_size=[64,64]", "data.objects=[1,3]", "data.distractors=[0,0]", "data.images=8", "val.images=3",
    "val.objects=[1,3]", "val.distractors=[0,0]",
]  # fmt: skip
"""Few objects: in so small an image it takes many tries until more of them find a place."""


def words(*parts):
    """A command's words as text."""
    return [str(part) for part in parts]


def train_command(out, *more, data="shapes", settings=SHAPES, small=SMALL):
    """A training of four steps."""
    changes = [word for setting in [*small, *settings] for word in ("--set", setting)]
    return words("train", "--data", data, "--out", out, "--shorter-side", 64, *changes, *more)
