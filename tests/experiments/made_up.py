"""What the tests of the experiments share: an experiment of a second, and runs that nobody ran."""

from __future__ import annotations

import json

from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.experiments.definitions import experiments
from minidet.experiments.experiment import Experiment
from minidet.experiments.results import Results

SHAPES = {"source": "shapes", "image_size": [64, 64], "objects": [1, 2], "distractors": [0, 2]}
TINY = Experiment(
    "tiny/run",
    RetinaNetConfig.tiny(
        6, width=8, fpn_channels=8, head_channels=8, head_convs=1, norm="batch",
        anchors=AnchorConfig(levels=(3, 4), sizes=(16, 32)),
    ),
    TrainingConfig(iterations=6, batch_size=2, warmup=2, resize=ResizeConfig(64, 64), log_every=2, checkpoint_every=2),
    {**SHAPES, "images": 8, "seed": 0}, {**SHAPES, "images": 3, "seed": 1},
)  # fmt: skip


def outcome(path):
    """What a run must repeat to the last digit."""
    run = json.loads(path.read_bytes())
    return run["metrics"], run["curve"], run["diverged_at"]


def made_up(scores, diverged=()):
    """Results with these APs, in percent, one per seed, for experiments by name."""
    known = {name: TINY.changed(name, data={"seed": i}) for i, name in enumerate(scores)}
    by_identity = {
        known[name].identity: {
            seed: {
                "name": name, "seed": seed, "diverged_at": 7 if name in diverged else None, "seconds": 36.0,
                "cpu_seconds": 36.0, "device": "a processor", "precision": "float32", "commit": "0123456789",
                "metrics": dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR100"), value / 100),
                "curve": {"iteration": [1, 2], "classification": [2.0, 1.0], "box": [1.0, 0.5]},
            }
            for seed, value in enumerate(values)
        }
        for name, values in scores.items() if values
    }  # fmt: skip
    runs = [run for runs in by_identity.values() for run in runs.values()]
    return Results(known, runs, by_identity)


def nothing():
    """Results of every experiment without any run."""
    return made_up(dict.fromkeys(experiments(), ()))


def everything(value=20.0):
    """Results of every experiment, three seeds each, around this AP."""
    return made_up(dict.fromkeys(experiments(), (value - 1, value, value + 1)))
