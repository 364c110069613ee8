"""The detector of one object: shapes, its loss by hand, the balance of the two parts, and that it learns."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minidet.data.shapes import Shapes
from minidet.pytorch.boxes import box_iou
from minidet.pytorch.fit import Losses, fit, images_of
from minidet.pytorch.single import SingleDetector, balance, single_loss, train_single, truncated_backbone

ONE = {"image_size": (64, 64), "objects": (1, 1), "distractors": (0, 0), "min_size": 24}


def small(num_classes=6, **changes):
    torch.manual_seed(0)
    return SingleDetector(num_classes, width=8, **changes)


def sample(boxes, classes, size=(64, 64)):
    boxes = np.array(boxes, np.float64).reshape(-1, 4)
    return SimpleNamespace(image=np.zeros((*size, 3), np.uint8), boxes=boxes, classes=np.array(classes, np.int64))


# --- the network


def test_the_output_is_four_coordinates_and_n_logits_per_image():
    corners, logits = small(num_classes=5, image_size=(64, 128))(torch.randn(3, 3, 64, 128))
    assert corners.shape == (3, 4)
    assert logits.shape == (3, 5)


def test_predictions_are_boxes_in_pixels_inside_the_image_and_probabilities():
    model = small(image_size=(64, 128))
    with torch.no_grad():
        model.head[-1].bias[:4] = torch.tensor([0.75, 0.25, 0.5, 3.0])  # x in the wrong order, y2 past the border
        model.head[-1].weight[:4] = 0
    boxes, probabilities = model.predict(torch.randn(2, 3, 64, 128))
    assert boxes.tolist() == [[64, 16, 96, 64]] * 2
    assert (probabilities >= 0).all()
    assert torch.allclose(probabilities.sum(1), torch.ones(2))


def test_the_head_knows_where_things_are():
    """What a pooling before the head would destroy: an image shifted by whole cells has the same pooled features."""
    model, image = small(), torch.zeros(1, 3, 64, 64)
    image[:, :, 16:32, 16:32] = 1
    shifted = image.roll((16, 16), dims=(2, 3))
    maps = model.backbone(image), model.backbone(shifted)
    assert torch.allclose(maps[0].amax((2, 3)), maps[1].amax((2, 3)), atol=1e-5)
    assert (model(image)[0] - model(shifted)[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("level", "channels"), [(1, 8), (2, 16), (4, 64), (5, 64)])
def test_each_block_of_the_backbone_halves_the_map(level, channels):
    side = math.ceil(60 / 2**level)
    assert truncated_backbone(8, level)(torch.zeros(2, 3, 60, 60)).shape == (2, channels, side, side)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small(image_size=(64, 100)), "multiples of 64"),
        (lambda: small(num_classes=0), "num_classes = 0"),
        (lambda: SingleDetector(3, width=12), "multiple"),
        (lambda: small()(torch.zeros(3, 64, 64)), r"one image is image\[None\]"),
        (lambda: small()(torch.zeros(1, 3, 128, 128)), r"made for \(B, 3, 64, 64\)"),
        (lambda: small().predict(torch.full((1, 3, 64, 64), math.nan)), r"images\[0\] holds NaN"),
    ],
)
def test_bad_networks_and_images_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the loss


def test_the_loss_by_hand():
    corners = torch.tensor([[0.1, 0.2, 0.6, 0.7], [0.0, 0.0, 1.0, 1.0]])
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]])
    gt_boxes = [[0, 0, 100, 50], [0, 0, 200, 100]]  # in an image of 100x200: 0, 0, 0.5, 0.5 and all of it
    losses = single_loss(corners, logits, gt_boxes, [1, 0], (100, 200))
    assert float(losses.box) == pytest.approx((0.1 + 0.2 + 0.1 + 0.2) / 2)
    assert float(losses.classification) == pytest.approx((math.log(4) + math.log(2)) / 2)


@pytest.mark.parametrize(
    ("box", "classification", "a"),
    [(1.0, 1.0, 1.0), (130.0, 1.8, 100.0), (0.8, 1.8, 1.0), (0.02, 1.8, 0.01), (3.0, 0.5, 10.0)],
)
def test_balance_by_hand(box, classification, a):
    assert balance(box, classification) == pytest.approx(a)


def test_balanced_losses_are_of_the_same_order_of_magnitude():
    rng = np.random.default_rng(0)
    for box, classification in 10 ** rng.uniform(-6, 6, (200, 2)):
        ratio = balance(box, classification) * classification / box
        assert abs(math.log10(ratio)) <= 0.5 + 1e-9


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_loss_that_cannot_be_balanced_is_refused(bad):
    with pytest.raises(ValueError, match="classification"):
        balance(1.0, bad)


@pytest.mark.parametrize(
    ("gt_boxes", "classes", "message"),
    [
        ([[0, 0, 9, 9]], [0, 1], "one box per image"),
        ([[0, 0, 9, 9], [9, 9, 0, 0]], [0, 1], r"gt_boxes\[1\].*inverted"),
        ([[0, 0, 9, 9], [0, 0, 9, 9]], [0, 2], r"classes\[1\] = 2"),
        ([[0, 0, 9, 9], [0, 0, 9, 9]], [0], "classes has shape"),
    ],
)
def test_bad_ground_truth_is_refused(gt_boxes, classes, message):
    with pytest.raises(ValueError, match=message):
        single_loss(torch.zeros(2, 4), torch.zeros(2, 2), gt_boxes, classes, (64, 64))


# --- training


@pytest.mark.parametrize("count", [0, 2])
def test_an_image_without_exactly_one_object_is_refused(count):
    samples = [sample([[0, 0, 9, 9]], [0]), sample([[0, 0, 9, 9]] * count, [0] * count)]
    with pytest.raises(ValueError, match=f"image 1 of a batch holds {count} objects"):
        train_single(small(), samples, steps=1, batch_size=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps = 0"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"classification_weight": -1.0}, "classification_weight"),
        ({"samples": []}, "samples is empty"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    settings = {"samples": [sample([[0, 0, 9, 9]], [0])], "classification_weight": 1.0, "steps": 1, **changes}
    with pytest.raises(ValueError, match=message):
        train_single(small(), **settings)


def test_a_loss_that_is_not_finite_stops_the_training():
    model = small()
    with torch.no_grad():
        model.head[-1].bias[0] = math.inf
    with pytest.raises(ValueError, match="step 1 is not finite"):
        train_single(model, [sample([[0, 0, 9, 9]], [0])], steps=1, classification_weight=1.0)


def test_every_sample_is_seen_once_before_any_is_seen_twice():
    seen, model = [], torch.nn.Linear(1, 1)

    def losses(batch):
        seen.extend(batch)
        return Losses(model.weight.square().sum(), model.bias.square().sum())

    fit(model, range(10), losses, 1.0, steps=6, batch_size=5, learning_rate=1e-3, seed=3)
    assert [sorted(seen[i : i + 10]) for i in (0, 10, 20)] == [list(range(10))] * 3
    assert len({tuple(seen[i : i + 10]) for i in (0, 10, 20)}) == 3


def test_the_history_tells_both_losses_and_their_sum_and_repeats_itself():
    def run():
        return train_single(small(), Shapes(20, **ONE), steps=3, batch_size=4, seed=1)

    history = run()
    assert [record["step"] for record in history] == [1, 2, 3]
    for record in history:
        total = record["box"] + record["classification_weight"] * record["classification"]
        assert record["loss"] == pytest.approx(total, rel=1e-6)
    assert run() == history


@pytest.mark.slow
def test_it_learns_what_and_where():
    """On 64 images until it knows them; boxes, though not yet classes, then carry over to images it has not seen."""
    torch.manual_seed(0)
    model, known, unseen = SingleDetector(6, width=16), [*Shapes(64, **ONE)], [*Shapes(100, seed=1, **ONE)]
    history = train_single(model, known, steps=120, batch_size=32, learning_rate=5e-3)
    assert history[-1]["loss"] < history[0]["loss"] / 5
    accuracy, iou = _scores(model, known)
    assert accuracy > 0.8
    assert iou > 0.6
    assert _scores(model, unseen)[1] > 0.35


def _scores(model, samples):
    """Top-1 accuracy and mean IoU."""
    boxes, probabilities = model.predict(images_of(samples, model))
    gt_boxes = torch.cat([torch.as_tensor(one.boxes) for one in samples])
    classes = torch.cat([torch.as_tensor(one.classes) for one in samples])
    accuracy = (probabilities.argmax(1) == classes).float().mean()
    return float(accuracy), float(box_iou(boxes, gt_boxes).diag().mean())
