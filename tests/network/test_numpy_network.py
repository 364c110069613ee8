"""The whole network in NumPy: PyTorch's names, outputs and gradients; torchvision's detections; what is refused."""

import importlib
import math

import numpy as np
import pytest
import torch

from figures import figure3
from minidet import pytorch
from minidet.config import AnchorConfig, PostprocessConfig, RetinaNetConfig
from minidet.pytorch.weights import load_torchvision
from minidet.reference.architecture import backbone, pyramid, subnet
from minidet.reference.network import RetinaNet
from minidet.reference.tape import Tape, Value
from minidet.weights import load_weights, save_weights
from tests.network.test_weights import GOLDEN, state_for

pytestmark = pytest.mark.slow

SMALL = {"fpn_channels": 8, "head_channels": 8, "head_convs": 2}
CONFIGS = {
    f"{norm}-{depth}-{p6_from}": RetinaNetConfig(
        3, depth=depth, width=8, norm=norm, p6_from=p6_from, head_norm=head_norm, **SMALL
    )
    for norm in ("frozen", "batch", "group")
    for depth, p6_from, head_norm in ((18, "C5", "group"), (50, "P5", None))
}
CONFIGS["resnext"] = RetinaNetConfig(2, depth=50, width=16, groups=4, width_per_group=16, **SMALL)
CONFIGS["fine levels"] = RetinaNetConfig(2, 18, width=8, anchors=AnchorConfig((1, 2, 3), (8, 16, 32)), **SMALL)
CONFIGS["coarse levels"] = RetinaNetConfig(2, 34, width=8, anchors=AnchorConfig((5, 6, 7), (64, 128, 256)), **SMALL)
CONFIGS["tiny"] = RetinaNetConfig.tiny(3)


@pytest.fixture(scope="module", params=["reference", "compiled"])
def network(request):
    """RetinaNet of each path that has it without PyTorch."""
    return importlib.import_module(f"minidet.{request.param}.network").RetinaNet


def shaken(net, seed=0):
    """The network with weights under which all parts matter: biases off 0, larger ones in the subnets."""
    rng = np.random.default_rng(seed)
    for name, value in net.state.items():
        if value.ndim == 1:
            value += rng.uniform(0, 0.3, value.shape)
        elif "subnet" in name and value.ndim == 4:
            value[...] = rng.standard_normal(value.shape) * math.sqrt(2 / value[0].size)
    return net


def tensors(state):
    return {name: torch.from_numpy(np.array(value)) for name, value in state.items()}


def torchs(net):
    """The PyTorch network with the same weights."""
    model = pytorch.RetinaNet(net.config).to(torch.from_numpy(np.empty(0, net.dtype)).dtype)
    model.load_state_dict(tensors(net.state))
    return model


# --- beside PyTorch


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_outputs_gradients_and_buffers_are_torchs(network, config):
    net = shaken(network(config))
    model = torchs(net).train()
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 3, 75, 98))  # odd maps on every level
    images = torch.tensor(x, requires_grad=True)
    wanted = [level for levels in model(images) for level in levels]
    logits, deltas = net.forward(x)
    for found, level in zip(logits + deltas, wanted, strict=True):
        assert found.shape == tuple(level.shape)
        np.testing.assert_allclose(found, level.detach(), rtol=1e-10, atol=1e-10)

    upstream = [rng.standard_normal(level.shape) for level in wanted]
    torch.autograd.backward(wanted, [torch.from_numpy(grad) for grad in upstream])
    grads = net.backward(upstream[: len(logits)], upstream[len(logits) :], images=True)
    parameters = dict(model.named_parameters()) | {"images": images}
    assert grads.keys() == parameters.keys()
    for name, parameter in parameters.items():
        largest = parameter.grad.abs().max().item()
        assert largest > 0, name
        np.testing.assert_allclose(grads[name], parameter.grad, rtol=0, atol=1e-9 * largest, err_msg=name)

    for name, value in model.state_dict().items():
        np.testing.assert_allclose(net.state[name], value, rtol=1e-10, atol=1e-10, err_msg=name)
    with torch.no_grad():
        wanted = model.eval()(images)
    found = net.forward(x, training=False)
    for level, other in zip(found[0] + found[1], wanted[0] + wanted[1], strict=True):
        np.testing.assert_allclose(level, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", [*CONFIGS.values(), RetinaNetConfig(depth=50), RetinaNetConfig.torchvision(91)])
def test_names_shapes_and_order_are_torchs(network, config):
    with torch.device("meta"):
        wanted = pytorch.RetinaNet(config).state_dict()
    state = network(config, dtype=np.float32).state
    assert {name: value.shape for name, value in state.items()} == {n: tuple(t.shape) for n, t in wanted.items()}
    assert list(state) == list(wanted)


def test_gradients_against_differences(network):
    """Of the training loss itself, so that nothing but this project's own code is asked."""
    from minidet.reference import pyramid_anchors
    from minidet.reference.objective import detection_loss

    config = RetinaNetConfig(2, depth=18, width=8, norm="group", **SMALL)
    net = shaken(network(config))
    rng = np.random.default_rng(2)
    images, truth = rng.standard_normal((1, 3, 32, 40)), [([[3, 4, 33, 31]], [1], [False])]
    anchors = pyramid_anchors((32, 40), config.anchors)

    def loss():
        return detection_loss(*net.forward(images), anchors, truth, config)

    losses, *upstream = loss()
    assert losses.assigned > 0
    grads = net.backward(*upstream)
    for name, grad in grads.items():
        value = net.state[name]
        direction = rng.standard_normal(value.shape)
        slopes = []
        for step in (1e-6, -1e-6):
            value += step * direction
            found = loss()[0]
            value -= step * direction
            slopes.append(found.classification + found.box)
        difference = (slopes[0] - slopes[1]) / 2e-6
        assert (grad * direction).sum() == pytest.approx(difference, rel=1e-4, abs=1e-7), name


# --- detections


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def test_torchvisions_golden_weights_give_its_outputs_and_detections(network, golden):
    config = RetinaNetConfig.torchvision(5)
    with torch.device("meta"):
        batch = pytorch.RetinaNet(RetinaNetConfig.torchvision(5, norm="batch"))
    model = pytorch.RetinaNet(config)
    load_torchvision(model, state_for(batch, golden["names"].tolist(), int(golden["seed"])))
    net = network(config, dtype=np.float32)
    net.load(model.state_dict())
    logits, deltas = net.forward(golden["image"], training=False)
    np.testing.assert_allclose(np.concatenate(logits, 1), golden["cls_logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(np.concatenate(deltas, 1), golden["bbox_regression"], rtol=0, atol=1e-4)
    boxes, scores, classes = net.detect(golden["image"])[0]
    np.testing.assert_allclose(scores, golden["scores"], rtol=0, atol=1e-5)
    same = (
        (abs(boxes[:, None] - golden["boxes"]).max(2) < 1e-2)
        & (abs(scores[:, None] - golden["scores"]) < 1e-5)
        & (classes[:, None] == golden["labels"])
    )  # scores 3e-7 apart may change places where convolutions round differently
    assert np.all(same.sum(0) == 1)
    assert np.all(same.sum(1) == 1)


@pytest.mark.parametrize("sizes", [None, [(60, 90), (40, 33), (1, 1)]])
def test_detections_are_torchs(network, sizes):
    net = shaken(network(RetinaNetConfig.tiny(3, prior=0.3)))
    images = np.random.default_rng(0).standard_normal((3, 3, 60, 90))
    for found, wanted in zip(net.detect(images, sizes), torchs(net).detect(torch.tensor(images), sizes), strict=True):
        assert len(found.boxes) > 10
        np.testing.assert_array_equal(found.classes, wanted.classes)
        for ours, theirs in zip(found[:2], wanted[:2], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


def test_detect_has_no_part_in_training(network):
    net = network(RetinaNetConfig.tiny(3))
    before = {name: value.copy() for name, value in net.state.items()}
    net.detect(np.ones((1, 3, 32, 32)))
    assert all(np.array_equal(value, before[name]) for name, value in net.state.items())
    assert net.detect(np.ones((0, 3, 32, 32))) == []


def test_a_batch_without_images_has_outputs_and_gradients(network):
    net = network(RetinaNetConfig.tiny(3, norm="group"))
    logits, deltas = net.forward(np.zeros((0, 3, 64, 64)))
    assert [level.shape for level in logits] == [(0, 9 * n, 3) for n in (64, 16, 4, 1)]
    assert not any(grad.any() for grad in net.backward(logits, deltas).values())


# --- the first weights


def test_first_weights_are_those_of_section_4_1(network):
    state = network(RetinaNetConfig(2, depth=18, norm="batch")).state
    assert set(state["class_subnet.output.bias"]) == {-math.log(0.99 / 0.01)}
    weights = {name: value for name, value in state.items() if value.ndim == 4}
    for name, value in weights.items():
        outputs, inputs, k, _ = value.shape
        deviation = (
            math.sqrt(2 / (outputs * k * k)) if name.startswith("backbone")
            else 1 / math.sqrt(inputs * k * k) if name.startswith("fpn") else 0.01
        )  # fmt: skip
        assert value.std() == pytest.approx(deviation, rel=4 / math.sqrt(value.size)), name  # 4 standard errors
        assert value.mean() == pytest.approx(0, abs=4 * deviation / math.sqrt(value.size)), name
        if name.startswith("fpn"):
            assert abs(value).max() <= deviation * math.sqrt(3)
    others = {name: value for name, value in state.items() if name not in weights}
    for name, value in others.items():
        if name != "class_subnet.output.bias":
            assert np.all(value == name.endswith(("weight", "running_var"))), name


def test_first_weights_depend_on_the_seed_alone(network):
    config = RetinaNetConfig.tiny(3)
    first, same, other = network(config, 1).state, network(config, 1).state, network(config, 2).state
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["backbone.conv1.weight"], other["backbone.conv1.weight"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_in_the_networks_type(network, dtype):
    net = network(RetinaNetConfig.tiny(3), dtype=dtype)
    logits, deltas = net.forward(np.ones((1, 3, 64, 64), np.float64))
    arrays = [*logits, *deltas, *net.backward(logits, deltas).values(), *net.detect(np.ones((1, 3, 64, 64)))[0][:2]]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    counters = {name for name, value in net.state.items() if value.dtype == np.int64}
    assert counters == {name for name in net.state if name.endswith("num_batches_tracked")}


# --- weights in and out


def test_weights_go_to_a_file_and_back_and_to_torch(network, tmp_path):
    net = shaken(network(RetinaNetConfig.tiny(3)))
    save_weights(tmp_path / "weights.npz", net.state)
    other = network(net.config, seed=1)
    other.load(load_weights(tmp_path / "weights.npz"))
    assert all(np.array_equal(value, net.state[name]) for name, value in other.state.items())
    other.state["backbone.conv1.weight"][...] = 0  # a copy: the file's arrays and the network's are not shared
    assert net.state["backbone.conv1.weight"].any()
    model = pytorch.RetinaNet(net.config).double()
    model.load_state_dict(tensors(load_weights(tmp_path / "weights.npz")))
    save_weights(tmp_path / "back.npz", model.state_dict())
    assert all(np.array_equal(value, net.state[name]) for name, value in load_weights(tmp_path / "back.npz").items())


def test_load_takes_all_or_nothing_and_lists_every_fault(network):
    net = network(RetinaNetConfig.tiny(3))
    before = {name: value.copy() for name, value in net.state.items()}
    state = {name: value + 1 for name, value in net.state.items()}
    del state["fpn.lateral.0.bias"]
    state["fpn.lateral.9.bias"] = np.zeros(3)
    state["fpn.output.0.bias"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"1 missing: fpn.lateral.0.bias; 1 unknown: fpn.lateral.9.bias; 1 of another "
                       r"shape: fpn.output.0.bias \(3,\) instead of \(64,\)"):  # fmt: skip
        net.load(state)
    with pytest.raises(ValueError, match=r"state\['fpn.lateral.0.bias'\] has dtype"):
        net.load({**before, "fpn.lateral.0.bias": np.full(64, "a")})
    assert all(np.array_equal(value, before[name]) for name, value in net.state.items())


def test_a_file_of_weights_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    save_weights(path, {"a": np.arange(3)})

    def full(*_):
        raise OSError(28, "no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save_weights(path, {"a": np.arange(4)})
    assert load_weights(path)["a"].tolist() == [0, 1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["weights.npz"]


def test_files_that_hold_no_plain_arrays_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    for content in (b"", b"PK\x03\x04 cut off", b"\x80\x04N."):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="does not hold plain arrays alone"):
            load_weights(path)
    np.savez(path, a=np.array([print], object))
    with pytest.raises(ValueError, match="does not hold plain arrays alone"):
        load_weights(path)
    np.save(tmp_path / "weights.npy", np.zeros(3))
    with pytest.raises(ValueError, match="does not hold plain arrays alone"):
        load_weights(tmp_path / "weights.npy")
    with pytest.raises(ValueError, match=r"state\['a'\] has dtype object"):
        save_weights(path, {"a": None})


# --- bad input


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((3, 32, 32)), r"images has shape \(3, 32, 32\).*\(B, 3, H, W\).*image\[None\]"),
        (np.zeros((1, 1, 32, 32)), r"shape \(1, 1, 32, 32\)"),
        (np.zeros((1, 3, 0, 32)), "at least 1"),
        (np.zeros((1, 3, 32, 32), np.uint8), "uint8.*255"),
        ([[1.0]], r"shape \(1, 1\)"),
    ],
)
def test_bad_images_are_told_what_was_wanted(network, images, words):
    net = network(RetinaNetConfig.tiny(3))
    for call in (net.forward, net.detect):
        with pytest.raises(ValueError, match=words):
            call(images)


def test_detect_refuses_what_is_not_finite_and_sizes_that_do_not_fit(network):
    net = network(RetinaNetConfig.tiny(3))
    images = np.zeros((2, 3, 32, 48))
    images[1, 2, 3, 4] = math.nan
    with pytest.raises(ValueError, match=r"images\[1\] holds NaN"):
        net.detect(images)
    images = np.zeros((2, 3, 32, 48))
    with pytest.raises(ValueError, match="1 entries for 2 images"):
        net.detect(images, [(32, 48)])
    with pytest.raises(ValueError, match=r"image_sizes\[1\] = \(33, 48\)"):
        net.detect(images, [(32, 48), (33, 48)])


def test_each_backward_needs_a_forward_in_training_and_gradients_that_fit(network):
    net = network(RetinaNetConfig.tiny(3, postprocess=PostprocessConfig(0.5)))
    images = np.zeros((1, 3, 64, 64))
    with pytest.raises(ValueError, match="call forward"):
        net.backward([], [])
    logits, deltas = net.forward(images)
    with pytest.raises(ValueError, match=r"grad_logits has 0 levels.*4"):
        net.backward([], deltas)
    with pytest.raises(ValueError, match=r"grad_deltas\[2\] has shape \(1, 9, 4\): give \(1, 36, 4\)"):
        net.backward(logits, [*deltas[:2], deltas[3], deltas[3]])
    net.backward(logits, deltas)  # what was refused has used nothing up
    with pytest.raises(ValueError, match="call forward"):
        net.backward(logits, deltas)
    net.forward(images, training=False)
    with pytest.raises(ValueError, match="call forward"):
        net.backward(logits, deltas)


def test_batch_norm_needs_two_values_per_channel(network):
    with pytest.raises(ValueError, match="batch normalisation needs at least 2"):
        network(RetinaNetConfig.tiny(3)).forward(np.zeros((1, 3, 32, 32)))  # C5 is one pixel


def test_figure_3_has_the_shapes_of_this_network():
    """The figure's come from hooks in PyTorch, these from a tape that notes what its convolutions return."""
    size, config = 64, RetinaNetConfig()
    shapes = {}

    class Noting(Tape):
        def conv(self, x, name, *settings, **more):
            y = super().conv(x, name, *settings, **more)
            shapes.setdefault(name, []).append(y.data.shape[1:])
            return y

    tape, levels = Noting(RetinaNet(config, dtype=np.float32).state, training=False), config.anchors.levels
    maps = backbone(tape, Value(np.zeros((1, 3, size, size), np.float32)), config)
    maps_of_levels = pyramid(tape, maps, config)
    seen = {"image": (3, size, size)}
    seen |= {f"C{i}": value.data.shape[1:] for i, value in enumerate(maps, start=1)}
    seen |= {f"P{level}": value.data.shape[1:] for level, value in zip(levels, maps_of_levels, strict=True)}
    for kind, numbers in (("class", config.num_classes), ("box", 4)):
        rows = [subnet(tape, f"{kind}_subnet", value, numbers, config) for value in maps_of_levels]
        last = f"{kind}_subnet.convs.{config.head_convs - 1}.0"
        for name, found in ((f"{kind}_hidden", shapes[last]), (kind, shapes[f"{kind}_subnet.output"])):
            seen |= {f"{name}{level}": shape for level, shape in zip(levels, found, strict=True)}
        seen["anchors"] = (sum(value.data.shape[1] for value in rows),)
    assert seen == figure3.shapes(size)
