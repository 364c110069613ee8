"""`minidet train`: train a RetinaNet and keep everything about it in a folder."""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minidet.cli import scores
from minidet.cli.advice import advice, table
from minidet.cli.arguments import PRESETS, add_command, add_pixel_limit, add_settings
from minidet.cli.identity import FAULTS, check_images, image_list, learnt_too, measured_otherwise, remembered
from minidet.cli.outputs import check_outputs, tell_notes, training_lock
from minidet.cli.plan import Plan, plan
from minidet.cli.runs import FILES
from minidet.cli.sources import SOURCES, add_source_options
from minidet.config import PATHS
from minidet.structures import Diverged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from minidet.config import RunSettings
    from minidet.evaluation import Evaluation
    from minidet.structures import Detections


def add(commands: Any) -> None:
    """Add the command and its arguments."""
    command = add_command(
        commands, "train", run, "train a RetinaNet",
        "Keeps everything in a folder: settings, metrics, checkpoints, weights, a picture of the curves and, where "
        "there are images to evaluate on, COCO's numbers and a page of detections in unseen images. Under torchrun it "
        "trains in several processes. A run that was stopped goes on with: minidet train --out RUN --resume.",
    )  # fmt: skip
    command.add_argument("--data", help=f"{SOURCES}; needed but to resume")
    command.add_argument(
        "--val", metavar="DATA", help="evaluate on these images (shapes: 200 of another seed without being asked)"
    )
    command.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder to make for the run")
    command.add_argument(
        "--resume", action="store_true",
        help="go on with the run in RUN; its settings are taken from there, or with --data compared with those given",
    )  # fmt: skip
    command.add_argument(
        "--changed-data", action="store_true",
        help="go on although images were added, removed or annotated anew since the run was begun; the classes must "
        "be the same",
    )  # fmt: skip
    command.add_argument(
        "--preset", choices=PRESETS,
        help="tiny (the default): from scratch in minutes on a CPU, in bfloat16 where the processor has it; paper: "
        "RetinaNet-50, 90,000 steps of 16 images; torchvision: the structure of its RetinaNet, 800 pixels",
    )  # fmt: skip
    command.add_argument(
        "--path", choices=PATHS,
        help="what it is trained with: pytorch (the default), compiled (Numba, in float32) or reference (NumPy, in "
        "float64). The last two need no PyTorch; training.precision=float32 or float64 changes their type. Every path "
        "can evaluate and detect with the weights of every other",
    )  # fmt: skip
    command.add_argument(
        "--shorter-side", type=int, metavar="PIXELS",
        help="images are resized to this shorter side, the longer one's limit with it (the preset's: 256, 600 or 800)",
    )  # fmt: skip
    command.add_argument(
        "--anchors", choices=("suggested", *PRESETS),
        help="anchors of another preset, or suggested: those that fit the training data, see inspect --suggest",
    )  # fmt: skip
    command.add_argument(
        "--backbone-weights", metavar="FILE",
        help="start from the backbone of a detector (a file of export --npz, or the package's: shapes), or from "
        "torchvision's ImageNet ResNet, a state dict, which the tiny preset with its other layers does not take",
    )  # fmt: skip
    command.add_argument(
        "--weights", metavar="RUN|FILE",
        help="fine-tune: start from a run, or from a detector of export --npz, or from the package's (shapes), with "
        "its structure; for other classes their last layer is made new",
    )  # fmt: skip
    command.add_argument(
        "--val-fraction", type=float, metavar="PART",
        help="evaluate on so much of the data, such as 0.2, and train on the rest: every class is divided alike, and "
        "the run keeps the division",
    )  # fmt: skip
    command.add_argument(
        "--steps", type=int, metavar="N",
        help="training steps (the preset's: 1600 or 90,000); more, with --resume, let a finished run go on",
    )  # fmt: skip
    command.add_argument(
        "--minutes", type=float, metavar="N",
        help="be done after so many minutes, reading and evaluations included: the schedule fits the time, and follows "
        "when the computer becomes slower; more, with --resume, let a finished run go on",
    )  # fmt: skip
    command.add_argument(
        "--patience", type=int, metavar="N", help="stop after so many evaluations in a row without a better AP"
    )
    add_settings(command, " Without training.evaluate_every there are five evaluations")
    command.add_argument(
        "--tensorboard", action="store_true",
        help="write the metrics for TensorBoard too, into RUN/tensorboard (pip install tensorboard)",
    )  # fmt: skip
    add_pixel_limit(command)
    add_source_options(command, "--data")
    add_source_options(command, "--val, or another part of --data to evaluate on", "val-")


def run(options: argparse.Namespace) -> None:
    """Train; on unseen images, if there are any, measure the detector and show what it detects."""
    from minidet.data.batches import TrainingData
    from minidet.paths import new_network

    began = time.monotonic()
    ready = plan(options)
    settings, dataset, unseen = ready
    train = _trainer(settings, began)
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started, the first one tells
    _check(options, ready, first)
    model = new_network(settings, print if first else None)
    measure = _Measure(ready) if unseen is not None else None
    begins = options.resume or not (options.out / "config.json").exists()  # else it is refused
    data = TrainingData(dataset, settings.model, settings.training)
    kept = remembered(options.out, dataset, unseen) if first and begins and ready.is_read else nullcontext()
    with _alone(options.out) if first else nullcontext(), kept, _saying_how_to_go_on(options.out):
        metrics = train(model, data, settings.training, options.out, options.resume, settings, measure)
    if first:
        _tell(options.out, ready, metrics, measure)


class _Measure:
    """Measures a network on the images that a run is evaluated on, and keeps the last result.

    Args:
        ready: the run, with such images.
    """

    def __init__(self, ready: Plan) -> None:
        self.ready = ready
        self.last: tuple[Evaluation, list[Detections]] | None = None

    def __len__(self) -> int:
        return len(self.ready.unseen or ())

    def __call__(self, model: Any) -> dict[str, float]:
        from minidet.evaluation.detector import evaluate_model

        settings, _, unseen = self.ready
        assert unseen is not None
        self.last = evaluate_model(model, unseen, settings.categories, settings.training.resize)
        metrics: dict[str, float] = self.last[0].metrics
        return metrics


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Refuse to train in the folder of a run in which another process is training."""
    from minidet.experiments.lock import locked

    with locked(training_lock(out)) as free:
        if not free:
            raise ValueError(f"another process is training in {out}: wait for it, or give a new folder")
        yield


@contextmanager
def _saying_how_to_go_on(out: Path) -> Iterator[None]:
    """Name the command that goes on with a run that was stopped, by its user, a full disk or an image."""
    try:
        yield
    except (KeyboardInterrupt, OSError, ValueError) as error:
        if any(out.glob("checkpoint.*")) and not isinstance(error, Diverged):
            print(f"\ngo on from the last checkpoint with: minidet train --out {out} --resume", file=sys.stderr)
        elif isinstance(error, KeyboardInterrupt) and (out / "config.json").exists():
            print(f"\nbegin it again with: minidet train --out {out} --resume", file=sys.stderr)
        raise


def _trainer(settings: RunSettings, began: float) -> Callable[..., list[dict[str, Any]]]:
    """What trains with the path of a run, whose minutes, if it has any, began when the command did."""
    if settings.path != "pytorch":
        from minidet.paths import training as without_torch

        return without_torch.train
    from minidet.pytorch import training
    from minidet.pytorch.memory import keep_freed_memory

    keep_freed_memory()
    return functools.partial(training.train, began=began)


def _check(options: argparse.Namespace, ready: Plan, first: bool) -> None:
    """Say what is trained on, and refuse data that has changed and a folder in which the run would destroy data."""
    from minidet.data import recognise
    from minidet.data.summary import summary

    settings, dataset, unseen = ready
    changed = check_images(options.out, dataset, options.changed_data) if options.resume and ready.is_read else None
    data = [dataset] + ([unseen] if unseen is not None else [])
    check_outputs((options.out / name for name in FILES), data)
    if first:
        for read in (settings.data, settings.val) if ready.is_read else ():
            if read is not None and not (read is settings.val and read["source"] == (settings.data or {})["source"]):
                print(recognise(read["source"]).says)
        print(summary(dataset))
        if unseen is None:
            print("nothing to evaluate on: --val-fraction 0.2 keeps a fifth of the images for that, --val takes others")
        elif unseen.faults:
            print(f"to evaluate on: {summary(unseen)}")
        told = [changed]
        if unseen is not None and ready.is_read:
            told += [learnt_too(image_list(dataset), unseen), measured_otherwise(options.out, unseen)]
        tell_notes(data)
        if any(read.faults for read in data):
            print(f"the faults are listed in {options.out / FAULTS}", file=sys.stderr)
        for warning in filter(None, told):
            print(warning, file=sys.stderr)


def _tell(out: Path, ready: Plan, metrics: list[dict[str, Any]], measure: _Measure | None) -> None:
    """Draw the curves and what is detected in unseen images, write the numbers down, and name all files."""
    from minidet.evaluation.mistakes import best_thresholds
    from minidet.files import write_json
    from minidet.paths import load_network
    from minidet.plotting import detections_page, save_figure, training_page

    settings, dataset, unseen = ready
    name = f"{out.name}: RetinaNet on {dataset.name}"
    ending = "pt" if settings.path == "pytorch" else "npz"
    files = ("config.json", "faults.json", "metrics.jsonl", f"checkpoint.{ending}", f"model.{ending}", "best.pt")
    outputs = [out / file for file in files if (out / file).exists()]
    outputs += save_figure(training_page(metrics, name), out, "curves", ("png",))
    if unseen is not None and measure is not None:
        if measure.last is None:  # the run was finished before
            measure(load_network(out))
        assert measure.last is not None
        result, found = measure.last
        page = detections_page(
            [unseen[i].image for i in range(min(8, len(unseen)))], found, settings.categories.names,
            title=f"{name}: detections in unseen images, scores from 0.3 on",
        )  # fmt: skip
        outputs += save_figure(page, out, "detections", ("png",))
        thresholds = best_thresholds(found, unseen, settings.categories)
        content = scores.record(result, settings.categories, unseen, settings.val or {}, thresholds)
        outputs.append(write_json(out / "evaluation.json", content))
        print(scores.table(result, settings.categories))
    told = table(advice(str(out), metrics, dataset, settings, None if unseen is None else len(unseen)))
    print("\n".join(["", *([told, ""] if told else []), *map(str, outputs)]))
