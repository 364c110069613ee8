"""Figure 3: the architecture, with the shapes of a real forward pass.

    python -m figures.figure3 --out FOLDER

RetinaNet-50 with random weights looks at an image of 512 by 512 pixels; every shape in the picture is what a hook saw.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from figures import script
from minidet.config import RetinaNetConfig
from minidet.plotting import new_figure

SIZE = 512
"""Pixels of the image's sides."""
COLOURS = {
    "image": "#F0E442", "backbone": "#CCCCCC", "sum": "#E3C3D6", "pyramid": "#A6D8F5", "class": "#F3CF80",
    "box": "#80CEB9",
}  # fmt: skip
WORDS = "#555555"
HEIGHT = {1: 3.0, 2: 12.0, 3: 22.0, 4: 32.0, 5: 42.0, 6: 51.0, 7: 60.0}
"""Where a map stands, by its level."""


@cache
def shapes(size: int = SIZE) -> dict[str, tuple[int, ...]]:
    """(channels, rows, columns) by name, seen in a forward pass: image, C1 … C5, P3 … P7, and of each level the
    subnets' last hidden map and output, class_hidden3, class3, box_hidden3, box3 …; anchors: (N,), all levels."""
    import torch

    from minidet.pytorch.retinanet import RetinaNet

    torch.manual_seed(0)
    config = RetinaNetConfig()
    model = RetinaNet(config).eval()
    seen: dict[str, tuple[int, ...]] = {"image": (3, size, size)}
    levels = config.anchors.levels
    net = model.backbone

    def note(names: list[str]) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> None:
            seen[names.pop(0)] = tuple(output.shape[1:])

        return hook

    watched: list[tuple[torch.nn.Module, list[str]]] = [
        (stage, [f"C{i}"]) for i, stage in enumerate((net.conv1, net.layer1, net.layer2, net.layer3, net.layer4), 1)
    ]
    for name, subnet in (("class", model.class_subnet), ("box", model.box_subnet)):
        watched.append((subnet.convs, [f"{name}_hidden{level}" for level in levels]))
        watched.append((subnet.output, [f"{name}{level}" for level in levels]))
    hooks = [module.register_forward_hook(note(names)) for module, names in watched]
    hooks.append(
        model.fpn.register_forward_hook(
            lambda _m, _i, maps: seen.update(
                {f"P{level}": tuple(p.shape[1:]) for level, p in zip(levels, maps, strict=True)}
            )
        )
    )
    with torch.inference_mode():
        logits, _ = model(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    return {**seen, "anchors": (sum(part.shape[1] for part in logits),)}


def draw() -> Figure:
    """The figure: backbone, sums, levels of the pyramid and the two subnets, from left to right."""
    seen = shapes()
    figure, axes = new_figure(8.8, 6.2)
    ax = axes[0, 0]
    ax.axis("off")
    ax.set(xlim=(0, 104), ylim=(-7, 67))
    for title, x in (("ResNet-50", 10), ("sums", 31), ("pyramid", 49), ("two subnets", 84)):
        ax.text(x, 66, title, ha="center", va="top", fontsize=10, weight="bold")
    _draw_backbone(ax, seen)
    _draw_pyramid(ax, seen)
    for name, y, words in (("class", 47, "classification"), ("box", 17, "box regression")):
        _draw_subnet(ax, seen, name, y, words)
    cells = " + ".join(f"{seen[f'P{level}'][1]}²" for level in range(3, 8))
    told = (
        f"In all ({cells}) × 9 = {seen['anchors'][0]:,} anchors: the same two subnets read every level.",
        f"Every shape, channels × rows × columns, was seen in a forward pass of an image of {SIZE} × {SIZE}.",
    )
    ax.text(52, -3, "\n".join(told), ha="center", va="top", fontsize=8, color=WORDS)
    return figure


def _draw_backbone(ax: Axes, seen: dict[str, tuple[int, ...]]) -> None:
    for level in range(1, 6):
        _box(ax, 10, HEIGHT[level], 21 - level, f"C{level}", seen[f"C{level}"], "backbone")
        if level > 1:
            _arrow(ax, (10, HEIGHT[level - 1] + 3), (10, HEIGHT[level] - 3))
    _box(ax, 34, HEIGHT[1], 17, "image", seen["image"], "image")
    _arrow(ax, (25.5, HEIGHT[1]), (20, HEIGHT[1]))


def _draw_pyramid(ax: Axes, seen: dict[str, tuple[int, ...]]) -> None:
    """What the equations of section 4 say: sums L on the way down, and a level P from each."""
    for level in (5, 4, 3):
        y = HEIGHT[level]
        _box(ax, 31, y, 8, f"L{level}", (), "sum")
        _arrow(ax, (10 + (21 - level) / 2, y), (27, y), "1 × 1")
        _arrow(ax, (35, y), (49 - (19 - level) / 2, y), "3 × 3")
        if level < 5:
            _arrow(ax, (31, HEIGHT[level + 1] - 3), (31, y + 3), " enlarge,\n add", "left")
    for level in range(3, 8):
        _box(ax, 49, HEIGHT[level], 19 - level, f"P{level}", seen[f"P{level}"], "pyramid")
    _arrow(ax, (10, HEIGHT[5] + 3), (49 - 6.5, HEIGHT[6]), "3 × 3, stride 2, from C5")
    _arrow(ax, (49, HEIGHT[6] + 3), (49, HEIGHT[7] - 3), " ReLU, 3 × 3, stride 2", "left")


def _draw_subnet(ax: Axes, seen: dict[str, tuple[int, ...]], name: str, y: float, words: str) -> None:
    hidden, output = seen[f"{name}_hidden3"], seen[f"{name}3"]
    anchors = RetinaNetConfig().anchors.anchors_per_cell
    each = output[0] // anchors
    meaning = "a sigmoid per class" if name == "class" else "offsets of a box"
    for level in range(3, 8):
        ax.plot([49 + (19 - level) / 2, 62, 62], [HEIGHT[level], HEIGHT[level], y], color="#999999", linewidth=0.7)
    _arrow(ax, (62, y), (65, y))
    _box(ax, 73.5, y, 17, "of P3: 4 times\n3 × 3, ReLU", hidden, name)
    _arrow(ax, (82, y), (86.5, y), "3 × 3")
    _box(ax, 95, y, 17, f"{anchors} anchors × {each}:\n{meaning}", output, name)
    ax.text(84, y + 6, words, ha="center", va="bottom", fontsize=9)


def _box(ax: Axes, x: float, y: float, width: float, text: str, shape: tuple[int, ...], kind: str) -> None:
    """A rectangle around (x, y) with its name and, below it, its shape."""
    tall = 10 if "\n" in text else 6
    ax.add_patch(Rectangle((x - width / 2, y - tall / 2), width, tall, facecolor=COLOURS[kind], edgecolor="none"))
    told = f"{text}\n{' × '.join(map(str, shape))}" if shape else text
    ax.text(x, y, told, ha="center", va="center", fontsize=7.5, linespacing=1.25)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", side: str = "top") -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=8, color=WORDS, linewidth=0.9,
                                 shrinkA=1, shrinkB=1))  # fmt: skip
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (0 if side == "left" else 0.5)
    where: dict[str, Any] = {"ha": "left", "va": "center"} if side == "left" else {"ha": "center", "va": "bottom"}
    slope = 0 if side == "left" or start[1] == end[1] else 3
    ax.text(x - slope, y + slope / 3, text, fontsize=7.5, color=WORDS, **where)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("figure3", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
