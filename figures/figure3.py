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
COLOURS = {"image": "#F0E442", "backbone": "#CCCCCC", "pyramid": "#A6D8F5", "class": "#F3CF80", "box": "#80CEB9"}


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
    """The figure: backbone, pyramid and the two subnets, from left to right."""
    seen = shapes()
    figure, axes = new_figure(13, 6.4)
    ax = axes[0, 0]
    ax.axis("off")
    ax.set(xlim=(0, 130), ylim=(-3, 64))
    height = {1: 2.0, 2: 11.0, 3: 21.0, 4: 31.0, 5: 41.0, 6: 50.0, 7: 58.0}
    for level in range(1, 6):
        _box(ax, 14, height[level], 22 - 2 * level, f"C{level}", seen[f"C{level}"], "backbone")
        if level > 1:
            _arrow(ax, (14, height[level - 1] + 3), (14, height[level] - 3))
    _box(ax, 36, height[1], 18, "image", seen["image"], "image")
    _arrow(ax, (27, height[1]), (24, height[1]))
    for level in range(3, 8):
        _box(ax, 48, height[level], 22 - 2 * level, f"P{level}", seen[f"P{level}"], "pyramid")
    for level in (3, 4, 5):
        _arrow(ax, (14 + 11 - level, height[level]), (48 - 11 + level, height[level]), "1 × 1 conv")
    for level in (3, 4):
        _arrow(ax, (48, height[level + 1] - 3), (48, height[level] + 3), " 2 × enlarged,\n added", "left")
    _arrow(ax, (14, height[5] + 3), (43, height[6]), "3 × 3 conv, stride 2")
    _arrow(ax, (48, height[6] + 3), (48, height[7] - 3), " ReLU, 3 × 3 conv, stride 2", "left")
    for title, x in (("ResNet-50", 14), ("feature pyramid", 48)):
        ax.text(x, 64, title, ha="center", va="top", fontsize=11, weight="bold")
    for name, y, words in (("class", 44, "classification subnet"), ("box", 14, "box regression subnet")):
        _draw_subnet(ax, seen, name, y, words)
    for level in range(3, 8):
        for y in (44, 14):
            ax.plot([59.5 - level, 69, 69], [height[level], height[level], y], color="#999999", linewidth=0.7)
    for y in (44, 14):
        _arrow(ax, (69, y), (73, y))
    ax.text(48, height[3] - 4, "P3 to P5: 3 × 3 conv of each sum", ha="center", va="top", fontsize=8, color="#555555")
    cells = " + ".join(f"{seen[f'P{level}'][1]}²" for level in range(3, 8))
    note = f"the same two subnets read every level; in all ({cells}) × 9 = {seen['anchors'][0]:,} anchors"
    ax.text(100, 29, note, ha="center", va="center", fontsize=8.5, color="#555555")
    ax.text(100, -2, f"every shape: channels × rows × columns, seen in a forward pass of an image of {SIZE} × {SIZE}",
            ha="center", va="center", fontsize=8.5, color="#555555")  # fmt: skip
    return figure


def _draw_subnet(ax: Axes, seen: dict[str, tuple[int, ...]], name: str, y: float, words: str) -> None:
    hidden, output = seen[f"{name}_hidden3"], seen[f"{name}3"]
    anchors = RetinaNetConfig().anchors.anchors_per_cell
    each = output[0] // anchors
    meaning = "sigmoids, one per class" if name == "class" else "offsets of a box"
    _box(ax, 83, y, 20, "of P3: 4 times\n3 × 3 conv, ReLU", hidden, name)
    _arrow(ax, (93, y), (104, y), "3 × 3 conv")
    _box(ax, 116, y, 24, f"{anchors} anchors × {each}\n{meaning}", output, name)
    ax.text(100, y + 7.5, words, ha="center", va="bottom", fontsize=11, weight="bold")


def _box(ax: Axes, x: float, y: float, width: float, text: str, shape: tuple[int, ...], kind: str) -> None:
    """A rectangle around (x, y) with its name and, below it, its shape."""
    tall = 10 if "\n" in text else 6
    ax.add_patch(Rectangle((x - width / 2, y - tall / 2), width, tall, facecolor=COLOURS[kind], edgecolor="none"))
    ax.text(x, y, f"{text}\n{' × '.join(map(str, shape))}", ha="center", va="center", fontsize=8.5, linespacing=1.25)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", side: str = "top") -> None:
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, color="#555555", linewidth=1,
                                 shrinkA=1, shrinkB=1))  # fmt: skip
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + (0 if side == "left" else 0.5)
    where: dict[str, Any] = {"ha": "left", "va": "center"} if side == "left" else {"ha": "center", "va": "bottom"}
    slope = 0 if side == "left" or start[1] == end[1] else 4
    ax.text(x - slope, y + slope / 4, text, fontsize=8, color="#555555", **where)


def main(arguments: list[str] | None = None) -> list[Path]:
    """Draw the figure."""
    return script.run("figure3", __doc__, draw, arguments)


if __name__ == "__main__":
    main()
