"""The experiments on what the paper leaves open about online hard example mining."""

from __future__ import annotations

from collections.abc import Iterator

from minidet.experiments import rows
from minidet.experiments.experiment import Experiment


def mining(base: Experiment) -> Iterator[Experiment]:
    """OHEM in its best setting, 16 anchors and a threshold of .5, with one open choice or all of them made otherwise.

    Dividing by 16 for each image, of which about 6 are assigned, makes the gradient smaller; with three times the
    learning rate it is about as large as before. About 115 s per run:

        mining/hardness=sum               20    mining/suppresses=predictions     10
        mining/box-loss=chosen            17    mining/divisor=batch              18
        mining/divisor=batch,rate=0.06    20    mining/all                        11

    Ten times as many steps, 13 minutes per run:

        plateau/mining/hardness=sum       54    plateau/mining/suppresses=predictions  47
        plateau/mining/box-loss=chosen    49    plateau/mining/divisor=batch      not run
        plateau/mining/divisor=batch,rate=0.06  not run    plateau/mining/all          40
    """
    best = {"loss.kind": "ohem", "loss.ohem_batch_size": 16, "loss.ohem_iou_threshold": 0.5}
    for what, changes in rows.MINING.items():
        yield base.changed(rows.mining(what), training=best | changes)
        yield base.changed(rows.plateau(rows.mining(what)), training=rows.flattened(base) | best | changes)
