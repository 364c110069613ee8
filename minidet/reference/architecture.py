"""The architecture of RetinaNet (section 4, figure 3): each part says which layers run, over a tape that notes them.

A layer is called by the name that its parameters have in ``minidet.pytorch``, and given its number of channels. The
parameters themselves are created the first time a layer of that name runs, so every shape stands in one place: here.
"""

from __future__ import annotations

from minidet.config import RetinaNetConfig
from minidet.reference.tape import Tape, Value

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""How often each of the four stages repeats its block, by depth (He et al., 2016, table 1)."""


def retinanet(t: Tape, images: Value, config: RetinaNetConfig) -> tuple[list[Value], list[Value]]:
    """Figure 3: (a) backbone, (b) feature pyramid, (c) class subnet and (d) box subnet on every level."""
    levels = pyramid(t, backbone(t, images, config), config)
    logits = [subnet(t, "class_subnet", p, config.num_classes, config) for p in levels]
    deltas = [subnet(t, "box_subnet", p, 4, config) for p in levels]
    return logits, deltas


def backbone(t: Tape, images: Value, config: RetinaNetConfig) -> list[Value]:
    """ResNet or ResNeXt: the maps C1 to C5, each of half the former one's height and width."""
    block = basic_block if config.depth < 50 else bottleneck
    x = t.conv(images, "backbone.conv1", config.width, 7, stride=2)
    x = t.relu(norm(t, x, "backbone.bn1", config))
    maps = [x]  # C1: (B, width, H / 2, W / 2)
    x = t.max_pool(x)
    for stage, repeats in enumerate(STAGES[config.depth]):
        for i in range(repeats):
            stride = 2 if stage > 0 and i == 0 else 1
            x = block(t, x, f"backbone.layer{stage + 1}.{i}", config.width * 2**stage, stride, config)
        maps.append(x)
    return maps


def basic_block(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    """Two 3x3 convs around which the input is added: ResNet-18 and 34."""
    y = t.conv(x, f"{name}.conv1", channels, 3, stride)
    y = t.relu(norm(t, y, f"{name}.bn1", config))
    y = t.conv(y, f"{name}.conv2", channels, 3)
    y = norm(t, y, f"{name}.bn2", config)
    return t.relu(t.add(y, shortcut(t, x, name, channels, stride, config)))


def bottleneck(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    """1x1, 3x3, 1x1: the 3x3 conv works on fewer channels, in groups for ResNeXt, and holds the stride."""
    inner, outer = config.bottleneck_width * (channels // config.width), channels * 4
    y = t.conv(x, f"{name}.conv1", inner, 1)
    y = t.relu(norm(t, y, f"{name}.bn1", config))
    y = t.conv(y, f"{name}.conv2", inner, 3, stride, config.groups)
    y = t.relu(norm(t, y, f"{name}.bn2", config))
    y = t.conv(y, f"{name}.conv3", outer, 1)
    y = norm(t, y, f"{name}.bn3", config)
    return t.relu(t.add(y, shortcut(t, x, name, outer, stride, config)))


def shortcut(t: Tape, x: Value, name: str, channels: int, stride: int, config: RetinaNetConfig) -> Value:
    """The identity where the shapes allow it, else a 1x1 conv."""
    if stride == 1 and x.data.shape[1] == channels:
        return x
    return norm(t, t.conv(x, f"{name}.downsample.0", channels, 1, stride), f"{name}.downsample.1", config)


def norm(t: Tape, x: Value, name: str, config: RetinaNetConfig) -> Value:
    """The backbone's normalisation."""
    if config.norm == "group":
        return t.group_norm(x, name)
    return (t.batch_norm if config.norm == "batch" else t.frozen_batch_norm)(x, name, config.norm_eps)


def pyramid(t: Tape, maps: list[Value], config: RetinaNetConfig) -> list[Value]:
    """FPN: from C1 to C5 to the levels of the configuration, by default P3 to P7.

    Top-down, a map is enlarged to the next finer one's size and added to that one's 1x1 conv; a 3x3 conv of the sum is
    the level. P6 is a 3x3 conv of stride 2 on C5 or P5, P7 one on ReLU(P6), and so on.
    """
    channels, levels = config.fpn_channels, config.anchors.levels
    merged = [t.conv(c, f"fpn.lateral.{i}", channels, 1, bias=True) for i, c in enumerate(maps[levels[0] - 1 :])]
    for i in reversed(range(len(merged) - 1)):
        merged[i] = t.add(merged[i], t.upsample(merged[i + 1], like=merged[i]))
    fine = sum(level <= 5 for level in levels)
    found = [t.conv(m, f"fpn.output.{i}", channels, 3, bias=True) for i, m in enumerate(merged[:fine])]
    x = maps[-1] if config.p6_from == "C5" else found[-1]
    for level in levels[fine:]:
        x = t.conv(x if level == 6 else t.relu(x), f"fpn.extra.p{level}", channels, 3, stride=2, bias=True)
        found.append(x)
    return found


def subnet(t: Tape, name: str, x: Value, numbers: int, config: RetinaNetConfig) -> Value:
    """The class or the box subnet on a level, (B, C, H, W) -> (B, H * W * A, numbers); all levels share its weights."""
    for i in range(config.head_convs):
        x = t.conv(x, f"{name}.convs.{i}.0", config.head_channels, 3, bias=config.head_norm is None)
        x = t.relu(t.group_norm(x, f"{name}.convs.{i}.1") if config.head_norm == "group" else x)
    return t.rows(t.conv(x, f"{name}.output", config.anchors.anchors_per_cell * numbers, 3, bias=True), numbers)
