"""Every layer of the NumPy network and its gradient: beside PyTorch's in float64, and against differences."""

import importlib
import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

TOLERANCE = 1e-12  # sums of a few hundred products at most of numbers near 1, each rounded to 1e-16


@pytest.fixture(scope="module", params=["reference", "compiled"])
def layers(request):
    """The layers of each path that has them."""
    return importlib.import_module(f"minidet.{request.param}.layers")


def arrays(seed, *shapes):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def beside_torch(ours, ours_grad, theirs, *inputs):
    """Our output and gradients for random upstream gradients, compared with autograd's."""
    tensors = [torch.tensor(value, requires_grad=True) for value in inputs]
    wanted = theirs(*tensors)
    found = ours(*inputs)
    assert found.shape == tuple(wanted.shape)
    np.testing.assert_allclose(found, wanted.detach(), rtol=TOLERANCE, atol=TOLERANCE)
    (upstream,) = arrays(7, found.shape)
    wanted.backward(torch.tensor(upstream))
    grads = ours_grad(upstream, *inputs)
    for grad, tensor in zip(grads if isinstance(grads, tuple) else (grads,), tensors, strict=True):
        assert grad.shape == tuple(tensor.shape)
        np.testing.assert_allclose(grad, tensor.grad, rtol=TOLERANCE, atol=TOLERANCE)


def against_differences(function, gradient, *inputs, step=1e-6):
    """Gradients of the sum of upstream * output, against central differences at every element of every input."""
    (upstream,) = arrays(8, function(*inputs).shape)
    grads = gradient(upstream, *inputs)
    for i, grad in enumerate(grads if isinstance(grads, tuple) else (grads,)):
        for place in np.ndindex(inputs[i].shape):
            ends = []
            for sign in (1, -1):
                moved = [value.copy() for value in inputs]
                moved[i][place] += sign * step
                ends.append((upstream * function(*moved)).sum())
            assert grad[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-7)


# --- convolution

sizes = st.integers(1, 9)


@pytest.mark.slow
@given(
    batch=st.integers(0, 3), groups=st.integers(1, 3), inputs=st.integers(1, 3), outputs=st.integers(1, 3),
    size=st.sampled_from([1, 2, 3, 5, 7]), stride=st.integers(1, 3), padding=st.integers(0, 4),
    height=sizes, width=sizes, bias=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_convolution_is_torchs(
    layers, batch, groups, inputs, outputs, size, stride, padding, height, width, bias, seed
):
    assume(min(height, width) + 2 * padding >= size)
    x, weight, shift = arrays(
        seed, (batch, groups * inputs, height, width), (groups * outputs, inputs, size, size), (groups * outputs,)
    )
    how = {"stride": stride, "padding": padding, "groups": groups}

    def gradient(grad, x, weight, shift=None):
        return layers.conv2d_grad(grad, x, weight, **how)[: 3 if bias else 2]

    beside_torch(
        lambda *inputs: layers.conv2d(*inputs, **how), gradient, lambda *inputs: F.conv2d(*inputs, **how),
        x, weight, *([shift] if bias else []),
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("stride", "padding", "groups"), [(1, 1, 1), (2, 1, 2), (3, 0, 1), (1, 4, 1)])
def test_gradient_of_convolution_against_differences(layers, stride, padding, groups):
    x, weight, bias = arrays(0, (2, 2, 5, 4), (2, 2 // groups, 3, 3), (2,))
    how = {"stride": stride, "padding": padding, "groups": groups}
    against_differences(
        lambda x, weight, bias: layers.conv2d(x, weight, bias, **how),
        lambda grad, x, weight, bias: layers.conv2d_grad(grad, x, weight, **how),
        x, weight, bias,
    )  # fmt: skip


def test_convolution_is_four_loops(layers):
    x, weight = arrays(0, (1, 2, 5, 6), (3, 2, 3, 3))
    y = layers.conv2d(x, weight, stride=2)
    for o, i, j in itertools.product(range(3), range(2), range(2)):
        window = x[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        assert y[0, o, i, j] == pytest.approx((window * weight[o]).sum(), rel=1e-13)


def test_convolution_and_its_gradient_are_adjoint(layers):
    """A convolution is linear in x, so that <conv(x), grad> = <x, grad_x> for every x and grad."""
    x, weight, other = arrays(1, (2, 3, 8, 7), (4, 3, 3, 3), (2, 3, 8, 7))
    y = layers.conv2d(x, weight, stride=2, padding=1)
    (grad,) = arrays(2, y.shape)
    grad_x = layers.conv2d_grad_x(grad, x, weight, 2, 1)
    assert (layers.conv2d(other, weight, stride=2, padding=1) * grad).sum() == pytest.approx((other * grad_x).sum())


def test_gradient_of_the_weight_is_a_convolution_with_the_gradient_as_filter(layers):
    x, weight = arrays(3, (2, 3, 6, 7), (4, 3, 3, 3))
    (grad,) = arrays(4, (2, 4, 6, 7))
    padded = np.pad(grad, ((0, 0), (0, 0), (0, 1), (0, 0)))  # our filters are square
    as_filter = layers.conv2d(x.swapaxes(0, 1), padded.swapaxes(0, 1), padding=1)  # (C, O, 2, 3)
    wanted = layers.conv2d_grad_weight(grad, x, weight, padding=1).swapaxes(0, 1)
    np.testing.assert_allclose(as_filter, wanted[:, :, :2], rtol=0, atol=1e-12)


# --- ReLU, pooling, upsampling


@given(seed=st.integers(0, 99), shape=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_relu_is_torchs(layers, seed, shape):
    (x,) = arrays(seed, shape)
    x.ravel()[::3] = 0
    beside_torch(layers.relu, layers.relu_grad, F.relu, x)
    (grad,) = arrays(1, shape)
    np.testing.assert_array_equal(layers.relu_grad(grad, layers.relu(x)), layers.relu_grad(grad, x))


@given(
    batch=st.integers(1, 2), channels=st.integers(1, 3), height=sizes, width=sizes, size=st.integers(1, 4),
    stride=st.integers(1, 3), padding=st.integers(0, 2), distinct=st.integers(1, 40), seed=st.integers(0, 99),
)  # fmt: skip
def test_pooling_is_torchs_with_ties_too(layers, batch, channels, height, width, size, stride, padding, distinct, seed):
    assume(padding <= size // 2 and min(height, width) + 2 * padding >= size)
    x = np.random.default_rng(seed).integers(-distinct, distinct, (batch, channels, height, width)).astype(float)
    how = (size, stride, padding)
    beside_torch(
        lambda x: layers.max_pool2d(x, *how), lambda grad, x: layers.max_pool2d_grad(grad, x, *how),
        lambda x: F.max_pool2d(x, *how), x,
    )  # fmt: skip


def test_gradient_of_pooling_against_differences(layers):
    x = np.random.default_rng(0).permutation(70).reshape(1, 2, 7, 5).astype(float)  # no ties, which have no derivative
    against_differences(layers.max_pool2d, layers.max_pool2d_grad, x)


@given(
    batch=st.integers(1, 2), channels=st.integers(1, 2), old=st.tuples(sizes, sizes), new=st.tuples(sizes, sizes),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_upsampling_is_torchs_at_any_ratio(layers, batch, channels, old, new, seed):
    (x,) = arrays(seed, (batch, channels, *old))
    beside_torch(
        lambda x: layers.upsample_nearest(x, new), layers.upsample_nearest_grad,
        lambda x: F.interpolate(x, size=new, mode="nearest"), x,
    )  # fmt: skip


def test_upsampling_is_torchs_at_every_size_of_a_pyramid(layers):
    """From ceil(n / 2) to n, in which torch's rounding of the ratio to float32 does no harm."""
    for n in range(1, 700):
        x = np.arange(float(-(-n // 2))).reshape(1, 1, 1, -1)
        wanted = F.interpolate(torch.from_numpy(x), size=(1, n), mode="nearest")
        np.testing.assert_array_equal(layers.upsample_nearest(x, (1, n)), wanted)


def test_upsampling_is_exact_where_a_rounded_ratio_is_not(layers):
    """Pixel 41 of 82 begins the second half; in float32, 41 * (2 / 82) is below 1."""
    y = layers.upsample_nearest(np.arange(2.0).reshape(1, 1, 2, 1), (82, 1))
    np.testing.assert_array_equal(y[0, 0, :, 0], np.repeat([0, 1], 41))


# --- normalisation


@pytest.mark.slow
@given(
    batch=st.integers(1, 3), channels=st.integers(1, 4), height=sizes, width=sizes, seed=st.integers(0, 99),
    eps=st.sampled_from([1e-5, 1e-3, 1.0]),
)  # fmt: skip
def test_batch_norm_is_torchs(layers, batch, channels, height, width, seed, eps):
    assume(batch * height * width > 3)  # of two or three values the variance may be near 0, and 1 / s huge
    x, weight, bias = arrays(seed, (batch, channels, height, width), (channels,), (channels,))
    beside_torch(
        lambda x, w, b: layers.batch_norm(x, w, b, eps), lambda g, x, w, b: layers.batch_norm_grad(g, x, w, eps),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True, eps=eps), x, weight, bias,
    )  # fmt: skip


@given(
    batch=st.integers(0, 3), channels=st.integers(1, 4), height=sizes, width=sizes, seed=st.integers(0, 99),
    eps=st.sampled_from([0, 1e-5, 1.0]),
)  # fmt: skip
def test_frozen_batch_norm_is_torchs(layers, batch, channels, height, width, seed, eps):
    x, weight, bias, mean, var = arrays(seed, (batch, channels, height, width), *[(channels,)] * 4)
    var = np.abs(var) + 0.1
    constants = [torch.tensor(value) for value in (mean, var, weight, bias)]
    beside_torch(
        lambda x: layers.frozen_batch_norm(x, weight, bias, mean, var, eps),
        lambda grad, x: layers.frozen_batch_norm_grad(grad, weight, var, eps),
        lambda x: F.batch_norm(x, *constants, eps=eps), x,
    )  # fmt: skip


@pytest.mark.slow
@given(
    batch=st.integers(1, 3), groups=st.integers(1, 3), each=st.integers(1, 3), height=sizes, width=sizes,
    seed=st.integers(0, 99), eps=st.sampled_from([1e-5, 1.0]),
)  # fmt: skip
def test_group_norm_is_torchs(layers, batch, groups, each, height, width, seed, eps):
    assume(each * height * width > 3)
    channels = groups * each
    x, weight, bias = arrays(seed, (batch, channels, height, width), (channels,), (channels,))
    beside_torch(
        lambda x, w, b: layers.group_norm(x, groups, w, b, eps),
        lambda g, x, w, b: layers.group_norm_grad(g, x, groups, w, eps),
        lambda x, w, b: F.group_norm(x, groups, w, b, eps), x, weight, bias,
    )  # fmt: skip


@pytest.mark.slow
def test_gradients_of_the_normalisations_against_differences(layers):
    x, weight, bias = arrays(0, (2, 4, 3, 2), (4,), (4,))
    against_differences(
        layers.batch_norm, lambda grad, x, weight, bias: layers.batch_norm_grad(grad, x, weight), x, weight, bias
    )
    against_differences(
        lambda x, weight, bias: layers.group_norm(x, 2, weight, bias),
        lambda grad, x, weight, bias: layers.group_norm_grad(grad, x, 2, weight),
        x, weight, bias,
    )  # fmt: skip


def test_a_standardised_channel_has_mean_0_and_variance_1_whatever_shifts_and_stretches_it(layers):
    (x,) = arrays(0, (3, 2, 4, 4))
    one, zero = np.ones(2), np.zeros(2)
    y = layers.batch_norm(x, one, zero, eps=0)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-15)
    np.testing.assert_allclose(y.var(axis=(0, 2, 3)), 1, rtol=1e-14)
    np.testing.assert_allclose(layers.batch_norm(5 * x + 3, one, zero, eps=0), y, rtol=0, atol=1e-13)
    (grad,) = arrays(1, x.shape)  # nothing of it shifts or stretches x
    grad_x, *_ = layers.batch_norm_grad(grad, x, one, eps=0)
    np.testing.assert_allclose(grad_x.sum(axis=(0, 2, 3)), 0, atol=1e-13)
    np.testing.assert_allclose((grad_x * x).sum(axis=(0, 2, 3)), 0, atol=1e-13)


# --- types and bad input


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])  # compiled anew
def test_results_have_the_type_of_the_arguments(layers, dtype):
    x, weight, bias = (value.astype(dtype) for value in arrays(0, (1, 4, 5, 5), (4, 4, 3, 3), (4,)))
    results = [
        layers.conv2d(x, weight, bias), *layers.conv2d_grad(np.ones((1, 4, 3, 3), dtype), x, weight),
        layers.relu(x), layers.relu_grad(x, x), layers.max_pool2d(x),
        layers.max_pool2d_grad(np.ones((1, 4, 3, 3), dtype), x), layers.upsample_nearest(x, (7, 9)),
        layers.upsample_nearest_grad(x, x), layers.batch_norm(x, bias, bias), *layers.batch_norm_grad(x, x, bias),
        layers.frozen_batch_norm(x, bias, bias, bias, abs(bias)), layers.frozen_batch_norm_grad(x, bias, abs(bias)),
        layers.group_norm(x, 2, bias, bias), *layers.group_norm_grad(x, x, 2, bias),
    ]  # fmt: skip
    assert {result.dtype for result in results} == {np.dtype(dtype)}


def test_lists_of_whole_numbers_are_float64(layers):
    assert layers.conv2d([[[[1, 2], [3, 4]]]], [[[[1, 1], [1, 1]]]]).tolist() == [[[[10.0]]]]
    assert layers.relu([-1, 2]).dtype == np.float64


def test_a_batch_without_images_is_ordinary(layers):
    none, vector = np.zeros((0, 4, 6, 6)), np.ones(4)
    assert layers.max_pool2d(none).shape == (0, 4, 3, 3)
    assert layers.max_pool2d_grad(np.zeros((0, 4, 3, 3)), none).shape == none.shape
    assert layers.upsample_nearest(none, (9, 3)).shape == (0, 4, 9, 3)
    assert layers.upsample_nearest_grad(np.zeros((0, 4, 9, 3)), none).shape == none.shape
    grad_x, grad_weight, grad_bias = layers.group_norm_grad(none, none, 2, vector)
    assert grad_x.shape == layers.group_norm(none, 2, vector, vector).shape == none.shape
    assert not grad_weight.any()
    assert not grad_bias.any()


x = np.zeros((2, 4, 5, 6))
filters, four = np.zeros((8, 4, 3, 3)), np.zeros(4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda layers: layers.conv2d(x[0], filters), r"x has shape \(4, 5, 6\)"),
        (lambda layers: layers.conv2d(x[:, :, :0], filters), "H and W of at least 1"),
        (lambda layers: layers.conv2d(x, filters[..., :2]), "square filters"),
        (
            lambda layers: layers.conv2d(x, filters[:, :3]),
            r"weight has shape \(8, 3, 3, 3\) for 4 channels in 1 groups",
        ),
        (lambda layers: layers.conv2d(x, filters, groups=2), "multiples of groups"),
        (lambda layers: layers.conv2d(x, filters[:7, :2], groups=2), "multiples of groups"),
        (lambda layers: layers.conv2d(x, filters, groups=0), "groups = 0 must be >= 1"),
        (lambda layers: layers.conv2d(x, filters, four), r"bias has shape \(4,\): give \(8,\)"),
        (lambda layers: layers.conv2d(x, filters, stride=0), "stride = 0 must be >= 1"),
        (lambda layers: layers.conv2d(x, filters, stride=1.5), "stride = 1.5 must be a whole number"),
        (lambda layers: layers.conv2d(x, filters, padding=-1), "padding = -1 must be >= 0"),
        (lambda layers: layers.conv2d(x[:, :, :2], filters), "3 x 3 does not fit into 2 x 6 pixels with padding = 0"),
        (lambda layers: layers.conv2d(x.astype(complex), filters), "x has dtype complex128: give real numbers"),
        (lambda layers: layers.conv2d_grad(x, x, filters), r"grad has shape \(2, 4, 5, 6\): give \(2, 8, 3, 4\)"),
        (lambda layers: layers.max_pool2d(x, 3, 2, 2), "padding = 2 must be in 0 … 1"),
        (lambda layers: layers.max_pool2d_grad(x, x), r"grad has shape \(2, 4, 5, 6\): give \(2, 4, 3, 3\)"),
        (lambda layers: layers.upsample_nearest(x, 7), r"image_size = 7 must be \(height, width\)"),
        (lambda layers: layers.upsample_nearest_grad(x, x[:, :2]), r"grad has shape .*: give \(2, 2, 5, 6\)"),
        (lambda layers: layers.batch_norm(x, four[:3], four), r"weight has shape \(3,\): give \(4,\)"),
        (lambda layers: layers.batch_norm(x[:1, :, :1, :1], four, four), "at least 2"),
        (lambda layers: layers.batch_norm_grad(x[:1], x, four), r"grad has shape .*: give \(2, 4, 5, 6\)"),
        (lambda layers: layers.batch_norm(x, four, four, eps=-1), "eps = -1 must be"),
        (lambda layers: layers.frozen_batch_norm(x, four, four, four, four[:2]), r"var has shape \(2,\)"),
        (lambda layers: layers.group_norm(x, 3, four, four), "groups = 3 must divide the 4 channels"),
        (lambda layers: layers.relu(["a"]), "x has dtype"),
        (lambda layers: layers.relu_grad(x, x[0]), "grad has shape"),
    ],
)
def test_bad_arguments_are_named(layers, call, message):
    with pytest.raises(ValueError, match=message):
        call(layers)
