"""What only the compiled network promises: float32 within its bounds, any number of threads, plain Python on demand.

Its layers are those of `test_layers`, its outputs and gradients those of `test_numpy_network`, which run over both.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from minidet.compiled import convolution
from minidet.compiled.network import RetinaNet
from minidet.compiled.training import learning_rate, train, train_step
from minidet.config import LossConfig, RetinaNetConfig
from minidet.pytorch.retinanet import RetinaNet as TorchRetinaNet
from minidet.reference import network as reference_network
from minidet.reference import training as reference_training
from minidet.structures import Diverged, GroundTruth
from tests.network.small import OTHER_OHEM
from tests.network.test_lockstep import MODEL, TRAINING, Squares, assert_in_step

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def batches(count):
    return [Squares().batch(i) for i in range(count)]


# --- float32


def rounding(terms):
    """Largest error of a float32 sum of products, of operands rounded before, as a fraction of their magnitudes' sum.

    Each operand and product, and each of the additions, multiplies a term by 1 + d with |d| <= 2**-24 (Higham, Accuracy
    and Stability of Numerical Algorithms, section 3.1): in any order of addition, and with products and sums fused.
    """
    u = 2.0**-24
    return (terms + 3) * u / (1 - (terms + 3) * u)


@pytest.mark.parametrize(
    ("channels", "filters", "k", "stride", "groups", "size"),
    [
        (64, 64, 3, 1, 1, (16, 12)),
        (3, 16, 7, 2, 1, (37, 30)),
        (16, 24, 3, 2, 1, (9, 14)),
        (24, 12, 3, 1, 4, (7, 33)),
        (40, 54, 1, 1, 1, (5, 9)),
        (9, 9, 1, 2, 1, (13, 6)),
    ],
)
def test_float32_convolutions_err_by_no_more_than_their_roundings(channels, filters, k, stride, groups, size):
    rng = np.random.default_rng(0)
    how = stride, k // 2, groups
    x, weight = rng.standard_normal((2, *size, channels)), rng.standard_normal((filters, channels // groups, k, k))
    y = convolution.correlate(x, weight, None, *how)
    grad = rng.standard_normal(y.shape)
    single = [value.astype(np.float32) for value in (x, weight, grad)]
    magnitude = [abs(value) for value in (x, weight, grad)]

    def all_three(x, weight, grad):
        return (
            convolution.correlate(x, weight, None, *how),
            convolution.grad_input(grad, weight, x.shape, *how),
            convolution.grad_filters(grad, x, k, *how)[0],
        )

    terms = channels // groups * k * k, filters // groups * k * k, grad[..., 0].size
    results = zip(all_three(*single), all_three(x, weight, grad), all_three(*magnitude), terms, strict=True)
    for found, exact, largest, count in results:
        assert found.dtype == np.float32
        assert np.all(abs(found - exact) <= rounding(count) * largest)
        assert abs(found - exact).max() > 0  # it was float32


@pytest.mark.parametrize("norm", ["frozen", "batch", "group"])
def test_float32_networks_err_no_more_than_torchs(norm):
    """Both round every layer once or a few times, in another order: errors of one size."""
    config = RetinaNetConfig.tiny(3, norm=norm)
    exact, single = RetinaNet(config), RetinaNet(config, dtype=np.float32)
    rng = np.random.default_rng(0)
    for name, value in single.state.items():
        if "subnet" in name and value.ndim == 4:
            value[...] = rng.standard_normal(value.shape) * np.sqrt(2 / value[0].size)
    exact.load(single.state)
    model = TorchRetinaNet(config).train()
    model.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in single.state.items()})
    images = rng.standard_normal((2, 3, 96, 80)).astype(np.float32)

    wanted = [level for levels in model(torch.from_numpy(images)) for level in levels]
    upstream = [rng.standard_normal(level.shape).astype(np.float32) for level in wanted]
    torch.autograd.backward(wanted, [torch.from_numpy(grad) for grad in upstream])
    errors = {"ours": [], "torch": []}
    truth = [level for levels in exact.forward(images) for level in levels]
    found = [level for levels in single.forward(images) for level in levels]
    for ours, theirs, true in zip(found, wanted, truth, strict=True):
        errors["ours"].append(abs(ours - true).max() / abs(true).max())
        errors["torch"].append(abs(theirs.detach().numpy() - true).max() / abs(true).max())
    half = len(upstream) // 2
    true, ours = exact.backward(upstream[:half], upstream[half:]), single.backward(upstream[:half], upstream[half:])
    for name, parameter in model.named_parameters():
        largest = abs(true[name]).max()
        errors["ours"].append(abs(ours[name] - true[name]).max() / largest)
        errors["torch"].append(abs(parameter.grad.numpy() - true[name]).max() / largest)
    middle = {name: np.median(values) for name, values in errors.items()}
    assert middle["ours"] < 4 * middle["torch"]
    assert max(errors["ours"]) < 4 * max(errors["torch"])


# --- first weights and training


def test_first_weights_are_the_references():
    config = RetinaNetConfig.tiny(3)
    ours, theirs = RetinaNet(config, seed=5).state, reference_network.RetinaNet(config, seed=5).state
    assert list(ours) == list(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("model", "training"),
    [
        (MODEL, TRAINING),
        (
            dataclasses.replace(MODEL, norm="group", head_norm="group", p6_from="P5"),
            dataclasses.replace(TRAINING, optimizer="adamw", learning_rate=1e-3, gradient_clip=1.0, freeze_at=2),
        ),
        (MODEL, dataclasses.replace(TRAINING, bias_rate=2.0, bias_decay=False, weight_decay=0.1)),
        *(
            (MODEL, dataclasses.replace(TRAINING, loss=LossConfig(kind, ohem_batch_size=16, box_weight=2.0)))
            for kind in ("cross_entropy", "balanced_cross_entropy", "focal_star", "hinge", "ohem", "ohem_1_3")
        ),
        *(
            (MODEL, dataclasses.replace(TRAINING, loss=LossConfig("ohem", ohem_batch_size=16, **choices)))
            for choices in OTHER_OHEM
        ),
    ],
    ids=lambda value: getattr(value, "optimizer", value.norm if hasattr(value, "norm") else ""),
)
def test_step_after_step_is_the_references(model, training):
    training = dataclasses.replace(training, iterations=8, warmup=3)
    ours, theirs = RetinaNet(model, seed=3), reference_network.RetinaNet(model, seed=3)
    found = list(train(ours, batches(8), training))
    wanted = list(reference_training.train(theirs, batches(8), training))
    assert_in_step(found, wanted, ours.state, theirs.state)


def test_the_schedule_is_the_references():
    for schedule in ("steps", "cosine"):
        config = dataclasses.replace(TRAINING, schedule=schedule)
        for iteration in range(config.iterations):
            assert learning_rate(iteration, config) == reference_training.learning_rate(iteration, config)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_goes_on_where_it_stopped(dtype):
    """From the state and the velocity alone, even where their arrays may not be written."""
    training = dataclasses.replace(TRAINING, iterations=4, warmup=2, optimizer="adamw", learning_rate=1e-3)
    whole, stopped, resumed = (RetinaNet(MODEL, seed, dtype) for seed in (0, 0, 1))
    records = list(train(whole, batches(4), training))
    velocity: dict[str, np.ndarray] = {}
    first = [record for _, record in zip(range(2), train(stopped, batches(4), training, velocity), strict=False)]
    resumed.load(stopped.state)
    for value in velocity.values():
        value.flags.writeable = False
    assert first + list(train(resumed, batches(4)[2:], training, velocity, start=2)) == records
    assert all(np.array_equal(value, whole.state[name]) for name, value in resumed.state.items())


def test_what_the_caller_gave_is_left_as_it_was():
    net = RetinaNet(MODEL)
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 48))
    logits, deltas = net.forward(images)
    upstream = [np.ones_like(level) for level in logits], [np.ones_like(level) for level in deltas]
    first = net.backward(*upstream, images=True)
    assert first["images"].shape == images.shape
    assert all((level == 1).all() for levels in upstream for level in levels)
    logits[0][...] = 0  # nor does the network keep them
    net.forward(images)
    again = net.backward(*upstream, images=True)
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_a_training_that_diverges_stops_before_the_weights_change():
    net = RetinaNet(MODEL)
    net.state["box_subnet.output.bias"][...] = np.inf
    before = {name: value.copy() for name, value in net.state.items()}
    batch = batches(2)[1]
    with pytest.raises(Diverged, match="not finite"):
        train_step(net, batch.images, batch.ground_truth, TRAINING, 0.01, {})
    weights = [name for name in before if name.endswith(("weight", "bias"))]
    assert all(np.array_equal(net.state[name], before[name]) for name in weights)
    batch.images[1, 0, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"iteration 0, images 0, 1: images\[1\] holds NaN"):
        next(train(RetinaNet(MODEL), [batch], TRAINING))
    with pytest.raises(ValueError, match="dtype = float16 must be float32 or float64"):
        RetinaNet(MODEL, dtype=np.float16)


def test_a_batch_of_one_image_without_objects():
    truth = [GroundTruth(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0, bool))]
    images = np.random.default_rng(0).standard_normal((1, 3, 64, 64))
    ours, theirs = RetinaNet(MODEL, seed=3), reference_network.RetinaNet(MODEL, seed=3)
    losses = train_step(ours, images, truth, TRAINING, 0.01, {})
    assert losses.assigned == losses.box == 0
    wanted = reference_training.train_step(theirs, images, truth, TRAINING, 0.01, {})
    assert losses.classification == pytest.approx(wanted.classification, rel=1e-12)
    for name, value in theirs.state.items():
        np.testing.assert_allclose(ours.state[name], value, rtol=0, atol=1e-12, err_msg=name)


# --- other processes

STEPS = f"""
import sys
sys.modules["torch"] = None
import hashlib
import numpy as np
from minidet.config import AnchorConfig, AssignmentConfig, LossConfig, PostprocessConfig, RetinaNetConfig
from minidet.config import ResizeConfig, TrainingConfig
from minidet.compiled.network import RetinaNet
from minidet.compiled.training import train_step
rng = np.random.default_rng(0)
images = rng.standard_normal((2, 3, SIDE, SIDE))
truth = [(np.array([[3.0, 2, 20, 21]]), [1], [False])] * 2
for dtype in (np.float32, np.float64):
    net = RetinaNet({MODEL!r}, dtype=dtype)
    for _ in range(COUNT):
        losses = train_step(net, images, truth, {TRAINING!r}, 0.01, {{}})
    print(*losses, hashlib.sha256(b"".join(value.tobytes() for value in net.state.values())).hexdigest())
"""


def run(side, count, **environment):
    """What some steps of training print in a process without torch: losses and a hash of all weights."""
    code = STEPS.replace("SIDE", str(side)).replace("COUNT", str(count))
    command = [sys.executable, "-c", code]
    result = subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return [line.split() for line in result.stdout.splitlines()]


@pytest.mark.subprocess
def test_the_weights_do_not_depend_on_the_number_of_threads_and_need_no_torch():
    one, three = (run(80, 2, NUMBA_NUM_THREADS=threads) for threads in ("1", "3"))
    assert one == three


@pytest.mark.subprocess
def test_it_runs_as_plain_python():
    plain, compiled = (run(32, 1, NUMBA_DISABLE_JIT=value) for value in ("1", "0"))
    for found, wanted, few in zip(plain, compiled, (1e-5, 1e-12), strict=True):
        assert [float(number) for number in found[:3]] == pytest.approx([float(n) for n in wanted[:3]], rel=few)
