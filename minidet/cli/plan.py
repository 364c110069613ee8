"""What `minidet train` is to do: the settings of the run and its data, from the arguments or from the run itself."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from minidet.cli.arguments import preset
from minidet.cli.identity import check_classes
from minidet.cli.runs import weights_of
from minidet.cli.sources import FILES, SHAPES, from_anywhere, read_alike, source_options
from minidet.config import AnchorConfig, ResizeConfig, RetinaNetConfig, RunSettings, TrainingConfig, setting_changes

if TYPE_CHECKING:
    from minidet.data import Dataset

TRAINING_SHAPES: dict[str, Any] = {"images": 100_000, "objects": (8, 25), "distractors": (3, 10)}
"""What a run on shapes sees: more of them per image than `Shapes()` has, so a short run learns from more objects."""
VARIED: dict[str, Any] = {"photometric": 0.3, "crop": 0.3}
"""Random changes of images that are read, with the tiny preset; without them a few hundred are soon known by heart."""
LONGER = ("steps", "minutes", "patience")
"""The options that say how long to train."""
RESUMED = ("run", "out", "resume", "changed_data", "set", "tensorboard", "max_pixels", *LONGER)
"""The options that can be given when a run is resumed without --data."""


class Plan(NamedTuple):
    """A run that can be begun or gone on with."""

    settings: RunSettings
    dataset: Dataset
    """What is trained on."""
    unseen: Dataset | None
    """What is evaluated on."""

    @property
    def is_read(self) -> bool:
        """Whether the data comes from files, which can change; shapes are what their settings say."""
        return self.settings.data is not None and self.settings.data["source"] != "shapes"


def plan(options: argparse.Namespace) -> Plan:
    """The run that the arguments ask for.

    ``--set`` has the last word, over presets and over the settings of a run that is resumed.

    Raises:
        ValueError: options contradict each other or the run, or the data cannot be trained or measured on.
    """
    changes = setting_changes(options.set)
    changes |= {name: from_anywhere(changes[name]) for name in ("data", "val")}
    for name, setting in zip(LONGER, ("iterations", "minutes", "patience"), strict=True):
        if getattr(options, name) is not None:
            changes["training"].setdefault(setting, getattr(options, name))
    if options.steps and options.minutes:
        raise ValueError("--steps and --minutes contradict each other: give one of them")
    if options.steps and options.steps < 500 and not options.resume:
        changes["training"].setdefault("warmup", options.steps // 5)  # no more than a fifth of a short run
    if options.tensorboard:
        changes["training"]["tensorboard"] = True
    return _resumed(options, changes) if options.resume and not options.data else _begun(options, changes)


def _resumed(options: argparse.Namespace, changes: dict[str, dict[str, Any]]) -> Plan:
    """From the settings that the run keeps; an option that they leave no room for is refused."""
    from minidet.data import open_dataset
    from minidet.runs import load_settings

    refused = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(options).items()
        if name not in RESUMED and value is not None and value is not False and value != []
    ]
    if refused:
        raise ValueError(
            f"{', '.join(refused)}: a run that is resumed keeps what it was begun with: leave this out, or give --data "
            "and everything else that it was begun with, to be compared"
        )
    settings = RunSettings.from_dict(load_settings(options.out)).changed(changes)
    if settings.data is None:
        raise ValueError(f"{options.out} was not begun with minidet train: resume it from where it was, in Python")
    dataset = open_dataset(**settings.data)
    check_classes(dataset, settings)
    return _checked(settings, dataset)


def _begun(options: argparse.Namespace, changes: dict[str, dict[str, Any]]) -> Plan:
    """From the arguments alone."""
    from minidet.data import open_dataset, require_objects

    if not options.data:
        raise ValueError("give --data: shapes, or a data set in Pascal VOC, COCO or YOLO form")
    data, val = _sources(options, changes)
    dataset = open_dataset(**data)
    if options.val_fraction is not None:
        dataset, data, val = _divided(options.val_fraction, dataset, data, val, changes)
    require_objects(dataset, "to learn from")
    path = options.path or "pytorch"
    model, training = _preset(options.preset or "tiny", len(dataset.classes), path)
    if options.weights and not options.preset:
        model, training = _as_before(options.weights, len(dataset.classes), training)
    if options.shorter_side:
        longer = round(options.shorter_side * training.resize.longer_side / training.resize.shorter_side)
        training = replace(training, resize=ResizeConfig(options.shorter_side, longer))
    if (options.preset or "tiny") == "tiny" and data["source"] != "shapes":
        training = training.with_changes(VARIED, "training")
    if options.preset == "paper" and options.backbone_weights:
        training = replace(training, freeze_at=2)  # as its authors do
    training = training.with_changes(changes["training"], "training")
    if options.anchors:
        anchors = _anchors(options.anchors, dataset, model.with_changes(changes["model"], "model"), training)
        model = replace(model, anchors=anchors)
    if val and training.evaluate_every is None and training.minutes is None:
        training = replace(training, evaluate_every=max(1, training.iterations // 5))
    if options.weights and options.backbone_weights:
        raise ValueError("--weights and --backbone-weights contradict each other: give one of them")
    weights = str(weights_of(options.weights)) if options.weights else None
    backbone = str(weights_of(options.backbone_weights)) if options.backbone_weights else None
    model = model.with_changes(changes["model"], "model")
    settings = RunSettings(
        data, val, dataset.classes, tuple(dataset.category_ids), backbone, weights, model, training, path
    )  # fmt: skip
    return _checked(settings, dataset)


def _checked(settings: RunSettings, dataset: Dataset) -> Plan:
    """The plan, if there is something to learn from and, where it is to be measured, something to measure on."""
    from minidet.data import open_dataset, require_objects
    from minidet.evaluation.detector import check_measurable

    require_objects(dataset, "to learn from")
    unseen = open_dataset(**settings.val) if settings.val else None
    if unseen is not None:
        check_measurable(unseen, settings.categories)
    return Plan(settings, dataset, unseen)


def _sources(
    options: argparse.Namespace, changes: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What to train on, and what to evaluate on if anything, as `open_dataset` takes them."""
    data: dict[str, Any] = {"source": options.data}
    if options.data == "shapes":
        data |= TRAINING_SHAPES
    data = from_anywhere(data | source_options(options, options.data) | changes["data"])
    part = any(getattr(options, f"val_{name}") is not None for name in (*FILES, *SHAPES))
    if not (options.val or part or options.data == "shapes"):
        if changes["val"]:
            raise ValueError(f"--set val.{next(iter(changes['val']))}: there is nothing to evaluate on: give --val")
        return data, None
    val = from_anywhere({"source": options.val or options.data})
    if val["source"] == "shapes":
        shared = ("image_size", "min_size", "max_size", "classes")
        val |= {name: data[name] for name in shared if name in data}
        val |= {"images": 200, "seed": data.get("seed", 0) + 1}
    val |= source_options(options, val["source"], "val-") | changes["val"]
    return data, from_anywhere(read_alike(from_anywhere(val), data))


def _divided(
    fraction: float, dataset: Dataset, data: dict[str, Any], val: dict[str, Any] | None, changes: Any
) -> tuple[Dataset, dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The data divided in two: what is trained on, its source, and the source of what is evaluated on.

    The images are named in both, so that the run measures on the same ones whatever is added to the data.
    """
    from minidet.data import Part, hold_out

    if val is not None:
        given = (
            "shapes has unseen images of its own" if data["source"] == "shapes" else "the data to evaluate on is given"
        )
        raise ValueError(f"--val-fraction: {given}: leave one of the two out")
    held_out = hold_out(dataset, fraction, changes["training"].get("seed", 0))
    print(f"to evaluate on: {len(held_out)} of {len(dataset)} images, divided so that every class is in both parts")
    source = {**data, "without": held_out}
    return Part(dataset, without=held_out), source, {**data, "only": held_out} | changes["val"]


def _as_before(weights: str, classes: int, training: TrainingConfig) -> tuple[RetinaNetConfig, TrainingConfig]:
    """The structure of the detector that is started from, for other classes, and the size of its images."""
    from minidet.pytorch.finetune import load_weights

    _, before = load_weights(weights_of(weights))
    return replace(before.model, num_classes=classes), replace(training, resize=before.training.resize)


def _preset(name: str, classes: int, path: str) -> tuple[RetinaNetConfig, TrainingConfig]:
    """The detector and the training of a preset; in the paths without PyTorch, in one process and their own type."""
    own: dict[str, Any] = {}
    if path != "pytorch":
        own = {"precision": "float64" if path == "reference" else "float32", "workers": 0}
    if name == "tiny":
        return preset(name, classes), TrainingConfig.tiny(**{"precision": "auto", "workers": 1, **own})
    if name == "torchvision":
        return preset(name, classes), TrainingConfig(**{"resize": ResizeConfig(800, 1333), **own})
    return preset(name, classes), TrainingConfig.detectron(**own)


def _anchors(name: str, dataset: Dataset, model: RetinaNetConfig, training: TrainingConfig) -> AnchorConfig:
    """A preset's anchors, or those that fit the data at the size of the training (the middle one, with jitter)."""
    if name != "suggested":
        return preset(name, model.num_classes).anchors
    from minidet.inspection.suggest import suggest_anchors

    resize = training.resize
    if training.jitter:
        resize = replace(resize, shorter_side=sum(training.jitter) // 2)
    anchors = suggest_anchors(dataset, model.assignment, resize)
    print(f"anchors: levels {anchors.levels}, sizes {anchors.sizes}, scales {anchors.scales}, ", end="")
    print(f"aspect ratios {anchors.aspect_ratios}")
    return anchors
