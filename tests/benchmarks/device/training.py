"""Part b: a small training on the device and on the CPU has the same losses; it is resumed; it runs in bfloat16."""

from __future__ import annotations

import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from minidet.pytorch.processes import Process
from minidet.pytorch.training import Learner, train, train_step
from tests.benchmarks.device.recorder import Place
from tests.network.small import QUICK, data, fresh


def losses_of(device: torch.device, steps: int, **settings: Any) -> tuple[list[float], float]:
    """The sum of both losses at each step, and the steps per second after the first two."""
    config = replace(QUICK, iterations=steps, winograd=False, learning_rate=0.01, warmup=2, **settings)
    learner, sums, began = Learner(fresh(), config, Process(0, 1, device)), [], 0.0
    for i, batch in enumerate(learner.batches(data(config), range(config.iterations))):
        if i == 2:
            began = time.perf_counter()
        losses, _ = train_step(learner, batch, i)
        sums.append(losses.classification + losses.box)
    values = [float(value) for value in sums]
    return values, (steps - 2) / (time.perf_counter() - began)


def largest_difference(found: list[float], wanted: list[float]) -> float:
    """Relative to the loss."""
    return max(abs(a - b) / abs(b) for a, b in zip(found, wanted, strict=True))


def main() -> None:
    place, steps = Place("b"), 6 if torch.cuda.device_count() == 0 else 20
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    wanted, _ = losses_of(torch.device("cpu"), steps)
    place.recorder.record("on the CPU", wanted)

    def same() -> dict[str, Any]:
        found, speed = losses_of(place.device, steps)
        difference = largest_difference(found, wanted)
        return {"losses": found, "difference": difference, "same": difference < 1e-3, "steps per second": speed}

    def like(**settings: Any) -> dict[str, Any]:
        found, speed = losses_of(place.device, steps, **settings)
        return {"difference": largest_difference(found, wanted), "steps per second": speed}

    def resumed() -> dict[str, Any]:
        config = replace(QUICK, iterations=6, checkpoint_every=3)

        class Stops:
            def batch(self, iteration: int, rank: int = 0, processes: int = 1) -> Any:
                if iteration == 3:
                    raise KeyboardInterrupt
                return data(config).batch(iteration)

        with tempfile.TemporaryDirectory() as folder:
            whole = train(fresh(), data(config), config, Path(folder) / "whole")
            with suppress(KeyboardInterrupt):
                train(fresh(), Stops(), config, Path(folder) / "parts")
            parts = train(fresh(), data(config), config, Path(folder) / "parts", resume=True)
        sums = [[record["classification"] + record["box"] for record in run] for run in (whole, parts)]
        return {"difference": largest_difference(*sums)}

    place.recorder.attempt("float32", same)
    place.recorder.attempt("resumed", resumed)
    place.recorder.attempt("bfloat16", lambda: like(precision="bfloat16"))
    place.recorder.attempt("channels_last", lambda: like(channels_last=True))
    place.recorder.attempt("in two parts", lambda: like(accumulate=2))


if __name__ == "__main__":
    main()
