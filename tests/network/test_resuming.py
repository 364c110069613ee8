"""Nothing disturbs a training: it may be interrupted, killed, and shared by several processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minidet.pytorch.checkpoint import load_model
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.training import train
from minidet.runs import load_metrics
from tests.network.small import QUICK, SMALL, Interrupted, data, fresh, weights_equal

pytestmark = pytest.mark.slow


def test_resuming_gives_the_same_weights_to_the_bit(tmp_path):
    config = replace(QUICK, checkpoint_every=4, optimizer="adamw")
    whole = fresh()
    wanted = train(whole, data(), config, tmp_path / "whole")

    class Stops(Exception):
        pass

    with pytest.raises(Stops):  # two steps after the checkpoint, whose metrics are made again
        train(fresh(), Interrupted(6, Stops), config, tmp_path / "parts")
    assert [record["iteration"] for record in load_metrics(tmp_path / "parts")] == [1, 2, 3, 4, 5, 6]
    torch.manual_seed(99)  # neither the model given nor the random state matter any more
    resumed = RetinaNet(SMALL)
    metrics = train(resumed, data(), config, tmp_path / "parts", resume=True)
    assert weights_equal(resumed, whole)
    assert weights_equal(load_model(tmp_path / "parts"), whole)
    timeless = [{k: v for k, v in r.items() if k not in ("seconds", "images_per_second")} for r in metrics]
    assert timeless == [{k: r[k] for k in timeless[0]} for r in wanted]
    assert train(RetinaNet(SMALL), data(), config, tmp_path / "parts", resume=True) == metrics  # done: nothing to do


def test_the_random_state_is_restored(tmp_path):
    """A network that draws random numbers, as one with dropout would, goes on with the same ones."""

    class Noisy(RetinaNet):
        def forward(self, images):
            return super().forward(images + 0.1 * torch.randn_like(images))

    def noisy(seed):
        torch.manual_seed(seed)
        return Noisy(SMALL)

    config = replace(QUICK, iterations=4, checkpoint_every=2)
    whole = noisy(0)
    train(whole, data(), config, tmp_path / "whole")

    with pytest.raises(KeyboardInterrupt):
        train(noisy(0), Interrupted(2), config, tmp_path / "parts")
    resumed = noisy(1)
    train(resumed, data(), config, tmp_path / "parts", resume=True)
    assert weights_equal(resumed, whole)


ROOT = Path(__file__).parents[2]


def start(*trainings, **variables):
    """A process that trains, see `small`; it imports no more than it needs."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, "-m", "tests.network.small", json.dumps(trainings)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, cwd=ROOT, **pipes)


@pytest.mark.subprocess
def test_killed_and_resumed_is_undisturbed(tmp_path):
    """SIGKILL at a moment that no step chooses, while checkpoints are written all the time and a worker makes batches.

    The worker is not forked, so that the data has to come to it as on macOS, on Windows and with Python 3.14.
    Bits are the same for the same number of threads: one here, and one in the process that is killed.
    """
    torch.set_num_threads(1)
    config = replace(QUICK, iterations=20, checkpoint_every=1)
    whole = fresh()
    train(whole, data(config), config, tmp_path / "whole")
    process = start((str(tmp_path / "killed"), SMALL.norm, 20, 2, 1))
    deadline = time.monotonic() + 300
    while len(load_metrics(tmp_path / "killed")) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(np.random.default_rng().uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed_at = len(load_metrics(tmp_path / "killed"))
    assert 3 <= killed_at < 20
    resumed = fresh()
    train(resumed, data(config), config, tmp_path / "killed", resume=True)
    assert weights_equal(resumed, whole)
    assert [record["iteration"] for record in load_metrics(tmp_path / "killed")] == list(range(1, 21))


LIMITS = {("group", 1): 1e-6, ("group", 2): 1e-6, ("batch", 1): 2e-5}
"""How far losses of two processes may be from those of one, by normalisation and number of parts of a batch.

With the statistics of the whole batch these are computed in another order, and a batch of small maps is divided by
small deviations: there the limit is wider. Without the other process's images the losses differ by 2e-3 from the first
step on.
"""


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A folder with the trainings of LIMITS, which two processes have shared."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    variables = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}  # as torchrun tells them
    trainings = [(str(folder / f"{norm}{parts}"), norm, 3, 4, 0, parts) for norm, parts in LIMITS]
    ranks = [start(*trainings, **variables, RANK=r, LOCAL_RANK=r) for r in "01"]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in ranks]
    finally:
        for process in ranks:
            process.kill()
    assert [process.returncode for process in ranks] == [0, 0], outputs
    return folder


@pytest.mark.subprocess
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed")
@pytest.mark.parametrize(("norm", "accumulate"), LIMITS)
def test_two_processes_equal_one(together, tmp_path, norm, accumulate):
    """In steps of the whole batch or in parts of it; the whole batch has its statistics where it is normalised."""
    config, limit = replace(QUICK, iterations=3, batch_size=4), LIMITS[norm, accumulate]
    wanted = train(fresh(norm), data(config), config, tmp_path / "one")
    for one, two in zip(wanted, load_metrics(together / f"{norm}{accumulate}"), strict=True):
        assert two["assigned"] == one["assigned"]
        assert two["classification"] == pytest.approx(one["classification"], rel=limit)
        assert two["box"] == pytest.approx(one["box"], rel=limit)
