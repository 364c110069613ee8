"""torchvision's weights in our network: the same outputs, and nothing loaded that does not fit."""

import io
import os
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from minidet.config import RetinaNetConfig
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.weights import load_backbone, load_torchvision

GOLDEN = Path(__file__).parents[1] / "golden" / "retinanet.npz"


def small(norm="frozen", **changes):
    """A network with torchvision's names and few parameters."""
    torch.manual_seed(0)
    settings = {"width": 8, "norm": norm, "fpn_channels": 8, "head_channels": 8, **changes}
    return RetinaNet(RetinaNetConfig.torchvision(5, **settings))


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as arrays:
        return dict(arrays)


def fill(name, shape, seed):
    """The golden file's weights: Gaussian noise seeded by the name, scaled so that activations keep their size."""
    noise = np.random.default_rng(zlib.crc32(name.encode()) + seed).standard_normal(shape)
    is_norm = "bn" in name or "downsample.1" in name
    if name.endswith("running_var"):
        noise = 1 + 0.1 * np.abs(noise)
    elif is_norm and name.endswith("weight"):
        noise = 0.5 + 0.05 * noise
    elif len(shape) == 4:
        noise *= np.sqrt(2 / np.prod(shape[1:]))
    else:
        noise *= 0.05
    return torch.from_numpy(noise.astype(np.float32))


def state_for(model, names, seed=1):
    """A state dict with torchvision's names for a model with ``norm="batch"``, whose tensors come in the same order."""
    shapes = [tensor.shape for tensor in model.state_dict().values()]
    return {
        name: torch.tensor(0) if name.endswith("num_batches_tracked") else fill(name, shape, seed)
        for name, shape in zip(names, shapes, strict=True)
    }


def values(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def assert_unchanged(model, before):
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- the golden network


@pytest.fixture(scope="module")
def golden_state(golden):
    with torch.device("meta"):
        batch = RetinaNet(RetinaNetConfig.torchvision(5, norm="batch"))
    return state_for(batch, golden["names"].tolist(), int(golden["seed"]))


@pytest.fixture(scope="module")
def golden_model(golden_state):
    model = RetinaNet(RetinaNetConfig.torchvision(5)).eval()
    load_torchvision(model, golden_state)
    return model


def test_outputs_are_torchvisions(golden, golden_model):
    with torch.inference_mode():
        logits, deltas = golden_model(torch.from_numpy(golden["image"]))
    np.testing.assert_allclose(torch.cat(logits, 1), golden["cls_logits"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(torch.cat(deltas, 1), golden["bbox_regression"], rtol=0, atol=1e-4)


def test_detections_are_torchvisions(golden, golden_model):
    boxes, scores, classes = golden_model.detect(torch.from_numpy(golden["image"]))[0]
    assert len(boxes) == 300
    np.testing.assert_allclose(scores, golden["scores"], rtol=0, atol=1e-5)
    same = (
        (abs(boxes.numpy()[:, None] - golden["boxes"]).max(2) < 1e-2)
        & (abs(scores.numpy()[:, None] - golden["scores"]) < 1e-5)
        & (classes.numpy()[:, None] == golden["labels"])
    )  # scores 3e-7 apart may change places where convolutions round differently, so the order is left open
    assert np.all(same.sum(0) == 1)
    assert np.all(same.sum(1) == 1)


def test_file_of_torchvision_before_0_13_and_without_counters(tmp_path, golden, golden_state, golden_model):
    old = {}
    for name, value in golden_state.items():
        if name.endswith("num_batches_tracked"):
            continue
        parts = name.split(".")
        if "inner_blocks" in name or "layer_blocks" in name:  # backbone.fpn.inner_blocks.1.0.weight
            del parts[4]
        elif "_head.conv" in name:  # head.classification_head.conv.1.0.weight; every second entry was a ReLU
            parts[3:5] = [str(2 * int(parts[3]))]
        old[".".join(parts)] = value
    assert "head.regression_head.conv.6.bias" in old
    assert "backbone.fpn.layer_blocks.2.weight" in old
    torch.save(old, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    model = RetinaNet(RetinaNetConfig.torchvision(5))
    load_torchvision(model, tmp_path / "old.pth")
    assert_unchanged(model, golden_model.state_dict())


# --- what may differ


@pytest.fixture(scope="module")
def names(golden):
    return golden["names"].tolist()


@pytest.mark.parametrize("kind", ["dict", "pth", "legacy pth", "npz", "arrays"])
def test_every_kind_of_source_gives_the_same_weights(tmp_path, names, kind):
    state = state_for(small("batch"), names)
    arrays = {name: value.numpy() for name, value in state.items()}
    source = state
    if "pth" in kind:
        source = str(tmp_path / "weights.pth")
        torch.save(state, source, _use_new_zipfile_serialization=kind == "pth")
    elif kind == "npz":
        source = tmp_path / "weights.npz"
        np.savez(source, **arrays)
    elif kind == "arrays":
        source = arrays
    model = small()
    load_torchvision(model, source)
    assert torch.equal(model.backbone.layer3[2].conv2.weight, state["backbone.body.layer3.2.conv2.weight"])
    assert torch.equal(model.backbone.bn1.running_var, state["backbone.body.bn1.running_var"])
    assert torch.equal(model.fpn.lateral[1].weight, state["backbone.fpn.inner_blocks.1.0.weight"])
    assert torch.equal(model.fpn.output[2].bias, state["backbone.fpn.layer_blocks.2.0.bias"])
    assert torch.equal(model.fpn.extra["p7"].weight, state["backbone.fpn.extra_blocks.p7.weight"])
    assert torch.equal(model.class_subnet.convs[3][0].weight, state["head.classification_head.conv.3.0.weight"])
    assert torch.equal(model.box_subnet.output.bias, state["head.regression_head.bbox_reg.bias"])


def test_counters_are_copied_where_the_model_counts_and_may_be_missing(names):
    model = small("batch")
    state = state_for(model, names)
    state["backbone.body.bn1.num_batches_tracked"] = torch.tensor(7)
    del state["backbone.body.layer1.0.bn1.num_batches_tracked"]
    load_torchvision(model, state)
    assert model.backbone.bn1.num_batches_tracked == 7
    assert model.backbone.layer1[0].bn1.num_batches_tracked == 0


def test_half_precision_weights_keep_the_models_dtype(names):
    state = {name: value.half() for name, value in state_for(small("batch"), names).items()}
    model = small()
    load_torchvision(model, state)
    assert model.fpn.lateral[0].weight.dtype == torch.float32
    assert torch.equal(model.fpn.lateral[0].weight, state["backbone.fpn.inner_blocks.0.0.weight"].float())


# --- backbones


@pytest.mark.parametrize(("depth", "extra"), [(18, {}), (50, {}), (50, {"groups": 4, "width_per_group": 16})])
def test_backbone_takes_a_classifiers_weights_without_its_linear_layer(depth, extra):
    source, model = small("batch", depth=depth, **extra), small("frozen", depth=depth, **extra)
    for tensor in source.backbone.state_dict().values():
        tensor.copy_(torch.rand(tensor.shape) + 0.5)
    state = source.backbone.state_dict() | {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}
    before = values(model.fpn)
    load_backbone(model, state)
    images = torch.randn(1, 3, 64, 64)
    for ours, theirs in zip(model.backbone(images), source.backbone.eval()(images), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert_unchanged(model.fpn, before)


def test_backbone_names_are_torchvisions(names):
    ours = small("batch").backbone.state_dict()
    assert {f"backbone.body.{name}" for name in ours} == {name for name in names if name.startswith("backbone.body.")}


def test_backbone_of_another_depth_is_refused():
    model = small(depth=34)
    before = values(model)
    with pytest.raises(ValueError, match=r"missing: .*layer1\.2\.conv1\.weight"):
        load_backbone(model, small(depth=18).backbone.state_dict())
    with pytest.raises(ValueError, match=r"unknown: .*layer1\.2\.conv1\.weight"):
        load_backbone(small(depth=18), model.backbone.state_dict())
    assert_unchanged(model, before)


# --- what is refused, and changes nothing


def test_every_fault_is_listed_and_nothing_is_changed(names):
    model = small()
    before = values(model)
    state = state_for(small("batch"), names)
    del state["backbone.body.layer4.0.conv1.weight"], state["backbone.fpn.extra_blocks.p6.bias"]
    state["head.mask.weight"] = torch.zeros(1)
    state["fpn.lateral.0.weight"] = torch.zeros(1)  # our name, not torchvision's
    state["head.classification_head.cls_logits.bias"] = torch.zeros(9 * 91)
    with pytest.raises(ValueError, match="do not fit the model") as error:
        load_torchvision(model, state)
    for words in (
        "2 missing: backbone.body.layer4.0.conv1.weight, backbone.fpn.extra_blocks.p6.bias;",
        "2 unknown: head.mask.weight, fpn.lateral.0.weight;",
        "1 of another shape: head.classification_head.cls_logits.bias (819,) instead of (45,)",
    ):
        assert words in str(error.value)
    assert_unchanged(model, before)


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
@pytest.mark.parametrize("load", [load_torchvision, load_backbone])
def test_one_fault_is_enough(names, load, fault):
    model = small()
    state = state_for(small("batch"), names)
    if load is load_backbone:
        state = {n.removeprefix("backbone.body."): v for n, v in state.items() if n.startswith("backbone.body.")}
    last = list(state)[-3]
    if fault == "missing":
        del state[last]
    elif fault == "unknown":
        state["surplus"] = torch.zeros(1)
    else:
        state[last] = state[last][None]
    before = values(model)
    with pytest.raises(ValueError, match="surplus" if fault == "unknown" else last):
        load(model, state)
    assert_unchanged(model, before)


def test_group_norm_has_no_place_for_statistics(names):
    with pytest.raises(ValueError, match=r"unknown: .*bn1\.running_mean"):
        load_torchvision(small("group"), state_for(small("batch"), names))


class Payload:
    """Pickled, it makes a folder when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("writer", ["torch.save", "legacy torch.save", "pickle", "npz"])
def test_pickled_code_is_refused_and_not_run(tmp_path, writer):
    trap = tmp_path / "trap"
    path = tmp_path / ("weights.npz" if writer == "npz" else "weights.pkl")
    content = {"model": Payload(trap)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(content))
    elif writer == "npz":
        np.savez(path, model=np.array([Payload(trap)], dtype=object))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=writer == "torch.save")
    model = small()
    before = values(model)
    words = {"pickle": r"Pickled objects.*torch\.save", "npz": "plain arrays"}.get(
        writer, "would have to be run.*torch.save"
    )
    for load in (load_torchvision, load_backbone):
        with pytest.raises(ValueError, match=words):
            load(model, path)
    assert not trap.exists()
    assert_unchanged(model, before)
    with path.open("rb") as file:  # the trap works: unpickling the same bytes springs it
        data = pickle.dumps(content) if writer != "pickle" else file.read()
    pickle.load(io.BytesIO(data))
    assert trap.exists()


def test_files_that_are_no_weights(tmp_path):
    model = small()
    path = tmp_path / "weights.pth"
    for content in (b"", b"hello", b"\x08\x00\x00\x00\x00\x00\x00\x00{}"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"was not written by torch\.save"):
            load_torchvision(model, path)
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(ValueError, match="is damaged"):
        load_torchvision(model, path)
    (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ValueError, match="plain arrays"):
        load_torchvision(model, tmp_path / "weights.npz")
    with pytest.raises(FileNotFoundError):
        load_torchvision(model, tmp_path / "nothing.pth")


def test_a_checkpoint_around_the_state_dict_is_pointed_out(tmp_path, names):
    model = small()
    torch.save({"model": state_for(small("batch"), names), "epoch": 3}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match=r"weights\['model'\] is a dict.*give the state dict itself"):
        load_torchvision(model, tmp_path / "checkpoint.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="hold a list"):
        load_torchvision(model, tmp_path / "list.pth")
