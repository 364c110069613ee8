"""The network of section 4: shapes and order of its outputs, initialisation, sharing, and its configuration."""

import dataclasses
import json
import math

import pytest
import torch
from torch import nn

from minidet.config import AnchorConfig, AssignmentConfig, PostprocessConfig, RetinaNetConfig
from minidet.pytorch.fpn import FPN
from minidet.pytorch.resnet import FrozenBatchNorm2d, ResNet
from minidet.pytorch.retinanet import RetinaNet, Subnet


def tiny(num_classes=3, **changes):
    torch.manual_seed(0)
    return RetinaNet(RetinaNetConfig.tiny(num_classes, **changes))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# --- the backbone


@pytest.mark.parametrize(
    ("depth", "groups", "width_per_group", "parameters"),
    [  # of torchvision's models, less those of their linear layer
        (18, 1, 64, 11_176_512),
        (34, 1, 64, 21_284_672),
        (50, 1, 64, 23_508_032),
        (50, 32, 4, 22_979_904),
        (101, 1, 64, 42_500_160),
        (152, 1, 64, 58_143_808),
        (101, 32, 8, 86_742_336),
        (101, 64, 4, 81_406_272),
    ],
)
def test_backbones_have_the_published_number_of_parameters(depth, groups, width_per_group, parameters):
    config = RetinaNetConfig(depth=depth, groups=groups, width_per_group=width_per_group, norm="batch")
    with torch.device("meta"):
        assert count(ResNet(config)) == parameters


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [  # retinanet_resnet50_fpn and retinanet_resnet50_fpn_v2
        ({}, 34_068_119),
        ({"p6_from": "C5", "head_norm": "group"}, 38_198_935),
    ],
)
def test_the_whole_network_has_as_many_parameters_as_torchvisions(changes, parameters):
    with torch.device("meta"):
        model = RetinaNet(RetinaNetConfig.torchvision(91, norm="batch", **changes))
    assert count(model) == parameters


@pytest.mark.parametrize("depth", [18, 50])
def test_backbone_maps_have_strides_8_16_32(depth):
    torch.manual_seed(0)
    backbone = ResNet(RetinaNetConfig(depth=depth, width=16)).eval()
    maps = backbone(torch.randn(2, 3, 65, 100))
    assert [tuple(c.shape) for c in maps] == [
        (2, channels, *size) for channels, size in zip(backbone.out_channels, [(9, 13), (5, 7), (3, 4)], strict=True)
    ]
    assert backbone.out_channels == tuple(16 * i * (1 if depth == 18 else 4) for i in (2, 4, 8))


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("finest", [1, 2])
def test_a_pyramid_may_begin_on_the_finer_maps(depth, finest):
    anchors = AnchorConfig(levels=(finest, finest + 1), sizes=(8, 16))
    torch.manual_seed(0)
    model = RetinaNet(RetinaNetConfig(2, depth=depth, width=16, norm="batch", fpn_channels=8, anchors=anchors))
    images = torch.randn(2, 3, 65, 100)
    maps = model.backbone(images)
    assert [tuple(c.shape) for c in maps] == [
        (2, channels, -(-65 // 2**level), -(-100 // 2**level))
        for level, channels in zip(range(finest, 6), model.backbone.out_channels, strict=True)
    ]
    logits, deltas = model(images)
    assert [level.shape[1] for level in logits] == [len(level) for level in model.anchors((65, 100))]
    sum(level.square().sum() for level in logits + deltas).backward()
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]


def test_the_stride_of_a_bottleneck_is_in_its_3x3_conv():
    block = ResNet(RetinaNetConfig(depth=50, width=8)).layer2[0]
    assert [conv.stride for conv in (block.conv1, block.conv2, block.conv3)] == [(1, 1), (2, 2), (1, 1)]


def test_frozen_batch_norm_is_batch_norm_in_eval_mode_and_never_changes():
    torch.manual_seed(0)
    batch, frozen = nn.BatchNorm2d(5, eps=1e-3).eval(), FrozenBatchNorm2d(5, eps=1e-3).train()
    for tensor in (batch.weight.data, batch.bias.data, batch.running_mean, batch.running_var):
        tensor.uniform_(0.5, 2)
    state = {name: value for name, value in batch.state_dict().items() if name != "num_batches_tracked"}
    frozen.load_state_dict(state)
    x = torch.randn(4, 5, 6, 7)
    torch.testing.assert_close(frozen(x), batch(x), rtol=0, atol=0)
    assert not list(frozen.parameters())
    assert all(torch.equal(value, state[name]) for name, value in frozen.state_dict().items())


def test_norms_differ_in_what_training_changes():
    def changed_by_a_forward_pass(norm):
        backbone = ResNet(RetinaNetConfig(depth=18, width=8, norm=norm)).train()
        before = {name: value.clone() for name, value in backbone.state_dict().items()}
        backbone(torch.randn(2, 3, 64, 64))
        return [name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])]

    torch.manual_seed(0)
    assert changed_by_a_forward_pass("frozen") == []
    assert changed_by_a_forward_pass("group") == []
    assert "bn1.running_mean" in changed_by_a_forward_pass("batch")
    parameters = dict(ResNet(RetinaNetConfig(depth=18, width=8, norm="frozen")).named_parameters())
    assert not [name for name in parameters if "bn" in name or "downsample.1" in name]


def test_convolutions_start_with_the_variance_of_he_et_al():
    torch.manual_seed(0)
    conv = ResNet(RetinaNetConfig(depth=18, norm="group")).layer3[0].conv1  # from 128 to 256 channels
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.01)  # 294,912 draws: 0.13 %


# --- the pyramid


def pyramid_of(levels, p6_from, size=(70, 41)):
    config = RetinaNetConfig(
        anchors=AnchorConfig(levels=levels, sizes=[32] * len(levels)), p6_from=p6_from, fpn_channels=8
    )
    torch.manual_seed(0)
    fpn = FPN((4, 5, 6), config)
    for parameter in fpn.parameters():
        nn.init.normal_(parameter, std=0.3)
    maps = tuple(torch.randn(2, c, -(-size[0] // s), -(-size[1] // s)) for c, s in ((4, 8), (5, 16), (6, 32)))
    return fpn, maps


@pytest.mark.parametrize("levels", [(3,), (3, 4), (4, 5), (5, 6), (3, 4, 5, 6), (3, 4, 5, 6, 7), (3, 4, 5, 6, 7, 8, 9)])
@pytest.mark.parametrize("p6_from", ["C5", "P5"])
def test_pyramid_has_the_configs_levels_and_uses_every_parameter(levels, p6_from):
    fpn, maps = pyramid_of(levels, p6_from)
    pyramid = fpn(maps)
    assert [tuple(p.shape) for p in pyramid] == [(2, 8, -(-70 // 2**level), -(-41 // 2**level)) for level in levels]
    sum(p.square().sum() for p in pyramid).backward()
    assert not [name for name, parameter in fpn.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize("p6_from", ["C5", "P5"])
def test_pyramid_step_by_step(p6_from):
    fpn, (c3, c4, c5) = pyramid_of((3, 4, 5, 6, 7), p6_from, size=(72, 40))
    m5 = fpn.lateral[2](c5)  # (2, 8, 3, 2)
    m4 = fpn.lateral[1](c4) + m5[:, :, [0, 0, 1, 1, 2]][..., [0, 0, 1]]  # nearest: row i of 5 is row floor(i * 3 / 5)
    m3 = fpn.lateral[0](c3) + m4[:, :, [0, 0, 1, 1, 2, 2, 3, 3, 4]][..., [0, 0, 1, 1, 2]]
    p5 = fpn.output[2](m5)
    p6 = fpn.extra["p6"](c5 if p6_from == "C5" else p5)
    p7 = fpn.extra["p7"](p6.clamp(min=0))
    assert (p6 < 0).any()  # else the ReLU before P7 would go untested
    torch.testing.assert_close(fpn((c3, c4, c5)), [fpn.output[0](m3), fpn.output[1](m4), p5, p6, p7])


# --- the outputs


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (64, 64), (97, 131)])
def test_outputs_are_one_row_per_anchor(size):
    model = tiny(num_classes=5).eval()
    logits, deltas = model(torch.randn(2, 3, *size))
    anchors = model.anchors(size)
    assert [tuple(level.shape) for level in logits] == [(2, len(a), 5) for a in anchors]
    assert [tuple(level.shape) for level in deltas] == [(2, len(a), 4) for a in anchors]
    assert all(level.isfinite().all() for level in logits + deltas)


def test_outputs_are_in_the_order_y_x_anchor():
    subnet = Subnet(3, RetinaNetConfig(fpn_channels=2, head_convs=0))
    with torch.no_grad():  # channel c of the output becomes y * 1000 + x * 100 + c
        subnet.output.weight.zero_()
        subnet.output.weight[:, 0, 1, 1] = 1000
        subnet.output.weight[:, 1, 1, 1] = 100
        subnet.output.bias.copy_(torch.arange(27.0))
    y, x = torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij")
    rows = subnet(torch.stack([y, x])[None])[0]
    expected = [
        [1000 * y + 100 * x + 3 * anchor + k for k in range(3)]
        for y in range(4)
        for x in range(5)
        for anchor in range(9)
    ]
    assert rows.tolist() == expected


def test_a_batch_gives_what_its_images_give():
    model = tiny().eval()
    images = torch.randn(3, 3, 40, 56)
    together = model(images)
    for i in range(3):
        alone = model(images[i : i + 1])
        for batch, single in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
            torch.testing.assert_close(batch[i : i + 1], single, rtol=1e-4, atol=1e-5)


def test_an_empty_batch_is_ordinary():
    model = tiny().eval()
    logits, deltas = model(torch.zeros(0, 3, 32, 32))
    assert logits[0].shape == (0, 144, 3)
    assert deltas[0].shape == (0, 144, 4)
    assert model.detect(torch.zeros(0, 3, 32, 32)) == []


@pytest.mark.parametrize("prior", [0.01, 0.2])
def test_every_anchor_starts_at_the_prior(prior):
    torch.manual_seed(0)
    config = RetinaNetConfig(num_classes=4, depth=18, width=16, norm="batch", prior=prior)
    for model in (RetinaNet(config), tiny(4, prior=prior)):
        logits, deltas = model(torch.randn(2, 3, 96, 96))
        scores = torch.cat(logits, 1).sigmoid()
        assert scores.mean().item() == pytest.approx(prior, rel=0.1)
        assert scores.min() > prior / 4
        assert scores.max() < prior * 4
        assert torch.cat(deltas, 1).abs().max() < 1.5


def test_subnets_start_as_section_4_1_says():
    torch.manual_seed(0)
    model = RetinaNet(RetinaNetConfig(num_classes=20, depth=18))
    for subnet, bias in ((model.class_subnet, -math.log(0.99 / 0.01)), (model.box_subnet, 0.0)):
        assert torch.all(subnet.output.bias == torch.tensor(bias))
        assert all(torch.all(block[0].bias == 0) for block in subnet.convs)
        for conv in (subnet.output, *(block[0] for block in subnet.convs)):
            assert conv.weight.std().item() == pytest.approx(0.01, rel=0.02)
            assert abs(conv.weight.mean().item()) < 2e-4


def test_subnets_are_shared_across_levels_and_not_with_each_other():
    def head_parameters(levels):
        anchors = AnchorConfig(levels=levels, sizes=[32] * len(levels))
        with torch.device("meta"):
            model = RetinaNet(RetinaNetConfig(num_classes=2, depth=18, anchors=anchors))
        return count(model.class_subnet), count(model.box_subnet)

    assert head_parameters((3,)) == head_parameters((3, 4, 5, 6, 7))
    model = tiny()
    ours = {id(parameter) for parameter in model.class_subnet.parameters()}
    assert ours.isdisjoint(id(parameter) for parameter in model.box_subnet.parameters())
    with torch.no_grad():
        model.class_subnet.output.bias += 1
        before = model(torch.zeros(1, 3, 64, 64))
        model.class_subnet.output.bias -= 1
        after = model(torch.zeros(1, 3, 64, 64))
    for x, y in zip(before[0], after[0], strict=True):  # one bias moves every level
        torch.testing.assert_close(x - 1, y)
    assert all(map(torch.equal, before[1], after[1]))


@pytest.mark.parametrize("config", [
    RetinaNetConfig.tiny(3),
    RetinaNetConfig(3, depth=50, width=16, norm="batch", fpn_channels=16, head_channels=24, head_convs=1),
    RetinaNetConfig(3, depth=18, width=16, norm="frozen", p6_from="P5", fpn_channels=16, head_channels=16),
])  # fmt: skip
def test_every_parameter_gets_a_gradient(config):
    torch.manual_seed(0)
    model = RetinaNet(config).train()
    logits, deltas = model(torch.randn(2, 3, 128, 128))
    sum(level.square().mean() for level in logits + deltas).backward()
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


# --- detection


def eager(num_classes=3, **changes):
    """A tiny model that finds something in noise."""
    model = tiny(num_classes, prior=0.3, **changes)
    nn.init.normal_(model.class_subnet.output.weight, std=0.1)
    nn.init.normal_(model.box_subnet.output.weight, std=0.02)
    return model


def test_detections_are_sorted_inside_the_image_and_at_most_so_many():
    model = eager(postprocess=PostprocessConfig(max_detections=17))
    found = model.detect(torch.randn(2, 3, 60, 90))
    assert len(found) == 2
    for boxes, scores, classes in found:
        assert boxes.shape == (17, 4)
        assert torch.equal(scores, scores.sort(descending=True).values)
        assert boxes.min() >= 0
        assert boxes[:, [0, 2]].max() <= 90
        assert boxes[:, [1, 3]].max() <= 60
        assert classes.dtype == torch.int64
        assert set(classes.tolist()) <= {0, 1, 2}


def test_detect_clips_each_image_of_a_padded_batch_to_its_own_size():
    model = eager()
    images = torch.randn(2, 3, 64, 96)
    padded = model.detect(images, image_sizes=[(64, 96), (40, 50)])
    plain = model.detect(images)
    assert torch.equal(padded[0].boxes, plain[0].boxes)
    assert plain[1].boxes[:, 2].max() > 50
    assert padded[1].boxes[:, 2].max() <= 50
    assert padded[1].boxes[:, 3].max() <= 40


def test_detect_leaves_every_modules_mode_and_the_gradients_alone():
    model = tiny().train()
    model.backbone.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    found = model.detect(torch.randn(1, 3, 32, 32))[0]
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert set(modes.values()) == {True, False}
    assert not found.scores.requires_grad


def test_detect_is_in_eval_mode_and_restores_the_mode_after_an_error():
    torch.manual_seed(0)
    model = RetinaNet(RetinaNetConfig(3, depth=18, width=8, norm="batch")).train()
    seen = []
    model.backbone.register_forward_hook(lambda module, inputs, output: seen.append(module.training))
    model.detect(torch.randn(1, 3, 32, 32))
    assert seen == [False]
    model.fpn.register_forward_pre_hook(lambda module, inputs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.detect(torch.randn(1, 3, 32, 32))
    assert all(module.training for module in model.modules())


def test_anchors_first_made_by_detect_can_be_trained_with():
    model = tiny().eval()
    model.detect(torch.randn(1, 3, 48, 80))
    anchors = model.anchors((48, 80))[0]
    factor = torch.ones(1, requires_grad=True)
    (factor * anchors).sum().backward()
    assert factor.grad.item() == pytest.approx(anchors.sum().item())
    assert model.anchors((48, 80))[0] is model.anchors((48, 80))[0]
    assert model.anchors((80, 48))[0].shape == model.anchors((48, 80))[0].shape
    assert not torch.equal(model.anchors((80, 48))[0], model.anchors((48, 80))[0])


def test_float64_and_bfloat16_networks_detect():
    for dtype, expected in ((torch.float64, torch.float64), (torch.bfloat16, torch.float32)):
        found = eager().to(dtype).detect(torch.randn(1, 3, 64, 64, dtype=dtype))[0]
        assert found.boxes.dtype == expected
        assert len(found.boxes) > 0


def test_autocast_computes_in_bfloat16_and_detects():
    model = eager().eval()
    images = torch.randn(1, 3, 64, 64)
    plain = model(images)[0][0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(images)[0][0]
        assert len(model.detect(images)[0].boxes) > 0
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), plain, rtol=0, atol=0.3)


@pytest.mark.parametrize(("images", "words"), [
    (torch.zeros(3, 32, 32), r"shape \(3, 32, 32\).*\(B, 3, H, W\).*image\[None\]"),
    (torch.zeros(1, 1, 32, 32), r"shape \(1, 1, 32, 32\)"),
    (torch.zeros(1, 3, 0, 32), r"at least 1"),
    (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), r"uint8.*float32.*255"),
    (torch.zeros(1, 3, 32, 32, dtype=torch.float64), r"float64.*float32"),
    ([[1.0]], r"class list"),
])  # fmt: skip
def test_bad_images_are_told_what_was_wanted(images, words):
    model = tiny().eval()
    for call in (model, model.detect):
        with pytest.raises(ValueError, match=words):
            call(images)


def test_detect_refuses_what_is_not_finite_and_sizes_that_do_not_fit():
    model = tiny().eval()
    images = torch.zeros(2, 3, 32, 48)
    images[1, 2, 3, 4] = math.nan
    with pytest.raises(ValueError, match=r"images\[1\] holds NaN"):
        model.detect(images)
    images = torch.zeros(2, 3, 32, 48)
    with pytest.raises(ValueError, match="1 entries for 2 images"):
        model.detect(images, [(32, 48)])
    with pytest.raises(ValueError, match=r"image_sizes\[1\] = \(33, 48\)"):
        model.detect(images, [(32, 48), (33, 48)])
    with pytest.raises(ValueError, match="height"):
        model.detect(images, [(32, 48), (0, 48)])


# --- the configuration


def test_default_config_is_the_paper():
    config = RetinaNetConfig()
    assert (config.num_classes, config.depth, config.fpn_channels, config.head_convs, config.p6_from) == (
        80, 50, 256, 4, "C5",
    )  # fmt: skip
    assert config.anchors == AnchorConfig()
    assert config.prior == 0.01
    assert config.head_norm is None


CONFIGS = [
    RetinaNetConfig(),
    RetinaNetConfig.tiny(7),
    RetinaNetConfig.torchvision(91, norm_eps=0.0),
    RetinaNetConfig(
        2, 101, groups=32, width_per_group=8, norm="batch", prior=0.2, std=(1, 2, 3),
        assignment=AssignmentConfig(0.6, 0.3, True), postprocess=PostprocessConfig(0.2),
    ),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_config_survives_json(config):
    plain = config.to_dict()
    assert plain == json.loads(json.dumps(plain))
    assert set(plain) == {field.name for field in dataclasses.fields(config)}
    assert RetinaNetConfig.from_dict(plain) == config


def test_config_from_a_partial_dict_has_defaults():
    assert RetinaNetConfig.from_dict({}) == RetinaNetConfig()
    assert RetinaNetConfig.from_dict({"postprocess": {"max_detections": 7}}) == RetinaNetConfig(
        postprocess=PostprocessConfig(max_detections=7)
    )


def test_config_lists_every_unknown_key():
    settings = RetinaNetConfig().to_dict()
    settings["dept"] = 50
    settings["anchors"]["stride"] = 8
    with pytest.raises(ValueError, match=r"dept, anchors\.stride"):
        RetinaNetConfig.from_dict(settings)
    with pytest.raises(ValueError, match=r"anchors = 3 must be a dict"):
        RetinaNetConfig.from_dict({"anchors": 3})
    with pytest.raises(ValueError, match=r"settings = \[\] must be a dict"):
        RetinaNetConfig.from_dict([])


@pytest.mark.parametrize(("settings", "words"), [
    ({"num_classes": 0}, "num_classes = 0"),
    ({"num_classes": 2.0}, "num_classes = 2.0"),
    ({"depth": 42}, "depth = 42 must be one of 18, 34, 50, 101, 152"),
    ({"norm": "layer"}, "norm = 'layer' must be one of 'frozen', 'batch', 'group'"),
    ({"head_norm": "batch"}, "head_norm = 'batch' must be one of None, 'group'"),
    ({"p6_from": "P4"}, "p6_from = 'P4'"),
    ({"norm_eps": -1e-5}, "norm_eps"),
    ({"head_convs": -1}, "head_convs = -1"),
    ({"head_channels": 0}, "head_channels = 0"),
    ({"depth": 18, "groups": 32}, "depth = 18 does not have"),
    ({"width": 12, "width_per_group": 8}, "multiple of 64"),
    ({"width": 12, "norm": "group"}, "width = 12.*multiples of 8"),
    ({"width_per_group": 4, "norm": "group"}, "multiples of 8"),
    ({"head_channels": 12, "head_norm": "group"}, "head_channels = 12.*multiple of 8"),
    ({"anchors": {"levels": (3,)}}, "anchors = .* must be of class AnchorConfig"),
    ({"anchors": AnchorConfig(levels=(3, 5), sizes=(32, 64))}, r"anchors.levels = \(3, 5\)"),
    ({"anchors": AnchorConfig(levels=(0, 1), sizes=(4, 8))}, "from 1 to 5"),
    ({"mean": 0.5}, "mean = 0.5"),
    ({"std": (1, 1)}, "std = .*3: red, green, blue"),
    ({"std": (1, 0, 1)}, r"std\[1\] = 0"),
])  # fmt: skip
def test_bad_settings_are_told_what_was_wanted(settings, words):
    with pytest.raises(ValueError, match=words):
        RetinaNetConfig(**settings)
