"""The architecture of RetinaNet, as in `minidet.reference.architecture`, with layers that follow each other run as one.

A normalisation, the sum with a shortcut and ReLU are one layer here, and so are upsampling and the sum with the finer
map: each is bound by the memory that it reads and writes, and together they do that once.
"""

from __future__ import annotations

from collections.abc import Callable

from minidet.compiled.tape import Tape, Value
from minidet.config import RetinaNetConfig

_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def retinanet(t: Tape, images: Value, config: RetinaNetConfig) -> tuple[list[Value], list[Value]]:
    """Figure 3: backbone, pyramid, and the two subnets on every level; logits and deltas for each level."""
    levels = _pyramid(t, _backbone(t, images, config), config)
    logits = [_subnet(t, "class_subnet", p, config.num_classes, config) for p in levels]
    deltas = [_subnet(t, "box_subnet", p, 4, config) for p in levels]
    return logits, deltas


def _backbone(t: Tape, images: Value, config: RetinaNetConfig) -> list[Value]:
    """The maps C1 to C5."""
    block = _basic_block if config.depth < 50 else _bottleneck
    x = _norm(t, t.conv(images, "backbone.conv1", config.width, 7, stride=2), "backbone.bn1", config)
    maps = [x]
    x = t.max_pool(x)
    for stage, repeats in enumerate(_STAGES[config.depth]):
        for i in range(repeats):
            stride = 2 if stage > 0 and i == 0 else 1
            x = block(t, x, f"backbone.layer{stage + 1}.{i}", config.width * 2**stage, stride, config)
        maps.append(x)
    return maps


def _basic_block(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    y = _norm(t, t.conv(x, f"{name}.conv1", channels, 3, stride), f"{name}.bn1", config)
    y = t.conv(y, f"{name}.conv2", channels, 3)
    return _norm(t, y, f"{name}.bn2", config, lambda: _shortcut(t, x, name, channels, stride, config))


def _bottleneck(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    inner, outer = config.bottleneck_width * (channels // config.width), channels * 4
    y = _norm(t, t.conv(x, f"{name}.conv1", inner, 1), f"{name}.bn1", config)
    y = _norm(t, t.conv(y, f"{name}.conv2", inner, 3, stride, config.groups), f"{name}.bn2", config)
    y = t.conv(y, f"{name}.conv3", outer, 1)
    return _norm(t, y, f"{name}.bn3", config, lambda: _shortcut(t, x, name, outer, stride, config))


def _shortcut(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    if stride == 1 and x.data.shape[3] == channels:
        return x
    y = t.conv(x, f"{name}.downsample.0", channels, 1, stride)
    return _norm(t, y, f"{name}.downsample.1", config, relu=False)


def _norm(
    t: Tape, x: Value, name: str, config: RetinaNetConfig, shortcut: Callable[[], Value] | None = None,
    relu: bool = True,
) -> Value:  # fmt: skip
    """The backbone's normalisation, what a shortcut adds to it, and ReLU."""
    eps = 1e-5 if config.norm == "group" else config.norm_eps
    return t.norm(x, name, config.norm, eps, shortcut, relu)


def _pyramid(t: Tape, maps: list[Value], config: RetinaNetConfig) -> list[Value]:
    """From C1 to C5 to the levels of the configuration."""
    channels, levels = config.fpn_channels, config.anchors.levels
    merged = [t.conv(c, f"fpn.lateral.{i}", channels, 1, bias=True) for i, c in enumerate(maps[levels[0] - 1 :])]
    for i in reversed(range(len(merged) - 1)):
        merged[i] = t.upsample_and_add(merged[i + 1], merged[i])
    fine = sum(level <= 5 for level in levels)
    found = [t.conv(m, f"fpn.output.{i}", channels, 3, bias=True) for i, m in enumerate(merged[:fine])]
    x = maps[-1] if config.p6_from == "C5" else found[-1]
    for level in levels[fine:]:
        x = t.conv(x if level == 6 else t.relu(x), f"fpn.extra.p{level}", channels, 3, stride=2, bias=True)
        found.append(x)
    return found


def _subnet(t: Tape, name: str, x: Value, numbers: int, config: RetinaNetConfig) -> Value:
    """(B, H, W, C) -> (B, H * W * A, numbers); all levels share the weights."""
    for i in range(config.head_convs):
        x = t.conv(x, f"{name}.convs.{i}.0", config.head_channels, 3, bias=config.head_norm is None)
        x = t.norm(x, f"{name}.convs.{i}.1", "group") if config.head_norm == "group" else t.relu(x)
    return t.rows(t.conv(x, f"{name}.output", config.anchors.anchors_per_cell * numbers, 3, bias=True), numbers)
