"""Suppression and assignment by the kernels: the reference's decisions, on a CPU by Triton's interpreter or what stands
for it, and on CUDA.

`test_nms.py` and `test_assignment.py` run their own tests over the kernels where there is a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from minidet import pytorch, reference
from tests.device.kernels_here import DEVICES, kernels_on
from tests.ops import random_boxes


@pytest.fixture(params=DEVICES)
def kernels(request, monkeypatch):
    with kernels_on(request.param, monkeypatch, "box_kernels", "suppress", "assign") as module:
        yield module


def boxes_of(seed, count):
    """Random boxes, and among them the same ones again, others of no area, and neighbours on a grid: ties."""
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, count, 60.0)
    boxes[count // 4 : count // 2] = np.round(boxes[count // 4 : count // 2] / 8) * 8
    boxes[count // 2 : 5 * count // 8] = boxes[: 5 * count // 8 - count // 2]
    return boxes


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_suppression(kernels, count, threshold):
    """Within a block of 64 and across blocks; a threshold that float32 does not hold; with classes and without."""
    boxes, rng = boxes_of(count, count), np.random.default_rng(1)
    scores, classes = np.round(rng.random(count), 1), rng.integers(0, 3, count)
    there = [torch.from_numpy(values).to(kernels.device) for values in (boxes, scores, classes)]
    kept = pytorch.nms(there[0], there[1], threshold)
    np.testing.assert_array_equal(kept.cpu(), reference.nms(boxes, scores, threshold))
    kept = pytorch.batched_nms(*there, threshold)
    np.testing.assert_array_equal(kept.cpu(), reference.batched_nms(boxes, scores, classes, threshold))
    assert len(kernels.calls) == 2


def test_a_chain_of_overlaps(kernels):
    """Each box overlaps the next one alone: every second one is kept, through all the blocks."""
    left = np.arange(150.0)[:, None]
    boxes = left * [4, 0, 4, 0] + [0, 0, 6, 1]
    scores = np.linspace(1, 0.1, 150)
    kept = pytorch.nms(*(torch.from_numpy(values).to(kernels.device) for values in (boxes, scores)), 0.15)
    np.testing.assert_array_equal(kept.cpu(), np.arange(0, 150, 2))


@pytest.mark.parametrize("force_match", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_assignment(kernels, force_match, dtype):
    """More anchors than a program takes; thresholds that IoUs meet exactly."""
    anchors, boxes = boxes_of(2, 300).astype(dtype), boxes_of(3, 20).astype(dtype)
    boxes[:4] = anchors[70:74]
    boxes[4] = [100, 100, 110, 110]  # no anchor touches it
    there = [torch.from_numpy(values).to(kernels.device) for values in (anchors, boxes)]
    for positive, negative in ((0.5, 0.4), (1.0, 0.3), (0.25, 0.25)):
        found = pytorch.assign_anchors(*there, positive, negative, force_match)
        wanted = reference.assign_anchors(anchors, boxes, positive, negative, force_match)
        np.testing.assert_array_equal(found.cpu(), wanted)
    assert len(kernels.calls) == 3


def test_nothing(kernels):
    empty = torch.zeros((0, 4), dtype=torch.float64, device=kernels.device)
    assert len(pytorch.nms(empty, empty[:, 0])) == 0
    assert (pytorch.assign_anchors(empty + 1, empty) == -1).all()
    assert not kernels.calls
