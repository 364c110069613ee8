"""A detector in a file for other programs finds what it finds here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from minidet.config import RunSettings
from minidet.data.shapes import Shapes
from minidet.pytorch.archive import SETTINGS, load_detector, save_detector
from minidet.pytorch.export import Pixels, export_onnx, export_torch
from minidet.pytorch.inference import batch_images
from minidet.structures import Categories
from tests.network.small import SMALL, fresh

CATEGORIES = Categories.numbered(tuple("abcdef"))
SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    net = fresh()
    for parameter in net.parameters():  # far from the start, where all scores are alike
        parameter.data += 0.05 * torch.randn_like(parameter)
    net.class_subnet.output.bias.data.fill_(-1)
    return net.eval()


@pytest.fixture(scope="module")
def image():
    return Shapes(1, image_size=SIZE)[0].image


def pixels(image):
    return torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))


def test_every_detection_is_among_the_boxes(model, image):
    with torch.inference_mode():
        boxes, scores = Pixels(model, SIZE)(pixels(image))
    (found,) = model.detect(batch_images([image], SMALL))
    assert len(found.boxes)
    for box, score, k in zip(*found, strict=True):
        same = (boxes - box).abs().amax(1) < 1e-3
        assert (scores[same, k] - score).abs().min() < 1e-5  # rounding of a normalisation in another order


@pytest.mark.slow
def test_a_program_of_torch_gives_the_same(model, image, tmp_path):
    path = export_torch(model, SIZE, tmp_path / "a.pt2", CATEGORIES)
    with torch.inference_mode():
        here = Pixels(model, SIZE)(pixels(image))
        there = torch.export.load(path).module()(pixels(image))
    for a, b in zip(here, there, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    described = json.loads((tmp_path / "a.json").read_text())
    assert (described["height"], described["width"]) == SIZE
    assert [entry["name"] for entry in described["classes"]] == list("abcdef")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter about itself
def test_onnxruntime_gives_the_same(model, image, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path = export_onnx(model, SIZE, tmp_path / "a.onnx", CATEGORIES)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    boxes, scores = session.run(["boxes", "scores"], {"images": pixels(image).numpy()})
    with torch.inference_mode():
        here = Pixels(model, SIZE)(pixels(image))
    np.testing.assert_allclose(scores, here[1].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(boxes, here[0].numpy(), rtol=1e-4, atol=1e-3)


def test_onnx_without_its_packages_is_told(model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ValueError, match=r"pip install 'minidet\[export\]'"):
        export_onnx(model, SIZE, tmp_path / "a.onnx", CATEGORIES)
    assert not list(tmp_path.iterdir())


def test_an_archive_holds_the_detector(model, image, tmp_path):
    settings = RunSettings(classes=CATEGORIES.names, model=SMALL, data={"source": "somewhere"})
    path = save_detector(tmp_path / "a.npz", model, settings)
    again, kept = load_detector(path)
    assert (kept.classes, kept.model, kept.data) == (CATEGORIES.names, SMALL, None)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            error = (again.state_dict()[name] - value).abs()  # rounded to float16, then to 8 bits of it
            bound = torch.clamp(value.abs() * (2**-11 + 2**-8 + 2**-19), min=2**-25 + 2**-22)
            assert (error <= bound).all(), name
    a, b = (net.detect(batch_images([image], SMALL))[0] for net in (model, again))
    assert abs(len(a.scores) - len(b.scores)) <= 0.1 * len(a.scores)
    assert (a.scores[0] - b.scores[0]).abs() < 0.02


def test_an_archive_runs_nothing_and_says_what_is_wrong(model, tmp_path):
    np.savez(tmp_path / "code.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="does not hold plain arrays alone"):
        load_detector(tmp_path / "code.npz")
    np.savez(tmp_path / "bare.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="holds arrays but no settings"):
        load_detector(tmp_path / "bare.npz")
    path = save_detector(tmp_path / "a.npz", model, RunSettings(model=SMALL))
    with np.load(path) as arrays:
        kept = dict(arrays)
    name = next(name for name in kept if name != SETTINGS)
    np.savez(tmp_path / "less.npz", **{key: value for key, value in kept.items() if key != name})
    with pytest.raises(ValueError, match=f"lacks 1 weights \\({name}"):
        load_detector(tmp_path / "less.npz")
    broken = fresh()
    next(broken.parameters()).data.fill_(torch.nan)
    with pytest.raises(ValueError, match="is not finite"):
        save_detector(tmp_path / "nan.npz", broken, RunSettings(model=SMALL))
