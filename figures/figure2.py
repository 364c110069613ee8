"""Figure 2 and Table 1e: time an image against accuracy, for two depths and five scales.

    python -m figures.figure2 --out FOLDER
    python -m figures.figure2 --measure        # times this device, and commits to figures/results/speed.json

Published: AP on COCO test-dev against milliseconds on an Nvidia M40. Ours: milliseconds on this device, detection
included, of networks of the full size with random weights (so there is no AP of ours to go with them).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from figures import _script, paper
from minidet.config import ResizeConfig, RetinaNetConfig
from minidet.plotting import new_figure

SPEED = Path(__file__).parent / "results" / "speed.json"
DEPTHS, SCALES = (18, 50, 101), (400, 500, 600, 700, 800)
MISSING = "not measured yet: python -m figures.figure2 --measure"
PHOTO = (480, 640)
"""(height, width): the usual image of COCO, which is resized to the scale."""
COLOURS = {18: "#009E73", 50: "#0072B2", 101: "#D55E00"}
MARKS = {18: "s", 50: "o", 101: "D"}


def measure(depths: Sequence[int] = DEPTHS, scales: Sequence[int] = SCALES, passes: int = 3) -> dict[str, Any]:
    """Milliseconds an image, the fastest of so many passes after one that is not counted."""
    import torch
    from tqdm import tqdm

    from figures.runner import circumstances
    from minidet.pytorch.retinanet import RetinaNet
    from minidet.pytorch.training import in_bfloat16

    cuda = torch.cuda.is_available()
    device = torch.device("cuda" if cuda else "cpu")
    half = in_bfloat16("auto", device)
    rows = []
    torch.manual_seed(0)
    with tqdm(total=len(depths) * len(scales), unit="setting") as bar:
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


def circumstances(measured: dict[str, Any]) -> str:
    """The device and the precision of a measurement in words."""
    threads = "" if measured["gpu"] else f", {measured['threads']} threads"
    return f"{measured['device']}{threads}, {measured['precision']}"


def draw() -> Figure:
    """The figure; without a measurement, the published half alone."""
    measured = load()
    figure, axes = new_figure(11, 4.4, 1, 2)
    _draw_published(axes[0, 0])
    _draw_measured(axes[0, 1], measured)
    return figure


def _draw_published(ax: Axes) -> None:
    for depth in (50, 101):
        points = [(values[6], values[0], scale) for (d, scale), values in paper.TABLE_1E.items() if d == depth]
        x, y, _ = np.array(points).T
        ax.plot(x, y, MARKS[depth] + "-", color=COLOURS[depth], label=f"RetinaNet-{depth}")
        for ms, ap, scale in points:
            right = (depth == 50 and scale != 500) or (depth, scale) == (101, 400)  # of its mark, clear of the lines
            place: dict[str, Any] = {"xytext": (5, -11), "ha": "left"} if right else {"xytext": (-6, 5), "ha": "right"}
            ax.annotate(str(scale), (ms, ap), textcoords="offset points", fontsize=8, **place)
    ax.set(
        xlim=(50, 210), ylim=(29.5, 38.7), xlabel="milliseconds an image (Nvidia M40)", ylabel="AP, COCO test-dev (%)",
        title="Published: accuracy against time",
    )  # fmt: skip
    ax.legend(loc="lower right", title="numbers: shorter side in pixels")


def _draw_measured(ax: Axes, measured: dict[str, Any] | None) -> None:
    for depth in (50, 101):
        points = [(scale, values[6]) for (d, scale), values in paper.TABLE_1E.items() if d == depth]
        ax.plot(*zip(*points, strict=True), MARKS[depth] + "--", color=COLOURS[depth], alpha=0.6, mfc="white",
                label=f"{depth} layers, published (M40)")  # fmt: skip
    for depth in DEPTHS if measured else ():
        rows = [row for row in measured["rows"] if row["depth"] == depth]  # type: ignore[index]
        ax.plot([row["scale"] for row in rows], [row["milliseconds"] for row in rows], MARKS[depth] + "-",
                color=COLOURS[depth], label=f"{depth} layers, ours")  # fmt: skip
    if measured is None:
        ax.text(0.97, 0.04, "ours: not measured yet", transform=ax.transAxes, ha="right", color="#555555")
    title = "Time against scale" + (f"\nours: {circumstances(measured)}" if measured else "")
    ax.set(yscale="log", xlabel="shorter side (pixels)", ylabel="milliseconds an image", xticks=SCALES)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.1, high * 1.1)
    ax.set_title(title, fontsize=10)
    ax.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw, or with --measure time this device first."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--measure", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    if options.measure:
        from figures.runner import write_json

        write_json(SPEED, measure())
        print(SPEED)
    return _script.run("figure2", __doc__, draw, rest)


if __name__ == "__main__":
    main()
