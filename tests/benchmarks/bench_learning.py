"""AP against minutes of training on a data set of one's own, ours beside torchvision's RetinaNet.

    python -m tests.benchmarks.bench_learning DATA --out FOLDER [--only minidet] [--steps 1000] [--minutes 20]

DATA is a Pascal VOC folder with the lists train and val. Both detectors are a ResNet-18 with 64 channels in the pyramid
and the subnets, start from random weights, and are given the same batches (eight images, the shorter side 240 pixels,
flipped at random in both directions), made by the same code; the anchors of both begin at 16 pixels. Ours is trained by
``minidet.pytorch.training.train``; torchvision's by AdamW, 1e-3 at the height of one cycle, gradients clipped. The
minutes are those of training, evaluations not counted; points of a curve after ``--minutes`` are left out. Results:
FOLDER/learning.json and .png; what is there of the other detector is kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from minidet.config import AssignmentConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data import open_dataset
from minidet.data.batches import TrainingData
from minidet.evaluation.detector import evaluate_detections
from minidet.geometry import resize_image, scale_boxes
from minidet.plotting import CLASS_COLOURS, draw_curve, new_figure, save_figure
from minidet.pytorch.inference import batch_images, detect_images
from minidet.pytorch.loader import load_batches
from minidet.pytorch.memory import keep_freed_memory
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.structures import Categories, Detections
from tests.benchmarks.timing import machine

RESIZE = ResizeConfig(240, 480)
WIDTH = 64
Curve = list[dict[str, float]]


def model_config(classes: int) -> RetinaNetConfig:
    return RetinaNetConfig.tiny(
        classes, width=64, fpn_channels=WIDTH, head_channels=WIDTH, assignment=AssignmentConfig(force_match=True)
    )  # fmt: skip


def training_config(steps: int, evaluations: int) -> TrainingConfig:
    return TrainingConfig.tiny(
        iterations=steps, warmup=min(100, steps // 5), learning_rate=2e-3, resize=RESIZE, vertical_flip=0.5,
        precision="auto", evaluate_every=max(1, steps // evaluations), checkpoint_every=steps, workers=1,
    )  # fmt: skip


def measured(found: list[Detections], val: Any) -> dict[str, float]:
    """COCO's numbers."""
    categories = Categories.numbered(val.classes)
    metrics: dict[str, float] = evaluate_detections(found, val, categories).metrics
    return metrics


def ours(data: Any, val: Any, steps: int, evaluations: int, minutes: float) -> Curve:
    config, training = model_config(len(data.classes)), training_config(steps, evaluations)
    torch.manual_seed(0)
    model = RetinaNet(config)
    images = [sample.image for sample in val]

    def evaluate(model: RetinaNet) -> dict[str, float]:
        return measured(detect_images(model, images, RESIZE), val)

    with tempfile.TemporaryDirectory() as folder:
        metrics = train(model, TrainingData(data, config, training), training, Path(folder) / "run", evaluate=evaluate)
    curve = [{"minutes": m["seconds"] / 60, "AP": m["AP"], "AP50": m["AP50"]} for m in metrics if "AP" in m]
    return [point for point in curve if point["minutes"] <= minutes]


def theirs(data: Any, val: Any, steps: int, evaluations: int, minutes: float) -> Curve:
    from torchvision.models.detection import RetinaNet as Peer
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.models.detection.retinanet import RetinaNetHead
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    config, training = model_config(len(data.classes)), training_config(steps, evaluations)
    torch.manual_seed(0)
    extra = LastLevelP6P7(WIDTH, WIDTH)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5,
        returned_layers=[2, 3, 4], extra_blocks=extra,
    )  # fmt: skip
    backbone.fpn = type(backbone.fpn)([128, 256, 512], WIDTH, extra)
    backbone.out_channels = WIDTH
    sides = [[int(side * 2 ** (k / 3)) for k in range(3)] for side in (*config.anchors.sizes, 256)]  # P7 has some too
    generator = AnchorGenerator(tuple(map(tuple, sides)), ((0.5, 1.0, 2.0),) * len(sides))
    head = RetinaNetHead(WIDTH, generator.num_anchors_per_location()[0], len(data.classes))
    model = Peer(
        backbone, len(data.classes), min_size=RESIZE.shorter_side, max_size=RESIZE.longer_side,
        image_mean=[0.0] * 3, image_std=[1.0] * 3, anchor_generator=generator, head=head, detections_per_img=100,
    )  # fmt: skip
    model.transform.resize = lambda image, target: (image, target)  # they come at the network's size
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    batches = load_batches(TrainingData(data, config, training), range(steps), workers=1)
    seen = [sample.image for sample in val]
    seconds, curve = 0.0, list[dict[str, float]]()
    began = time.perf_counter()
    for iteration, batch in enumerate(tqdm(batches, "torchvision", steps), start=1):
        model.train()
        targets = [
            {"boxes": torch.from_numpy(t.boxes).float(), "labels": torch.from_numpy(t.classes)}
            for t in batch.ground_truth
        ]  # fmt: skip
        loss = sum(model(list(batch.images), targets).values())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        seconds += time.perf_counter() - began
        if iteration % training.evaluate_every == 0 or iteration == steps or seconds > 60 * minutes:
            curve.append({"minutes": seconds / 60} | _peer_numbers(model.eval(), seen, val, config))
            print(curve[-1])
            if seconds > 60 * minutes:
                break
        began = time.perf_counter()
    return curve


def _peer_numbers(model: Any, images: list[np.ndarray], val: Any, config: RetinaNetConfig) -> dict[str, float]:
    found = []
    for image in images:
        size = RESIZE.resized(image.shape[:2])
        batch = batch_images([resize_image(image, size)], config)
        with torch.inference_mode():
            result = model([batch[0, :, : size[0], : size[1]]])[0]
        boxes = scale_boxes(result["boxes"].double().numpy(), size, image.shape[:2])
        found.append(Detections(boxes, result["scores"].numpy(), result["labels"].numpy()))
    metrics = measured(found, val)
    return {"AP": metrics["AP"], "AP50": metrics["AP50"]}


def draw(curves: dict[str, Curve], name: str, out: Path) -> None:
    figure, axes = new_figure(8, 4.5)
    ax = axes[0, 0]
    for colour, (who, curve) in zip(CLASS_COLOURS, curves.items(), strict=False):
        minutes = np.array([point["minutes"] for point in curve])
        for metric, style in (("AP50", "--"), ("AP", "-")):
            values = np.array([point[metric] for point in curve])
            draw_curve(ax, minutes, values, f"{who}, {metric}", colour, linestyle=style, marker="o", markersize=3)
    ax.set(xlabel="training time (minutes)", ylabel="average precision", ylim=(0, 1), xlim=(0, None))
    ax.set_title(f"{name}: ResNet-18, {WIDTH} channels, from random weights, batches of 8")
    ax.legend()
    for path in save_figure(figure, out, "learning", ("png",)):
        print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a Pascal VOC folder with the lists train and val")
    parser.add_argument("--out", type=Path, default=Path("figures/results"), help="folder for learning.json and .png")
    parser.add_argument("--only", choices=("minidet", "torchvision"), help="train this one alone")
    parser.add_argument("--steps", type=int, default=1000, help="of the schedule, batches of 8 images")
    parser.add_argument("--evaluations", type=int, default=10, help="points of the curve")
    parser.add_argument("--minutes", type=float, default=20, help="of training, at most")
    options = parser.parse_args()
    keep_freed_memory()
    data, val = (open_dataset(options.data, split=split) for split in ("train", "val"))
    path = options.out / "learning.json"
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"curves": {}}
    trainers: dict[str, Callable[..., Curve]] = {"minidet": ours, "torchvision": theirs}
    for who in [options.only] if options.only else trainers:
        content["curves"][who] = trainers[who](data, val, options.steps, options.evaluations, options.minutes)
        content |= {"machine": machine(), "data": data.name, "steps": options.steps}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
        print(who, content["curves"][who][-1])
    draw(content["curves"], data.name, options.out)


if __name__ == "__main__":
    main()
