"""The schedule of the learning rate, what is trained, and in which precision."""

from __future__ import annotations

import warnings

import pytest
import torch

from minidet.config import TrainingConfig
from minidet.pytorch.optimization import in_bfloat16, learning_rate, optimizer, set_rate, trained_parameters
from tests.network.small import fresh


def test_the_schedule_of_the_paper():
    config = TrainingConfig()
    rates = {i: learning_rate(i, config) for i in (0, 249, 499, 500, 59_999, 60_000, 79_999, 80_000, 89_999)}
    wanted = [2e-5, 0.005, 0.01, 0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001]
    assert list(rates.values()) == pytest.approx(wanted, rel=1e-12)


def test_the_cosine_schedule():
    config = TrainingConfig(iterations=110, warmup=10, schedule="cosine", learning_rate=1.0)
    rates = [learning_rate(i, config) for i in (0, 9, 10, 35, 60, 85)]
    assert rates == pytest.approx([0.1, 1, 1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
    assert 0 < learning_rate(109, config) < 1e-3


@pytest.mark.parametrize("freeze_at", [0, 1, 2, 5])
def test_freezing(freeze_at):
    model = fresh()
    learning = {id(parameter) for parameter in trained_parameters(model, freeze_at).values()}
    frozen = {name.split(".")[1] for name, p in model.named_parameters() if id(p) not in learning}
    parts = [{"conv1", "bn1"}, {"layer1"}, {"layer2"}, {"layer3"}, {"layer4"}]
    assert frozen == set().union(*parts[:freeze_at])


@pytest.mark.parametrize("instruction", ["avx512_bf16", "amx_bf16", "bf16", None])
def test_bfloat16_is_chosen_where_the_processor_has_it_and_warned_of_where_not(monkeypatch, instruction):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, instruction: True})
    cpu = torch.device("cpu")
    assert in_bfloat16("auto", cpu) == (instruction is not None)
    assert not in_bfloat16("float32", cpu)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert in_bfloat16("bfloat16", cpu)
    assert [str(warning.message)[:34] for warning in told] == (
        [] if instruction else ['precision = "bfloat16" is many tim']
    )


def test_biases_of_detectron_have_twice_the_rate_and_no_decay():
    """One step of SGD from a gradient of 0 is the weight decay alone, from one of 1 without decay the rate."""
    config = TrainingConfig.detectron(weight_decay=0.5, momentum=0.0)
    weights = {name: torch.nn.Parameter(torch.ones(())) for name in ("conv.weight", "conv.bias")}
    sgd = optimizer(weights, config)
    set_rate(sgd, 0.25)
    for gradient in (0.0, 1.0):
        for weight in weights.values():
            weight.data.fill_(1.0)
            weight.grad = torch.full((), gradient)
        sgd.step()
        moved = {name: 1 - weight.item() for name, weight in weights.items()}
        assert moved == {"conv.weight": 0.25 * (gradient + 0.5), "conv.bias": 2 * 0.25 * gradient}


def test_biases_are_treated_apart_with_sgd_alone():
    with pytest.raises(ValueError, match="leave bias_rate at 1 and bias_decay at true, or take sgd"):
        TrainingConfig(optimizer="adamw", bias_rate=2.0)


def test_fewer_images_per_step_see_as_many_images_at_the_rate_of_the_linear_rule():
    paper = TrainingConfig()
    fewer = paper.with_images_per_step(4)
    assert fewer.batch_size * fewer.iterations == paper.batch_size * paper.iterations
    assert fewer.learning_rate * paper.batch_size == paper.learning_rate * fewer.batch_size
    assert [round(step * fewer.iterations) for step in fewer.steps] == [240_000, 320_000]
    assert learning_rate(4 * 30_000, fewer) == learning_rate(30_000, paper) / 4
    assert paper.with_images_per_step(16) == paper
