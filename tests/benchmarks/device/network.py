"""Part c: RetinaNet-R50 on 800 pixels, batch 16, synthetic images: training and inference, beside torchvision's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from minidet.compiled import assign_pyramid
from minidet.config import RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.loader import load_batches
from minidet.pytorch.processes import Process
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import Learner, train_step
from minidet.structures import Batch, GroundTruth
from tests.benchmarks.device.recorder import Place


def synthetic(place: Place) -> tuple[RetinaNetConfig, Batch[torch.Tensor]]:
    """The network and a batch: noise, 10 boxes per image, anchors assigned, as the processes that make batches do."""
    config = RetinaNetConfig.tiny(8) if place.small else RetinaNetConfig(80)
    size, images, rng = (96, 128) if place.small else (800, 800), 2 if place.small else 16, np.random.default_rng(0)
    pixels = torch.from_numpy(rng.normal(size=(images, 3, *size)).astype(np.float32))
    truth = []
    for _ in range(images):
        sides = np.exp(rng.uniform(np.log(size[0] / 25), np.log(size[0] / 2), (10, 2)))
        corners = rng.uniform(0, 1, (10, 2)) * (np.array(size[::-1]) - sides)
        boxes = np.concatenate([corners, corners + sides], axis=1)
        truth.append(GroundTruth(boxes, rng.integers(0, config.num_classes, 10), np.zeros(10, bool)))
    assigned = np.stack([assign_pyramid(size, image.boxes, config.anchors) for image in truth])
    batch = Batch(pixels, truth, list(range(images)), torch.from_numpy(assigned))
    if not place.small:
        batch = batch._replace(images=batch.images.pin_memory(), assignments=batch.assignments.pin_memory())
    return config, batch


def ours(place: Place, precision: str, compiled: bool = False) -> Callable[[], Any]:
    """A measurement of our training step, then of detection with the same network."""
    config, batch = synthetic(place)

    def measure() -> dict[str, Any]:
        training = TrainingConfig(
            batch_size=len(batch.images), precision=precision, channels_last=True, compile=compiled, winograd=False,
            learning_rate=1e-4, gradient_clip=1.0,
        )  # fmt: skip
        torch.manual_seed(0)
        learner = Learner(RetinaNet(config), training, Process(0, 1, place.device))
        place.peak_memory()
        step = place.seconds(lambda: train_step(learner, batch, 1000), rounds=8, limit=12)
        result = {"training": len(batch.images) / step, "GiB": place.peak_memory()}
        if compiled:
            return result
        images = batch.images.to(place.device, memory_format=torch.channels_last)

        def detect() -> None:
            with torch.autocast(place.device.type, torch.bfloat16, enabled=learner.half):
                learner.model.detect(images)

        result["inference"] = len(images) / place.seconds(detect, rounds=8, limit=6)
        return {**result, "inference GiB": place.peak_memory()}

    return measure


def torchvisions(place: Place, precision: str) -> Callable[[], Any]:
    """The same of torchvision's network, with the same backbone: batch norm frozen, all stages trained."""

    def measure() -> dict[str, Any]:
        from torchvision.models.detection import RetinaNet as Peer
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
        from torchvision.ops import FrozenBatchNorm2d
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7

        config, batch = synthetic(place)
        side = batch.images.shape[-2]
        torch.manual_seed(0)
        name = "resnet18" if place.small else "resnet50"
        backbone = resnet_fpn_backbone(
            backbone_name=name, weights=None, trainable_layers=5, returned_layers=[2, 3, 4],
            extra_blocks=LastLevelP6P7(256 if place.small else 2048, 256), norm_layer=FrozenBatchNorm2d,
        )  # fmt: skip
        model = Peer(
            backbone, config.num_classes, min_size=side, max_size=batch.images.shape[-1],
            image_mean=[0.0] * 3, image_std=[1.0] * 3,
        )  # fmt: skip
        model = model.to(place.device, memory_format=torch.channels_last).train()
        optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9, weight_decay=1e-4)
        targets = [
            {"boxes": torch.from_numpy(t.boxes).float().to(place.device), "labels": torch.from_numpy(t.classes)}
            for t in batch.ground_truth
        ]
        targets = [{name: value.to(place.device) for name, value in target.items()} for target in targets]
        half = precision == "bfloat16"

        def step() -> None:
            images = list(batch.images.to(place.device, non_blocking=True))
            with torch.autocast(place.device.type, torch.bfloat16, enabled=half):
                losses = model(images, targets)
                loss = sum(losses.values())
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()

        place.peak_memory()
        result = {"training": len(targets) / place.seconds(step, rounds=8, limit=12), "GiB": place.peak_memory()}
        model.eval()
        images = list(batch.images.to(place.device))

        def detect() -> None:
            with torch.inference_mode(), torch.autocast(place.device.type, torch.bfloat16, enabled=half):
                model(images)

        result["inference"] = len(images) / place.seconds(detect, rounds=8, limit=6)
        return {**result, "inference GiB": place.peak_memory()}

    return measure


def loading(place: Place) -> dict[str, Any]:
    """Images per second that the processes make, of synthetic shapes at the same size."""
    config = RetinaNetConfig.tiny(6) if place.small else RetinaNetConfig(80)
    side, steps, workers = (64, 6, 0) if place.small else (800, 120, min(12, os.cpu_count() or 1))
    training = TrainingConfig(batch_size=2 if place.small else 16).with_changes({"resize.shorter_side": side})
    data = TrainingData(Shapes(64, image_size=(side, side)), config, training)
    batches = iter(load_batches(data, range(steps), workers, pin_memory=not place.small))
    for _ in range(1 + 3 * workers):  # the first ones lie ready: they are not counted
        next(batches)
    began = time.perf_counter()
    taken = sum(1 for _ in batches)
    seconds = (time.perf_counter() - began) / taken
    return {"workers": workers, "images per second": training.batch_size / seconds}


def main() -> None:
    place = Place("c")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True  # for both
    recorder = place.recorder
    for precision in ("bfloat16", "float32"):
        mine = recorder.attempt(f"minidet, {precision}", ours(place, precision))
        theirs = recorder.attempt(f"torchvision, {precision}", torchvisions(place, precision))
        if mine and theirs:
            ratios = {name: round(mine[name] / theirs[name], 2) for name in ("training", "inference")}
            recorder.record(f"minidet / torchvision, {precision}", ratios)
    recorder.attempt("loading", lambda: loading(place))
    if not place.small:  # compiling takes a minute, on a CPU many
        recorder.attempt("minidet, bfloat16, compiled", ours(place, "bfloat16", compiled=True))


if __name__ == "__main__":
    main()
