"""Numbers of half width: every float16 and every bfloat16 logit, each result rounded once from a wider one.

The array paths compute in float64, PyTorch mostly in float32, in which a GPU is fast. So a result in float16 must be
exactly the wider result of the same numbers, rounded; and of the focal loss it must be next to the exact value.
"""

import numpy as np
import pytest
import torch

from minidet import compiled, pytorch, reference
from tests.device.kernels_here import DEVICES

HALF = (torch.float16, torch.bfloat16)
LOSSES = [
    ("cross_entropy", {"alpha": 0.25}), ("focal_loss", {"gamma": 0.5}), ("focal_loss", {"gamma": 2.0}),
    ("focal_loss", {"gamma": 3.7, "alpha": None}), ("focal_loss_star", {"gamma": 2.0, "beta": 1.0}), ("hinge_loss", {}),
    ("quality_focal_loss", {}), ("varifocal_loss", {}),
]  # fmt: skip
FUNCTIONS = [
    (name + suffix, parameters)
    for name, parameters in LOSSES
    for suffix in ("", "_grad", "_hess")
    if hasattr(reference, name + suffix)
]
IDS = [f"{name} {' '.join(map(str, parameters.values()))}" for name, parameters in FUNCTIONS]


def every(dtype):
    """Every number of a type of 16 bits, infinities too, but no NaN."""
    bits = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype)
    return bits[~bits.isnan()]


def targets_of(name, n):
    return np.arange(n) % 9 / 8 if name.startswith(("quality", "vari")) else np.arange(n) % 2


@pytest.mark.parametrize(("name", "parameters"), FUNCTIONS, ids=IDS)
@pytest.mark.parametrize("path", [reference, compiled], ids=["reference", "compiled"])
def test_arrays_of_float16_are_rounded_once_from_float64(path, name, parameters):
    x = every(torch.float16).numpy()
    y, function = targets_of(name, len(x)), getattr(path, name)
    found = function(x, y, **parameters)
    assert found.dtype == np.float16
    with np.errstate(over="ignore", under="ignore"):
        np.testing.assert_array_equal(found, function(x.astype(np.float64), y, **parameters).astype(np.float16))


@pytest.mark.parametrize(("name", "parameters"), FUNCTIONS, ids=IDS)
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("device", DEVICES)
def test_tensors_are_rounded_once(dtype, device, name, parameters):
    """From float64 where two numbers near each other are subtracted, else from float32."""
    x = every(dtype).to(device)
    wide = x.double() if name.startswith(("quality", "vari", "hinge")) else x.float()
    y, function = torch.from_numpy(targets_of(name, len(x))).to(device), getattr(pytorch, name)
    found = function(x, y, **parameters)
    assert found.dtype == dtype
    assert torch.equal(found, function(wide, y, **parameters).to(dtype))


@pytest.mark.parametrize(("name", "parameters"), [one for one in FUNCTIONS if "focal_loss" in one[0][:10]])
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_the_focal_loss_of_half_width_is_next_to_the_exact_one(dtype, name, parameters):
    """Float32 is wrong by less than 2^-20 of a value, so only where the exact one is that near to the middle of two
    neighbours can it be rounded to the other. Numbers below the normal ones have fewer digits in float32 too."""
    x = every(dtype)
    x = x[x.isfinite()]
    y = targets_of(name, len(x))
    found = getattr(pytorch, name)(x, torch.from_numpy(y), **parameters).double().numpy()
    exact = getattr(reference, name)(x.double().numpy(), y, **parameters)
    room = 2.0 ** -(9 if dtype == torch.bfloat16 else 12)  # half a unit in the last place
    spacing = np.ldexp(1.0, np.frexp(exact)[1].clip(-125 if dtype == torch.bfloat16 else -13)) * room
    fits = np.abs(exact) < torch.finfo(dtype).max
    assert (np.abs(found - exact)[fits] <= (spacing + np.abs(exact) * 2.0**-20)[fits]).all()


def dense_case(dtype):
    rng = np.random.default_rng(0)
    x, labels = torch.from_numpy(rng.normal(0, 4, (600, 7))).to(dtype), torch.from_numpy(rng.integers(-2, 7, 600))
    return x.requires_grad_(), labels


@pytest.mark.parametrize("graph", [False, True], ids=["once", "differentiable again"])
@pytest.mark.parametrize("upstream", [1.0, 3.0])
@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("loss", ["dense_focal_loss", "softmax_focal_loss", "focal_loss"])
def test_gradients_are_rounded_once(loss, dtype, upstream, graph):
    """The gradient by autograd: the normaliser and what comes from behind are multiplied before it is rounded."""
    x, labels = dense_case(dtype)
    wide = x.detach().float().requires_grad_()
    if loss == "softmax_focal_loss":
        labels = labels.clamp(min=0)
    elif loss == "focal_loss":
        labels = (labels[:, None] == torch.arange(7)).long()
    gradients = []
    for logits in (x, wide):
        value = getattr(pytorch, loss)(logits, labels)
        factor = torch.full_like(value, upstream)
        gradients += torch.autograd.grad(value, logits, factor, create_graph=graph)
    assert gradients[0].dtype == dtype
    assert torch.equal(gradients[0], gradients[1].to(dtype))


@pytest.mark.parametrize("path", [reference, compiled], ids=["reference", "compiled"])
def test_the_dense_loss_of_float16_arrays(path):
    x, labels = (one.detach().numpy() for one in dense_case(torch.float16))
    loss, grad = path.dense_focal_loss(x, labels)
    wide_loss, wide_grad = path.dense_focal_loss(x.astype(np.float64), labels)
    assert (loss.dtype, grad.dtype) == (np.float16, np.float16)
    assert loss == wide_loss.astype(np.float16)
    np.testing.assert_array_equal(grad, wide_grad.astype(np.float16))


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("loss", ["giou_loss", "diou_loss", "ciou_loss"])
def test_losses_of_boxes_are_rounded_once(dtype, loss):
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 100, (400, 2))
    both = [np.concatenate([corner, corner + rng.uniform(1, 50, (400, 2))], axis=1) for _ in range(2)]
    a, b = (torch.from_numpy(boxes).to(dtype) for boxes in both)
    function, a = getattr(pytorch, loss), a.requires_grad_()
    wide = a.detach().double().requires_grad_()
    (value, exact), factor = (function(a, b), function(wide, b.double())), 3.0
    assert torch.equal(value, exact.to(dtype))
    (grad,) = torch.autograd.grad(value, a, torch.full_like(value, factor))
    (exact_grad,) = torch.autograd.grad(exact, wide, torch.full_like(exact, factor))
    assert grad.dtype == dtype
    assert torch.equal(grad, exact_grad.to(dtype))


@pytest.mark.parametrize("dtype", HALF, ids=str)
@pytest.mark.parametrize("beta", [0.0, 0.11, 1.0])
def test_smooth_l1_of_half_width(dtype, beta):
    x = every(dtype)
    x = x[x.isfinite()]
    t = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
    for name in ("smooth_l1", "smooth_l1_grad"):
        function = getattr(pytorch, name)
        assert torch.equal(function(x, t, beta), function(x.float(), t.float(), beta).to(dtype))
        if dtype == torch.float16:
            for path in (reference, compiled):
                function = getattr(path, name)
                with np.errstate(over="ignore"):  # two numbers can be further apart than the largest one
                    found = function(x.numpy(), t.numpy(), beta)
                    wanted = function(x.double().numpy(), t.double().numpy(), beta).astype(np.float16)
                np.testing.assert_array_equal(found, wanted)
