"""The training loss by hand, the schedule, and the loop: it learns, stops on bad numbers, and resumes to the bit."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minidet.config import (
    LOSSES,
    AnchorConfig,
    AssignmentConfig,
    LossConfig,
    ResizeConfig,
    RetinaNetConfig,
    TrainingConfig,
)
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.checkpoint import load_metrics, load_model
from minidet.pytorch.objective import detection_loss
from minidet.pytorch.optimization import in_bfloat16, learning_rate, trained_parameters
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.reference import focal_loss, smooth_l1
from minidet.structures import Batch, GroundTruth

SMALL = RetinaNetConfig.tiny(
    num_classes=6, width=8, norm="group", fpn_channels=16, head_channels=16, head_convs=1,
    anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32), scales=(1.0,)),
)  # fmt: skip
QUICK = TrainingConfig(
    iterations=8, batch_size=2, learning_rate=0.005, warmup=2, resize=ResizeConfig(48, 64), jitter=(40, 48),
    log_every=1, checkpoint_every=1000,
)  # fmt: skip


def data(config=QUICK, model=SMALL):
    return TrainingData(Shapes(6, image_size=(48, 48), max_size=32), model, config)


def fresh(model=SMALL):
    torch.manual_seed(0)
    return RetinaNet(model)


def weights_equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def truth(boxes, classes, ignore=None):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    return GroundTruth(boxes, np.array(classes, np.int64), np.zeros(len(boxes), bool) if ignore is None else ignore)


# The loss by hand: three anchors of one level, two classes, two images.
ANCHORS = [torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10], [0, 0, 10, 22]])]
LOGITS = torch.tensor([[[0.5, -1.0], [-2.0, 0.3], [1.0, 2.0]], [[0.1, 0.2], [-0.3, 0.4], [3.0, -3.0]]])
DELTAS = torch.tensor([[[0.3, 0, 0, 0], [5, 5, 5, 5], [7, 7, 7, 7]], [[0, 0, 0, 0], [0, -2, 0, 0], [9.0, 9, 9, 9]]])
PAPER = RetinaNetConfig(num_classes=2)


def loss_of(*images, logits=LOGITS, deltas=DELTAS, training=None, model=PAPER):
    return detection_loss([logits], [deltas], ANCHORS, images, model, training)


def test_the_loss_by_hand():
    """Image 0: anchor 0 is on the object; anchor 2, at IoU 10 / 22, is ignored. Image 1: anchor 1 has an IoU of 0.5."""
    losses = loss_of(truth([[0, 0, 10, 10]], [1]), truth([[20, 0, 30, 20]], [0]))
    one_hot = {(0, 0): [0, 1], (0, 1): [0, 0], (1, 0): [0, 0], (1, 1): [1, 0], (1, 2): [0, 0]}  # but for (0, 2)
    total = sum(focal_loss(LOGITS[place].double().numpy(), np.array(y)).sum() for place, y in one_hot.items())
    assert float(losses.classification) == pytest.approx(total / 2, rel=1e-6)
    # targets: all 0 in image 0; in image 1 ty = 5 / 10 and th = log 2
    box = smooth_l1(np.array([0.3, 0, -2.0, 0]), np.array([0.0, 0, 0.5, math.log(2)])).sum()
    assert float(losses.box) == pytest.approx(box / 2, rel=1e-6)
    assert int(losses.assigned) == 2


def test_without_objects_the_sum_is_divided_by_one():
    losses = loss_of(truth([], []), truth([], []))
    assert float(losses.classification) == pytest.approx(focal_loss(LOGITS.double().numpy(), np.zeros((2, 3, 2))).sum())
    assert float(losses.box) == 0
    assert int(losses.assigned) == 0


def test_anchors_on_a_box_to_be_ignored_are_ignored():
    """The same as the image without those anchors."""
    ignored = loss_of(truth([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 0], np.array([False, True])), truth([], []))
    logits = LOGITS.clone()
    logits[0, 1] = -1e4  # a background of no loss
    certain = loss_of(truth([[0, 0, 10, 10]], [1]), truth([], []), logits=logits)
    assert float(ignored.classification) == pytest.approx(float(certain.classification))
    assert (float(ignored.box), int(ignored.assigned)) == (float(certain.box), 1)


def test_gradients_reach_what_they_should():
    logits, deltas = LOGITS.clone().requires_grad_(), DELTAS.clone().requires_grad_()
    losses = loss_of(truth([[0, 0, 10, 10]], [1]), truth([], []), logits=logits, deltas=deltas)
    (losses.classification + losses.box).backward()
    assert (logits.grad != 0).all(-1).tolist() == [[True, True, False], [True, True, True]]
    assert (deltas.grad != 0).any(-1).tolist() == [[True, False, False], [False, False, False]]


def test_cross_entropy_is_focal_loss_at_gamma_0():
    image = truth([[0, 0, 10, 10]], [1]), truth([[20, 0, 30, 20]], [0])
    for name, alpha in (("cross_entropy", None), ("balanced_cross_entropy", 0.75)):
        ours = loss_of(*image, training=TrainingConfig(loss=LossConfig(name, alpha=0.75)))
        focal = loss_of(*image, training=TrainingConfig(loss=LossConfig(gamma=0, alpha=alpha)))
        assert float(ours.classification) == float(focal.classification)


def test_ohem_takes_the_hardest_anchors():
    """Cross entropy summed over classes: of the background images' six anchors, the two highest of each."""
    values = torch.nn.functional.softplus(LOGITS).sum(-1)  # (2, 3); anchors 0 and 2 have IoU 10/22, no suppression
    losses = loss_of(truth([], []), truth([], []), training=TrainingConfig(loss=LossConfig("ohem", ohem_batch_size=2)))
    assert float(losses.classification) == pytest.approx(float(values.topk(2).values.sum()))
    losses = loss_of(
        truth([], []), truth([], []), training=TrainingConfig(loss=LossConfig("ohem_1_3", ohem_batch_size=4))
    )
    assert float(losses.classification) == pytest.approx(float(values.sum()))  # no positive: three negatives


def test_half_width_outputs_are_computed_in_float32():
    image = truth([[0, 0, 10, 10]], [1]), truth([], [])
    half = loss_of(*image, logits=LOGITS.bfloat16(), deltas=DELTAS.bfloat16())
    exact = loss_of(*image, logits=LOGITS.bfloat16().float(), deltas=DELTAS.bfloat16().float())
    assert half.classification.dtype == torch.float32
    assert float(half.classification) == float(exact.classification)


def test_ground_truth_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 boxes, 1 classes and 2 ignore flags"):
        loss_of(truth([[0, 0, 10, 10], [20, 0, 30, 10]], [1]), truth([], []))
    with pytest.raises(ValueError, match=r"labels\[0\] = 2"):
        loss_of(truth([[0, 0, 10, 10]], [2]), truth([], []))


def test_the_schedule_of_the_paper():
    config = TrainingConfig()
    rates = {i: learning_rate(i, config) for i in (0, 249, 499, 500, 59_999, 60_000, 79_999, 80_000, 89_999)}
    wanted = [2e-5, 0.005, 0.01, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    assert list(rates.values()) == pytest.approx(wanted, rel=1e-12)


def test_the_cosine_schedule():
    config = TrainingConfig(iterations=110, warmup=10, schedule="cosine", learning_rate=1.0)
    rates = [learning_rate(i, config) for i in (0, 9, 10, 35, 60, 85)]
    assert rates == pytest.approx([0.1, 1, 1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    assert 0 < learning_rate(109, config) < 1e-3


@pytest.mark.parametrize("freeze_at", [0, 1, 2, 5])
def test_freezing(freeze_at):
    model = fresh()
    learning = {id(parameter) for parameter in trained_parameters(model, freeze_at)}
    frozen = {name.split(".")[1] for name, p in model.named_parameters() if id(p) not in learning}
    parts = [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4"}]
    assert frozen == set().union(*parts[:freeze_at])


@pytest.mark.filterwarnings("ignore:precision = :UserWarning")  # bfloat16 is tried on any processor
@pytest.mark.parametrize("settings", [
    {"loss": LossConfig(name, ohem_batch_size=8)} for name in LOSSES
] + [
    {"optimizer": "adamw", "schedule": "cosine", "gradient_clip": 0.1, "learning_rate": 1e-3},
    {"precision": "bfloat16", "channels_last": True, "freeze_at": 2, "workers": 2},
], ids=str)  # fmt: skip
def test_every_setting_trains_a_step(tmp_path, settings):
    config = replace(QUICK, iterations=2, **settings)
    model = fresh()
    metrics = train(model, data(config), config, tmp_path / "run")
    assert [record["iteration"] for record in metrics] == [1, 2]
    assert all(math.isfinite(record["classification"]) and math.isfinite(record["box"]) for record in metrics)
    assert ("gradient_norm" in metrics[0]) == ("gradient_clip" in settings)
    assert not weights_equal(model, fresh())
    frozen = settings.get("freeze_at", 0) > 0
    assert torch.equal(model.backbone.conv1.weight, fresh().backbone.conv1.weight) == frozen


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16", None])
def test_bfloat16_is_chosen_where_the_processor_has_it_and_warned_of_where_not(monkeypatch, instruction):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: True})
    cpu = torch.device("cpu")
    assert in_bfloat16("auto", cpu) == (instruction is not None)
    assert not in_bfloat16("float32", cpu)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert in_bfloat16("bfloat16", cpu)
    assert [str(warning.message)[:34] for warning in told] == (
        [] if instruction else ['precision = "bfloat16" is many tim']
    )


def test_it_learns_two_images_by_heart(tmp_path):
    dataset = Shapes(2, seed=4, image_size=(64, 64), objects=(2, 2), distractors=(0, 0), min_size=20, max_size=40)
    config = replace(
        QUICK, iterations=60, optimizer="adamw", learning_rate=5e-3, warmup=5, schedule="cosine", flip=0.0,
        resize=ResizeConfig(64, 64), jitter=None,
    )  # fmt: skip
    matching = replace(SMALL, assignment=AssignmentConfig(force_match=True))
    batches = TrainingData(dataset, matching, config)
    metrics = train(fresh(matching), batches, config, tmp_path / "run")
    assert metrics[-1]["classification"] < 0.02 * metrics[0]["classification"]
    batch = batches.batch(0)
    for found, image in zip(load_model(tmp_path / "run").detect(batch.images), batch.ground_truth, strict=True):
        sure = found.scores > 0.5
        boxes, classes = found.boxes[sure].double().numpy(), found.classes[sure].numpy()
        order, wanted = np.argsort(boxes[:, 0]), np.argsort(image.boxes[:, 0])
        assert classes[order].tolist() == image.classes[wanted].tolist()
        assert np.abs(boxes[order] - image.boxes[wanted]).max() < 4


def test_evaluation_joins_the_metrics(tmp_path):
    threads = torch.get_num_threads()

    def evaluate(model):
        torch.set_num_threads(threads + 1)  # as another library that shares its OpenMP may
        return {"AP50": 0.5}

    config = replace(QUICK, iterations=5, evaluate_every=2, log_every=5)
    metrics = train(fresh(), data(config), config, tmp_path / "run", evaluate=evaluate)
    assert torch.get_num_threads() == threads
    assert [record["iteration"] for record in metrics if "AP50" in record] == [2, 4, 5]
    assert [record["iteration"] for record in metrics if "box" in record] == [5]


def test_resuming_gives_the_same_weights_to_the_bit(tmp_path):
    config = replace(QUICK, checkpoint_every=4, optimizer="adamw")
    whole = fresh()
    wanted = train(whole, data(), config, tmp_path / "whole")

    class Stops(Exception):
        pass

    class Interrupted:
        def batch(self, iteration, rank=0, processes=1):
            if iteration == 6:  # two steps after the checkpoint, whose metrics are made again
                raise Stops
            return data().batch(iteration, rank, processes)

    with pytest.raises(Stops):
        train(fresh(), Interrupted(), config, tmp_path / "parts")
    assert [record["iteration"] for record in load_metrics(tmp_path / "parts")] == [1, 2, 3, 4, 5, 6]
    torch.manual_seed(99)  # neither the model given nor the random state matter any more
    resumed = RetinaNet(SMALL)
    metrics = train(resumed, data(), config, tmp_path / "parts", resume=True)
    assert weights_equal(resumed, whole)
    assert weights_equal(load_model(tmp_path / "parts"), whole)
    timeless = [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in metrics]
    assert timeless == [{k: r[k] for k in timeless[0]} for r in wanted]
    assert train(RetinaNet(SMALL), data(), config, tmp_path / "parts", resume=True) == metrics  # done: nothing to do


def test_the_random_state_is_restored(tmp_path):
    """A network that draws random numbers, as one with dropout would, goes on with the same ones."""

    class Noisy(RetinaNet):
        def forward(self, images):
            return super().forward(images + 0.1 * torch.randn_like(images))

    def noisy(seed):
        torch.manual_seed(seed)
        return Noisy(SMALL)

    config = replace(QUICK, iterations=4, checkpoint_every=2)
    whole = noisy(0)
    train(whole, data(), config, tmp_path / "whole")

    class Interrupted:
        def batch(self, iteration, rank=0, processes=1):
            if iteration == 2:
                raise KeyboardInterrupt
            return data().batch(iteration, rank, processes)

    with pytest.raises(KeyboardInterrupt):
        train(noisy(0), Interrupted(), config, tmp_path / "parts")
    resumed = noisy(1)
    train(resumed, data(), config, tmp_path / "parts", resume=True)
    assert weights_equal(resumed, whole)


SCRIPT = """
import sys, torch
torch.set_num_threads(1)
from tests.network.test_training import *
iterations, batch_size, workers = map(int, sys.argv[2:])
config = replace(QUICK, iterations=iterations, batch_size=batch_size, checkpoint_every=1, workers=workers)
train(fresh(), data(config), config, sys.argv[1], resume=True)
"""
ROOT = Path(__file__).parents[2]


def start(*arguments, launcher=("-c",)):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    script = [SCRIPT] if launcher == ("-c",) else []
    command = [sys.executable, *launcher, *script, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)


def test_killed_and_resumed_is_undisturbed(tmp_path):
    """SIGKILL at a moment that no step chooses, while checkpoints are written all the time.

    Bits are the same for the same number of threads: one here, and one in the process that is killed.
    """
    torch.set_num_threads(1)
    config = replace(QUICK, iterations=20, checkpoint_every=1)
    whole = fresh()
    train(whole, data(config), config, tmp_path / "whole")
    process = start(tmp_path / "killed", 20, 2, 1)
    deadline = time.monotonic() + 300
    while len(load_metrics(tmp_path / "killed")) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed_at = len(load_metrics(tmp_path / "killed"))
    assert 3 <= killed_at < 20
    resumed = fresh()
    train(resumed, data(config), config, tmp_path / "killed", resume=True)
    assert weights_equal(resumed, whole)
    assert [record["iteration"] for record in load_metrics(tmp_path / "killed")] == list(range(1, 21))


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
def test_two_processes_equal_one(tmp_path):
    config = replace(QUICK, iterations=3, batch_size=4)
    wanted = train(fresh(), data(config), config, tmp_path / "one")
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", tmp_path / "script.py")
    process = start(tmp_path / "two", 3, 4, 0, launcher=launcher)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    for one, two in zip(wanted, load_metrics(tmp_path / "two"), strict=True):
        assert two["assigned"] == one["assigned"]
        assert two["classification"] == pytest.approx(one["classification"], rel=1e-6)
        assert two["box"] == pytest.approx(one["box"], rel=1e-6)


class Changed:
    """The usual batches, one of them changed."""

    def __init__(self, change):
        self.change = change

    def batch(self, iteration, rank=0, processes=1):
        batch = data().batch(iteration, rank, processes)
        return self.change(batch) if iteration == 2 else batch


def test_a_loss_that_is_not_finite_names_iteration_and_images(tmp_path):
    def nan(batch: Batch) -> Batch:
        return batch._replace(images=batch.images * math.nan)

    ids = ", ".join(map(str, data().batch(2).image_ids))
    with pytest.raises(ValueError, match=rf"^iteration 2, images {ids}: logits\[.* is not a number"):
        train(fresh(), Changed(nan), QUICK, tmp_path / "nan")
    model = fresh()
    with torch.no_grad():
        model.class_subnet.output.bias.fill_(math.inf)
    with pytest.raises(ValueError, match=r"^iteration 0, images .*: the loss is not finite \(classification inf, box"):
        train(model, data(), QUICK, tmp_path / "inf")


def test_a_bad_annotation_names_iteration_and_images(tmp_path):
    def inverted(batch: Batch) -> Batch:
        return batch._replace(ground_truth=[truth([[9, 9, 1, 1]], [0]), *batch.ground_truth[1:]], assignments=None)

    with pytest.raises(ValueError, match=r"^iteration 2, images .*: gt_boxes\[0\] = \(9, 9, 1, 1\) is inverted"):
        train(fresh(), Changed(inverted), QUICK, tmp_path / "run")


def test_settings_are_stored_and_checked(tmp_path):
    config = replace(QUICK, iterations=2)
    train(fresh(), data(), config, tmp_path / "run", about={"classes": ["disk"]})
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert stored["classes"] == ["disk"]
    assert TrainingConfig.from_dict(stored["training"]) == config
    assert RetinaNetConfig.from_dict(stored["model"]) == SMALL


@pytest.mark.parametrize(("settings", "message"), [
    ({"optimizer": "lion"}, "optimizer = 'lion' must be one of 'sgd', 'adamw'"),
    ({"iterations": 0}, "iterations = 0 must be >= 1"),
    ({"iterations": 100}, "warmup = 500 must be in 0 … 100"),
    ({"steps": (0.5, 1.5)}, r"steps\[1\] = 1.5"),
    ({"jitter": (600, 500)}, r"jitter\[1\] = 500 must be in 600 … 1333"),
    ({"jitter": (600, 2000)}, r"jitter\[1\] = 2000"),
    ({"jitter": 600}, r"jitter = 600 must be \(smallest, largest\)"),
    ({"flip": 2}, "flip = 2"),
    ({"gradient_clip": 0}, "gradient_clip = 0"),
    ({"resize": 600}, "resize = 600 must be of class ResizeConfig"),
    ({"loss": "ohem"}, "loss = 'ohem' must be of class LossConfig"),
])  # fmt: skip
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_the_preset_for_a_cpu():
    assert TrainingConfig.tiny(iterations=200).iterations == 200
    with pytest.raises(ValueError, match="warmup = 100 must be in 0 … 10"):
        TrainingConfig.tiny(iterations=10)


def test_settings_as_json():
    config = TrainingConfig(jitter=(400, 800), resize=ResizeConfig(500, 900))
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"unknown settings: lr, resize\.side"):
        TrainingConfig.from_dict({"lr": 1, "resize": {"side": 3}})
