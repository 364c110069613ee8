"""The schedule of the learning rate, what is trained, and in which precision."""

from __future__ import annotations

import warnings

import pytest
import torch

from minidet.config import TrainingConfig
from minidet.pytorch.optimization import in_bfloat16, learning_rate, trained_parameters
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
    learning = {id(parameter) for parameter in trained_parameters(model, freeze_at)}
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
