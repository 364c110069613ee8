"""What a training changes, a model's weights and its optimizer, and their way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from minidet.config import TrainingConfig
from minidet.pytorch.checkpoint import Run
from minidet.pytorch.loader import Data, load_batches
from minidet.pytorch.optimization import in_bfloat16, optimizer, trained_parameters
from minidet.pytorch.processes import Process
from minidet.pytorch.retinanet import RetinaNet
from minidet.pytorch.winograd import use_winograd
from minidet.structures import Diverged

ADVICE = "lower learning_rate, lengthen warmup or set gradient_clip"
"""What helps against a training that diverges."""


class Learner:
    """A model and all that changes its weights, and the way of both into a checkpoint and back.

    Args:
        model: the network; brought to the process's device and into train mode.
        training_config: the optimizer, the precision, and what of the backbone stays as it is.
        process: where it is trained, and with how many others.
    """

    def __init__(self, model: RetinaNet, training_config: TrainingConfig, process: Process) -> None:
        config = training_config
        self.model, self.config, self.process, self.device = model, config, process, process.device
        self.half = in_bfloat16(config.precision, self.device)
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format
        model.to(device=self.device, memory_format=self.layout).train()  # type: ignore[call-overload]
        trained = trained_parameters(model, config.freeze_at)
        self.parameters = list(trained.values())
        self.optimizer = optimizer(trained, config)
        use_winograd(model, config.winograd and not config.compile)
        network: Any = DistributedDataParallel(model) if process.count > 1 else model
        self.network: Any = torch.compile(network) if config.compile else network

    def gradients_stay_here(self, stay: bool) -> AbstractContextManager[Any]:
        """A context in which processes do not add up their gradients yet: more of the same step will follow."""
        return self.network.no_sync() if stay and self.process.count > 1 else nullcontext()

    def batches(self, data: Data, steps: range) -> Any:
        """The batches of this process for these steps."""
        cuda = self.device.type == "cuda"
        return load_batches(data, steps, self.config.workers, self.process.rank, self.process.count, pin_memory=cuda)

    def evaluated(self, evaluate: Callable[[RetinaNet], Mapping[str, float]], done: int) -> Mapping[str, float]:
        """What `evaluate` measures of the model, once its weights are known to be finite."""
        self._check_weights(done)
        threads = torch.get_num_threads()
        numbers = evaluate(self.model)
        torch.set_num_threads(threads)  # another number would change the last bits of what follows
        return numbers

    def state(self, done: int, seconds: float, spent: float = 0.0) -> dict[str, Any]:
        """All that is needed to go on after `done` steps; raises Diverged rather than keep weights that are lost."""
        self._check_weights(done)
        random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}
        return {
            "iteration": done, "seconds": seconds, "spent": spent, "weights": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(), "random": random,
        }  # fmt: skip

    def restore(self, run: Run) -> tuple[int, float, float]:
        """Everything as it was at the run's last checkpoint, if it has one; the steps that were done, their seconds,
        and the seconds of the whole run, evaluations included."""
        state = run.load("iteration", "seconds", "weights", "optimizer", "random")
        if state is None:
            return 0, 0.0, 0.0
        run.restore(self.model, state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"]["cpu"])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["random"]["cuda"])
        return state["iteration"], state["seconds"], state.get("spent", state["seconds"])

    def _check_weights(self, done: int) -> None:
        state = self.model.state_dict()
        finite = torch.stack([value.isfinite().all() for value in state.values()]).tolist()  # one copy from a GPU
        lost = [name for name, good in zip(state, finite, strict=True) if not good]
        if lost:
            text = f"after {done} steps {len(lost)} weights are not finite ({lost[0]} is the first): {ADVICE}"
            raise Diverged(text, done)
