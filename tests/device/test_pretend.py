"""The PyTorch path on a device that is not there: nothing stays on the CPU, and waits are counted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from minidet import pytorch, reference
from minidet.config import AnchorConfig, PostprocessConfig
from tests.device.pretend import Pretend, PretendTensor, Waits

RNG = np.random.default_rng(0)
CORNERS = RNG.uniform(0, 60, (12, 2))
BOXES = np.concatenate([CORNERS, CORNERS + RNG.uniform(4, 30, (12, 2))], axis=1)
SCORES = RNG.uniform(0, 1, 12)
LOGITS, LABELS = RNG.normal(0, 3, (12, 5)), RNG.integers(-2, 5, 12)
TARGETS = RNG.integers(0, 2, (12, 5))
DELTAS = RNG.normal(0, 0.3, (12, 4))
CONFIG = AnchorConfig(levels=(3, 4), sizes=(16, 32))
ELEMENTWISE = [name for name in pytorch.__all__ if name.startswith(("cross_entropy", "focal_loss", "hinge_loss"))]
OVERLAP = [name for name in pytorch.__all__ if "iou_loss" in name]
SOFT = [name for name in pytorch.__all__ if name.startswith(("quality", "varifocal"))]
CALLS = {
    "box_area": (BOXES,),
    "box_iou": (BOXES, BOXES[:5]),
    "encode_boxes": (BOXES, BOXES[::-1].copy()),
    "decode_boxes": (DELTAS, BOXES),
    "clip_boxes": (BOXES, (40, 50)),
    "assign_anchors": (BOXES, BOXES[:3] + 1, 0.5, 0.4, True),
    "assign_pyramid": ((64, 64), BOXES[:3], CONFIG, 0.5, 0.4, True),
    **dict.fromkeys(ELEMENTWISE, (LOGITS, TARGETS)),
    **dict.fromkeys(SOFT, (LOGITS, SCORES[:, None] * np.ones(5))),
    "softmax_focal_loss": (LOGITS, np.abs(LABELS) % 5),
    "softmax_focal_loss_grad": (LOGITS, np.abs(LABELS) % 5),
    "smooth_l1": (DELTAS, DELTAS[::-1].copy()),
    "smooth_l1_grad": (DELTAS, DELTAS[::-1].copy()),
    **dict.fromkeys(OVERLAP, (BOXES, BOXES[::-1].copy())),
    "dense_focal_loss": (LOGITS, LABELS),
    "nms": (BOXES, SCORES),
    "batched_nms": (BOXES, SCORES, np.arange(12) % 3),
    "postprocess": (
        [LOGITS[:8], LOGITS[8:]], [DELTAS[:8], DELTAS[8:]], [BOXES[:8], BOXES[8:]], (64, 64), PostprocessConfig(),
    ),
    "ohem_sample": (SCORES, BOXES, 8, 0.7, np.arange(12) % 3 == 0, 3),
}  # fmt: skip
"""Arguments for every function of the contract that takes tensors."""


def tensors(value, device):
    """Arrays as tensors of a device, in lists too."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy()).to(device)
    return [tensors(one, device) for one in value] if isinstance(value, list) else value


def flat(value):
    return [one for part in value for one in flat(part)] if isinstance(value, (list, tuple)) else [value]


@pytest.mark.parametrize("name", [name for name in pytorch.__all__ if name in CALLS])
def test_a_result_is_where_the_arguments_are(name):
    function, arguments = getattr(pytorch, name), CALLS[name]
    wanted = flat(function(*tensors(list(arguments), "cpu")))
    with Pretend() as device:
        found = flat(function(*tensors(list(arguments), device)))
    assert all(isinstance(tensor, PretendTensor) for tensor in found)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        torch.testing.assert_close(ours.held, theirs, rtol=0, atol=0)


def test_every_function_is_driven():
    """What makes anchors out of numbers takes no tensor."""
    assert set(reference.__all__) - set(CALLS) == {"cell_anchors", "pyramid_anchors"}


@pytest.mark.parametrize("name", ["cross_entropy", "focal_loss", "focal_loss_star", "hinge_loss", "dense_focal_loss"])
def test_derivatives_stay_on_the_device(name):
    function, second = getattr(pytorch, name), LABELS if name == "dense_focal_loss" else TARGETS

    def derivatives(device):
        x = torch.from_numpy(LOGITS).to(device).requires_grad_()
        (first,) = torch.autograd.grad(function(x, torch.from_numpy(second).to(device)).sum(), x, create_graph=True)
        if name == "dense_focal_loss":
            return [first]
        (twice,) = torch.autograd.grad(first.sum(), x)
        return [first, twice]

    wanted = derivatives("cpu")
    with Pretend() as device:
        found = derivatives(device)
    for ours, theirs in zip(found, wanted, strict=True):
        assert isinstance(ours, PretendTensor)
        torch.testing.assert_close(ours.held, theirs.detach(), rtol=0, atol=0)


def test_a_tensor_left_on_the_cpu_is_refused():
    with Pretend() as device, pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
        pytorch.box_iou(tensors(BOXES, device), tensors(BOXES, "cpu"))


def test_waits_are_counted():
    with Pretend() as device, Waits() as waits:
        x = torch.arange(4.0, device=device)
        assert waits.count == 0
        bool((x > 2).any()), x.tolist(), x.cpu(), x[x > 1], x.nonzero(), float(x[0])
    assert waits.count == 6
