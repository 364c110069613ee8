"""When a training ends: after its steps, after its minutes, or when it no longer gets better."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
import torch

from minidet.config import TrainingConfig
from minidet.pytorch import schedule as module
from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.optimization import learning_rate
from minidet.pytorch.schedule import Schedule
from minidet.pytorch.training import train
from minidet.runs import load_metrics, load_settings
from tests.network.small import QUICK, data, fresh, weights_equal


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, monkeypatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


def run_for(clock, minutes, seconds, evaluation=lambda i: 0.0, start=0, spent=0.0, images=0, before=0.0):
    """A training whose step number i takes seconds(i); steps done, evaluations, learning rates and the time at its
    end."""
    config = TrainingConfig.tiny(minutes=minutes)
    plan = Schedule(config, start, spent, images, before)
    evaluations, rates = 0, []
    for iteration in plan.steps:
        rates.append(learning_rate(iteration, plan.config))
        clock.now += seconds(iteration)
        plan.step(iteration + 1)
        if plan.evaluation_due():
            evaluations += 1
            clock.now += evaluation(iteration)
            plan.evaluated(evaluation(iteration))
        if plan.ended:
            break
    return plan.done, evaluations, rates, clock.now


@pytest.mark.parametrize("pace", [0.05, 0.5, 3.0])
def test_minutes_are_kept_and_used(monkeypatch, pace):
    done, evaluations, rates, end = run_for(Clock(monkeypatch), 5, lambda i: pace, evaluation=lambda i: 4)
    assert 300 - 4 - 2 * pace <= end <= 300 + 2 * pace
    assert evaluations == 5
    assert done == pytest.approx((300 - evaluations * 4) / pace, rel=0.02, abs=2)
    assert max(rates) == pytest.approx(4e-3, rel=0.02)
    assert rates[-1] < 0.01 * max(rates)  # the schedule is at its end


def test_the_time_can_be_over_before_a_step_is_measured(monkeypatch):
    done, _, _, end = run_for(Clock(monkeypatch), 1, lambda i: 40.0)
    assert (done, end) == (2, 80)


def test_an_evaluation_that_takes_long_is_made_once(monkeypatch):
    """Its time is not known before the first one, but follows roughly from that of a step."""
    pace, images = 5.0, 96
    cost = 0.5 * pace * images / TrainingConfig.tiny().batch_size
    for actual in (0.5 * cost, cost, 2 * cost):
        _, evaluations, _, end = run_for(
            Clock(monkeypatch), 2, lambda i: pace, evaluation=lambda i, actual=actual: actual, images=images
        )
        assert evaluations == 1
        assert end <= 120 + max(0, actual - cost) + 2 * pace
        assert end >= 120 - cost + actual - 2 * pace


def test_a_computer_that_becomes_busy_or_idle(monkeypatch):
    for later in (2.5, 0.1):
        clock = Clock(monkeypatch)
        *_, rates, end = run_for(clock, 5, lambda i, later=later: 0.5 if i < 200 else later, evaluation=lambda i: 4)
        assert end <= 300 + 2 * later
        assert rates[-1] < 0.02 * max(rates)


def test_an_evaluation_takes_as_much_longer_as_the_steps(monkeypatch):
    """A computer that becomes four times slower in the middle is slower in the last evaluation too."""

    def slower(i):
        return 4 if i > 120 else 1

    clock = Clock(monkeypatch)
    _, evaluations, _, end = run_for(clock, 5, lambda i: 0.8 * slower(i), evaluation=lambda i: 12.0 * slower(i))
    assert evaluations >= 3
    assert end <= 300 + 2 * 3.2


def test_what_came_before_the_first_step_counts_and_comes_again_at_the_end(monkeypatch):
    """Reading and preparing took 40 s of five minutes; as much is left for what a command does after its training."""
    *_, end = run_for(Clock(monkeypatch), 5, lambda i: 0.5, before=40.0)
    assert 300 - 2 * 40 - 1 <= end <= 300 - 2 * 40 + 1


def test_evaluations_that_take_long_are_left_out(monkeypatch):
    done, evaluations, _, end = run_for(Clock(monkeypatch), 5, lambda i: 0.5, evaluation=lambda i: 100)
    assert evaluations == 2  # one tells what they cost, and the last one
    assert end <= 301
    assert done > 150


def test_a_run_that_goes_on_has_the_minutes_that_are_left(monkeypatch):
    done, *_, end = run_for(Clock(monkeypatch), 5, lambda i: 0.5, start=100, spent=240)
    assert 55 <= end <= 61
    assert done == pytest.approx(220, abs=3)
    assert list(Schedule(TrainingConfig.tiny(minutes=5), 700, 300.0).steps) == []


def test_steps_are_the_settings_without_minutes():
    plan = Schedule(QUICK, start=3)
    assert plan.steps == range(3, QUICK.iterations)
    plan.step(4)
    assert plan.config == QUICK


def scores(values):
    """What an evaluation measures, one value after the other."""
    numbers = iter(values)
    return lambda model: {"AP": next(numbers)}


def test_the_best_weights_are_kept_beside_the_last(tmp_path):
    kept = {}

    def evaluate(model):
        ap = (0.2, 0.5, 0.4, 0.5)[len(kept)]
        kept[ap if ap not in kept else "again"] = {k: v.clone() for k, v in model.state_dict().items()}
        return {"AP": ap}

    config = replace(QUICK, iterations=4, evaluate_every=1)
    model = fresh()
    train(model, data(config), config, tmp_path / "run", evaluate=evaluate)
    best = load_model(tmp_path / "run/best.pt")
    assert all(torch.equal(value, kept[0.5][name]) for name, value in best.state_dict().items())
    assert weights_equal(load_model(tmp_path / "run"), model)
    assert not weights_equal(best, model)


def test_patience_ends_a_run_and_keeps_its_end(tmp_path, capsys):
    config = replace(QUICK, evaluate_every=1, patience=2)
    for _ in range(2):  # the second time nothing is left to do
        train(fresh(), data(config), config, tmp_path, resume=True, evaluate=scores([0.1, 0.3, 0.2, 0.3, 0.9]))
        assert [line["iteration"] for line in load_metrics(tmp_path) if "AP" in line] == [1, 2, 3, 4]
        assert "AP has not risen in the last 2 evaluations: the best was 0.300 after 2 steps" in capsys.readouterr().out
    longer = replace(config, patience=3)
    train(fresh(), data(longer), longer, tmp_path, resume=True, evaluate=scores([0.2, 0.2, 0.2]))
    assert [line["iteration"] for line in load_metrics(tmp_path) if "AP" in line] == [1, 2, 3, 4, 5]


def test_a_finished_run_goes_on_for_longer(tmp_path):
    config = replace(QUICK, iterations=3)
    train(fresh(), data(config), config, tmp_path)
    longer = replace(config, iterations=5)
    train(fresh(), data(longer), longer, tmp_path, resume=True)
    assert [line["iteration"] for line in load_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    assert load_settings(tmp_path)["training"]["iterations"] == 5
    with pytest.raises(ValueError, match=r"training\.iterations = 5, not 4"):
        train(fresh(), data(config), replace(config, iterations=4), tmp_path, resume=True)


def test_a_training_for_minutes_ends(tmp_path, monkeypatch):
    """Whole, with steps of a tenth of a minute by a clock of its own."""
    ticks = count()
    monkeypatch.setattr(module.time, "monotonic", lambda: 2.0 * next(ticks))
    config = replace(QUICK, minutes=1.0, checkpoint_every=2)
    metrics = train(fresh(), data(config), config, tmp_path, evaluate=lambda model: {"AP": 0.0})
    assert 0 < metrics[-1]["iteration"] < 30
    assert "AP" in metrics[-1]
    again = train(fresh(), data(config), config, tmp_path, resume=True, evaluate=lambda model: {"AP": 0.0})
    assert again == metrics
