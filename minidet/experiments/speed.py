"""How long detection takes per image, by depth and scale (Table 1e, Figure 2): measuring it, and what was measured."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minidet.config import ResizeConfig, RetinaNetConfig

SPEED = Path(__file__).parent / "measured" / "speed.json"
"""The measurement."""
DEPTHS = (18, 50, 101)
"""Layers of the backbone."""
SCALES = (400, 500, 600, 700, 800)
"""Pixels of the shorter side."""
MISSING = "not measured yet: python -m figures.figure2 --measure"
PHOTO = (480, 640)
"""(height, width) of the usual image of COCO, which is resized to the scale."""


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
    rows = []
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
                rows.append({**row, "milliseconds": round(min(times[1:]), 1), "passes": passes})
                bar.update()
    return {"precision": "bfloat16" if half else "float32", **circumstances(), "rows": rows}


def load() -> dict[str, Any] | None:
    """What was measured, or None."""
    content: dict[str, Any] | None = json.loads(SPEED.read_bytes()) if SPEED.is_file() else None
    return content


def in_words(measured: dict[str, Any]) -> str:
    """The device and the precision of a measurement in words."""
    threads = "" if measured["gpu"] else f", {measured['threads']} threads"
    return f"{measured['device']}{threads}, {measured['precision']}"
