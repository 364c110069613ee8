"""Training in NumPy beside PyTorch's trainer: from the same weights over the same batches to the same weights."""

import dataclasses
import itertools
import subprocess
import sys

import numpy as np
import pytest
import torch

from minidet import pytorch
from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import LOSSES, OHEM_RATIOS
from minidet.pytorch import optimization
from minidet.pytorch.objective import detection_loss as torch_detection_loss
from minidet.reference import pyramid_anchors
from minidet.reference.network import RetinaNet
from minidet.reference.objective import detection_loss
from minidet.reference.training import learning_rate, train, train_step
from minidet.structures import Batch, Diverged, GroundTruth
from tests.network.small import OTHER_OHEM

pytestmark = pytest.mark.slow

ANCHORS = AnchorConfig(levels=(3, 4, 5, 6), sizes=(16, 32, 64, 128))
MODEL = RetinaNetConfig(
    3, depth=18, width=8, norm="batch", fpn_channels=8, head_channels=8, head_convs=1, anchors=ANCHORS
)
TRAINING = TrainingConfig(iterations=100, batch_size=2, warmup=10, log_every=1, checkpoint_every=100)


class Squares:
    """Batches of bright rectangles on noise, 64 x 48 pixels; some images hold none, and some are to be ignored."""

    def __init__(self, batch_size=2):
        self.batch_size = batch_size

    def batch(self, iteration, rank=0, processes=1):
        rng = np.random.default_rng(iteration)
        images, truth = rng.normal(0, 0.1, (self.batch_size, 3, 64, 48)), []
        for image in images:
            n = rng.integers(0, 4)
            boxes = np.concatenate([rng.integers(0, 22, (n, 2)), rng.integers(30, 48, (n, 2))], axis=1)
            classes = rng.integers(0, 3, n)
            for (x1, y1, x2, y2), klass in zip(boxes, classes, strict=True):
                image[klass, y1:y2, x1:x2] += 1
            truth.append(GroundTruth(boxes.astype(np.float64), classes, rng.random(n) < 0.2))
        return Batch(images, truth, list(range(self.batch_size)))


def both(model_config, training, tmp_path, steps=None):
    """Records and state after training in NumPy, and by PyTorch's own trainer."""
    training = dataclasses.replace(training, iterations=steps or training.iterations, warmup=min(10, steps or 10))
    net = RetinaNet(model_config, seed=3)
    model = pytorch.RetinaNet(model_config).double()
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in net.state.items()})
    data = Squares(training.batch_size)
    wanted = pytorch.train(model, data, training, tmp_path / "run")
    found = list(train(net, map(data.batch, range(training.iterations)), training))
    return found, wanted, net.state, {name: value.numpy() for name, value in model.state_dict().items()}


def assert_in_step(found, wanted, state, torch_state, losses=1e-8, weights=1e-7):
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        for name in ("iteration", "assigned"):
            assert ours[name] == theirs[name]
        for name in ("classification", "box", "learning_rate"):
            assert ours[name] == pytest.approx(theirs[name], rel=losses, abs=1e-14), (ours["iteration"], name)
    for name, value in torch_state.items():
        np.testing.assert_allclose(state[name], value, rtol=0, atol=weights, err_msg=name)


@pytest.mark.parametrize(
    ("model", "training", "steps"),
    [
        (MODEL, TRAINING, 100),
        (
            dataclasses.replace(MODEL, norm="group", head_norm="group", p6_from="P5"),
            dataclasses.replace(TRAINING, optimizer="adamw", learning_rate=1e-3, gradient_clip=1.0, schedule="cosine"),
            30,
        ),
        (MODEL, dataclasses.replace(TRAINING, bias_rate=2.0, bias_decay=False, weight_decay=0.1), 30),
    ],
    ids=["batch norm, SGD", "group norm, AdamW", "biases as in Detectron"],
)
def test_step_after_step_is_torchs(model, training, steps, tmp_path):
    found, wanted, state, torch_state = both(model, training, tmp_path, steps)
    assert_in_step(found, wanted, state, torch_state)
    total = [record["classification"] + record["box"] for record in found]
    assert np.mean(total[-10:]) < np.mean(total[:10])  # it learns


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_is_torchs(kind, tmp_path):
    loss = LossConfig(kind, ohem_batch_size=16, box_weight=2.0, smooth_l1_beta=0.11)
    training = dataclasses.replace(TRAINING, loss=loss)
    model = dataclasses.replace(MODEL, norm="group", assignment=AssignmentConfig(0.6, 0.5, force_match=True))
    assert_in_step(*both(model, training, tmp_path, steps=3))


@pytest.mark.parametrize("kind", OHEM_RATIOS)
@pytest.mark.parametrize("choices", OTHER_OHEM, ids=lambda choices: "+".join(choices))
def test_every_kind_of_ohem_is_torchs(kind, choices, tmp_path):
    loss = LossConfig(kind, ohem_batch_size=12, box_weight=2.0, **choices)  # 12: not a power of 2
    assert_in_step(*both(MODEL, dataclasses.replace(TRAINING, loss=loss), tmp_path, steps=3))


@pytest.mark.parametrize("freeze_at", [1, 2, 5])
def test_frozen_parts_stay_as_they_are(freeze_at, tmp_path):
    model = dataclasses.replace(MODEL, norm="group")
    first = RetinaNet(model, seed=3).state
    found, wanted, state, torch_state = both(model, dataclasses.replace(TRAINING, freeze_at=freeze_at), tmp_path, 3)
    assert_in_step(found, wanted, state, torch_state)
    stay = {name for name in state if np.array_equal(state[name], first[name])}
    parts = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4"][: freeze_at + 1]
    assert stay == {name for name in state if name.split(".")[1] in parts and name.startswith("backbone")}


def test_a_batch_of_one_image_and_an_image_without_objects(tmp_path):
    net = RetinaNet(MODEL, seed=3)
    model = pytorch.RetinaNet(MODEL).double().train()
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in net.state.items()})
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 64))
    truth = [GroundTruth(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))]
    losses = train_step(net, images, truth, TRAINING, 0.01, {})
    assert losses.assigned == losses.box == 0
    optimizer = torch.optim.SGD(model.parameters(), 0.01, TRAINING.momentum, weight_decay=TRAINING.weight_decay)
    wanted = torch_detection_loss(*model(torch.from_numpy(images)), model.anchors((64, 64)), truth, MODEL, TRAINING)
    (wanted.classification + wanted.box).backward()
    optimizer.step()
    assert losses.classification == pytest.approx(wanted.classification.item(), rel=1e-12)
    for name, value in model.state_dict().items():
        np.testing.assert_allclose(net.state[name], value, rtol=0, atol=1e-12, err_msg=name)


def test_gradients_of_the_loss_are_autograds():
    rng = np.random.default_rng(0)
    anchors = pyramid_anchors((64, 48), ANCHORS)
    logits = [rng.normal(-2, 1, (2, len(level), 3)) for level in anchors]
    deltas = [rng.normal(0, 1, (2, len(level), 4)) for level in anchors]
    truth = Squares().batch(1).ground_truth
    training = dataclasses.replace(TRAINING, loss=LossConfig(box_weight=3.0))
    losses, *grads = detection_loss(logits, deltas, anchors, truth, MODEL, training)
    tensors = [[torch.tensor(level, requires_grad=True) for level in levels] for levels in (logits, deltas)]
    wanted = torch_detection_loss(*tensors, [torch.from_numpy(level) for level in anchors], truth, MODEL, training)
    (wanted.classification + 3 * wanted.box).backward()
    assert losses == pytest.approx([value.item() for value in wanted], rel=1e-12)
    assert losses.assigned > 0
    for ours, theirs in zip(grads, tensors, strict=True):
        for grad, tensor in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(grad, tensor.grad, rtol=1e-12, atol=1e-15)


def test_a_training_goes_on_where_it_stopped(tmp_path):
    """From the state and the velocity alone, both of which are plain arrays."""
    training = dataclasses.replace(TRAINING, iterations=6, warmup=2, optimizer="adamw", learning_rate=1e-3)
    batches = [Squares().batch(i) for i in range(6)]
    whole, stopped, resumed = (RetinaNet(MODEL, seed=seed) for seed in (0, 0, 1))
    records = list(train(whole, batches, training))
    velocity = {}
    first = list(itertools.islice(train(stopped, batches, training, velocity), 3))
    resumed.load(stopped.state)
    velocity = {name: np.array(value) for name, value in velocity.items()}
    assert first + list(train(resumed, batches[3:], training, velocity, start=3)) == records
    assert all(np.array_equal(value, whole.state[name]) for name, value in resumed.state.items())


@pytest.mark.parametrize("schedule", ["steps", "cosine"])
def test_the_schedule_is_torchs(schedule):
    config = dataclasses.replace(TRAINING, schedule=schedule)
    for iteration in range(config.iterations):
        assert learning_rate(iteration, config) == optimization.learning_rate(iteration, config)


def test_training_needs_no_torch():
    """In a process in which importing torch, numba or matplotlib fails, a few steps lower the loss of a batch."""
    program = f"""
import sys
for name in ("torch", "numba", "torchvision", "matplotlib"):
    sys.modules[name] = None
import numpy as np
from minidet.config import (
    AnchorConfig, AssignmentConfig, PostprocessConfig, RetinaNetConfig, TrainingConfig,
)
from minidet.reference.network import RetinaNet
from minidet.reference.training import train
from minidet.structures import Batch, GroundTruth
net = RetinaNet({MODEL!r})
images = np.zeros((2, 3, 64, 64))
images[:, 0, 8:40, 8:40] = 1
batch = Batch(images, [GroundTruth([[8, 8, 40, 40]], [0], [False])] * 2, [0, 1])
config = TrainingConfig(iterations=8, batch_size=2, warmup=0)
losses = [record["classification"] for record in train(net, [batch] * 8, config)]
assert losses[-1] < losses[0], losses
print(len(net.detect(images)), "images")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 images\n"


# --- what is refused


def test_a_loss_that_is_not_finite_stops_before_the_weights_change():
    net = RetinaNet(MODEL)
    net.state["box_subnet.output.bias"][...] = np.inf
    before = {name: value.copy() for name, value in net.state.items()}
    batch = Squares().batch(1)
    with pytest.raises(Diverged, match=r"the loss is not finite .*box inf.*lower learning_rate"):
        train_step(net, batch.images, batch.ground_truth, TRAINING, 0.01, {})
    weights = [name for name in before if name.endswith(("weight", "bias"))]
    assert all(np.array_equal(net.state[name], before[name]) for name in weights)


def test_a_divergence_names_its_iteration_and_images():
    net = RetinaNet(MODEL)
    net.state["fpn.output.0.bias"][0] = np.nan
    with pytest.raises(Diverged, match="iteration 4, images 0, 1: the network's outputs are not finite") as error:
        next(train(net, [Squares().batch(0)], TRAINING, start=4))
    assert error.value.iteration == 4
    batch = Squares().batch(0)
    batch.images[1, 0, 5, 5] = np.inf
    with pytest.raises(ValueError, match=r"images\[1\] holds NaN or infinity") as error:
        next(train(RetinaNet(MODEL), [batch], TRAINING))
    assert not isinstance(error.value, Diverged)


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ([], "iteration 0, images a, b: ground_truth has 0 entries for 2 images"),
        ([([[1, 1, 9, 9]], [0, 1], [False])] * 2, "1 boxes, 2 classes and 1 ignore flags"),
        ([([[9, 1, 1, 9]], [0], [False])] * 2, "is inverted"),
        ([([[1, 1, 9, 9]], [3], [False])] * 2, r"classes\[0\] = 3 is out of range: it must be in 0 … 2"),
    ],
)
def test_bad_ground_truth_is_named(truth, words):
    with pytest.raises(ValueError, match=words):
        next(train(RetinaNet(MODEL), [Batch(np.zeros((2, 3, 64, 64)), truth, ["a", "b"])], TRAINING))
