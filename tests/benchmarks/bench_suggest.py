"""Small objects: the paper's anchors beside suggested ones, trained for the same time.

``python -m tests.benchmarks.bench_suggest [--steps 1000] [--json FILE]``, from the repository's root. Shapes of 6 to 20
pixels in images of 128; the tiny preset with half its channels in the pyramid and the subnets. The suggested anchors,
which lie closer, are trained for so many steps and the paper's for as long on the clock; both are measured on 200
unseen images.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.evaluation.detector import evaluate_model
from minidet.inspection.numbers import inspect
from minidet.inspection.suggest import suggest_anchors
from minidet.pytorch.memory import keep_freed_memory
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.structures import Categories
from tests.benchmarks.timing import machine

RESIZE = ResizeConfig(128, 256)
SMALL = {"image_size": (128, 128), "objects": (4, 10), "distractors": (1, 4), "min_size": 6, "max_size": 20}
TRIAL = 20
"""Steps by which the two are compared before, to train them for the same time."""


def trained(anchors: AnchorConfig, steps: int) -> tuple[RetinaNet, float]:
    """The detector, and the seconds it took."""
    config = RetinaNetConfig.tiny(6, fpn_channels=32, head_channels=32, anchors=anchors)
    training = TrainingConfig.tiny(
        iterations=steps, warmup=min(100, steps // 5), resize=RESIZE, precision="auto", log_every=1, workers=1
    )
    torch.manual_seed(0)
    model = RetinaNet(config)
    with tempfile.TemporaryDirectory() as folder:
        data = TrainingData(Shapes(20_000, **SMALL), config, training)  # type: ignore[arg-type]
        metrics = train(model, data, training, Path(folder) / "run")
    return model, metrics[-1]["seconds"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000, help="of the suggested anchors' training")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    keep_freed_memory()
    sample = Shapes(300, seed=1, **SMALL)  # type: ignore[arg-type]
    val = Shapes(200, seed=2, **SMALL)  # type: ignore[arg-type]
    categories = Categories.numbered(val.classes)
    ways = {"suggested": suggest_anchors(sample, resize=RESIZE), "the paper's": AnchorConfig()}
    slower, faster = (trained(anchors, TRIAL)[1] for anchors in ways.values())
    steps = {"suggested": options.steps, "the paper's": round(options.steps * slower / faster)}
    rows = {}
    for name, anchors in ways.items():
        report = inspect(sample, anchors, resize=RESIZE, check_images=False, progress=False)
        model, seconds = trained(anchors, steps[name])
        metrics = evaluate_model(model.eval(), val, categories, RESIZE)[0].metrics
        covered = float((report.boxes.anchors > 0).mean())
        rows[name] = {
            "coverage": covered, "steps": steps[name], "seconds": seconds, "AP50": metrics["AP50"], "AP": metrics["AP"],
            "anchors": asdict(anchors),
        }  # fmt: skip
        print(f"{name}: {covered:.1%} covered, {steps[name]} steps in {seconds:.0f} s, AP50 {metrics['AP50']:.3f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "anchors": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
