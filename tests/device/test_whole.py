"""Training and detection on a device that is not there: where the tensors are, what is left, and how often it waits."""

from __future__ import annotations

import contextlib
import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from minidet.config import LOSSES, AnchorConfig, LossConfig, RetinaNetConfig
from minidet.pytorch import batched, retinanet, training
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.inference import detect_images
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.postprocess import postprocess
from minidet.pytorch.processes import Process
from minidet.pytorch.resnet import FrozenBatchNorm2d, ResNet
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import Learner, train, train_step
from minidet.structures import Diverged
from tests.device.pretend import Pretend, PretendTensor, Waits
from tests.network.small import OTHER_OHEM, QUICK, SMALL, data, fresh, weights_equal

pytestmark = pytest.mark.slow

FIVE_LEVELS = replace(SMALL, anchors=AnchorConfig())


@pytest.fixture
def on_device(monkeypatch):
    """The pretend device, on which `train` trains too."""
    with Pretend() as device:
        monkeypatch.setattr(training, "joined", lambda: contextlib.nullcontext(Process(0, 1, device)))
        yield device


def step(config, device, waits=None):
    """The second step of a training, the first having filled the caches; its losses, and the network after it."""
    learner = Learner(fresh(), config, Process(0, 1, torch.device(device)))
    batches = iter(learner.batches(data(config), range(config.iterations)))
    train_step(learner, next(batches), 0)
    batch = next(batches)
    with waits or contextlib.nullcontext():
        losses, _ = train_step(learner, batch, 1)
    return losses, learner.model


@pytest.mark.parametrize("kind", LOSSES)
def test_the_objective_and_its_gradients_are_on_the_device(kind):
    config = replace(QUICK, loss=LossConfig(kind, ohem_batch_size=8))
    batch = data(config).batch(0)

    def derivatives(device, assignments):
        model = fresh().to(device)
        logits, deltas = model(torch.from_numpy(batch.images).to(device))
        anchors = model.anchors(batch.images.shape[2:])
        losses = detection_loss(logits, deltas, anchors, batch.ground_truth, SMALL, config, assignments)
        (losses.classification + losses.box).backward()
        return [*losses, *(parameter.grad for parameter in model.parameters())]

    wanted = derivatives("cpu", None)
    with Pretend() as device:
        for assignments in (None, batch.assignments, torch.from_numpy(batch.assignments).to(device)):
            for ours, theirs in zip(derivatives(device, assignments), wanted, strict=True):
                assert isinstance(ours, PretendTensor)
                torch.testing.assert_close(ours.held, theirs.detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore:precision = :UserWarning")
@pytest.mark.parametrize("settings", [
    {}, {"gradient_clip": 0.1, "channels_last": True}, {"precision": "bfloat16"},
    {"accumulate": 2, "freeze_at": 2},
], ids=str)  # fmt: skip
def test_a_step_gives_the_weights_of_the_cpu(settings):
    config = replace(QUICK, winograd=False, **settings)
    wanted, reference = step(config, "cpu")
    with Pretend() as device:
        found, model = step(config, device)
        state = model.state_dict()
    limit = 0.05 if config.precision == "bfloat16" else 1e-5
    torch.testing.assert_close(found.classification.held, wanted.classification, rtol=limit, atol=0)
    for name, value in reference.state_dict().items():
        assert isinstance(state[name], PretendTensor), name
        torch.testing.assert_close(state[name].held, value, rtol=limit, atol=limit / 10)


WAITS = dict.fromkeys(LOSSES, 1) | {"ohem": 1 + 2, "ohem_1_3": 1 + 2 * 2}
"""What is left of the waits per step, here with two images. Every loss waits once, when the gradients are on their way,
to learn whether outputs and loss are finite: a step that is lost must not reach the weights. Before, a step waited 13
times, with FL* and hinge 15. OHEM waits once per image for the suppression to be complete, and with 1:3 once more for
how many positives it has found, on which the number of negatives depends; before, it waited 49 and 58 times.
"""


@pytest.mark.parametrize("kind", LOSSES)
def test_waits_per_training_step(kind):
    waits = Waits()
    with Pretend() as device:
        step(replace(QUICK, loss=LossConfig(kind, ohem_batch_size=8), gradient_clip=1.0), device, waits)
    assert waits.count <= WAITS[kind], waits.places


@pytest.mark.parametrize("choices", OTHER_OHEM, ids=lambda choices: "+".join(choices))
def test_waits_of_every_kind_of_ohem(choices):
    waits = Waits()
    with Pretend() as device:
        step(replace(QUICK, loss=LossConfig("ohem", ohem_batch_size=8, **choices), gradient_clip=1.0), device, waits)
    assert waits.count <= WAITS["ohem"], waits.places


@pytest.mark.parametrize("images", [1, 3])
def test_waits_per_detection(images):
    """Once for whether the images are finite, and once for how many boxes there are, whatever the number of images."""
    torch.manual_seed(0)
    with Pretend() as device:
        model = RetinaNet(FIVE_LEVELS).to(device)
        batch = torch.randn(images, 3, 128, 96).to(device)
        model.detect(batch)
        with Waits() as waits:
            found = model.detect(batch)
    assert len(found) == images
    assert waits.count <= 2, waits.places


def test_waits_of_a_report(on_device, tmp_path):
    """A line of metrics is one copy to the host, a checkpoint one wait and one copy for each of its tensors."""
    learner = Learner(fresh(), QUICK, Process(0, 1, on_device))
    losses, _ = train_step(learner, next(iter(learner.batches(data(), range(1)))), 0)
    reporter = training.Reporter(None, QUICK)
    with Waits() as waits:
        reporter.step(1, losses, 0.1)
    assert waits.count == 1, waits.places
    with Waits() as waits:
        learner.state(1, 0.0, 0.0)
    assert waits.count == 1, waits.places


def test_training_saving_resuming_and_detecting(on_device, tmp_path):
    whole, resumed = fresh(), fresh()
    config = replace(QUICK, iterations=4, checkpoint_every=2, optimizer="adamw", learning_rate=1e-3)
    metrics = train(whole, data(config), config, tmp_path / "whole", evaluate=lambda model: {"AP": 0.0})
    assert [record["iteration"] for record in metrics if "box" in record] == [1, 2, 3, 4]

    class Stops:
        def batch(self, iteration, rank=0, processes=1):
            if iteration == 2:
                raise KeyboardInterrupt
            return data(config).batch(iteration)

    with pytest.raises(KeyboardInterrupt):
        train(fresh(), Stops(), config, tmp_path / "parts")
    train(resumed, data(config), config, tmp_path / "parts", resume=True)
    one, two = load_model(tmp_path / "whole"), load_model(tmp_path / "parts")
    assert all(type(value) is torch.Tensor for value in one.state_dict().values())
    assert weights_equal(one, two)
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    for ours, theirs in zip(detect_images(whole, [image])[0], detect_images(one, [image])[0], strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_array_equal(ours, theirs)


def test_a_training_that_is_lost_is_noticed(on_device, tmp_path):
    model = fresh()
    with torch.no_grad():
        model.box_subnet.output.bias[0] = math.nan
    with pytest.raises(Diverged, match="the network's outputs are not finite"):
        train(model, data(), QUICK, tmp_path)


def planted(function, change):
    """A function whose result is spoilt."""
    return lambda *arguments, **options: change(function(*arguments, **options))


def held(tensor):
    return tensor.held if isinstance(tensor, PretendTensor) else tensor


def index_on_the_cpu(found):
    return found._replace(positive=held(found.positive))


def mask_on_the_cpu(found):
    return found._replace(labels=held(found.labels))


@pytest.mark.parametrize(("where", "name", "change"), [
    (retinanet, "pyramid_anchors", lambda levels: [held(level) for level in levels]),
    (training, "make_targets", mask_on_the_cpu),
    (training, "make_targets", index_on_the_cpu),
], ids=["an anchor made on the CPU", "a mask not moved", "an index on the wrong side"])  # fmt: skip
def test_a_planted_fault_is_caught(monkeypatch, where, name, change):
    retinanet._anchors.cache_clear()
    try:
        with Pretend() as device:
            step(QUICK, device)  # without the fault it goes through
            retinanet._anchors.cache_clear()
            monkeypatch.setattr(where, name, planted(getattr(where, name), change))
            with pytest.raises(RuntimeError, match="same device"):
                step(QUICK, device)
    finally:
        retinanet._anchors.cache_clear()


def test_a_mask_that_is_not_moved_is_caught_in_detection(monkeypatch):
    with Pretend() as device:
        model, image = fresh().to(device), torch.zeros(1, 3, 64, 64).to(device)
        model.detect(image)
        monkeypatch.setattr(batched, "iou_matrix", planted(batched.iou_matrix, held))
        with pytest.raises(RuntimeError, match="same device"):
            model.detect(image)


@pytest.mark.parametrize(("per_level", "detections", "threshold", "size"), [
    (1000, 100, 0.05, (96, 128)), (3, 5, 0.05, (128, 128)), (40, 3, 0.0, (90, 70)), (1000, 10, 0.999, (64, 64)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_detections_of_a_batch_are_those_of_each_image(per_level, detections, threshold, size, dtype):
    """With many equal scores, the order of which is agreed on, and boxes that overlap in long chains."""
    post = RetinaNetConfig().postprocess
    config = replace(post, max_per_level=per_level, max_detections=detections, score_threshold=threshold)
    rng = np.random.default_rng(1)
    anchors = retinanet._anchors(size, AnchorConfig(), dtype, torch.device("cpu"))
    logits = [torch.from_numpy(rng.integers(-6, 4, (3, len(level), 2)) / 2).to(dtype) for level in anchors]
    deltas = [torch.from_numpy(rng.normal(0, 0.3, (3, len(level), 4))).to(dtype) for level in anchors]
    sizes = [size, (50, 60), size]
    found = batched.postprocess_batch(logits, deltas, anchors, sizes, config)
    for i, (image, at) in enumerate(zip(found, sizes, strict=True)):
        wanted = postprocess([x[i] for x in logits], [t[i] for t in deltas], anchors, at, config)
        for ours, theirs in zip(image, wanted, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_outputs_that_are_not_finite_are_named():
    with Pretend() as device:
        model = fresh().to(device)
        with torch.no_grad():
            model.class_subnet.output.bias[0] = math.nan
        with pytest.raises(ValueError, match=r"logits\[0\]\[0, 0\] = nan"):
            model.detect(torch.zeros(2, 3, 64, 64).to(device))


@pytest.mark.parametrize("depth", [18, 50])
def test_a_constant_norm_becomes_part_of_its_convolution(depth):
    """On a device the same maps and gradients as on the CPU, where the two are computed one after the other."""
    config = RetinaNetConfig(depth=depth, width=8, norm="frozen")
    torch.manual_seed(0)
    backbone, images = ResNet(config).double(), torch.randn(1, 3, 40, 50, dtype=torch.float64)
    for module in backbone.modules():
        if isinstance(module, FrozenBatchNorm2d):
            for name, values in module.named_buffers():
                values.uniform_(*((-0.1, 0.1) if name in ("bias", "running_mean") else (0.5, 1.5)))

    def maps_and_gradients(device):
        net = copy.deepcopy(backbone).to(device)
        maps = net(images.to(device))
        sum(level.square().mean() for level in maps).backward()
        return [value.cpu().detach() for value in (*maps, *(weight.grad for weight in net.parameters()))]

    with Pretend() as device:
        found = maps_and_gradients(device)
    for one, wanted in zip(found, maps_and_gradients("cpu"), strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-9, atol=1e-12 * float(wanted.abs().max()))
