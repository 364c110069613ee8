"""The training loss: by hand, against its definition, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from minidet.config import LOSSES, LossConfig, RetinaNetConfig, TrainingConfig
from minidet.config.loss import OHEM_RATIOS
from minidet.pytorch.objective import CLASS_LOSSES, detection_loss
from minidet.reference import cross_entropy, decode_boxes, focal_loss, nms, smooth_l1
from tests.network.small import truth

# Three anchors of one level, two classes, two images.
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


OBJECTS = truth([[0, 0, 10, 10]], [1]), truth([[20, 0, 30, 20]], [0])  # one positive anchor each: 0, and 1
EVERY = [cross_entropy(x.double().numpy(), y).sum(1) for x, y in zip(LOGITS, np.zeros((2, 3, 2)), strict=True)]
EVERY[0][0] = cross_entropy(LOGITS[0, 0].double().numpy(), [0, 1]).sum()  # 2.29; 0.98 and ignored
EVERY[1][1] = cross_entropy(LOGITS[1, 1].double().numpy(), [1, 0]).sum()  # 1.77; 1.54 and 3.10 of the background
BOX = [smooth_l1([0.3], [0.0]).sum(), smooth_l1([-2.0], [0.5]).sum() + smooth_l1([0.0], [math.log(2)]).sum()]


def ohem_of(batch=1, *images, **changes):
    loss = LossConfig("ohem", ohem_batch_size=batch, **changes)
    losses = loss_of(*(images or OBJECTS), training=TrainingConfig(loss=loss))
    return float(losses.classification), float(losses.box)


def test_ohem_divides_by_the_assigned_anchors_or_by_its_batch():
    classification, box = EVERY[0][0] + EVERY[1][2], sum(BOX)
    assert ohem_of() == pytest.approx((classification / 2, box / 2), rel=1e-6)
    assert ohem_of(3) == pytest.approx((sum(EVERY[0][:2] / 2) + sum(EVERY[1] / 2), box / 2), rel=1e-6)
    assert ohem_of(1, ohem_divisor="batch") == pytest.approx((classification / 2, box / 2), rel=1e-6)
    both = (sum(EVERY[0][:2]) + sum(EVERY[1])) / 6, box / 6
    assert ohem_of(3, ohem_divisor="batch") == pytest.approx(both, rel=1e-6)
    empty = ohem_of(2, truth([], []), truth([], []), ohem_divisor="batch")
    usual = ohem_of(2, truth([], []), truth([], []))
    assert empty == pytest.approx((usual[0] / 4, 0.0), rel=1e-6)


def test_ohem_learns_the_boxes_of_all_assigned_anchors_or_of_the_chosen_ones():
    assert ohem_of(1, ohem_box_loss="chosen")[1] == pytest.approx(BOX[0] / 2, rel=1e-6)  # in image 1 it is anchor 2
    assert ohem_of(2, ohem_box_loss="chosen")[1] == pytest.approx(sum(BOX) / 2, rel=1e-6)
    loss = LossConfig("ohem", ohem_batch_size=1, ohem_box_loss="chosen")
    deltas = DELTAS.clone().requires_grad_()
    loss_of(*OBJECTS, deltas=deltas, training=TrainingConfig(loss=loss)).box.backward()
    assert (deltas.grad != 0).any(-1).tolist() == [[True, False, False], [False, False, False]]


def test_ohem_ranks_by_the_loss_of_the_classes_or_by_both():
    """Image 1: anchor 1 has the lower loss of its classes, and with that of its box the higher one."""
    assert EVERY[1][1] < EVERY[1][2] < EVERY[1][1] + BOX[1]
    usual, both = ohem_of()[0], ohem_of(1, ohem_hardness="sum")[0]
    assert both - usual == pytest.approx((EVERY[1][1] - EVERY[1][2]) / 2, rel=1e-5)
    assert ohem_of(1, ohem_hardness="sum", box_weight=0.1)[0] == usual


def test_ohem_suppresses_among_anchors_or_among_what_they_predict():
    """In image 0 anchor 2, the hardest of the background, is moved onto anchor 1, which falls to it."""
    deltas = torch.zeros_like(DELTAS)
    deltas[0, 2] = torch.tensor([2.0, -6 / 22, 0, math.log(10 / 22)])
    moved = decode_boxes(deltas[0].double().numpy(), ANCHORS[0].double().numpy())
    np.testing.assert_allclose(moved[2], [20, 0, 30, 10], atol=1e-5)
    values = torch.nn.functional.softplus(LOGITS).sum(-1)
    found = {}
    for among in ("anchors", "predictions"):
        loss = LossConfig("ohem", ohem_batch_size=3, ohem_suppresses=among)
        training = TrainingConfig(loss=loss)
        found[among] = float(loss_of(truth([], []), truth([], []), deltas=deltas, training=training).classification)
    assert nms(moved, values[0].numpy(), 0.5).tolist() == [2, 0]
    assert found["anchors"] - found["predictions"] == pytest.approx(float(values[0, 1]), rel=1e-5)


def test_ohem_takes_logits_and_deltas_of_different_widths():
    loss = LossConfig("ohem", ohem_batch_size=1, ohem_hardness="sum", ohem_suppresses="predictions")
    training = TrainingConfig(loss=loss)
    wanted = loss_of(*OBJECTS, training=training)
    for kinds in ((LOGITS.double(), DELTAS), (LOGITS, DELTAS.double())):
        found = loss_of(*OBJECTS, logits=kinds[0], deltas=kinds[1], training=training)
        assert float(found.classification) == pytest.approx(float(wanted.classification), rel=1e-6)
        assert float(found.box) == pytest.approx(float(wanted.box), rel=1e-6)


def test_what_is_predicted_from_an_ignored_anchor_does_not_matter_to_ohem():
    deltas = DELTAS.clone()
    deltas[0, 2] = torch.nan  # at IoU 10 / 22
    loss = LossConfig("ohem", ohem_batch_size=3, ohem_suppresses="predictions")
    found, wanted = (
        loss_of(*OBJECTS, deltas=one, training=TrainingConfig(loss=loss)).classification for one in (deltas, DELTAS)
    )
    assert float(found) == float(wanted)


def test_half_width_outputs_are_computed_in_float32():
    image = truth([[0, 0, 10, 10]], [1]), truth([], [])
    half = loss_of(*image, logits=LOGITS.bfloat16(), deltas=DELTAS.bfloat16())
    exact = loss_of(*image, logits=LOGITS.bfloat16().float(), deltas=DELTAS.bfloat16().float())
    assert half.classification.dtype == torch.float32
    assert float(half.classification) == float(exact.classification)


def test_ground_truth_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 boxes, 1 classes and 2 ignore flags"):
        loss_of(truth([[0, 0, 10, 10], [20, 0, 30, 10]], [1]), truth([], []))
    with pytest.raises(ValueError, match=r"classes\[0\] = 2"):
        loss_of(truth([[0, 0, 10, 10]], [2]), truth([], []))


def test_every_loss_that_a_configuration_can_name_is_there():
    assert (*CLASS_LOSSES, *OHEM_RATIOS) == LOSSES
