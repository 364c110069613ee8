"""The dense loss in one pass: the kernel's digits, on a CPU by Triton's interpreter or what stands for it, and on CUDA.

`test_losses.py` runs its own tests of the dense loss over the kernel where there is a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from minidet import reference
from minidet.pytorch import losses, tensors
from tests.device.kernels_here import DEVICES, kernels_on


@pytest.fixture(params=DEVICES)
def kernels(request, monkeypatch):
    """The module of the kernels, and the device that they run on here; the calls are counted."""
    with kernels_on(request.param, monkeypatch, "kernels", "value_and_gradient") as module:
        yield module


def fused_loss(kernels, x, labels, gamma=2.0, alpha=0.25, upstream=1.0):
    """Loss and gradient, as NumPy arrays, by the kernel."""
    logits = torch.as_tensor(x).clone().to(kernels.device).requires_grad_()
    before = len(kernels.calls)
    loss = losses.dense_focal_loss(logits, torch.tensor(labels, device=kernels.device), gamma, alpha)
    (upstream * loss).backward()
    assert len(kernels.calls) == before + 1
    return float(loss.detach()), logits.grad.cpu()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0, 1.3, 3.7])
def test_to_the_last_digits(kernels, gamma):
    """The bound of the other paths, 1e-6, over all of [-100, 100], wherever the result is a normal number."""
    x = np.concatenate([np.linspace(-100, 100, 2001), np.linspace(-1, 1, 501), [87.3, -87.3, 88.7, 1e-20]])
    x = x.astype(np.float32)
    for label in (-1, 0):
        targets = np.full(len(x), label + 1)
        _, grad = fused_loss(kernels, x[:, None], np.full(len(x), label), gamma, None)
        exact = reference.focal_loss_grad(x.astype(np.float64), targets, gamma, None)
        found = grad.double().numpy()[:, 0] * (len(x) if label == 0 else 1)
        normal = np.abs(grad.numpy()[:, 0]) > np.finfo(np.float32).tiny
        assert normal.sum() > 100
        np.testing.assert_allclose(found[normal], exact[normal], rtol=1e-6)
        for one in x[::250]:
            wanted = reference.focal_loss(np.array([one], np.float64), np.array([label + 1]), gamma, None)[0]
            loss, _ = fused_loss(kernels, np.array([[one]]), np.array([label]), gamma, None)
            assert loss == pytest.approx(wanted, rel=1e-6, abs=1e-37)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.0, 1.0])
def test_the_sum_over_anchors_and_classes(kernels, dtype, alpha):
    """More logits than one program takes, and a number of classes that divides no block."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(-2, 3, (301, 7))).to(dtype)
    labels = rng.integers(-2, 7, 301)
    wanted, slope = reference.dense_focal_loss(x.double().numpy(), labels, 1.5, alpha)
    loss, grad = fused_loss(kernels, x.float().numpy() if dtype == torch.float32 else x, labels, 1.5, alpha)
    half = dtype != torch.float32
    assert grad.dtype == dtype
    assert loss == pytest.approx(wanted, rel=torch.finfo(dtype).eps if half else 2e-6)
    limit = torch.finfo(dtype).eps if half else 2e-6
    np.testing.assert_allclose(grad.double().numpy(), slope, rtol=limit, atol=torch.finfo(dtype).tiny)
    assert (grad[torch.from_numpy(labels == -2)] == 0).all()


def test_a_factor_above_the_loss_reaches_the_gradient(kernels):
    x, labels = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32), np.array([1, -1])
    _, one = fused_loss(kernels, x, labels)
    _, three = fused_loss(kernels, x, labels, upstream=3.0)
    torch.testing.assert_close(three, 3 * one)


def test_infinity_and_nothing(kernels):
    for sign, wanted in ((1, 0.0), (-1, np.inf)):
        x = np.array([[np.inf, -np.inf]], np.float32) * sign
        loss, grad = fused_loss(kernels, x, np.array([0]))
        assert loss == wanted
        np.testing.assert_array_equal(grad, [[0, 0]] if sign == 1 else [[-0.25, 0.75]])
    loss, grad = fused_loss(kernels, np.array([[np.inf, 0.0], [1.0, 1.0]], np.float32), np.array([-2, -2]))
    assert (loss, grad.abs().sum()) == (0, 0)
    empty = torch.zeros((0, 3), device=kernels.device, requires_grad=True)
    nothing = losses.dense_focal_loss(empty, torch.zeros(0, dtype=torch.int64, device=kernels.device))
    assert float(nothing.detach()) == 0


def test_backward_again_and_twice(kernels):
    """The gradient kept for the first backward pass is not handed out again, and a second derivative is still there."""
    x = torch.tensor([[0.5, -1.0]], device=kernels.device, requires_grad=True)
    labels = torch.tensor([1], device=kernels.device)
    loss = losses.dense_focal_loss(x, labels)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (again,) = torch.autograd.grad(2 * loss, x, retain_graph=True)
    torch.testing.assert_close(again, 2 * first)
    loss = losses.dense_focal_loss(x, labels)
    (slope,) = torch.autograd.grad(loss, x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    wanted = losses.focal_loss_hess(x.detach(), torch.tensor([[0, 1]], device=kernels.device))
    torch.testing.assert_close(curvature, wanted)


def test_without_triton_or_a_gpu_the_usual_way_is_taken():
    assert not losses.fused(torch.zeros(2, 2))
    assert not losses.fused(torch.zeros(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("row", [0, 1])
def test_what_is_not_a_number_is_found_afterwards(kernels, row):
    """Without another pass over the logits; in the row of an ignored anchor too."""
    x = torch.zeros((3, 2), device=kernels.device)
    x[row, 1] = torch.nan
    labels = torch.tensor([0, -2, -1], device=kernels.device)
    with pytest.raises(ValueError, match=rf"logits\[{row}, 1\]"):
        losses.dense_focal_loss(x, labels)
    with pytest.raises(ValueError, match=r"labels\[2\]"):
        losses.dense_focal_loss(x.nan_to_num(), torch.tensor([0, -2, 2], device=kernels.device))
    with tensors.trusted():
        assert losses.dense_focal_loss(x, labels).isnan()
