"""How long detection takes per image, by depth and scale (Table 1e, Figure 2): measuring it, and what was measured.

Of networks of the full size, and of the small one of the experiments at the sizes of their images.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.experiments import rows
from minidet.experiments.setting import BASE

SPEED = Path(__file__).parent / "measured" / "speed.json"
"""The measurement of the networks of the full size."""
SMALL_SPEED = Path(__file__).parent / "measured" / "speed_small.json"
"""The measurement of the small network."""
DEPTHS = (18, 50, 101)
"""Layers of the backbone."""
SCALES = (400, 500, 600, 700, 800)
"""Pixels of the shorter side."""
MISSING = "not measured yet: python -m figures.figure2 --measure"
PHOTO = (480, 640)
"""(height, width) of the usual image of COCO, which is resized to the scale."""
SMALL_MISSING = "not measured yet: python -m figures.minutes --measure"
CANDIDATES = 100
"""Scores per image that the small network's post-processing gets, as many as there may be detections."""


def measure(depths: Sequence[int] = DEPTHS, scales: Sequence[int] = SCALES, passes: int = 3) -> dict[str, Any]:
    """Milliseconds per image, the fastest of several passes after one that is not counted.

    Args:
        depths: layers of the backbone.
        scales: pixels of the shorter side.
        passes: timed passes per setting, 1 or more.

    Returns:
        "rows", one per setting, with "precision" and the circumstances, as JSON types.
    """
    import torch

    from minidet.experiments.circumstances import circumstances
    from minidet.progress import Progress
    from minidet.pytorch.optimization import in_bfloat16
    from minidet.pytorch.retinanet import RetinaNet

    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    half = in_bfloat16("auto", device)
    found = []
    torch.manual_seed(0)
    with Progress(total=len(depths) * len(scales), unit="setting") as bar:
        for depth in depths:
            model = RetinaNet(RetinaNetConfig(depth=depth)).eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            for scale in scales:
                size = ResizeConfig(scale).resized(PHOTO)
                images = torch.randn(1, 3, *(-(-side // 128) * 128 for side in size), device=device)
                images = images.contiguous(memory_format=torch.channels_last)
                times = []
                with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
                    for _ in range(passes + 1):
                        began = time.perf_counter()
                        model.detect(images, [size])
                        if cuda:
                            torch.cuda.synchronize()
                        times.append(1000 * (time.perf_counter() - began))
                row = {"depth": depth, "scale": scale, "height": size[0], "width": size[1]}
                found.append({**row, "milliseconds": round(min(times[1:]), 1), "passes": passes})
                bar.update()
    return {"precision": "bfloat16" if half else "float32", **circumstances(), "rows": found}


def measure_small(sides: Sequence[int] = rows.SIDES, passes: int = 50) -> dict[str, Any]:
    """Milliseconds per image of the small network on one thread of the processor, the median of several passes.

    A pass is the forward pass and the post-processing of one image. The weights are random; the bias of the classes is
    shifted until CANDIDATES scores are above the threshold, so that the post-processing has boxes to suppress. Let
    nothing else run meanwhile.

    Args:
        sides: pixels of the image's sides.
        passes: timed passes per size, after five that are not counted; 30 or more for a median that can be trusted.

    Returns:
        "rows", one per size, with "precision" and the circumstances, as JSON types.
    """
    import torch

    from minidet.experiments.circumstances import circumstances, processor
    from minidet.pytorch.retinanet import RetinaNet

    threads, found = torch.get_num_threads(), []
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(0)
            model = RetinaNet(BASE.model).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            bias = model.class_subnet.output.bias
            for side in sides:
                image = torch.randn(1, 3, side, side).contiguous(memory_format=torch.channels_last)
                logits = torch.cat([level.flatten() for level in model(image)[0]]).sort().values
                bias += BASE.model.postprocess.logit_threshold - logits[-CANDIDATES - 1]
                times = []
                for _ in range(passes + 5):
                    began = time.perf_counter()
                    model.detect(image)
                    times.append(1000 * (time.perf_counter() - began))
                found.append({"side": side, "milliseconds": round(median(times[5:]), 2), "passes": passes})
        where = {**circumstances(), "gpu": False, "device": processor()}
    finally:
        torch.set_num_threads(threads)
    return {"precision": "float32", **where, "rows": found}


def load(path: Path = SPEED) -> dict[str, Any] | None:
    """What was measured, or None.

    Args:
        path: SPEED or SMALL_SPEED.
    """
    content: dict[str, Any] | None = json.loads(path.read_bytes()) if path.is_file() else None
    return content


def in_words(measured: dict[str, Any]) -> str:
    """The device and the precision of a measurement in words."""
    count = measured["threads"]
    threads = "" if measured["gpu"] else f", {count} thread{'s' * (count > 1)}"
    return f"{measured['device']}{threads}, {measured['precision']}"
