"""The toy SSD: default boxes, matching and hard negatives by hand, the loss, receptive fields, and that it learns."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from minidet.config import AnchorConfig, PostprocessConfig
from minidet.data.shapes import Shapes
from minidet.pytorch.anchors import pyramid_anchors
from minidet.pytorch.boxes import box_iou, decode_boxes, encode_boxes
from minidet.pytorch.fit import images_of
from minidet.pytorch.matching import hard_negatives, match_boxes
from minidet.pytorch.receptive_field import receptive_field
from minidet.pytorch.softmax import softmax_focal_loss
from minidet.pytorch.ssd import SQUARES, SSD, ssd_loss, train_ssd
from tests.ops import random_boxes

BOXES = torch.cat(pyramid_anchors((64, 64), SQUARES))  # (21, 4)


def small(num_classes=3, **changes):
    torch.manual_seed(0)
    return SSD(num_classes, width=8, **changes)


def truth(boxes, classes):
    return SimpleNamespace(boxes=np.array(boxes, np.float64).reshape(-1, 4), classes=np.array(classes, np.int64))


# --- the network


def test_the_default_boxes_tile_the_image_three_times():
    assert BOXES.shape == (21, 4)
    for part, side in ((BOXES[:16], 16), (BOXES[16:20], 32), (BOXES[20:], 64)):
        corners = [[x, y, x + side, y + side] for y in range(0, 64, side) for x in range(0, 64, side)]
        assert part.tolist() == corners


@pytest.mark.parametrize(
    ("size", "anchors", "boxes"),
    [
        ((64, 64), SQUARES, 21),
        ((128, 64), SQUARES, 42),
        ((70, 50), SQUARES, 5 * 4 + 3 * 2 + 2 * 1),
        ((256, 256), AnchorConfig(levels=(6, 7, 8), sizes=(64, 128, 256), scales=(1.0,), aspect_ratios=(1.0,)), 21),
        ((64, 64), AnchorConfig(levels=(4, 5), sizes=(16, 32), scales=(0.7, 1.0), aspect_ratios=(0.5, 1, 2)), 20 * 6),
    ],
)
def test_there_are_n_plus_1_logits_and_4_deltas_a_default_box(size, anchors, boxes):
    model = small(num_classes=5, anchors=anchors)
    logits, deltas = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, boxes, 6)
    assert deltas.shape == (2, boxes, 4)
    assert model.default_boxes(size).shape == (boxes, 4)


def test_outputs_come_in_the_order_of_the_default_boxes():
    """The conv's outputs for one cell and one of its default boxes are found at that default box."""
    model = small(num_classes=1, anchors=AnchorConfig(levels=(4,), sizes=(16,), scales=(1.0, 2.0), aspect_ratios=(1,)))
    grids = []
    model.deltas[0].register_forward_hook(lambda module, inputs, output: grids.append(output))
    deltas = model(torch.randn(1, 3, 32, 64))[1]
    grid = grids[0]  # (1, 2 * 4, rows, columns)
    for i, (x1, y1, x2, y2) in enumerate(model.default_boxes((32, 64)).tolist()):
        row, column, which = int((y1 + y2) / 2 // 16), int((x1 + x2) / 2 // 16), int(x2 - x1 == 32)
        assert torch.equal(deltas[0, i], grid[0, 4 * which : 4 * which + 4, row, column])


def test_detections_are_softmax_scores_of_the_classes_without_the_background():
    """Every default box alike: class 0 has 0.6, class 1 has 0.1, the background 0.3."""
    model = small(num_classes=2, postprocess=PostprocessConfig(score_threshold=0.2))
    with torch.no_grad():
        for conv in (*model.classes, *model.deltas):
            conv.weight.zero_()
            conv.bias.zero_()
        for conv in model.classes:
            conv.bias.copy_(torch.tensor([0.6, 0.1, 0.3]).log())
    for boxes, scores, classes in model.detect(torch.randn(2, 3, 64, 64)):
        assert torch.equal(boxes, BOXES)  # none overlaps another by more than a quarter
        assert torch.allclose(scores, torch.full((21,), 0.6))
        assert classes.tolist() == [0] * 21


def test_detections_are_inside_the_image():
    found = small(postprocess=PostprocessConfig(score_threshold=0.0)).detect(10 * torch.randn(1, 3, 64, 128))[0]
    assert len(found.boxes)
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([128, 64, 128, 64])).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: small(anchors=AnchorConfig(levels=(2, 3), sizes=(4, 8))), "the first one being 3 or more"),
        (lambda: small(anchors=AnchorConfig(levels=(4, 6), sizes=(16, 64))), "must follow one another"),
        (lambda: small(num_classes=0), "num_classes = 0"),
        (lambda: small()(torch.zeros(3, 64, 64)), r"one image is image\[None\]"),
        (lambda: small().detect(torch.full((1, 3, 64, 64), math.nan)), r"images\[0\] holds NaN"),
    ],
)
def test_bad_networks_and_images_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- matching


def test_matching_by_hand():
    """A square of a 2x2 cell's size, a bit to the right; and a small one in the last 4x4 cell."""
    assignment = match_boxes(BOXES, torch.tensor([[2.0, 0, 34, 32], [50, 50, 60, 60]]))
    expected = [-1] * 21
    expected[16], expected[15] = 0, 1  # IoU 30 / 34, and 100 / 256, which only the ground-truth box's own right matches
    assert assignment.tolist() == expected


def test_the_threshold_matches_more_default_boxes():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 5], [0, 0, 10, 4]])
    gt_boxes = torch.tensor([[0.0, 0, 10, 10]])
    assert match_boxes(boxes, gt_boxes, 0.5).tolist() == [0, 0, 0, -1]
    assert match_boxes(boxes, gt_boxes, 0.6).tolist() == [0, 0, -1, -1]
    assert match_boxes(boxes, gt_boxes, 1.0).tolist() == [0, -1, -1, -1]


def test_two_with_the_same_best_default_box_share_out():
    """Box 0 is the best of both. The one that fits it better has it, whatever its place; the other has the next."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60]])
    better, worse = [0.0, 0, 10, 9], [0.0, 0, 10, 12]
    assert match_boxes(boxes, torch.tensor([better, worse])).tolist() == [0, 1, -1]
    assert match_boxes(boxes, torch.tensor([worse, better])).tolist() == [1, 0, -1]


def test_equal_pairs_go_to_the_first_default_box_and_then_the_first_ground_truth_box():
    boxes = torch.tensor([[0.0, 0, 10, 10]] * 2 + [[50, 50, 60, 60]])
    assert match_boxes(boxes, torch.tensor([[0.0, 0, 10, 10]] * 2)).tolist() == [0, 1, -1]
    assert match_boxes(boxes, torch.tensor([[0.0, 0, 10, 10]] * 3)).tolist() == [0, 1, 2]  # the last one far away


@given(st.integers(0, 2**32 - 1), st.integers(0, 21), st.sampled_from([0.3, 0.5, 0.7, 1.0]))
def test_no_object_is_lost_and_nothing_else_is_matched(seed, count, threshold):
    gt_boxes = torch.from_numpy(random_boxes(np.random.default_rng(seed), count, extent=64.0))
    assignment = match_boxes(BOXES, gt_boxes, threshold)
    assert assignment.dtype == torch.int64
    assert set(assignment.tolist()) - {-1} == set(range(count))
    iou = box_iou(BOXES, gt_boxes)
    below = (assignment >= 0) & (iou.amax(1) < threshold) if count else assignment >= 0
    assert int(below.sum()) <= count  # a default box that fits nothing is some ground-truth box's only one
    if count:
        assert (assignment[iou.amax(1) >= threshold] >= 0).all()
        box, gt = divmod(int(iou.argmax()), count)
        assert assignment[box] == gt  # the best pair of all


def test_more_ground_truth_boxes_than_default_boxes_give_each_default_box_one_of_its_own():
    gt_boxes = torch.from_numpy(random_boxes(np.random.default_rng(0), 30, extent=64.0))
    assignment = match_boxes(BOXES, gt_boxes).tolist()
    assert min(assignment) >= 0
    assert len(set(assignment)) == 21


def test_nothing_to_match_is_all_background_and_a_box_of_no_area_is_nothing():
    assert match_boxes(BOXES, torch.zeros(0, 4)).tolist() == [-1] * 21
    assert match_boxes(torch.zeros(0, 4), torch.tensor([[0.0, 0, 9, 9]])).tolist() == []
    point = torch.tensor([[5.0, 5, 5, 9], [0, 0, 64, 64]])
    assert match_boxes(BOXES, point).tolist() == [-1] * 20 + [1]


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1, math.nan])
def test_bad_thresholds_are_refused(threshold):
    with pytest.raises(ValueError, match="iou_threshold"):
        match_boxes(BOXES, BOXES, threshold)


def test_an_inverted_ground_truth_box_is_refused():
    with pytest.raises(ValueError, match=r"gt_boxes\[0\].*inverted"):
        match_boxes(BOXES, torch.tensor([[9.0, 9, 0, 0]]))


# --- hard negatives


def test_hard_negatives_by_hand():
    losses = torch.tensor([9.0, 1, 5, 2, 4, 3, 5, 0])
    positive = torch.tensor([True] + [False] * 7)
    assert hard_negatives(losses, positive).nonzero()[:, 0].tolist() == [2, 4, 6]
    assert hard_negatives(losses, positive, ratio=1).nonzero()[:, 0].tolist() == [2]  # the first of the two fives


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.integers(0, 40), st.integers(1, 5))
def test_three_to_one_while_there_are_enough_and_none_without_a_positive(seed, positives, negatives, ratio):
    rng = np.random.default_rng(seed)
    positive = torch.from_numpy(rng.permutation(np.arange(positives + negatives) < positives))
    losses = torch.from_numpy(rng.random(positives + negatives))
    chosen = hard_negatives(losses, positive, ratio)
    assert not (chosen & positive).any()
    assert int(chosen.sum()) == min(ratio * positives, negatives)
    left = ~chosen & ~positive
    if chosen.any() and left.any():
        assert losses[chosen].min() >= losses[left].max()


@pytest.mark.parametrize(
    ("losses", "ratio", "message"),
    [([1.0, math.nan], 3, r"losses\[1\]"), ([1.0], 3, "losses has shape"), ([1.0, 2.0], 0, "ratio = 0")],
)
def test_bad_losses_are_refused(losses, ratio, message):
    with pytest.raises(ValueError, match=message):
        hard_negatives(torch.tensor(losses), torch.tensor([True, False]), ratio)


# --- the loss

SIX = torch.tensor([[10.0 * i, 0, 10.0 * i + 10, 10] for i in range(6)])
LOGITS = torch.tensor([[[1.0, 0, 0], [2, 0, 0], [0, 0, 2], [0, 3, 0], [0, 0, 0], [0, 1, 1]]])  # two classes, background
DELTAS = torch.tensor([[[0.5, 0, 0, 0], *[[9.0, 9, 9, 9]] * 5]])


def test_the_loss_by_hand():
    """The first default box holds an object of class 1; of the others the three with the least background are hard."""
    image = truth([[2, 0, 12, 10]], [1])  # tx = 0.2
    losses = ssd_loss(LOGITS, DELTAS, SIX, [image], iou_threshold=0.9)
    probabilities = LOGITS[0].double().softmax(1)
    background = -probabilities[1:, 2].log()
    hard = background.sort(descending=True).values[:3]
    assert hard.tolist() == background[[2, 0, 3]].tolist()  # default boxes 3, 1 and 4
    assert float(losses.box) == pytest.approx(0.5 * 0.3**2, rel=1e-5)
    assert float(losses.classification) == pytest.approx(float(hard.sum() - probabilities[0, 1].log()), rel=1e-6)


def test_the_focal_loss_is_that_of_all_default_boxes():
    losses = ssd_loss(LOGITS, DELTAS, SIX, [truth([[2, 0, 12, 10]], [1])], iou_threshold=0.9, gamma=2.0)
    labels = torch.tensor([1, 2, 2, 2, 2, 2])
    assert float(losses.classification) == pytest.approx(float(softmax_focal_loss(LOGITS[0], labels).sum()), rel=1e-6)


def test_hard_negatives_are_chosen_image_by_image_and_the_sum_is_divided_by_all_matches():
    image, empty = truth([[2, 0, 12, 10]], [1]), truth([], [])
    alone = ssd_loss(LOGITS, DELTAS, SIX, [image])
    for images, factor in (([image, image], 1), ([image, empty], 1)):
        both = ssd_loss(LOGITS.repeat(2, 1, 1), DELTAS.repeat(2, 1, 1), SIX, images)
        assert [float(part) for part in both] == pytest.approx([factor * float(part) for part in alone])


def test_without_an_object_hard_negatives_teach_nothing_and_the_focal_loss_the_background():
    logits, deltas = LOGITS.clone().requires_grad_(), DELTAS.clone().requires_grad_()
    losses = ssd_loss(logits, deltas, SIX, [truth([], [])])
    sum(losses).backward()
    assert [part.item() for part in losses] == [0, 0]
    assert logits.grad.eq(0).all()
    assert deltas.grad.eq(0).all()
    focal = ssd_loss(logits, deltas, SIX, [truth([], [])], gamma=2.0)
    assert focal.classification.item() > 0
    assert focal.box.item() == 0


def test_deltas_that_are_right_cost_nothing_and_decode_to_the_ground_truth():
    boxes = torch.tensor([[3.0, 5, 30, 33], [40, 40, 60, 58]])
    assignment = match_boxes(BOXES, boxes)
    matched = assignment >= 0
    deltas = torch.zeros(21, 4)
    deltas[matched] = encode_boxes(boxes[assignment[matched]], BOXES[matched])
    losses = ssd_loss(torch.zeros(1, 21, 3), deltas[None], BOXES, [truth(boxes.numpy(), [0, 1])])
    assert float(losses.box) == pytest.approx(0, abs=1e-12)
    decoded = decode_boxes(deltas[matched], BOXES[matched])
    assert torch.allclose(decoded, boxes[assignment[matched]], atol=1e-4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "0 images"),
        ([truth([[0, 0, 9, 9]], [2])], r"classes\[0\] = 2"),
        ([truth([[0, 0, 9, 9]], [0, 1])], "classes has shape"),
        ([truth([[9, 9, 0, 0]], [0])], "inverted"),
    ],
)
def test_bad_ground_truth_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        ssd_loss(LOGITS, DELTAS, SIX, images)


# --- receptive fields


def seen_by(layers, side, cell):
    """(first, last + 1) of the rows and of the columns of an image that one activation depends on, by its gradient."""
    image = torch.rand(1, 3, side, side, dtype=next(layers.parameters()).dtype, requires_grad=True)
    layers(image)[0, :, cell, cell].sum().backward()
    seen = image.grad[0].ne(0).any(0)  # (H, W)
    return [(int(axis.nonzero()[0]), int(axis.nonzero()[-1]) + 1) for axis in (seen.any(1), seen.any(0))]


def positive(layers):
    """With positive weights and inputs nothing cancels and every ReLU passes."""
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.abs_().clamp_(min=0.01)
    return layers


def without_norm(module):
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.Identity())
        else:
            without_norm(child)
    return module


@pytest.mark.parametrize("grid", [0, 1, 2])
@pytest.mark.parametrize("head", [False, True])
def test_receptive_fields_are_where_the_gradient_of_the_network_is_not_zero(grid, head):
    model = without_norm(small()).double()
    layers = nn.Sequential(model.layers(grid), *([model.classes[grid]] if head else []))
    size, stride, offset = receptive_field(layers)
    assert (stride, offset) == (2 ** (4 + grid), 0.5)
    assert size == 2 * stride - 1 + (2 * stride if head else 0)  # of 3x3 convs of stride 2, and of the head's on top
    cell = 3
    low, high = cell * stride + offset - size / 2, cell * stride + offset + size / 2
    side = 8 * stride
    assert seen_by(positive(layers), side, cell) == [(max(0, low), min(side, high))] * 2


@pytest.mark.parametrize(
    "layers",
    [
        [nn.Conv2d(3, 2, 7, stride=2, padding=3), nn.MaxPool2d(3, stride=2, padding=1), nn.Conv2d(2, 2, 3, padding=1)],
        [nn.Conv2d(3, 2, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 4, stride=2, padding=1)],
        [nn.Conv2d(3, 2, 3, dilation=2), nn.AvgPool2d(2), nn.Conv2d(2, 2, 1)],
    ],
)
def test_receptive_fields_of_other_layers(layers):
    """A max pooling passes its gradient to one place, so averages, which reach all, stand in for it."""
    size, stride, offset = receptive_field(layers)
    averages = [nn.AvgPool2d(3, 2, 1) if isinstance(layer, nn.MaxPool2d) else layer for layer in layers]
    assert receptive_field(averages) == (size, stride, offset)
    low = 4 * stride + offset - size / 2
    assert seen_by(positive(nn.Sequential(*averages)), 64, 4) == [(low, low + size)] * 2


def test_group_normalisation_lets_every_activation_depend_on_the_whole_image():
    model = small().double()
    assert seen_by(model.layers(0), 128, 3) == [(0, 128)] * 2


@pytest.mark.parametrize(
    "layer", [nn.Linear(3, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 3, (3, 1)), nn.Conv2d(3, 3, 3, padding="same")]
)
def test_layers_without_one_receptive_field_are_refused(layer):
    with pytest.raises(ValueError, match=r"no receptive field|same whole number both ways"):
        receptive_field([layer])


# --- training


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [None, 2.0])
def test_it_learns(gamma):
    settings = {"image_size": (64, 64), "objects": (0, 3), "distractors": (0, 0), "min_size": 20}
    samples = [*Shapes(16, classes=("disk", "star"), **settings)]
    torch.manual_seed(0)
    model = SSD(2, width=16)
    history = train_ssd(model, samples, steps=60, batch_size=16, learning_rate=5e-3, gamma=gamma)
    assert history[-1]["loss"] < history[0]["loss"] / 10
    found = model.detect(images_of(samples, model))
    hits = objects = 0
    for sample, (boxes, scores, classes) in zip(samples, found, strict=True):
        sure = scores > 0.5
        iou = box_iou(torch.as_tensor(sample.boxes), boxes[sure])
        same = torch.as_tensor(sample.classes)[:, None] == classes[sure]
        hits += int(((iou > 0.5) & same).any(1).sum())
        objects += len(sample.boxes)
    assert objects > 15
    assert hits / objects > 0.8
