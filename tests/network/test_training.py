"""The training loop: it learns what it is shown, reports, and stops where numbers are lost or data is wrong."""

from __future__ import annotations

import json
import math
import multiprocessing.process
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from minidet.config import (
    LOSSES,
    AssignmentConfig,
    LossConfig,
    ResizeConfig,
    RetinaNetConfig,
    RunSettings,
    TrainingConfig,
)
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.checkpoint import Run, load_model
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import ADVICE, train
from minidet.runs import load_metrics, load_settings
from minidet.structures import Batch, Diverged
from tests.network.small import QUICK, SMALL, data, fresh, truth, weights_equal


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


@pytest.mark.slow
def test_it_learns_two_images_by_heart(tmp_path):
    dataset = Shapes(2, seed=4, image_size=(64, 64), objects=(2, 2), distractors=(0, 0), min_size=20, max_size=40)
    config = replace(
        QUICK, iterations=60, optimizer="adamw", learning_rate=5e-3, warmup=5, schedule="cosine", flip=0.0,
        resize=ResizeConfig(64, 64), jitter=None,
    )  # fmt: skip
    matching = replace(SMALL, assignment=AssignmentConfig(force_match=True))
    batches = TrainingData(dataset, matching, config)
    torch.manual_seed(0)
    metrics = train(RetinaNet(matching), batches, config, tmp_path / "run")
    assert metrics[-1]["classification"] < 0.02 * metrics[0]["classification"]
    batch = batches.batch(0)
    images = torch.from_numpy(batch.images)
    for found, image in zip(load_model(tmp_path / "run").detect(images), batch.ground_truth, strict=True):
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


class Changed:
    """The usual batches, one of them changed."""

    def __init__(self, change):
        self.change = change

    def batch(self, iteration, rank=0, processes=1):
        batch = data().batch(iteration, rank, processes)
        return self.change(batch) if iteration == 2 else batch


def test_images_that_are_not_finite_are_named_and_are_no_divergence(tmp_path):
    def nan(batch: Batch) -> Batch:
        return batch._replace(images=batch.images * math.nan)

    ids = ", ".join(map(str, data().batch(2).image_ids))
    with pytest.raises(ValueError, match=rf"^iteration 2, images {ids}: images\[0\] holds NaN or infinity") as caught:
        train(fresh(), Changed(nan), QUICK, tmp_path)
    assert not isinstance(caught.value, Diverged)


def lost(where, value):
    """A network with one weight that is not finite."""
    model = fresh()
    with torch.no_grad():
        getattr(model, where).output.bias[0] = value
    return model


@pytest.mark.parametrize("loss", ["focal", "hinge", "ohem"])
@pytest.mark.parametrize(("where", "value", "what"), [
    ("class_subnet", math.nan, "the network's outputs are not finite"),
    ("box_subnet", math.nan, "the network's outputs are not finite"),
    ("box_subnet", math.inf, r"the loss is not finite \(classification .*, box inf\)"),
])  # fmt: skip
def test_wherever_numbers_are_lost_first_the_advice_is_told(tmp_path, where, value, what, loss):
    config = replace(QUICK, loss=LossConfig(loss))
    with pytest.raises(Diverged, match=rf"^iteration 0, images \d, \d: {what}: {ADVICE}$") as caught:
        train(lost(where, value), data(config), config, tmp_path)
    assert caught.value.iteration == 0
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.iteration, str(again)) == (0, str(caught.value))


def test_an_infinite_class_loss_stops_the_training(tmp_path):
    with pytest.raises(Diverged, match=r"^iteration 0, images .*: the loss is not finite \(classification inf, box"):
        train(lost("class_subnet", math.inf), data(), QUICK, tmp_path)


def test_a_training_that_diverges_says_when_and_what_to_change(tmp_path):
    """So large a learning rate breaks the weights in the first steps; before that the losses were finite."""
    with pytest.raises(Diverged, match=ADVICE) as caught:
        train(fresh(), data(), replace(QUICK, learning_rate=1e12, warmup=0), tmp_path)
    assert 0 < caught.value.iteration < QUICK.iterations
    assert [record["iteration"] for record in load_metrics(tmp_path)] == list(range(1, caught.value.iteration + 1))


class Breaks:
    """The usual batches; with the one of step 3 a weight of the model is lost, as by an update that overflowed."""

    def __init__(self, model):
        self.weight = model.backbone.bn1.weight

    def batch(self, iteration, rank=0, processes=1):
        if iteration == 3:
            self.weight.register_hook(lambda gradient: gradient * math.inf)
        return data().batch(iteration, rank, processes)


@pytest.mark.parametrize("config", [
    replace(QUICK, iterations=4, checkpoint_every=2), replace(QUICK, evaluate_every=4), replace(QUICK, iterations=4),
], ids=["checkpoint", "evaluation", "end"])  # fmt: skip
def test_weights_that_are_lost_are_neither_measured_nor_kept(tmp_path, config):
    def evaluate(model):
        assert all(value.isfinite().all() for value in model.state_dict().values())
        return {}

    model = fresh()
    with pytest.raises(Diverged, match=rf"^after 4 steps \d+ weights are not finite .*: {ADVICE}$") as caught:
        train(model, Breaks(model), config, tmp_path, evaluate=evaluate)
    assert caught.value.iteration == 4
    run = Run(tmp_path, load_settings(tmp_path), resume=True)
    state = run.load("iteration", "weights")
    assert (state is None) == (config.checkpoint_every != 2)
    assert state is None or state["iteration"] == 2
    assert not run.model.exists()


def test_a_bad_annotation_names_iteration_and_images(tmp_path):
    def inverted(batch: Batch) -> Batch:
        return batch._replace(ground_truth=[truth([[9, 9, 1, 1]], [0]), *batch.ground_truth[1:]], assignments=None)

    with pytest.raises(ValueError, match=r"^iteration 2, images .*: gt_boxes\[0\] = \(9, 9, 1, 1\) is inverted"):
        train(fresh(), Changed(inverted), QUICK, tmp_path / "run")


def test_settings_are_stored_and_checked(tmp_path):
    config = replace(QUICK, iterations=2)
    train(fresh(), data(), config, tmp_path / "run", settings=RunSettings(classes=("disk",)))
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert stored["classes"] == ["disk"]
    assert TrainingConfig.from_dict(stored["training"]) == config
    assert RetinaNetConfig.from_dict(stored["model"]) == SMALL


def test_the_preset_for_a_cpu_starts_no_process(tmp_path, monkeypatch):
    """A script that trains with it need not be importable, whichever way this system starts processes."""

    def start(process):
        raise AssertionError(f"{process} is started")

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", start)
    config = TrainingConfig.tiny(iterations=1, warmup=0, batch_size=2, resize=ResizeConfig(48, 64))
    train(fresh(), data(config), config, tmp_path)
    with pytest.raises(AssertionError, match="is started"):  # the test can fail
        train(fresh(), data(config), replace(config, workers=1), tmp_path / "other")
