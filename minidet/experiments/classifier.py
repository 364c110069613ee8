"""A backbone that learnt to classify, as the paper's did on ImageNet: no detector's loss has shaped its features."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from minidet.config import RetinaNetConfig
from minidet.experiments.circumstances import circumstances
from minidet.experiments.lock import locked
from minidet.files import write_json

STEPS = 1200
"""Steps of AdamW."""
BATCH = 32
"""Images per step."""
RATE = 1e-3
"""The highest learning rate; it rises over a tenth of the steps and falls along half a cosine."""
IMAGES: dict[str, Any] = {"seed": 9, "image_size": (64, 64), "objects": (1, 1), "distractors": (0, 0), "min_size": 44,
                          "max_size": 60}  # fmt: skip
"""What it learns from: one shape that fills the image, of all six classes. No image is seen twice: it would learn a few
thousand by heart, and recognise no others."""
UNSEEN = {**IMAGES, "images": 500, "seed": 10}
"""What its accuracy is measured on."""


def trained(config: RetinaNetConfig, seed: int, results: Path) -> Path:
    """The file of a classifier's backbone, which is trained unless it is there.

    Args:
        config: has the depth and the width.
        seed: of its weights and of the order of its images.
        results: folder of the results, in whose folder ``classifiers`` it is kept, with its accuracy beside it.

    Returns:
        The file, see `minidet.experiments.backbones.save`.
    """
    path = results / "classifiers" / f"depth={config.depth},width={config.width}_seed{seed}.npz"
    while not path.exists():
        with locked(path.with_suffix(".lock")) as free:
            if not free:
                time.sleep(2)  # another process is at it
            elif not path.exists():
                _train(config, seed, path)
    return path


def _train(config: RetinaNetConfig, seed: int, path: Path) -> None:
    import torch
    from torch import nn

    from minidet.data import Shapes
    from minidet.experiments.backbones import save
    from minidet.pytorch.resnet import ResNet

    began = time.perf_counter()
    images, unseen = Shapes(**IMAGES, images=STEPS * BATCH), Shapes(**UNSEEN)
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    backbone = ResNet(replace(config, norm="batch")).to(device)
    linear = nn.Linear(backbone.out_channels[-1], len(images.classes)).to(device)
    parameters = [*backbone.parameters(), *linear.parameters()]
    optimizer = torch.optim.AdamW(parameters, RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    for batch in np.random.default_rng(seed).permutation(len(images)).reshape(STEPS, BATCH):
        samples = [images[int(i)] for i in batch]
        logits = linear(_pooled(backbone, samples, config, device))  # (BATCH, classes)
        loss = nn.functional.cross_entropy(logits, torch.tensor([int(s.classes[0]) for s in samples], device=device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    backbone.eval()
    right = 0
    with torch.inference_mode():
        for first in range(0, len(unseen), BATCH):
            samples = [unseen[i] for i in range(first, min(first + BATCH, len(unseen)))]
            best = linear(_pooled(backbone, samples, config, device)).argmax(1).tolist()
            right += sum(k == int(sample.classes[0]) for k, sample in zip(best, samples, strict=True))
    content = {
        "seed": seed, "depth": config.depth, "width": config.width, "accuracy": round(right / len(unseen), 4),
        "seconds": round(time.perf_counter() - began, 1), **circumstances(),
    }  # fmt: skip
    write_json(path.with_suffix(".json"), content)
    save(path, backbone.state_dict())


def _pooled(backbone: Any, samples: list[Any], config: RetinaNetConfig, device: Any) -> Any:
    """(B, channels) the mean of the last map over its places."""
    from minidet.pytorch.inference import batch_images

    return backbone(batch_images([sample.image for sample in samples], config).to(device))[-1].mean((2, 3))
