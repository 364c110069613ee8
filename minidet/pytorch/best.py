"""The weights with the best AP of a run so far, kept beside the last ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minidet.pytorch.checkpoint import Run
from minidet.pytorch.retinanet import RetinaNet


class Best:
    """Keeps ``RUN/best.pt``, the file of the weights that were evaluated best, which `load_model` reads.

    Args:
        run: the folder.
        metrics: of the steps that are done, in order; a later evaluation has to be better than all of theirs.
    """

    def __init__(self, run: Run, metrics: Sequence[Mapping[str, Any]]) -> None:
        self.run = run
        self.ap = max((record["AP"] for record in metrics if "AP" in record), default=-math.inf)

    def keep(self, model: RetinaNet, numbers: Mapping[str, float]) -> None:
        """Write the weights if they are better than all before.

        Args:
            model: as it was evaluated.
            numbers: what the evaluation measured; without an "AP" nothing is kept.
        """
        ap = numbers.get("AP", -math.inf)
        if ap > self.ap:
            self.ap = ap
            self.run.keep_best(model)
