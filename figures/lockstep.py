"""The NumPy network beside PyTorch's: the largest difference of any weight, step after step of training.

    python -m figures.lockstep --out FOLDER
    python -m figures.lockstep --measure    # trains four times, a few minutes

Two networks start from the same weights and are trained on the same batches, one by ``minidet.reference``, whose
gradients are derived by hand, and one by PyTorch, which derives them itself. In exact arithmetic they would be the same
for ever. Here they round differently, because sums are added in another order, and training magnifies what they differ
by. In float64 that stays invisible for hundreds of steps; in float32 the two part, and the dashed line marks where.
What was measured is committed (figures/results/lockstep.json).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from tqdm import tqdm

from figures import script
from minidet import files
from minidet.config import ResizeConfig, RetinaNetConfig, TrainingConfig
from minidet.data.batches import TrainingData
from minidet.data.shapes import Shapes
from minidet.plotting import new_figure
from minidet.pytorch import RetinaNet as TorchRetinaNet
from minidet.pytorch import detection_loss
from minidet.reference.network import RetinaNet
from minidet.reference.training import learning_rate, train_step

RESULTS = Path(__file__).parent / "results" / "lockstep.json"
MODEL = RetinaNetConfig.tiny(6)
TRAINING = TrainingConfig(iterations=300, batch_size=2, warmup=20, resize=ResizeConfig(64, 64), winograd=False)
COLOURS = {"float64": "#0072B2", "float32": "#D55E00"}
PARTED = 0.01
"""Two losses of which one is so much larger than the other, relatively, are of networks that have parted."""


def shapes() -> TrainingData:
    """The batches: 2 images of 64 x 64 pixels."""
    return TrainingData(Shapes(1000, image_size=(64, 64), objects=(1, 4), max_size=40), MODEL, TRAINING)


def lockstep(
    net: RetinaNet, data: Any, training: TrainingConfig, progress: Callable[[range], Iterable[int]] = iter
) -> dict[str, list[float]]:
    """Train a NumPy network and a PyTorch network with the same weights on the same batches, comparing every step.

    Args:
        net: the NumPy network, trained in place; the other is made from it and computes in the same type.
        data: has `batch(iteration)`, as ``minidet.data.batches.TrainingData``.
        training: the loss and the schedule of SGD.
        progress: goes around the steps, as tqdm does.

    Returns:
        "numpy" and "torch": the training loss before each step; "difference": the largest difference of any weight
        after it.
    """
    model = TorchRetinaNet(net.config).to(torch.from_numpy(np.zeros(0, net.dtype)).dtype).train()
    model.load_state_dict({name: torch.tensor(value) for name, value in net.state.items()})
    optimizer = torch.optim.SGD(
        model.parameters(), training.learning_rate, training.momentum, weight_decay=training.weight_decay
    )
    velocity: dict[str, np.ndarray] = {}
    found: dict[str, list[float]] = {"numpy": [], "torch": [], "difference": []}
    for iteration in progress(range(training.iterations)):
        batch, rate = data.batch(iteration), learning_rate(iteration, training)
        ours = train_step(net, batch.images, batch.ground_truth, training, rate, velocity)

        images = torch.from_numpy(batch.images.astype(net.dtype))
        anchors = model.anchors((images.shape[2], images.shape[3]))
        logits, deltas = model(images)
        theirs = detection_loss(logits, deltas, anchors, batch.ground_truth, net.config, training)
        loss = theirs.classification + training.loss.box_weight * theirs.box
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()

        found["numpy"].append(ours.classification + training.loss.box_weight * ours.box)
        found["torch"].append(loss.item())
        found["difference"].append(
            max(float(abs(net.state[name] - value.detach().numpy()).max()) for name, value in model.named_parameters())
        )
    return found


def parting(found: Mapping[str, Sequence[float]]) -> int | None:
    """The first step, counted from 1, before which the two losses differ by more than PARTED; None if none does."""
    ours, theirs = np.array(found["numpy"]), np.array(found["torch"])
    parted = abs(ours - theirs) > PARTED * np.minimum(ours, theirs)
    return int(parted.argmax()) + 1 if parted.any() else None


def draw(results: Mapping[str, Any] | None = None) -> Figure:
    """The figure: left the difference of the weights, right the losses of both in float32."""
    results = results or json.loads(RESULTS.read_text(encoding="utf-8"))
    figure, ((left, right),) = new_figure(8.8, 4.1, 1, 2)
    for name, colour in COLOURS.items():
        difference = results[name]["difference"]
        steps = np.arange(1, len(difference) + 1)
        left.semilogy(steps, difference, color=colour, label=name)
        left.axhline(np.finfo(name).eps, color=colour, linewidth=0.8, linestyle=":")
        left.text(steps[-1], np.finfo(name).eps * 1.3, f"rounding of 1 in {name}", color=colour, ha="right", fontsize=8)
    left.set(xlabel="step", ylabel="largest difference of any weight", title="NumPy beside PyTorch, from one start")
    left.legend(loc=(0.6, 0.17))
    found = results["float32"]
    steps = np.arange(1, len(found["torch"]) + 1)
    right.plot(steps, found["torch"], color="#333333", label="PyTorch", linewidth=1.2)
    right.plot(steps, found["numpy"], color=COLOURS["float32"], label="NumPy", linewidth=1.2, linestyle="--")
    right.set(xlabel="step", ylabel="training loss", ylim=(0, 2.2), title="The losses of both in float32")
    for parted in filter(None, [parting(found)]):
        for ax in (left, right):
            ax.axvline(parted, color=COLOURS["float32"], linewidth=0.8, linestyle="--")
        right.text(parted, right.get_ylim()[1], f" step {parted}:\n they differ by {PARTED:.0%}", va="top", fontsize=8)
    right.legend(loc="upper right")
    return figure


def measure() -> None:
    """Train in both types and keep what was found."""
    data = shapes()
    found = {name: lockstep(RetinaNet(MODEL, dtype=name), data, TRAINING, tqdm) for name in COLOURS}
    print(files.write_json(RESULTS, found))


def main(arguments: list[str] | None = None) -> list[Path]:
    """Measure if asked to, then draw the figure."""
    return script.run("lockstep", __doc__, draw, arguments, measure)


if __name__ == "__main__":
    main()
