"""A detector in a file for other programs finds what it finds here."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minidet.config import ResizeConfig, RunSettings
from minidet.data.shapes import Shapes
from minidet.pytorch.archive import SETTINGS, load_detector, save_detector
from minidet.pytorch.export import Pixels, export_onnx, export_torch
from minidet.pytorch.inference import batch_images, detect_images
from minidet.structures import Categories, Detections
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


def supervision(xyxy, confidence, class_id):
    """Refuses what ``supervision.Detections`` refuses: arrays of NumPy alone, of one length."""
    assert all(isinstance(column, np.ndarray) for column in (xyxy, confidence, class_id))
    assert (xyxy.ndim, xyxy.shape[1:], confidence.shape, class_id.shape) == (2, (4,), xyxy.shape[:1], xyxy.shape[:1])
    assert np.issubdtype(class_id.dtype, np.integer)
    return xyxy, confidence, class_id


@pytest.mark.parametrize("threshold", [0.05, 1.0])
def test_what_other_libraries_take_is_the_line_of_the_readme(model, image, threshold):
    """Boxes are corners in pixels; of no detection too."""
    found = detect_images(model, [image, image], ResizeConfig(*SIZE))[0]
    found = Detections(*(column[found.scores > threshold] for column in found))
    assert (len(found.boxes) > 0) == (threshold < 1)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    names = {"found": found, "tensor": torch.tensor, "sv": SimpleNamespace(Detections=supervision)}
    (line,) = re.findall(r"^(sv\.Detections\(.*\))  #", readme, re.MULTILINE)
    for theirs, ours in zip(eval(line, names), found, strict=True):
        np.testing.assert_array_equal(theirs, ours)
    if importlib.util.find_spec("supervision"):
        real = eval(line, names | {"sv": importlib.import_module("supervision")})
        np.testing.assert_array_equal(real.xyxy, found.boxes)
    (line,) = re.findall(r"^(dict\(boxes=.*\))  # torchvision", readme, re.MULTILINE)
    there = eval(line, names)
    assert {name: value.dtype for name, value in there.items()} == {
        "boxes": torch.float32, "scores": torch.float32, "labels": torch.int64,
    }  # fmt: skip
    assert (there["boxes"].shape, there["scores"].shape) == (found.boxes.shape, found.scores.shape)
    np.testing.assert_allclose(there["boxes"], found.boxes, rtol=1e-6, atol=1e-6)
    if importlib.util.find_spec("torchvision"):
        nms = importlib.import_module("torchvision.ops").batched_nms
        assert len(nms(there["boxes"], there["scores"], there["labels"], 1.0)) == len(found.boxes)


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
    path = export_onnx(model.train(), SIZE, tmp_path / "a.onnx", CATEGORIES)  # without a word, and in eval mode
    assert not model.training
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
