"""A training step and the post-processing of an image, beside torchvision's RetinaNet of the same structure.

``python -m tests.benchmarks.bench_training [--side 320] [--batch 4] [--rounds 7] [--json FILE]``, from the repository's
root, where torchvision is installed. A step is forward, loss, backward and SGD: ResNet-18 with frozen batch norm, P3 to
P7 of 256 channels, four convolutions per subnet, 80 classes, eight objects per image. Ours reads channels_last
images, as ``TrainingConfig(channels_last=True)`` has it, and its anchors are assigned before, as ``TrainingData`` does
(the time is counted). Post-processing is that of 800 x 1344 pixels: 201,600 anchors, logits from N(-6.3, 2).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minidet.compiled import assign_pyramid
from minidet.config import AnchorConfig, PostprocessConfig, RetinaNetConfig, TrainingConfig
from minidet.pytorch import postprocess, pyramid_anchors
from minidet.pytorch.memory import keep_freed_memory
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.optimization import in_bfloat16
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.winograd import use_winograd
from minidet.structures import GroundTruth
from tests.benchmarks.timing import machine

Step = Callable[[], float]
"""One training step; returns the seconds of it that assignment and loss took."""


def images_and_objects(batch: int, side: int, objects: int = 8) -> tuple[torch.Tensor, list[np.ndarray], np.ndarray]:
    """Noise, boxes of 32 to 160 pixels, and classes."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.normal(size=(batch, 3, side, side)).astype(np.float32))
    boxes = []
    for _ in range(batch):
        sizes = np.exp(rng.uniform(np.log(32), np.log(160), (objects, 2)))
        corners = rng.uniform(0, 1, (objects, 2)) * (side - sizes)
        boxes.append(np.concatenate([corners, corners + sizes], axis=1))
    return images, boxes, rng.integers(0, 80, objects)


def our_step(
    images: torch.Tensor, boxes: list[np.ndarray], classes: np.ndarray, precision: str, winograd: bool = True
) -> Step:  # fmt: skip
    config = RetinaNetConfig(80, depth=18, p6_from="P5")
    training = TrainingConfig(channels_last=True, precision=precision)
    torch.manual_seed(0)
    model = RetinaNet(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    use_winograd(model, winograd)
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
    truth = [GroundTruth(b, classes, np.zeros(len(b), bool)) for b in boxes]

    def step() -> float:
        x = images.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            logits, deltas = model(x)
        before = time.perf_counter()
        size = (x.shape[2], x.shape[3])
        assignments = torch.from_numpy(np.stack([assign_pyramid(size, b, config.anchors) for b in boxes]))
        losses = detection_loss(logits, deltas, model.anchors(size), truth, config, training, assignments)
        spent = time.perf_counter() - before
        optimizer.zero_grad()
        (losses.classification + losses.box).backward()
        optimizer.step()
        return spent

    return step


def torchvision_step(images: torch.Tensor, boxes: list[np.ndarray], classes: np.ndarray, layout: Any) -> Step:
    from torchvision.models.detection import RetinaNet as Peer
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, trainable_layers=5, returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )  # fmt: skip
    side = images.shape[-1]
    model = Peer(backbone, 80, min_size=side, max_size=side, image_mean=[0.0] * 3, image_std=[1.0] * 3)
    model = model.to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
    targets = [{"boxes": torch.from_numpy(b).float(), "labels": torch.from_numpy(classes)} for b in boxes]
    spent = [0.0]
    compute_loss = model.compute_loss

    def timed(*arguments: Any) -> Any:
        before = time.perf_counter()
        result = compute_loss(*arguments)
        spent[0] = time.perf_counter() - before
        return result

    model.compute_loss = timed

    def step() -> float:
        losses = model([image.to(memory_format=torch.contiguous_format) for image in images], targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        return spent[0]

    return step


def alternate(ways: dict[str, Step], rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of each way's step, and of assignment and loss in it; the ways take turns."""
    for way in ways.values():
        way()
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            before = time.perf_counter()
            spent = way()
            times[name].append((time.perf_counter() - before, spent))
    return {
        name: {
            "step": statistics.median(whole for whole, _ in rows),
            "assignment and loss": statistics.median(part for _, part in rows),
        }
        for name, rows in times.items()
    }  # fmt: skip


def postprocessing(rounds: int) -> dict[str, dict[str, float]]:
    """Ours and torchvision's, from the outputs of one image."""
    from torchvision.models.detection.retinanet import retinanet_resnet50_fpn

    size, config = (800, 1344), AnchorConfig.torchvision()
    anchors = pyramid_anchors(size, config, dtype=torch.float32)
    torch.manual_seed(0)
    logits = [torch.randn(len(level), 80) * 2 - 6.3 for level in anchors]
    deltas = [torch.randn(len(level), 4) * 0.3 for level in anchors]
    peer = retinanet_resnet50_fpn(weights=None, weights_backbone=None, detections_per_img=100).eval()
    outputs = {"cls_logits": [x[None] for x in logits], "bbox_regression": [x[None] for x in deltas]}
    found: dict[str, Any] = {}

    def ours() -> float:
        found["minidet"] = postprocess(logits, deltas, anchors, size, PostprocessConfig())
        return 0.0

    def theirs() -> float:
        found["torchvision"] = peer.postprocess_detections(outputs, [anchors], [size])[0]
        return 0.0

    with torch.inference_mode():
        times = alternate({"minidet": ours, "torchvision": theirs}, rounds)
    same = torch.allclose(found["minidet"].scores, found["torchvision"]["scores"])
    above = sum(int((level.sigmoid() > 0.05).sum()) for level in logits)
    print(f"post-processing: {above:,} scores above 0.05; the same {len(found['minidet'].scores)} scores: {same}")
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=320, help="of the images, pixels")
    parser.add_argument("--batch", type=int, default=4, help="images per step")
    parser.add_argument("--rounds", type=int, default=7, help="steps of each way, in turns")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    try:
        import torchvision  # noqa: F401  only to see whether it is there
    except ImportError:
        print("torchvision is not installed: nothing to compare with")
        return
    keep_freed_memory()  # for all of them: as `minidet train` does
    setting = images_and_objects(options.batch, options.side)
    ways = {
        "torchvision, float32": torchvision_step(*setting, torch.contiguous_format),
        "torchvision, float32, channels_last": torchvision_step(*setting, torch.channels_last),
        "minidet, float32": our_step(*setting, "float32"),
        "minidet, float32, no winograd": our_step(*setting, "float32", winograd=False),
    }
    if in_bfloat16("auto", torch.device("cpu")):
        ways["minidet, bfloat16"] = our_step(*setting, "bfloat16")
    steps = alternate(ways, options.rounds)
    first = steps["torchvision, float32"]["step"]
    for name, row in steps.items():
        share = row["assignment and loss"] / row["step"]
        print(f"{name:38} {row['step']:6.2f} s per step, {row['step'] / first:.2f}; assignment and loss {share:.1%}")
    post = postprocessing(options.rounds)
    ours, theirs = post["minidet"]["step"], post["torchvision"]["step"]
    print(f"post-processing: minidet {ours * 1e3:.0f} ms, torchvision {theirs * 1e3:.0f} ms, {ours / theirs:.2f}")
    if options.json:
        content = {
            "machine": machine(), "side": options.side, "batch": options.batch, "seconds": steps,
            "postprocessing": {name: row["step"] for name, row in post.items()},
        }  # fmt: skip
        options.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
