"""What the first call costs: each compiled function in a new process, without Numba's cache on disk and with it.

``python -m tests.benchmarks.bench_cold [--only NAME] [--json FILE]``, from the repository's root. Seconds of a
processor, which other work on the machine hardly changes; the import of the package comes first and is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.timing import machine

_NETWORK = (
    "from minidet.compiled.training import RetinaNet, TrainingConfig, train_step; "
    "from minidet.config import RetinaNetConfig; net = RetinaNet(RetinaNetConfig.tiny(2), dtype=np.float32); "
    "images = np.zeros((2, 3, 64, 64), np.float32); truth = [(boxes[:2] / 2, y[:2], np.zeros(2, bool))] * 2"
)
CALLS = {
    "box_iou": "box_iou(boxes, boxes)",
    "encode_boxes": "encode_boxes(boxes, boxes)",
    "decode_boxes": "decode_boxes(zeros, boxes)",
    "pyramid_anchors": "pyramid_anchors((320, 320), AnchorConfig())",
    "assign_anchors": "assign_anchors(boxes, boxes, force_match=True)",
    "assign_pyramid": "assign_pyramid((320, 320), boxes, AnchorConfig())",
    "assign_pyramid, forced": "assign_pyramid((320, 320), boxes, AnchorConfig(), force_match=True)",
    "focal_loss": "focal_loss(x[:, 0], y)",
    "focal_loss_grad": "focal_loss_grad(x[:, 0], y)",
    "focal_loss_star_grad": "focal_loss_star_grad(x[:, 0], y)",
    "softmax_focal_loss": "softmax_focal_loss(x, y)",
    "smooth_l1_grad": "smooth_l1_grad(x, x)",
    "dense_focal_loss": "dense_focal_loss(x, y)",
    "dense_focal_loss, float64": "dense_focal_loss(x.astype(float), y)",
    "nms": "nms(boxes, scores)",
    "batched_nms": "batched_nms(boxes, scores, y)",
    "postprocess": "postprocess([x], [zeros], [boxes], (320, 320), PostprocessConfig())",
    "ohem_sample": "ohem_sample(scores, boxes, 4)",
    **{
        f"{name}{suffix}": f"{name}{suffix}({arguments})"
        for name, arguments, suffixes in (
            ("box_area", "boxes", [""]),
            ("clip_boxes", "boxes, (320, 320)", [""]),
            ("cell_anchors", "32, [1.0], [1.0]", [""]),
            ("cross_entropy", "x[:, 0], y", ["", "_grad", "_hess"]),
            ("focal_loss", "x[:, 0], y", ["_hess"]),
            ("focal_loss_star", "x[:, 0], y", ["", "_hess"]),
            ("hinge_loss", "x[:, 0], y", ["", "_grad"]),
            ("softmax_focal_loss", "x, y", ["_grad"]),
            ("smooth_l1", "x, x", [""]),
            ("quality_focal_loss", "x, x / 2", ["", "_grad", "_hess"]),
            ("varifocal_loss", "x, x / 2", ["", "_grad", "_hess"]),
            ("giou_loss", "boxes, boxes", ["", "_grad"]),
            ("diou_loss", "boxes, boxes", ["", "_grad"]),
            ("ciou_loss", "boxes, boxes", ["", "_grad"]),
        )
        for suffix in suffixes
    },
    "coco_metrics": (
        "from minidet.evaluation import coco_metrics; truth = {'images': [{'id': 1}], 'categories': [{'id': 1}]}; "
        "row = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 9, 9]}; "
        "coco_metrics(truth | {'annotations': [row]}, [row | {'score': 1}])"
    ),
    "RetinaNet.forward": f"{_NETWORK}; net.forward(images, training=False)",
    "train_step": f"{_NETWORK}; train_step(net, images, truth, TrainingConfig(), 0.01, {{}})",
}
_SETTING = """
import time
before = time.process_time()
import minidet
package = time.process_time()
import numpy as np
from minidet.compiled import *
from minidet.config import AnchorConfig, PostprocessConfig
boxes = np.array([[10.0, 10, 60, 70], [12, 11, 60, 71], [100, 100, 180, 150]])
x, y, scores, zeros = np.ones((3, 2), np.float32), np.array([0, 1, 1]), np.array([0.9, 0.8, 0.7]), np.zeros((3, 4))
imported = time.process_time()
{call}
print(package - before, imported - package, time.process_time() - imported)
"""


def first_call(call: str, cache: Path) -> tuple[float, float, float]:
    """Seconds for the package's import, the compiled path's, and one call in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", _SETTING.format(call=call)],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    package, imported, called = map(float, done.stdout.split())
    return package, imported, called


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(CALLS), help="this function")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    options = parser.parse_args()
    rows = {}
    print(f"{'first call, CPU seconds':28} {'no cache':>9} {'cache':>9}")
    for name, call in CALLS.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            (_, _, cold), (package, imported, warm) = (first_call(call, Path(folder)) for _ in range(2))
        rows[name] = {"no cache": cold, "cache": warm, "import minidet": package, "import minidet.compiled": imported}
        print(f"{name:28} {cold:9.2f} {warm:9.3f}")
    print(f"import minidet {package:.3f}, minidet.compiled {imported:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "CPU seconds": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
