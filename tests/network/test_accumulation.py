"""A batch that goes through the network in parts: the step is that of the whole batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from minidet.config import LOSSES, LossConfig
from minidet.pytorch.processes import Process
from minidet.pytorch.training import Learner, train, train_step
from minidet.structures import Batch
from tests.network.small import OTHER_OHEM, QUICK, data, fresh, truth

ALONE = Process(0, 1, torch.device("cpu"))


def stepped(config, change=lambda batch: batch):
    """Losses and weights of one step."""
    learner = Learner(fresh(), replace(config, winograd=False), ALONE)
    losses, _ = train_step(learner, change(next(iter(learner.batches(data(config), range(config.iterations))))), 0)
    return losses, learner.model.state_dict()


def objects_in_one_part_alone(batch: Batch) -> Batch:
    """Three images of four are empty, so that most parts have no anchor to divide by."""
    empty = truth([], [])
    return batch._replace(ground_truth=[batch.ground_truth[0], empty, empty, empty], assignments=None)


@pytest.mark.parametrize(
    ("kind", "choices"), [*((kind, {}) for kind in LOSSES), *(("ohem", choices) for choices in OTHER_OHEM)]
)
def test_a_step_in_parts_is_that_of_the_whole_batch(kind, choices):
    """The sums of all parts are divided by the anchors assigned in the whole batch; sums are rounded in another order.

    An image's outputs do not depend on its neighbours. A weight's gradient adds up some 1e4 terms in float32, of
    relative error sqrt(1e4) * 6e-8 at random: 1e-5 of the change that the step makes.
    """
    config = replace(QUICK, batch_size=4, warmup=0, loss=LossConfig(kind, ohem_batch_size=8, **choices))
    start = fresh().state_dict()
    for change in (lambda batch: batch, objects_in_one_part_alone):
        wanted, weights = stepped(config, change)
        for parts in (2, 4):
            losses, found = stepped(replace(config, accumulate=parts), change)
            assert int(losses.assigned) == int(wanted.assigned) > 0
            torch.testing.assert_close(losses.classification, wanted.classification, rtol=1e-5, atol=0)
            torch.testing.assert_close(losses.box, wanted.box, rtol=1e-5, atol=0)
            for name, value in weights.items():
                moved = (value - start[name]).abs().max()
                torch.testing.assert_close(found[name], value, rtol=1e-6, atol=float(1e-4 * moved + 1e-8))


def test_a_batch_that_cannot_be_parted_is_refused(tmp_path):
    config = replace(QUICK, batch_size=4, accumulate=3)
    with pytest.raises(ValueError, match=r"batch_size = 4 must be a multiple of the 1 processes times accumulate = 3"):
        train(fresh(), data(config), config, tmp_path)
    with pytest.raises(ValueError, match="accumulate"):
        replace(QUICK, accumulate=0)
