"""The faster 3x3 convolution beside PyTorch's: values, gradients, accuracy, and when it is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.pytorch.winograd import Conv3x3, conv3x3, use_winograd


def operands(shape, channels_out, dtype=torch.float64, seed=0):
    """x, weight, bias and a gradient of the result."""
    g = torch.Generator().manual_seed(seed)
    batch, channels, height, width = shape
    shapes = [shape, (channels_out, channels, 3, 3), (channels_out,), (batch, channels_out, height, width)]
    return [torch.randn(s, generator=g, dtype=dtype) for s in shapes]


def value_and_gradients(function, x, weight, bias, grad):
    leaves = [None if t is None else t.clone().requires_grad_() for t in (x, weight, bias)]
    result = function(*leaves)
    result.backward(grad)
    return [result.detach(), *(leaf.grad for leaf in leaves if leaf is not None)]


def direct(x, weight, bias):
    return F.conv2d(x, weight, bias, padding=1)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (5, 8), (7, 9), (12, 6), (17, 1)])
def test_the_same_convolution(size, layout):
    x, weight, bias, grad = operands((2, 3, *size), 5)
    given = [x.to(memory_format=layout), weight.to(memory_format=layout)]
    for b in (bias, None):
        expected = value_and_gradients(direct, x, weight, b, grad)
        found = value_and_gradients(conv3x3, *given, b, grad)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_images():
    x, weight, bias, grad = operands((0, 3, 6, 6), 5)
    result, *gradients = value_and_gradients(conv3x3, x, weight, bias, grad)
    assert result.shape == (0, 5, 6, 6)
    assert [g.abs().sum().item() for g in gradients] == [0.0] * 3


def test_errors_in_float32_are_small_beside_the_largest_value():
    x, weight, bias, grad = operands((2, 128, 20, 20), 96)
    exact = value_and_gradients(direct, x, weight, bias, grad)
    found = value_and_gradients(conv3x3, *(t.float() for t in (x, weight, bias, grad)))
    for one, other in zip(found, exact, strict=True):
        assert float((one.double() - other).abs().max()) < 2e-5 * float(other.abs().max())


def taken(conv, x):
    """Whether a layer takes the faster way: the results of the two differ in their last digits."""
    return not torch.equal(conv(x), direct(x, conv.weight, conv.bias))


def test_when_it_is_taken():
    torch.manual_seed(0)
    conv, x = Conv3x3(64, 64), torch.randn(4, 64, 20, 20)
    assert not taken(conv, x)  # unless it is asked for
    use_winograd(torch.nn.Sequential(conv), True)
    assert taken(conv, x)
    assert not taken(conv.eval(), x)
    assert not taken(conv.train(), x[:3])  # 75 tiles
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(x).dtype == torch.bfloat16
    assert not taken(conv.double(), x.double())
    use_winograd(conv, False)
    assert not taken(conv.float(), x)
    for other in (Conv3x3(64, 63), Conv3x3(64, 64, stride=2), Conv3x3(64, 64, groups=2)):
        other.winograd = True
        expected = F.conv2d(x, other.weight, other.bias, other.stride, 1, groups=other.groups)
        assert torch.equal(other(x), expected)


@pytest.mark.slow
def test_training_with_it_reaches_the_same_weights_and_resumes_to_the_bit(tmp_path):
    model = RetinaNetConfig.tiny(
        num_classes=6, width=8, norm="group", fpn_channels=64, head_channels=64, head_convs=1,
        anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32), scales=(1.0,)),
    )  # fmt: skip
    config = TrainingConfig(
        iterations=4, batch_size=2, learning_rate=0.005, warmup=2, resize=ResizeConfig(256, 256), checkpoint_every=2
    )
    data = TrainingData(Shapes(6, image_size=(256, 256)), model, config)

    class Interrupted:
        def batch(self, iteration, **process):
            if iteration == 2:
                raise KeyboardInterrupt
            return data.batch(iteration, **process)

    def trained(name, config, data=data, resume=False):
        torch.manual_seed(0)
        net = RetinaNet(model)
        train(net, data, config, tmp_path / name, resume=resume)
        return net.state_dict()

    fast = trained("fast", config)
    slow = trained("slow", replace(config, winograd=False))
    assert any(not torch.equal(fast[name], slow[name]) for name in slow)
    for name in slow:
        torch.testing.assert_close(fast[name], slow[name], rtol=1e-3, atol=1e-5)
    with pytest.raises(KeyboardInterrupt):
        trained("again", config, Interrupted())
    again = trained("again", config, resume=True)
    assert all(torch.equal(fast[name], again[name]) for name in fast)
